/* What time does to contracts, in jobs: reminders 30 days before the end, the yearly review, the
 * end, and whatever a crash left between a request and the exchange's contract. Both sides read it
 * in the contract's history, by webhook, and by mail where they gave an address. */
#include "core/contracts/contracts.h"

#include "base/clock.h"
#include "base/log.h"
#include "platform/org_mail.h"
#include "web/pages.h"

enum { EVERY_S = 5, SWEEP_EVERY_S = 600, YOUNG_MS = 10000 };
static const int64_t DAY_MS = 86400000, REMIND_DAYS = 30, YEAR_DAYS = 365;

/* An occasion: which requests ($1: before when), and what marks one of them ($1: now, $2: its id).
 */
struct occasion {
    const char *message, *event, *kind;
    const char *find, *mark;
    int64_t ahead_days;
    bool ends;
};
static const struct occasion occasions[] = {
    {"expire", "contract.expired", "contract.expired",
     "SELECT id FROM contract_request WHERE state = 'validated' AND ends_at > 0 AND ends_at <= $1 "
     "ORDER BY ends_at LIMIT 100",
     "UPDATE contract_request SET state = 'archived', revision = revision + 1, updated_at = $1 "
     "WHERE id = $2 AND state = 'validated'",
     0, true},
    {"remind", "contract.reminder", "contract.reminded",
     "SELECT id FROM contract_request WHERE state = 'validated' AND ends_at > 0 AND ends_at <= $1 "
     "AND reminded_at = 0 ORDER BY ends_at LIMIT 100",
     "UPDATE contract_request SET reminded_at = $1 WHERE id = $2 AND reminded_at = 0", REMIND_DAYS,
     false},
    {"review_due", "contract.review_due", "contract.review_due",
     "SELECT id FROM contract_request WHERE state = 'validated' AND reviewed_at <= $1 AND "
     "review_told_at <= reviewed_at ORDER BY reviewed_at LIMIT 100",
     "UPDATE contract_request SET review_told_at = $1 WHERE id = $2 AND review_told_at <= "
     "reviewed_at",
     -YEAR_DAYS, false},
};

struct clock_job {
    const struct occasion *o;
    const struct contract_request *r;
    struct mail_sealed mails[2];
    int64_t now_ms;
};

static enum err clock_closure(struct db_conn *db, void *arg)
{
    struct clock_job *j = arg;
    int64_t changed;
    struct contract_request after = *j->r;
    enum err e = db_exec_count(db, &changed, j->o->mark, "is", j->now_ms, j->r->id);
    if (e != ERR_OK || changed == 0)
        return e == ERR_OK ? ERR_CONFLICT : e;
    if (j->o->ends)
        after.state = CONTRACT_ARCHIVED;
    e = message_add(db, j->r->id, STR("socle"), STR("Socle"), j->o->message, STR(""), j->now_ms);
    for (size_t i = 0; i < COUNT_OF(j->mails) && e == ERR_OK; i++)
        e = mail_queue(db, &j->mails[i], j->now_ms);
    return e == ERR_OK ? contract_tell(db, &after, j->o->event, j->now_ms) : e;
}

/* To both sides, in French, with where to act. */
static enum err mails_make(struct ctx *c, struct clock_job *j)
{
    const struct contract_request *r = j->r;
    const struct str sides[] = {r->consumer, r->provider};
    enum err e = ERR_OK;
    struct str ends = clock_in_words(c->arena, r->ends_ms, "fr", false);
    for (size_t i = 0; i < COUNT_OF(sides) && e == ERR_OK; i++) {
        struct site *site = site_of_org(c->arena, sides[i]);
        struct str url = arena_printf(c->arena, STR_FMT "/contrats/" STR_FMT,
                                      STR_ARG(site ? site->base_url : STR("")), STR_ARG(r->id));
        json_t *data =
            json_own(&c->pool, json_pack("{s:o,s:o,s:o,s:o}", "api", json_str(r->api), "version",
                                         json_str(r->version), "ends", json_str(ends), "url",
                                         json_str(site ? url : STR(""))));
        const char *key = arena_printf(c->arena, "mail.%s", j->o->message).p;
        struct str subject = pages_text(c->arena, "contracts",
                                        arena_printf(c->arena, "%s.subject", key).p, "fr", data);
        struct str text = pages_text(c->arena, "contracts", key, "fr", data);
        e = org_mail_seal(
            c, sides[i], j->o->event, subject,
            arena_printf(c->arena, STR_FMT "\n\n" STR_FMT "\n", STR_ARG(text), STR_ARG(url)),
            &j->mails[i]);
    }
    return e;
}

static enum err clock_one(struct ctx *c, const struct occasion *o, const struct contract_request *r,
                          int64_t now_ms)
{
    struct act act;
    struct clock_job job = {.o = o, .r = r, .now_ms = now_ms};
    struct act_info info = {.kind = o->kind, .actor = STR("platform"), .object = r->id};
    enum err e = mails_make(c, &job);
    if (e != ERR_OK) { /* a reminder without its mail is one all the same */
        log_warn("contract_mail", "error", err_name(e));
        job.mails[0].data = job.mails[1].data = STR("");
    }
    e = act_make(c, &info, &act);
    if (e == ERR_OK)
        e = act_write(c, clock_closure, &job, &act, 1);
    return e == ERR_CONFLICT ? ERR_OK : e; /* somebody acted on it: it is read again */
}

static enum err due(struct ctx *c, const struct occasion *o, int64_t now_ms)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    enum err e = db ? db_query(db, c->arena, &r, o->find, "i", now_ms + o->ahead_days * DAY_MS)
                    : ERR_UNAVAILABLE;
    for (size_t i = 0; e == ERR_OK && i < r.n_rows; i++) {
        struct contract_request one;
        e = request_get(c, db_str(&r, i, 0), &one);
        if (e == ERR_OK)
            e = clock_one(c, o, &one, now_ms);
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
    enum err e = ERR_OK;
    for (size_t i = 0; i < COUNT_OF(occasions) && e == ERR_OK; i++)
        e = due(c, &occasions[i], now_ms);
    if (e == ERR_OK)
        e = unfinished(c, now_ms);
    if (e == ERR_OK && turn % (SWEEP_EVERY_S / EVERY_S) == 1)
        e = desk_sweep(pf, now_ms);
    if (e != ERR_OK)
        log_warn("contracts_clock", "error", err_name(e));
    ctx_free(c);
    arena_free(&a);
}
