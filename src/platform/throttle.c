#include "platform/throttle.h"

#include <arpa/inet.h>
#include <pthread.h>
#include "base/clock.h"
#include "base/codec.h"
#include "base/log.h"
#include "base/map.h"
#include "crypto/digest.h"

enum {
    WAYS = 8,
    SETS = 4096,
    LOCKS = 64,
    MINUTE_US = 60 * 1000 * 1000,
    FREE_TRIES = 5,
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

unsigned throttle_take(const struct throttle_rule *r, struct str key)
{
    return ask(r, key, 1);
}

unsigned throttle_wait(const struct throttle_rule *r, struct str key)
{
    return ask(r, key, 0);
}

void throttle_give(const struct throttle_rule *r, struct str key)
{
    if (r->per_minute == 0)
        return;
    uint64_t who = who_of(r, key);
    int64_t now_us = clock_mono_us();
    pthread_once(&once, start);
    pthread_mutex_t *lock = &locks[who % SETS % LOCKS];
    pthread_mutex_lock(lock);
    cell_of(who, now_us)->full_us -= MINUTE_US / r->per_minute;
    pthread_mutex_unlock(lock);
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
    unsigned wait_s = throttle_take(r, key);
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

/* ---- tries at a secret --------------------------------------------------------------------------
 */
static const struct db_migration migrations[] = {
    {"throttle", 1,
     "CREATE TABLE account_failure("
     " what TEXT PRIMARY KEY, n BIGINT NOT NULL, until_at BIGINT NOT NULL, last_at BIGINT NOT "
     "NULL);"
     "CREATE INDEX account_failure_last ON account_failure(last_at);"},
    {"throttle", 2,
     "DROP TABLE account_failure;"
     "CREATE TABLE secret_try(id TEXT PRIMARY KEY, n BIGINT NOT NULL, last_at BIGINT NOT NULL);"
     "CREATE INDEX secret_try_last ON secret_try(last_at);"},
};

struct attempt {
    struct str id;
    int64_t now_ms, pause_ms; /* pause_ms: 0, it may be made */
};

/* Finds again what was tried, and tells nothing without the platform's own key. */
static struct str digest_of(struct ctx *c, const char *what, struct str whose)
{
    uint8_t key[SHA256_LEN], mac[SHA256_LEN];
    hkdf_sha256(str_of(c->pf->cookie_secret, sizeof c->pf->cookie_secret), STR("socle/throttle/1"),
                str_from(what), key, sizeof key);
    hmac_sha256(str_of(key, sizeof key), whose, mac);
    mem_wipe(key, sizeof key);
    return codec_to_hex(c->arena, mac, sizeof mac);
}

/* A closure may run twice, in a thread without an arena: the pause is read row by row. */
static int pause_read(void *arg, const struct db_value *row, size_t n_cols)
{
    struct attempt *t = arg;
    (void)n_cols;
    t->pause_ms = row[0].i - t->now_ms;
    return 1;
}

static enum err attempt_write(struct db_conn *db, void *arg)
{
    struct attempt *t = arg;
    int64_t changed = 0;
    t->pause_ms = 0;
    /* One statement counts and refuses: two tries at once cannot both pass. */
    enum err e = db_exec_count(
        db, &changed,
        "INSERT INTO secret_try(id, n, last_at) VALUES($1, 1, $2) ON CONFLICT (id) DO UPDATE SET "
        "n = CASE WHEN secret_try.last_at < $2 - $3 THEN 1 ELSE secret_try.n + 1 END, last_at = $2 "
        "WHERE secret_try.n < $4 OR secret_try.last_at + CASE WHEN (secret_try.n - $4 + 1) * $5 > "
        "$6 THEN $6 ELSE (secret_try.n - $4 + 1) * $5 END <= $2",
        "siiiii", t->id, t->now_ms, (int64_t)FORGET_MS, (int64_t)FREE_TRIES, (int64_t)STEP_MS,
        (int64_t)PAUSE_MAX_MS);
    if (e != ERR_OK || changed == 1)
        return e;
    t->pause_ms = 1;
    return db_each(db, pause_read, t,
                   "SELECT last_at + CASE WHEN (n - $2 + 1) * $3 > $4 THEN $4 ELSE "
                   "(n - $2 + 1) * $3 END FROM secret_try WHERE id = $1",
                   "siii", t->id, (int64_t)FREE_TRIES, (int64_t)STEP_MS, (int64_t)PAUSE_MAX_MS);
}

enum err throttle_try(struct ctx *c, const char *what, struct str whose)
{
    struct attempt t = {.id = digest_of(c, what, whose), .now_ms = clock_now_ms()};
    enum err e = db_write(c->pf->db, attempt_write, &t);
    if (e != ERR_OK || t.pause_ms == 0)
        return e;
    c->retry_after_s = t.pause_ms > 0 ? (unsigned)((t.pause_ms + 999) / 1000) : 1;
    log_info("throttled", "trace", c->trace_id, "rule", what, "wait_s", LOG_NUM(c->retry_after_s));
    return ERR_LIMIT;
}

static enum err attempts_forget(struct db_conn *db, void *arg)
{
    return db_exec(db, "DELETE FROM secret_try WHERE id = $1", "s", *(struct str *)arg);
}

enum err throttle_right(struct ctx *c, const char *what, struct str whose)
{
    struct str id = digest_of(c, what, whose);
    return db_write(c->pf->db, attempts_forget, &id);
}

static enum err sweep(struct db_conn *db, void *arg)
{
    return db_exec(db, "DELETE FROM secret_try WHERE last_at < $1", "i",
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
