/* Public keys behind jose.h: what jwk.c makes and jws.c uses. Private to this folder. */
#ifndef CRYPTO_JWK_H
#define CRYPTO_JWK_H

#include "crypto/evp.h"
#include "crypto/jose.h"

struct jwk {
    EVP_PKEY *pkey;
    unsigned algs; /* mask of 1 << enum jose_alg this key may verify */
    char *kid;     /* NULL: none */
};

/* A string member; .p NULL when absent or no string: here an empty text is not an absent one. */
struct str jose_member(const json_t *o, const char *name);

/* The JWK members of a key that lie in its thumbprint (RFC 7638 3.2), in their order: a public JWK
 * and the text to digest at once. */
struct str jwk_of_pkey(struct arena *a, EVP_PKEY *pkey);
/* base64url(SHA-256(jwk_of_pkey())). */
struct str jwk_kid_of_pkey(struct arena *a, EVP_PKEY *pkey);

/* Signs with a private key; raw form (ES256: r||s). alg fits the key (asserted). */
struct str pkey_sign(struct arena *a, EVP_PKEY *pkey, enum jose_alg alg, struct str data);
bool pkey_verify(EVP_PKEY *pkey, enum jose_alg alg, struct str data, struct str sig);

#endif
