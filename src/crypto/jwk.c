/* JSON Web Keys (RFC 7517, RFC 7518 6, RFC 8037 2). A key from outside is believed only after its
 * numbers were checked: a point off its curve or a short modulus would verify what nobody signed.
 */
#include "crypto/jwk.h"

#include <assert.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include "base/codec.h"
#include "crypto/digest.h"
#include "data/json.h"

enum {
    P256_LEN = 32,
    ED25519_LEN = 32,
    RSA_MIN_LEN = 2048 / 8,
    RSA_MAX_LEN = 8192 / 8,
    RSA_E_MAX_LEN = 8,
    JWKS_MAX_KEYS = 100,
    JWKS_MAX_BYTES = 256 * 1024,
    KID_MAX = 512,
};

struct str jose_member(const json_t *o, const char *name)
{
    const json_t *v = json_object_get(o, name);
    return json_is_string(v) ? str_of(json_string_value(v), json_string_length(v)) : STR_NONE;
}

/* --- from JSON -------------------------------------------------------------------------------- */

/* A base64url member of n bytes or fewer; exactly n when `exact`. */
static enum err member_bytes(struct arena *a, const json_t *o, const char *name, size_t n,
                             bool exact, struct str *out)
{
    struct str text = jose_member(o, name);
    if (!text.p || text.n > n * 4 / 3 + 4 || codec_base64url(a, text, out))
        return ERR_INVALID;
    if (out->n == 0 || out->n > n || (exact && out->n != n))
        return ERR_INVALID;
    return ERR_OK;
}

static enum err pkey_from(const char *type, OSSL_PARAM_BLD *bld, EVP_PKEY **out)
{
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(bld);
    evp_must(c && params, "key parameters");
    bool good =
        EVP_PKEY_fromdata_init(c) > 0 && EVP_PKEY_fromdata(c, out, EVP_PKEY_PUBLIC_KEY, params) > 0;
    OSSL_PARAM_free(params);
    EVP_PKEY_CTX_free(c);
    if (good) {
        c = EVP_PKEY_CTX_new_from_pkey(NULL, *out, NULL);
        good = c && EVP_PKEY_public_check_quick(c) > 0;
        EVP_PKEY_CTX_free(c);
    }
    if (!good) {
        EVP_PKEY_free(*out);
        *out = NULL;
        ERR_clear_error();
        return ERR_INVALID;
    }
    return ERR_OK;
}

static enum err ec_read(struct arena *a, const json_t *o, struct jwk *k)
{
    struct str x, y;
    uint8_t point[1 + 2 * P256_LEN] = {4};
    if (!str_eq_z(jose_member(o, "crv"), "P-256"))
        return ERR_INVALID;
    if (member_bytes(a, o, "x", P256_LEN, true, &x) || member_bytes(a, o, "y", P256_LEN, true, &y))
        return ERR_INVALID;
    memcpy(point + 1, x.p, P256_LEN);
    memcpy(point + 1 + P256_LEN, y.p, P256_LEN);
    OSSL_PARAM_BLD *b = OSSL_PARAM_BLD_new();
    evp_must(b != NULL, "memory");
    OSSL_PARAM_BLD_push_utf8_string(b, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0);
    OSSL_PARAM_BLD_push_octet_string(b, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point);
    enum err e = pkey_from("EC", b, &k->pkey);
    OSSL_PARAM_BLD_free(b);
    k->algs = 1u << JOSE_ES256;
    return e;
}

static enum err rsa_read(struct arena *a, const json_t *o, struct jwk *k)
{
    struct str n, e;
    if (member_bytes(a, o, "n", RSA_MAX_LEN, false, &n) ||
        member_bytes(a, o, "e", RSA_E_MAX_LEN, false, &e))
        return ERR_INVALID;
    /* RFC 7518 6.3.1: no leading zero; so 256 bytes and a high first bit are 2,048 bits. */
    bool big = n.n > RSA_MIN_LEN || (n.n == RSA_MIN_LEN && (n.p[0] & 0x80));
    bool odd = (n.p[n.n - 1] & 1) && (e.p[e.n - 1] & 1);
    if (!big || !odd || n.p[0] == 0 || e.p[0] == 0)
        return ERR_INVALID;
    BIGNUM *bn = BN_bin2bn((const uint8_t *)n.p, (int)n.n, NULL);
    BIGNUM *be = BN_bin2bn((const uint8_t *)e.p, (int)e.n, NULL);
    OSSL_PARAM_BLD *b = OSSL_PARAM_BLD_new();
    evp_must(bn && be && b, "memory");
    OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_N, bn);
    OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_E, be);
    enum err err = pkey_from("RSA", b, &k->pkey);
    OSSL_PARAM_BLD_free(b);
    BN_free(bn);
    BN_free(be);
    k->algs = 1u << JOSE_RS256 | 1u << JOSE_PS256;
    return err;
}

