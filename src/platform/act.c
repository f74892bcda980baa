/* Acts. The row in the outbox commits with the change it proves; the caller goes on once the
 * journal has the entry durable. A crash in between leaves the row, and start-up sends it again:
 * the journal drops what it already has, by the entry's id. So no act is unsealed and none sealed
 * twice. */
#include "platform/act.h"

#include <pthread.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/codec.h"
#include "base/log.h"
#include "base/rand.h"
#include "crypto/digest.h"
#include "platform/boot.h"

enum {
    WAIT_MS = 5000,
    YOUNG_MS = 3000,      /* its writer is still about it */
    AHEAD_MS = 60 * 1000, /* more than nodes' clocks differ: ours went back since */
    CONFIRM_EVERY_MS = 500,
};

/* ---- confirmed rows are deleted in batches, off the caller's way --------------------------------
 */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t more;
    pthread_t thread;
    char (*ids)[ID_LEN + 1];
    size_t n, cap;
    bool stopping, running;
} done = {.lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER};

struct id_list {
    char (*ids)[ID_LEN + 1];
    size_t n;
};

static enum err rows_delete(struct db_conn *db, void *arg)
{
    struct id_list *l = arg;
    enum err e = ERR_OK;
    for (size_t i = 0; i < l->n && e == ERR_OK; i++)
        e = db_exec(db, "DELETE FROM outbox WHERE id = $1", "z", l->ids[i]);
    return e;
}

static void confirm(const char *id)
{
    pthread_mutex_lock(&done.lock);
    if (done.n == done.cap) {
        done.cap = done.cap ? done.cap * 2 : 64;
        done.ids = realloc(done.ids, done.cap * sizeof *done.ids);
        if (!done.ids)
            abort();
    }
    memcpy(done.ids[done.n++], id, ID_LEN + 1);
    pthread_cond_signal(&done.more);
    pthread_mutex_unlock(&done.lock);
}

static void *confirmer_run(void *arg)
{
    struct platform *pf = arg;
    pthread_mutex_lock(&done.lock);
    while (!done.stopping || done.n) {
        if (done.n == 0) {
            pthread_cond_wait(&done.more, &done.lock);
            continue;
        }
        struct id_list l = {done.ids, done.n};
        done.ids = NULL;
        done.n = done.cap = 0;
        pthread_mutex_unlock(&done.lock);
        /* A failure leaves rows that start-up or jobs will send again: harmless. */
        enum err e = db_write(pf->db, rows_delete, &l);
        if (e != ERR_OK)
            log_warn("outbox_confirm_failed", "error", err_name(e));
        free(l.ids);
        pthread_mutex_lock(&done.lock);
        if (!done.stopping) {
            struct timespec until;
            clock_gettime(CLOCK_REALTIME, &until);
            until.tv_nsec += CONFIRM_EVERY_MS * 1000000LL;
            until.tv_sec += until.tv_nsec / 1000000000;
            until.tv_nsec %= 1000000000;
            while (!done.stopping && pthread_cond_timedwait(&done.more, &done.lock, &until) == 0)
                ;
        }
    }
    pthread_mutex_unlock(&done.lock);
    return NULL;
}

/* ---- replay ------------------------------------------------------------------------------------
 */
/* An entry the journal will never take, whatever the time: it stays for the operator to see, and
 * does not keep the others waiting. */
static bool is_refused(enum err e)
{
    return e == ERR_INVALID || e == ERR_LIMIT;
}

static enum err send_row(struct platform *pf, const struct db_result *r, size_t i, bool repeat)
{
    struct journal_record rec = {.id = db_str(r, i, 0),
                                 .leaf = db_str(r, i, 1),
                                 .subject = db_str(r, i, 2),
                                 .side = db_str(r, i, 3),
                                 .maybe_repeat = repeat};
    enum err e = journal_append(pf->journal, &rec, WAIT_MS, NULL);
    if (e == ERR_OK)
        confirm(db_z(r, i, 0));
    return e;
}

