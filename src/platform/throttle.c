#include "platform/throttle.h"

#include <arpa/inet.h>
#include <pthread.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"

enum {
    WAYS = 8,
    SETS = 4096,
    LOCKS = 64,
    MINUTE_US = 60 * 1000 * 1000,
    FREE_FAILURES = 5,
    STEP_MS = 30 * 1000,
    PAUSE_MAX_MS = 3600 * 1000,
    FORGET_MS = 86400 * 1000,
    SWEEP_EVERY_S = 300,
};

/* ---- rates: the generic cell rate algorithm, one number a key ----------------------------------
 */
/* `full_us` is when the key's allowance is whole again; a slot whose time is past is free. A full
 * set gives up the slot that would be free first: who is being slowed down stays. */
static struct cell {
    uint64_t who;
    int64_t full_us;
} cells[SETS][WAYS];
static pthread_mutex_t locks[LOCKS];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void start(void)
{
    for (size_t i = 0; i < LOCKS; i++)
        pthread_mutex_init(&locks[i], NULL);
}

static uint64_t who_of(const struct throttle_rule *r, struct str key)
{
    uint64_t a = map_hash(str_from(r->name)), b = map_hash(key);
    uint64_t h = (a * 0x9e3779b97f4a7c15u) ^ b;
    return h ? h : 1;
}

static struct cell *cell_of(uint64_t who, int64_t now_us)
{
    struct cell *set = cells[who % SETS], *first = &set[0];
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].who == who)
            return &set[i];
        if (set[i].full_us < first->full_us)
            first = &set[i];
    }
    *first = (struct cell){.who = who, .full_us = now_us};
    return first;
}

/* take: 1 takes one, 0 looks only. */
static unsigned ask(const struct throttle_rule *r, struct str key, int take)
{
    if (r->per_minute == 0)
        return 0;
    uint64_t who = who_of(r, key);
    int64_t now_us = clock_mono_us(), one_us = MINUTE_US / r->per_minute, wait_us;
    pthread_once(&once, start);
    pthread_mutex_t *lock = &locks[who % SETS % LOCKS];
    pthread_mutex_lock(lock);
    struct cell *x = cell_of(who, now_us);
    int64_t full_us = x->full_us > now_us ? x->full_us : now_us;
    wait_us = full_us + one_us - now_us - one_us * (int64_t)(r->burst ? r->burst : 1);
    if (wait_us <= 0 && take)
        x->full_us = full_us + one_us;
    pthread_mutex_unlock(lock);
    return wait_us <= 0 ? 0 : (unsigned)((wait_us + 999999) / 1000000);
}

unsigned throttle_pass(const struct throttle_rule *r, struct str key)
{
    return ask(r, key, 1);
}

unsigned throttle_wait(const struct throttle_rule *r, struct str key)
{
    return ask(r, key, 0);
}

void throttle_forget(const struct throttle_rule *r, struct str key)
{
    uint64_t who = who_of(r, key);
    pthread_once(&once, start);
    pthread_mutex_t *lock = &locks[who % SETS % LOCKS];
    pthread_mutex_lock(lock);
    for (size_t i = 0; i < WAYS; i++)
        if (cells[who % SETS][i].who == who)
            cells[who % SETS][i] = (struct cell){0};
    pthread_mutex_unlock(lock);
}

/* ---- requests -----------------------------------------------------------------------------------
 */
static const struct fault f_rate = {"SOC-429-RATE", 429, "platform", "Too Many Requests"};

enum err throttle_hold(struct ctx *c, const struct throttle_rule *r, struct str key)
{
    unsigned wait_s = throttle_pass(r, key);
    if (wait_s == 0)
        return ERR_OK;
    c->retry_after_s = wait_s;
    log_info("throttled", "trace", c->trace_id, "rule", r->name, "wait_s", LOG_NUM(wait_s));
    return ctx_fail(c, &f_rate, ERR_LIMIT, arena_printf(c->arena, "wait %u s", wait_s));
}

