/* What time does to contracts, in jobs: reminders 30 days before the end, the end, and whatever a
 * crash left between a request and the exchange's contract. */
#include "core/contracts/contracts.h"

#include "base/clock.h"
#include "base/log.h"

enum { EVERY_S = 5, SWEEP_EVERY_S = 600, YOUNG_MS = 10000 };
static const int64_t REMIND_MS = (int64_t)30 * 86400000;

struct clock_job {
    const struct contract_request *r;
    bool ends;
    int64_t now_ms;
};

static enum err clock_closure(struct db_conn *db, void *arg)
{
    struct clock_job *j = arg;
    int64_t changed;
    struct contract_request after = *j->r;
    enum err e =
        db_exec_count(db, &changed,
                      j->ends ? "UPDATE contract_request SET state = 'archived', revision = "
                                "revision + 1, updated_at = $1 WHERE id = $2 AND state = "
                                "'validated'"
                              : "UPDATE contract_request SET reminded_at = $1 WHERE id = $2 "
                                "AND reminded_at = 0",
                      "is", j->now_ms, j->r->id);
    if (e != ERR_OK || changed == 0)
        return e == ERR_OK ? ERR_CONFLICT : e;
    if (j->ends)
        after.state = CONTRACT_ARCHIVED;
    e = message_add(db, j->r->id, STR("socle"), STR("Socle"), j->ends ? "expire" : "remind",
                    STR(""), j->now_ms);
    return e == ERR_OK
               ? contract_tell(db, &after, j->ends ? "contract.expired" : "contract.reminder",
                               j->now_ms)
               : e;
}

static enum err clock_one(struct ctx *c, const struct contract_request *r, int64_t now_ms)
{
    struct act act;
    struct clock_job job = {r, r->ends_ms <= now_ms, now_ms};
    struct act_info info = {.kind = job.ends ? "contract.expired" : "contract.reminded",
                            .actor = STR("platform"),
                            .object = r->id};
    enum err e = act_make(c, &info, &act);
    if (e == ERR_OK)
        e = act_write(c, clock_closure, &job, &act, 1);
    return e == ERR_CONFLICT ? ERR_OK : e; /* somebody acted on it: it is read again */
}

static enum err due(struct ctx *c, int64_t now_ms)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    enum err e = db ? db_query(db, c->arena, &r,
                               "SELECT id FROM contract_request WHERE state = 'validated' AND "
                               "ends_at > 0 AND (ends_at <= $1 OR (ends_at <= $2 AND reminded_at = "
                               "0)) ORDER BY ends_at LIMIT 100",
                               "ii", now_ms, now_ms + REMIND_MS)
                    : ERR_UNAVAILABLE;
    for (size_t i = 0; e == ERR_OK && i < r.n_rows; i++) {
        struct contract_request one;
        e = request_get(c, db_str(&r, i, 0), &one);
        if (e == ERR_OK)
            e = clock_one(c, &one, now_ms);
    }
    return e;
}

static enum err unfinished(struct ctx *c, int64_t now_ms)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    enum err e =
        db ? db_query(db, c->arena, &r,
                      "SELECT id FROM contract_request WHERE applied = 0 AND updated_at < $1 "
                      "LIMIT 100",
                      "i", now_ms - YOUNG_MS)
           : ERR_UNAVAILABLE;
    for (size_t i = 0; e == ERR_OK && i < r.n_rows; i++) {
        struct contract_request one;
        e = request_get(c, db_str(&r, i, 0), &one);
        if (e == ERR_OK)
            e = contract_apply(c, &one, true);
    }
    return e;
}

void contracts_tick(struct platform *pf, int64_t now_ms)
{
    static int turn;
    struct arena a;
    if (turn++ % EVERY_S)
        return;
    arena_init(&a);
    struct ctx *c = ctx_make(pf, &a);
    enum err e = due(c, now_ms);
    if (e == ERR_OK)
        e = unfinished(c, now_ms);
    if (e == ERR_OK && turn % (SWEEP_EVERY_S / EVERY_S) == 1)
        e = desk_sweep(pf, now_ms);
    if (e != ERR_OK)
        log_warn("contracts_clock", "error", err_name(e));
    ctx_free(c);
    arena_free(&a);
}
