#include "core/exchange/usage.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include "base/clock.h"
#include "base/log.h"
#include "core/exchange/health.h"
#include "core/exchange/schema.h"
#include "sys/proc.h"

enum { EVERY_MS = 2000, STEP_MS = 200, DAY_MS = 86400 * 1000 };

static _Atomic(struct usage *) all;
static _Atomic(struct health *) healths;

void usage_register_health(struct health *h)
{
    h->next = atomic_load(&healths);
    while (!atomic_compare_exchange_weak(&healths, &h->next, h))
        ;
}

void usage_register(struct usage *u, const char *contract)
{
    u->contract = contract;
    u->next = atomic_load(&all);
    while (!atomic_compare_exchange_weak(&all, &u->next, u))
        ;
}

/* ---- writing down -------------------------------------------------------------------------------
 */
struct seen {
    struct usage *u;
    uint64_t delivered, refused, bytes;
};
struct usage_job {
    struct seen *list;
    size_t n;
    int64_t now_ms;
};

static enum err usage_write(struct db_conn *db, void *arg)
{
    const struct usage_job *job = arg;
    enum err e = ERR_OK;
    for (size_t i = 0; i < job->n && e == ERR_OK; i++) {
        const struct seen *s = &job->list[i];
        e = db_exec(db,
                    "INSERT INTO exchange_usage(contract, day, delivered, refused, bytes, last_at) "
                    "VALUES($1, $2, $3, $4, $5, $6) ON CONFLICT (contract, day) DO UPDATE SET "
                    "delivered = exchange_usage.delivered + $3, "
                    "refused = exchange_usage.refused + $4, bytes = exchange_usage.bytes + $5, "
                    "last_at = $6",
                    "ziiiii", s->u->contract, job->now_ms / DAY_MS,
                    (int64_t)(s->delivered - s->u->told_delivered),
                    (int64_t)(s->refused - s->u->told_refused),
                    (int64_t)(s->bytes - s->u->told_bytes), job->now_ms);
    }
    return e;
}

static void flush(struct platform *pf)
{
    struct arena a;
    struct usage_job job = {.now_ms = clock_now_ms()};
    size_t n = 0;
    for (struct usage *u = atomic_load(&all); u; u = u->next)
        n++;
    arena_init(&a);
    job.list = arena_array(&a, struct seen, n + 1);
    for (struct usage *u = atomic_load(&all); u && job.n < n; u = u->next) {
        struct seen s = {u, atomic_load(&u->delivered), atomic_load(&u->refused),
                         atomic_load(&u->bytes)};
        if (s.delivered != u->told_delivered || s.refused != u->told_refused)
            job.list[job.n++] = s;
    }
    enum err e = job.n ? db_write(pf->db, usage_write, &job) : ERR_OK;
    for (size_t i = 0; i < job.n && e == ERR_OK; i++) {
        struct seen *s = &job.list[i];
        s->u->told_delivered = s->delivered;
        s->u->told_refused = s->refused;
        s->u->told_bytes = s->bytes;
    }
    if (e != ERR_OK)
        log_warn("usage_not_written", "error", err_name(e)); /* the next turn has it */
    arena_free(&a);
}

/* ---- how providers fare -------------------------------------------------------------------------
 */
struct fared {
    struct health *h;
    uint64_t now[HEALTH_COUNTS];
    int state;
    const char *worst; /* of all loops, where this one's changed */
};
struct fared_job {
    struct fared *list;
    size_t n;
    int64_t now_ms;
};

static enum err fared_write(struct db_conn *db, void *arg)
{
    const struct fared_job *job = arg;
    enum err e = ERR_OK;
    for (size_t i = 0; i < job->n && e == ERR_OK; i++) {
        const struct fared *s = &job->list[i];
        int64_t d[HEALTH_COUNTS];
        for (size_t k = 0; k < HEALTH_COUNTS; k++)
            d[k] = (int64_t)(s->now[k] - s->h->told[k]);
        e = db_exec(
            db,
            "INSERT INTO exchange_health(api, version, day, calls, errors, slow, refused, opened, "
            "sampled, departures, took_us) VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON "
            "CONFLICT (api, version, day) DO UPDATE SET "
            "calls = exchange_health.calls + $4, errors = exchange_health.errors + $5, "
            "slow = exchange_health.slow + $6, refused = exchange_health.refused + $7, "
            "opened = exchange_health.opened + $8, "
            "sampled = exchange_health.sampled + $9, "
            "departures = exchange_health.departures + $10, "
            "took_us = exchange_health.took_us + $11",
            "zziiiiiiiii", s->h->api, s->h->version, job->now_ms / DAY_MS, d[HEALTH_CALLS],
            d[HEALTH_ERRORS], d[HEALTH_SLOW], d[HEALTH_REFUSED], d[HEALTH_OPENED],
            d[HEALTH_SAMPLED], d[HEALTH_DEPARTURES], d[HEALTH_TOOK_US]);
        if (e == ERR_OK && s->worst)
            e = db_exec(db,
                        "INSERT INTO exchange_breaker(api, version, state, since_at) "
                        "VALUES($1, $2, $3, $4) ON CONFLICT (api, version) DO UPDATE SET "
                        "since_at = CASE WHEN exchange_breaker.state = $3 THEN "
                        "exchange_breaker.since_at ELSE $4 END, state = $3",
                        "zzzi", s->h->api, s->h->version, s->worst, job->now_ms);
    }
    return e;
}

