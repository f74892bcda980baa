/* The OpenSSL provider "socle": key management and signatures for keys whose private half is in the
 * keys process. It lives in a library context of its own, so that no other code finds it by
 * accident; libssl reaches it through the key, since a signature is first looked for where the key
 * comes from (do_sigver_init), and our keys refuse to be exported anywhere else.
 *
 * A key object is its public half, which answers every question but one, and the way to ask. */
#include "crypto/tlskey.h"

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/provider.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <stdatomic.h>
#include "base/log.h"
#include "crypto/digest.h"
#include "crypto/evp.h"

#define PARAM_KEY "socle-key"

struct remote {
    atomic_uint refs;
    EVP_PKEY *pub;
    struct keys *keys;
    uint8_t id[KEYS_TLS_ID_LEN];
};

bool tlskey_id(EVP_PKEY *pkey, uint8_t out[KEYS_TLS_ID_LEN])
{
    unsigned char *der = NULL;
    int n = i2d_PUBKEY(pkey, &der);
    if (n > 0)
        sha256(der, (size_t)n, out);
    OPENSSL_free(der);
    return n > 0;
}

static void remote_unref(struct remote *r)
{
    if (!r || atomic_fetch_sub(&r->refs, 1) != 1)
        return;
    EVP_PKEY_free(r->pub);
    free(r);
}

/* --- key management --------------------------------------------------------------------------- */

/* The library's handle; filled by an import. */
struct key {
    struct remote *r;
};

static void *key_new(void *provctx)
{
    (void)provctx;
    return calloc(1, sizeof(struct key));
}

static void key_free(void *p)
{
    struct key *k = p;
    if (k)
        remote_unref(k->r);
    free(k);
}

static int key_has(const void *p, int selection)
{
    const struct key *k = p;
    (void)selection; /* both halves: one here, one asked for */
    return k && k->r;
}

static int key_match(const void *a, const void *b, int selection)
{
    const struct key *x = a, *y = b;
    (void)selection;
    return x->r && y->r && memcmp(x->r->id, y->r->id, sizeof x->r->id) == 0;
}

/* Only what tlskey_open hands over: no key material ever comes in here. */
static int key_import(void *p, int selection, const OSSL_PARAM params[])
{
    struct key *k = p;
    const OSSL_PARAM *one = OSSL_PARAM_locate_const(params, PARAM_KEY);
    (void)selection;
    if (!one || one->data_size != sizeof k->r || k->r)
        return 0;
    memcpy(&k->r, one->data, sizeof k->r);
    atomic_fetch_add(&k->r->refs, 1);
    return 1;
}

static const OSSL_PARAM *key_types(int selection)
{
    static const OSSL_PARAM types[] = {OSSL_PARAM_octet_string(PARAM_KEY, NULL, 0), OSSL_PARAM_END};
    (void)selection;
    return types;
}

/* The public half, so that it can be compared with a certificate's. */
static int key_export(void *p, int selection, OSSL_CALLBACK *cb, void *arg)
{
    struct key *k = p;
    if (!k->r || (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY))
        return 0;
    return EVP_PKEY_export(k->r->pub, EVP_PKEY_PUBLIC_KEY, cb, arg);
}

static int key_get_params(void *p, OSSL_PARAM params[])
{
    struct key *k = p;
    return k->r && EVP_PKEY_get_params(k->r->pub, params);
}

static const OSSL_PARAM *key_gettable(void *provctx)
{
    static const OSSL_PARAM list[] = {
        OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
        OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
        OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_DEFAULT_DIGEST, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT, NULL, 0),
        OSSL_PARAM_END};
    (void)provctx;
    return list;
}

static const char *ec_operation(int id)
{
    return id == OSSL_OP_SIGNATURE ? "ECDSA" : NULL;
}

static const char *rsa_operation(int id)
{
    return id == OSSL_OP_SIGNATURE ? "RSA" : NULL;
}

