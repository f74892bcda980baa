#include "core/accounts/wakey.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/x509v3.h>
#include "core/accounts/cbor.h"
#include "core/accounts/webauthn.h"

/* ---- COSE keys ----------------------------------------------------------------------------------
 */
enum { KTY = 1, ALG = 3, CRV = -1, X = -2, Y = -3 };
enum { KTY_OKP = 1, KTY_EC2 = 2, KTY_RSA = 3, CRV_P256 = 1, CRV_ED25519 = 6 };
enum { RSA_BITS_MIN = 2048, RSA_BYTES_MAX = 1024 };

struct cose {
    int64_t kty, alg, crv;
    struct str x, y, n, e;
};

/* Members -1 and -2 are curve and x, or with RSA n and e. */
static bool cose_read(struct str text, struct cose *k)
{
    struct cbor c = cbor_open(text);
    size_t n = cbor_map(&c);
    bool rsa = false;
    *k = (struct cose){0};
    for (size_t i = 0; i < n && !c.bad; i++) {
        int64_t name = cbor_int(&c);
        if (name == KTY && !k->kty) {
            k->kty = cbor_int(&c);
            rsa = k->kty == KTY_RSA;
        } else if (name == ALG && !k->alg) {
            k->alg = cbor_int(&c);
        } else if (name == CRV && rsa && !k->n.p) {
            k->n = cbor_bytes(&c);
        } else if (name == X && rsa && !k->e.p) {
            k->e = cbor_bytes(&c);
        } else if (name == CRV && !rsa && !k->crv) {
            k->crv = cbor_int(&c);
        } else if (name == X && !rsa && !k->x.p) {
            k->x = cbor_bytes(&c);
        } else if (name == Y && !rsa && !k->y.p) {
            k->y = cbor_bytes(&c);
        } else {
            return false;
        }
    }
    return cbor_ended(&c);
}

static EVP_PKEY *from_params(const char *type, OSSL_PARAM *params)
{
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    if (ctx && params && EVP_PKEY_fromdata_init(ctx) == 1)
        (void)EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params);
    EVP_PKEY_CTX_free(ctx);
    ctx = key ? EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL) : NULL;
    if (key && (!ctx || EVP_PKEY_public_check(ctx) != 1)) {
        EVP_PKEY_free(key);
        key = NULL;
    }
    EVP_PKEY_CTX_free(ctx);
    return key;
}

static EVP_PKEY *p256_key(const struct cose *k)
{
    uint8_t point[65] = {4};
    if (k->crv != CRV_P256 || k->x.n != 32 || k->y.n != 32)
        return NULL;
    memcpy(point + 1, k->x.p, 32);
    memcpy(point + 33, k->y.p, 32);
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char *)"P-256", 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point),
        OSSL_PARAM_construct_end()};
    return from_params("EC", params);
}

static EVP_PKEY *rsa_key(const struct cose *k)
{
    EVP_PKEY *key = NULL;
    if (k->n.n * 8 < RSA_BITS_MIN || k->n.n > RSA_BYTES_MAX || k->e.n == 0 || k->e.n > 4)
        return NULL;
    BIGNUM *n = BN_bin2bn((const uint8_t *)k->n.p, (int)k->n.n, NULL);
    BIGNUM *e = BN_bin2bn((const uint8_t *)k->e.p, (int)k->e.n, NULL);
    OSSL_PARAM_BLD *b = OSSL_PARAM_BLD_new();
    if (n && e && b && BN_num_bits(n) >= RSA_BITS_MIN &&
        OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_N, n) &&
        OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_E, e)) {
        OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(b);
        key = from_params("RSA", params);
        OSSL_PARAM_free(params);
    }
    OSSL_PARAM_BLD_free(b);
    BN_free(n);
    BN_free(e);
    return key;
}

EVP_PKEY *wakey_read(struct str text, int64_t *alg)
{
    struct cose k;
    if (!cose_read(text, &k))
        return NULL;
    *alg = k.alg;
    if (k.kty == KTY_EC2 && k.alg == WA_ES256)
        return p256_key(&k);
    if (k.kty == KTY_OKP && k.alg == WA_EDDSA && k.crv == CRV_ED25519 && k.x.n == 32 && !k.y.p)
        return EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, (const uint8_t *)k.x.p, 32);
    return k.kty == KTY_RSA && k.alg == WA_RS256 ? rsa_key(&k) : NULL;
}

struct str wakey_der(struct arena *a, EVP_PKEY *key)
{
    uint8_t *der = NULL;
    int n = i2d_PUBKEY(key, &der);
    struct str out = n > 0 ? arena_dup(a, str_of(der, (size_t)n)) : STR("");
    OPENSSL_free(der);
    return out;
}

EVP_PKEY *wakey_from_der(struct str der)
{
    const uint8_t *p = (const uint8_t *)der.p;
    return der.n ? d2i_PUBKEY(NULL, &p, (long)der.n) : NULL;
}

