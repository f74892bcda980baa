/* What the holder of an account does with it. Each act asks for the password once more: a session
 * left open is not enough. A page and its twin of the API run the same function. */
#include "core/accounts/accounts.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/log.h"
#include "base/rand.h"
#include "crypto/password.h"
#include "platform/qr.h"
#include "platform/throttle.h"
#include "web/pages.h"

enum { PAGE_LIFE_MS = 30 * 60 * 1000 };
enum { TOTP_SECRET_LEN = 20, DESK_WINDOW_MS = 30 * 60 * 1000 };

static bool is_api(const struct ctx *c)
{
    return c->route->flags & ROUTE_API;
}

static struct str text(struct ctx *c, const char *key)
{
    return pages_text(c->arena, "accounts", key, c->lang, NULL);
}

/* ---- what there is ------------------------------------------------------------------------------
 */
static json_t *keys_json(struct ctx *c, const struct account *a)
{
    struct passkey *list;
    size_t n;
    json_t *items = json_array();
    if (passkeys_of(c, a, &list, &n) != ERR_OK)
        return items;
    for (size_t i = 0; i < n; i++) {
        const struct passkey *k = &list[i];
        struct str made = clock_in_words(c->arena, k->created_ms, c->lang, false);
        json_t *v = json_pack("{s:o,s:o,s:I,s:b,s:o,s:I,s:I}", "id", json_str(k->id), "name",
                              json_str(k->name.n ? k->name : text(c, "key.unnamed")), "level",
                              (json_int_t)k->level, "synced", (k->cred.flags & WA_BE) != 0,
                              "created", json_str(made), "created_at", (json_int_t)k->created_ms,
                              "used_at", (json_int_t)k->used_ms);
        if (k->used_ms)
            json_object_set_new(v, "used",
                                json_str(clock_in_words(c->arena, k->used_ms, c->lang, true)));
        json_object_set_new(v, "high", json_boolean(k->level == LEVEL_HIGH));
        json_array_append_new(items, v);
    }
    return items;
}

static json_t *account_json(struct ctx *c, const struct account *a)
{
    int64_t now_ms = clock_now_ms();
    json_t *d = json_pack("{s:o,s:b,s:o,s:b,s:I,s:I,s:o}", "email", json_str(a->email), "confirmed",
                          a->confirmed, "verified", json_str(a->verified), "totp", a->totp.n > 0,
                          "totp_level", (json_int_t)a->totp_level, "recovery_left",
                          (json_int_t)a->n_recovery, "passkeys", keys_json(c, a));
    if (a->desk_until_ms > now_ms)
        json_object_set_new(d, "desk_until",
                            json_str(clock_in_words(c->arena, a->desk_until_ms, c->lang, true)));
    return d;
}

/* Signed in elsewhere at the substantial level or above: it says who she is. */
static const json_t *vouched(const struct ctx *c)
{
    const json_t *d = c->session->data, *claims = json_get(d, "claims");
    struct str acr = json_get_str(d, "acr");
    bool good = str_eq_z(acr, "eidas2") || str_eq_z(acr, "eidas3");
    return good && !str_eq_z(json_get_str(d, "provider"), "compte") && json_get(claims, "birthdate")
               ? claims
               : NULL;
}

static json_t *flash(struct ctx *c, const char *kind, const char *key)
{
    struct str words = text(c, key);
    return words.p ? json_pack("{s:b,s:o}", kind, true, "title", json_str(words)) : NULL;
}

static enum err home(struct ctx *c, const struct fault *wrong)
{
    struct account *a;
    json_t *d;
    struct str done = ctx_query(c, "fait");
    enum err e = account_mine(c, &a);
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    d = e == ERR_OK ? account_json(c, a)
                    : json_pack("{s:b,s:b}", "none", true, "vouched", vouched(c) != NULL);
    if (wrong) {
        c->rs->status = wrong->status;
        c->fault = *wrong;
        json_object_set_new(
            d, "flash",
            flash(c, "error", arena_printf(c->arena, "error.%s.meaning", wrong->code).p));
    } else if (done.n && done.n < 20 && c->rq->method != HTTP_POST) {
        json_t *f = flash(c, "success", arena_printf(c->arena, "done." STR_FMT, STR_ARG(done)).p);
        if (f)
            json_object_set_new(d, "flash", f);
    }
    json_object_set_new(d, "back_url", json_string("/account/security"));
    return ctx_page(c, "accounts/home", d);
}

