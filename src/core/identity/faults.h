/* Every way signing in can fail for a person: one table, so that codes are stable. Texts:
 * text/{fr,en}.json, "error.<code>.{title,meaning,action}"; published in docs/ERRORS.md. */
#ifndef IDENTITY_FAULTS_H
#define IDENTITY_FAULTS_H

#include "core/identity/flow.h"
#include "platform/ctx.h"

enum idt {
    IDT_CLIENT,           /* no such client */
    IDT_REDIRECT,         /* redirect_uri is not registered */
    IDT_REQUEST,          /* a pushed or signed request that is of no use any more */
    IDT_LOGOUT,           /* post_logout_redirect_uri is not registered */
    IDT_FLOW,             /* the sign-in expired or was finished already */
    IDT_BROWSER,          /* it was not started in this browser */
    IDT_PROVIDER_NAME,    /* no such provider, or not for this client */
    IDT_PROVIDER_REFUSED, /* the provider answered with an error: the person gave up, mostly */
    IDT_PROVIDER_BAD,     /* its answer breaks the protocol */
    IDT_PROVIDER_DOWN,    /* it does not answer */
    IDT_LEVEL,            /* signed in below the level asked for */
    IDT_PIVOT,            /* the identity it gave is incomplete or malformed */
    IDT_BLOCKED,          /* the account is blocked */
    IDT_BLOCKED_PROVIDER, /* she wants nobody in by this provider */
    IDT_SUSPICIOUS,       /* it may be somebody else: a stronger sign-in is asked for */
    IDT_REGISTER_4,       /* what the civil register answered: docs/formats/civil-register.md */
    IDT_REGISTER_6,
    IDT_REGISTER_7,
    IDT_REGISTER_8,
    IDT_REGISTER_9,
    IDT_REGISTER_DECEASED,
    IDT_REGISTER_DOWN,
    IDT_WALLET,   /* a wallet's answer that proves nothing, or is not this browser's */
    IDT_PASSWORD, /* operator: wrong login or password */
    IDT_TRIES,    /* too many tries */
    IDT_COUNT
};
const struct fault *idt_fault(enum idt code);
const struct fault *idt_fault_at(size_t i); /* for the test of texts; NULL at the end */

/* Answers with the module's page: what happened, what to do, the way back to the service. `f` may
 * be NULL: no sign-in is known. detail is for the log alone, and never a personal value. */
enum err idt_fail(struct ctx *c, enum idt code, const struct flow *f,
                  const char *detail) MUST_CHECK;

#endif
