/* TLS keys in the keys folder: "tls-<name>.pem", read when somebody asks for one, so that a new one
 * is found by a running process. And what is made from them: certificates of one's own, requests.
 * Private to this folder; only keys.c uses it. Not thread-safe, but for the keys it gives out. */
#ifndef CRYPTO_TLSSTORE_H
#define CRYPTO_TLSSTORE_H

#include "crypto/evp.h"
#include "crypto/keys.h"

struct tlsstore;
struct tlsstore *tlsstore_new(const char *folder);
void tlsstore_free(struct tlsstore *s);

/* A reference of the caller's own. ERR_NOT_FOUND. */
enum err tlsstore_find(struct tlsstore *s, struct str id, EVP_PKEY **out) MUST_CHECK;

/* A digest and a padding that TLS signs with; ERR_INVALID for others. Needs no lock. */
enum err tlsstore_sign(EVP_PKEY *pkey, struct str digest, bool pss, struct str data,
                       struct arena *a, struct str *sig) MUST_CHECK;

/* PEM out. `hosts`: names and addresses, commas between; the first is the subject's. The key is
 * made where there is none of that name. days 0: a request (PKCS#10), else a certificate signed by
 * itself. */
enum err tlsstore_certify(struct tlsstore *s, struct str name, struct str alg, struct str hosts,
                          unsigned days, struct arena *a, struct str *pem) MUST_CHECK;
/* Takes a private key that was made elsewhere. */
enum err tlsstore_import(struct tlsstore *s, struct str name, struct str pem,
                         struct arena *a) MUST_CHECK;

#endif
