/* A software vendor acts for the bodies that use its product: each declares it, the vendor accepts,
 * either ends it. The gateway lets the vendor's contract name a body as recipient only while that
 * body's delegation holds; it learns of an end first, and the row follows. */
#include "core/contracts/contracts.h"

#include "base/clock.h"
#include "base/rand.h"
#include "platform/hook.h"

enum { MONTHS = 12, MONTHS_MAX = 60, NAME_LEN_MAX = 64 };
static const int64_t MONTH_MS = (int64_t)30 * 86400000;

/* ---- reading ------------------------------------------------------------------------------------
 */
static enum err row_get(struct ctx *c, struct str id, struct delegation *out)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    enum err e = db ? db_query_one(db, c->arena, &r,
                                   "SELECT id, client, vendor, api, state, until_at FROM "
                                   "delegation WHERE id = $1",
                                   "s", id)
                    : ERR_UNAVAILABLE;
    if (e == ERR_OK)
        *out = (struct delegation){db_str(&r, 0, 0), db_str(&r, 0, 1), db_str(&r, 0, 2),
                                   db_str(&r, 0, 3), db_str(&r, 0, 4), db_i64(&r, 0, 5)};
    return e;
}

static json_t *org_json(const struct db_result *r, size_t i, size_t col)
{
    return json_pack("{s:s,s:s,s:{s:s,s:s}}", "id", db_z(r, i, col), "siret", db_z(r, i, col + 1),
                     "name", "fr", db_z(r, i, col + 2), "en", db_z(r, i, col + 3));
}

enum err delegation_list(struct ctx *c, struct str org, json_t **out)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    int64_t now_ms = clock_now_ms();
    enum err e = db ? db_query(db, c->arena, &r,
                               "SELECT d.id, d.api, d.state, d.until_at, d.declared_at, d.client, "
                               "c.siret, c.name_fr, c.name_en, d.vendor, v.siret, v.name_fr, "
                               "v.name_en FROM delegation d JOIN organisation c ON c.id = d.client "
                               "JOIN organisation v ON v.id = d.vendor WHERE d.client = $1 OR "
                               "d.vendor = $1 ORDER BY d.declared_at DESC, d.id DESC LIMIT 500",
                               "s", org)
                    : ERR_UNAVAILABLE;
    if (e != ERR_OK)
        return e;
    *out = json_own(&c->pool, json_array());
    for (size_t i = 0; i < r.n_rows; i++) {
        bool open = strcmp(db_z(&r, i, 2), "ended") != 0;
        bool mine = str_eq(db_str(&r, i, 5), org),
             declared = strcmp(db_z(&r, i, 2), "declared") == 0;
        bool over = open && db_i64(&r, i, 3) <= now_ms;
        json_t *actions = json_array();
        if (!mine && declared && !over)
            json_array_append_new(actions, json_string("accept"));
        if (open && !over)
            json_array_append_new(actions, json_string("end"));
        json_array_append_new(
            *out,
            json_pack("{s:s,s:s,s:s,s:I,s:I,s:o,s:o,s:s,s:o}", "id", db_z(&r, i, 0), "api",
                      db_z(&r, i, 1), "state", over ? "ended" : db_z(&r, i, 2), "until_at",
                      (json_int_t)db_i64(&r, i, 3), "declared_at", (json_int_t)db_i64(&r, i, 4),
                      "client", org_json(&r, i, 5), "vendor", org_json(&r, i, 9), "side",
                      mine ? "client" : "vendor", "actions", actions));
    }
    return ERR_OK;
}

/* By its id, or by the SIRET that people know. */
static enum err org_find(struct ctx *c, struct str name, struct str *id, struct str *siret)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    enum err e = db ? db_query_one(db, c->arena, &r,
                                   "SELECT id, siret FROM organisation WHERE id = $1 OR siret = $1",
                                   "s", name)
                    : ERR_UNAVAILABLE;
    if (e == ERR_OK) {
        *id = db_str(&r, 0, 0);
        *siret = db_str(&r, 0, 1);
    }
    return e;
}