#define FN(f) (void (*)(void))(f)
#define KEY_FUNCTIONS(operation)                                                            \
    {                                                                                       \
        {OSSL_FUNC_KEYMGMT_NEW, FN(key_new)}, {OSSL_FUNC_KEYMGMT_FREE, FN(key_free)},       \
            {OSSL_FUNC_KEYMGMT_HAS, FN(key_has)}, {OSSL_FUNC_KEYMGMT_MATCH, FN(key_match)}, \
            {OSSL_FUNC_KEYMGMT_IMPORT, FN(key_import)},                                     \
            {OSSL_FUNC_KEYMGMT_IMPORT_TYPES, FN(key_types)},                                \
            {OSSL_FUNC_KEYMGMT_EXPORT, FN(key_export)},                                     \
            {OSSL_FUNC_KEYMGMT_EXPORT_TYPES, FN(key_types)},                                \
            {OSSL_FUNC_KEYMGMT_GET_PARAMS, FN(key_get_params)},                             \
            {OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, FN(key_gettable)},                          \
            {OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, FN(operation)},                        \
        {                                                                                   \
            0, NULL                                                                         \
        }                                                                                   \
    }
static const OSSL_DISPATCH ec_keys[] = KEY_FUNCTIONS(ec_operation);
static const OSSL_DISPATCH rsa_keys[] = KEY_FUNCTIONS(rsa_operation);

/* --- signatures ------------------------------------------------------------------------------- */

struct signature {
    struct remote *r;
    char digest[16];
    int padding; /* RSA */
};

static void *signature_new(void *provctx, const char *propq)
{
    (void)provctx, (void)propq;
    return calloc(1, sizeof(struct signature));
}

static void signature_free(void *p)
{
    struct signature *s = p;
    if (s)
        remote_unref(s->r);
    free(s);
}

static void *signature_dup(void *p)
{
    struct signature *s = p, *d = calloc(1, sizeof *d);
    if (!d)
        return NULL;
    *d = *s;
    if (d->r)
        atomic_fetch_add(&d->r->refs, 1);
    return d;
}

/* Of RSA's parameters the padding counts; the salt is as long as the digest in all that TLS does
 * (RFC 8446 4.2.3), and the other side insists on it. */
static int signature_set_params(void *p, const OSSL_PARAM params[])
{
    struct signature *s = p;
    const OSSL_PARAM *one =
        params ? OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PAD_MODE) : NULL;
    if (!one)
        return 1;
    if (one->data_type == OSSL_PARAM_UTF8_STRING)
        s->padding = strcmp(one->data, OSSL_PKEY_RSA_PAD_MODE_PSS) == 0 ? RSA_PKCS1_PSS_PADDING
                                                                        : RSA_PKCS1_PADDING;
    else if (!OSSL_PARAM_get_int(one, &s->padding))
        return 0;
    return s->padding == RSA_PKCS1_PADDING || s->padding == RSA_PKCS1_PSS_PADDING;
}

static const OSSL_PARAM *signature_settable(void *p, void *provctx)
{
    static const OSSL_PARAM list[] = {
        OSSL_PARAM_int(OSSL_SIGNATURE_PARAM_PAD_MODE, NULL),
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_MGF1_DIGEST, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_DIGEST, NULL, 0), OSSL_PARAM_END};
    (void)p, (void)provctx;
    return list;
}

static int signature_init(void *p, const char *digest, void *key, const OSSL_PARAM params[])
{
    struct signature *s = p;
    struct key *k = key;
    if (k) {
        remote_unref(s->r);
        s->r = k->r;
        atomic_fetch_add(&s->r->refs, 1);
        s->padding = RSA_PKCS1_PADDING;
    }
    if (digest)
        snprintf(s->digest, sizeof s->digest, "%s", digest);
    return s->r && signature_set_params(s, params);
}

static int signature_sign(void *p, unsigned char *sig, size_t *n, size_t room,
                          const unsigned char *data, size_t data_n)
{
    struct signature *s = p;
    struct arena a;
    struct str out;
    *n = (size_t)EVP_PKEY_get_size(s->r->pub);
    if (!sig)
        return 1;
    bool pss = s->padding == RSA_PKCS1_PSS_PADDING;
    arena_init(&a);
    enum err e =
        keys_tls_sign(s->r->keys, s->r->id, s->digest, pss, str_of(data, data_n), &a, &out);
    bool good = e == ERR_OK && out.n <= room;
    if (good) {
        memcpy(sig, out.p, out.n);
        *n = out.n;
    } else {
        log_warn("tls_signature_failed", "error", err_name(e));
    }
    arena_free(&a);
    return good;
}

