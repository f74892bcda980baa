/* Whose is this token? Asked by those who provide data: as JSON (RFC 7662) or signed (RFC 9701),
 * the latter also where FranceConnect has it. The person bears the asker's own name for her: a
 * provider of data learns nothing that it could compare with the client's files. */
#include "core/identity/schema.h"

#include "base/clock.h"
#include "core/identity/client.h"
#include "core/identity/person.h"
#include "platform/api.h"

static const char SIGNED[] = "application/token-introspection+jwt";

static json_t *inactive(void)
{
    return json_pack("{s:b}", "active", 0);
}

/* Her name at the asker; a client's own token keeps the name it has. */
static enum err sub_put(struct ctx *c, const struct client *k, const json_t *claims,
                        const json_t *identity, json_t *v)
{
    json_t *all;
    struct str sub, person = json_get_str(identity, "person");
    if (!person.n || str_eq(json_get_str(claims, "client_id"), k->id)) {
        json_object_set(v, "sub", json_get(claims, "sub"));
        return ERR_OK;
    }
    enum err e = person_claims(c, person, &all);
    if (e == ERR_OK)
        e = person_sub(c, person, all, k, &sub);
    if (e == ERR_OK)
        json_object_set_new(v, "sub", json_stringn(sub.p, sub.n));
    return e;
}

static enum err describe(struct ctx *c, const struct client *k, const json_t *claims,
                         const json_t *identity, json_t **out)
{
    static const char *const same[] = {"iss",   "client_id", "iat", "exp",
                                       "scope", "acr",       "jti", "cnf"};
    json_t *v = json_pack("{s:b}", "active", 1);
    bool dpop = json_get(json_get(claims, "cnf"), "jkt") != NULL;
    for (size_t i = 0; i < COUNT_OF(same); i++)
        if (json_get(claims, same[i]))
            json_object_set(v, same[i], json_get(claims, same[i]));
    json_object_set(v, "aud", json_get(claims, "client_id"));
    json_object_set_new(v, "token_type", json_string(dpop ? "DPoP" : "Bearer"));
    enum err e = sub_put(c, k, claims, identity, v);
    if (e == ERR_NOT_FOUND) { /* erased since */
        json_decref(v);
        v = inactive();
        e = ERR_OK;
    }
    *out = v;
    return e;
}

static enum err answer(struct ctx *c, const struct client *k, json_t *about, bool is_signed)
{
    struct str jwt;
    if (!is_signed)
        return ctx_json(c, 200, about);
    json_t *v =
        json_pack("{s:s,s:s%,s:I,s:o}", "iss", c->pf->settings->base_url, "aud", k->id.p, k->id.n,
                  "iat", (json_int_t)(clock_now_ms() / 1000), "token_introspection", about);
    enum err e =
        keys_sign_jws(c->pf->keys, "issuer", k->userinfo_signed ? k->userinfo_alg : JOSE_ES256,
                      "token-introspection+jwt", json_text(c->arena, v), c->arena, &jwt);
    json_decref(v);
    web_header(c->rs, "Cache-Control", STR("no-store"));
    return e == ERR_OK ? ctx_text(c, 200, SIGNED, jwt) : e;
}

/* Programs' tokens have no person in them: access_token_read says so, and the token is good. */
static enum err read(struct ctx *c, struct str token, json_t **claims, json_t **identity)
{
    const char *why = "";
    enum err e = access_token_read(c, token, claims, identity, &why);
    bool nobody =
        e != ERR_OK && strcmp(why, "no person in it") == 0 && *claims && !json_get(*claims, "idt");
    return nobody ? ERR_OK : e;
}

static enum err introspect(struct ctx *c, bool is_signed)
{
    struct client *k;
    json_t *claims = NULL, *identity = NULL, *about = NULL;
    enum err e = client_authenticate(c, &k);
    if (e != ERR_OK || !k)
        return e;
    struct str token = ctx_form(c, "token");
    if (!token.p)
        return oauth_fail(c, 400, "invalid_request", "token is missing");
    e = read(c, token, &claims, &identity);
    if (e == ERR_UNAVAILABLE || e == ERR_TIMEOUT || e == ERR_INTERNAL)
        return e;
    /* RFC 7662 4: who is not registered to ask hears of its own tokens alone. */
    bool may =
        e == ERR_OK && (k->data_provider || str_eq(json_get_str(claims, "client_id"), k->id));
    e = ERR_OK;
    if (may)
        e = describe(c, k, claims, identity, &about);
    if (e != ERR_OK)
        return e;
    return answer(c, k, about ? about : inactive(), is_signed);
}

enum err identity_introspect(struct ctx *c)
{
    return introspect(c, str_find(ctx_header(c, "Accept"), str_from(SIGNED)) >= 0);
}

enum err identity_checktoken(struct ctx *c)
{
    return introspect(c, true);
}
