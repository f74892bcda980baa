/* JOSE: JWS compact (RFC 7515), JWK and JWKS (RFC 7517), JWT checks (RFC 7519, 8725). Public-key
 * work only: signing is asked of the keys process (crypto/keys.h). */
#ifndef CRYPTO_JOSE_H
#define CRYPTO_JOSE_H

#include <jansson.h>
#include "base/arena.h"
#include "base/err.h"

enum jose_alg { JOSE_ES256, JOSE_RS256, JOSE_PS256, JOSE_EDDSA, JOSE_HS256, JOSE_ALG_COUNT };
const char *jose_alg_name(enum jose_alg alg); /* "ES256" */
enum err jose_alg_from_name(struct str name, enum jose_alg *out) MUST_CHECK;

/* A public key, immutable, usable from every thread. */
struct jwk;
/* Refuses (ERR_INVALID) private and symmetric keys, points off their curve, RSA under 2,048 bits,
 * keys that are not for signatures. */
enum err jwk_read(const json_t *jwk, struct jwk **out) MUST_CHECK;
void jwk_free(struct jwk *k);
struct str jwk_kid(const struct jwk *k);
/* RFC 7638 thumbprint, base64url; .p NULL when a member it needs is missing. */
struct str jwk_thumbprint(struct arena *a, const json_t *jwk);

struct jwks {
    struct jwk **keys;
    size_t n;
    int refs; /* counted atomically: jwks_share, jwks_free */
};
enum err jwks_read(struct str json, struct jwks **out) MUST_CHECK;
struct jwks *jwks_share(struct jwks *ks); /* one reference more */
void jwks_free(struct jwks *ks);

/* A compact JWS, split and decoded; nothing is believed yet. */
struct jws {
    json_t *header, *claims; /* claims NULL when the payload is no JSON object */
    struct str signing_input, payload, signature;
    enum jose_alg alg;
    struct str kid; /* .p NULL when absent */
};
/* ERR_INVALID also for alg "none" or unknown, for "crit", and for a member given twice; ERR_LIMIT
 * over 128 KB. j->header and kid live until jws_free, the slices as long as the arena and
 * `compact`. */
enum err jws_split(struct arena *a, struct str compact, struct jws *out) MUST_CHECK;
void jws_free(struct jws *j);

/* Verifies with the key of that kid (or any of that alg when there is no kid). `algs` is the mask
 * of 1 << enum jose_alg that the caller accepts; "none" and HS256 never pass here. ERR_DENIED; or
 * ERR_NOT_FOUND when no key has that kid: the set may be out of date, read it again once. */
enum err jws_verify(const struct jws *j, const struct jwks *keys, unsigned algs) MUST_CHECK;
enum err jws_verify_key(const struct jws *j, const struct jwk *key, unsigned algs) MUST_CHECK;
/* HS256 with a shared secret, for client_secret_jwt and old clients' ID tokens. */
enum err jws_verify_hs256(const struct jws *j, struct str secret) MUST_CHECK;
/* HS256 compact JWS made with a shared secret. */
struct str jws_make_hs256(struct arena *a, struct str header_json, struct str payload,
                          struct str secret);

/* Checks of RFC 7519 4.1 with a leeway of 10 s: iss and aud when given (.p NULL skips), exp
 * required, nbf and iat not in the future. Returns ERR_DENIED and says which in *why (static). */
enum err jwt_check(const json_t *claims, struct str iss, struct str aud, int64_t now_ms,
                   const char **why) MUST_CHECK;

/* header.payload, both base64url: what is to be signed. */
struct str jws_input(struct arena *a, struct str header_json, struct str payload);

/* Ed25519 and ECDSA verification on raw keys and signatures (checkpoints, receipts). */
bool ed25519_verify(const uint8_t public_key[32], struct str data, const uint8_t sig[64]);

#endif