enum err accounts_page(struct ctx *c)
{
    if (!c->pf->settings->own_accounts)
        return ctx_fail(c, &accounts_f_none, ERR_NOT_FOUND, STR_NONE);
    return home(c, NULL);
}

enum err accounts_api(struct ctx *c)
{
    struct account *a;
    enum err e = account_mine(c, &a);
    if (e == ERR_NOT_FOUND)
        return ctx_fail(c, &accounts_f_none, e, STR_NONE);
    return e == ERR_OK ? ctx_json(c, 200, account_json(c, a)) : e;
}

enum err accounts_refused(struct ctx *c, const struct fault *f)
{
    enum err e = f->status == 429 ? ERR_LIMIT : f->status == 404 ? ERR_NOT_FOUND : ERR_DENIED;
    return is_api(c) || f->status == 404 || f->status == 429 ? ctx_fail(c, f, e, STR_NONE)
                                                             : home(c, f);
}

/* Her account, and her password again. *answered: refused. */
static enum err mine(struct ctx *c, struct account **a, bool *answered)
{
    struct str password = ctx_form(c, "current");
    *answered = true;
    enum err e = account_mine(c, a);
    if (e == ERR_NOT_FOUND)
        return accounts_refused(c, &accounts_f_none);
    if (e == ERR_OK)
        e = tries_take(c, "password", (*a)->email);
    if (e != ERR_OK)
        return e;
    if (password.n > PASSWORD_BYTES_MAX || !password_matches((*a)->password, password))
        return accounts_refused(c, &accounts_f_password);
    e = throttle_right(c, "password", (*a)->email);
    *answered = e != ERR_OK;
    return e;
}

static enum err done(struct ctx *c, const char *what)
{
    if (is_api(c))
        return ctx_json(c, 200, json_pack("{s:s}", "done", what));
    return ctx_redirect(c, url_with(c->arena, portal_url(c, "/compte"), "fait", str_from(what)));
}

/* ---- password and address -----------------------------------------------------------------------
 */
enum err accounts_password(struct ctx *c)
{
    struct account *a;
    bool answered;
    struct str password = ctx_form(c, "password");
    enum err e = mine(c, &a, &answered);
    if (answered)
        return e;
    if (password_fault(password, a->email))
        return accounts_refused(c, &accounts_f_form);
    a->password = password_hash(c->arena, password);
    e = account_write(c, a, "accounts.password_changed", "Vous avez changé votre mot de passe",
                      "You changed your password");
    if (e == ERR_OK) /* whoever else was signed in as her is no more */
        e = session_end_all(c, c->site->host, a->person);
    if (e != ERR_OK)
        return e;
    return is_api(c)
               ? done(c, "password")
               : ctx_redirect(c, portal_url(c, "/connexion?return=/compte%3Ffait%3Dpassword"));
}

static enum err email_set(struct ctx *c, struct account *a, struct str email, bool confirmed)
{
    json_t *letter, *out;
    struct str old = a->email;
    bool told = a->confirmed;
    a->email = email;
    a->confirmed = confirmed;
    enum err e = account_write(c, a, "accounts.address_changed",
                               "Vous avez changé l’adresse de votre compte",
                               "You changed the address of your account");
    if (e == ERR_EXISTS)
        return accounts_refused(c, &accounts_f_limit);
    if (e == ERR_OK && confirmed && !a->verified.n) { /* what services are told of her */
        json_t *args = json_own(&c->pool, json_pack("{s:o,s:{s:o}}", "account", json_str(a->id),
                                                    "claims", "email", json_str(email)));
        e = platform_call(c, "identity.own_person", args, &out);
    }
    if (e == ERR_OK && told)
        e = letter_write(c, a->person.p, old, "moved", json_own(&c->pool, json_object()), &letter);
    return e == ERR_OK ? done(c, "email") : e;
}

static struct str code_digest(struct ctx *c, struct str code)
{
    return secret_digest(c, "letter", secret_typed(c, code));
}

static enum err email_ask(struct ctx *c, struct str ticket, struct str email, json_t *letter,
                          bool wrong)
{
    if (is_api(c) && wrong)
        return ctx_fail(c, &accounts_f_factor, ERR_DENIED, STR_NONE);
    if (is_api(c))
        return ctx_json(c, 200,
                        json_pack("{s:o,s:o*}", "ticket", json_str(ticket), "letter",
                                  letter ? json_incref(letter) : NULL));
    json_t *d = json_pack("{s:o,s:o,s:b,s:O*}", "ticket", json_str(ticket), "email",
                          json_str(email), "wrong", wrong, "letter", letter);
    if (wrong)
        c->rs->status = 422;
    return ctx_page(c, "accounts/address", d);
}

