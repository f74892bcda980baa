/* Answers that the keys process completes by a signature: the texts around it are ready, and no
 * thread waits for it. */
#ifndef IDENTITY_REPLY_H
#define IDENTITY_REPLY_H

#include "platform/ctx.h"

/* Status 200, the issuer's signature over `payload` between two texts. */
enum err reply_signed(struct ctx *c, const char *content_type, enum jose_alg alg, const char *typ,
                      struct str payload, const struct str around[2]) MUST_CHECK;

/* Both tokens, with texts before, between and behind them; see keys_sign_tokens. The access token's
 * claims and what it hides are kept, so that it is not verified when it comes back. */
struct reply_tokens {
    struct str access, id_open, around[3];
    enum jose_alg id_alg;
    json_t *claims, *identity; /* borrowed */
};
enum err reply_tokens(struct ctx *c, const struct reply_tokens *t) MUST_CHECK;

#endif
