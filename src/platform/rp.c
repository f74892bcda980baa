/* The organisation's site signs people in with the platform's issuer exactly as any outside service
 * would: over HTTP, with the standard's checks. No back stairs: what works for this site works for
 * everyone's. */
#include "platform/rp.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/log.h"
#include "base/rand.h"
#include "crypto/digest.h"
#include "crypto/seal.h"
#include "platform/api.h"
#include "platform/change.h"
#include "web/client.h"

enum { STATE_S = 900 };
static const char STATE_COOKIE[] = "socle_signin";
static const struct fault f_state = {"RP-400-STATE", 400, "platform", "Sign-In Not Started Here"};
static const struct fault f_issuer = {"RP-502-ISSUER", 502, "platform", "Issuer Answered Badly"};
static const struct fault f_refused = {"RP-403-REFUSED", 403, "platform", "Sign-In Refused"};

/* What must survive the trip, sealed into a cookie: nothing to store for those who never return. */
static struct str state_pack(struct ctx *c, const json_t *state)
{
    struct str sealed =
        seal(c->arena, c->pf->cookie_secret, c->site->host, json_text(c->arena, state));
    return codec_to_base64url(c->arena, sealed.p, sealed.n);
}

static enum err state_unpack(struct ctx *c, json_t **state)
{
    struct str raw, plain, cookie = ctx_cookie_get(c, STATE_COOKIE);
    if (!cookie.p || codec_base64url(c->arena, cookie, &raw) != ERR_OK ||
        unseal(c->arena, c->pf->cookie_secret, c->site->host, raw, &plain) != ERR_OK)
        return ERR_DENIED;
    enum err e = json_read(plain, state, NULL);
    if (e == ERR_OK)
        json_own(&c->pool, *state);
    return e;
}

static struct str way_back(struct str to)
{
    return path_is_ours(to) ? to : STR("/");
}

static enum err start(struct ctx *c, bool agent)
{
    char state[SECRET_LEN + 1], nonce[SECRET_LEN + 1], verifier[SECRET_LEN + 1];
    uint8_t hash[32];
    secret_new(state);
    secret_new(nonce);
    secret_new(verifier);
    sha256(verifier, SECRET_LEN, hash);
    struct str back = way_back(ctx_query(c, "return"));
    json_t *s = json_pack("{s:s,s:s,s:s,s:s#,s:b,s:I}", "state", state, "nonce", nonce, "verifier",
                          verifier, "return", back.p, (int)back.n, "agent", agent, "until",
                          (json_int_t)(clock_now_ms() + STATE_S * 1000));
    ctx_cookie(c, STATE_COOKIE, state_pack(c, s), STATE_S);
    json_decref(s);
    struct db_result r;
    struct str scope = STR("openid profile birth");
    struct db_conn *db = db_read(c->pf->db);
    if (db && !agent &&
        db_query_one(db, c->arena, &r, "SELECT value FROM setting WHERE name = $1", "s",
                     arena_printf(c->arena, "site.scope." STR_FMT, STR_ARG(c->site->host))) ==
            ERR_OK)
        scope = db_str(&r, 0, 0);
    struct str url = portal_url(c, "/api/v2/authorize");
    url = url_with(c->arena, url, "response_type", STR("code"));
    url = url_with(c->arena, url, "client_id", c->site->client_id);
    url = url_with(c->arena, url, "redirect_uri", ctx_url(c, "/oidc/retour"));
    url = url_with(c->arena, url, "scope",
                   agent ? STR("openid given_name usual_name uid siret email") : scope);
    bool high = str_eq_z(ctx_query(c, "niveau"), "substantiel"); /* for acts that ask for it */
    url = url_with(c->arena, url, "acr_values", high ? STR("eidas2") : STR("eidas1"));
    url = url_with(c->arena, url, "state", str_from(state));
    url = url_with(c->arena, url, "nonce", str_from(nonce));
    url = url_with(c->arena, url, "code_challenge", codec_to_base64url(c->arena, hash, 32));
    url = url_with(c->arena, url, "code_challenge_method", STR("S256"));
    url = url_with(c->arena, url, "ui_locales", str_from(c->lang));
    if (agent)
        url = url_with(c->arena, url, "realm", STR("agents"));
    return ctx_redirect(c, url);
}

enum err rp_sign_in(struct ctx *c)
{
    return start(c, false);
}

enum err rp_sign_in_agent(struct ctx *c)
{
    return start(c, true);
}

static enum err client_secret(struct ctx *c, struct str *secret)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    if (!db)
        return ERR_UNAVAILABLE;
    enum err e = db_query_one(db, c->arena, &r, "SELECT client_secret FROM site WHERE host = $1",
                              "s", c->site->host);
    return e == ERR_OK ? keys_unwrap(c->pf->keys, "subject", c->site->host, db_str(&r, 0, 0),
                                     c->arena, secret)
                       : e;
}

