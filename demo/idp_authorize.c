/* Signing in: the request is checked before anything is shown, the page asks for a login and a
 * password, and the code goes back to the address that was registered. */
#include "demo/idp.h"

#include "base/clock.h"
#include "base/rand.h"
#include "crypto/password.h"
#include "web/pages.h"

enum { CODE_LIFE_MS = 60 * 1000, SESSION_LIFE_MS = 30 * 60 * 1000 };

/* The request as it came, and again from the page's hidden field. */
struct asked {
    struct str raw, redirect_uri, state, nonce, scope, prompt, challenge, max_age, login_hint;
};

/* ---- pages -------------------------------------------------------------------------------------
 */
static void page(struct idp_call *x, int status, const char *name, json_t *data)
{
    struct web_response *rs = x->rs;
    bool en = strcmp(x->lang, "en") == 0;
    rs->status = status;
    web_header(rs, "Content-Type", STR("text/html; charset=utf-8"));
    /* No form-action: the form's answer is a redirection to the client, which redirects in its
     * turn, and browsers hold the whole way to that directive. */
    web_header(
        rs, "Content-Security-Policy",
        STR("default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'"));
    web_header(rs, "X-Content-Type-Options", STR("nosniff"));
    web_header(rs, "Referrer-Policy", STR("same-origin"));
    web_header(rs, "Cache-Control", STR("no-store"));
    json_object_set_new(data, "lang", json_string(x->lang));
    json_object_set_new(data, "provider_name",
                        json_string(en ? x->provider->title_en : x->provider->title_fr));
    if (pages_render(name, x->lang, data, &rs->body) != ERR_OK)
        rs->status = 500;
    json_decref(data);
}

static void refuse(struct idp_call *x, const char *why)
{
    page(x, 400, "demo/refused", json_pack("{s:s}", "why", why));
}

/* Back to the client with an error (OpenID Connect Core 3.1.2.6). */
static struct str error_url(struct idp_call *x, const struct asked *q, const char *error)
{
    struct arena *a = x->rq->arena;
    struct str url = url_with(a, q->redirect_uri, "error", str_from(error));
    if (q->state.p)
        url = url_with(a, url, "state", q->state);
    return url_with(a, url, "iss", x->issuer);
}

/* The same page in the other language. */
static struct str other_lang_url(struct idp_call *x, const struct asked *q)
{
    struct arena *a = x->rq->arena;
    struct str rest = q->raw, part;
    struct str url = arena_printf(a, "%s/authorize", x->provider->path);
    const char *sep = "?";
    while (rest.n && str_split(&rest, '&', &part)) {
        if (part.n == 0 || str_starts(part, STR("ui_locales=")))
            continue;
        url = arena_printf(a, STR_FMT "%s" STR_FMT, STR_ARG(url), sep, STR_ARG(part));
        sep = "&";
    }
    return url_with(a, url, "ui_locales", strcmp(x->lang, "en") == 0 ? STR("fr") : STR("en"));
}

static json_t *accounts_of(struct idp_call *x)
{
    json_t *list = json_array(), *account;
    size_t i;
    json_array_foreach(json_get(demo_accounts(), "accounts"), i, account)
    {
        if (strcmp(json_get_z(account, "realm", ""), x->provider->realm) == 0)
            json_array_append_new(
                list, json_pack("{s:O, s:O, s:O}", "login", json_get(account, "login"), "password",
                                json_get(account, "password"), "note", json_get(account, "note")));
    }
    return list;
}