enum err accounts_email(struct ctx *c)
{
    struct account *a, *other = NULL;
    bool answered;
    json_t *letter;
    uint8_t random[8];
    char code[sizeof random + 1] = {0};
    struct str email;
    enum err e = mine(c, &a, &answered);
    if (answered)
        return e;
    if (email_read(c, ctx_form(c, "email"), &email) != ERR_OK || str_eq(email, a->email))
        return accounts_refused(c, &accounts_f_form);
    e = tries_take(c, "letters", email);
    if (e == ERR_OK && !letters_go(c))
        return email_set(c, a, email, false);
    if (e == ERR_OK)
        e = account_by_email(c, email, &other);
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    rand_bytes(random, sizeof random);
    for (size_t i = 0; i < sizeof random; i++)
        code[i] = (char)('0' + random[i] % 10);
    json_t *v = json_own(&c->pool, json_pack("{s:o,s:o,s:o,s:b}", "account", json_str(a->id),
                                             "email", json_str(email), "code",
                                             json_str(code_digest(c, str_from(code))), "taken",
                                             other != NULL));
    json_t *data = json_own(&c->pool, json_pack("{s:s}", "code", code));
    e = letter_write(c, a->person.p, email, other ? "taken" : "address", data, &letter);
    return e == ERR_OK
               ? email_ask(c, ticket_make(c, "address", v, PAGE_LIFE_MS), email, letter, false)
               : e;
}

enum err accounts_email_confirm(struct ctx *c)
{
    struct account *a;
    json_t *v;
    struct str ticket = ctx_form(c, "ticket");
    enum err e = account_mine(c, &a);
    if (e == ERR_NOT_FOUND)
        return accounts_refused(c, &accounts_f_none);
    if (e != ERR_OK)
        return e;
    if (ticket_open(c, "address", ticket, &v) != ERR_OK ||
        !str_eq(json_get_str(v, "account"), a->id))
        return accounts_refused(c, &accounts_f_form);
    struct str digest = json_get_str(v, "code");
    e = tries_take(c, "letter", digest);
    if (e != ERR_OK)
        return e;
    if (!str_eq_secret(code_digest(c, ctx_form(c, "code")), digest) ||
        json_get_bool(v, "taken", true))
        return email_ask(c, ticket, json_get_str(v, "email"), NULL, true);
    e = used_once(c, "letter", digest, PAGE_LIFE_MS);
    if (e == ERR_EXISTS)
        return accounts_refused(c, &accounts_f_form);
    return e == ERR_OK ? email_set(c, a, json_get_str(v, "email"), true) : e;
}

/* ---- the authenticator application --------------------------------------------------------------
 */
static enum err totp_ask(struct ctx *c, const struct account *a, struct str secret, bool wrong)
{
    struct str hex = codec_to_base64url(c->arena, secret.p, secret.n);
    json_t *v = json_pack("{s:o,s:o}", "account", json_str(a->id), "secret", json_str(hex));
    struct str ticket = ticket_make(c, "totp", v, PAGE_LIFE_MS), uri = totp_uri(c, a, secret);
    json_decref(v);
    if (is_api(c) && wrong)
        return ctx_fail(c, &accounts_f_factor, ERR_DENIED, STR_NONE);
    json_t *d = json_pack("{s:o,s:o,s:o}", "ticket", json_str(ticket), "secret",
                          json_str(totp_base32(c, secret)), "uri", json_str(uri));
    if (is_api(c))
        return ctx_json(c, 200, d);
    json_t *qr = qr_svg(uri);
    if (qr)
        json_object_set_new(d, "qr", qr);
    json_object_set_new(d, "wrong", json_boolean(wrong));
    if (wrong)
        c->rs->status = 422;
    return ctx_page(c, "accounts/totp", d);
}

enum err accounts_totp(struct ctx *c)
{
    struct account *a;
    bool answered;
    char *secret = arena_alloc(c->arena, TOTP_SECRET_LEN);
    enum err e = mine(c, &a, &answered);
    if (answered)
        return e;
    rand_bytes(secret, TOTP_SECRET_LEN);
    return totp_ask(c, a, str_of(secret, TOTP_SECRET_LEN), false);
}