enum err outbox_replay(struct platform *pf, bool all)
{
    struct arena a;
    struct db_result r = {0};
    enum err e = ERR_OK;
    arena_init(&a);
    int64_t now_ms = clock_now_ms();
    struct db_conn *db = db_read(pf->db);
    if (!db)
        e = ERR_UNAVAILABLE;
    else
        e = db_query(db, &a, &r,
                     "SELECT id, entry, subject, side FROM outbox "
                     "WHERE created_at <= $1 OR created_at > $2 ORDER BY id LIMIT 500",
                     "ii", all ? INT64_MAX : now_ms - YOUNG_MS, now_ms + AHEAD_MS);
    struct id_list sent = {arena_alloc_array(&a, r.n_rows + 1, ID_LEN + 1), 0};
    for (size_t i = 0; i < r.n_rows && e == ERR_OK; i++) {
        e = send_row(pf, &r, i, true);
        if (e == ERR_OK)
            memcpy(sent.ids[sent.n++], db_z(&r, i, 0), ID_LEN + 1);
        if (is_refused(e)) {
            log_error("outbox_entry_refused", "entry", db_z(&r, i, 0), "error", err_name(e));
            e = ERR_OK;
        }
    }
    if (sent.n && !done.running) { /* jobs has no confirmer */
        enum err e2 = db_write(pf->db, rows_delete, &sent);
        e = e == ERR_OK ? e2 : e;
        done.n = 0;
    }
    if (r.n_rows)
        log_info("outbox_replayed", "entries", LOG_NUM(sent.n));
    arena_free(&a);
    return e;
}

enum err act_start(struct platform *pf)
{
    enum err e = outbox_replay(pf, true);
    if (e != ERR_OK)
        log_warn("outbox_replay_failed", "error", err_name(e)); /* jobs tries again */
    done.running = pthread_create(&done.thread, NULL, confirmer_run, pf) == 0;
    return done.running ? ERR_OK : ERR_INTERNAL;
}

void act_stop(void)
{
    pthread_mutex_lock(&done.lock);
    done.stopping = true;
    pthread_cond_signal(&done.more);
    pthread_mutex_unlock(&done.lock);
    pthread_join(done.thread, NULL);
}

/* ---- making
 * -------------------------------------------------------------------------------------- */
/* The side blob: what the person reads, and the salt that opens the leaf's commitments. The leaf
 * commits to it, so that what she is told is what was sealed. */
static enum err seal_told(struct ctx *c, const struct act_info *info, const char *id, int64_t at_ms,
                          const uint8_t *salt, struct str *plain, struct str *sealed)
{
    json_t *told = info->told;
    json_object_set_new(told, "v", json_integer(1));
    json_object_set_new(told, "kind", json_string(info->kind));
    json_object_set_new(told, "at", json_integer(at_ms));
    json_object_set_new(told, "entry", json_string(id));
    struct str s = codec_to_base64url(c->arena, salt, JOURNAL_SALT_LEN);
    json_object_set_new(told, "salt", json_stringn(s.p, s.n));
    *plain = json_text(c->arena, told);
    return vault_seal(c, info->person, "journal.side", *plain, sealed);
}

static struct str digest_of(struct arena *a, struct str text)
{
    uint8_t hash[SHA256_LEN];
    sha256(text.p, text.n, hash);
    return codec_to_base64url(a, hash, sizeof hash);
}

