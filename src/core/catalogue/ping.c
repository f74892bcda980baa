/* Pings: jobs asks each API that has a contract-able route whether it answers, a few at a time, and
 * keeps what it found: by day for the figures, by incident for people. An address inside is refused
 * as for any outgoing call. Two misses in a row are an incident; whom it concerns is told. */
#include "core/catalogue/catalogue.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/rand.h"
#include "core/catalogue/status.h"
#include "platform/hook.h"
#include "sys/proc.h"
#include "web/client.h"

enum { AT_ONCE = 4, TIMEOUT_MS = 3000, ANSWER_MAX = 64 * 1024, MISSES = 2, DAY_MS = 86400 * 1000 };
enum { TOLD_MAX = 500 };

struct ping {
    struct str api, version, org, url;
    bool strict; /* the description names a path for this: it must answer 2xx */
    int64_t failures, open;
    /* found */
    bool up;
    int64_t took_ms, modified_ms;
    int status;
    const json_t *told; /* organisations to tell of a change; NULL: nobody */
    bool falls, rises;
};

struct ping_round {
    struct platform *pf;
    struct ping *list;
    size_t n;
    atomic_size_t next;
    int64_t now_ms;
};

/* ---- asking -------------------------------------------------------------------------------------
 */
static void ask(const struct platform *pf, struct ping *p)
{
    struct arena a;
    struct client_answer answer;
    int64_t began_ms = clock_mono_ms();
    struct client_call call = {.method = "GET",
                               .url = p->url,
                               .timeout_ms = TIMEOUT_MS,
                               .answer_max = ANSWER_MAX,
                               .allow_inside = pf->settings->allow_inside};
    arena_init(&a);
    enum err e = client_send(&a, &call, &answer);
    bool answered = e == ERR_OK || e == ERR_LIMIT; /* a long answer is one */
    p->status = e == ERR_OK ? answer.status : 0;
    p->up = answered && (p->strict ? e == ERR_LIMIT || p->status / 100 == 2 : p->status < 500);
    p->took_ms = clock_mono_ms() - began_ms;
    p->modified_ms =
        e == ERR_OK ? clock_http_date_read(client_header(&answer, "Last-Modified")) : 0;
    arena_free(&a);
}

static void *asker(void *arg)
{
    struct ping_round *r = arg;
    size_t i;
    while (!proc_stopping && (i = atomic_fetch_add(&r->next, 1)) < r->n)
        ask(r->pf, &r->list[i]);
    return NULL;
}

static void ask_all(struct ping_round *r)
{
    pthread_t threads[AT_ONCE];
    size_t n = 0;
    while (n < AT_ONCE - 1 && n + 1 < r->n && pthread_create(&threads[n], NULL, asker, r) == 0)
        n++;
    asker(r);
    for (size_t i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
}

/* ---- keeping ------------------------------------------------------------------------------------
 */
static enum err day_write(struct db_conn *db, const struct ping *p, int64_t now_ms)
{
    return db_exec(db,
                   "INSERT INTO catalogue_ping(api, version, day, ok, failed, took_ms) VALUES($1, "
                   "$2, $3, $4, $5, $6) ON CONFLICT (api, version, day) DO UPDATE SET ok = "
                   "catalogue_ping.ok + $4, failed = catalogue_ping.failed + $5, took_ms = "
                   "catalogue_ping.took_ms + $6",
                   "ssiiii", p->api, p->version, now_ms / DAY_MS, (int64_t)p->up, (int64_t)!p->up,
                   p->up ? p->took_ms : (int64_t)0);
}

static enum err state_write(struct db_conn *db, const struct ping *p, int64_t now_ms)
{
    return db_exec(db,
                   "INSERT INTO catalogue_state(api, version, up, failures, at_ms, took_ms, "
                   "modified_ms, status) VALUES($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (api, "
                   "version) DO UPDATE SET up = $3, failures = $4, at_ms = $5, took_ms = $6, "
                   "modified_ms = CASE WHEN $7 > 0 THEN $7 ELSE catalogue_state.modified_ms END, "
                   "status = $8",
                   "ssiiiiii", p->api, p->version,
                   (int64_t)(p->up || (!p->open && p->failures + 1 < MISSES)),
                   p->up ? (int64_t)0 : p->failures + 1, now_ms, p->took_ms, p->modified_ms,
                   (int64_t)p->status);
}

static enum err incident_write(struct db_conn *db, const struct ping *p, int64_t now_ms)
{
    char id[ID_LEN + 1];
    id_new(id);
    if (p->rises)
        return db_exec(db,
                       "UPDATE catalogue_incident SET ended_ms = $1 WHERE api = $2 AND version = "
                       "$3 AND ended_ms = 0",
                       "iss", now_ms, p->api, p->version);
    return db_exec(db,
                   "INSERT INTO catalogue_incident(id, api, version, began_ms, ended_ms, status) "
                   "VALUES($1, $2, $3, $4, 0, $5)",
                   "zssii", id, p->api, p->version, now_ms, (int64_t)p->status);
}

static enum err tell(struct db_conn *db, const struct ping *p, int64_t now_ms)
{
    struct buf b;
    struct jw w;
    enum err e = ERR_OK;
    buf_init(&b, 2048);
    jw_start(&w, &b);
    jw_obj(&w);
    jw_kstr(&w, "api", p->api);
    jw_kstr(&w, "version", p->version);
    jw_ki64(&w, "status", p->status);
    jw_end(&w);
    for (size_t i = 0; i < json_array_size(p->told) && i < TOLD_MAX && e == ERR_OK; i++)
        e = hook_queue(db, str_from(json_string_value(json_array_get(p->told, i))),
                       p->falls ? "provider.down" : "provider.up", buf_str(&b), now_ms);
    buf_free(&b);
    return e;
}

static enum err keep(struct db_conn *db, void *arg)
{
    const struct ping_round *r = arg;
    enum err e = ERR_OK;
    for (size_t i = 0; i < r->n && e == ERR_OK; i++) {
        const struct ping *p = &r->list[i];
        e = day_write(db, p, r->now_ms);
        if (e == ERR_OK)
            e = state_write(db, p, r->now_ms);
        if (e == ERR_OK && (p->falls || p->rises))
            e = incident_write(db, p, r->now_ms);
        if (e == ERR_OK && (p->falls || p->rises))
            e = tell(db, p, r->now_ms);
    }
    return e;
}

/* ---- a round ------------------------------------------------------------------------------------
 */
static void state_of(struct ctx *c, struct ping *p)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    if (db && db_query_one(db, c->arena, &r,
                           "SELECT failures, (SELECT COUNT(*) FROM catalogue_incident i WHERE "
                           "i.api = s.api AND i.version = s.version AND i.ended_ms = 0) FROM "
                           "catalogue_state s WHERE s.api = $1 AND s.version = $2",
                           "ss", p->api, p->version) == ERR_OK) {
        p->failures = db_i64(&r, 0, 0);
        p->open = db_i64(&r, 0, 1);
    }
}

