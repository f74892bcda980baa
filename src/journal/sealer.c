/* The sealer: follows the write-ahead log and turns it into files anyone can read and check. What
 * it holds in memory is always ahead of what `durable` says and never ahead of the write-ahead log;
 * so it can be killed anywhere, and starts from `durable` again. When the disk is full it waits:
 * the log keeps what it has not done yet. */
#include "journal/writer.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "journal/disk.h"
#include "journal/wire.h"
#include "sys/file.h"
#include "sys/turn.h"

enum {
    GATHER_MS = 40, /* after the first entry of a quiet time */
    CYCLE_MS = 100, /* from one publication to the next */
    APPLY_MS = 60,  /* at most, in one of them */
    PASS_RECORDS = 16,
    RETRY_MS = 200,
    DURABLE_MS = 3000,
    DURABLE_BYTES = 2 * WAL_SEGMENT,
    SOON_BYTES = 4 * 1024 * 1024, /* so much behind: no waiting */
};

/* ---- what the threads share ---------------------------------------------------------------------
 */
void shared_init(struct shared *s)
{
    pthread_condattr_t attr;
    *s = (struct shared){.door = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    pthread_mutex_init(&s->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&s->wake, &attr);
    pthread_condattr_destroy(&attr);
    if (s->door < 0)
        abort(); /* at the start */
}

void shared_free(struct shared *s)
{
    runs_unref(s->ids);
    pthread_cond_destroy(&s->wake);
    pthread_mutex_destroy(&s->lock);
    close(s->door);
}

/* ---- waiting ----------------------------------------------------------------------------------
 */
static void wait_ms(struct sealer *s, int64_t ms, bool for_work)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += (ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&s->shared->lock);
    s->shared->idle = for_work;
    int rc = 0;
    while (rc == 0 && !s->shared->stop && !(for_work && s->wal->end > s->log.position))
        rc = pthread_cond_timedwait(&s->shared->wake, &s->shared->lock, &until);
    s->shared->idle = false;
    pthread_mutex_unlock(&s->shared->lock);
}

/* After an error that space or time may mend: true when it is worth another try. */
static bool again(struct sealer *s, enum err e, const char *what)
{
    if (e == ERR_OK)
        return false;
    if (e != ERR_FULL) {
        log_error("journal_sealer_failed", "what", what, "error", err_name(e));
        return false;
    }
    if (!s->shared->no_space)
        log_error("journal_disk_full", "what", what);
    s->shared->no_space = true;
    if (s->wal ? s->shared->stop : proc_stopping)
        return false; /* the log has it: the next start goes on */
    if (s->wal)
        wait_ms(s, RETRY_MS, false);
    else
        usleep(RETRY_MS * 1000);
    return true; /* once more, even when asked to stop meanwhile */
}

static void space_is_back(struct sealer *s)
{
    if (s->shared->no_space)
        log_info("journal_disk_space_back");
    s->shared->no_space = false;
}

/* ---- loading ----------------------------------------------------------------------------------
 */
static void indexes_init(struct sealer *s)
{
    struct index conf = {
        .folder = s->folder, .durable = &s->durable, .next_name = &s->next_name, .dir = "ids"};
    index_init(&s->ids, &conf, ID_RECORD);
    conf.dir = "side";
    conf.drop = side_key_is_blank;
    index_init(&s->side_index, &conf, SIDE_RECORD);
    conf.dir = "find";
    conf.drop = NULL;
    conf.sort = find_sort;
    index_init(&s->find, &conf, FIND_RECORD);
}

static enum err indexes_open(struct sealer *s, const struct state *from)
{
    bool ids = index_open(&s->ids, &from->ids), side = index_open(&s->side_index, &from->side);
    bool find = index_open(&s->find, &from->find) && !(from->no_find && from->size);
    enum err e = ids ? ERR_OK : rebuild_ids(s, from->size);
    if (e == ERR_OK && !side)
        e = rebuild_side(s, from->rows);
    if (e == ERR_OK)
        e = find ? rebuild_block(s, from->size) : rebuild_find(s, from->size);
    return e;
}