static void sign_in_page(struct idp_call *x, const struct asked *q, struct str login, bool wrong)
{
    struct str cancel = error_url(x, q, "access_denied"), other = other_lang_url(x, q);
    struct str action = arena_printf(x->rq->arena, "%s/authorize", x->provider->path);
    json_t *d = json_object();
    json_object_set_new(d, "action", json_string(action.p));
    json_object_set_new(d, "request", json_stringn(q->raw.p, q->raw.n));
    json_object_set_new(d, "login", json_stringn(login.p ? login.p : "", login.n));
    json_object_set_new(d, "cancel_url", json_stringn(cancel.p, cancel.n));
    json_object_set_new(d, "other_lang_url", json_stringn(other.p, other.n));
    json_object_set_new(d, "other_lang", json_string(strcmp(x->lang, "en") == 0 ? "fr" : "en"));
    json_object_set_new(d, "accounts", accounts_of(x));
    json_object_set_new(d, "wrong", json_boolean(wrong));
    page(x, wrong ? 422 : 200, "demo/signin", d);
}

/* ---- sessions ----------------------------------------------------------------------------------
 */
/* Its cookies' names differ by issuer: three of them share one host. */
static const char *cookie_of(struct idp_call *x)
{
    return arena_printf(x->rq->arena, "idp_%s", x->provider->path + 1).p;
}

static json_t *session_get(struct idp_call *x)
{
    return idp_open(x, "session", cookie_get(http_header_get(x->rq->head, "Cookie"), cookie_of(x)));
}

static void session_set(struct idp_call *x, const json_t *account, int64_t now_ms)
{
    struct str value =
        idp_seal(x, "session",
                 json_pack("{s:O, s:I, s:I}", "login", json_get(account, "login"), "at",
                           (json_int_t)now_ms, "until", (json_int_t)(now_ms + SESSION_LIFE_MS)));
    web_header(x->rs, "Set-Cookie", cookie_make(x->rq->arena, cookie_of(x), value, false, -1));
}

/* ---- the code ----------------------------------------------------------------------------------
 */
static void give_code(struct idp_call *x, const struct asked *q, const json_t *account,
                      int64_t signed_in_ms)
{
    char id[ID_LEN + 1];
    struct arena *a = x->rq->arena;
    id_new(id);
    json_t *content = json_object();
    json_object_set_new(content, "id", json_string(id));
    json_object_set(content, "login", json_get(account, "login"));
    json_object_set_new(content, "redirect_uri",
                        json_stringn(q->redirect_uri.p, q->redirect_uri.n));
    json_object_set_new(content, "nonce", json_stringn(q->nonce.p ? q->nonce.p : "", q->nonce.n));
    json_object_set_new(content, "scope", json_stringn(q->scope.p, q->scope.n));
    json_object_set_new(content, "challenge",
                        json_stringn(q->challenge.p ? q->challenge.p : "", q->challenge.n));
    json_object_set_new(content, "at", json_integer(signed_in_ms));
    json_object_set_new(content, "until", json_integer(clock_now_ms() + CODE_LIFE_MS));
    struct str url = url_with(a, q->redirect_uri, "code", idp_seal(x, "code", content));
    if (q->state.p)
        url = url_with(a, url, "state", q->state);
    idp_redirect(x, url_with(a, url, "iss", x->issuer));
}

/* ---- the request -------------------------------------------------------------------------------
 */
/* False: answered already. An unknown client or address is told to the person and never redirected
 * (OAuth 2.0, RFC 6749 4.1.2.1). */
static bool asked_read(struct idp_call *x, struct str raw, const struct form *f, struct asked *q)
{
    *q = (struct asked){.raw = raw,
                        .redirect_uri = form_get(f, "redirect_uri"),
                        .state = form_get(f, "state"),
                        .nonce = form_get(f, "nonce"),
                        .scope = form_get(f, "scope"),
                        .prompt = form_get(f, "prompt"),
                        .challenge = form_get(f, "code_challenge"),
                        .max_age = form_get(f, "max_age"),
                        .login_hint = form_get(f, "login_hint")};
    if (!x->client || !str_eq_z(form_get(f, "client_id"), json_get_z(x->client, "client_id", "")) ||
        !idp_list_has(json_get(x->client, "redirect_uris"), q->redirect_uri)) {
        refuse(x, x->client ? "client_id, redirect_uri" : "client_id");
        return false;
    }
    const char *error = NULL;
    if (!str_eq_z(form_get(f, "response_type"), "code"))
        error = "unsupported_response_type";
    else if (!str_starts(q->scope, STR("openid")))
        error = "invalid_scope";
    else if (q->challenge.p && !str_eq_z(form_get(f, "code_challenge_method"), "S256"))
        error = "invalid_request";
    if (error)
        idp_redirect(x, error_url(x, q, error));
    return !error;
}

