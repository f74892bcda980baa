/* The journal process: why it alone writes the journal.
 *
 * A journal is believed because nobody could have written it otherwise: not the one who acted, not
 * the one who was asked, not the operator afterwards. So the process that receives requests from
 * the network hands its entries over and cannot take them back: it has no right to this folder's
 * files but to read them. This process accepts one thing, "append this", and one more, "erase these
 * side rows", a subject's or those of before a time; nothing it offers changes or removes an entry.
 * It opens no socket, parses no HTTP and no JSON beyond a leaf's fixed head, and does not hold the
 * key that signs: it asks the keys process for one signature a batch, over a channel that nobody
 * else has.
 *
 * What it says is durable is durable. Whatever waits on all channels is gathered into one write and
 * one sync of a file whose blocks were reserved before, and only then do the senders hear of it;
 * the more they send, the more share one sync. Tree, indexes and checkpoint are made behind, from
 * that same file, by the sealer (sealer.c). Killed at any moment, it reads the file to its last
 * whole batch and goes on; the senders send again what they got no answer to, and an id that is
 * there already is not written twice. */
#include "journal/writer.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/rand.h"
#include "journal/disk.h"
#include "journal/recent.h"
#include "journal/wire.h"
#include "sys/file.h"
#include "sys/sandbox.h"
#include "sys/turn.h"

enum {
    BATCH_MESSAGES = 4096,
    BATCH_RECORDS = 16384,
    ANSWERS_MAX = 16 * 1024 * 1024, /* held for a client that does not read */
    LANE_TURN = 64,                 /* messages of one channel before the next one's */
    LAG_WAIT_MS = 5,
    PACE_RECORDS = 8, /* after a batch of so many, */
    PACE_US = 300, /* the next one waits so long for company: a sync costs as much as 50 entries */
    LOCK_TRIES = 100,
    READ_ONLY_WAIT_MS = 200,
    LAST_TURNS = 8,
};

struct lane {
    int fd;          /* -1: closed */
    struct buf held; /* answers that found no room, with their heads */
};

struct reply {
    struct lane *lane;
    uint64_t id;
    uint16_t op, status;
    size_t first, n; /* in results */
};

struct pending_erasure {
    struct lane *lane;
    uint64_t id, position;
    uint16_t op;
};

struct committer {
    struct shared shared;
    struct wal wal;
    struct recent recent;
    struct lane lanes[PROC_MAX_FDS];
    size_t n_lanes;
    uint32_t epoch;
    uint64_t next_index;

    char *room; /* WAL_HEAD, records, a block */
    size_t used;
    uint32_t n_records;
    bool full, ends; /* no space: nothing is taken; an erasure ended this batch */
    int64_t pace_us; /* not before */
    struct reply replies[BATCH_MESSAGES];
    size_t n_replies;
    int64_t results[BATCH_RECORDS];
    size_t n_results;
    struct pending_erasure erasures[ERASED_MAX];
    size_t n_erasures;
    char message[CHAN_MAX];
};

/* ---- answers ----------------------------------------------------------------------------------
 */
struct held_head {
    struct chan_head head;
    uint32_t n;
};

static void lane_close(struct lane *l)
{
    l->fd = -1;
    buf_free(&l->held);
    buf_init(&l->held, ANSWERS_MAX);
}

static void answer(struct lane *l, const struct chan_head *h, struct str payload)
{
    if (l->fd < 0)
        return;
    enum err e = l->held.n ? ERR_AGAIN : chan_try_send(l->fd, h, payload);
    if (e == ERR_UNAVAILABLE)
        lane_close(l);
    if (e != ERR_AGAIN)
        return;
    struct held_head held = {*h, (uint32_t)payload.n};
    buf_add(&l->held, &held, sizeof held);
    buf_add_str(&l->held, payload);
    if (l->held.err != ERR_OK) {
        log_error("journal_answers_lost"); /* it asks again, or never reads */
        lane_close(l);
    }
}

static void held_send(struct lane *l)
{
    size_t at = 0;
    while (at < l->held.n) {
        struct held_head h;
        memcpy(&h, l->held.p + at, sizeof h);
        enum err e = chan_try_send(l->fd, &h.head, str_of(l->held.p + at + sizeof h, h.n));
        if (e == ERR_AGAIN)
            break;
        if (e == ERR_UNAVAILABLE) {
            lane_close(l);
            return;
        }
        at += sizeof h + h.n;
    }
    buf_drop(&l->held, at);
}

