#include "core/exchange/sample.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include "base/clock.h"
#include "base/log.h"
#include "platform/ctx.h"
#include "sys/proc.h"
#include "sys/turn.h"

enum { PENDING_MAX = 64, BODY_MAX = 256 * 1024, PATH_MAX_BYTES = 1000, STEP_MS = 200, LISTED = 50 };

struct sample {
    struct sample *next;
    struct health *health; /* stays for good */
    enum http_method method;
    int status;
    size_t path_n, body_n;
    char text[]; /* path, then body */
};
static _Atomic(struct sample *) pending;
static atomic_uint n_pending;

void sample_offer(struct gw_call *c)
{
    unsigned one_in = c->route->policy.sample;
    if (!one_in || !c->health || c->content.n > BODY_MAX || c->rest.n > PATH_MAX_BYTES ||
        c->health->seen++ % one_in != 0 || atomic_load(&n_pending) >= PENDING_MAX)
        return;
    struct sample *s = malloc(sizeof *s + c->rest.n + c->content.n + 1);
    if (!s)
        abort();
    *s = (struct sample){.health = c->health,
                         .method = fast_head(c->x)->method,
                         .status = c->status,
                         .path_n = c->rest.n,
                         .body_n = c->content.n};
    if (c->rest.n)
        memcpy(s->text, c->rest.p, c->rest.n);
    if (c->content.n)
        memcpy(s->text + c->rest.n, c->content.p, c->content.n);
    atomic_fetch_add(&n_pending, 1);
    s->next = atomic_load(&pending);
    while (!atomic_compare_exchange_weak(&pending, &s->next, s))
        ;
}

/* ---- the thread -------------------------------------------------------------------------------
 */
struct departed {
    const struct health *h;
    const json_t *items;
    int64_t now_ms;
    bool is_new; /* out: one was not known */
};

static enum err departed_one(struct db_conn *db, struct departed *d, const json_t *v)
{
    const char *path = json_get_z(v, "path", ""), *rule = json_get_z(v, "rule", "");
    int64_t known;
    enum err e = db_exec_count(db, &known,
                               "UPDATE exchange_departure SET n = n + 1, last_at = $5 WHERE "
                               "api = $1 AND version = $2 AND path = $3 AND rule = $4",
                               "zzzzi", d->h->api, d->h->version, path, rule, d->now_ms);
    if (e != ERR_OK || known)
        return e;
    d->is_new = true;
    return db_exec(db,
                   "INSERT INTO exchange_departure(api, version, path, rule, n, first_at, last_at) "
                   "VALUES($1, $2, $3, $4, 1, $5, $5) ON CONFLICT (api, version, path, rule) "
                   "DO UPDATE SET n = exchange_departure.n + 1, last_at = $5",
                   "zzzzi", d->h->api, d->h->version, path, rule, d->now_ms);
}

/* Rows are bounded by what a description can say of one API: places and rules. */
static enum err departed_write(struct db_conn *db, void *arg)
{
    struct departed *d = arg;
    const json_t *v;
    size_t i;
    enum err e = ERR_OK;
    d->is_new = false; /* a transaction may run twice */
    json_array_foreach(d->items, i, v)
    {
        if (e == ERR_OK)
            e = departed_one(db, d, v);
    }
    if (e == ERR_OK)
        e = db_exec(db,
                    "DELETE FROM exchange_departure WHERE api = $1 AND version = $2 AND last_at < "
                    "(SELECT MIN(x.last_at) FROM (SELECT last_at FROM exchange_departure WHERE "
                    "api = $1 AND version = $2 ORDER BY last_at DESC LIMIT $3) x)",
                    "zzi", d->h->api, d->h->version, (int64_t)LISTED);
    return e;
}

/* Nobody waits: what is not told stands on the producer's page all the same. */
static void producer_tell(struct ctx *c, const struct departed *d)
{
    json_t *out, *args = json_own(&c->pool, json_pack("{s:s, s:s, s:O}", "api", d->h->api,
                                                      "version", d->h->version, "items", d->items));
    enum err e = platform_call(c, "catalogue.departed", args, &out);
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        log_warn("departures_not_told", "api", d->h->api, "error", err_name(e));
}

static void judge(struct platform *pf, const struct sample *s)
{
    struct arena a;
    json_t *out;
    arena_init_secret(&a);
    struct ctx *c = ctx_make(pf, &a);
    const char *path = s->path_n ? s->text : "/";
    json_t *body = json_stringn(s->text + s->path_n, s->body_n);
    json_t *args = json_pack("{s:s, s:s, s:s, s:s%, s:i, s:o}", "api", s->health->api, "version",
                             s->health->version, "method", http_method_name(s->method), "path",
                             path, s->path_n ? s->path_n : 1, "status", s->status, "body",
                             body ? body : json_string("")); /* not UTF-8: no JSON */
    enum err e = args ? platform_call(c, "catalogue.conform", args, &out) : ERR_INVALID;
    if (e == ERR_OK && json_get_bool(out, "known", false)) {
        struct departed d = {s->health, json_get(out, "items"), clock_now_ms(), false};
        health_count(s->health, HEALTH_SAMPLED, 1);
        if (json_array_size(d.items)) {
            health_count(s->health, HEALTH_DEPARTURES, 1);
            e = db_write(pf->db, departed_write, &d);
            if (e == ERR_OK && d.is_new)
                producer_tell(c, &d);
        }
    }
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        log_warn("sample_not_judged", "api", s->health->api, "error", err_name(e));
    json_decref(args);
    ctx_free(c);
    arena_free(&a);
}

static void *sample_run(void *pf)
{
    turn_set(TURN_BEHIND);
    while (!proc_stopping) {
        struct timespec step = {0, STEP_MS * 1000000L};
        struct sample *s = atomic_exchange(&pending, NULL), *next;
        for (; s; s = next) {
            next = s->next;
            judge(pf, s);
            mem_wipe(s->text, s->path_n + s->body_n);
            free(s);
            atomic_fetch_sub(&n_pending, 1);
        }
        nanosleep(&step, NULL);
    }
    return NULL;
}

enum err sample_start(struct platform *pf)
{
    pthread_t thread;
    pthread_attr_t attr;
    if (pthread_attr_init(&attr) != 0)
        return ERR_INTERNAL;
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    int failed = pthread_create(&thread, &attr, sample_run, pf);
    pthread_attr_destroy(&attr);
    return failed ? ERR_INTERNAL : ERR_OK;
}
