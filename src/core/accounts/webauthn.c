#include "core/accounts/webauthn.h"

#include <openssl/bio.h>
#include <openssl/pem.h>
#include "base/buf.h"
#include "base/codec.h"
#include "core/accounts/cbor.h"
#include "core/accounts/wakey.h"
#include "crypto/digest.h"
#include "data/json.h"

/* ---- what the browser says (5.8.1) --------------------------------------------------------------
 */
static enum err client_data_check(struct arena *a, const struct wa_expect *x, struct str text,
                                  const char *type, const char **why)
{
    json_t *v;
    struct str challenge;
    *why = "client data";
    if (text.n > WA_OBJECT_MAX || json_read(text, &v, NULL) != ERR_OK)
        return ERR_INVALID;
    enum err e = ERR_INVALID;
    if (*why = "type", !str_eq_z(json_get_str(v, "type"), type))
        goto out;
    if (*why = "challenge",
        codec_base64url(a, json_get_str(v, "challenge"), &challenge) != ERR_OK ||
            !str_eq_secret(challenge, x->challenge))
        goto out;
    if (*why = "origin", !str_eq(json_get_str(v, "origin"), x->origin))
        goto out;
    if (*why = "cross origin", json_is_true(json_get(v, "crossOrigin")))
        goto out;
    e = ERR_OK;
out:
    json_decref(v);
    return e;
}

/* ---- what the authenticator says (6.1) ----------------------------------------------------------
 */
struct auth_data {
    struct str raw, rp_hash;
    unsigned flags;
    uint32_t count;
    struct str aaguid, id, cose; /* with WA_AT */
};

static uint32_t big_endian(const char *p, size_t n)
{
    uint32_t v = 0;
    for (size_t i = 0; i < n; i++)
        v = v << 8 | (uint8_t)p[i];
    return v;
}

static enum err auth_data_read(struct str s, struct auth_data *out)
{
    enum { HEAD = 37, CREDENTIAL_HEAD = WA_AAGUID_LEN + 2 };
    *out = (struct auth_data){.raw = s};
    if (s.n < HEAD || s.n > WA_OBJECT_MAX)
        return ERR_INVALID;
    out->rp_hash = str_sub(s, 0, SHA256_LEN);
    out->flags = (uint8_t)s.p[SHA256_LEN];
    out->count = big_endian(s.p + 33, 4);
    struct str rest = str_after(s, HEAD);
    if (out->flags & WA_AT) {
        if (rest.n < CREDENTIAL_HEAD)
            return ERR_INVALID;
        size_t n = big_endian(rest.p + WA_AAGUID_LEN, 2);
        if (n == 0 || n > WA_ID_MAX || rest.n - CREDENTIAL_HEAD < n)
            return ERR_INVALID;
        out->aaguid = str_sub(rest, 0, WA_AAGUID_LEN);
        out->id = str_sub(rest, CREDENTIAL_HEAD, n);
        struct cbor c = cbor_open(str_after(rest, CREDENTIAL_HEAD + n));
        out->cose = cbor_skip(&c);
        if (c.bad)
            return ERR_INVALID;
        rest = str_of(c.p + c.at, c.n - c.at);
    }
    if (out->flags & WA_ED) {
        struct cbor c = cbor_open(rest);
        (void)cbor_map(&c);
        c.at = 0;
        (void)cbor_skip(&c);
        return cbor_ended(&c) ? ERR_OK : ERR_INVALID;
    }
    return rest.n == 0 ? ERR_OK : ERR_INVALID;
}

static enum err auth_data_check(const struct wa_expect *x, const struct auth_data *d,
                                const char **why)
{
    uint8_t hash[SHA256_LEN];
    sha256(x->rp_id.p, x->rp_id.n, hash);
    *why = "relying party";
    if (!str_eq(d->rp_hash, str_of(hash, sizeof hash)))
        return ERR_INVALID;
    *why = "user presence";
    if (!(d->flags & WA_UP))
        return ERR_INVALID;
    *why = "user verification";
    if (x->user_verified && !(d->flags & WA_UV))
        return ERR_INVALID;
    *why = "backup flags"; /* backed up, and not eligible: no authenticator says so */
    return d->flags & WA_BS && !(d->flags & WA_BE) ? ERR_INVALID : ERR_OK;
}