static void replies_send(struct committer *c)
{
    for (size_t i = 0; i < c->n_replies; i++) {
        const struct reply *r = &c->replies[i];
        struct chan_head h = {.op = r->op, .status = r->status, .id = r->id};
        for (size_t k = r->first; k < r->first + r->n; k++)
            c->results[k] = (int64_t)htole64((uint64_t)c->results[k]);
        answer(r->lane, &h, str_of(&c->results[r->first], r->n * sizeof c->results[0]));
    }
    c->n_replies = c->n_results = 0;
}

/* ---- records ----------------------------------------------------------------------------------
 */
/* In the index files: of this log, or of a past one (then the index is 0: written, elsewhere). */
static bool find_written(const struct committer *c, const struct runs *ids,
                         const uint8_t id[ULID_BYTES], uint64_t *index)
{
    uint64_t place;
    if (!ids_find_sorted(ids, id, &place)) /* the tail's are among the recent ones */
        return false;
    *index = place_epoch(place) == c->epoch ? place_index(place) : 0;
    return true;
}

static void take_record(struct committer *c, const struct wire_record *r, enum err e,
                        const struct runs *ids)
{
    struct leaf_head head;
    uint64_t index;
    int64_t *result = &c->results[c->n_results++];
    if (e == ERR_OK)
        e = r->type == WIRE_ENTRY ? leaf_check(r->leaf, &head) : ERR_INVALID;
    if (e != ERR_OK) {
        *result = -(int64_t)e;
        return;
    }
    if (recent_find(&c->recent, head.id, &index) || find_written(c, ids, head.id, &index)) {
        *result = (int64_t)index;
        return;
    }
    if (c->full) {
        *result = -(int64_t)ERR_FULL;
        return;
    }
    *result = (int64_t)c->next_index;
    recent_add(&c->recent, head.id, c->next_index++);
    memcpy(c->room + WAL_HEAD + c->used, r->whole.p, r->whole.n);
    c->used += r->whole.n;
    c->n_records++;
}

/* False: it cannot be split into records; nothing of it was taken. */
static bool append_is_whole(struct str payload)
{
    struct wire_record r;
    size_t n = 0;
    while (payload.n && n <= WIRE_RECORDS_MAX) {
        enum err e = wire_read(&payload, &r);
        if (e == ERR_INVALID)
            return false;
        n++;
    }
    return n > 0 && n <= WIRE_RECORDS_MAX;
}

static void take_append(struct committer *c, struct reply *reply, struct str payload,
                        const struct runs *ids)
{
    if (!append_is_whole(payload)) {
        reply->status = ERR_INVALID;
        return;
    }
    while (payload.n) {
        struct wire_record r;
        enum err e = wire_read(&payload, &r);
        take_record(c, &r, e, ids);
    }
    reply->n = c->n_results - reply->first;
}

/* The record of what a message asks to be erased; its size, 0: it asks for nothing that may be. */
static size_t erasure_write(char *out, uint16_t op, struct str payload)
{
    struct wire_record r;
    struct journal_expiry x;
    struct str rest = payload;
    if (op == WIRE_ERASE) {
        if (payload.n == 0 || payload.n > JOURNAL_SUBJECT_MAX)
            return 0;
        wire_write_erasure(out, payload);
        return WIRE_HEAD + payload.n;
    }
    if (wire_read(&rest, &r) != ERR_OK || rest.n || wire_expiry_read(&r, &x) != ERR_OK)
        return 0;
    memcpy(out, payload.p, payload.n);
    return payload.n;
}

/* Ends the batch. True: the answer comes when the sealer has done it. */
static bool take_erasure(struct committer *c, struct reply *reply, struct str payload)
{
    size_t n = erasure_write(c->room + WAL_HEAD + c->used, reply->op, payload);
    reply->status = n == 0                        ? ERR_INVALID
                    : c->full                     ? ERR_FULL
                    : c->n_erasures == ERASED_MAX ? ERR_LIMIT
                                                  : ERR_OK;
    if (reply->status != ERR_OK)
        return false;
    c->used += n;
    c->n_records++;
    c->ends = true;
    c->erasures[c->n_erasures++] =
        (struct pending_erasure){.lane = reply->lane, .id = reply->id, .op = reply->op};
    return true;
}

