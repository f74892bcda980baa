/* The process, its routes, and what the endpoints share. */
#include "demo/idp.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/log.h"
#include "base/rand.h"
#include "crypto/digest.h"
#include "crypto/seal.h"
#include "demo/bodies.h"
#include "sys/file.h"
#include "web/assets.h"
#include "web/pages.h"

/* ---- answers -----------------------------------------------------------------------------------
 */
void idp_json(struct idp_call *x, int status, json_t *body)
{
    web_header(x->rs, "Cache-Control", STR("no-store"));
    demo_json(x->rs, status, json_text(x->rq->arena, body));
    json_decref(body);
}

void idp_oauth_error(struct idp_call *x, int status, const char *error, const char *description)
{
    idp_json(x, status, json_pack("{s:s, s:s}", "error", error, "error_description", description));
}

void idp_redirect(struct idp_call *x, struct str to)
{
    x->rs->status = 303;
    web_header(x->rs, "Location", to);
    web_header(x->rs, "Cache-Control", STR("no-store"));
}

bool idp_list_has(const json_t *list, struct str value)
{
    size_t i;
    json_t *v;
    json_array_foreach((json_t *)list, i, v)
    {
        if (str_eq_z(value, json_string_value(v)))
            return true;
    }
    return false;
}

/* ---- what is sealed ----------------------------------------------------------------------------
 */
static struct str context_of(struct idp_call *x, const char *use)
{
    return arena_printf(x->rq->arena, "%s %s", use, x->provider->path);
}

struct str idp_seal(struct idp_call *x, const char *use, json_t *content)
{
    struct arena *a = x->rq->arena;
    struct str sealed = seal(a, x->idp->seal_key, context_of(x, use), json_text(a, content));
    json_decref(content);
    return codec_to_base64url(a, sealed.p, sealed.n);
}

json_t *idp_open(struct idp_call *x, const char *use, struct str text)
{
    struct str raw, plain;
    json_t *content;
    if (!text.n || codec_base64url(x->rq->arena, text, &raw) != ERR_OK ||
        unseal(x->rq->arena, x->idp->seal_key, context_of(x, use), raw, &plain) != ERR_OK ||
        json_read(plain, &content, NULL) != ERR_OK)
        return NULL;
    json_own(&x->pool, content);
    return json_get_i64(content, "until", 0) > clock_now_ms() ? content : NULL;
}

/* ---- accounts ----------------------------------------------------------------------------------
 */
static const json_t *account_in(const json_t *list, struct str login, const char *realm)
{
    size_t i;
    json_t *account;
    json_array_foreach(json_get(list, "accounts"), i, account)
    {
        if (str_eq_nocase(json_get_str(account, "login"), login) &&
            strcmp(json_get_z(account, "realm", ""), realm) == 0)
            return account;
    }
    return NULL;
}

const json_t *idp_account(struct str login, const char *realm)
{
    const json_t *one = account_in(demo_accounts(), login, realm);
    return one ? one : account_in(demo_identities(), login, realm);
}

static bool has_word(struct str words, struct str wanted)
{
    struct str part;
    while (words.n && str_split(&words, ' ', &part))
        if (part.n && str_eq(part, wanted))
            return true;
    return false;
}

/* Which scopes give a claim; the claim's own name always does. */
static const struct {
    const char *claim, *scopes;
} claim_scopes[] = {
    {"given_name", "profile identite_pivot"},
    {"given_name_array", "profile identite_pivot given_name"},
    {"family_name", "profile identite_pivot"},
    {"birthdate", "profile birth identite_pivot"},
    {"gender", "profile identite_pivot"},
    {"preferred_username", "profile"},
    {"birthplace", "birth identite_pivot"},
    {"birthcountry", "birth identite_pivot"},
    {"email", "email"},
    {"usual_name", "profile"},
    {"uid", "profile"},
    {"siret", "organization"},
    {"belonging_population", "organization"},
};

static bool scope_gives(struct str scope, size_t i)
{
    struct str part;
    while (scope.n && str_split(&scope, ' ', &part))
        if (part.n && (str_eq_z(part, claim_scopes[i].claim) ||
                       has_word(str_from(claim_scopes[i].scopes), part)))
            return true;
    return false;
}

json_t *idp_claims(struct idp_call *x, const json_t *account, struct str scope)
{
    uint8_t hash[SHA256_LEN];
    const json_t *from = json_get(account, "claims");
    json_t *out = json_object();
    /* Another name for each issuer, the same at each sign-in. */
    struct str who =
        arena_printf(x->rq->arena, "%s %s", x->provider->path, json_get_z(account, "login", ""));
    sha256(who.p, who.n, hash);
    json_object_set_new(out, "sub", json_string(codec_to_hex(x->rq->arena, hash, 16).p));
    for (size_t i = 0; i < COUNT_OF(claim_scopes); i++) {
        json_t *v = json_get(from, claim_scopes[i].claim);
        if (v && scope_gives(scope, i))
            json_object_set(out, claim_scopes[i].claim, v);
    }
    return out;
}

/* ---- metadata ----------------------------------------------------------------------------------
 */