/* ---- attestation (6.5) --------------------------------------------------------------------------
 */
struct attestation {
    struct str format, statement;
    struct auth_data data;
    struct str client_hash;
    EVP_PKEY *key; /* the credential's */
    int64_t key_alg;
    X509_STORE *anchors;
    bool attested; /* out */
};

static enum err none_check(struct attestation *t, struct arena *a)
{
    struct cbor c = cbor_open(t->statement);
    (void)a;
    return cbor_map(&c) == 0 && cbor_ended(&c) ? ERR_OK : ERR_INVALID;
}

enum { CHAIN_MAX = 5 };
struct statement {
    bool has_alg, has_sig;
    int64_t alg;
    struct str sig, x5c[CHAIN_MAX];
    size_t n_x5c;
};

static enum err statement_read(struct str text, struct statement *s)
{
    struct cbor c = cbor_open(text);
    *s = (struct statement){0};
    size_t n = cbor_map(&c);
    for (size_t i = 0; i < n && !c.bad; i++) {
        struct str name = cbor_text(&c);
        if (str_eq_z(name, "alg") && !s->has_alg) {
            s->alg = cbor_int(&c);
            s->has_alg = true;
        } else if (str_eq_z(name, "sig") && !s->has_sig) {
            s->sig = cbor_bytes(&c);
            s->has_sig = true;
        } else if (str_eq_z(name, "x5c") && s->n_x5c == 0) {
            s->n_x5c = cbor_list(&c);
            if (s->n_x5c == 0 || s->n_x5c > CHAIN_MAX)
                return ERR_INVALID;
            for (size_t k = 0; k < s->n_x5c; k++)
                s->x5c[k] = cbor_bytes(&c);
        } else {
            return ERR_INVALID;
        }
    }
    return cbor_ended(&c) && s->has_sig ? ERR_OK : ERR_INVALID;
}

static struct str joined(struct arena *a, struct str x, struct str y)
{
    char *p = arena_alloc(a, x.n + y.n);
    memcpy(p, x.p, x.n);
    memcpy(p + x.n, y.p, y.n);
    return str_of(p, x.n + y.n);
}

static enum err packed_check(struct attestation *t, struct arena *a)
{
    struct statement s;
    if (statement_read(t->statement, &s) != ERR_OK || !s.has_alg)
        return ERR_INVALID;
    struct str signed_data = joined(a, t->data.raw, t->client_hash);
    if (s.n_x5c == 0) /* self attestation: proves the key, and nothing of its maker */
        return s.alg == t->key_alg && wakey_verify(t->key, s.alg, signed_data, s.sig) ? ERR_OK
                                                                                      : ERR_INVALID;
    return wacert_check(s.x5c, s.n_x5c, s.alg, signed_data, s.sig, t->data.aaguid, t->anchors,
                        &t->attested);
}

static enum err u2f_check(struct attestation *t, struct arena *a)
{
    struct statement s;
    struct str point;
    if (statement_read(t->statement, &s) != ERR_OK || s.has_alg || s.n_x5c != 1 ||
        t->key_alg != WA_ES256)
        return ERR_INVALID;
    for (size_t i = 0; i < WA_AAGUID_LEN; i++)
        if (t->data.aaguid.p[i] != 0)
            return ERR_INVALID;
    struct buf b;
    enum err e = wakey_point(a, t->key, &point);
    buf_init(&b, WA_OBJECT_MAX);
    buf_add_char(&b, '\0');
    buf_add_str(&b, t->data.rp_hash);
    buf_add_str(&b, t->client_hash);
    buf_add_str(&b, t->data.id);
    buf_add_str(&b, e == ERR_OK ? point : STR(""));
    if (e == ERR_OK)
        e = b.err;
    if (e == ERR_OK)
        e = wacert_check(s.x5c, 1, WA_ES256, buf_str(&b), s.sig, STR_NONE, t->anchors,
                         &t->attested);
    buf_free(&b);
    return e;
}

static const struct {
    const char *format;
    enum err (*check)(struct attestation *t, struct arena *a);
} formats[] = {{"none", none_check}, {"packed", packed_check}, {"fido-u2f", u2f_check}};