static void take_message(struct committer *c, struct lane *l, const struct chan_head *h,
                         struct str payload, const struct runs *ids)
{
    struct reply *r = &c->replies[c->n_replies];
    *r = (struct reply){.lane = l, .id = h->id, .op = h->op, .first = c->n_results};
    if (h->op == WIRE_APPEND)
        take_append(c, r, payload, ids);
    else if (h->op != WIRE_ERASE && h->op != WIRE_EXPIRE)
        r->status = ERR_INVALID;
    else if (take_erasure(c, r, payload))
        return;
    c->n_replies++;
}

static bool batch_has_room(const struct committer *c)
{
    return !c->ends && c->used + CHAN_MAX <= WAL_RECORDS_MAX && c->n_replies < BATCH_MESSAGES &&
           c->n_results + WIRE_RECORDS_MAX <= BATCH_RECORDS;
}

/* False when nothing more waits there. */
static bool lane_take(struct committer *c, struct lane *l, const struct runs *ids)
{
    struct chan_head h;
    struct str payload;
    for (int i = 0; i < LANE_TURN; i++) {
        if (l->fd < 0 || l->held.n || !batch_has_room(c))
            return false;
        enum err e = chan_recv(l->fd, 0, c->message, &h, &payload);
        if (e == ERR_OK)
            take_message(c, l, &h, payload, ids);
        else if (e == ERR_CORRUPT)
            log_error("journal_message_corrupt");
        else if (e != ERR_AGAIN)
            lane_close(l);
        if (e == ERR_AGAIN)
            return false;
    }
    return true;
}

/* ---- a batch ----------------------------------------------------------------------------------
 */
/* Space for whatever comes, or c->full. False: the sealer is far behind; wait. */
static bool make_room(struct committer *c)
{
    enum err e = wal_reserve(&c->wal);
    if (e == ERR_AGAIN && !c->shared.no_space)
        return false;
    bool full = e != ERR_OK;
    if (full && !c->full)
        log_error("journal_full", "error", err_name(e));
    if (!full && c->full)
        log_info("journal_accepts_again");
    c->full = full;
    return true;
}

static void gather(struct committer *c)
{
    pthread_mutex_lock(&c->shared.lock);
    struct runs *ids = runs_ref(c->shared.ids);
    recent_indexed(&c->recent, c->shared.indexed);
    pthread_mutex_unlock(&c->shared.lock);
    bool more = true;
    while (more && batch_has_room(c)) {
        more = false;
        for (size_t i = 0; i < c->n_lanes; i++)
            more |= lane_take(c, &c->lanes[i], ids);
    }
    runs_unref(ids);
}

static void wake_sealer(struct committer *c)
{
    if (!c->shared.idle)
        return;
    pthread_mutex_lock(&c->shared.lock);
    pthread_cond_signal(&c->shared.wake);
    pthread_mutex_unlock(&c->shared.lock);
}

static enum err commit(struct committer *c)
{
    if (c->n_records) {
        struct wal_batch b = {.first_index = c->next_index,
                              .n_records = c->n_records,
                              .epoch = c->epoch,
                              .records = str_of(c->room + WAL_HEAD, c->used)};
        b.first_index -= c->n_records - (c->ends ? 1u : 0u);
        enum err e = wal_commit(&c->wal, c->room, &b, c->ends);
        if (e != ERR_OK)
            return e;
        wake_sealer(c);
        c->pace_us = c->n_records < PACE_RECORDS ? 0 : clock_mono_us() + PACE_US;
    }
    if (c->ends)
        c->erasures[c->n_erasures - 1].position = c->wal.end;
    c->used = 0;
    c->n_records = 0;
    c->ends = false;
    replies_send(c);
    return ERR_OK;
}

static void erasures_answer(struct committer *c)
{
    struct erased done[ERASED_MAX];
    uint64_t count;
    ssize_t rung = read(c->shared.door, &count, sizeof count);
    (void)rung; /* what was done is in the list, rung or not */
    pthread_mutex_lock(&c->shared.lock);
    size_t n = c->shared.n_erased;
    memcpy(done, c->shared.erased, n * sizeof done[0]);
    c->shared.n_erased = 0;
    pthread_mutex_unlock(&c->shared.lock);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < c->n_erasures; k++) {
            struct pending_erasure *p = &c->erasures[k];
            if (p->position != done[i].position)
                continue;
            struct chan_head h = {.op = p->op, .id = p->id};
            uint64_t rows = htole64(done[i].n_rows);
            answer(p->lane, &h, str_of(&rows, sizeof rows));
            *p = c->erasures[--c->n_erasures];
            break;
        }
}

