/* Signing in with an account of our own: who she is (password, or a passkey by itself), then a
 * second factor where she has one or the service asks for more, then back to identity. */
#include "core/accounts/accounts.h"

#include "base/clock.h"
#include "base/log.h"
#include "crypto/password.h"
#include "platform/throttle.h"

enum { STEP_LIFE_MS = 10 * 60 * 1000 };

#define M "accounts"
const struct fault accounts_f_tries = {"ACN-429-TRIES", 429, M, "Too Many Tries"};
const struct fault accounts_f_form = {"ACN-422-FORM", 422, M, "Not Filled In Well"};
const struct fault accounts_f_password = {"ACN-403-PASSWORD", 403, M, "Wrong Password"};
const struct fault accounts_f_factor = {"ACN-403-FACTOR", 403, M, "Wrong Code"};
const struct fault accounts_f_none = {"ACN-404-ACCOUNT", 404, M, "No Own Account"};
const struct fault accounts_f_desk = {"ACN-403-DESK", 403, M, "Desk Code Not Valid"};
const struct fault accounts_f_passkey = {"ACN-422-PASSKEY", 422, M, "Passkey Not Accepted"};
const struct fault accounts_f_limit = {"ACN-409-LIMIT", 409, M, "Not Possible For This Account"};
const struct fault accounts_f_level = {"ACN-403-LEVEL", 403, M, "Substantial Sign-in Needed"};

/* ---- the sign-in under way ----------------------------------------------------------------------
 */
enum err own_flow_get(struct ctx *c, struct str id, struct own_flow *f, bool *answered)
{
    json_t *v;
    json_t *args = json_own(&c->pool, json_pack("{s:o}", "flow", json_str(id)));
    *answered = true;
    if (!c->pf->settings->own_accounts)
        return ctx_fail(c, &accounts_f_none, ERR_NOT_FOUND, STR_NONE);
    if (!id.n) /* somebody who came by herself: to her account */
        return ctx_redirect(c, portal_url(c, "/connexion?return=/compte"));
    enum err e = platform_call(c, "identity.own_flow", args, &v);
    if (e != ERR_OK || !json_get(v, "flow"))
        return e;
    *answered = false;
    *f = (struct own_flow){.id = json_get_str(v, "flow"),
                           .choose_url = json_get_str(v, "choose_url"),
                           .level = json_get_i64(v, "level", LEVEL_LOW),
                           .again = json_get_bool(v, "again", true),
                           .client_name = json_get(v, "client_name")};
    struct str to = json_get_str(v, "redirect_uri");
    if (to.n) /* the post of a page may end at the service */
        ctx_form_action(c, to);
    return ERR_OK;
}

static json_t *page_data(const struct own_flow *f)
{
    json_t *d =
        json_pack("{s:o,s:o}", "flow", json_str(f->id), "choose_url", json_str(f->choose_url));
    if (json_get_str(f->client_name, "fr").n)
        json_object_set(d, "client_name", (json_t *)f->client_name);
    return d;
}

static struct str with_flow(struct ctx *c, const char *path, const struct own_flow *f)
{
    return url_with(c->arena, portal_url(c, path), "flow", f->id);
}

/* ---- what she reached ---------------------------------------------------------------------------
 */
static enum err too_low(struct ctx *c, const struct own_flow *f, const struct account *a)
{
    json_t *d = page_data(f);
    json_object_set_new(d, "high", json_boolean(f->level >= LEVEL_HIGH));
    json_object_set_new(d, "not_verified", json_boolean(!a->verified.n));
    json_object_set_new(d, "no_factor", json_boolean(!a->totp.n && !a->n_passkeys));
    json_object_set_new(d, "code", json_string(accounts_f_level.code));
    c->rs->status = 403;
    return ctx_page(c, "accounts/level", d);
}

static json_t *words_json(const char *text)
{
    json_t *list = json_array();
    struct str rest = str_from(text), part;
    while (rest.n && str_split(&rest, ' ', &part))
        json_array_append_new(list, json_str(part));
    return list;
}

