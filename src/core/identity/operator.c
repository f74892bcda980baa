/* Operators: the accounts of our own store. A login is looked for by its blind index, the name is
 * sealed; passwords are Argon2id. Tries are slowed down per account, and an account that does not
 * exist costs the same time as one that does. */
#include "core/identity/schema.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/rand.h"
#include "core/identity/choose.h"
#include "core/identity/faults.h"
#include "core/identity/identity.h"
#include "crypto/password.h"
#include "data/fold.h"

enum { LOGIN_MAX = 200, FREE_TRIES = 5, LOCK_STEP_MS = 30 * 1000, LOCK_MAX_MS = 3600 * 1000 };

static json_t *jstr(struct str s)
{
    return json_stringn(s.p ? s.p : "", s.n);
}

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
    int64_t now_ms;
};

static enum err account_insert(struct db_conn *db, void *arg)
{
    struct account_row *a = arg;
    return db_exec(db,
                   "INSERT INTO local_account(id, login_blind, role, password, data, state, "
                   "failures, locked_until, created_at, seen_at) "
                   "VALUES($1, $2, 'admin', $3, $4, 'active', 0, 0, $5, 0)",
                   "sssbi", a->id, a->login_blind, a->password, a->data, a->now_ms);
}

enum err identity_operator_add(struct ctx *c, const char *login, const char *name,
                               const char *password, struct str *id, struct str *password_out)
{
    struct act act;
    char drawn[SECRET_LEN + 1], ulid[ID_LEN + 1];
    struct account_row row = {.now_ms = clock_now_ms()};
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
    struct act_info info = {
        .kind = "identity.operator_added", .actor = STR("operator"), .object = row.id};
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
    struct str id, password, data, state;
    int64_t failures, locked_until_ms;
};

static enum err account_find(struct ctx *c, struct str login, struct account *a)
{
    struct db_result r;
    struct str blind;
    enum err e = login_blind(c, login, &blind);
    struct db_conn *db = db_read(c->pf->db);
    if (e != ERR_OK || !db)
        return e != ERR_OK ? e : ERR_UNAVAILABLE;
    e = db_query_one(db, c->arena, &r,
                     "SELECT id, password, data, state, failures, locked_until FROM local_account "
                     "WHERE login_blind = $1",
                     "s", blind);
    if (e == ERR_OK)
        *a = (struct account){db_str(&r, 0, 0), db_str(&r, 0, 1), db_str(&r, 0, 2),
                              db_str(&r, 0, 3), db_i64(&r, 0, 4), db_i64(&r, 0, 5)};
    return e;
}

struct attempt {
    struct str id;
    bool good;
    int64_t now_ms;
};

static enum err attempt_write(struct db_conn *db, void *arg)
{
    struct attempt *a = arg;
    if (a->good)
        return db_exec(db,
                       "UPDATE local_account SET failures = 0, locked_until = 0, seen_at = $2 "
                       "WHERE id = $1",
                       "si", a->id, a->now_ms);
    return db_exec(db,
                   "UPDATE local_account SET failures = failures + 1, locked_until = CASE WHEN "
                   "failures < $3 THEN 0 WHEN (failures - $3 + 1) * $4 > $5 THEN $2 + $5 ELSE "
                   "$2 + (failures - $3 + 1) * $4 END WHERE id = $1",
                   "siiii", a->id, a->now_ms, (int64_t)FREE_TRIES - 1, (int64_t)LOCK_STEP_MS,
                   (int64_t)LOCK_MAX_MS);
}

static enum err form_page(struct ctx *c, bool wrong)
{
    struct str to = ctx_form(c, "return");
    if (!to.p)
        to = ctx_query(c, "return");
    json_t *d = json_pack("{s:s,s:o,s:b}", "action", "/connexion/operateur", "return",
                          jstr(path_is_ours(to) ? to : STR("/")), "wrong", wrong);
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
    e = session_start(c, a->id, ROLE_ADMIN, data);
    return e == ERR_OK ? ctx_redirect(c, path_is_ours(to) ? to : STR("/")) : e;
}

enum err identity_operator_post(struct ctx *c)
{
    struct account a = {.password = STR_NONE};
    struct str login = ctx_form(c, "login"), password = ctx_form(c, "password");
    if (!login.n || login.n > LOGIN_MAX || password.n > PASSWORD_BYTES_MAX)
        return form_page(c, true);
    enum err e = account_find(c, login, &a);
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    struct attempt try = {.id = a.id, .now_ms = clock_now_ms()};
    if (a.locked_until_ms > try.now_ms)
        return idt_fail(c, IDT_TRIES, NULL, "locked");
    bool matches = password_matches(e == ERR_OK ? a.password : STR_NONE, password);
    try.good = matches && e == ERR_OK && str_eq_z(a.state, "active");
    if (e == ERR_OK)
        e = db_write(c->pf->db, attempt_write, &try);
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    if (try.good)
        return signed_in(c, &a);
    log_info("operator_refused", "trace", c->trace_id, "account", a.id.p ? a.id.p : "-");
    return form_page(c, true);
}
