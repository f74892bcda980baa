/* Digests, MACs and derived keys. Every journal entry, token and blind index passes here, so
 * nothing is looked up by name and nothing is allocated per call but in the streaming form. */
#include "crypto/digest.h"

#include <assert.h>
#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include "crypto/evp.h"

void sha256(const void *p, size_t n, uint8_t out[SHA256_LEN])
{
    struct str part = str_of(p, n);
    sha256_many(&part, 1, out);
}

void sha256_many(const struct str *parts, size_t n, uint8_t out[SHA256_LEN])
{
    EVP_MD_CTX *c = evp_thread()->digest;
    evp_must(EVP_DigestInit_ex2(c, evp()->sha256, NULL), "sha256");
    for (size_t i = 0; i < n; i++)
        evp_must(EVP_DigestUpdate(c, parts[i].p, parts[i].n), "sha256");
    evp_must(EVP_DigestFinal_ex(c, out, NULL), "sha256");
}

void sha512(const void *p, size_t n, uint8_t out[SHA512_LEN])
{
    EVP_MD_CTX *c = evp_thread()->digest;
    evp_must(EVP_DigestInit_ex2(c, evp()->sha512, NULL), "sha512");
    evp_must(EVP_DigestUpdate(c, p, n), "sha512");
    evp_must(EVP_DigestFinal_ex(c, out, NULL), "sha512");
}

void hmac_sha256(struct str key, struct str data, uint8_t out[SHA256_LEN])
{
    EVP_MAC_CTX *c = evp_thread()->hmac;
    const char *k = key.n ? key.p : ""; /* NULL would mean: the key of the last call */
    size_t n;
    evp_must(EVP_MAC_init(c, (const unsigned char *)k, key.n, NULL), "hmac");
    evp_must(EVP_MAC_update(c, (const unsigned char *)data.p, data.n), "hmac");
    evp_must(EVP_MAC_final(c, out, &n, SHA256_LEN), "hmac");
}

void hkdf_sha256(struct str key, struct str salt, struct str info, uint8_t *out, size_t n)
{
    char name[] = "SHA256";
    OSSL_PARAM p[5], *at = p;
    assert(n > 0 && n <= 255 * SHA256_LEN && key.n > 0);
    *at++ = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, name, 0);
    *at++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)key.p, key.n);
    if (salt.n)
        *at++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)salt.p, salt.n);
    if (info.n)
        *at++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)info.p, info.n);
    *at = OSSL_PARAM_construct_end();
    EVP_KDF_CTX *c = EVP_KDF_CTX_new(evp()->hkdf);
    evp_must(c && EVP_KDF_derive(c, out, n, p), "hkdf");
    EVP_KDF_CTX_free(c);
}

struct sha256 {
    EVP_MD_CTX *ctx;
};

struct sha256 *sha256_new(void)
{
    struct sha256 *s = malloc(sizeof *s);
    evp_must(s && (s->ctx = EVP_MD_CTX_new()) != NULL, "memory");
    evp_must(EVP_DigestInit_ex2(s->ctx, evp()->sha256, NULL), "sha256");
    return s;
}

void sha256_add(struct sha256 *s, const void *p, size_t n)
{
    evp_must(EVP_DigestUpdate(s->ctx, p, n), "sha256");
}

void sha256_end(struct sha256 *s, uint8_t out[SHA256_LEN])
{
    evp_must(EVP_DigestFinal_ex(s->ctx, out, NULL), "sha256");
    EVP_MD_CTX_free(s->ctx);
    free(s);
}
