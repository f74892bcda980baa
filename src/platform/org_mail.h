/* The electronic address at which an organisation is written to, beside its webhook (hook.h). */
#ifndef PLATFORM_ORG_MAIL_H
#define PLATFORM_ORG_MAIL_H

#include "platform/mail.h"

/* An act; an empty address: no more. ERR_INVALID: it is none. */
enum err org_mail_set(struct ctx *c, struct str org, struct str address,
                      struct str actor) MUST_CHECK;
/* "": it has none. */
enum err org_mail_get(struct ctx *c, struct str org, struct str *address) MUST_CHECK;
/* A mail to it, ready for mail_queue; without an address out->data is empty, and mail_queue does
 * nothing. kind must live until then. */
enum err org_mail_seal(struct ctx *c, struct str org, const char *kind, struct str subject,
                       struct str text, struct mail_sealed *out) MUST_CHECK;

#endif