/* A provider is spared when one loop spares it. */
static const char *worst_state(const struct health *of)
{
    int worst = BREAKER_CLOSED;
    for (struct health *h = atomic_load(&healths); h; h = h->next) {
        int s = atomic_load(&h->state_now);
        if (strcmp(h->api, of->api) == 0 && strcmp(h->version, of->version) == 0 &&
            (s == BREAKER_OPEN || worst == BREAKER_CLOSED))
            worst = s;
    }
    return breaker_names[worst];
}

static bool fared_read(struct health *h, struct fared *out)
{
    bool changed = false;
    *out = (struct fared){.h = h, .state = atomic_load(&h->state_now)};
    for (size_t k = 0; k < HEALTH_COUNTS; k++) {
        out->now[k] = atomic_load(&h->counts[k]);
        changed |= out->now[k] != h->told[k];
    }
    /* What is not closed is said again: another node's start may have said otherwise. */
    if (out->state != h->state_told || out->state != BREAKER_CLOSED)
        out->worst = worst_state(h);
    return changed || out->worst;
}

static void flush_healths(struct platform *pf)
{
    struct arena a;
    struct fared_job job = {.now_ms = clock_now_ms()};
    size_t n = 0;
    for (struct health *h = atomic_load(&healths); h; h = h->next)
        n++;
    arena_init(&a);
    job.list = arena_array(&a, struct fared, n + 1);
    for (struct health *h = atomic_load(&healths); h && job.n < n; h = h->next)
        job.n += fared_read(h, &job.list[job.n]);
    enum err e = job.n ? db_write(pf->db, fared_write, &job) : ERR_OK;
    for (size_t i = 0; i < job.n && e == ERR_OK; i++) {
        memcpy(job.list[i].h->told, job.list[i].now, sizeof job.list[i].now);
        job.list[i].h->state_told = job.list[i].state;
    }
    if (e != ERR_OK)
        log_warn("health_not_written", "error", err_name(e));
    arena_free(&a);
}

/* What this process thought of providers ended with it: all breakers begin closed. */
static enum err breakers_close(struct db_conn *db, void *now_ms)
{
    return db_exec(db,
                   "UPDATE exchange_breaker SET state = 'closed', since_at = $1 "
                   "WHERE state <> 'closed'",
                   "i", *(int64_t *)now_ms);
}

static void *usage_run(void *arg)
{
    struct platform *pf = arg;
    int64_t now_ms = clock_now_ms();
    enum err e = db_write(pf->db, breakers_close, &now_ms);
    if (e != ERR_OK)
        log_warn("breakers_not_shown", "error", err_name(e));
    int64_t next_ms = clock_mono_ms() + EVERY_MS;
    while (!proc_stopping) {
        struct timespec step = {0, STEP_MS * 1000000L};
        nanosleep(&step, NULL);
        if (clock_mono_ms() < next_ms)
            continue;
        flush(arg);
        flush_healths(arg);
        next_ms = clock_mono_ms() + EVERY_MS;
    }
    return NULL;
}

enum err usage_start(struct platform *pf)
{
    pthread_t thread;
    pthread_attr_t attr;
    if (pthread_attr_init(&attr) != 0)
        return ERR_INTERNAL;
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    int failed = pthread_create(&thread, &attr, usage_run, pf);
    pthread_attr_destroy(&attr);
    return failed ? ERR_INTERNAL : ERR_OK;
}

/* ---- the call -----------------------------------------------------------------------------------
 */
