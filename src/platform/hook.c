#include "platform/hook.h"

#include <pthread.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/codec.h"
#include "base/log.h"
#include "base/rand.h"
#include "crypto/digest.h"
#include "crypto/httpsig.h"
#include "sys/proc.h"
#include "web/client.h"

enum { MINUTE_MS = 60 * 1000, DAY_MS = 86400 * 1000, URL_MAX = 500, SWEEP_EVERY_S = 600 };
static const int64_t KEPT_MS = (int64_t)HOOK_KEPT_DAYS * DAY_MS;

/* The place's name in the seal is the one it had first: older rows still open. */
static const char place[] = "contract.hook";

struct str hook_signature(struct arena *a, struct str secret, struct str timestamp, struct str body)
{
    uint8_t mac[SHA256_LEN];
    struct str signed_text =
        arena_printf(a, STR_FMT "." STR_FMT, STR_ARG(timestamp), STR_ARG(body));
    hmac_sha256(secret, signed_text, mac);
    return arena_printf(a, "sha256=%s", codec_to_hex(a, mac, sizeof mac).p);
}

int64_t hook_backoff_ms(int64_t tries)
{
    int64_t n = tries < 1 ? 0 : tries > 11 ? 10 : tries - 1;
    int64_t ms = (int64_t)MINUTE_MS << n;
    return ms < DAY_MS ? ms : DAY_MS;
}

/* ---- the address --------------------------------------------------------------------------------
 */
static struct str owner_of(struct arena *a, struct str org)
{
    return arena_printf(a, "hook:" STR_FMT, STR_ARG(org));
}

struct set_job {
    struct str org, url, sealed;
    int64_t now_ms;
};

static enum err set_closure(struct db_conn *db, void *arg)
{
    const struct set_job *j = arg;
    if (!j->url.n)
        return db_exec(db, "DELETE FROM hook WHERE org = $1", "s", j->org);
    return db_exec(db,
                   "INSERT INTO hook(org, url, secret, at_ms) VALUES($1, $2, $3, $4) ON CONFLICT "
                   "(org) DO UPDATE SET url = $2, secret = $3, at_ms = $4",
                   "ssbi", j->org, j->url, j->sealed, j->now_ms);
}

enum err hook_set(struct ctx *c, struct str org, struct str url, struct str actor,
                  struct str *secret)
{
    char text[SECRET_LEN + 1];
    struct act act;
    struct set_job job = {org, url.p ? url : STR(""), STR(""), clock_now_ms()};
    bool web = str_starts(job.url, STR("https://")) || str_starts(job.url, STR("http://"));
    if (!org.n || (job.url.n && !web) || job.url.n > URL_MAX || !str_is_utf8(job.url))
        return ERR_INVALID;
    secret_new(text);
    *secret = arena_dup(c->arena, str_from(text));
    enum err e = vault_seal(c, owner_of(c->arena, org), place, *secret, &job.sealed);
    struct act_info info = {
        .kind = job.url.n ? "hook.set" : "hook.removed", .actor = actor, .object = org};
    if (e == ERR_OK)
        e = act_make(c, &info, &act);
    return e == ERR_OK ? act_write(c, set_closure, &job, &act, 1) : e;
}

enum err hook_url(struct ctx *c, struct str org, struct str *url)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    enum err e =
        db ? db_query_one(db, c->arena, &r, "SELECT url FROM hook WHERE org = $1", "s", org)
           : ERR_UNAVAILABLE;
    *url = e == ERR_OK ? db_str(&r, 0, 0) : STR("");
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

/* ---- queueing -----------------------------------------------------------------------------------
 */
static void body_write(struct buf *b, const char *id, const char *event, struct str members,
                       int64_t now_ms)
{
    struct jw w;
    jw_start(&w, b);
    jw_obj(&w);
    jw_ki64(&w, "v", 1);
    jw_kz(&w, "id", id);
    jw_kz(&w, "event", event);
    jw_ki64(&w, "at", now_ms);
    if (members.n > 2) { /* "{...}" */
        buf_add_char(b, ',');
        buf_add_str(b, str_sub(members, 1, members.n - 2));
    }
    jw_end(&w);
}

enum err hook_queue(struct db_conn *db, struct str org, const char *event, struct str members,
                    int64_t now_ms)
{
    char id[ID_LEN + 1];
    struct buf b;
    id_new(id);
    buf_init(&b, HOOK_BODY_MAX);
    body_write(&b, id, event, members, now_ms);
    enum err e = b.err;
    if (e == ERR_OK)
        e = db_exec(db,
                    "INSERT INTO hook_delivery(id, org, event, body, state, tries, next_at, "
                    "status, at_ms) SELECT CAST($1 AS TEXT), org, CAST($2 AS TEXT), CAST($3 AS "
                    "TEXT), 'waiting', 0, CAST($4 AS BIGINT), 0, CAST($5 AS BIGINT) FROM hook "
                    "WHERE org = $6",
                    "zzsiis", id, event, buf_str(&b), now_ms, now_ms, org);
    buf_free(&b);
    return e;
}

