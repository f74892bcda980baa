/* The two ways to a content key, with private keys at hand: for jwe.c and keys.c. Private to this
 * folder. */
#ifndef CRYPTO_JWE_KEY_H
#define CRYPTO_JWE_KEY_H

#include "crypto/jwe.h"
#include "crypto/jwk.h"

/* ERR_INVALID: not keys of one curve. */
enum err jwe_agree(EVP_PKEY *mine, EVP_PKEY *theirs, struct str party_info,
                   uint8_t cek[JWE_CEK_LEN]) MUST_CHECK;
void jwe_unwrap_rsa(EVP_PKEY *pkey, struct str wrapped, uint8_t cek[JWE_CEK_LEN]);

#endif
