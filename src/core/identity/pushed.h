/* Authorization requests that do not come in the address: pushed (RFC 9126), or signed (RFC 9101).
 */
#ifndef IDENTITY_PUSHED_H
#define IDENTITY_PUSHED_H

#include "core/identity/client.h"

/* Puts what was pushed or signed in the place of *r. false: *why is set, and *r is as it was sent;
 * the client and the address must still be checked before it is told. Database errors in *e. */
bool request_resolve(struct ctx *c, const struct client *k, struct request *r,
                     struct oauth_error *why, enum err *e) MUST_CHECK;

#endif
