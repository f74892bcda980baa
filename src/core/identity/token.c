/* POST /api/v2/token: a code becomes an ID token and an access token (RFC 6749 4.1.3, OpenID Connect
 * Core 3.1.3; the access token is docs/formats/access-token.md). */
#include "core/identity/schema.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/log.h"
#include "base/rand.h"
#include "core/identity/client.h"
#include "core/identity/code.h"
#include "core/identity/issue.h"
#include "core/identity/person.h"
#include "core/identity/pivot.h"
#include "crypto/digest.h"
#include "crypto/seal.h"
#include "platform/api.h"
#include "platform/change.h"

struct minting {
    const struct client *k;
    const struct code_found *code; /* NULL: no person; then person is "" */
    json_t *claims; /* all that is known of the person */
    struct str person, sub, scope, jti;
    int64_t now_s;
};

static json_t *jstr(struct str s)
{
    return json_stringn(s.p ? s.p : "", s.n);
}

/* ---- the access token --------------------------------------------------------------------------- */
/* What the gateway needs and the client must not read. */
static enum err idt_make(struct ctx *c, const struct minting *m, struct str *out)
{
    uint8_t key[SEAL_KEY_LEN];
    enum err e = vault_key(c, m->person, key);
    if (e != ERR_OK)
        return e;
    bool agent = str_starts(m->person, STR("agent:"));
    struct str text = codec_to_base64url(c->arena, key, sizeof key);
    json_t *v = json_object();
    json_object_set_new(v, "person", jstr(m->person));
    json_object_set_new(v, "key", jstr(text));
    json_object_set_new(v, "pivot", agent ? json_incref(m->claims) : pivot_only(m->claims));
    json_object_set(v, "claims", json_get(m->code->data, "claims"));
    struct str sealed = seal(c->arena, c->pf->token_seal, STR("token.idt"),
                             json_text(c->arena, v));
    *out = codec_to_base64url(c->arena, sealed.p, sealed.n);
    json_decref(v);
    mem_wipe(key, sizeof key);
    return ERR_OK;
}

