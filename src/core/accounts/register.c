/* Opening an account, and coming back when the password is forgotten. Each page says the same
 * whether an address has an account or not; only its holder, by letter, learns which. Until the
 * code of the letter comes back, what was typed lies sealed in the page alone. */
#include "core/accounts/accounts.h"

#include "base/log.h"
#include "base/rand.h"
#include "crypto/password.h"
#include "platform/throttle.h"
#include "web/pages.h"

enum { LETTER_LIFE_MS = 30 * 60 * 1000, CODE_LEN = 8 };

/* ---- whom it is for -----------------------------------------------------------------------------
 */
/* A sign-in under way; or somebody signed in by another provider, who wants an account here. */
struct comer {
    struct own_flow flow; /* .id.n 0: none */
    bool signed_in;
};

static enum err comer_read(struct ctx *c, struct str flow, struct comer *w, bool *answered)
{
    *w = (struct comer){.signed_in = !flow.n && c->session};
    *answered = false;
    return w->signed_in ? ERR_OK : own_flow_get(c, flow, &w->flow, answered);
}

static json_t *comer_data(const struct comer *w)
{
    json_t *d = json_object();
    if (w->flow.id.n) {
        json_object_set_new(d, "flow", json_str(w->flow.id));
        json_object_set_new(d, "choose_url", json_str(w->flow.choose_url));
    }
    return d;
}

/* ---- the code of a letter -----------------------------------------------------------------------
 */
static struct str code_new(struct ctx *c)
{
    uint8_t random[CODE_LEN];
    char *out = arena_alloc(c->arena, CODE_LEN + 1);
    rand_bytes(random, sizeof random);
    for (size_t i = 0; i < CODE_LEN; i++)
        out[i] = (char)('0' + random[i] % 10);
    return str_of(out, CODE_LEN);
}

/* The ticket holds a digest of the code: the page that carries it must not tell it. */
static struct str code_digest(struct ctx *c, struct str code)
{
    return secret_digest(c, "letter", secret_typed(c, code));
}

/* ERR_DENIED: wrong or used; ERR_LIMIT: tried too often, answered. */
static enum err code_check(struct ctx *c, const json_t *ticket, struct str code)
{
    struct str digest = json_get_str(ticket, "code");
    enum err e = tries_take(c, "letter", digest);
    if (e != ERR_OK)
        return e;
    if (!str_eq_secret(code_digest(c, code), digest))
        return ERR_DENIED;
    e = used_once(c, "letter", digest, LETTER_LIFE_MS);
    return e == ERR_EXISTS ? ERR_DENIED : e;
}

/* ---- opening an account -------------------------------------------------------------------------
 */
static enum err register_page(struct ctx *c, const struct comer *w, struct str email,
                              const char *fault)
{
    json_t *d = comer_data(w);
    json_object_set_new(d, "email", json_str(email));
    json_object_set_new(d, "min", json_integer(PASSWORD_MIN));
    if (fault) {
        json_object_set_new(d, "fault",
                            json_str(pages_text(c->arena, "accounts", fault, c->lang, d)));
        c->rs->status = 422;
    }
    return ctx_page(c, "accounts/register", d);
}

enum err accounts_register(struct ctx *c)
{
    struct comer w;
    bool answered;
    enum err e = comer_read(c, ctx_query(c, "flow"), &w, &answered);
    return answered || e != ERR_OK ? e : register_page(c, &w, STR(""), NULL);
}

static enum err sent_page(struct ctx *c, const struct comer *w, const char *page, struct str ticket,
                          struct str email, json_t *letter, bool wrong)
{
    json_t *d = comer_data(w);
    json_object_set_new(d, "ticket", json_str(ticket));
    json_object_set_new(d, "email", json_str(email));
    json_object_set_new(d, "min", json_integer(PASSWORD_MIN));
    if (letter)
        json_object_set(d, "letter", letter);
    if (wrong) {
        json_object_set_new(d, "wrong", json_true());
        c->rs->status = 422;
    }
    return ctx_page(c, page, d);
}

/* Without letters nobody can prove an address: the account is made at once, its address is passed
 * on to no service, and an address that has one already keeps the account it has. */