enum err wakey_point(struct arena *a, EVP_PKEY *key, struct str *out)
{
    uint8_t point[65];
    size_t n = 0;
    if (EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point, &n) !=
            1 ||
        n != sizeof point || point[0] != 4)
        return ERR_INVALID;
    *out = arena_dup(a, str_of(point, n));
    return ERR_OK;
}

bool wakey_verify(EVP_PKEY *key, int64_t alg, struct str data, struct str sig)
{
    static const struct {
        int64_t alg;
        const char *type, *digest;
    } algs[] = {
        {WA_ES256, "EC", "SHA256"}, {WA_EDDSA, "ED25519", NULL}, {WA_RS256, "RSA", "SHA256"}};
    for (size_t i = 0; i < COUNT_OF(algs); i++) {
        if (algs[i].alg != alg || !EVP_PKEY_is_a(key, algs[i].type))
            continue;
        EVP_MD_CTX *ctx = EVP_MD_CTX_new();
        bool good =
            ctx && EVP_DigestVerifyInit_ex(ctx, NULL, algs[i].digest, NULL, NULL, key, NULL) == 1 &&
            EVP_DigestVerify(ctx, (const uint8_t *)sig.p, sig.n, (const uint8_t *)data.p, data.n) ==
                1;
        EVP_MD_CTX_free(ctx);
        return good;
    }
    return false;
}

/* ---- attestation certificates -------------------------------------------------------------------
 */
static X509 *cert_read(struct str der)
{
    const uint8_t *p = (const uint8_t *)der.p;
    X509 *x = der.n ? d2i_X509(NULL, &p, (long)der.n) : NULL;
    if (x && p != (const uint8_t *)der.p + der.n) {
        X509_free(x);
        return NULL;
    }
    return x;
}

static bool subject_is(X509 *x, int nid, const char *text)
{
    char value[128];
    int n = X509_NAME_get_text_by_NID(X509_get_subject_name(x), nid, value, sizeof value);
    return n > 0 && (!text || strcmp(value, text) == 0);
}

/* id-fido-gen-ce-aaguid: an octet string in the extension's octet string. Absent: nothing said. */
static bool aaguid_fits(X509 *x, struct str aaguid)
{
    ASN1_OBJECT *oid = OBJ_txt2obj("1.3.6.1.4.1.45724.1.1.4", 1);
    int at = oid ? X509_get_ext_by_OBJ(x, oid, -1) : -1;
    ASN1_OBJECT_free(oid);
    if (at < 0)
        return true;
    X509_EXTENSION *ext = X509_get_ext(x, at);
    const ASN1_OCTET_STRING *v = X509_EXTENSION_get_data(ext);
    const uint8_t *p = ASN1_STRING_get0_data(v);
    return !X509_EXTENSION_get_critical(ext) && ASN1_STRING_length(v) == 2 + WA_AAGUID_LEN &&
           p[0] == 4 && p[1] == WA_AAGUID_LEN && memcmp(p + 2, aaguid.p, WA_AAGUID_LEN) == 0;
}

static bool form_fits(X509 *x, struct str aaguid)
{
    return X509_get_version(x) == X509_VERSION_3 && subject_is(x, NID_countryName, NULL) &&
           subject_is(x, NID_organizationName, NULL) &&
           subject_is(x, NID_organizationalUnitName, "Authenticator Attestation") &&
           subject_is(x, NID_commonName, NULL) && X509_check_ca(x) == 0 && aaguid_fits(x, aaguid);
}

static bool chain_holds(X509 *leaf, const struct str *x5c, size_t n, X509_STORE *anchors)
{
    bool good = false;
    STACK_OF(X509) *more = sk_X509_new_null();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    for (size_t i = 1; more && i < n; i++) {
        X509 *x = cert_read(x5c[i]);
        if (x && !sk_X509_push(more, x))
            X509_free(x);
    }
    if (ctx && more && X509_STORE_CTX_init(ctx, anchors, leaf, more) == 1) {
        X509_STORE_CTX_set_flags(ctx, X509_V_FLAG_PARTIAL_CHAIN);
        good = X509_verify_cert(ctx) == 1;
    }
    X509_STORE_CTX_free(ctx);
    sk_X509_pop_free(more, X509_free);
    return good;
}

enum err wacert_check(const struct str *x5c, size_t n, int64_t alg, struct str data, struct str sig,
                      struct str aaguid, X509_STORE *anchors, bool *attested)
{
    X509 *leaf = cert_read(x5c[0]);
    EVP_PKEY *key = leaf ? X509_get0_pubkey(leaf) : NULL;
    bool good = key && wakey_verify(key, alg, data, sig) && (!aaguid.p || form_fits(leaf, aaguid));
    *attested = good && anchors && chain_holds(leaf, x5c, n, anchors);
    X509_free(leaf);
    return good ? ERR_OK : ERR_INVALID;
}