static enum err call_json(struct ctx *c, const struct client_call *call, json_t **out)
{
    struct client_answer answer;
    enum err e = client_send(c->arena, call, &answer);
    if (e != ERR_OK || answer.status != 200) {
        log_warn("issuer_call_failed", "trace", c->trace_id, "error", err_name(e), "status",
                 LOG_NUM(e == ERR_OK ? answer.status : 0));
        return ctx_fail(c, &f_issuer, ERR_UNAVAILABLE, STR_NONE);
    }
    if (json_read(answer.body, out, NULL) != ERR_OK)
        return ctx_fail(c, &f_issuer, ERR_INVALID, STR_NONE);
    json_own(&c->pool, *out);
    return ERR_OK;
}

static enum err token_call(struct ctx *c, struct str code, struct str verifier, json_t **tokens)
{
    struct str secret;
    enum err e = client_secret(c, &secret);
    if (e != ERR_OK)
        return e;
    struct str basic =
        arena_printf(c->arena, STR_FMT ":" STR_FMT, STR_ARG(c->site->client_id), STR_ARG(secret));
    struct http_header h[] = {
        {STR("Authorization"),
         arena_printf(c->arena, "Basic %s", codec_to_base64(c->arena, basic.p, basic.n).p)},
        {STR("Content-Type"), STR("application/x-www-form-urlencoded")},
        {STR("Accept"), STR("application/json")},
    };
    struct str uri = ctx_url(c, "/oidc/retour");
    struct client_call call = {
        .method = "POST",
        .url = portal_url(c, "/api/v2/token"),
        .headers = h,
        .n_headers = 3,
        .body = arena_printf(c->arena,
                             "grant_type=authorization_code&code=%s&redirect_uri=%s"
                             "&code_verifier=" STR_FMT,
                             codec_to_url(c->arena, code).p, codec_to_url(c->arena, uri).p,
                             STR_ARG(verifier)),
        .timeout_ms = 5000,
        .allow_inside = true};
    return call_json(c, &call, tokens);
}

static enum err id_token_check(struct ctx *c, struct str compact, struct str nonce, json_t **claims)
{
    const char *why;
    enum err e = issuer_jwt(c, compact, NULL, c->site->client_id, claims, &why);
    if (e == ERR_OK && !str_eq_secret(json_get_str(*claims, "nonce"), nonce)) {
        why = "nonce";
        e = ERR_DENIED;
    }
    return e == ERR_OK ? e : ctx_fail(c, &f_issuer, e, str_from(why));
}

static enum err userinfo_call(struct ctx *c, struct str token, json_t **claims)
{
    struct http_header h[] = {
        {STR("Authorization"), arena_printf(c->arena, "Bearer " STR_FMT, STR_ARG(token))},
        {STR("Accept"), STR("application/json")}};
    struct client_call call = {.url = portal_url(c, "/api/v2/userinfo"),
                               .headers = h,
                               .n_headers = 2,
                               .timeout_ms = 5000,
                               .allow_inside = true};
    return call_json(c, &call, claims);
}

static struct str display_name(struct ctx *c, const json_t *claims)
{
    struct str family = json_get_str(claims, "usual_name");
    if (!family.n)
        family = json_get_str(claims, "preferred_username");
    if (!family.n)
        family = json_get_str(claims, "family_name");
    struct str given = json_get_str(claims, "given_name");
    return arena_printf(c->arena, STR_FMT " " STR_FMT, STR_ARG(given), STR_ARG(family));
}

/* An agent belongs here when the identity provider's SIRET is this organisation's. */
static bool agent_belongs(struct ctx *c, const json_t *claims)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    return db &&
           db_query_one(db, c->arena, &r, "SELECT 1 FROM organisation WHERE id = $1 AND siret = $2",
                        "ss", c->site->org_id, json_get_str(claims, "siret")) == ERR_OK;
}

static enum err finish(struct ctx *c, json_t *state, json_t *tokens, json_t *claims)
{
    json_t *info;
    struct str access = json_get_str(tokens, "access_token");
    bool agent = json_get_bool(state, "agent", false);
    enum err e = userinfo_call(c, access, &info);
    if (e != ERR_OK)
        return e;
    struct str sub = json_get_str(claims, "sub");
    if (!sub.n || !str_eq(sub, json_get_str(info, "sub"))) /* OpenID Connect Core 5.3.4 */
        return ctx_fail(c, &f_issuer, ERR_DENIED, STR("sub of userinfo"));
    if (agent && !agent_belongs(c, info))
        return ctx_fail(c, &f_refused, ERR_DENIED, STR("not an agent of this organisation"));
    json_t *data = json_object();
    struct str name = display_name(c, info);
    json_object_set_new(data, "name", json_stringn(name.p, name.n));
    json_object_set(data, "claims", info);
    json_object_set(data, "access_token", json_get(tokens, "access_token"));
    json_object_set(data, "id_token", json_get(tokens, "id_token"));
    json_object_set_new(
        data, "expires_at",
        json_integer(clock_now_ms() + json_get_i64(tokens, "expires_in", 60) * 1000));
    json_object_set(data, "sub", json_get(claims, "sub"));
    if (json_get(claims, "acr"))
        json_object_set(data, "acr", json_get(claims, "acr"));
    if (json_get(claims, "amr"))
        json_object_set(data, "amr", json_get(claims, "amr"));
    e = session_start(c, sub, agent ? ROLE_AGENT : ROLE_USER, data);
    if (e != ERR_OK)
        return e;
    ctx_cookie(c, STATE_COOKIE, STR(""), 0);
    return ctx_redirect(c, way_back(json_get_str(state, "return")));
}

