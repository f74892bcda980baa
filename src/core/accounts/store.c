#include "core/accounts/accounts.h"

#include "base/clock.h"
#include "base/rand.h"
#include "crypto/password.h"

/* ---- what people give ---------------------------------------------------------------------------
 */
enum err email_read(struct ctx *c, struct str text, struct str *out)
{
    struct str s = str_trim(text);
    char *p = arena_dupz(c->arena, s);
    ptrdiff_t at = str_find_char(s, '@');
    if (at < 1 || s.n > EMAIL_MAX || !str_is_utf8(s) ||
        str_find_char(str_after(s, (size_t)at + 1), '@') >= 0 ||
        str_find_char(str_after(s, (size_t)at + 1), '.') < 1 || s.p[s.n - 1] == '.')
        return ERR_INVALID;
    for (size_t i = 0; i < s.n; i++) {
        if ((unsigned char)p[i] <= ' ' || strchr("<>\"\\,;:()[]", p[i]) || p[i] == 127)
            return ERR_INVALID;
        if (p[i] >= 'A' && p[i] <= 'Z')
            p[i] = (char)(p[i] + 32);
    }
    *out = str_of(p, s.n);
    return ERR_OK;
}

const char *password_fault(struct str password, struct str email)
{
    size_t same = 0;
    if (password.n < PASSWORD_MIN)
        return "fault.password_short";
    if (password.n > PASSWORD_BYTES_MAX)
        return "fault.password_long";
    for (size_t i = 1; i < password.n; i++)
        same += password.p[i] == password.p[0];
    if (same + 1 == password.n || str_find(email, password) >= 0 || str_find(password, email) >= 0)
        return "fault.password_weak";
    return NULL;
}

/* ---- reading ------------------------------------------------------------------------------------
 */
#define COLUMNS                                                                                   \
    "SELECT a.id, a.person, a.password, a.data, a.totp, a.verified, a.totp_level, a.totp_step, "  \
    "a.desk_until, a.created_at, a.seen_at, (SELECT COUNT(*) FROM own_passkey k WHERE k.account " \
    "= a.id), (SELECT COUNT(*) FROM own_recovery r WHERE r.account = a.id) FROM own_account a "

static enum err account_read(struct ctx *c, const struct db_result *r, struct account **out)
{
    struct str plain;
    json_t *v;
    struct account *a = arena_new(c->arena, struct account);
    *a = (struct account){.id = db_str(r, 0, 0),
                          .person = db_str(r, 0, 1),
                          .password = db_str(r, 0, 2),
                          .verified = db_str(r, 0, 5),
                          .totp_level = db_i64(r, 0, 6),
                          .totp_step = db_i64(r, 0, 7),
                          .desk_until_ms = db_i64(r, 0, 8),
                          .created_ms = db_i64(r, 0, 9),
                          .seen_ms = db_i64(r, 0, 10),
                          .n_passkeys = db_i64(r, 0, 11),
                          .n_recovery = db_i64(r, 0, 12)};
    enum err e = vault_open(c, a->person, "accounts.data", db_str(r, 0, 3), &plain);
    if (e == ERR_OK)
        e = json_read(plain, &v, NULL);
    if (e != ERR_OK)
        return e;
    json_own(&c->pool, v);
    a->email = json_get_str(v, "email");
    a->confirmed = json_get_bool(v, "confirmed", false);
    struct str totp = db_str(r, 0, 4);
    if (totp.n)
        e = vault_open(c, a->person, "accounts.totp", totp, &a->totp);
    *out = a;
    return e;
}

static enum err account_one(struct ctx *c, const char *sql, struct str value, struct account **out)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    if (!db)
        return ERR_UNAVAILABLE;
    enum err e = db_query_one(db, c->arena, &r, sql, "s", value);
    return e == ERR_OK ? account_read(c, &r, out) : e;
}

enum err account_by_id(struct ctx *c, struct str id, struct account **out)
{
    return account_one(c, COLUMNS "WHERE a.id = $1", id, out);
}

enum err account_by_person(struct ctx *c, struct str person, struct account **out)
{
    return account_one(c, COLUMNS "WHERE a.person = $1 ORDER BY a.created_at", person, out);
}

enum err account_by_email(struct ctx *c, struct str email, struct account **out)
{
    struct str blind;
    enum err e = vault_blind(c, "accounts.email", email, &blind);
    return e == ERR_OK ? account_one(c, COLUMNS "WHERE a.email_blind = $1", blind, out) : e;
}

