/* Signatures of messages: read, checked, made (RFC 9421 3 and 4); digests of bodies (RFC 9530). */
#include "crypto/httpsig_inner.h"

#include <openssl/err.h>
#include <openssl/rsa.h>
#include "crypto/digest.h"
#include "crypto/jwk.h"

enum { LABEL_MAX = 64, SIGNATURE_MAX = 1024 };

static const char *const alg_names[HTTPSIG_ALG_COUNT] = {
    [HTTPSIG_ECDSA_P256_SHA256] = "ecdsa-p256-sha256",
    [HTTPSIG_ED25519] = "ed25519",
    [HTTPSIG_RSA_PSS_SHA512] = "rsa-pss-sha512",
    [HTTPSIG_HMAC_SHA256] = "hmac-sha256",
};

const char *httpsig_alg_name(enum httpsig_alg alg)
{
    return alg_names[alg];
}

/* --- reading ---------------------------------------------------------------------------------- */

/* All lines of a field as one text; .p NULL when there is none. */
static struct str whole_field(struct arena *a, const struct httpsig_fields *set, const char *name)
{
    struct str out = STR_NONE;
    for (size_t i = 0; i < set->n; i++) {
        if (!str_eq_nocase(set->v[i].name, str_from(name)))
            continue;
        struct str v = str_trim(set->v[i].value);
        out = out.p ? arena_printf(a, STR_FMT ", " STR_FMT, STR_ARG(out), STR_ARG(v)) : v;
    }
    return out;
}

static enum err date_param(const struct sfv_params *p, const char *name, int64_t *out)
{
    const struct sfv_value *v = sfv_param(p, name);
    *out = -1;
    if (!v)
        return ERR_OK;
    *out = v->number;
    return v->type == SFV_INTEGER && v->number >= 0 ? ERR_OK : ERR_INVALID;
}

static enum err text_param(const struct sfv_params *p, const char *name, struct str *out)
{
    const struct sfv_value *v = sfv_param(p, name);
    *out = STR_NONE;
    if (!v)
        return ERR_OK;
    *out = v->text.n ? v->text : STR("");
    return v->type == SFV_STRING ? ERR_OK : ERR_INVALID;
}

static enum err params_take(struct httpsig *s)
{
    const struct sfv_params *p = &s->params;
    return date_param(p, "created", &s->created_s) || date_param(p, "expires", &s->expires_s) ||
                   text_param(p, "keyid", &s->keyid) || text_param(p, "nonce", &s->nonce) ||
                   text_param(p, "tag", &s->tag) || text_param(p, "alg", &s->alg)
               ? ERR_INVALID
               : ERR_OK;
}

static enum err one_take(const struct sfv_member *input, const struct sfv *values,
                         struct httpsig *out)
{
    const struct sfv_member *value = sfv_member(values, input->key);
    *out = (struct httpsig){.label = input->key,
                            .components = input->items,
                            .n = input->n_items,
                            .params = input->params};
    if (!input->is_list || input->key.n > LABEL_MAX || input->n_items > HTTPSIG_COMPONENTS_MAX)
        return ERR_INVALID;
    if (!value || value->is_list || value->value.type != SFV_BYTES ||
        value->value.text.n > SIGNATURE_MAX)
        return ERR_INVALID;
    for (size_t i = 0; i < out->n; i++)
        if (out->components[i].value.type != SFV_STRING)
            return ERR_INVALID;
    out->signature = value->value.text;
    return params_take(out);
}

enum err httpsig_read(struct arena *a, const struct httpsig_message *m, struct httpsig_list *out,
                      struct str *why)
{
    struct str input = whole_field(a, &m->headers, "Signature-Input");
    struct str value = whole_field(a, &m->headers, "Signature");
    struct sfv inputs, values;
    out->n = 0;
    if (!input.p && !value.p) {
        *why = STR("the message is not signed");
        return ERR_NOT_FOUND;
    }
    *why = STR("Signature-Input and Signature are not well formed");
    if (!input.p || !value.p || sfv_read(a, input, SFV_DICTIONARY, &inputs) ||
        sfv_read(a, value, SFV_DICTIONARY, &values))
        return ERR_INVALID;
    *why = STR("Signature-Input and Signature have not the same labels");
    if (inputs.n == 0 || inputs.n != values.n)
        return ERR_INVALID;
    if (inputs.n > HTTPSIG_LABELS_MAX) {
        *why = STR("too many signatures");
        return ERR_LIMIT;
    }
    for (size_t i = 0; i < inputs.n; i++)
        if (one_take(&inputs.members[i], &values, &out->v[out->n++])) {
            *why = arena_printf(a, "signature " STR_FMT " is not well formed",
                                STR_ARG(inputs.members[i].key));
            return ERR_INVALID;
        }
    return ERR_OK;
}

