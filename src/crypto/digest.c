/* Digests, MACs and derived keys. Every journal entry, token and blind index passes here, so
 * nothing is looked up by name and nothing is allocated per call but in the streaming form. */
#include "crypto/digest.h"

#include <assert.h>
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

/* RFC 5869 on the MAC above: OpenSSL's own looks its digest up by name at each call. */
void hkdf_sha256(struct str key, struct str salt, struct str info, uint8_t *out, size_t n)
{
    uint8_t prk[SHA256_LEN], block[SHA256_LEN];
    assert(n > 0 && n <= 255 * SHA256_LEN && key.n > 0);
    hmac_sha256(salt, key, prk);
    EVP_MAC_CTX *c = evp_thread()->hmac;
    size_t got, before = 0;
    for (uint8_t i = 1; n > 0; i++) {
        evp_must(EVP_MAC_init(c, prk, sizeof prk, NULL), "hkdf");
        evp_must(EVP_MAC_update(c, block, before), "hkdf");
        if (info.n)
            evp_must(EVP_MAC_update(c, (const unsigned char *)info.p, info.n), "hkdf");
        evp_must(EVP_MAC_update(c, &i, 1), "hkdf");
        evp_must(EVP_MAC_final(c, block, &got, sizeof block), "hkdf");
        before = sizeof block;
        size_t take = n < sizeof block ? n : sizeof block;
        memcpy(out, block, take);
        out += take;
        n -= take;
    }
    mem_wipe(prk, sizeof prk);
    mem_wipe(block, sizeof block);
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