static void pace(const struct committer *c)
{
    int64_t left_us = c->pace_us ? c->pace_us - clock_mono_us() : 0;
    if (left_us > 0)
        usleep((useconds_t)left_us);
}

/* ---- the loop ---------------------------------------------------------------------------------
 */
static enum err turn(struct committer *c, int timeout_ms)
{
    struct pollfd p[PROC_MAX_FDS + 2];
    bool lags = !make_room(c), any = false;
    for (size_t i = 0; i < c->n_lanes; i++)
        p[i] = (struct pollfd){.fd = c->lanes[i].fd,
                               .events = c->lanes[i].held.n ? POLLOUT
                                         : lags             ? 0
                                                            : POLLIN};
    p[c->n_lanes] = (struct pollfd){.fd = c->shared.door, .events = POLLIN};
    p[c->n_lanes + 1] = (struct pollfd){.fd = proc_stop_fd(), .events = POLLIN};
    if (poll(p, c->n_lanes + 2, lags ? LAG_WAIT_MS : timeout_ms) <= 0)
        return ERR_OK;
    for (size_t i = 0; i < c->n_lanes; i++) {
        if (p[i].revents & (POLLERR | POLLNVAL))
            lane_close(&c->lanes[i]);
        else if (p[i].revents && c->lanes[i].held.n)
            held_send(&c->lanes[i]);
        else
            any |= p[i].revents != 0;
    }
    if (p[c->n_lanes].revents)
        erasures_answer(c);
    if (!any || lags)
        return ERR_OK;
    pace(c);
    gather(c);
    return commit(c);
}

/* The first entry of a log that follows another one. */
static enum err write_opening(struct committer *c, struct str leaf)
{
    struct journal_record r = {.leaf = leaf};
    struct wire_record w;
    size_t size;
    static char record[WIRE_HEAD + JOURNAL_LEAF_MAX];
    enum err e = wire_check(&r, &size);
    if (e != ERR_OK)
        return e;
    while (!make_room(c) || c->full) { /* nothing may come before it */
        usleep(LAG_WAIT_MS * 1000);
        if (proc_stopping)
            return ERR_UNAVAILABLE;
    }
    wire_write(record, &r);
    struct str whole = str_of(record, size);
    e = wire_read(&whole, &w);
    take_record(c, &w, e, c->shared.ids);
    c->n_results = 0;
    return commit(c);
}

static bool any_open(const struct committer *c)
{
    for (size_t i = 0; i < c->n_lanes; i++)
        if (c->lanes[i].fd >= 0)
            return true;
    return false;
}

static enum err serve(struct committer *c, struct str opening)
{
    enum err e = opening.n ? write_opening(c, opening) : ERR_OK;
    for (size_t i = 0; i < c->n_lanes && e == ERR_OK; i++)
        answer(&c->lanes[i], &(struct chan_head){.op = CHAN_HELLO}, STR_NONE);
    while (!proc_stopping && e == ERR_OK && any_open(c))
        e = turn(c, proc_stop_fd() >= 0 ? -1 : 100);
    for (int i = 0; i < LAST_TURNS && e == ERR_OK; i++)
        e = turn(c, 0); /* what came before the stop */
    return e;
}

/* ---- start and end ----------------------------------------------------------------------------
 */
/* A file system that turned read-only after an error of its disk is waited for: nobody is answered
 * meanwhile, so nothing is acknowledged, and readers and verifiers go on. */
static int lock_open(int folder, const char *path)
{
    int lock;
    for (bool said = false; (lock = openat(folder, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600)) < 0;
         usleep(READ_ONLY_WAIT_MS * 1000)) {
        if (errno != EROFS || proc_stopping)
            break;
        if (!said)
            log_error("journal_disk_read_only", "folder", path);
        said = true;
    }
    return lock;
}

