/* On the wide lane: does a request come with the key (DPoP, RFC 9449) or the client certificate
 * (RFC 8705, RFC 9440) that its token is bound to? The gateway has its own, in the loop. */
#ifndef PLATFORM_BOUND_H
#define PLATFORM_BOUND_H

#include "crypto/dpop.h"
#include "platform/ctx.h"

/* The request's DPoP header for the address `url`. ERR_NOT_FOUND: it has none; ERR_DENIED: *why.
 * Replays are known within this process; who must know them on every node keeps `out->jti`. */
enum err bound_proof(struct ctx *c, struct str url, struct str token, struct str jkt,
                     struct dpop_proof *out, const char **why) MUST_CHECK;

/* The thumbprint of the client certificate that a trusted proxy saw (x5t#S256); .p NULL: none. */
struct str bound_certificate(struct ctx *c);

/* The access token of the Authorization header, under Bearer or DPoP; .p NULL: none. */
struct str bound_token(const struct ctx *c, bool *dpop);

/* Whether a token with these claims may be used by this request. ERR_DENIED: *why. */
enum err bound_check(struct ctx *c, const json_t *claims, struct str token, bool dpop,
                     const char **why) MUST_CHECK;

#endif