static void discovery(struct idp_call *x)
{
    const char *is = x->issuer.p;
    struct arena *a = x->rq->arena;
    json_t *d = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:s, s:[s], s:[s], s:[s], s:[s], s:[s], s:[s,s], s:[s], s:[s], "
        "s:b, s:[s,s,s], s:[s,s]}",
        "issuer", is, "authorization_endpoint", arena_printf(a, "%s/authorize", is).p,
        "token_endpoint", arena_printf(a, "%s/token", is).p, "userinfo_endpoint",
        arena_printf(a, "%s/userinfo", is).p, "jwks_uri", arena_printf(a, "%s/jwks", is).p,
        "end_session_endpoint", arena_printf(a, "%s/session/end", is).p, "response_types_supported",
        "code", "grant_types_supported", "authorization_code", "subject_types_supported", "public",
        "id_token_signing_alg_values_supported", "ES256", "userinfo_signing_alg_values_supported",
        "ES256", "token_endpoint_auth_methods_supported", "client_secret_basic",
        "client_secret_post", "code_challenge_methods_supported", "S256", "acr_values_supported",
        "eidas1", "authorization_response_iss_parameter_supported", 1, "prompt_values_supported",
        "none", "login", "consent", "ui_locales_supported", "fr", "en");
    json_t *claims = json_pack("[s]", "sub"), *scopes = json_pack("[s]", "openid");
    for (size_t i = 0; i < COUNT_OF(claim_scopes); i++) {
        json_array_append_new(claims, json_string(claim_scopes[i].claim));
        json_array_append_new(scopes, json_string(claim_scopes[i].claim));
    }
    json_object_set_new(d, "claims_supported", claims);
    json_object_set_new(d, "scopes_supported", scopes);
    idp_json(x, 200, d);
}

static void jwks(struct idp_call *x)
{
    struct str json;
    if (keys_jwks(x->idp->keys, "issuer", x->rq->arena, &json) != ERR_OK)
        idp_oauth_error(x, 503, "temporarily_unavailable", "keys");
    else
        demo_json(x->rs, 200, json);
}

/* ---- routes ------------------------------------------------------------------------------------
 */
static const struct {
    const char *path;
    bool get, post;
    void (*fn)(struct idp_call *x);
} endpoints[] = {
    {"/.well-known/openid-configuration", true, false, discovery},
    {"/jwks", true, false, jwks},
    {"/authorize", true, true, idp_authorize},
    {"/token", false, true, idp_token},
    {"/userinfo", true, true, idp_userinfo},
    {"/session/end", true, true, idp_end_session},
};

static void style(struct web_response *rs)
{
    web_header(rs, "Content-Type", STR("text/css; charset=utf-8"));
    web_header(rs, "Cache-Control", STR("public, max-age=3600"));
    buf_add_str(&rs->body, asset_get("demo/static/idp.css"));
}

static const struct demo_provider *provider_of(struct str path, struct str *rest)
{
    const struct demo_provider *p;
    for (size_t i = 0; (p = demo_provider_at(i)) != NULL; i++) {
        struct str prefix = str_from(p->path);
        if (str_starts(path, prefix)) {
            *rest = str_after(path, prefix.n);
            return p;
        }
    }
    return NULL;
}

static const char *language(const struct idp_call *x)
{
    struct str asked = form_get(&x->query, "ui_locales");
    if (!asked.n)
        asked = http_header_get(x->rq->head, "Accept-Language");
    return str_starts(asked, STR("en")) ? "en" : "fr";
}

static void serve(struct idp_call *x, struct str rest)
{
    struct web_request *rq = x->rq;
    bool reads = rq->method == HTTP_GET || rq->method == HTTP_HEAD;
    bool posts = rq->method == HTTP_POST;
    for (size_t i = 0; i < COUNT_OF(endpoints); i++) {
        if (!str_eq_z(rest, endpoints[i].path))
            continue;
        if ((reads && endpoints[i].get) || (posts && endpoints[i].post))
            endpoints[i].fn(x);
        else
            idp_oauth_error(x, 405, "invalid_request", "method");
        return;
    }
    idp_oauth_error(x, 404, "invalid_request", "no such path");
}

static void handle(struct web_request *rq, struct web_response *rs, void *arg)
{
    struct str rest;
    struct idp_call x = {.idp = arg, .rq = rq, .rs = rs};
    if (str_eq_z(rq->path, "/static/idp.css")) {
        style(rs);
        return;
    }
    x.provider = provider_of(rq->path, &rest);
    if (!x.provider) {
        demo_json(rs, 404, STR("{\"error\":\"invalid_request\"}"));
        return;
    }
    x.issuer = demo_provider_issuer(rq->arena, x.idp->settings, x.provider);
    x.client = json_get(x.idp->registrations, x.provider->path);
    if (form_read(rq->arena, rq->query, &x.query) != ERR_OK ||
        (rq->method == HTTP_POST && form_read(rq->arena, rq->body, &x.form) != ERR_OK)) {
        idp_oauth_error(&x, 400, "invalid_request", "malformed parameters");
        return;
    }
    x.lang = language(&x);
    serve(&x, rest);
    json_pool_free(&x.pool);
}

/* ---- the process -------------------------------------------------------------------------------
 */
static enum err open_all(struct arena *a, struct idp *idp)
{
    struct str text;
    struct str folder = arena_printf(a, "%s/demo/idp-keys", idp->settings->data);
    enum err e = pages_load();
    if (e == ERR_OK)
        e = file_read(a, demo_registrations_path(a, idp->settings).p, 64 * 1024, &text);
    if (e == ERR_OK)
        e = json_read(text, &idp->registrations, NULL);
    if (e == ERR_OK)
        e = file_make_dirs(folder.p, 0700);
    if (e == ERR_OK)
        e = keys_open_local(folder.p, &idp->keys);
    return e == ERR_OK && !demo_accounts() ? ERR_CORRUPT : e;
}

int demo_idp_main(struct proc *self, void *settings)
{
    struct arena a;
    struct idp idp = {.settings = settings};
    log_set_process("demo-idp");
    arena_init(&a);
    rand_bytes(idp.seal_key, sizeof idp.seal_key);
    enum err e = open_all(&a, &idp);
    if (e != ERR_OK) {
        log_error("demo_idp_cannot_start", "error", err_name(e));
        return 1;
    }
    return demo_serve(self, settings, DEMO_PORT_IDP, handle, &idp);
}