static enum err register_at_once(struct ctx *c, const struct comer *w, struct account *a)
{
    const char *why = NULL;
    enum err e = account_create(c, a, NULL, &why);
    if (e != ERR_OK && e != ERR_EXISTS)
        return e;
    json_t *d = comer_data(w);
    return ctx_page(c, "accounts/opened", d);
}

enum err accounts_register_post(struct ctx *c)
{
    struct comer w;
    struct account *other = NULL, a = {0};
    bool answered;
    json_t *letter;
    struct str password = ctx_form(c, "password");
    enum err e = comer_read(c, ctx_form(c, "flow"), &w, &answered);
    if (answered || e != ERR_OK)
        return e;
    if (email_read(c, ctx_form(c, "email"), &a.email) != ERR_OK)
        return register_page(c, &w, ctx_form(c, "email"), "fault.email");
    const char *fault = password_fault(password, a.email);
    if (fault)
        return register_page(c, &w, a.email, fault);
    e = tries_address(c);
    if (e == ERR_OK)
        e = tries_take(c, "letters", a.email);
    if (e != ERR_OK)
        return e;
    a.password = password_hash(c->arena, password);
    if (!letters_go(c))
        return register_at_once(c, &w, &a);
    e = account_by_email(c, a.email, &other);
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    struct str code = code_new(c);
    json_t *v =
        json_own(&c->pool, json_pack("{s:o,s:o,s:o,s:b}", "email", json_str(a.email), "password",
                                     json_str(a.password), "code", json_str(code_digest(c, code)),
                                     "taken", other != NULL));
    json_t *data = json_own(&c->pool, json_pack("{s:o}", "code", json_str(code)));
    e = letter_write(c, other ? other->person.p : "operator", a.email, other ? "taken" : "register",
                     data, &letter);
    if (e != ERR_OK)
        return e;
    return sent_page(c, &w, "accounts/confirm", ticket_make(c, "register", v, LETTER_LIFE_MS),
                     a.email, letter, false);
}

/* Signed in elsewhere at the substantial level or above: it says who she is. */
static bool vouched(const struct ctx *c)
{
    struct str acr = json_get_str(c->session->data, "acr");
    return !str_eq_z(json_get_str(c->session->data, "provider"), "compte") &&
           (str_eq_z(acr, "eidas2") || str_eq_z(acr, "eidas3")) &&
           json_get(json_get(c->session->data, "claims"), "birthdate");
}

static enum err confirm_refused(struct ctx *c, const struct comer *w, struct str ticket,
                                const json_t *v)
{
    return sent_page(c, w, "accounts/confirm", ticket, json_get_str(v, "email"), NULL, true);
}

enum err accounts_confirm_post(struct ctx *c)
{
    struct comer w;
    bool answered;
    json_t *v;
    const char *why = NULL;
    struct str ticket = ctx_form(c, "ticket");
    enum err e = comer_read(c, ctx_form(c, "flow"), &w, &answered);
    if (answered || e != ERR_OK)
        return e;
    if (ticket_open(c, "register", ticket, &v) != ERR_OK)
        return register_page(c, &w, STR(""), "fault.late");
    e = code_check(c, v, ctx_form(c, "code"));
    if (e == ERR_DENIED || (e == ERR_OK && json_get_bool(v, "taken", true)))
        return confirm_refused(c, &w, ticket, v);
    if (e != ERR_OK)
        return e;
    struct account a = {.email = json_get_str(v, "email"),
                        .password = json_get_str(v, "password"),
                        .confirmed = true};
    bool link = w.signed_in && vouched(c);
    a.verified = link ? STR("link") : STR("");
    e = account_create(c, &a, link ? json_get(c->session->data, "claims") : NULL, &why);
    if (e == ERR_EXISTS || e == ERR_CONFLICT)
        return ctx_fail(c, &accounts_f_limit, e, STR_NONE);
    if (e != ERR_OK)
        return e;
    if (w.signed_in && !link)
        return ctx_page(c, "accounts/opened", comer_data(&w));
    return w.signed_in ? ctx_redirect(c, portal_url(c, "/compte"))
                       : own_finish(c, &w.flow, &a, LEVEL_LOW, "pwd");
}

