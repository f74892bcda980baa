/* Webhooks to the bodies of a contract: queued with the change itself, signed as those that come
 * in, tried again after 1, 2, 4 ... minutes, and again at will (`socle contract replay`). */
#include "core/contracts/contracts.h"

#include <pthread.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/rand.h"
#include "sys/proc.h"
#include "web/client.h"

enum { TRIES_MAX = 12, BATCH = 20, MINUTE_MS = 60000, DAY = 86400000 };

static enum err queue_one(struct db_conn *db, const struct contract_request *r, const char *event,
                          struct str org, int64_t now_ms)
{
    char id[ID_LEN + 1];
    struct buf b;
    struct jw w;
    id_new(id);
    buf_init(&b, 16 * 1024);
    jw_start(&w, &b);
    jw_obj(&w);
    jw_ki64(&w, "v", 1);
    jw_kz(&w, "id", id);
    jw_kz(&w, "event", event);
    jw_ki64(&w, "at", now_ms);
    jw_kstr(&w, "request", r->id);
    jw_kstr(&w, "contract", r->contract_id);
    jw_kz(&w, "state", contract_state_name(r->state));
    jw_kstr(&w, "held_by", r->held_by);
    jw_kstr(&w, "stage", r->stage);
    jw_kstr(&w, "api", r->api);
    jw_kstr(&w, "version", r->version);
    jw_ki64(&w, "revision", r->revision);
    jw_end(&w);
    enum err e = b.err;
    if (e == ERR_OK)
        e = db_exec(
            db,
            "INSERT INTO contract_delivery(id, org, event, body, state, tries, next_at, "
            "status, at_ms) SELECT CAST($1 AS TEXT), org, CAST($2 AS TEXT), CAST($3 AS TEXT)"
            ", 'waiting', 0, CAST($4 AS BIGINT), 0, CAST($5 AS BIGINT) FROM contract_hook "
            "WHERE org = $6 AND way = 'out'",
            "zzsiis", id, event, buf_str(&b), now_ms, now_ms, org);
    buf_free(&b);
    return e;
}

enum err delivery_queue(struct db_conn *db, const struct contract_request *r, const char *event,
                        int64_t now_ms)
{
    enum err e = queue_one(db, r, event, r->consumer, now_ms);
    bool shown = r->state != CONTRACT_DRAFT && !str_eq(r->consumer, r->provider);
    return e == ERR_OK && shown ? queue_one(db, r, event, r->provider, now_ms) : e;
}

/* ---- sending
 * ------------------------------------------------------------------------------------- */
struct sent_job {
    const char *id;
    int64_t status, next_ms;
    const char *state;
};

static enum err sent_closure(struct db_conn *db, void *arg)
{
    struct sent_job *j = arg;
    return db_exec(db,
                   "UPDATE contract_delivery SET state = $1, status = $2, next_at = $3, tries = "
                   "tries + 1 WHERE id = $4",
                   "ziiz", j->state, j->status, j->next_ms, j->id);
}

static int send_one(struct ctx *c, struct str url, struct str secret, struct str body,
                    int64_t now_ms)
{
    struct client_answer answer;
    struct str at = arena_printf(c->arena, "%lld", (long long)(now_ms / 1000));
    struct http_header h[] = {
        {STR("Content-Type"), STR("application/json")},
        {STR("X-Socle-Timestamp"), at},
        {STR("X-Hub-Signature-256"), hook_signature(c->arena, secret, at, body)}};
    struct client_call call = {.method = "POST",
                               .url = url,
                               .headers = h,
                               .n_headers = 3,
                               .body = body,
                               .timeout_ms = 5000,
                               .answer_max = 64 * 1024,
                               .allow_inside = c->pf->settings->allow_inside};
    return client_send(c->arena, &call, &answer) == ERR_OK ? answer.status : 0;
}

static enum err deliver(struct ctx *c, const struct db_result *r, size_t i)
{
    struct str secret, org = db_str(r, i, 1);
    int64_t tries = db_i64(r, i, 3), now_ms = clock_now_ms();
    struct sent_job job = {.id = db_z(r, i, 0)};
    enum err e = vault_open(c, arena_printf(c->arena, "hook:" STR_FMT, STR_ARG(org)),
                            "contract.hook", db_str(r, i, 5), &secret);
    if (e == ERR_OK)
        job.status = send_one(c, db_str(r, i, 4), secret, db_str(r, i, 2), now_ms);
    bool done = job.status >= 200 && job.status < 300;
    int64_t wait_ms = (int64_t)MINUTE_MS << (tries < 10 ? tries : 10);
    job.state = done ? "delivered" : tries + 1 >= TRIES_MAX ? "given_up" : "waiting";
    job.next_ms = done ? 0 : now_ms + (wait_ms < DAY ? wait_ms : DAY);
    if (!done)
        log_warn("contract_delivery_failed", "delivery", job.id, "status", LOG_NUM(job.status));
    return db_write(c->pf->db, sent_closure, &job);
}

static void deliver_batch(struct platform *pf)
{
    struct arena a;
    struct db_result r;
    arena_init(&a);
    struct ctx *c = ctx_make(pf, &a);
    struct db_conn *db = db_read(pf->db);
    enum err e =
        db ? db_query(db, &a, &r,
                      "SELECT d.id, d.org, d.body, d.tries, h.url, h.secret FROM "
                      "contract_delivery d JOIN contract_hook h ON h.org = d.org AND h.way "
                      "= 'out' WHERE d.state = 'waiting' AND d.next_at <= $1 ORDER BY "
                      "d.next_at, d.id LIMIT 20",
                      "i", clock_now_ms())
           : ERR_UNAVAILABLE;
    for (size_t i = 0; e == ERR_OK && i < r.n_rows; i++)
        e = deliver(c, &r, i);
    if (e != ERR_OK)
        log_warn("contract_deliveries", "error", err_name(e));
    ctx_free(c);
    arena_free(&a);
}

/* In a thread of its own: a body that hangs must not hold up the outbox. */
static void *deliver_run(void *platform)
{
    while (!proc_stopping) {
        deliver_batch(platform);
        for (int i = 0; i < 10 && !proc_stopping; i++)
            usleep(100 * 1000);
    }
    return NULL;
}

void deliver_tick(struct platform *pf, int64_t now_ms)
{
    static bool started;
    pthread_t thread;
    (void)now_ms;
    if (started || proc_stopping)
        return;
    started = pthread_create(&thread, NULL, deliver_run, pf) == 0;
    if (started)
        pthread_detach(thread);
}

/* ---- again
 * ------------------------------------------------------------------------------------------ */
static enum err replay_closure(struct db_conn *db, void *arg)
{
    struct sent_job *j = arg;
    int64_t changed;
    enum err e =
        db_exec_count(db, &changed,
                      "UPDATE contract_delivery SET state = 'waiting', tries = 0, next_at = "
                      "$1 WHERE id = $2",
                      "iz", j->next_ms, j->id);
    return e == ERR_OK && changed == 0 ? ERR_NOT_FOUND : e;
}

enum err delivery_replay(struct ctx *c, struct str id)
{
    struct sent_job job = {.id = arena_dupz(c->arena, id), .next_ms = clock_now_ms()};
    return db_write(c->pf->db, replay_closure, &job);
}