/* --- verifying -------------------------------------------------------------------------------- */

static enum err alg_of(const struct httpsig_key *key, enum httpsig_alg *out)
{
    *out = HTTPSIG_HMAC_SHA256;
    if (!key->jwk)
        return key->secret.n >= SHA256_LEN ? ERR_OK : ERR_INVALID;
    EVP_PKEY *pkey = key->jwk->pkey;
    *out = EVP_PKEY_is_a(pkey, "EC")    ? HTTPSIG_ECDSA_P256_SHA256
           : EVP_PKEY_is_a(pkey, "RSA") ? HTTPSIG_RSA_PSS_SHA512
                                        : HTTPSIG_ED25519;
    return ERR_OK;
}

static bool pss_verify(EVP_PKEY *pkey, struct str base, struct str sig)
{
    EVP_PKEY_CTX *pc = NULL;
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    evp_must(c && EVP_DigestVerifyInit_ex(c, &pc, "SHA512", NULL, NULL, pkey, NULL) > 0 &&
                 EVP_PKEY_CTX_set_rsa_padding(pc, RSA_PKCS1_PSS_PADDING) > 0 &&
                 EVP_PKEY_CTX_set_rsa_pss_saltlen(pc, SHA512_LEN) > 0,
             "verify init");
    int rc = EVP_DigestVerify(c, (const uint8_t *)sig.p, sig.n, (const uint8_t *)base.p, base.n);
    EVP_MD_CTX_free(c);
    if (rc != 1)
        ERR_clear_error();
    return rc == 1;
}

static bool signature_fits(enum httpsig_alg alg, const struct httpsig_key *key, struct str base,
                           struct str sig)
{
    uint8_t mac[SHA256_LEN];
    switch (alg) {
    case HTTPSIG_ECDSA_P256_SHA256:
        return pkey_verify(key->jwk->pkey, JOSE_ES256, base, sig);
    case HTTPSIG_ED25519:
        return pkey_verify(key->jwk->pkey, JOSE_EDDSA, base, sig);
    case HTTPSIG_RSA_PSS_SHA512:
        return pss_verify(key->jwk->pkey, base, sig);
    default:
        hmac_sha256(key->secret, base, mac);
        return str_eq_secret(str_of(mac, sizeof mac), sig);
    }
}

bool httpsig_covers(const struct httpsig *s, const char *identifier)
{
    struct arena a;
    struct sfv want;
    bool covers = false;
    arena_init(&a);
    if (sfv_read(&a, str_from(identifier), SFV_ITEM, &want) == ERR_OK) {
        struct sfv_item id = {want.members->value, want.members->params};
        for (size_t i = 0; i < s->n; i++)
            covers = covers || httpsig_same_component(&s->components[i], &id);
    }
    arena_free(&a);
    return covers;
}

static enum err policy_check(struct arena *a, const struct httpsig *s,
                             const struct httpsig_policy *p, struct str *why)
{
    for (const char *const *one = p->required; one && *one; one++)
        if (!httpsig_covers(s, *one)) {
            *why = arena_printf(a, "the signature does not cover %s", *one);
            return ERR_DENIED;
        }
    if (p->max_age_s && s->created_s < 0)
        *why = STR("the signature has no created");
    else if (s->created_s > p->now_s + p->ahead_s)
        *why = STR("the signature was made in the future");
    else if (p->max_age_s && s->created_s < p->now_s - p->max_age_s)
        *why = STR("the signature is too old");
    else if (s->expires_s >= 0 && s->expires_s <= p->now_s)
        *why = STR("the signature has expired");
    else
        return ERR_OK;
    return ERR_DENIED;
}

enum err httpsig_verify(struct arena *a, const struct httpsig *s, const struct httpsig_message *m,
                        const struct httpsig_key *key, const struct httpsig_policy *policy,
                        struct str *why)
{
    enum httpsig_alg alg;
    struct str base;
    enum err e = policy_check(a, s, policy, why);
    if (e)
        return e;
    *why = STR("the key is of a kind that signs no messages, or is too short");
    if (alg_of(key, &alg))
        return ERR_DENIED;
    *why =
        arena_printf(a, "the key is for %s, the signature says another algorithm", alg_names[alg]);
    if (s->alg.p && !str_eq_z(s->alg, alg_names[alg]))
        return ERR_DENIED;
    e = httpsig_base(a, s, m, &base, why);
    if (e)
        return e;
    *why = STR("the signature is not that of this message and key");
    return signature_fits(alg, key, base, s->signature) ? ERR_OK : ERR_DENIED;
}

