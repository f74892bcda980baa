/* Tokens bound to a key (DPoP, RFC 9449) or a client certificate (RFC 8705). */
#ifndef EXCHANGE_PROOF_H
#define EXCHANGE_PROOF_H

#include "core/exchange/call.h"

/* Does the request come with what its token is bound to? dpop: it was sent under that scheme. */
enum gw_code token_possessed(struct gateway *g, struct fast *x, struct token *t, bool dpop,
                             int64_t now_ms) MUST_CHECK;

/* What serves once, on whichever loop of this process it comes: a proof's identity, a signature's
 * hash. ERR_EXISTS: it was used; ERR_LIMIT: too many at once. */
enum err proof_once(uint64_t proof, int64_t mono_ms) MUST_CHECK;

#endif