enum err account_mine(struct ctx *c, struct account **out)
{
    return c->session ? account_by_person(c, c->session->subject, out) : ERR_NOT_FOUND;
}

/* ---- writing ------------------------------------------------------------------------------------
 */
enum err account_seal(struct ctx *c, const struct account *a, struct account_row *row)
{
    *row = (struct account_row){.id = a->id,
                                .person = a->person,
                                .password = a->password,
                                .verified = a->verified.p ? a->verified : STR(""),
                                .totp = STR(""),
                                .totp_level = a->totp_level,
                                .totp_step = a->totp_step,
                                .desk_until_ms = a->desk_until_ms,
                                .now_ms = clock_now_ms()};
    json_t *v = json_pack("{s:o,s:b}", "email", json_str(a->email), "confirmed", a->confirmed);
    enum err e = vault_seal(c, a->person, "accounts.data", json_text(c->arena, v), &row->data);
    json_decref(v);
    if (e == ERR_OK && a->totp.n)
        e = vault_seal(c, a->person, "accounts.totp", a->totp, &row->totp);
    return e == ERR_OK ? vault_blind(c, "accounts.email", a->email, &row->email_blind) : e;
}

enum err account_insert(struct db_conn *db, void *arg)
{
    struct account_row *r = arg;
    return db_exec(db,
                   "INSERT INTO own_account(id, person, email_blind, password, data, totp, "
                   "verified, totp_level, totp_step, desk_until, created_at, seen_at) "
                   "VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11)",
                   "ssssbbsiiii", r->id, r->person, r->email_blind, r->password, r->data, r->totp,
                   r->verified, r->totp_level, r->totp_step, r->desk_until_ms, r->now_ms);
}

enum err account_update(struct db_conn *db, void *arg)
{
    struct account_row *r = arg;
    int64_t changed = 0;
    enum err e = db_exec_count(
        db, &changed,
        "UPDATE own_account SET person = $2, email_blind = $3, password = $4, data = $5, "
        "totp = $6, verified = $7, totp_level = $8, totp_step = $9, desk_until = $10, "
        "seen_at = $11 WHERE id = $1",
        "ssssbbsiiii", r->id, r->person, r->email_blind, r->password, r->data, r->totp, r->verified,
        r->totp_level, r->totp_step, r->desk_until_ms, r->now_ms);
    return e == ERR_OK && changed != 1 ? ERR_NOT_FOUND : e;
}

enum err account_act(struct ctx *c, const struct account *a, const char *kind, const char *actor,
                     const char *fr, const char *en, struct act *out)
{
    struct act_info info = {.kind = kind,
                            .actor = str_from(actor),
                            .object = a->id,
                            .person = a->person,
                            .told =
                                json_pack("{s:{s:s,s:s},s:{s:s,s:s}}", "title", "fr", fr, "en", en,
                                          "consumer", "fr", "Votre compte", "en", "Your account")};
    return act_make(c, &info, out);
}

enum err account_write(struct ctx *c, struct account *a, const char *kind, const char *fr,
                       const char *en)
{
    struct act act;
    struct account_row row;
    enum err e = account_seal(c, a, &row);
    if (e == ERR_OK)
        e = account_act(c, a, kind, "self", fr, en, &act);
    return e == ERR_OK ? act_write(c, account_update, &row, &act, 1) : e;
}

/* ---- making, and knowing who she is -------------------------------------------------------------
 */
static enum err person_of(struct ctx *c, const struct account *a, const json_t *pivot,
                          struct str *person, const char **why)
{
    json_t *out, *claims = pivot ? json_copy((json_t *)pivot) : json_object();
    if (a->confirmed && a->email.n)
        json_object_set_new(claims, "email", json_str(a->email));
    json_t *args =
        json_own(&c->pool, json_pack("{s:o,s:o}", "account", json_str(a->id), "claims", claims));
    if (a->verified.n && a->person.n) /* a verified account is never made somebody else's */
        json_object_set_new(args, "same_as", json_str(a->person));
    enum err e = platform_call(c, "identity.own_person", args, &out);
    if (e != ERR_OK)
        return e;
    *why = json_get_z(out, "why", NULL);
    *person = json_get_str(out, "person");
    return person->n ? ERR_OK : ERR_INVALID;
}