/* --- signing ---------------------------------------------------------------------------------- */

static enum err components_take(struct arena *a, const char *const *names, struct httpsig *s)
{
    size_t n = 0;
    while (names[n])
        n++;
    s->components = arena_array(a, struct sfv_item, n + 1);
    for (s->n = 0; s->n < n; s->n++) {
        struct sfv one;
        enum err e = sfv_read(a, str_from(names[s->n]), SFV_ITEM, &one);
        if (e)
            return e;
        s->components[s->n] = (struct sfv_item){one.members->value, one.members->params};
    }
    return ERR_OK;
}

static void param_put(struct sfv_params *p, const char *key, enum sfv_type type, int64_t number,
                      struct str text)
{
    p->v[p->n++] = (struct sfv_param){str_from(key), {type, number, text}};
}

enum err httpsig_make(struct arena *a, const struct httpsig_wanted *w,
                      const struct httpsig_message *m, struct str *base, struct str *input,
                      struct str *why)
{
    struct httpsig s = {.label = str_from(w->label)};
    struct sfv_params *p = &s.params;
    struct buf b;
    *why = STR("a component or a parameter is not well written");
    enum err e = components_take(a, w->components, &s);
    if (e)
        return e;
    p->v = arena_array(a, struct sfv_param, 6);
    param_put(p, "created", SFV_INTEGER, w->created_s, STR_NONE);
    if (w->expires_s)
        param_put(p, "expires", SFV_INTEGER, w->expires_s, STR_NONE);
    const struct {
        const char *key;
        struct str text;
    } texts[] = {
        {"keyid", w->keyid}, {"alg", str_from(w->alg)}, {"nonce", w->nonce}, {"tag", w->tag}};
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        if (texts[i].text.p)
            param_put(p, texts[i].key, SFV_STRING, 0, texts[i].text);
    e = httpsig_base(a, &s, m, base, why);
    if (e)
        return e;
    buf_init(&b, HTTPSIG_BASE_MAX);
    buf_printf(&b, "%s=", w->label);
    e = httpsig_names_write(&b, &s);
    *input = arena_dup(a, buf_str(&b));
    buf_free(&b);
    return e;
}

struct str httpsig_value(struct arena *a, const char *label, struct str signature)
{
    struct buf b;
    buf_init(&b, 4 * SIGNATURE_MAX);
    buf_printf(&b, "%s=:", label);
    buf_add_base64(&b, signature.p, signature.n);
    buf_add_char(&b, ':');
    struct str out = arena_dup(a, buf_str(&b));
    buf_free(&b);
    return out;
}

/* --- digests ---------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    size_t n;
    void (*make)(const void *p, size_t n, uint8_t *out);
} digests[] = {
    [HTTPSIG_SHA256] = {"sha-256", SHA256_LEN, sha256},
    [HTTPSIG_SHA512] = {"sha-512", SHA512_LEN, sha512},
};

struct str httpsig_digest_text(struct arena *a, enum httpsig_digest alg, const void *digest)
{
    return httpsig_value(a, digests[alg].name, str_of(digest, digests[alg].n));
}

struct str httpsig_digest_of(struct arena *a, enum httpsig_digest alg, struct str body)
{
    uint8_t out[SHA512_LEN];
    digests[alg].make(body.p, body.n, out);
    return httpsig_digest_text(a, alg, out);
}

enum err httpsig_digest_check(struct arena *a, struct str field, struct str body, struct str *why)
{
    struct sfv v;
    uint8_t out[SHA512_LEN];
    bool known = false;
    *why = STR("Content-Digest is not well formed");
    if (sfv_read(a, field, SFV_DICTIONARY, &v))
        return ERR_INVALID;
    for (size_t i = 0; i < COUNT_OF(digests); i++) {
        const struct sfv_member *m = sfv_member(&v, str_from(digests[i].name));
        if (!m)
            continue;
        if (m->is_list || m->value.type != SFV_BYTES || m->value.text.n != digests[i].n)
            return ERR_INVALID;
        digests[i].make(body.p, body.n, out);
        *why = arena_printf(a, "the body is not the one whose %s digest was sent", digests[i].name);
        if (!str_eq(m->value.text, str_of(out, digests[i].n)))
            return ERR_DENIED;
        known = true;
    }
    *why = STR("Content-Digest has neither sha-256 nor sha-512");
    return known ? ERR_OK : ERR_INVALID;
}
