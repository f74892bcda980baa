/* Keys and certificates of authenticators, over OpenSSL. For webauthn.c alone. */
#ifndef ACCOUNTS_WAKEY_H
#define ACCOUNTS_WAKEY_H

#include <openssl/x509.h>
#include "base/arena.h"
#include "base/err.h"

/* A COSE_Key (RFC 9053) of ES256, EdDSA (Ed25519) or RS256 (2,048 bits at least); its algorithm in
 * *alg. NULL: none of these, a point off its curve, a member too many. */
EVP_PKEY *wakey_read(struct str cose, int64_t *alg);
struct str wakey_der(struct arena *a, EVP_PKEY *key); /* SubjectPublicKeyInfo */
EVP_PKEY *wakey_from_der(struct str der);
enum err wakey_point(struct arena *a, EVP_PKEY *p256, struct str *out) MUST_CHECK; /* 04 x y */
/* The algorithm must fit the key. */
bool wakey_verify(EVP_PKEY *key, int64_t alg, struct str data, struct str sig);

/* An attestation certificate: its key signed `data`, its form is that of WebAuthn 8.2.1 (with
 * aaguid .p NULL: only the key's, 8.6). *attested: its chain ends at an anchor. */
enum err wacert_check(const struct str *x5c, size_t n, int64_t alg, struct str data, struct str sig,
                      struct str aaguid, X509_STORE *anchors, bool *attested) MUST_CHECK;

#endif