static enum err object_read(struct str text, struct attestation *t)
{
    struct cbor c = cbor_open(text);
    struct str data = STR_NONE;
    if (text.n > WA_OBJECT_MAX || cbor_map(&c) != 3)
        return ERR_INVALID;
    for (int i = 0; i < 3 && !c.bad; i++) {
        struct str name = cbor_text(&c);
        if (str_eq_z(name, "fmt") && !t->format.p)
            t->format = cbor_text(&c);
        else if (str_eq_z(name, "attStmt") && !t->statement.p)
            t->statement = cbor_skip(&c);
        else if (str_eq_z(name, "authData") && !data.p)
            data = cbor_bytes(&c);
        else
            return ERR_INVALID;
    }
    return cbor_ended(&c) ? auth_data_read(data, &t->data) : ERR_INVALID;
}

/* ---- registering (7.1) --------------------------------------------------------------------------
 */
static enum err attestation_check(struct arena *a, struct attestation *t, const char **why)
{
    *why = "attestation format";
    for (size_t i = 0; i < COUNT_OF(formats); i++)
        if (str_eq_z(t->format, formats[i].format)) {
            *why = "attestation statement";
            return formats[i].check(t, a);
        }
    return ERR_INVALID;
}

enum err wa_register(struct arena *a, const struct wa_expect *x, struct str client_data,
                     struct str attestation_object, struct wa_credential *out, const char **why)
{
    uint8_t hash[SHA256_LEN];
    struct attestation t = {.anchors = x->anchors};
    enum err e = client_data_check(a, x, client_data, "webauthn.create", why);
    if (e != ERR_OK)
        return e;
    *why = "attestation object";
    if (object_read(attestation_object, &t) != ERR_OK || !(t.data.flags & WA_AT))
        return ERR_INVALID;
    e = auth_data_check(x, &t.data, why);
    if (e != ERR_OK)
        return e;
    *why = "public key";
    t.key = wakey_read(t.data.cose, &t.key_alg);
    if (!t.key)
        return ERR_INVALID;
    sha256(client_data.p, client_data.n, hash);
    t.client_hash = str_of(hash, sizeof hash);
    e = attestation_check(a, &t, why);
    if (e == ERR_OK)
        *out = (struct wa_credential){.id = t.data.id,
                                      .alg = t.key_alg,
                                      .key = wakey_der(a, t.key),
                                      .aaguid = t.data.aaguid,
                                      .flags = t.data.flags,
                                      .count = t.data.count,
                                      .attested = t.attested};
    EVP_PKEY_free(t.key);
    return e;
}

/* ---- an assertion (7.2) -------------------------------------------------------------------------
 */
enum err wa_assert(struct arena *a, const struct wa_expect *x, struct wa_credential *known,
                   struct str client_data, struct str auth_data, struct str signature,
                   const char **why)
{
    struct auth_data d;
    uint8_t hash[SHA256_LEN];
    enum err e = client_data_check(a, x, client_data, "webauthn.get", why);
    if (e != ERR_OK)
        return e;
    *why = "authenticator data";
    if (auth_data_read(auth_data, &d) != ERR_OK)
        return ERR_INVALID;
    e = auth_data_check(x, &d, why);
    if (e != ERR_OK)
        return e;
    *why = "backup eligibility"; /* it never changes in a credential's life */
    if ((d.flags & WA_BE) != (known->flags & WA_BE))
        return ERR_INVALID;
    sha256(client_data.p, client_data.n, hash);
    EVP_PKEY *key = wakey_from_der(known->key);
    bool good = key && wakey_verify(key, known->alg,
                                    joined(a, auth_data, str_of(hash, sizeof hash)), signature);
    EVP_PKEY_free(key);
    *why = "signature";
    if (!good)
        return ERR_INVALID;
    *why = "counter";
    if ((d.count || known->count) && d.count <= known->count)
        return ERR_INVALID;
    known->flags = d.flags;
    known->count = d.count;
    return ERR_OK;
}

X509_STORE *wa_anchors(struct str pem)
{
    size_t n = 0;
    if (!pem.n)
        return NULL;
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
    X509_STORE *store = X509_STORE_new();
    for (X509 *x; bio && store && (x = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL; n++) {
        X509_STORE_add_cert(store, x);
        X509_free(x);
    }
    BIO_free(bio);
    if (n == 0) {
        X509_STORE_free(store);
        return NULL;
    }
    return store;
}