enum err accounts_totp_on(struct ctx *c)
{
    struct account *a;
    json_t *v;
    struct str secret;
    int64_t step, level;
    enum err e = account_mine(c, &a);
    if (e == ERR_NOT_FOUND)
        return accounts_refused(c, &accounts_f_none);
    if (e != ERR_OK)
        return e;
    if (ticket_open(c, "totp", ctx_form(c, "ticket"), &v) != ERR_OK ||
        !str_eq(json_get_str(v, "account"), a->id) ||
        codec_base64url(c->arena, json_get_str(v, "secret"), &secret) != ERR_OK)
        return accounts_refused(c, &accounts_f_form);
    if (totp_check(secret, ctx_form(c, "code"), clock_now_ms(), 0, &step) != ERR_OK)
        return totp_ask(c, a, secret, true);
    level = factor_level(c, a);
    a->totp = secret;
    a->totp_step = step;
    a->totp_level = level > LEVEL_SUBSTANTIAL ? LEVEL_SUBSTANTIAL : level;
    a->desk_until_ms = 0;
    e = account_write(c, a, "accounts.totp_added", "Vous avez relié une application à votre compte",
                      "You linked an application to your account");
    return e == ERR_OK ? done(c, "totp") : e;
}

enum err accounts_totp_off(struct ctx *c)
{
    struct account *a;
    bool answered;
    enum err e = mine(c, &a, &answered);
    if (answered)
        return e;
    a->totp = STR("");
    a->totp_level = a->totp_step = 0;
    e = account_write(c, a, "accounts.totp_removed",
                      "Vous avez retiré l’application de votre compte",
                      "You removed the application from your account");
    return e == ERR_OK ? done(c, "totp_off") : e;
}

enum err accounts_codes(struct ctx *c)
{
    struct account *a;
    bool answered;
    json_t *codes, *code;
    size_t i;
    struct buf file;
    enum err e = mine(c, &a, &answered);
    if (!answered)
        e = recovery_new(c, a, &codes);
    if (answered || e != ERR_OK)
        return e;
    if (is_api(c))
        return ctx_json(c, 200, json_pack("{s:O}", "codes", codes));
    buf_init(&file, 4096);
    json_array_foreach(codes, i, code) buf_printf(&file, "%s%%0A", json_string_value(code));
    json_t *d = json_pack("{s:O,s:s%}", "codes", codes, "file", file.p, file.n);
    buf_free(&file);
    return ctx_page(c, "accounts/codes", d);
}

/* ---- passkeys -----------------------------------------------------------------------------------
 */
enum err accounts_key(struct ctx *c)
{
    struct account *a;
    bool answered;
    enum err e = mine(c, &a, &answered);
    if (answered)
        return e;
    if (a->n_passkeys >= PASSKEYS_MAX)
        return accounts_refused(c, &accounts_f_limit);
    return ctx_page(c, "accounts/key", json_pack("{s:o}", "passkey", passkey_ask_create(c, a)));
}

enum err accounts_key_add(struct ctx *c)
{
    struct account *a;
    const char *why = "";
    enum err e = account_mine(c, &a);
    if (e == ERR_NOT_FOUND)
        return accounts_refused(c, &accounts_f_none);
    if (e == ERR_OK)
        e = passkey_register(c, a, &why);
    if (e == ERR_INVALID || e == ERR_LIMIT) {
        log_info("passkey_not_added", "trace", c->trace_id, "why", why);
        return accounts_refused(c, &accounts_f_passkey);
    }
    return e == ERR_OK ? done(c, "key") : e;
}

enum err accounts_key_remove(struct ctx *c)
{
    struct account *a;
    bool answered;
    enum err e = mine(c, &a, &answered);
    if (!answered)
        e = passkey_remove(c, a, ctx_path(c, "id"));
    if (!answered && e == ERR_NOT_FOUND)
        return accounts_refused(c, &accounts_f_none);
    return answered || e != ERR_OK ? e : done(c, "key_off");
}

/* ---- the end of it ------------------------------------------------------------------------------
 */
enum err accounts_delete_page(struct ctx *c)
{
    struct account *a;
    enum err e = account_mine(c, &a);
    if (e == ERR_NOT_FOUND)
        return accounts_refused(c, &accounts_f_none);
    return e == ERR_OK ? ctx_page(c, "accounts/delete", json_object()) : e;
}