/* PostgreSQL sums into numeric, which comes as text. */
static int64_t number(const struct db_result *r, size_t row, size_t col)
{
    int64_t n = db_i64(r, row, col);
    uint64_t text;
    return n == 0 && str_to_u64(db_str(r, row, col), &text) ? (int64_t)text : n;
}

/* exchange.usage -> items: [{api, version, contracts, organisations, delivered, refused, bytes,
 * delivered_30, last_at}]. */
enum err exchange_call_usage(struct ctx *c, const json_t *args, json_t **out)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    (void)args;
    enum err e =
        !db ? ERR_UNAVAILABLE
            : db_query(db, c->arena, &r,
                       "SELECT k.api, k.version, COUNT(DISTINCT k.id), COUNT(DISTINCT k.org_id), "
                       "COALESCE(SUM(u.delivered), 0), COALESCE(SUM(u.refused), 0), "
                       "COALESCE(SUM(u.bytes), 0), "
                       "COALESCE(SUM(CASE WHEN u.day > $1 THEN u.delivered ELSE 0 END), 0), "
                       "COALESCE(MAX(u.last_at), 0) "
                       "FROM contract k LEFT JOIN exchange_usage u ON u.contract = k.id "
                       "GROUP BY k.api, k.version ORDER BY k.api, k.version",
                       "i", clock_now_ms() / DAY_MS - 30);
    if (e != ERR_OK)
        return e;
    json_t *items = json_array();
    for (size_t i = 0; i < r.n_rows; i++) {
        static const char *const names[] = {"contracts", "organisations", "delivered", "refused",
                                            "bytes",     "delivered_30",  "last_at"};
        json_t *v = json_pack("{s:s, s:s}", "api", db_z(&r, i, 0), "version", db_z(&r, i, 1));
        for (size_t k = 0; k < COUNT_OF(names); k++) {
            json_object_set_new(v, names[k], json_integer(number(&r, i, 2 + k)));
        }
        json_array_append_new(items, v);
    }
    *out = json_pack("{s:o}", "items", items);
    return ERR_OK;
}

/* exchange.contract_days: {id, from, to} (days since 1970, `to` left out) -> items: [{day
 * "2026-11-25", delivered, refused, bytes}]. */
enum err exchange_call_contract_days(struct ctx *c, const json_t *args, json_t **out)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    enum err e = db ? db_query(db, c->arena, &r,
                               "SELECT day, delivered, refused, bytes FROM exchange_usage WHERE "
                               "contract = $1 AND day >= $2 AND day < $3 ORDER BY day",
                               "sii", json_get_str(args, "id"), json_get_i64(args, "from", 0),
                               json_get_i64(args, "to", 0))
                    : ERR_UNAVAILABLE;
    if (e != ERR_OK)
        return e;
    json_t *items = json_array();
    for (size_t i = 0; i < r.n_rows; i++)
        json_array_append_new(
            items, json_pack("{s:s#, s:I, s:I, s:I}", "day",
                             clock_rfc3339(c->arena, db_i64(&r, i, 0) * DAY_MS, false).p, 10,
                             "delivered", (json_int_t)db_i64(&r, i, 1), "refused",
                             (json_int_t)db_i64(&r, i, 2), "bytes", (json_int_t)db_i64(&r, i, 3)));
    *out = json_pack("{s:o}", "items", items);
    return ERR_OK;
}

/* exchange.contract_usage: {id} -> delivered, refused, bytes, delivered_30, last_at of one
 * contract.
 */
enum err exchange_call_contract_usage(struct ctx *c, const json_t *args, json_t **out)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    enum err e =
        db ? db_query_one(db, c->arena, &r,
                          "SELECT COALESCE(SUM(delivered), 0), COALESCE(SUM(refused), 0), "
                          "COALESCE(SUM(bytes), 0), COALESCE(SUM(CASE WHEN day > $1 THEN delivered "
                          "ELSE 0 END), 0), COALESCE(MAX(last_at), 0) FROM exchange_usage WHERE "
                          "contract = $2",
                          "is", clock_now_ms() / DAY_MS - 30, json_get_str(args, "id"))
           : ERR_UNAVAILABLE;
    if (e == ERR_OK)
        *out = json_pack("{s:I, s:I, s:I, s:I, s:I}", "delivered", (json_int_t)number(&r, 0, 0),
                         "refused", (json_int_t)number(&r, 0, 1), "bytes",
                         (json_int_t)number(&r, 0, 2), "delivered_30", (json_int_t)number(&r, 0, 3),
                         "last_at", (json_int_t)number(&r, 0, 4));
    return e;
}