static bool session_is_enough(const struct asked *q, const json_t *session)
{
    uint64_t max_age_s;
    if (!session || str_eq_z(q->prompt, "login"))
        return false;
    return !str_to_u64(q->max_age, &max_age_s) ||
           clock_now_ms() - json_get_i64(session, "at", 0) <= (int64_t)max_age_s * 1000;
}

static void begin(struct idp_call *x)
{
    struct asked q;
    if (!asked_read(x, x->rq->query, &x->query, &q))
        return;
    json_t *session = session_get(x);
    const json_t *account =
        session ? idp_account(json_get_str(session, "login"), x->provider->realm) : NULL;
    if (account && session_is_enough(&q, session))
        give_code(x, &q, account, json_get_i64(session, "at", 0));
    else if (str_eq_z(q.prompt, "none"))
        idp_redirect(x, error_url(x, &q, "login_required"));
    else
        sign_in_page(x, &q, q.login_hint, false);
}

/* Only from our own page: else another site could sign a person in under a name of its choice. */
static bool from_here(struct idp_call *x)
{
    struct str origin = http_header_get(x->rq->head, "Origin");
    struct str own = str_sub(x->issuer, 0, x->issuer.n - strlen(x->provider->path));
    return !origin.p || str_eq(origin, own);
}

static void finish(struct idp_call *x)
{
    struct asked q;
    struct form again;
    struct str raw = form_get(&x->form, "request"), login = str_trim(form_get(&x->form, "login"));
    struct str password = form_get(&x->form, "password");
    if (!from_here(x) || form_read(x->rq->arena, raw, &again) != ERR_OK) {
        refuse(x, "Origin");
        return;
    }
    struct str locale = form_get(&again, "ui_locales");
    if (locale.n)
        x->lang = str_starts(locale, STR("en")) ? "en" : "fr";
    if (!asked_read(x, raw, &again, &q))
        return;
    const json_t *account = idp_account(login, x->provider->realm);
    struct str phc = account ? json_get_str(account, "argon2id") : STR_NONE;
    if (!password_matches(phc, password)) {
        sign_in_page(x, &q, login, true);
        return;
    }
    if (json_get(account, "refused")) { /* blocked, deceased: the service learns no more */
        idp_redirect(x, error_url(x, &q, "access_denied"));
        return;
    }
    int64_t now_ms = clock_now_ms();
    session_set(x, account, now_ms);
    give_code(x, &q, account, now_ms);
}

void idp_authorize(struct idp_call *x)
{
    if (x->rq->method != HTTP_POST)
        begin(x);
    else if (form_get(&x->form, "request").p)
        finish(x);
    else
        idp_oauth_error(x, 400, "invalid_request", "the request is to come in the address");
}

/* ---- end of session ----------------------------------------------------------------------------
 */
void idp_end_session(struct idp_call *x)
{
    const struct form *f = x->rq->method == HTTP_POST ? &x->form : &x->query;
    struct str to = form_get(f, "post_logout_redirect_uri"), state = form_get(f, "state");
    web_header(x->rs, "Set-Cookie", cookie_make(x->rq->arena, cookie_of(x), STR(""), false, 0));
    if (!to.p || !idp_list_has(json_get(x->client, "after_logout"), to)) {
        page(x, 200, "demo/signed_out", json_object());
        return;
    }
    idp_redirect(x, state.p ? url_with(x->rq->arena, to, "state", state) : to);
}