static const OSSL_DISPATCH signatures[] = {
    {OSSL_FUNC_SIGNATURE_NEWCTX, FN(signature_new)},
    {OSSL_FUNC_SIGNATURE_FREECTX, FN(signature_free)},
    {OSSL_FUNC_SIGNATURE_DUPCTX, FN(signature_dup)},
    {OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, FN(signature_init)},
    {OSSL_FUNC_SIGNATURE_DIGEST_SIGN, FN(signature_sign)},
    {OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, FN(signature_set_params)},
    {OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, FN(signature_settable)},
    {0, NULL},
};

/* --- the provider ----------------------------------------------------------------------------- */

static const OSSL_ALGORITHM all_keys[] = {
    {"EC:id-ecPublicKey:1.2.840.10045.2.1", "provider=socle", ec_keys, NULL},
    {"RSA:rsaEncryption:1.2.840.113549.1.1.1", "provider=socle", rsa_keys, NULL},
    {NULL, NULL, NULL, NULL},
};
static const OSSL_ALGORITHM all_signatures[] = {
    {"ECDSA", "provider=socle", signatures, NULL},
    {"RSA:rsaEncryption:1.2.840.113549.1.1.1", "provider=socle", signatures, NULL},
    {NULL, NULL, NULL, NULL},
};

static const OSSL_ALGORITHM *provider_query(void *provctx, int operation, int *no_cache)
{
    (void)provctx;
    *no_cache = 0;
    return operation == OSSL_OP_KEYMGMT     ? all_keys
           : operation == OSSL_OP_SIGNATURE ? all_signatures
                                            : NULL;
}

static int provider_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in,
                         const OSSL_DISPATCH **out, void **provctx)
{
    static const OSSL_DISPATCH functions[] = {
        {OSSL_FUNC_PROVIDER_QUERY_OPERATION, FN(provider_query)}, {0, NULL}};
    (void)in;
    *out = functions;
    *provctx = (void *)(uintptr_t)handle;
    return 1;
}

static OSSL_LIB_CTX *library;
static pthread_once_t library_once = PTHREAD_ONCE_INIT;

static void library_start(void)
{
    library = OSSL_LIB_CTX_new();
    evp_must(library && OSSL_PROVIDER_add_builtin(library, "socle", provider_init) &&
                 OSSL_PROVIDER_load(library, "socle") != NULL,
             "provider");
}

enum err tlskey_open(struct keys *k, EVP_PKEY *of_certificate, EVP_PKEY **out)
{
    const char *type = EVP_PKEY_is_a(of_certificate, "EC")    ? "EC"
                       : EVP_PKEY_is_a(of_certificate, "RSA") ? "RSA"
                                                              : NULL;
    *out = NULL;
    pthread_once(&library_once, library_start);
    struct remote *r = calloc(1, sizeof *r);
    evp_must(r != NULL, "memory");
    r->refs = 1;
    r->keys = k;
    r->pub = of_certificate;
    EVP_PKEY_up_ref(of_certificate);
    enum err e = type && tlskey_id(of_certificate, r->id) ? keys_tls_has(k, r->id) : ERR_INVALID;
    if (e == ERR_OK) {
        OSSL_PARAM params[] = {OSSL_PARAM_construct_octet_string(PARAM_KEY, &r, sizeof r),
                               OSSL_PARAM_construct_end()};
        EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(library, type, NULL);
        bool good = c && EVP_PKEY_fromdata_init(c) > 0 &&
                    EVP_PKEY_fromdata(c, out, EVP_PKEY_KEYPAIR, params) > 0;
        EVP_PKEY_CTX_free(c);
        e = good ? ERR_OK : ERR_INTERNAL;
        ERR_clear_error();
    }
    remote_unref(r);
    return e;
}