static enum err okp_read(struct arena *a, const json_t *o, struct jwk *k)
{
    struct str x;
    if (!str_eq_z(jose_member(o, "crv"), "Ed25519") ||
        member_bytes(a, o, "x", ED25519_LEN, true, &x))
        return ERR_INVALID;
    k->pkey = EVP_PKEY_new_raw_public_key_ex(NULL, "ED25519", NULL, (const uint8_t *)x.p, x.n);
    k->algs = 1u << JOSE_EDDSA;
    return k->pkey ? ERR_OK : ERR_INVALID;
}

static const struct {
    const char *kty;
    enum err (*read)(struct arena *a, const json_t *o, struct jwk *k);
    const char *required[4]; /* RFC 7638 3.2, in lexicographic order */
} kinds[] = {
    {"EC", ec_read, {"crv", "kty", "x", "y"}},
    {"OKP", okp_read, {"crv", "kty", "x", NULL}},
    {"RSA", rsa_read, {"e", "kty", "n", NULL}},
};

/* use, key_ops and alg narrow what the key is for; a signature key says "sig" or nothing. */
static enum err limits_read(const json_t *o, struct jwk *k)
{
    const json_t *use = json_object_get(o, "use"), *alg = json_object_get(o, "alg");
    const json_t *ops = json_object_get(o, "key_ops"), *kid = json_object_get(o, "kid"), *op;
    enum jose_alg one;
    size_t i;
    if (use && !str_eq_z(jose_member(o, "use"), "sig"))
        return ERR_INVALID;
    if (ops) {
        bool verify = false;
        json_array_foreach((json_t *)ops, i, op) verify =
            verify || (json_is_string(op) && str_eq_z(STR("verify"), json_string_value(op)));
        if (!verify)
            return ERR_INVALID;
    }
    if (alg) {
        if (jose_alg_from_name(jose_member(o, "alg"), &one) || !(k->algs & 1u << one))
            return ERR_INVALID;
        k->algs = 1u << one;
    }
    if (kid) {
        struct str s = jose_member(o, "kid");
        if (!s.p || s.n > KID_MAX || memchr(s.p, '\0', s.n))
            return ERR_INVALID;
        k->kid = strdup(s.p);
        evp_must(k->kid != NULL, "memory");
    }
    return ERR_OK;
}

enum err jwk_read(const json_t *jwk, struct jwk **out)
{
    struct str kty = jose_member(jwk, "kty");
    enum err e = ERR_INVALID;
    struct arena a;
    *out = NULL;
    if (!json_is_object(jwk) || json_object_get(jwk, "d") || json_object_get(jwk, "k"))
        return ERR_INVALID; /* no key, or a private one: somebody published what he must not */
    struct jwk *k = calloc(1, sizeof *k);
    evp_must(k != NULL, "memory");
    arena_init(&a);
    for (size_t i = 0; i < COUNT_OF(kinds); i++)
        if (str_eq_z(kty, kinds[i].kty))
            e = kinds[i].read(&a, jwk, k);
    if (!e)
        e = limits_read(jwk, k);
    arena_free(&a);
    if (e) {
        jwk_free(k);
        return e;
    }
    *out = k;
    return ERR_OK;
}

void jwk_free(struct jwk *k)
{
    if (!k)
        return;
    EVP_PKEY_free(k->pkey);
    free(k->kid);
    free(k);
}

struct str jwk_kid(const struct jwk *k)
{
    return str_from(k->kid);
}

