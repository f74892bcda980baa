/* The change feed. One thread polls; on SQLite that is one indexed read each 200 ms. */
#include "platform/change.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "platform/boot.h"
#include "sys/proc.h"

enum { SUBSCRIBERS_MAX = 8, POLL_MS = 200, BATCH = 1000, START_MS = 10000 };

static struct {
    change_fn *fn;
    void *arg;
} subscribers[SUBSCRIBERS_MAX];
static size_t n_subscribers;
static _Atomic int64_t confirmed_ms;
static struct {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t stop;
    bool stopping;
} poller = {.lock = PTHREAD_MUTEX_INITIALIZER, .stop = PTHREAD_COND_INITIALIZER};

void change_subscribe(struct platform *pf, change_fn *fn, void *arg)
{
    (void)pf;
    for (size_t i = 0; i < n_subscribers; i++)
        if (subscribers[i].fn == fn && subscribers[i].arg == arg)
            return;
    if (n_subscribers == SUBSCRIBERS_MAX)
        abort();
    subscribers[n_subscribers].fn = fn;
    subscribers[n_subscribers++].arg = arg;
}

int64_t change_confirmed_ms(void)
{
    return atomic_load_explicit(&confirmed_ms, memory_order_relaxed);
}

enum err change_add(struct db_conn *c, const char *kind, struct str key, int64_t until_ms)
{
    /* One counter row makes the numbers appear in commit order on both engines: a sequence alone
     * could show 8 before 7, and a poller that saw 8 would never read 7. */
    enum err e = db_exec(c, "UPDATE change_counter SET seq = seq + 1 WHERE id = 1", "");
    if (e != ERR_OK)
        return e;
    return db_exec(c,
                   "INSERT INTO change(seq, kind, item, until_ms, at_ms) "
                   "SELECT seq, $1, $2, $3, $4 FROM change_counter WHERE id = 1",
                   "zsii", kind, key, until_ms, clock_now_ms());
}

static void tell(struct platform *pf, const struct change *list, size_t n)
{
    for (size_t i = 0; i < n_subscribers; i++)
        subscribers[i].fn(pf, list, n, subscribers[i].arg);
}

static struct change *to_list(struct arena *a, const struct db_result *r)
{
    struct change *list = arena_array(a, struct change, r->n_rows + 1);
    for (size_t i = 0; i < r->n_rows; i++)
        list[i] = (struct change){db_i64(r, i, 0), db_str(r, i, 1), db_str(r, i, 2),
                                  db_i64(r, i, 3), db_i64(r, i, 4)};
    return list;
}

/* Reads what came after *seq; tells; moves *seq. */
static enum err poll_once(struct platform *pf, struct arena *a, int64_t *seq)
{
    struct db_result r;
    struct db_conn *db = db_read(pf->db);
    int64_t started_ms = clock_mono_ms();
    if (!db)
        return ERR_UNAVAILABLE;
    enum err e = db_query(db, a, &r,
                          "SELECT seq, kind, item, until_ms, at_ms FROM change WHERE seq > $1 "
                          "ORDER BY seq LIMIT 1000",
                          "i", *seq);
    if (e != ERR_OK)
        return e;
    if (r.n_rows) {
        tell(pf, to_list(a, &r), r.n_rows);
        *seq = db_i64(&r, r.n_rows - 1, 0);
    }
    if (r.n_rows < BATCH)
        atomic_store(&confirmed_ms, started_ms);
    return ERR_OK;
}

/* The state at start: everybody builds, then hears the denials that still count. */
static enum err begin(struct platform *pf, struct arena *a, int64_t *seq)
{
    struct db_result r;
    struct db_conn *db = db_read(pf->db);
    if (!db)
        return ERR_UNAVAILABLE;
    enum err e = db_query_one(db, a, &r, "SELECT seq FROM change_counter WHERE id = 1", "");
    if (e != ERR_OK)
        return e;
    *seq = db_i64(&r, 0, 0);
    tell(pf, NULL, 0);
    e = db_query(db, a, &r,
                 "SELECT seq, kind, item, until_ms, at_ms FROM change WHERE kind = 'deny' AND "
                 "until_ms > $1 AND seq <= $2 ORDER BY seq",
                 "ii", clock_now_ms(), *seq);
    if (e == ERR_OK && r.n_rows)
        tell(pf, to_list(a, &r), r.n_rows);
    if (e == ERR_OK)
        atomic_store(&confirmed_ms, clock_mono_ms());
    return e;
}

/* False when it is time to stop. */
static bool poll_wait(void)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += POLL_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&poller.lock);
    while (!poller.stopping && pthread_cond_timedwait(&poller.stop, &poller.lock, &until) == 0)
        ;
    bool go_on = !poller.stopping;
    pthread_mutex_unlock(&poller.lock);
    return go_on;
}

static void *poll_run(void *arg)
{
    struct platform *pf = arg;
    struct arena a;
    int64_t seq = 0;
    bool begun = false;
    arena_init(&a);
    do {
        enum err e = begun ? poll_once(pf, &a, &seq) : begin(pf, &a, &seq);
        if (e == ERR_OK)
            begun = true;
        else
            log_warn("change_poll_failed", "error", err_name(e));
        arena_reset(&a);
    } while (poll_wait());
    arena_free(&a);
    return NULL;
}

enum err change_start(struct platform *pf)
{
    if (pthread_create(&poller.thread, NULL, poll_run, pf) != 0)
        return ERR_INTERNAL;
    for (int64_t until_ms = clock_mono_ms() + START_MS; clock_mono_ms() < until_ms; usleep(500))
        if (change_confirmed_ms())
            return ERR_OK;
    return ERR_TIMEOUT;
}

void change_stop(void)
{
    pthread_mutex_lock(&poller.lock);
    poller.stopping = true;
    pthread_cond_signal(&poller.stop);
    pthread_mutex_unlock(&poller.lock);
    pthread_join(poller.thread, NULL);
}
