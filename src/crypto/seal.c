/* Sealed values: what is written to a database or a cookie and must come back whole and unread. The
 * format is docs/formats/seal.md. */
#include "crypto/seal.h"

#include <assert.h>
#include "base/rand.h"
#include "crypto/evp.h"

enum { VERSION = 1, NONCE_LEN = 12, TAG_LEN = 16, PART_MAX = 1 << 30 };

struct str seal(struct arena *a, const uint8_t key[SEAL_KEY_LEN], struct str context,
                struct str plain)
{
    assert(plain.n < PART_MAX && context.n < PART_MAX);
    EVP_CIPHER_CTX *c = evp_thread()->cipher;
    uint8_t *p = arena_alloc(a, plain.n + SEAL_OVERHEAD);
    uint8_t *nonce = p + 1, *text = nonce + NONCE_LEN, *tag = text + plain.n;
    int n = 0;
    p[0] = VERSION;
    rand_bytes(nonce, NONCE_LEN);
    evp_must(EVP_EncryptInit_ex2(c, evp()->aes_256_gcm, key, nonce, NULL), "seal");
    evp_must(EVP_EncryptUpdate(c, NULL, &n, p, 1), "seal");
    if (context.n)
        evp_must(EVP_EncryptUpdate(c, NULL, &n, (const uint8_t *)context.p, (int)context.n),
                 "seal");
    if (plain.n)
        evp_must(EVP_EncryptUpdate(c, text, &n, (const uint8_t *)plain.p, (int)plain.n), "seal");
    evp_must(EVP_EncryptFinal_ex(c, tag, &n), "seal");
    evp_must(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, TAG_LEN, tag), "seal");
    return str_of(p, plain.n + SEAL_OVERHEAD);
}

enum err unseal(struct arena *a, const uint8_t key[SEAL_KEY_LEN], struct str context,
                struct str sealed, struct str *plain)
{
    assert(context.n < PART_MAX);
    if (sealed.n < SEAL_OVERHEAD || sealed.n >= PART_MAX || sealed.p[0] != VERSION)
        return ERR_CORRUPT;
    EVP_CIPHER_CTX *c = evp_thread()->cipher;
    const uint8_t *in = (const uint8_t *)sealed.p, *text = in + 1 + NONCE_LEN;
    size_t len = sealed.n - SEAL_OVERHEAD;
    uint8_t tag[TAG_LEN];
    uint8_t *p = arena_alloc(a, len + 1);
    int n = 0;
    memcpy(tag, text + len, TAG_LEN);
    evp_must(EVP_DecryptInit_ex2(c, evp()->aes_256_gcm, key, in + 1, NULL), "unseal");
    evp_must(EVP_DecryptUpdate(c, NULL, &n, in, 1), "unseal");
    if (context.n)
        evp_must(EVP_DecryptUpdate(c, NULL, &n, (const uint8_t *)context.p, (int)context.n),
                 "unseal");
    if (len)
        evp_must(EVP_DecryptUpdate(c, p, &n, text, (int)len), "unseal");
    evp_must(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, TAG_LEN, tag), "unseal");
    if (EVP_DecryptFinal_ex(c, p + len, &n) <= 0) {
        mem_wipe(p, len); /* what was decrypted is nobody's word */
        return ERR_CORRUPT;
    }
    p[len] = '\0';
    *plain = str_of(p, len);
    return ERR_OK;
}
