/* What a consumer says of the data it uses, and what the producer answers (P5.5.6); and what it is
 * compared with: a use that the agreement does not hold suspends it at once (P8.1.3). */
#include "core/contracts/contracts.h"

#include "base/clock.h"
#include "base/rand.h"

enum { WORDS_MAX = 4000 };
static const int64_t DAY_MS = 86400000;

bool report_is_overdue(const struct contract_request *r, int64_t now_ms)
{
    return r->report_due_ms && r->report_due_ms < now_ms;
}

struct report_job {
    const struct contract_party *p;
    struct contract_request *r;
    struct str kind, words, fields;
    int64_t calls, now_ms, due_ms, counted;
};

static enum err report_closure(struct db_conn *db, void *arg)
{
    struct report_job *j = arg;
    char id[ID_LEN + 1];
    id_new(id);
    enum err e =
        db_exec(db,
                "INSERT INTO contract_report(id, request_id, org, who, kind, words, fields, "
                "calls, at_ms, counted) VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
                "zssssssiii", id, j->r->id, j->p->org, j->p->name, j->kind, j->words, j->fields,
                j->calls, j->now_ms, j->counted);
    if (e == ERR_OK && j->due_ms)
        e = db_exec(db, "UPDATE contract_request SET report_due_at = $1 WHERE id = $2", "is",
                    j->due_ms, j->r->id);
    return e == ERR_OK ? contract_tell(db, j->r, "contract.report", j->now_ms) : e;
}

static bool list_has(struct str list, struct str word)
{
    struct str part;
    if (str_eq_z(list, "*"))
        return true;
    while (list.n && str_split(&list, ' ', &part))
        if (str_eq(part, word))
            return true;
    return false;
}

/* The first field it says it used that its agreement does not name. */
static struct str beyond(const struct contract_request *r, struct str used)
{
    struct str part;
    while (used.n && str_split(&used, ' ', &part))
        if (part.n && !list_has(json_get_str(r->terms, "fields"), part))
            return part;
    return STR_NONE;
}

static enum err cut(struct ctx *c, struct contract_request *r, struct str why)
{
    struct contract_party platform = {
        .org = STR("socle"), .who = STR("platform"), .name = STR("Socle"), .extra = SIDE_OPERATOR};
    return r->held_by.n ? ERR_OK : request_act(c, &platform, r, STR("suspend"), why);
}

/* ---- declared and counted -----------------------------------------------------------------------
 */
bool org_is_private(struct ctx *c, struct str org)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    return db && db_query_one(db, c->arena, &r,
                              "SELECT id FROM organisation WHERE id = $1 AND kind IN ('private', "
                              "'partner')",
                              "s", org) == ERR_OK;
}

const json_t *contract_counted(struct ctx *c, const struct contract_request *r)
{
    return contracts_one(c, "exchange.contract_usage",
                         json_pack("{s:o}", "id", json_str(r->contract_id)));
}

/* All calls it declared under this contract, over its reopenings. */
static enum err declared_sum(struct ctx *c, const struct contract_request *r, int64_t *calls)
{
    struct db_result rows;
    struct db_conn *db = db_read(c->pf->db);
    enum err e = db ? db_query(db, c->arena, &rows,
                               "SELECT p.calls FROM contract_report p JOIN contract_request q ON "
                               "q.id = p.request_id WHERE q.contract_id = $1 AND p.kind = 'usage'",
                               "s", r->contract_id)
                    : ERR_UNAVAILABLE;
    *calls = 0;
    for (size_t i = 0; e == ERR_OK && i < rows.n_rows; i++)
        *calls += db_i64(&rows, i, 0);
    return e;
}

/* A tenth and ten calls are forgiven: the gateway's count is some seconds old. */
static bool is_less(int64_t declared, int64_t counted)
{
    return counted - declared > 10 && declared < counted - counted / 10;
}