/* ---- sending ------------------------------------------------------------------------------------
 */
struct sent_job {
    const char *id;
    int64_t status, next_ms;
    const char *state;
};

static enum err sent_closure(struct db_conn *db, void *arg)
{
    struct sent_job *j = arg;
    return db_exec(db,
                   "UPDATE hook_delivery SET state = $1, status = $2, next_at = $3, tries = tries "
                   "+ 1 WHERE id = $4",
                   "ziiz", j->state, j->status, j->next_ms, j->id);
}

/* The headers of RFC 9421, by the platform's key for messages: who has no secret of ours checks
 * with the published one. Without them a delivery goes all the same. */
static size_t message_signed(struct ctx *c, struct str url, struct str body, int64_t now_ms,
                             struct http_header h[3])
{
    static const char *const covered[] = {"\"@method\"", "\"@target-uri\"", "\"content-digest\"",
                                          "\"content-type\"", NULL};
    struct str json, base, input, signature, why;
    json_t *keys;
    struct str digest = httpsig_digest_of(c->arena, HTTPSIG_SHA256, body);
    struct httpsig_field fields[] = {{STR("content-type"), STR("application/json")},
                                     {STR("content-digest"), digest}};
    ptrdiff_t at = str_find(url, STR("://"));
    struct str rest = str_after(url, (size_t)(at + 3));
    ptrdiff_t slash = str_find_char(rest, '/');
    struct str path = slash < 0 ? STR("/") : str_after(rest, (size_t)slash);
    ptrdiff_t mark = str_find_char(path, '?');
    struct httpsig_message m = {.method = STR("POST"),
                                .scheme = str_sub(url, 0, (size_t)at),
                                .authority = slash < 0 ? rest : str_sub(rest, 0, (size_t)slash),
                                .path = mark < 0 ? path : str_sub(path, 0, (size_t)mark),
                                .query = mark < 0 ? STR_NONE : str_after(path, (size_t)mark + 1),
                                .headers = {fields, COUNT_OF(fields)}};
    if (keys_jwks(c->pf->keys, "message", c->arena, &json) != ERR_OK ||
        json_read(json, &keys, NULL) != ERR_OK)
        return 0;
    json_own(&c->pool, keys);
    struct httpsig_wanted w = {.label = "sig1",
                               .components = covered,
                               .created_s = now_ms / 1000,
                               .keyid =
                                   json_get_str(json_array_get(json_get(keys, "keys"), 0), "kid"),
                               .tag = STR("socle-webhook")};
    if (httpsig_make(c->arena, &w, &m, &base, &input, &why) != ERR_OK ||
        keys_sign(c->pf->keys, "message", JOSE_ES256, base, c->arena, &signature, NULL) != ERR_OK)
        return 0;
    h[0] = (struct http_header){STR("Content-Digest"), digest};
    h[1] = (struct http_header){STR("Signature-Input"), input};
    h[2] = (struct http_header){STR("Signature"), httpsig_value(c->arena, "sig1", signature)};
    return 3;
}

static int send_one(struct ctx *c, struct str url, struct str secret, struct str body,
                    int64_t now_ms)
{
    struct client_answer answer;
    struct str at = arena_printf(c->arena, "%lld", (long long)(now_ms / 1000));
    struct http_header h[6] = {
        {STR("Content-Type"), STR("application/json")},
        {STR("X-Socle-Timestamp"), at},
        {STR("X-Hub-Signature-256"), hook_signature(c->arena, secret, at, body)}};
    size_t n = 3 + message_signed(c, url, body, now_ms, h + 3);
    struct client_call call = {.method = "POST",
                               .url = url,
                               .headers = h,
                               .n_headers = n,
                               .body = body,
                               .timeout_ms = 5000,
                               .answer_max = 64 * 1024,
                               .allow_inside = c->pf->settings->allow_inside};
    return client_send(c->arena, &call, &answer) == ERR_OK ? answer.status : 0;
}

static enum err deliver(struct ctx *c, const struct db_result *r, size_t i)
{
    struct str secret, org = db_str(r, i, 1);
    int64_t tries = db_i64(r, i, 3) + 1, now_ms = clock_now_ms();
    struct sent_job job = {.id = db_z(r, i, 0)};
    if (vault_open(c, owner_of(c->arena, org), place, db_str(r, i, 5), &secret) == ERR_OK)
        job.status = send_one(c, db_str(r, i, 4), secret, db_str(r, i, 2), now_ms);
    bool done = job.status >= 200 && job.status < 300;
    job.state = done ? "delivered" : tries >= HOOK_TRIES_MAX ? "given_up" : "waiting";
    job.next_ms = done ? 0 : now_ms + hook_backoff_ms(tries);
    if (!done)
        log_warn("hook_not_delivered", "delivery", job.id, "status", LOG_NUM(job.status), "state",
                 job.state);
    return db_write(c->pf->db, sent_closure, &job);
}