struct str jwk_thumbprint(struct arena *a, const json_t *jwk)
{
    struct str kty = jose_member(jwk, "kty");
    uint8_t digest[SHA256_LEN];
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        if (!str_eq_z(kty, kinds[i].kty))
            continue;
        struct buf b;
        bool whole = true;
        buf_init(&b, JWKS_MAX_BYTES);
        for (size_t m = 0; m < COUNT_OF(kinds[i].required) && kinds[i].required[m]; m++) {
            struct str value = jose_member(jwk, kinds[i].required[m]);
            buf_printf(&b, "%c\"%s\":", m ? ',' : '{', kinds[i].required[m]);
            buf_add_json(&b, value);
            whole = whole && value.p;
        }
        buf_add_char(&b, '}');
        sha256(b.p, b.n, digest);
        buf_free(&b);
        return whole ? codec_to_base64url(a, digest, sizeof digest) : STR_NONE;
    }
    return STR_NONE;
}

/* RFC 7517 5: keys that are not understood or out of range are passed over. */
enum err jwks_read(struct str json, struct jwks **out)
{
    json_t *doc;
    *out = NULL;
    if (json.n > JWKS_MAX_BYTES)
        return ERR_LIMIT;
    enum err e = json_read(json, &doc, NULL);
    if (e)
        return e;
    json_t *list = json_object_get(doc, "keys"), *one;
    size_t i, n = json_array_size(list);
    e = !json_is_array(list) ? ERR_INVALID : n > JWKS_MAX_KEYS ? ERR_LIMIT : ERR_OK;
    if (e) {
        json_decref(doc);
        return e;
    }
    struct jwks *ks = calloc(1, sizeof *ks);
    evp_must(ks && (ks->keys = calloc(n + 1, sizeof *ks->keys)) != NULL, "memory");
    json_array_foreach(list, i, one) if (jwk_read(one, &ks->keys[ks->n]) == ERR_OK) ks->n++;
    json_decref(doc);
    ks->refs = 1;
    *out = ks;
    return ERR_OK;
}

struct jwks *jwks_share(struct jwks *ks)
{
    __atomic_add_fetch(&ks->refs, 1, __ATOMIC_RELAXED);
    return ks;
}

void jwks_free(struct jwks *ks)
{
    if (!ks || __atomic_sub_fetch(&ks->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    for (size_t i = 0; i < ks->n; i++)
        jwk_free(ks->keys[i]);
    free(ks->keys);
    free(ks);
}

/* --- to JSON ---------------------------------------------------------------------------------- */

static struct str pkey_bn(struct arena *a, EVP_PKEY *pkey, const char *param, int len)
{
    BIGNUM *bn = NULL;
    uint8_t raw[RSA_MAX_LEN];
    evp_must(EVP_PKEY_get_bn_param(pkey, param, &bn), "key member");
    int n = len ? len : BN_num_bytes(bn);
    assert(n <= RSA_MAX_LEN);
    evp_must(BN_bn2binpad(bn, raw, n) == n, "key member");
    BN_free(bn);
    return codec_to_base64url(a, raw, (size_t)n);
}

struct str jwk_of_pkey(struct arena *a, EVP_PKEY *pkey)
{
    if (EVP_PKEY_is_a(pkey, "EC"))
        return arena_printf(a, "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"%s\",\"y\":\"%s\"}",
                            pkey_bn(a, pkey, OSSL_PKEY_PARAM_EC_PUB_X, P256_LEN).p,
                            pkey_bn(a, pkey, OSSL_PKEY_PARAM_EC_PUB_Y, P256_LEN).p);
    if (EVP_PKEY_is_a(pkey, "RSA"))
        return arena_printf(a, "{\"e\":\"%s\",\"kty\":\"RSA\",\"n\":\"%s\"}",
                            pkey_bn(a, pkey, OSSL_PKEY_PARAM_RSA_E, 0).p,
                            pkey_bn(a, pkey, OSSL_PKEY_PARAM_RSA_N, 0).p);
    uint8_t raw[ED25519_LEN];
    size_t n = sizeof raw;
    evp_must(EVP_PKEY_get_raw_public_key(pkey, raw, &n) && n == sizeof raw, "key member");
    return arena_printf(a, "{\"crv\":\"Ed25519\",\"kty\":\"OKP\",\"x\":\"%s\"}",
                        codec_to_base64url(a, raw, n).p);
}

struct str jwk_kid_of_pkey(struct arena *a, EVP_PKEY *pkey)
{
    struct str text = jwk_of_pkey(a, pkey);
    uint8_t digest[SHA256_LEN];
    sha256(text.p, text.n, digest);
    return codec_to_base64url(a, digest, sizeof digest);
}