static enum err folder_open(const char *path, int *folder)
{
    enum err e = file_make_dirs(path, 0700);
    *folder = e == ERR_OK ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (*folder < 0)
        return e == ERR_OK ? file_err_from_errno(errno) : e;
    int lock = lock_open(*folder, path);
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    for (int i = 0; lock >= 0 && fcntl(lock, F_OFD_SETLK, &whole) != 0; i++) {
        if (i == LOCK_TRIES) { /* a process that was killed gives it back in a moment */
            log_error("journal_locked", "folder", path);
            return ERR_EXISTS;
        }
        usleep(10 * 1000);
    }
    return lock < 0 ? file_err_from_errno(errno) : ERR_OK; /* held until the process ends */
}

static struct committer *committer_new(struct proc *self)
{
    int fds[PROC_MAX_FDS];
    struct committer *c = calloc(1, sizeof *c);
    if (!c || !(c->room = malloc(WAL_HEAD + WAL_RECORDS_MAX + WAL_BLOCK)))
        abort();
    shared_init(&c->shared);
    recent_init(&c->recent);
    c->n_lanes = proc_fds(self, "journal", fds, COUNT_OF(fds));
    for (size_t i = 0; i < c->n_lanes; i++) {
        c->lanes[i].fd = fds[i];
        buf_init(&c->lanes[i].held, ANSWERS_MAX);
    }
    return c;
}

static void committer_free(struct committer *c)
{
    for (size_t i = 0; i < c->n_lanes; i++)
        buf_free(&c->lanes[i].held);
    recent_free(&c->recent);
    shared_free(&c->shared);
    free(c->room);
    free(c);
}

static enum err confine(const char *folder)
{
    const char *paths[] = {folder, NULL};
    const struct sandbox box = {SANDBOX_FILES | SANDBOX_THREADS, paths, paths};
    return sandbox_enter(&box);
}

/* Ids that are in no sorted run yet. The tail may begin with some of a past log: a log that ends
 * does not end the index. */
static void tail_recall(struct committer *c, const struct runs *ids)
{
    for (size_t i = 0; i < ids->tail_n; i++) {
        const uint8_t *record = run_record(ids->tail, ID_RECORD, i);
        uint64_t place;
        memcpy(&place, record + ULID_BYTES, 8);
        place = be64toh(place);
        recent_add(&c->recent, record, place_epoch(place) == c->epoch ? place_index(place) : 0);
    }
}

/* Everything between the opened log and the end of the process. */
static enum err run(struct proc *self, struct committer *c, struct sealer *s,
                    const struct opened *o)
{
    pthread_t thread;
    c->epoch = s->epoch;
    c->next_index = s->tree.size;
    tail_recall(c, s->ids.runs);
    wal_open(&c->wal, s->folder, o->end, o->last);
    s->wal = &c->wal;
    if (durable_start(&s->durable, &c->wal) != ERR_OK ||
        pthread_create(&thread, NULL, sealer_main, s) != 0)
        return ERR_INTERNAL;
    turn_set(TURN_QUICK);
    proc_ready(self);
    enum err e = serve(c, o->opening);
    pthread_mutex_lock(&c->shared.lock);
    c->shared.stop = true;
    pthread_cond_signal(&c->shared.wake);
    pthread_mutex_unlock(&c->shared.lock);
    if (e != ERR_OK) {
        log_error("journal_commit_failed", "error", err_name(e));
        _exit(1); /* what the disk holds is found out by the next one */
    }
    pthread_join(thread, NULL);
    return e;
}

int journal_main(struct proc *self, void *journal_conf)
{
    const struct journal_conf *conf = journal_conf;
    struct opened opened;
    struct arena a;
    int keys_fd = proc_fd(self, "keys.journal");
    struct committer *c = committer_new(self);
    struct sealer s = {.folder = -1, .shared = &c->shared};
    enum err e = folder_open(conf->folder, &s.folder);
    if (e == ERR_OK)
        e = confine(conf->folder);
    arena_init(&a);
    if (e == ERR_OK) {
        s.keys = keys_connect(keys_fd >= 0 ? keys_fd : proc_fd(self, "keys"));
        e = log_open(&s, conf->origin, &a, &opened);
    }
    if (e == ERR_OK)
        e = run(self, c, &s, &opened);
    if (e != ERR_OK && !proc_stopping)
        log_error("journal_start_failed", "error", err_name(e));
    if (s.epoch)
        sealer_free(&s);
    if (s.wal)
        wal_close(&c->wal);
    keys_close(s.keys);
    committer_free(c);
    arena_free(&a);
    return e == ERR_OK || proc_stopping ? 0 : 1;
}