enum err accounts_delete(struct ctx *c)
{
    struct account *a;
    struct act act;
    json_t *out;
    bool answered;
    enum err e = mine(c, &a, &answered);
    if (answered)
        return e;
    json_t *args = json_own(&c->pool, json_pack("{s:o}", "person", json_str(a->person)));
    e = account_act(c, a, "accounts.deleted", "self", "Vous avez supprimé votre compte",
                    "You deleted your account", &act);
    if (e == ERR_OK)
        e = act_write(c, NULL, NULL, &act, 1);
    if (e == ERR_OK)
        e = accounts_call_forget(c, args, &out);
    if (e == ERR_OK)
        json_decref(out);
    if (e == ERR_OK)
        e = session_end_all(c, c->site->host, a->person);
    if (e == ERR_OK)
        e = platform_call(c, "identity.own_gone", args, &out);
    if (e != ERR_OK)
        return e;
    return is_api(c) ? done(c, "deleted") : ctx_redirect(c, portal_url(c, "/deconnexion"));
}

/* ---- who she is ---------------------------------------------------------------------------------
 */
/* Signed in by another provider, she names her account here: from now on they are one person. */
enum err accounts_link(struct ctx *c)
{
    struct account *a = NULL, *other;
    struct str email, password = ctx_form(c, "current");
    const json_t *claims = vouched(c);
    const char *why = NULL;
    if (account_mine(c, &other) == ERR_OK)
        return accounts_refused(c, &accounts_f_limit);
    if (!claims)
        return accounts_refused(c, &accounts_f_level);
    if (email_read(c, ctx_form(c, "email"), &email) != ERR_OK || password.n > PASSWORD_BYTES_MAX)
        return accounts_refused(c, &accounts_f_password);
    enum err e = tries_take(c, "password", email);
    if (e == ERR_OK)
        e = account_by_email(c, email, &a);
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    if (!password_matches(a ? a->password : STR_NONE, password))
        return accounts_refused(c, &accounts_f_password);
    e = throttle_right(c, "password", email);
    if (e == ERR_OK)
        e = account_verify(c, a, "link", claims, "self", NULL, NULL, &why);
    if (e == ERR_CONFLICT)
        return accounts_refused(c, &accounts_f_limit);
    return e == ERR_OK ? done(c, "linked") : e;
}

/* The code of a desk (desk.c): her papers were seen, and for half an hour one factor that she adds
 * counts as enrolled there. */
struct desk_row {
    struct str id, agent;
};

static enum err desk_take(struct db_conn *db, void *arg)
{
    struct desk_row *d = arg;
    int64_t changed = 0;
    enum err e = db_exec_count(db, &changed, "DELETE FROM own_desk WHERE id = $1", "s", d->id);
    return e == ERR_OK && changed != 1 ? ERR_NOT_FOUND : e;
}

static enum err desk_refused(struct ctx *c, enum err e)
{
    return e == ERR_NOT_FOUND || e == ERR_CORRUPT ? accounts_refused(c, &accounts_f_desk)
           : e == ERR_CONFLICT                    ? accounts_refused(c, &accounts_f_limit)
                                                  : e;
}

enum err accounts_desk_use(struct ctx *c)
{
    struct account *a;
    struct desk_row row;
    bool answered;
    json_t *pivot;
    const char *why = NULL;
    enum err e = mine(c, &a, &answered);
    if (answered)
        return e;
    e = tries_take(c, "desk", a->id);
    if (e == ERR_OK)
        e = desk_open(c, ctx_form(c, "code"), &row.id, &row.agent, &pivot);
    if (e != ERR_OK)
        return desk_refused(c, e);
    struct str before = a->person;
    a->desk_until_ms = clock_now_ms() + DESK_WINDOW_MS;
    e = account_verify(c, a, "desk", pivot, row.agent.p, desk_take, &row, &why);
    if (e != ERR_OK)
        return desk_refused(c, e);
    e = throttle_right(c, "desk", a->id);
    if (e == ERR_OK) /* what the session says of her is no longer true */
        e = session_end_all(c, c->site->host, before);
    if (e != ERR_OK)
        return e;
    return is_api(c) ? done(c, "desk")
                     : ctx_redirect(c, portal_url(c, "/connexion?return=/compte%3Ffait%3Ddesk"));
}