static struct str step_ticket(struct ctx *c, const struct own_flow *f, const struct account *a)
{
    json_t *v = json_pack("{s:o,s:o}", "flow", json_str(f->id), "account", json_str(a->id));
    struct str ticket = ticket_make(c, "step", v, STEP_LIFE_MS);
    json_decref(v);
    return ticket;
}

static enum err ask_factor(struct ctx *c, const struct own_flow *f, const struct account *a)
{
    struct str url =
        url_with(c->arena, portal_url(c, "/compte/connexion/code"), "etape", step_ticket(c, f, a));
    return ctx_redirect(c, url);
}

enum err own_finish(struct ctx *c, const struct own_flow *f, struct account *a, int64_t level,
                    const char *amr)
{
    json_t *out;
    if (!a->verified.n || level < LEVEL_LOW)
        level = LEVEL_LOW;
    if (level < f->level)
        return too_low(c, f, a);
    json_t *args = json_own(&c->pool, json_pack("{s:o,s:o,s:I,s:o}", "flow", json_str(f->id),
                                                "person", json_str(a->person), "level",
                                                (json_int_t)level, "amr", words_json(amr)));
    if (a->confirmed)
        json_object_set_new(args, "email", json_str(a->email));
    return platform_call(c, "identity.own_signed_in", args, &out);
}

/* ---- who is it ----------------------------------------------------------------------------------
 */
static enum err sign_in_page(struct ctx *c, const struct own_flow *f, bool wrong)
{
    json_t *d = page_data(f);
    json_object_set_new(d, "passkey", passkey_ask_get(c, NULL));
    json_object_set_new(d, "register_url", json_str(with_flow(c, "/compte/inscription", f)));
    json_object_set_new(d, "forgot_url", json_str(with_flow(c, "/compte/oubli", f)));
    if (wrong) {
        json_object_set_new(d, "wrong", json_true());
        c->rs->status = 401;
    }
    return ctx_page(c, "accounts/signin", d);
}

/* Signed in with this account already, and the service asks for more: only that is missing. */
static enum err step_up(struct ctx *c, const struct own_flow *f, bool *done)
{
    struct account *a;
    *done = false;
    if (!c->session || f->again || f->level < LEVEL_SUBSTANTIAL ||
        !str_eq_z(json_get_str(c->session->data, "provider"), "compte"))
        return ERR_OK;
    enum err e = account_mine(c, &a);
    if (e != ERR_OK)
        return e == ERR_NOT_FOUND ? ERR_OK : e;
    if (!a->totp.n && !a->n_passkeys)
        return ERR_OK;
    *done = true;
    return ask_factor(c, f, a);
}

enum err accounts_signin(struct ctx *c)
{
    struct own_flow f;
    bool answered;
    enum err e = own_flow_get(c, ctx_query(c, "flow"), &f, &answered);
    if (!answered)
        e = step_up(c, &f, &answered);
    return answered || e != ERR_OK ? e : sign_in_page(c, &f, false);
}

static enum err tries_both(struct ctx *c, const char *what, struct str whose)
{
    enum err e = tries_address(c);
    return e == ERR_OK ? tries_take(c, what, whose) : e;
}

static enum err tries_good(struct ctx *c, const char *what, struct str whose)
{
    tries_address_good(c);
    return throttle_right(c, what, whose);
}

enum err accounts_signin_post(struct ctx *c)
{
    struct own_flow f;
    bool answered;
    struct str email, password = ctx_form(c, "password");
    struct account *a = NULL;
    enum err e = own_flow_get(c, ctx_form(c, "flow"), &f, &answered);
    if (answered)
        return e;
    if (email_read(c, ctx_form(c, "email"), &email) != ERR_OK || password.n > PASSWORD_BYTES_MAX)
        return sign_in_page(c, &f, true);
    e = tries_both(c, "password", email);
    if (e == ERR_OK)
        e = account_by_email(c, email, &a);
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    /* An address without an account costs the same. */
    if (!password_matches(a ? a->password : STR_NONE, password)) {
        log_info("own_account_refused", "trace", c->trace_id);
        return sign_in_page(c, &f, true);
    }
    e = tries_good(c, "password", email);
    if (e != ERR_OK)
        return e;
    if (a->totp.n || a->n_passkeys)
        return ask_factor(c, &f, a);
    return own_finish(c, &f, a, LEVEL_LOW, "pwd");
}