enum err account_create(struct ctx *c, struct account *a, const json_t *pivot, const char **why)
{
    struct act act;
    struct account *other;
    struct account_row row;
    char *id = arena_alloc(c->arena, ID_LEN + 1);
    enum err e = account_by_email(c, a->email, &other);
    if (e != ERR_NOT_FOUND)
        return e == ERR_OK ? ERR_EXISTS : e;
    id_new(id);
    a->id = str_from(id);
    e = person_of(c, a, pivot, &a->person, why);
    if (e == ERR_OK)
        e = account_by_person(c, a->person, &other);
    if (e != ERR_NOT_FOUND) /* one person, one account */
        return e == ERR_OK ? ERR_CONFLICT : e;
    e = account_seal(c, a, &row);
    if (e == ERR_OK)
        e = account_act(c, a, "accounts.created", "self", "Vous avez ouvert un compte",
                        "You opened an account", &act);
    return e == ERR_OK ? act_write(c, account_insert, &row, &act, 1) : e;
}

struct verified {
    struct account_row row;
    struct passkey *keys;
    struct str *data;
    size_t n;
    db_closure *more;
    void *arg;
};

static enum err verified_write(struct db_conn *db, void *arg)
{
    struct verified *v = arg;
    enum err e = v->more ? v->more(db, v->arg) : ERR_OK;
    for (size_t i = 0; i < v->n && e == ERR_OK; i++)
        e = db_exec(db, "UPDATE own_passkey SET data = $2 WHERE id = $1", "sb", v->keys[i].id,
                    v->data[i]);
    return e == ERR_OK ? account_update(db, &v->row) : e;
}

enum err account_verify(struct ctx *c, struct account *a, const char *how, const json_t *pivot,
                        const char *actor, db_closure *more, void *arg, const char **why)
{
    struct act act;
    struct account *other;
    struct str person;
    struct verified v = {.more = more, .arg = arg};
    enum err e = person_of(c, a, pivot, &person, why);
    if (e == ERR_OK)
        e = account_by_person(c, person, &other);
    if (e == ERR_OK && !str_eq(other->id, a->id))
        return ERR_CONFLICT;
    if (e == ERR_OK || e == ERR_NOT_FOUND)
        e = passkeys_reseal(c, a, person, &v.keys, &v.data, &v.n);
    a->person = person;
    a->verified = str_from(how);
    if (e == ERR_OK)
        e = account_seal(c, a, &v.row);
    if (e == ERR_OK)
        e = account_act(c, a, "accounts.verified", actor, "Votre identité a été vérifiée",
                        "Your identity was verified", &act);
    return e == ERR_OK ? act_write(c, verified_write, &v, &act, 1) : e;
}

/* ---- forgetting ---------------------------------------------------------------------------------
 */
static enum err forget_write(struct db_conn *db, void *arg)
{
    static const char *const tables[] = {
        "DELETE FROM own_passkey WHERE account IN (SELECT id FROM own_account WHERE person = $1)",
        "DELETE FROM own_recovery WHERE account IN (SELECT id FROM own_account WHERE person = $1)",
        "DELETE FROM own_account WHERE person = $1"};
    enum err e = ERR_OK;
    for (size_t i = 0; i < COUNT_OF(tables) && e == ERR_OK; i++)
        e = db_exec(db, tables[i], "s", *(struct str *)arg);
    return e;
}

enum err accounts_call_forget(struct ctx *c, const json_t *args, json_t **out)
{
    struct str person = json_get_str(args, "person");
    *out = json_object();
    return db_write(c->pf->db, forget_write, &person);
}

/* A restored database is older than the journal, and obeys it. */
enum err accounts_erase_again(struct platform *pf, const json_t *leaf)
{
    struct str person = json_get_str(leaf, "object");
    return person.n ? db_write(pf->db, forget_write, &person) : ERR_OK;
}

/* For the demonstration's loader. */
enum err accounts_call_put(struct ctx *c, const json_t *args, json_t **out)
{
    const char *why = NULL;
    const json_t *pivot = json_get(args, "pivot");
    struct account a = {.email = json_get_str(args, "email"),
                        .confirmed = true,
                        .password = json_get_str(args, "password_hash"),
                        .verified = pivot ? STR("desk") : STR("")};
    *out = json_object();
    enum err e = account_create(c, &a, pivot, &why);
    return e == ERR_EXISTS || e == ERR_CONFLICT ? ERR_OK : e;
}