enum err rp_callback(struct ctx *c)
{
    json_t *state, *tokens, *claims = NULL;
    static const char *const once[] = {"state", "code", "iss", "error"};
    for (size_t i = 0; i < COUNT_OF(once); i++)
        if (form_count(&c->query, once[i]) > 1)
            return ctx_fail(c, &f_state, ERR_INVALID, str_from(once[i]));
    if (state_unpack(c, &state) != ERR_OK || json_get_i64(state, "until", 0) < clock_now_ms() ||
        !str_eq_secret(ctx_query(c, "state"), json_get_str(state, "state")))
        return ctx_fail(c, &f_state, ERR_INVALID, STR_NONE);
    struct str iss = ctx_query(c, "iss"); /* RFC 9207: our issuer always says it */
    if (!str_eq_z(iss, c->pf->settings->base_url))
        return ctx_fail(c, &f_issuer, ERR_DENIED, STR("iss"));
    if (ctx_query(c, "error").p || !ctx_query(c, "code").p)
        return ctx_fail(c, &f_refused, ERR_DENIED, ctx_query(c, "error"));
    enum err e = token_call(c, ctx_query(c, "code"), json_get_str(state, "verifier"), &tokens);
    if (e == ERR_OK)
        e = id_token_check(c, json_get_str(tokens, "id_token"), json_get_str(state, "nonce"),
                           &claims);
    return e == ERR_OK ? finish(c, state, tokens, claims) : e;
}

enum err rp_sign_out(struct ctx *c)
{
    struct str id_token =
        c->session ? arena_dup(c->arena, json_get_str(c->session->data, "id_token")) : STR_NONE;
    enum err e = session_end(c);
    if (e != ERR_OK || !id_token.n)
        return e == ERR_OK ? ctx_redirect(c, STR("/")) : e;
    struct str url = portal_url(c, "/api/v2/session/end");
    url = url_with(c->arena, url, "id_token_hint", id_token);
    url = url_with(c->arena, url, "post_logout_redirect_uri", ctx_url(c, "/"));
    /* Not a redirection: browsers hold a form's redirections to form-action, and the way on leads
     * through the issuer to an identity provider that no page can name beforehand. */
    web_header(c->rs, "Refresh", arena_printf(c->arena, "0; url=" STR_FMT, STR_ARG(url)));
    return ctx_page(c, "platform/signed_out", json_pack("{s:s#}", "next_url", url.p, (int)url.n));
}

/* ---- registration ------------------------------------------------------------------------------
 */
struct site_row {
    struct str host, org_id, client_id, wrapped;
};

static enum err site_upsert(struct db_conn *db, void *arg)
{
    struct site_row *s = arg;
    enum err e = db_exec(db,
                         "INSERT INTO site(host, org_id, client_id, client_secret) "
                         "VALUES($1, $2, $3, $4) ON CONFLICT (host) DO UPDATE SET org_id = $2, "
                         "client_id = $3, client_secret = $4",
                         "sssb", s->host, s->org_id, s->client_id, s->wrapped);
    return e == ERR_OK ? change_add(db, "config", s->host, 0) : e;
}

enum err site_put(struct ctx *c, struct str host, struct str org_id, struct str client_id,
                  struct str client_secret)
{
    struct site_row s = {.host = host, .org_id = org_id, .client_id = client_id};
    enum err e = keys_wrap(c->pf->keys, "subject", host, client_secret, c->arena, &s.wrapped);
    return e == ERR_OK ? db_write(c->pf->db, site_upsert, &s) : e;
}

struct org_row {
    struct str id, siret;
    const char *kind, *name_fr, *name_en;
    int64_t now_ms;
};

static enum err org_upsert(struct db_conn *db, void *arg)
{
    struct org_row *o = arg;
    enum err e = db_exec(db,
                         "INSERT INTO organisation(id, siret, kind, name_fr, name_en, created_at) "
                         "VALUES($1, $2, $3, $4, $5, $6) ON CONFLICT (id) DO UPDATE SET "
                         "siret = $2, kind = $3, name_fr = $4, name_en = $5",
                         "sszzzi", o->id, o->siret, o->kind, o->name_fr, o->name_en, o->now_ms);
    return e == ERR_OK ? change_add(db, "config", o->id, 0) : e;
}

enum err org_put(struct ctx *c, struct str id, struct str siret, const char *kind,
                 const char *name_fr, const char *name_en)
{
    struct org_row o = {id, siret, kind, name_fr, name_en, clock_now_ms()};
    return db_write(c->pf->db, org_upsert, &o);
}
