/* Digests and MACs over OpenSSL 3, algorithms fetched once per process, contexts one per thread. */
#ifndef CRYPTO_DIGEST_H
#define CRYPTO_DIGEST_H

#include "base/arena.h"

enum { SHA256_LEN = 32, SHA512_LEN = 64 };
void sha256(const void *p, size_t n, uint8_t out[SHA256_LEN]);
void sha512(const void *p, size_t n, uint8_t out[SHA512_LEN]);
/* Of the concatenation of up to n slices. */
void sha256_many(const struct str *parts, size_t n, uint8_t out[SHA256_LEN]);
void hmac_sha256(struct str key, struct str data, uint8_t out[SHA256_LEN]);
/* HKDF-SHA256 (RFC 5869), at most 255*32 bytes. */
void hkdf_sha256(struct str key, struct str salt, struct str info, uint8_t *out, size_t n);

/* Streaming. */
struct sha256;
struct sha256 *sha256_new(void);
void sha256_add(struct sha256 *s, const void *p, size_t n);
void sha256_end(struct sha256 *s, uint8_t out[SHA256_LEN]); /* frees s */

#endif