enum err sealer_load(struct sealer *s, const struct state *from)
{
    arena_init(&s->work);
    s->log.fd = s->side.fd = -1;
    s->epoch = from->epoch;
    s->sealed = from->sealed;
    memcpy(s->root, from->root, HASH_LEN);
    s->durable_wal = from->wal;
    s->durable_at_ms = clock_mono_ms();
    tree_init(&s->tree, s->folder);
    durable_init(&s->durable, s->folder);
    indexes_init(s);
    enum err e = disk_make_dirs(s->folder, "ids");
    if (e == ERR_OK)
        e = disk_make_dirs(s->folder, "find");
    if (e == ERR_OK)
        e = side_writer_open(&s->side, s->folder, from->rows);
    if (e == ERR_OK)
        e = tree_load(&s->tree, from->size);
    if (e == ERR_OK)
        e = indexes_open(s, from);
    if (e != ERR_OK)
        return e;
    wal_reader_init(&s->log, s->folder, from->wal);
    return ERR_OK;
}

void sealer_free(struct sealer *s)
{
    durable_free(&s->durable);
    tree_free(&s->tree);
    side_writer_close(&s->side);
    index_free(&s->ids);
    index_free(&s->side_index);
    index_free(&s->find);
    wal_reader_free(&s->log);
    arena_free(&s->work);
}

/* ---- publishing -------------------------------------------------------------------------------
 */
static void state_text(struct sealer *s, struct buf *out)
{
    struct state st = {.epoch = s->epoch,
                       .wal = s->log.position,
                       .size = s->tree.size,
                       .sealed = s->sealed,
                       .rows = s->side.length,
                       .ids = index_names(&s->ids, &s->work),
                       .side = index_names(&s->side_index, &s->work),
                       .find = index_names(&s->find, &s->work)};
    memcpy(st.root, s->root, HASH_LEN);
    buf_init(out, STATE_MAX);
    state_print(&st, out);
    arena_reset(&s->work);
}

static enum err state_write(struct sealer *s)
{
    struct buf b;
    state_text(s, &b);
    enum err e = b.err == ERR_OK ? disk_replace(s->folder, "state", buf_str(&b), false) : b.err;
    buf_free(&b);
    return e;
}

static enum err publish_once(struct sealer *s, bool sorted)
{
    enum err e = tree_publish(&s->tree);
    if (e == ERR_OK)
        e = side_flush(&s->side);
    if (e == ERR_OK)
        e = index_publish(&s->ids, false);
    if (e == ERR_OK)
        e = index_publish(&s->side_index, sorted);
    if (e == ERR_OK)
        e = index_publish(&s->find, false);
    return e == ERR_OK ? state_write(s) : e;
}

static void tell_committer(struct sealer *s)
{
    pthread_mutex_lock(&s->shared->lock);
    struct runs *old = s->shared->ids;
    s->shared->ids = runs_ref(s->ids.runs);
    size_t tail_n = s->ids.runs->tail_n; /* some may be of a past log */
    s->shared->indexed = s->tree.size > tail_n ? s->tree.size - tail_n : 0;
    pthread_mutex_unlock(&s->shared->lock);
    runs_unref(old);
}

/* sorted: the side index in sorted runs, without a tail. */
static enum err publish(struct sealer *s, bool sorted)
{
    enum err e;
    do
        e = publish_once(s, sorted);
    while (again(s, e, "publish"));
    if (e != ERR_OK)
        return e;
    space_is_back(s);
    tell_committer(s);
    return ERR_OK;
}

enum err sealer_publish(struct sealer *s)
{
    return publish(s, false);
}

/* What was published is also what will be durable: nothing was applied since. */
static enum err point_now(struct sealer *s)
{
    struct buf b;
    state_text(s, &b);
    enum err e = b.err == ERR_OK ? durable_now(&s->durable, buf_str(&b), s->log.position) : b.err;
    buf_free(&b);
    return e;
}

enum err sealer_make_durable(struct sealer *s)
{
    enum err e;
    do
        e = point_now(s);
    while (again(s, e, "durable"));
    if (e == ERR_OK) {
        s->durable_wal = s->log.position;
        s->durable_at_ms = clock_mono_ms();
    }
    return e;
}