/* ---- writing ------------------------------------------------------------------------------------
 */
struct delegation_job {
    const struct delegation *d;
    const struct contract_party *p;
    const char *state, *event;
    struct str members;
    int64_t now_ms;
};

static enum err both_told(struct db_conn *db, const struct delegation_job *j)
{
    enum err e = hook_queue(db, j->d->client, j->event, j->members, j->now_ms);
    return e == ERR_OK ? hook_queue(db, j->d->vendor, j->event, j->members, j->now_ms) : e;
}

static enum err declare_closure(struct db_conn *db, void *arg)
{
    const struct delegation_job *j = arg;
    int64_t changed;
    enum err e = db_exec_count(
        db, &changed,
        "INSERT INTO delegation(id, client, vendor, api, state, until_at, "
        "declared_at, updated_at) SELECT CAST($1 AS TEXT), CAST($2 AS TEXT), "
        "CAST($3 AS TEXT), CAST($4 AS TEXT), 'declared', CAST($5 AS BIGINT), "
        "CAST($6 AS BIGINT), CAST($6 AS BIGINT) WHERE NOT EXISTS (SELECT 1 FROM "
        "delegation WHERE client = $2 AND vendor = $3 AND api = $4 AND state <> "
        "'ended' AND until_at > $6)",
        "ssssii", j->d->id, j->d->client, j->d->vendor, j->d->api, j->d->until_ms, j->now_ms);
    if (e == ERR_OK && changed == 0)
        return ERR_CONFLICT;
    return e == ERR_OK ? both_told(db, j) : e;
}

static enum err state_closure(struct db_conn *db, void *arg)
{
    const struct delegation_job *j = arg;
    int64_t changed;
    enum err e = db_exec_count(
        db, &changed,
        "UPDATE delegation SET state = $1, updated_at = $2 WHERE id = $3 AND state = $4", "ziss",
        j->state, j->now_ms, j->d->id, j->d->state);
    if (e == ERR_OK && changed == 0)
        return ERR_CONFLICT;
    return e == ERR_OK ? both_told(db, j) : e;
}

static enum err write(struct ctx *c, struct delegation_job *j, db_closure *fn)
{
    struct act act;
    json_t *v = json_own(&c->pool, json_pack("{s:o,s:o,s:o,s:o,s:s}", "delegation",
                                             json_str(j->d->id), "client", json_str(j->d->client),
                                             "vendor", json_str(j->d->vendor), "api",
                                             json_str(j->d->api), "state", j->state));
    struct act_info info = {.kind = j->event, .actor = j->p->who, .object = j->d->id};
    j->members = json_text(c->arena, v);
    j->now_ms = clock_now_ms();
    enum err e = act_make(c, &info, &act);
    if (e == ERR_OK)
        e = act_write(c, fn, j, &act, 1);
    return e == ERR_CONFLICT ? ctx_fail(c, &contracts_fault_state, e, STR_NONE) : e;
}

enum err delegation_declare(struct ctx *c, const struct contract_party *p, struct str vendor,
                            struct str api, int64_t months, struct str *id)
{
    struct delegation d = {.client = p->org, .api = api.n ? api : STR("*"), .state = STR("")};
    struct str siret;
    char *fresh = arena_alloc(c->arena, ID_LEN + 1);
    id_new(fresh);
    d.id = *id = str_from(fresh);
    enum err e = org_find(c, vendor, &d.vendor, &siret);
    if (e == ERR_NOT_FOUND || (e == ERR_OK && str_eq(d.vendor, p->org)))
        return ctx_fail(c, &contracts_fault_vendor, ERR_INVALID, STR("vendor"));
    if (months < 1 || months > MONTHS_MAX || d.api.n > NAME_LEN_MAX ||
        str_find_char(d.api, ' ') >= 0)
        return ctx_fail(c, &contracts_fault_vendor, ERR_INVALID, STR("months or api"));
    d.until_ms = clock_now_ms() + months * MONTH_MS;
    struct delegation_job job = {
        .d = &d, .p = p, .state = "declared", .event = "delegation.declared"};
    return e == ERR_OK ? write(c, &job, declare_closure) : e;
}

