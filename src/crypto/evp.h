/* What the crypto floor keeps of OpenSSL: algorithms fetched once per process (a fetch by name
 * takes a lock and a search), and contexts made once per thread and used again. Private to this
 * folder. */
#ifndef CRYPTO_EVP_H
#define CRYPTO_EVP_H

#include <openssl/evp.h>

struct evp {
    const EVP_MD *sha256, *sha512;
    const EVP_CIPHER *aes_256_gcm;
    EVP_MAC_CTX *hmac_sha256; /* the model that threads copy */
};
const struct evp *evp(void);

/* This thread's contexts; freed when the thread ends. */
struct evp_thread {
    EVP_MD_CTX *digest;
    EVP_MAC_CTX *hmac;
    EVP_CIPHER_CTX *cipher;
    EVP_PKEY_CTX *sign; /* NULL, or ready to sign with this key and enum jose_alg */
    const EVP_PKEY *sign_key;
    int sign_alg;
};
struct evp_thread *evp_thread(void);

/* For calls that fail only when memory is out or the library is broken: logs and aborts. */
void evp_must(int ok, const char *what);

#endif