/* What a usage report says against what the agreement holds and the gateway counted. */
static enum err compare(struct ctx *c, struct contract_request *r, struct str fields,
                        int64_t counted)
{
    int64_t declared;
    struct str field = beyond(r, fields);
    if (field.n)
        return cut(
            c, r,
            arena_printf(c->arena,
                         "Usage déclaré hors convention / use outside the agreement: " STR_FMT,
                         STR_ARG(field)));
    enum err e = declared_sum(c, r, &declared);
    if (e == ERR_OK && is_less(declared, counted) && org_is_private(c, r->consumer))
        e = cut(c, r,
                arena_printf(c->arena,
                             "Appels déclarés : %lld, comptés : %lld / calls declared: %lld, "
                             "counted: %lld",
                             (long long)declared, (long long)counted, (long long)declared,
                             (long long)counted));
    return e;
}

enum err report_add(struct ctx *c, const struct contract_party *p, struct contract_request *r,
                    struct str kind, struct str words, struct str fields, int64_t calls)
{
    struct act act;
    unsigned sides = party_sides(p, r);
    bool usage = str_eq_z(kind, "usage"), quality = str_eq_z(kind, "quality");
    unsigned may = usage || quality ? SIDE_CONSUMER : SIDE_PROVIDER;
    struct report_job job = {p,
                             r,
                             kind,
                             str_trim(words.p ? words : STR("")),
                             fields.p ? fields : STR(""),
                             calls,
                             clock_now_ms(),
                             0,
                             0};
    if (!usage && !quality && !str_eq_z(kind, "answer"))
        return ERR_NOT_FOUND;
    if (!(sides & may))
        return ctx_fail(c, &contracts_fault_role, ERR_DENIED, STR_NONE);
    if (r->state != CONTRACT_VALIDATED)
        return ctx_fail(c, &contracts_fault_state, ERR_CONFLICT, STR_NONE);
    if (job.words.n < 2 || job.words.n > WORDS_MAX || job.fields.n > WORDS_MAX)
        return ctx_fail(c, &contracts_fault_words, ERR_INVALID, STR_NONE);
    int64_t days = json_get_i64(r->terms, "report_days", 0);
    if (usage)
        job.counted = json_get_i64(contract_counted(c, r), "delivered", 0);
    if (usage && days)
        job.due_ms = r->report_due_ms = job.now_ms + days * DAY_MS;
    struct act_info info = {.kind = usage     ? "contract.report.usage"
                                    : quality ? "contract.report.quality"
                                              : "contract.report.answer",
                            .actor = p->who,
                            .object = r->id};
    enum err e = act_make(c, &info, &act);
    if (e == ERR_OK)
        e = act_write(c, report_closure, &job, &act, 1);
    return e == ERR_OK && usage ? compare(c, r, job.fields, job.counted) : e;
}

enum err report_list(struct ctx *c, struct str request, json_t **out)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    enum err e = db ? db_query(db, c->arena, &r,
                               "SELECT at_ms, org, who, kind, words, fields, calls, counted FROM "
                               "contract_report WHERE request_id = $1 ORDER BY at_ms, id LIMIT 200",
                               "s", request)
                    : ERR_UNAVAILABLE;
    if (e != ERR_OK)
        return e;
    *out = json_own(&c->pool, json_array());
    for (size_t i = 0; i < r.n_rows; i++)
        json_array_append_new(
            *out, json_pack("{s:I,s:s,s:s,s:s,s:s,s:s,s:I,s:I}", "at", (json_int_t)db_i64(&r, i, 0),
                            "org", db_z(&r, i, 1), "who", db_z(&r, i, 2), "kind", db_z(&r, i, 3),
                            "text", db_z(&r, i, 4), "fields", db_z(&r, i, 5), "calls",
                            (json_int_t)db_i64(&r, i, 6), "counted", (json_int_t)db_i64(&r, i, 7)));
    return ERR_OK;
}