enum err act_make(struct ctx *c, const struct act_info *info, struct act *out)
{
    struct journal_entry entry;
    struct buf b;
    struct str plain = STR_NONE;
    char *id = arena_alloc(c->arena, ID_LEN + 1);
    int64_t now_ms = clock_now_ms();
    uint8_t salt[JOURNAL_SALT_LEN];
    enum err e = ERR_OK;
    id_new(id);
    rand_bytes(salt, sizeof salt);
    *out = (struct act){.record = {.id = str_from(id)},
                        .object = arena_dup(c->arena, info->object),
                        .text = arena_dup(c->arena, info->text)};
    if (info->told && info->person.n) {
        out->record.subject = info->person;
        e = seal_told(c, info, id, now_ms, salt, &plain, &out->record.side);
    }
    json_decref(info->told);
    if (e != ERR_OK)
        return e;
    buf_init(&b, JOURNAL_LEAF_MAX);
    journal_entry_start(&entry, &b, id, now_ms, info->kind, salt);
    journal_entry_str(&entry, "actor", info->actor);
    journal_entry_str(&entry, "object", info->object);
    journal_entry_str(&entry, "trace", str_from(c->trace_id));
    if (info->text.n)
        journal_entry_str(&entry, "digest", digest_of(c->arena, info->text));
    if (info->person.n)
        journal_entry_subject(&entry, info->person);
    if (plain.n)
        journal_entry_field(&entry, STR("told"), plain);
    e = journal_entry_end(&entry);
    out->record.leaf = arena_dup(c->arena, buf_str(&b));
    buf_free(&b);
    mem_wipe(salt, sizeof salt);
    return e;
}

/* ---- writing -----------------------------------------------------------------------------------
 */
struct act_job {
    db_closure *fn;
    void *arg;
    const struct act *acts;
    size_t n;
    int64_t now_ms;
};

static enum err text_keep(struct db_conn *db, const struct act *act, int64_t now_ms)
{
    return db_exec(db, "INSERT INTO act_text(object, entry, at, text) VALUES($1, $2, $3, $4)",
                   "ssis", act->object, act->record.id, now_ms, act->text);
}

static enum err act_closure(struct db_conn *db, void *arg)
{
    struct act_job *job = arg;
    enum err e = job->fn ? job->fn(db, job->arg) : ERR_OK;
    for (size_t i = 0; i < job->n && e == ERR_OK; i++) {
        const struct journal_record *rec = &job->acts[i].record;
        e = db_exec(db,
                    "INSERT INTO outbox(id, entry, subject, side, created_at) "
                    "VALUES($1, $2, $3, $4, $5)",
                    "sbsbi", rec->id, rec->leaf, rec->subject.p ? rec->subject : STR(""),
                    rec->side.p ? rec->side : STR(""), job->now_ms);
        if (e == ERR_OK && job->acts[i].text.n)
            e = text_keep(db, &job->acts[i], job->now_ms);
    }
    return e;
}

/* One message, one wait, for all of them. */
static enum err seal_all(struct ctx *c, const struct act *acts, size_t n)
{
    struct journal_record *list = arena_array(c->arena, struct journal_record, n);
    for (size_t i = 0; i < n; i++)
        list[i] = acts[i].record;
    enum err e = journal_append_many(c->pf->journal, list, n, WAIT_MS, NULL);
    for (size_t i = 0; i < n && e == ERR_OK; i++) {
        char id[ID_LEN + 1] = {0};
        memcpy(id, acts[i].record.id.p, ID_LEN);
        confirm(id);
    }
    return e;
}

enum err act_write(struct ctx *c, db_closure *fn, void *arg, const struct act *acts, size_t n)
{
    struct act_job job = {fn, arg, acts, n, clock_now_ms()};
    if (!c->pf->journal) /* a command: nobody else is about to send it, so it is due at once */
        job.now_ms -= YOUNG_MS;
    enum err e = db_write(c->pf->db, act_closure, &job);
    if (e != ERR_OK || !c->pf->journal || n == 0) /* a command: the running platform sends it */
        return e;
    e = seal_all(c, acts, n);
    if (e == ERR_OK)
        return ERR_OK;
    log_error("act_not_sealed_yet", "trace", c->trace_id, "error", err_name(e));
    return ERR_UNAVAILABLE;
}
