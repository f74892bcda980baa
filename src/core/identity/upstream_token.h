/* Our side as a client of an identity provider: from its code to checked claims. */
#ifndef IDENTITY_UPSTREAM_TOKEN_H
#define IDENTITY_UPSTREAM_TOKEN_H

#include "core/identity/flow.h"
#include "core/identity/provider.h"

struct upstream_answer {
    struct str id_token;
    json_t *claims; /* of userinfo where there is one, over the ID token's; the pool's */
    json_t *id_claims;
    bool suspicious; /* it doubts that this is she: x-suspicious, as a header or a claim */
};
/* Exchanges the code and checks all (OpenID Connect Core 3.1.3.7, 5.3.2). ERR_UNAVAILABLE or
 * ERR_TIMEOUT: it does not answer; ERR_DENIED or ERR_INVALID: its answer breaks a rule, *why. */
enum err upstream_exchange(struct ctx *c, struct provider *p, const struct flow_secrets *s,
                           struct str code, struct upstream_answer *out,
                           const char **why) MUST_CHECK;

struct str upstream_redirect_uri(struct ctx *c, const struct provider *p);

#endif
