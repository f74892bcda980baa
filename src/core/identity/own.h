/* The accounts of this platform's own, as one more source of identity: they live in core/accounts,
 * which meets identity through the four calls of own.c (docs/CALLS.md). */
#ifndef IDENTITY_OWN_H
#define IDENTITY_OWN_H

#include "core/identity/client.h"
#include "core/identity/flow.h"
#include "core/identity/person.h"
#include "core/identity/provider.h"

#define OWN_PROVIDER "compte"

json_t *own_name(struct ctx *c); /* {"fr": "Compte Socle", ...}; the caller owns it */
/* A client may name the providers it accepts. */
bool own_is_accepted(const struct client *k);

/* Who somebody is to us, once a source of identity has spoken: the civil register is asked, the
 * person found or made (who->person). *answered: refused, or an error is returned. */
enum err identity_recognise(struct ctx *c, struct flow *f, const struct provider *p,
                            struct sign_in *who, bool *answered) MUST_CHECK;

/* Goes on exactly as after a provider's answer (broker.c): session, consent, code. amr is stolen.
 */
enum err identity_arrive(struct ctx *c, struct flow *f, struct provider *p,
                         const struct sign_in *who, enum level level, json_t *amr) MUST_CHECK;

#endif