/* The contracts the token bears. No person: those alone that need no consent. */
static enum err grants_get(struct ctx *c, const struct minting *m, json_t **grants)
{
    json_t *consents = json_own(&c->pool, json_object()), *found = NULL;
    json_t *scopes = json_own(&c->pool, scope_list(m->scope));
    enum err e = ERR_OK;
    *grants = NULL;
    if (json_array_size(scopes) == 0)
        return ERR_OK;
    if (m->person.n)
        e = consents_active(c, m->person, m->k->id, &consents);
    if (e != ERR_OK)
        return e;
    json_t *args = json_pack("{s:o,s:O,s:O}", "client_id", jstr(m->k->id), "scopes", scopes,
                             "consents", consents);
    e = platform_call(c, "exchange.grants", args, &found);
    json_decref(args);
    if (e == ERR_OK)
        *grants = json_get(found, "items");
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

static enum err access_token_make(struct ctx *c, const struct minting *m, const json_t *grants,
                                  struct str *out)
{
    struct str idt = STR_NONE;
    const char *issuer = c->pf->settings->base_url;
    enum err e = m->person.n ? idt_make(c, m, &idt) : ERR_OK;
    if (e != ERR_OK)
        return e;
    json_t *v = json_pack("{s:s,s:s,s:o,s:o,s:I,s:I,s:o,s:o}", "iss", issuer, "aud", issuer,
                          "sub", jstr(m->sub), "client_id", jstr(m->k->id), "iat",
                          (json_int_t)m->now_s, "exp",
                          (json_int_t)(m->now_s + m->k->access_life_s), "jti", jstr(m->jti),
                          "scope", jstr(m->scope));
    if (idt.p)
        json_object_set_new(v, "idt", jstr(idt));
    if (m->code)
        json_object_set(v, "acr", json_get(m->code->data, "acr"));
    if (grants)
        json_object_set(v, "grants", (json_t *)grants);
    e = keys_sign_jws(c->pf->keys, "issuer", JOSE_ES256, "at+jwt", json_text(c->arena, v), c->arena,
                      out);
    json_decref(v);
    return e;
}

/* ---- the ID token ------------------------------------------------------------------------------- */
/* OpenID Connect Core 3.1.3.6: the left half of the digest. */
static json_t *at_hash(struct ctx *c, struct str access)
{
    uint8_t hash[SHA256_LEN];
    sha256(access.p, access.n, hash);
    return jstr(codec_to_base64url(c->arena, hash, SHA256_LEN / 2));
}

static enum err id_token_make(struct ctx *c, const struct minting *m, struct str access,
                              struct str *out)
{
    const json_t *d = m->code->data;
    json_t *v = json_pack(
        "{s:s,s:o,s:o,s:I,s:I,s:I,s:o,s:O?,s:O?}", "iss", c->pf->settings->base_url, "sub",
        jstr(m->sub), "aud", jstr(m->k->id), "iat", (json_int_t)m->now_s, "exp",
        (json_int_t)(m->now_s + m->k->id_token_life_s), "auth_time",
        (json_int_t)(json_get_i64(d, "auth_time_ms", 0) / 1000), "at_hash", at_hash(c, access),
        "acr", json_get(d, "acr"), "sid", json_get(d, "sid"));
    if (json_get(d, "nonce"))
        json_object_set(v, "nonce", json_get(d, "nonce"));
    /* A strict client gets amr when it asked for it, as FranceConnect does. */
    if (json_get(d, "amr") && (m->k->profile != PROFILE_STRICT || list_has(m->scope, STR("amr"))))
        json_object_set(v, "amr", json_get(d, "amr"));
    enum err e = keys_sign_jws(c->pf->keys, "issuer", m->k->id_token_alg, "JWT",
                               json_text(c->arena, v), c->arena, out);
    json_decref(v);
    return e;
}

/* ---- the code ----------------------------------------------------------------------------------- */
static const char *code_fault(struct ctx *c, const struct client *k, const struct code_found *f)
{
    struct str verifier = ctx_form(c, "code_verifier"),
               challenge = json_get_str(f->data, "challenge");
    if (!str_eq(f->client_id, k->id))
        return "the code is another client's";
    if (f->until_ms < clock_now_ms())
        return "the code has expired";
    if (!str_eq(ctx_form(c, "redirect_uri"), json_get_str(f->data, "redirect_uri")))
        return "redirect_uri is not the one of the request";
    if (challenge.n && !pkce_matches(c->arena, challenge, verifier))
        return "code_verifier does not fit";
    if (!challenge.n && verifier.p)
        return "code_verifier without a challenge"; /* RFC 9700 2.1.1: a downgrade */
    return NULL;
}

/* Used codes that come again from their own client revoke what they gave. */
static enum err replayed(struct ctx *c, const struct client *k, struct code_found *f)
{
    if (str_eq(f->client_id, k->id)) {
        enum err e = code_replayed(c, f);
        if (e != ERR_OK && e != ERR_UNAVAILABLE)
            return e;
    }
    return oauth_fail(c, 400, "invalid_grant", "the code was used already");
}

static enum err minting_fill(struct ctx *c, struct minting *m)
{
    const json_t *d = m->code->data;
    m->person = json_get_str(d, "person");
    m->scope = json_get_str(d, "scope");
    m->now_s = clock_now_ms() / 1000;
    enum err e = person_claims(c, m->person, &m->claims);
    return e == ERR_OK ? person_sub(c, m->person, m->claims, m->k, &m->sub) : e;
}

static enum err answer(struct ctx *c, const struct minting *m)
{
    struct str access, id_token;
    json_t *grants;
    enum err e = grants_get(c, m, &grants);
    if (e == ERR_OK)
        e = access_token_make(c, m, grants, &access);
    if (e == ERR_OK)
        e = id_token_make(c, m, access, &id_token);
    if (e != ERR_OK)
        return e;
    web_header(c->rs, "Pragma", STR("no-cache"));
    return ctx_json(c, 200,
                    json_pack("{s:o,s:s,s:I,s:o,s:o}", "access_token", jstr(access), "token_type",
                              "Bearer", "expires_in", (json_int_t)m->k->access_life_s, "id_token",
                              jstr(id_token), "scope", jstr(m->scope)));
}

static enum err by_code(struct ctx *c, const struct client *k)
{
    struct code_found f;
    struct minting m = {.k = k, .code = &f};
    struct str code = ctx_form(c, "code");
    char jti[ID_LEN + 1];
    if (!code.p)
        return oauth_fail(c, 400, "invalid_request", "code is missing");
    enum err e = code_find(c, code, &f);
    if (e == ERR_NOT_FOUND)
        return oauth_fail(c, 400, "invalid_grant", "the code is not known");
    if (e != ERR_OK)
        return e;
    if (f.used_at_ms)
        return replayed(c, k, &f);
    const char *why = code_fault(c, k, &f);
    if (why)
        return oauth_fail(c, 400, "invalid_grant", why);
    e = minting_fill(c, &m);
    if (e != ERR_OK)
        return e == ERR_NOT_FOUND ? oauth_fail(c, 400, "invalid_grant", "the account is closed") : e;
    id_new(jti);
    m.jti = arena_dup(c->arena, str_from(jti));
    e = code_use(c, f.id, m.jti);
    if (e == ERR_CONFLICT) /* another request with the same code was faster */
        return code_find(c, code, &f) == ERR_OK ? replayed(c, k, &f) : ERR_CONFLICT;
    return e == ERR_OK ? answer(c, &m) : e;
}

/* ---- programs, for themselves (RFC 6749 4.4) ------------------------------------------------------- */
static bool is_granted(const json_t *grants, struct str scope)
{
    for (size_t i = 0; i < json_array_size(grants); i++)
        if (str_eq(json_get_str(json_array_get(grants, i), "scope"), scope))
            return true;
    return false;
}

static bool all_granted(const json_t *grants, struct str scopes)
{
    struct str part;
    bool any = false;
    while (scopes.n && str_split(&scopes, ' ', &part)) {
        if (part.n && !is_granted(grants, part))
            return false;
        any |= part.n > 0;
    }
    return any;
}

/* A token about nobody: it opens the APIs whose contract needs no person's consent. */
static enum err for_itself(struct ctx *c, const struct client *k)
{
    json_t *grants;
    struct str token, scope = ctx_form(c, "scope");
    char jti[ID_LEN + 1];
    id_new(jti);
    struct minting m = {.k = k, .person = STR(""), .sub = k->id, .scope = scope.p ? scope : STR(""),
                        .jti = str_from(jti), .now_s = clock_now_ms() / 1000};
    enum err e = grants_get(c, &m, &grants);
    if (e == ERR_OK && !all_granted(grants, m.scope))
        return oauth_fail(c, 400, "invalid_scope",
                          "each scope must be an API's, under a contract that needs no consent");
    if (e == ERR_OK)
        e = access_token_make(c, &m, grants, &token);
    if (e != ERR_OK)
        return e;
    return ctx_json(c, 200, json_pack("{s:o,s:s,s:I,s:o}", "access_token", jstr(token),
                                      "token_type", "Bearer", "expires_in",
                                      (json_int_t)k->access_life_s, "scope", jstr(m.scope)));
}

static bool repeated(const struct ctx *c)
{
    for (size_t i = 0; i < c->form.n; i++)
        for (size_t k = 0; k < i; k++)
            if (str_eq(c->form.fields[i].name, c->form.fields[k].name))
                return true;
    return false;
}

enum err identity_token(struct ctx *c)
{
    struct client *k;
    if (c->form.n > 50 || repeated(c))
        return oauth_fail(c, 400, "invalid_request", "a parameter is given twice");
    enum err e = client_authenticate(c, &k);
    if (e != ERR_OK || !k)
        return e;
    struct str grant = ctx_form(c, "grant_type");
    if (!grant.p)
        return oauth_fail(c, 400, "invalid_request", "grant_type is missing");
    if (str_eq_z(grant, "authorization_code"))
        return by_code(c, k);
    if (str_eq_z(grant, "client_credentials") && k->profile != PROFILE_STRICT)
        return for_itself(c, k);
    return oauth_fail(c, 400, "unsupported_grant_type", "grant_type must be authorization_code");
}

/* ---- revocation (RFC 7009) ---------------------------------------------------------------------- */
struct revocation {
    struct str key;
    int64_t until_ms;
};

static enum err revocation_write(struct db_conn *db, void *arg)
{
    struct revocation *r = arg;
    return change_add(db, "deny", r->key, r->until_ms);
}

static enum err revoke(struct ctx *c, const struct client *k, const json_t *claims)
{
    struct act act;
    struct str jti = json_get_str(claims, "jti");
    struct revocation r = {.key = arena_printf(c->arena, "token:" STR_FMT, STR_ARG(jti)),
                           .until_ms = (json_get_i64(claims, "exp", 0) + 60) * 1000};
    struct act_info info = {.kind = "identity.token_revoked", .actor = k->id, .object = jti};
    enum err e = act_make(c, &info, &act);
    return e == ERR_OK ? act_write(c, revocation_write, &r, &act, 1) : e;
}

enum err identity_revoke(struct ctx *c)
{
    struct client *k;
    json_t *claims, *identity;
    const char *why;
    enum err e = client_authenticate(c, &k);
    if (e != ERR_OK || !k)
        return e;
    struct str token = ctx_form(c, "token");
    if (!token.p)
        return oauth_fail(c, 400, "invalid_request", "token is missing");
    /* What is not a living token of this client is revoked already: 200 in both cases. */
    if (access_token_read(c, token, &claims, &identity, &why) == ERR_OK &&
        str_eq(json_get_str(claims, "client_id"), k->id))
        e = revoke(c, k, claims);
    web_header(c->rs, "Cache-Control", STR("no-store"));
    return e;
}