static void durable_in_time(struct sealer *s)
{
    struct buf b;
    state_text(s, &b);
    if (b.err == ERR_OK && durable_begin(&s->durable, buf_str(&b), s->log.position)) {
        s->durable_wal = s->log.position;
        s->durable_at_ms = clock_mono_ms();
    }
    buf_free(&b);
}

/* ---- the checkpoint ---------------------------------------------------------------------------
 */
static enum err sign_once(struct sealer *s, const uint8_t root[HASH_LEN])
{
    struct str sig, text = checkpoint_text(&s->work, s->origin, s->tree.size, root);
    enum err e = keys_sign(s->keys, "journal", JOSE_EDDSA, text, &s->work, &sig, NULL);
    if (e == ERR_OK && sig.n != 64)
        e = ERR_INTERNAL;
    if (e == ERR_OK)
        e = disk_replace(s->folder, "checkpoint", checkpoint_note(&s->work, text, &s->key, sig),
                         false);
    arena_reset(&s->work);
    return e;
}

/* A failure is logged once and tried again in the next cycle: the keys process may be starting. */
enum err sealer_sign(struct sealer *s)
{
    uint8_t root[HASH_LEN];
    if (s->tree.size == s->sealed)
        return ERR_OK;
    tree_root(&s->tree, root);
    enum err e = sign_once(s, root);
    if (e != ERR_OK && !s->sign_failed)
        log_error("journal_not_signed", "error", err_name(e));
    if (e == ERR_OK && s->sign_failed)
        log_info("journal_signed_again");
    s->sign_failed = e != ERR_OK;
    if (e == ERR_OK) {
        s->sealed = s->tree.size;
        memcpy(s->root, root, HASH_LEN);
    }
    return e;
}

/* ---- applying ---------------------------------------------------------------------------------
 */
static enum err apply_entry(struct sealer *s, const struct wire_record *r)
{
    struct leaf_head head;
    uint8_t id[ID_RECORD], key[SIDE_RECORD];
    uint64_t place = place_of(s->epoch, s->tree.size);
    enum err e = leaf_head_read(r->leaf, &head);
    if (e != ERR_OK)
        return ERR_CORRUPT; /* it was checked before it came into the log */
    do
        e = tree_add(&s->tree, r->leaf);
    while (again(s, e, "tile"));
    if (e != ERR_OK)
        return e;
    id_record_write(id, head.id, place);
    index_add(&s->ids, id);
    find_add(&s->find, &s->block, place, &head, r->leaf);
    if (r->subject.n) {
        side_add(&s->side, place, &head, r->subject, r->side, key);
        index_add(&s->side_index, key);
    }
    return ERR_OK;
}

static enum err erase_once(struct sealer *s, const struct side_erasure *x, uint64_t *n)
{
    enum err e = publish(s, true);
    return e == ERR_OK ? side_erase(&s->side, s->folder, s->side_index.runs, x, n) : e;
}

/* Nothing of what was erased stays in old segments, nor in runs that were merged. */
static enum err finish_erasure(struct sealer *s, uint64_t n_rows)
{
    struct shared *sh = s->shared;
    uint64_t one = 1;
    enum err e = sealer_publish(s);
    if (e == ERR_OK)
        e = sealer_make_durable(s);
    do
        e = e == ERR_OK && s->wal ? wal_scrub(s->wal, s->log.position) : e;
    while (again(s, e, "scrub"));
    if (e != ERR_OK || !s->wal) /* at the start: all segments go */
        return e;
    pthread_mutex_lock(&sh->lock);
    if (sh->n_erased < ERASED_MAX)
        sh->erased[sh->n_erased++] = (struct erased){.position = s->log.position, .n_rows = n_rows};
    pthread_mutex_unlock(&sh->lock);
    return file_write_all(sh->door, &one, sizeof one);
}

static enum err apply_erasure(struct sealer *s, const struct wire_record *r)
{
    uint64_t n = 0;
    struct side_erasure x = {.what = {.subject = r->subject, .before_ms = INT64_MAX},
                             .most = UINT64_MAX};
    enum err e = ERR_OK;
    if (r->type == WIRE_EXPIRY) {
        e = wire_expiry_read(r, &x.what) == ERR_OK ? ERR_OK : ERR_CORRUPT;
        x.most = JOURNAL_EXPIRE_ROWS;
    }
    if (e != ERR_OK)
        return e;
    do
        e = erase_once(s, &x, &n);
    while (again(s, e, "erase"));
    return e == ERR_OK ? finish_erasure(s, n) : e;
}