/* ---- the second factor --------------------------------------------------------------------------
 */
static enum err step_read(struct ctx *c, struct str ticket, struct own_flow *f, struct account **a,
                          bool *answered)
{
    json_t *v;
    *answered = true;
    enum err e = ticket_open(c, "step", ticket, &v);
    if (e != ERR_OK)
        return ctx_redirect(c, portal_url(c, "/connexion"));
    e = own_flow_get(c, json_get_str(v, "flow"), f, answered);
    if (*answered || e != ERR_OK)
        return e;
    e = account_by_id(c, json_get_str(v, "account"), a);
    *answered = e != ERR_OK;
    return e;
}

static enum err factor_page(struct ctx *c, const struct own_flow *f, const struct account *a,
                            bool wrong)
{
    json_t *d = page_data(f);
    json_object_set_new(d, "step", json_str(step_ticket(c, f, a)));
    json_object_set_new(d, "totp", json_boolean(a->totp.n > 0));
    json_object_set_new(d, "more", json_boolean(f->level > LEVEL_LOW));
    if (a->n_passkeys)
        json_object_set_new(d, "passkey", passkey_ask_get(c, a));
    if (wrong) {
        json_object_set_new(d, "wrong", json_true());
        c->rs->status = 401;
    }
    return ctx_page(c, "accounts/factor", d);
}

enum err accounts_factor(struct ctx *c)
{
    struct own_flow f;
    struct account *a;
    bool answered;
    enum err e = step_read(c, ctx_query(c, "etape"), &f, &a, &answered);
    return answered ? e : factor_page(c, &f, a, false);
}

enum err accounts_factor_post(struct ctx *c)
{
    struct own_flow f;
    struct account *a;
    bool answered;
    int64_t level = LEVEL_LOW;
    const char *amr;
    enum err e = step_read(c, ctx_form(c, "etape"), &f, &a, &answered);
    if (answered)
        return e;
    e = tries_both(c, "factor", a->id);
    if (e == ERR_OK)
        e = factor_use(c, a, ctx_form(c, "code"), &level, &amr);
    if (e == ERR_DENIED)
        return factor_page(c, &f, a, true);
    if (e == ERR_OK)
        e = tries_good(c, "factor", a->id);
    if (level > LEVEL_SUBSTANTIAL) /* a code is never enough for the high level */
        level = LEVEL_SUBSTANTIAL;
    return e == ERR_OK ? own_finish(c, &f, a, level, amr) : e;
}

/* ---- a passkey ----------------------------------------------------------------------------------
 */
static int64_t level_of(const struct passkey *k, bool named)
{
    bool verified = k->cred.flags & WA_UV;
    if (k->level == LEVEL_HIGH && verified && !(k->cred.flags & WA_BE))
        return LEVEL_HIGH;
    return !verified && !named            ? LEVEL_LOW
           : k->level > LEVEL_SUBSTANTIAL ? LEVEL_SUBSTANTIAL
                                          : k->level;
}

enum err accounts_key_post(struct ctx *c)
{
    struct own_flow f;
    struct passkey k;
    struct account *a = NULL;
    bool answered;
    const char *why = "";
    struct str step = ctx_form(c, "etape");
    enum err e = step.n ? step_read(c, step, &f, &a, &answered)
                        : own_flow_get(c, ctx_form(c, "flow"), &f, &answered);
    if (answered)
        return e;
    bool named = a != NULL;
    e = tries_address(c);
    if (e == ERR_OK)
        e = passkey_assert(c, &a, &k, &why);
    if (e == ERR_INVALID) {
        log_info("passkey_refused", "trace", c->trace_id, "why", why);
        return named ? factor_page(c, &f, a, true) : sign_in_page(c, &f, true);
    }
    if (e != ERR_OK)
        return e;
    tries_address_good(c);
    bool verified = k.cred.flags & WA_UV;
    const char *kind = k.cred.flags & WA_BE ? "swk" : "hwk";
    return own_finish(c, &f, a, level_of(&k, named),
                      arena_printf(c->arena, "%s%s%s%s", kind, named ? " pwd" : "",
                                   verified ? " user" : "", named || verified ? " mfa" : "")
                          .p);
}
