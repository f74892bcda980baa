/* Certificates in the header of a JWS (RFC 7515 4.1.6): whose key signed, because an authority says
 * so; and JWS of ours signed with a key that has a certificate. */
#ifndef CRYPTO_X5C_H
#define CRYPTO_X5C_H

#include "crypto/jose.h"
#include "crypto/keys.h"

/* The key of the first certificate, when today the chain leads to one of `authorities` (PEM; a
 * certificate listed there is trusted itself). ERR_INVALID: no such list; ERR_DENIED: not from
 * them, expired, or a key that jwk_read refuses. Free with jwk_free. */
enum err x5c_key(struct arena *a, const json_t *x5c, struct str authorities,
                 struct jwk **out) MUST_CHECK;

/* A certificate of ours with its chain. */
struct x5c_own {
    json_t *x5c;     /* as a header holds it; the authority that signed itself is left out */
    struct str hash; /* base64url(SHA-256(the certificate)) */
    uint8_t key_id[KEYS_TLS_ID_LEN];
};
/* ERR_INVALID: no certificate, or not of a P-256 key. Free with x5c_own_free, after ERR_OK only. */
enum err x5c_own_read(struct arena *a, struct str pem, struct x5c_own *out) MUST_CHECK;
void x5c_own_free(struct x5c_own *o);

/* A compact JWS, ES256, by that certificate's key, over the channel of the TLS keys. */
enum err x5c_sign(struct keys *tls_keys, const struct x5c_own *o, const char *typ,
                  struct str payload, struct arena *a, struct str *compact) MUST_CHECK;

#endif