/* An erasure is the last record of its batch: `durable` then stands between two batches. */
static enum err apply_batch(struct sealer *s, const struct wal_batch *b)
{
    struct str rest = b->records;
    struct wire_record r;
    enum err e = b->epoch == s->epoch && b->first_index == s->tree.size ? ERR_OK : ERR_CORRUPT;
    for (uint32_t i = 0; i < b->n_records && e == ERR_OK; i++) {
        e = wire_read(&rest, &r) == ERR_OK ? ERR_OK : ERR_CORRUPT;
        if (e == ERR_OK)
            e = r.type == WIRE_ENTRY ? apply_entry(s, &r) : apply_erasure(s, &r);
        if (i % PASS_RECORDS == PASS_RECORDS - 1)
            turn_pass();
    }
    return e;
}

enum err sealer_apply(struct sealer *s, int64_t most_ms)
{
    int64_t until_ms = clock_mono_ms() + most_ms;
    struct wal_batch b;
    enum err e = ERR_OK;
    while (e == ERR_OK && clock_mono_ms() < until_ms &&
           (!s->wal || s->log.position < s->wal->end)) {
        e = wal_reader_next(&s->log, &b);
        if (e == ERR_NOT_FOUND)
            return s->wal ? ERR_CORRUPT : e;
        if (e == ERR_OK)
            e = apply_batch(s, &b);
    }
    return e;
}

/* ---- the thread -------------------------------------------------------------------------------
 */
static bool durable_is_due(const struct sealer *s)
{
    uint64_t behind = s->log.position - s->durable_wal;
    return behind && (behind >= DURABLE_BYTES || clock_mono_ms() - s->durable_at_ms >= DURABLE_MS);
}

static enum err cycle(struct sealer *s, bool last)
{
    uint64_t size = s->tree.size;
    enum err e = sealer_apply(s, APPLY_MS);
    if (e == ERR_OK && s->tree.size != size)
        e = sealer_publish(s);
    if (e == ERR_OK) {
        enum err unsigned_yet = sealer_sign(s);
        (void)unsigned_yet; /* said there, and tried again */
    }
    if (e == ERR_OK && last)
        return s->log.position != s->durable_wal ? sealer_make_durable(s) : ERR_OK;
    if (e == ERR_OK && durable_is_due(s))
        durable_in_time(s);
    if (e == ERR_OK) {
        enum err not_ready = wal_prepare(s->wal);
        (void)not_ready; /* the committer makes it itself, or says that the disk is full */
    }
    return e;
}

static void wait_for_work(struct sealer *s, int64_t cycle_began_ms)
{
    int64_t idle_ms = s->tree.size != s->sealed           ? RETRY_MS
                      : s->log.position != s->durable_wal ? DURABLE_MS / 2
                                                          : 3600 * 1000;
    int64_t pause_ms = cycle_began_ms + CYCLE_MS - clock_mono_ms();
    if (s->wal->end - s->log.position > SOON_BYTES)
        return;
    if (pause_ms > 0)
        wait_ms(s, pause_ms, false);
    if (s->wal->end > s->log.position)
        return; /* busy */
    wait_ms(s, idle_ms, true);
    wait_ms(s, GATHER_MS, false);
}

void *sealer_main(void *sealer)
{
    struct sealer *s = sealer;
    enum err e = ERR_OK;
    bool stopping = false;
    turn_set(TURN_BEHIND);
    while (e == ERR_OK && !(stopping && s->log.position == s->wal->end)) {
        int64_t now_ms = clock_mono_ms();
        stopping = s->shared->stop;
        e = cycle(s, stopping && s->log.position == s->wal->end);
        if (!stopping && e == ERR_OK)
            wait_for_work(s, now_ms);
    }
    if (e == ERR_OK)
        e = cycle(s, true);
    if (e != ERR_OK && !(e == ERR_FULL && s->shared->stop)) {
        /* Nothing that was acknowledged is lost: a new process starts from `durable`. */
        log_error("journal_sealer_ended", "error", err_name(e));
        _exit(1);
    }
    return NULL;
}
