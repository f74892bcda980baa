/* Operators: the accounts of our own store. A login is looked for by its blind index, the name is
 * sealed; passwords are Argon2id. Tries are slowed down per login, and a login that nobody has
 * costs the same time and the same pauses as one that somebody has. */
#include "core/identity/schema.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/rand.h"
#include "core/identity/choose.h"
#include "core/identity/faults.h"
#include "core/identity/identity.h"
#include "crypto/password.h"
#include "data/fold.h"
#include "platform/throttle.h"

enum { LOGIN_MAX = 200 };

static enum err login_blind(struct ctx *c, struct str login, struct str *out)
{
    char *lower = arena_dupz(c->arena, str_trim(login));
    for (char *p = lower; *p; p++)
        if (*p >= 'A' && *p <= 'Z')
            *p = (char)(*p + 32);
    return vault_blind(c, "identity.login", str_from(lower), out);
}

/* ---- adding -------------------------------------------------------------------------------------
 */
struct account_row {
    struct str id, login_blind, password, data;
    const char *role; /* "admin", "auditor" */
    int64_t now_ms;
};

static enum err account_insert(struct db_conn *db, void *arg)
{
    struct account_row *a = arg;
    return db_exec(db,
                   "INSERT INTO local_account(id, login_blind, role, password, data, state, "
                   "failures, locked_until, created_at, seen_at) "
                   "VALUES($1, $2, $6, $3, $4, 'active', 0, 0, $5, 0)",
                   "sssbiz", a->id, a->login_blind, a->password, a->data, a->now_ms, a->role);
}

enum err identity_operator_add(struct ctx *c, const char *role, const char *login, const char *name,
                               const char *password, struct str *id, struct str *password_out)
{
    struct act act;
    char drawn[SECRET_LEN + 1], ulid[ID_LEN + 1];
    struct account_row row = {.role = role, .now_ms = clock_now_ms()};
    secret_new(drawn);
    drawn[20] = '\0'; /* 120 bits: enough, and it can be typed */
    struct str secret = arena_dup(c->arena, str_from(password ? password : drawn));
    if (!*login || strlen(login) > LOGIN_MAX || secret.n < 8 || secret.n > PASSWORD_BYTES_MAX)
        return ERR_INVALID;
    id_new(ulid);
    row.id = arena_printf(c->arena, "operator:%s", ulid);
    enum err e = login_blind(c, str_from(login), &row.login_blind);
    json_t *v = json_pack("{s:s,s:s}", "login", login, "name", name ? name : login);
    if (e == ERR_OK)
        e = vault_seal(c, row.id, "account.data", json_text(c->arena, v), &row.data);
    json_decref(v);
    if (e != ERR_OK)
        return e;
    row.password = password_hash(c->arena, secret);
    struct act_info info = {.kind = strcmp(role, "auditor") == 0 ? "identity.auditor_added"
                                                                 : "identity.operator_added",
                            .actor = STR("operator"),
                            .object = row.id};
    e = act_make(c, &info, &act);
    if (e == ERR_OK)
        e = act_write(c, account_insert, &row, &act, 1);
    if (e == ERR_OK && id)
        *id = row.id;
    if (e == ERR_OK && password_out)
        *password_out = secret;
    return e;
}

/* ---- signing in ---------------------------------------------------------------------------------
 */
struct account {
    struct str id, password, data, state, role;
};

static enum err account_find(struct ctx *c, struct str blind, struct account *a)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    if (!db)
        return ERR_UNAVAILABLE;
    enum err e = db_query_one(
        db, c->arena, &r,
        "SELECT id, password, data, state, role FROM local_account WHERE login_blind = $1", "s",
        blind);
    if (e == ERR_OK)
        *a = (struct account){db_str(&r, 0, 0), db_str(&r, 0, 1), db_str(&r, 0, 2),
                              db_str(&r, 0, 3), db_str(&r, 0, 4)};
    return e;
}

static enum err seen_write(struct db_conn *db, void *arg)
{
    const struct account *a = arg;
    return db_exec(db, "UPDATE local_account SET seen_at = $2 WHERE id = $1", "si", a->id,
                   clock_now_ms());
}

static enum err form_page(struct ctx *c, bool wrong)
{
    struct str to = ctx_form(c, "return");
    if (!to.p)
        to = ctx_query(c, "return");
    json_t *d = json_pack("{s:s,s:o,s:b}", "action", "/connexion/operateur", "return",
                          json_str(path_is_ours(to) ? to : STR("/")), "wrong", wrong);
    if (wrong)
        c->rs->status = 401;
    return ctx_page(c, "identity/operator", d);
}

enum err identity_operator(struct ctx *c)
{
    return form_page(c, false);
}

static enum err signed_in(struct ctx *c, const struct account *a)
{
    struct act act;
    struct str plain, to = ctx_form(c, "return");
    json_t *v;
    enum err e = vault_open(c, a->id, "account.data", a->data, &plain);
    if (e == ERR_OK)
        e = json_read(plain, &v, NULL);
    if (e != ERR_OK)
        return e;
    json_t *data =
        json_pack("{s:s,s:s,s:s,s:I}", "realm", "operators", "name", json_get_z(v, "name", ""),
                  "acr", "eidas1", "auth_time_ms", (json_int_t)clock_now_ms());
    json_decref(v);
    struct act_info info = {.kind = "identity.operator_signin", .actor = a->id, .object = a->id};
    e = act_make(c, &info, &act);
    if (e == ERR_OK)
        e = act_write(c, NULL, NULL, &act, 1);
    if (e != ERR_OK) {
        json_decref(data);
        return e;
    }
    e = session_start(c, a->id, str_eq_z(a->role, "auditor") ? ROLE_AUDITOR : ROLE_ADMIN, data);
    return e == ERR_OK ? ctx_redirect(c, path_is_ours(to) ? to : STR("/")) : e;
}

enum err identity_operator_post(struct ctx *c)
{
    struct account a = {.password = STR_NONE};
    struct str login = ctx_form(c, "login"), password = ctx_form(c, "password");
    if (!login.n || login.n > LOGIN_MAX || password.n > PASSWORD_BYTES_MAX)
        return form_page(c, true);
    struct str blind;
    enum err e = login_blind(c, login, &blind);
    if (e == ERR_OK)
        e = throttle_try(c, "operator", blind);
    if (e == ERR_LIMIT)
        return idt_fail(c, IDT_TRIES, NULL, "too many tries");
    if (e == ERR_OK)
        e = account_find(c, blind, &a);
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    bool matches = password_matches(e == ERR_OK ? a.password : STR_NONE, password);
    bool good = matches && e == ERR_OK && str_eq_z(a.state, "active");
    e = good ? throttle_right(c, "operator", blind) : ERR_OK;
    if (e == ERR_OK && good)
        e = db_write(c->pf->db, seen_write, &a);
    if (e != ERR_OK)
        return e;
    if (good)
        return signed_in(c, &a);
    log_info("operator_refused", "trace", c->trace_id, "account", a.id.p ? a.id.p : "-");
    return form_page(c, true);
}