/* ---- forgotten ----------------------------------------------------------------------------------
 */
static enum err forgot_page(struct ctx *c, const struct comer *w, const char *fault)
{
    json_t *d = comer_data(w);
    json_object_set_new(d, "letters", json_boolean(letters_go(c)));
    if (fault) {
        json_object_set_new(d, "fault",
                            json_str(pages_text(c->arena, "accounts", fault, c->lang, d)));
        c->rs->status = 422;
    }
    return ctx_page(c, "accounts/forgot", d);
}

enum err accounts_forgot(struct ctx *c)
{
    struct comer w;
    bool answered;
    enum err e = comer_read(c, ctx_query(c, "flow"), &w, &answered);
    return answered || e != ERR_OK ? e : forgot_page(c, &w, NULL);
}

enum err accounts_forgot_post(struct ctx *c)
{
    struct comer w;
    struct account *a = NULL;
    bool answered;
    json_t *letter;
    struct str email;
    enum err e = comer_read(c, ctx_form(c, "flow"), &w, &answered);
    if (answered || e != ERR_OK)
        return e;
    if (email_read(c, ctx_form(c, "email"), &email) != ERR_OK)
        return forgot_page(c, &w, "fault.email");
    e = tries_address(c);
    if (e == ERR_OK)
        e = tries_take(c, "letters", email);
    if (e != ERR_OK)
        return e;
    e = account_by_email(c, email, &a);
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    struct str code = code_new(c);
    json_t *v = json_own(&c->pool, json_pack("{s:o,s:o,s:o}", "email", json_str(email), "account",
                                             json_str(a ? a->id : STR("")), "code",
                                             json_str(code_digest(c, code))));
    json_t *data = json_own(&c->pool, json_pack("{s:o}", "code", json_str(code)));
    e = letter_write(c, a ? a->person.p : "operator", email, a ? "reset" : "unknown", data,
                     &letter);
    if (e != ERR_OK)
        return e;
    return sent_page(c, &w, "accounts/reset", ticket_make(c, "reset", v, LETTER_LIFE_MS), email,
                     letter, false);
}

/* The code of the letter, or one of her recovery codes. */
static enum err reset_prove(struct ctx *c, const json_t *v, struct account **a)
{
    int64_t level;
    enum err known = account_by_id(c, json_get_str(v, "account"), a);
    enum err e = code_check(c, v, ctx_form(c, "code"));
    if (known != ERR_OK)
        return known == ERR_NOT_FOUND && e == ERR_OK ? ERR_DENIED
               : known == ERR_NOT_FOUND              ? e
                                                     : known;
    return e == ERR_DENIED ? recovery_use(c, *a, ctx_form(c, "code"), &level) : e;
}

enum err accounts_reset_post(struct ctx *c)
{
    struct comer w;
    struct account *a;
    bool answered;
    json_t *v;
    struct str ticket = ctx_form(c, "ticket"), password = ctx_form(c, "password");
    enum err e = comer_read(c, ctx_form(c, "flow"), &w, &answered);
    if (answered || e != ERR_OK)
        return e;
    if (ticket_open(c, "reset", ticket, &v) != ERR_OK)
        return forgot_page(c, &w, "fault.late");
    struct str email = json_get_str(v, "email");
    if (password_fault(password, email))
        return sent_page(c, &w, "accounts/reset", ticket, email, NULL, true);
    e = reset_prove(c, v, &a);
    if (e == ERR_DENIED)
        return sent_page(c, &w, "accounts/reset", ticket, email, NULL, true);
    if (e != ERR_OK)
        return e;
    a->password = password_hash(c->arena, password);
    e = account_write(c, a, "accounts.password_reset",
                      "Le mot de passe de votre compte a été remplacé",
                      "The password of your account was replaced");
    if (e == ERR_OK)
        e = session_end_all(c, c->site->host, a->person);
    if (e == ERR_OK)
        e = throttle_right(c, "password", a->email);
    return e == ERR_OK ? ctx_page(c, "accounts/opened", comer_data(&w)) : e;
}