struct str throttle_address(const struct ctx *c)
{
    struct in6_addr six;
    struct in_addr four;
    char text[INET6_ADDRSTRLEN] = "";
    if (!c->rq || !c->rq->remote.n || c->rq->remote.n >= sizeof text)
        return STR("");
    memcpy(text, c->rq->remote.p, c->rq->remote.n);
    if (inet_pton(AF_INET, text, &four) == 1)
        return ntohl(four.s_addr) >> 24 == 127 ? STR("") : c->rq->remote;
    if (inet_pton(AF_INET6, text, &six) != 1 || IN6_IS_ADDR_LOOPBACK(&six))
        return STR("");
    if (IN6_IS_ADDR_V4MAPPED(&six))
        return six.s6_addr[12] == 127 ? STR("") : c->rq->remote;
    memset(six.s6_addr + 8, 0, 8);
    inet_ntop(AF_INET6, &six, text, sizeof text);
    return arena_dup(c->arena, str_from(text));
}

enum err throttle_hold_address(struct ctx *c)
{
    struct str address = throttle_address(c);
    unsigned n = (unsigned)c->pf->settings->throttle_address;
    struct throttle_rule rule = {"address", n, n};
    return address.n ? throttle_hold(c, &rule, address) : ERR_OK;
}

/* ---- failures of an account ---------------------------------------------------------------------
 */
static const struct db_migration migrations[] = {
    {"throttle", 1,
     "CREATE TABLE account_failure("
     " what TEXT PRIMARY KEY, n BIGINT NOT NULL, until_at BIGINT NOT NULL, last_at BIGINT NOT "
     "NULL);"
     "CREATE INDEX account_failure_last ON account_failure(last_at);"},
};

struct failure {
    struct str what;
    int64_t now_ms;
};

enum err throttle_locked(struct ctx *c, struct str what, unsigned *wait_s)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    int64_t now_ms = clock_now_ms();
    *wait_s = 0;
    if (!db)
        return ERR_UNAVAILABLE;
    enum err e = db_query_one(db, c->arena, &r,
                              "SELECT until_at FROM account_failure WHERE what = $1", "s", what);
    if (e == ERR_OK && db_i64(&r, 0, 0) > now_ms)
        *wait_s = (unsigned)((db_i64(&r, 0, 0) - now_ms + 999) / 1000);
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

static enum err failed_write(struct db_conn *db, void *arg)
{
    const struct failure *f = arg;
    enum err e = db_exec(db, "DELETE FROM account_failure WHERE what = $1 AND last_at < $2", "si",
                         f->what, f->now_ms - FORGET_MS);
    if (e == ERR_OK)
        e = db_exec(db,
                    "INSERT INTO account_failure(what, n, until_at, last_at) VALUES($1, 1, 0, $2) "
                    "ON CONFLICT (what) DO UPDATE SET n = account_failure.n + 1, last_at = $2",
                    "si", f->what, f->now_ms);
    return e == ERR_OK ? db_exec(db,
                                 "UPDATE account_failure SET until_at = CASE WHEN n < $3 THEN 0 "
                                 "WHEN (n - $3 + 1) * $4 > $5 THEN $2 + $5 ELSE "
                                 "$2 + (n - $3 + 1) * $4 END WHERE what = $1",
                                 "siiii", f->what, f->now_ms, (int64_t)FREE_FAILURES,
                                 (int64_t)STEP_MS, (int64_t)PAUSE_MAX_MS)
                       : e;
}

enum err throttle_failed(struct ctx *c, struct str what)
{
    struct failure f = {what, clock_now_ms()};
    return db_write(c->pf->db, failed_write, &f);
}

static enum err succeeded_write(struct db_conn *db, void *arg)
{
    const struct failure *f = arg;
    return db_exec(db, "DELETE FROM account_failure WHERE what = $1", "s", f->what);
}

enum err throttle_succeeded(struct ctx *c, struct str what)
{
    struct failure f = {what, 0};
    return db_write(c->pf->db, succeeded_write, &f);
}

static enum err sweep(struct db_conn *db, void *arg)
{
    return db_exec(db, "DELETE FROM account_failure WHERE last_at < $1", "i",
                   *(int64_t *)arg - FORGET_MS);
}

static void tick(struct platform *pf, int64_t now_ms)
{
    static int turn;
    if (turn++ % SWEEP_EVERY_S == 0 && db_write(pf->db, sweep, &now_ms) != ERR_OK)
        log_warn("throttle_sweep_failed");
}

const struct service service_throttle = {
    .name = "throttle",
    .migrations = migrations,
    .n_migrations = COUNT_OF(migrations),
    .tick = tick,
};
