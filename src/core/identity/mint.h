/* Tokens for somebody (a code, a refresh token) or for the client itself. */
#ifndef IDENTITY_MINT_H
#define IDENTITY_MINT_H

#include "core/identity/client.h"
#include "core/identity/code.h"

/* What a request's tokens are bound to; "" neither. */
struct binding {
    struct str jkt, x5t;
};
/* From the DPoP header or the client certificate. When what it brings does not do for the client,
 * the answer is given and *answered is true. */
enum err binding_read(struct ctx *c, const struct client *k, struct binding *out,
                      bool *answered) MUST_CHECK;

struct minting {
    const struct client *k;
    const json_t *data; /* of the code or the refresh grant; NULL: no person, then person is "" */
    json_t *claims;     /* all that is known of the person */
    struct str person, sub, scope, jti;
    struct str family; /* of the refresh token it comes with; .n 0 none */
    struct binding binding;
    int64_t now_s;
};
/* Person, sub, claims and time from `data`. ERR_NOT_FOUND: the account is closed. */
enum err minting_fill(struct ctx *c, struct minting *m) MUST_CHECK;
enum err grants_get(struct ctx *c, const struct minting *m, json_t **grants) MUST_CHECK;
/* The whole answer with an access token alone. */
enum err mint_access_answer(struct ctx *c, const struct minting *m,
                            const json_t *grants) MUST_CHECK;
/* The whole answer with both; refresh .p NULL: none. */
enum err mint_answer(struct ctx *c, const struct minting *m, struct str refresh) MUST_CHECK;
const char *mint_token_type(const struct minting *m);

#endif