/* What the gateway obeys. */
static enum err gateway_told(struct ctx *c, const struct delegation *d, bool on)
{
    struct str id, siret;
    json_t *out;
    enum err e = org_find(c, d->client, &id, &siret);
    if (e != ERR_OK)
        return e;
    json_t *args = json_pack("{s:o,s:o,s:o,s:I,s:b}", "vendor", json_str(d->vendor), "recipient",
                             json_str(siret), "api", json_str(d->api), "until",
                             (json_int_t)d->until_ms, "on", on);
    return platform_call(c, "exchange.delegate", json_own(&c->pool, args), &out);
}

enum err delegation_act(struct ctx *c, const struct contract_party *p, struct str id,
                        struct str action)
{
    struct delegation d;
    bool accept = str_eq_z(action, "accept");
    if (!accept && !str_eq_z(action, "end"))
        return ERR_NOT_FOUND;
    enum err e = row_get(c, id, &d);
    bool client = e == ERR_OK && str_eq(p->org, d.client);
    bool vendor = e == ERR_OK && str_eq(p->org, d.vendor);
    if (e != ERR_OK || (!client && !vendor))
        return e != ERR_OK ? e : ERR_NOT_FOUND;
    if (accept && !vendor)
        return ctx_fail(c, &contracts_fault_role, ERR_DENIED, STR_NONE);
    if (str_eq_z(d.state, "ended") || (accept && !str_eq_z(d.state, "declared")))
        return ctx_fail(c, &contracts_fault_state, ERR_CONFLICT, STR_NONE);
    struct delegation_job job = {.d = &d,
                                 .p = p,
                                 .state = accept ? "active" : "ended",
                                 .event = accept ? "delegation.accepted" : "delegation.ended"};
    if (!accept)
        e = gateway_told(c, &d, false);
    if (e == ERR_OK)
        e = write(c, &job, state_closure);
    return e == ERR_OK && accept ? gateway_told(c, &d, true) : e;
}

/* ---- the API ------------------------------------------------------------------------------------
 */
enum err delegation_api_list(struct ctx *c)
{
    json_t *list;
    enum err e = delegation_list(c, c->site->org_id, &list);
    return e == ERR_OK ? ctx_json(c, 200, json_pack("{s:O}", "items", list)) : e;
}

enum err delegation_from_form(struct ctx *c, struct str *id)
{
    struct contract_party p = party_of(c);
    struct str months = str_trim(ctx_form(c, "months"));
    int64_t n = MONTHS;
    if (months.n && !str_to_i64(months, &n))
        n = 0;
    return delegation_declare(c, &p, str_trim(ctx_form(c, "vendor")), str_trim(ctx_form(c, "api")),
                              n, id);
}

enum err delegation_api_declare(struct ctx *c)
{
    struct str id;
    enum err e = delegation_from_form(c, &id);
    return e == ERR_OK
               ? ctx_json(c, 201, json_pack("{s:o,s:s}", "id", json_str(id), "state", "declared"))
               : e;
}

enum err delegation_api_act(struct ctx *c)
{
    struct contract_party p = party_of(c);
    struct str action = ctx_path(c, "action");
    enum err e = delegation_act(c, &p, ctx_path(c, "id"), action);
    return e == ERR_OK ? ctx_json(c, 200,
                                  json_pack("{s:s}", "state",
                                            str_eq_z(action, "accept") ? "active" : "ended"))
                       : e;
}