static enum err list(struct ctx *c, struct ping_round *r)
{
    json_t *out, *v;
    size_t i;
    enum err e = platform_call(c, "exchange.origins", NULL, &out);
    if (e != ERR_OK)
        return e;
    r->list = arena_array(c->arena, struct ping, json_array_size(json_get(out, "items")) + 1);
    json_array_foreach(json_get(out, "items"), i, v)
    {
        struct catalogue_entry entry = {0};
        struct ping *p = &r->list[r->n++];
        *p = (struct ping){.api = json_get_str(v, "api"),
                           .version = json_get_str(v, "version"),
                           .org = json_get_str(v, "org_id")};
        const char *path = "/";
        if (catalogue_entry_get(c, p->api, p->version, false, &entry) == ERR_OK)
            path = json_get_z(entry.about, "health", path);
        p->strict = json_get(entry.about, "health") != NULL;
        p->url = arena_printf(c->arena, "%s%s%s", json_get_z(v, "origin", ""),
                              json_get_z(v, "prefix", ""), path);
        state_of(c, p);
    }
    return ERR_OK;
}

static void changes(struct ctx *c, struct ping_round *r)
{
    for (size_t i = 0; i < r->n; i++) {
        struct ping *p = &r->list[i];
        json_t *out;
        p->rises = p->up && p->open;
        p->falls = !p->up && !p->open && p->failures + 1 >= MISSES;
        if (!p->rises && !p->falls)
            continue;
        json_t *args = json_own(
            &c->pool, json_pack("{s:o,s:o}", "api", jstr(p->api), "version", jstr(p->version)));
        if (platform_call(c, "exchange.consumers", args, &out) == ERR_OK)
            p->told = json_get(out, "items");
        log_info(p->falls ? "provider_down" : "provider_up", "api", arena_dupz(c->arena, p->api),
                 "version", arena_dupz(c->arena, p->version));
    }
}

void ping_round_run(struct platform *pf)
{
    struct arena a;
    struct ping_round r = {.pf = pf};
    arena_init(&a);
    struct ctx *c = ctx_make(pf, &a);
    enum err e = list(c, &r);
    if (e == ERR_OK && r.n) {
        ask_all(&r);
        r.now_ms = clock_now_ms();
        changes(c, &r);
        if (!proc_stopping) /* else some were not asked */
            e = db_write(pf->db, keep, &r);
    }
    if (e != ERR_OK)
        log_warn("pings", "error", err_name(e));
    ctx_free(c);
    arena_free(&a);
}

static void *ping_run(void *arg)
{
    struct platform *pf = arg;
    int64_t next_ms = 0;
    while (!proc_stopping) {
        struct timespec step = {0, 200 * 1000000L};
        if (clock_mono_ms() >= next_ms) {
            next_ms = clock_mono_ms() + pf->settings->ping_seconds * 1000;
            ping_round_run(pf);
        }
        nanosleep(&step, NULL);
    }
    return NULL;
}

void ping_tick(struct platform *pf)
{
    static bool started;
    pthread_t thread;
    if (started || proc_stopping || pf->settings->ping_seconds <= 0)
        return;
    started = pthread_create(&thread, NULL, ping_run, pf) == 0;
    if (started)
        pthread_detach(thread);
}
