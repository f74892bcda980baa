#include "core/identity/wallet_trust.h"

#include <stdlib.h>
#include "core/identity/request.h"
#include "crypto/x5c.h"
#include "data/json.h"

enum { ISSUERS_MAX = 100, VERSION = 1 };

static const unsigned algs =
    1u << JOSE_ES256 | 1u << JOSE_PS256 | 1u << JOSE_RS256 | 1u << JOSE_EDDSA;

struct issuer {
    struct str name;   /* iss */
    struct jwks *keys; /* NULL: it signs with keys that an authority certifies */
    struct str authorities;
};
struct wallet_trust {
    struct arena arena;
    struct issuer *list;
    size_t n;
};

static enum err deny(const char **why, const char *what)
{
    *why = what;
    return ERR_DENIED;
}

/* ---- the file -----------------------------------------------------------------------------------
 */
static const char *issuer_fault(struct arena *a, const json_t *v, struct issuer *out)
{
    const json_t *keys = json_get(v, "jwks");
    struct str name = json_get_str(v, "issuer"), pem = json_get_str(v, "authorities");
    if (!str_starts(name, STR("https://")) && !str_starts(name, STR("http://")))
        return "an issuer is no address";
    if ((keys != NULL) == (pem.n > 0))
        return "an issuer has either jwks or authorities";
    if (keys && jwks_read(json_text(a, keys), &out->keys) != ERR_OK)
        return "the jwks of an issuer is no key set";
    if (keys && out->keys->n == 0)
        return "the jwks of an issuer is empty";
    if (pem.n && str_find(pem, STR("-----BEGIN CERTIFICATE-----")) < 0)
        return "the authorities of an issuer are no PEM certificates";
    out->name = arena_dup(a, name);
    out->authorities = arena_dup(a, pem);
    return NULL;
}

static const char *list_fault(const json_t *v, struct wallet_trust *t)
{
    const json_t *list = json_get(v, "issuers");
    size_t n = json_array_size(list);
    if (json_get_i64(v, "version", 0) != VERSION)
        return "version is not 1";
    if (n == 0 || n > ISSUERS_MAX)
        return "issuers is empty or too long";
    t->list = arena_array(&t->arena, struct issuer, n);
    for (size_t i = 0; i < n; i++) {
        const char *fault = issuer_fault(&t->arena, json_array_get(list, i), &t->list[i]);
        t->n = i + 1;
        if (fault)
            return fault;
        for (size_t k = 0; k < i; k++)
            if (str_eq(t->list[k].name, t->list[i].name))
                return "an issuer is there twice";
    }
    return NULL;
}

enum err wallet_trust_read(struct str json, struct wallet_trust **out, const char **why)
{
    json_t *v;
    *out = NULL;
    *why = "not JSON";
    if (json_read(json, &v, NULL) != ERR_OK)
        return ERR_INVALID;
    struct wallet_trust *t = calloc(1, sizeof *t);
    if (!t)
        abort();
    arena_init(&t->arena);
    *why = list_fault(v, t);
    json_decref(v);
    if (*why) {
        wallet_trust_free(t);
        return ERR_INVALID;
    }
    *out = t;
    return ERR_OK;
}

void wallet_trust_free(struct wallet_trust *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->n; i++)
        if (t->list[i].keys)
            jwks_free(t->list[i].keys);
    arena_free(&t->arena);
    free(t);
}

/* ---- a credential -------------------------------------------------------------------------------
 */
static const struct issuer *issuer_of(const struct wallet_trust *t, struct str name)
{
    for (size_t i = 0; i < t->n; i++)
        if (str_eq(t->list[i].name, name))
            return &t->list[i];
    return NULL;
}

/* By the keys that were given for this issuer, or by one that its authority certifies; never by
 * anything else the credential brings. */
static enum err signature_check(struct arena *a, const struct issuer *i, const struct jws *j)
{
    struct jwk *key;
    if (i->keys)
        return jws_verify(j, i->keys, algs);
    enum err e = x5c_key(a, json_get(j->header, "x5c"), i->authorities, &key);
    if (e != ERR_OK)
        return e;
    e = jws_verify_key(j, key, algs);
    jwk_free(key);
    return e;
}

static enum err issuer_check(struct arena *a, const struct wallet_trust *t, const struct sdjwt *s,
                             const char **why)
{
    struct str typ = json_get_str(s->jwt.header, "typ");
    if (!str_eq_z(typ, "dc+sd-jwt") && !str_eq_z(typ, "vc+sd-jwt"))
        return deny(why, "it is no credential of this format");
    const struct issuer *i = issuer_of(t, json_get_str(s->jwt.claims, "iss"));
    if (!i)
        return deny(why, "its issuer is not trusted here");
    return signature_check(a, i, &s->jwt) == ERR_OK
               ? ERR_OK
               : deny(why, "its signature is not its issuer's");
}

static enum err credential_check(struct arena *a, const struct sdjwt *s,
                                 const struct wallet_wanted *w, const json_t *claims,
                                 const char **why)
{
    struct str vct = json_get_str(claims, "vct");
    if (!vct.n || !list_has(w->vcts, vct))
        return deny(why, "it is a credential of another type");
    enum err e = jwt_check(claims, STR_NONE, STR_NONE, w->binding.now_ms, why);
    return e == ERR_OK ? sdjwt_check_binding(a, s, claims, &w->binding, why) : e;
}

enum err wallet_verify(struct arena *a, const struct wallet_trust *t, struct str presentation,
                       const struct wallet_wanted *w, json_t **claims, const char **why)
{
    struct sdjwt s;
    *claims = NULL;
    if (sdjwt_split(a, presentation, &s) != ERR_OK)
        return deny(why, "it is malformed, or not signed");
    enum err e = issuer_check(a, t, &s, why);
    if (e == ERR_OK)
        e = sdjwt_claims(a, &s, claims, why);
    if (e == ERR_OK)
        e = credential_check(a, &s, w, *claims, why);
    sdjwt_free(&s);
    if (e == ERR_OK)
        return e;
    json_decref(*claims);
    *claims = NULL;
    return ERR_DENIED;
}
