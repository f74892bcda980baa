#include "crypto/x5c.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include "base/codec.h"
#include "crypto/digest.h"
#include "crypto/jwk.h"
#include "crypto/tlskey.h"
#include "data/json.h"

enum { CHAIN_MAX = 6, CERT_MAX = 16 * 1024, P256_LEN = 32 };

/* ---- others' ------------------------------------------------------------------------------------
 */
static X509 *cert_read(struct arena *a, const json_t *item)
{
    struct str text = {json_string_value(item), json_string_length(item)}, der;
    if (!text.p || text.n > CERT_MAX || codec_base64(a, text, &der) != ERR_OK || der.n == 0)
        return NULL;
    const uint8_t *p = (const uint8_t *)der.p;
    X509 *x = d2i_X509(NULL, &p, (long)der.n);
    if (x && p != (const uint8_t *)der.p + der.n) {
        X509_free(x);
        return NULL;
    }
    return x;
}

static X509_STORE *store_of(struct str pem)
{
    X509_STORE *store = X509_STORE_new();
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
    evp_must(store && bio, "memory");
    for (X509 *x; (x = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL; X509_free(x))
        X509_STORE_add_cert(store, x);
    BIO_free(bio);
    ERR_clear_error();
    return store;
}

static bool chain_holds(X509 *leaf, STACK_OF(X509) * more, struct str authorities)
{
    X509_STORE *store = store_of(authorities);
    X509_STORE_CTX *c = X509_STORE_CTX_new();
    evp_must(c && X509_STORE_CTX_init(c, store, leaf, more) == 1, "memory");
    X509_STORE_CTX_set_flags(c, X509_V_FLAG_PARTIAL_CHAIN);
    bool good = X509_verify_cert(c) == 1;
    X509_STORE_CTX_free(c);
    X509_STORE_free(store);
    ERR_clear_error();
    return good;
}

static bool kind_is_known(EVP_PKEY *k)
{
    char group[32];
    size_t n;
    if (EVP_PKEY_is_a(k, "EC"))
        return EVP_PKEY_get_group_name(k, group, sizeof group, &n) == 1 &&
               str_eq_z(str_of(group, n), "prime256v1");
    return EVP_PKEY_is_a(k, "RSA") || EVP_PKEY_is_a(k, "ED25519");
}

/* Through its JWK, so that the same is asked of it as of any other key. */
static enum err key_of(struct arena *a, X509 *leaf, struct jwk **out)
{
    json_t *jwk;
    EVP_PKEY *k = X509_get0_pubkey(leaf);
    if (!k || !kind_is_known(k) || json_read(jwk_of_pkey(a, k), &jwk, NULL) != ERR_OK)
        return ERR_DENIED;
    enum err e = jwk_read(jwk, out);
    json_decref(jwk);
    return e == ERR_OK ? ERR_OK : ERR_DENIED;
}

enum err x5c_key(struct arena *a, const json_t *x5c, struct str authorities, struct jwk **out)
{
    size_t n = json_array_size(x5c);
    STACK_OF(X509) *more = sk_X509_new_null();
    X509 *leaf = n && n <= CHAIN_MAX ? cert_read(a, json_array_get(x5c, 0)) : NULL;
    bool good = leaf && more;
    for (size_t i = 1; good && i < n; i++) {
        X509 *x = cert_read(a, json_array_get(x5c, i));
        good = x && sk_X509_push(more, x);
    }
    enum err e = good ? ERR_OK : ERR_INVALID;
    if (e == ERR_OK)
        e = chain_holds(leaf, more, authorities) ? key_of(a, leaf, out) : ERR_DENIED;
    X509_free(leaf);
    sk_X509_pop_free(more, X509_free);
    ERR_clear_error();
    return e;
}

/* ---- our own ------------------------------------------------------------------------------------
 */
static struct str der_of(struct arena *a, X509 *x)
{
    unsigned char *der = NULL;
    int n = i2d_X509(x, &der);
    evp_must(n > 0, "certificate");
    struct str out = arena_dup(a, str_of(der, (size_t)n));
    OPENSSL_free(der);
    return out;
}

static void own_add(struct arena *a, X509 *x, struct x5c_own *out)
{
    uint8_t hash[SHA256_LEN];
    struct str der = der_of(a, x);
    bool leaf = json_array_size(out->x5c) == 0;
    if (leaf) {
        sha256(der.p, der.n, hash);
        out->hash = codec_to_base64url(a, hash, sizeof hash);
    }
    if (leaf || X509_check_issued(x, x) != X509_V_OK)
        json_array_append_new(out->x5c, json_string(codec_to_base64(a, der.p, der.n).p));
}

enum err x5c_own_read(struct arena *a, struct str pem, struct x5c_own *out)
{
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
    bool good = true;
    evp_must(bio != NULL, "memory");
    *out = (struct x5c_own){.x5c = json_array()};
    for (X509 *x; good && (x = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL; X509_free(x)) {
        EVP_PKEY *k = X509_get0_pubkey(x);
        if (json_array_size(out->x5c) == 0)
            good = k && EVP_PKEY_is_a(k, "EC") && kind_is_known(k) && tlskey_id(k, out->key_id);
        own_add(a, x, out);
    }
    BIO_free(bio);
    ERR_clear_error();
    size_t n = json_array_size(out->x5c);
    if (good && n > 0 && n <= CHAIN_MAX)
        return ERR_OK;
    x5c_own_free(out);
    return ERR_INVALID;
}

void x5c_own_free(struct x5c_own *o)
{
    json_decref(o->x5c);
    *o = (struct x5c_own){0};
}

/* X.509 writes an ECDSA signature as DER, JOSE as two numbers of one length (RFC 7518 3.4). */
static enum err raw_of(struct str der, uint8_t out[2 * P256_LEN])
{
    const uint8_t *p = (const uint8_t *)der.p;
    ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &p, (long)der.n);
    bool good = sig && BN_bn2binpad(ECDSA_SIG_get0_r(sig), out, P256_LEN) == P256_LEN &&
                BN_bn2binpad(ECDSA_SIG_get0_s(sig), out + P256_LEN, P256_LEN) == P256_LEN;
    ECDSA_SIG_free(sig);
    return good ? ERR_OK : ERR_INTERNAL;
}

enum err x5c_sign(struct keys *tls_keys, const struct x5c_own *o, const char *typ,
                  struct str payload, struct arena *a, struct str *compact)
{
    struct str der;
    uint8_t raw[2 * P256_LEN];
    json_t *h = json_pack("{s:s,s:s,s:O}", "alg", "ES256", "typ", typ, "x5c", o->x5c);
    struct str input = jws_input(a, json_text(a, h), payload);
    json_decref(h);
    enum err e = keys_tls_sign(tls_keys, o->key_id, "SHA256", false, input, a, &der);
    if (e == ERR_OK)
        e = raw_of(der, raw);
    if (e == ERR_OK)
        *compact = arena_printf(a, STR_FMT ".%s", STR_ARG(input),
                                codec_to_base64url(a, raw, sizeof raw).p);
    return e;
}