/* The oldest due one of each organisation: whoever does not answer holds up its own. Says how many
 * there were. */
static size_t deliver_round(struct platform *pf)
{
    struct arena a;
    struct db_result r = {0};
    arena_init(&a);
    struct ctx *c = ctx_make(pf, &a);
    struct db_conn *db = db_read(pf->db);
    enum err e =
        db ? db_query(db, &a, &r,
                      "SELECT d.id, d.org, d.body, d.tries, h.url, h.secret FROM hook_delivery d "
                      "JOIN hook h ON h.org = d.org WHERE d.id IN (SELECT MIN(id) FROM "
                      "hook_delivery WHERE state = 'waiting' AND next_at <= $1 GROUP BY org) "
                      "ORDER BY d.next_at, d.id LIMIT 50",
                      "i", clock_now_ms())
           : ERR_UNAVAILABLE;
    for (size_t i = 0; e == ERR_OK && i < r.n_rows && !proc_stopping; i++)
        e = deliver(c, &r, i);
    if (e != ERR_OK)
        log_warn("hook_deliveries", "error", err_name(e));
    size_t n = e == ERR_OK ? r.n_rows : 0;
    ctx_free(c);
    arena_free(&a);
    return n;
}

/* ---- what is old --------------------------------------------------------------------------------
 */
static enum err sweep_closure(struct db_conn *db, void *arg)
{
    const int64_t *before_ms = arg;
    return db_exec(db, "DELETE FROM hook_delivery WHERE at_ms < $1", "i", *before_ms);
}

static void sweep(struct platform *pf)
{
    int64_t before_ms = clock_now_ms() - KEPT_MS;
    enum err e = db_write(pf->db, sweep_closure, &before_ms);
    if (e != ERR_OK)
        log_warn("hook_sweep", "error", err_name(e));
}

/* In a thread of its own: a body that hangs must not hold up the outbox. */
static void *hook_run(void *platform)
{
    for (int64_t turn = 0; !proc_stopping; turn++) {
        while (deliver_round(platform) && !proc_stopping)
            ;
        if (turn % SWEEP_EVERY_S == 0)
            sweep(platform);
        for (int i = 0; i < 10 && !proc_stopping; i++)
            usleep(100 * 1000);
    }
    return NULL;
}

void hook_tick(struct platform *pf, int64_t now_ms)
{
    static bool started;
    pthread_t thread;
    (void)now_ms;
    if (started || proc_stopping)
        return;
    started = pthread_create(&thread, NULL, hook_run, pf) == 0;
    if (started)
        pthread_detach(thread);
}

/* ---- again --------------------------------------------------------------------------------------
 */
struct replay_job {
    struct str org, id;
    int64_t now_ms;
};

static enum err replay_closure(struct db_conn *db, void *arg)
{
    const struct replay_job *j = arg;
    int64_t changed;
    enum err e =
        db_exec_count(db, &changed,
                      "UPDATE hook_delivery SET state = 'waiting', tries = 0, next_at = $1 WHERE "
                      "id = $2 AND ($3 = '' OR org = $3)",
                      "iss", j->now_ms, j->id, j->org);
    return e == ERR_OK && changed == 0 ? ERR_NOT_FOUND : e;
}

enum err hook_replay(struct ctx *c, struct str org, struct str id)
{
    struct replay_job job = {org.p ? org : STR(""), id, clock_now_ms()};
    return db_write(c->pf->db, replay_closure, &job);
}

enum err hook_deliveries(struct ctx *c, struct str org, json_t **out)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    enum err e = db ? db_query(db, c->arena, &r,
                               "SELECT id, event, state, tries, status, at_ms, next_at FROM "
                               "hook_delivery WHERE org = $1 ORDER BY id DESC LIMIT 100",
                               "s", org)
                    : ERR_UNAVAILABLE;
    if (e != ERR_OK)
        return e;
    *out = json_own(&c->pool, json_array());
    for (size_t i = 0; i < r.n_rows; i++)
        json_array_append_new(*out, json_pack("{s:s,s:s,s:s,s:I,s:I,s:I,s:I}", "id", db_z(&r, i, 0),
                                              "event", db_z(&r, i, 1), "state", db_z(&r, i, 2),
                                              "tries", (json_int_t)db_i64(&r, i, 3), "status",
                                              (json_int_t)db_i64(&r, i, 4), "at",
                                              (json_int_t)db_i64(&r, i, 5), "next_at",
                                              (json_int_t)db_i64(&r, i, 6)));
    return ERR_OK;
}
