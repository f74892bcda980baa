/* The clients of the issuer. */
#ifndef IDENTITY_CLIENT_H
#define IDENTITY_CLIENT_H

#include "core/identity/request.h"
#include "crypto/jose.h"
#include "crypto/jwe.h"
#include "platform/ctx.h"

enum bound { BOUND_NO, BOUND_DPOP, BOUND_MTLS }; /* what its tokens must be bound to */

struct client {
    struct str id, org_id, name_fr, name_en, entity_id, state, realm;
    enum profile profile;
    struct str secret_mac, old_secret_mac; /* hex */
    int64_t old_secret_until_ms;
    struct str auth_methods, jwks, scopes, providers;
    enum jose_alg id_token_alg, userinfo_alg;
    enum jwe_alg id_token_enc, userinfo_enc; /* JWE_NONE: signed only */
    bool userinfo_signed, pkce, par, data_provider;
    bool asks; /* she agrees before her identity is passed on; else she is told */
    enum bound bound;
    struct str logout_uri;                      /* back-channel; "" none */
    struct str redirect_uris, post_logout_uris; /* a line each, closed by its newline */
    int64_t code_life_ms, id_token_life_s, access_life_s;
};
enum err client_get(struct ctx *c, struct str id, struct client **out) MUST_CHECK;
/* The same with those that wait for their contract: they have a name, and may do nothing. */
enum err client_get_any(struct ctx *c, struct str id, struct client **out) MUST_CHECK;
/* Draws another secret; the old one works until `overlap_ms` from now. Journalled. */
enum { CLIENT_OVERLAP_HOURS = 24 };
enum err client_secret_rotate(struct ctx *c, struct str id, struct str actor, int64_t overlap_ms,
                              struct str *secret) MUST_CHECK;
/* Its new public keys (a JWKS as text). Journalled. ERR_INVALID: not a JWKS. */
enum err client_keys_set(struct ctx *c, struct str id, struct str actor,
                         struct str jwks) MUST_CHECK;
/* A client that waited becomes active, with its secret. ERR_CONFLICT: it does not wait. */
enum err client_activate(struct ctx *c, struct str id, struct str actor,
                         struct str *secret) MUST_CHECK;
/* Ends it: its tokens are refused within 1 s. */
enum err client_remove(struct ctx *c, struct str id, struct str actor) MUST_CHECK;
/* Everything of one, as the commands and the console show it; the caller owns *out. */
enum err client_json(struct ctx *c, struct str id, json_t **out) MUST_CHECK;
enum err client_json_list(struct ctx *c, json_t **out) MUST_CHECK;
/* Kept between requests, until the change feed says that one has changed. */
void client_cache_clear(void);

/* uris: one of the lists above. Byte for byte (RFC 9700 4.1.3). */
bool client_uri_is(struct str uris, struct str uri);

/* RFC 6749 2.3: basic (with the standard's form encoding, or as many send it, without), post,
 * private_key_jwt, or a certificate of its own (RFC 8705 2.2). On failure the OAuth answer is given
 * and *out is NULL. */
enum err client_authenticate(struct ctx *c, struct client **out) MUST_CHECK;

/* Inside this platform: was this identifier of a proof used before? Shared by all nodes.
 * ERR_EXISTS. */
enum err proof_use_once(struct ctx *c, struct str owner, struct str jti,
                        int64_t until_ms) MUST_CHECK;

/* Algorithms a client of this profile may sign with: FAPI 2.0 leaves RS256 out. */
unsigned client_algs(const struct client *k);

/* HMAC of a secret, hex; what is stored. */
enum err client_secret_mac(struct ctx *c, struct str client_id, struct str secret,
                           struct str *hex) MUST_CHECK;

/* A signed token for this client, encrypted for its key when it is registered so. */
enum err client_encrypt(struct ctx *c, const struct client *k, enum jwe_alg enc,
                        struct str *compact) MUST_CHECK;

/* {"fr","en"} */
json_t *client_name(const struct client *k);
struct str client_name_in(const struct client *k, const char *lang);

/* An OAuth error as JSON (RFC 6749 5.2), with error_uri. */
enum err oauth_fail(struct ctx *c, int status, const char *error,
                    const char *description) MUST_CHECK;

#endif
