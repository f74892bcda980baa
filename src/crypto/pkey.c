/* Signatures with one key of OpenSSL, in the raw forms of JOSE (RFC 7518 3). */
#include <assert.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include "crypto/digest.h"
#include "crypto/jwk.h"

enum { P256_LEN = 32, DER_MAX = 80, SIG_MAX = 1024 };

static const char *pkey_type(enum jose_alg alg)
{
    return alg == JOSE_ES256 ? "EC" : alg == JOSE_EDDSA ? "ED25519" : "RSA";
}

/* A context ready for a SHA-256 digest; RSA padding set. */
static EVP_PKEY_CTX *digest_ctx(EVP_PKEY *pkey, enum jose_alg alg, bool sign)
{
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
    evp_must(c != NULL, "memory");
    evp_must(sign ? EVP_PKEY_sign_init(c) : EVP_PKEY_verify_init(c), "signature init");
    if (alg == JOSE_ES256)
        return c;
    int padding = alg == JOSE_PS256 ? RSA_PKCS1_PSS_PADDING : RSA_PKCS1_PADDING;
    evp_must(EVP_PKEY_CTX_set_rsa_padding(c, padding), "padding");
    evp_must(EVP_PKEY_CTX_set_signature_md(c, evp()->sha256), "digest");
    if (alg == JOSE_PS256)
        evp_must(EVP_PKEY_CTX_set_rsa_pss_saltlen(c, RSA_PSS_SALTLEN_DIGEST), "salt");
    return c;
}

/* The context of this thread's last signature serves the next with the same key: making one costs a
 * quarter of a signature. It holds a reference to its key, so that an address is never another's.
 */
static EVP_PKEY_CTX *signing_ctx(EVP_PKEY *pkey, enum jose_alg alg)
{
    struct evp_thread *t = evp_thread();
    if (t->sign && t->sign_key == pkey && t->sign_alg == (int)alg)
        return t->sign;
    EVP_PKEY_CTX_free(t->sign);
    t->sign = digest_ctx(pkey, alg, true);
    t->sign_key = pkey;
    t->sign_alg = (int)alg;
    return t->sign;
}

/* r||s to DER and back (RFC 7518 3.4; SEC 1 C.5). */
static int ecdsa_to_der(struct str raw, uint8_t out[DER_MAX])
{
    ECDSA_SIG *sig = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn((const uint8_t *)raw.p, P256_LEN, NULL);
    BIGNUM *s = BN_bin2bn((const uint8_t *)raw.p + P256_LEN, P256_LEN, NULL);
    evp_must(sig && r && s && ECDSA_SIG_set0(sig, r, s), "memory");
    int n = i2d_ECDSA_SIG(sig, &out);
    ECDSA_SIG_free(sig);
    return n;
}

static void ecdsa_from_der(const uint8_t *der, size_t n, uint8_t out[2 * P256_LEN])
{
    ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long)n);
    evp_must(sig != NULL, "signature");
    evp_must(BN_bn2binpad(ECDSA_SIG_get0_r(sig), out, P256_LEN), "signature");
    evp_must(BN_bn2binpad(ECDSA_SIG_get0_s(sig), out + P256_LEN, P256_LEN), "signature");
    ECDSA_SIG_free(sig);
}

static struct str eddsa_sign(struct arena *a, EVP_PKEY *pkey, struct str data)
{
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    size_t n = 64;
    uint8_t *sig = arena_alloc(a, n);
    evp_must(c && EVP_DigestSignInit_ex(c, NULL, NULL, NULL, NULL, pkey, NULL), "signature init");
    evp_must(EVP_DigestSign(c, sig, &n, (const uint8_t *)data.p, data.n), "signature");
    EVP_MD_CTX_free(c);
    return str_of(sig, n);
}

struct str pkey_sign(struct arena *a, EVP_PKEY *pkey, enum jose_alg alg, struct str data)
{
    uint8_t digest[SHA256_LEN], sig[SIG_MAX], raw[2 * P256_LEN];
    size_t n = sizeof sig;
    assert(EVP_PKEY_is_a(pkey, pkey_type(alg)));
    if (alg == JOSE_EDDSA)
        return eddsa_sign(a, pkey, data);
    sha256(data.p, data.n, digest);
    evp_must(EVP_PKEY_sign(signing_ctx(pkey, alg), sig, &n, digest, sizeof digest), "signature");
    if (alg != JOSE_ES256)
        return arena_dup(a, str_of(sig, n));
    ecdsa_from_der(sig, n, raw);
    return arena_dup(a, str_of(raw, sizeof raw));
}

static bool eddsa_verify(EVP_PKEY *pkey, struct str data, struct str sig)
{
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    evp_must(c && EVP_DigestVerifyInit_ex(c, NULL, NULL, NULL, NULL, pkey, NULL), "verify init");
    int rc = EVP_DigestVerify(c, (const uint8_t *)sig.p, sig.n, (const uint8_t *)data.p, data.n);
    EVP_MD_CTX_free(c);
    return rc == 1;
}

static bool digest_verify(EVP_PKEY *pkey, enum jose_alg alg, struct str data, struct str sig)
{
    uint8_t digest[SHA256_LEN], der[DER_MAX];
    const uint8_t *p = (const uint8_t *)sig.p;
    size_t n = sig.n;
    if (alg == JOSE_ES256) {
        if (sig.n != 2 * P256_LEN)
            return false;
        n = (size_t)ecdsa_to_der(sig, der);
        p = der;
    }
    sha256(data.p, data.n, digest);
    EVP_PKEY_CTX *c = digest_ctx(pkey, alg, false);
    int rc = EVP_PKEY_verify(c, p, n, digest, sizeof digest);
    EVP_PKEY_CTX_free(c);
    return rc == 1;
}

bool pkey_verify(EVP_PKEY *pkey, enum jose_alg alg, struct str data, struct str sig)
{
    if (!EVP_PKEY_is_a(pkey, pkey_type(alg)))
        return false;
    bool good =
        alg == JOSE_EDDSA ? eddsa_verify(pkey, data, sig) : digest_verify(pkey, alg, data, sig);
    if (!good)
        ERR_clear_error();
    return good;
}

bool ed25519_verify(const uint8_t public_key[32], struct str data, const uint8_t sig[64])
{
    EVP_PKEY *k = EVP_PKEY_new_raw_public_key_ex(NULL, "ED25519", NULL, public_key, 32);
    bool good = k && pkey_verify(k, JOSE_EDDSA, data, str_of(sig, 64));
    EVP_PKEY_free(k);
    return good;
}
