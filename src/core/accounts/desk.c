/* At a desk: an agent sees the person and her papers, writes down who she is, and gives her a code
 * for her account, good once and for seven days. What the agent wrote opens with the code alone;
 * the journal keeps which agent gave which code, not whom it is about. */
#include "core/accounts/accounts.h"

#include "base/clock.h"
#include "crypto/digest.h"
#include "crypto/seal.h"
#include "web/pages.h"

enum { DESK_CODE_LEN = 16 };
static const int64_t DESK_LIFE_MS = 7 * 86400000LL;

static const char *const fields[] = {"given_name", "family_name",  "birthdate",         "gender",
                                     "birthplace", "birthcountry", "preferred_username"};

static void code_key(struct str code, uint8_t key[SEAL_KEY_LEN])
{
    hkdf_sha256(code, STR("socle/accounts/1"), STR("desk"), key, SEAL_KEY_LEN);
}

enum err desk_open(struct ctx *c, struct str text, struct str *id, struct str *agent,
                   json_t **pivot)
{
    struct db_result r;
    uint8_t key[SEAL_KEY_LEN];
    struct str plain, code = secret_typed(c, text);
    struct db_conn *db = db_read(c->pf->db);
    if (code.n != DESK_CODE_LEN)
        return ERR_NOT_FOUND;
    if (!db)
        return ERR_UNAVAILABLE;
    *id = secret_digest(c, "desk", code);
    enum err e = db_query_one(db, c->arena, &r,
                              "SELECT data, agent FROM own_desk WHERE id = $1 AND until_at > $2",
                              "si", *id, clock_now_ms());
    if (e != ERR_OK)
        return e;
    code_key(code, key);
    e = unseal(c->arena, key, *id, db_str(&r, 0, 0), &plain);
    mem_wipe(key, sizeof key);
    if (e == ERR_OK)
        e = json_read(plain, pivot, NULL);
    if (e == ERR_OK)
        json_own(&c->pool, *pivot);
    *agent = db_str(&r, 0, 1);
    return e;
}

/* ---- the agent's page ---------------------------------------------------------------------------
 */
bool accounts_desk_where(const struct platform *pf, const struct site *site)
{
    struct str orgs = str_from(pf->settings->desk_orgs), part;
    while (orgs.n && str_split(&orgs, ' ', &part))
        if (part.n && str_eq(part, site->org_id))
            return pf->settings->own_accounts;
    return false;
}

static bool may(const struct ctx *c)
{
    return accounts_desk_where(c->pf, c->site);
}

static json_t *typed(struct ctx *c)
{
    json_t *v = json_object();
    for (size_t i = 0; i < COUNT_OF(fields); i++) {
        struct str s = str_trim(ctx_form(c, fields[i]));
        if (s.n)
            json_object_set_new(v, fields[i], json_str(s));
    }
    return v;
}

static json_t *gender_options(struct ctx *c, struct str chosen)
{
    static const char *const genders[] = {"female", "male"};
    json_t *list = json_array();
    for (size_t i = 0; i < COUNT_OF(genders); i++)
        json_array_append_new(
            list, json_pack("{s:s,s:o,s:b}", "value", genders[i], "label",
                            json_str(pages_text(c->arena, "accounts",
                                                arena_printf(c->arena, "gender.%s", genders[i]).p,
                                                c->lang, NULL)),
                            "selected", str_eq_z(chosen, genders[i])));
    return list;
}

static enum err desk_page(struct ctx *c, const char *fault)
{
    json_t *v = typed(c);
    json_object_set_new(v, "genders", gender_options(c, json_get_str(v, "gender")));
    if (!json_get(v, "birthcountry"))
        json_object_set_new(v, "birthcountry", json_string("99100"));
    if (fault) {
        const char *key = arena_printf(c->arena, "desk.fault.%s", fault).p;
        struct str words = pages_text(c->arena, "accounts", key, c->lang, NULL);
        if (!words.p)
            words = pages_text(c->arena, "accounts", "desk.fault.other", c->lang, NULL);
        json_object_set_new(v, "fault", json_str(words));
        c->rs->status = 422;
    }
    return ctx_page(c, "accounts/desk", v);
}

enum err accounts_desk(struct ctx *c)
{
    return may(c) ? desk_page(c, NULL) : ctx_fail(c, &accounts_f_none, ERR_NOT_FOUND, STR_NONE);
}

struct desk_row {
    struct str id, data, agent, org_id;
    int64_t until_ms;
};

static enum err desk_insert(struct db_conn *db, void *arg)
{
    struct desk_row *r = arg;
    return db_exec(db,
                   "INSERT INTO own_desk(id, data, agent, org_id, until_at) "
                   "VALUES($1, $2, $3, $4, $5)",
                   "sbssi", r->id, r->data, r->agent, r->org_id, r->until_ms);
}

static enum err desk_write(struct ctx *c, const json_t *pivot, struct str *code)
{
    struct act act;
    uint8_t key[SEAL_KEY_LEN];
    *code = secret_words(c, DESK_CODE_LEN);
    struct str bare = secret_typed(c, *code);
    struct desk_row row = {.id = secret_digest(c, "desk", bare),
                           .agent = c->session->subject,
                           .org_id = c->site->org_id,
                           .until_ms = clock_now_ms() + DESK_LIFE_MS};
    code_key(bare, key);
    row.data = seal(c->arena, key, row.id, json_text(c->arena, pivot));
    mem_wipe(key, sizeof key);
    struct act_info info = {.kind = "accounts.desk_code",
                            .actor = c->session->subject,
                            .object = str_sub(row.id, 0, 32)};
    enum err e = act_make(c, &info, &act);
    return e == ERR_OK ? act_write(c, desk_insert, &row, &act, 1) : e;
}

/* What cannot be an identity is said now, not when she is at home with her code. */
static const char *fault_of(struct ctx *c, const json_t *pivot)
{
    json_t *out;
    if (!ctx_form(c, "seen").n)
        return "seen";
    json_t *args = json_own(&c->pool, json_pack("{s:O}", "claims", pivot));
    if (platform_call(c, "identity.own_pivot", args, &out) != ERR_OK)
        return "other";
    return json_get_z(out, "why", NULL);
}

enum err accounts_desk_issue(struct ctx *c)
{
    bool api = c->route->flags & ROUTE_API;
    struct str code;
    if (!may(c))
        return ctx_fail(c, &accounts_f_none, ERR_NOT_FOUND, STR_NONE);
    json_t *pivot = json_own(&c->pool, typed(c));
    const char *fault = fault_of(c, pivot);
    if (fault && api)
        return ctx_fail(c, &accounts_f_form, ERR_INVALID, str_from(fault));
    if (fault)
        return desk_page(c, fault);
    enum err e = desk_write(c, pivot, &code);
    if (e != ERR_OK)
        return e;
    struct str until = clock_in_words(c->arena, clock_now_ms() + DESK_LIFE_MS, c->lang, false);
    json_t *d = json_pack("{s:o,s:o}", "code", json_str(code), "until", json_str(until));
    return api ? ctx_json(c, 201, d) : ctx_page(c, "accounts/desk_code", d);
}
