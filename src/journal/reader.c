/* Reading a journal from any process. Each call looks at `state`, which the writer replaces after
 * every publication; what it lists is immutable, so that a reader needs no lock against the writer.
 * A folder that is not there yet is an empty journal: web may start before the journal process. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/log.h"
#include "journal/disk.h"
#include "journal/past.h"
#include "journal/proof.h"
#include "journal/state.h"
#include "journal/tiles.h"
#include "journal/view.h"
#include "sys/file.h"

enum { TRIES = 20, RETRY_US = 2000, PAST_MAX = 65536, SIDE_LIMIT_MAX = 1000 };

struct journal_reader {
    char *path;
    pthread_mutex_t lock; /* guards what follows */
    int folder, rows_fd;
    struct view *view;
};

void view_unref(struct view *v)
{
    if (!v || atomic_fetch_sub(&v->refs, 1) != 1)
        return;
    runs_unref(v->ids);
    runs_unref(v->side);
    runs_unref(v->find);
    free((void *)(uintptr_t)v->text.p);
    free(v);
}

/* ---- opening ----------------------------------------------------------------------------------
 */
enum err journal_reader_open(const char *folder, struct journal_reader **out)
{
    struct journal_reader *r = calloc(1, sizeof *r);
    if (!r || !(r->path = strdup(folder)))
        abort();
    pthread_mutex_init(&r->lock, NULL);
    r->folder = r->rows_fd = -1;
    *out = r;
    return ERR_OK;
}

void journal_reader_close(struct journal_reader *r)
{
    if (!r)
        return;
    view_unref(r->view);
    if (r->folder >= 0)
        close(r->folder);
    if (r->rows_fd >= 0)
        close(r->rows_fd);
    pthread_mutex_destroy(&r->lock);
    free(r->path);
    free(r);
}

static enum err folder_open(struct journal_reader *r)
{
    if (r->folder < 0)
        r->folder = open(r->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (r->folder >= 0 && r->rows_fd < 0)
        r->rows_fd = openat(r->folder, SIDE_ROWS_FILE, O_RDONLY | O_CLOEXEC);
    return r->folder >= 0 ? ERR_OK : file_err_from_errno(errno);
}

static enum err view_make(struct journal_reader *r, struct str text, const struct state *st,
                          struct view **out)
{
    struct view *v = calloc(1, sizeof *v);
    char *copy = malloc(text.n ? text.n : 1);
    if (!v || !copy)
        abort();
    memcpy(copy, text.p, text.n);
    atomic_init(&v->refs, 1);
    v->text = str_of(copy, text.n);
    v->epoch = st->epoch;
    v->size = st->size;
    v->rows = st->rows;
    enum err e =
        runs_open(r->folder, "ids", &st->ids, ID_RECORD, r->view ? r->view->ids : NULL, &v->ids);
    if (e == ERR_OK)
        e = runs_open(r->folder, "side", &st->side, SIDE_RECORD, r->view ? r->view->side : NULL,
                      &v->side);
    if (e == ERR_OK)
        e = runs_open(r->folder, "find", &st->find, FIND_RECORD, r->view ? r->view->find : NULL,
                      &v->find);
    *out = v;
    if (e != ERR_OK)
        view_unref(v);
    return e;
}

/* Replaces r->view when the file is another one (lock held). */
static enum err view_refresh(struct journal_reader *r, const char *file, struct arena *a)
{
    struct str text;
    struct state st;
    struct view *v;
    enum err e = disk_read(r->folder, file, a, STATE_MAX, &text);
    if (e != ERR_OK || (r->view && str_eq(text, r->view->text)))
        return e;
    e = state_parse(a, text, &st);
    if (e == ERR_OK)
        e = view_make(r, text, &st, &v);
    if (e != ERR_OK)
        return e;
    view_unref(r->view);
    r->view = v;
    return ERR_OK;
}

/* The current view, to be given back. ERR_NOT_FOUND: nothing was written yet. Runs go away soon
 * after a newer `state` is there, hence the tries. A `state` that a power cut spoilt is replaced by
 * the writer's start; until then `durable` says nearly the same. */
enum err view_get(struct journal_reader *r, struct view **out)
{
    struct arena a;
    arena_init(&a);
    pthread_mutex_lock(&r->lock);
    enum err e = folder_open(r);
    if (e == ERR_OK) {
        for (int i = 0; i < TRIES; i++) {
            arena_reset(&a);
            e = view_refresh(r, "state", &a);
            if (e != ERR_NOT_FOUND && e != ERR_CORRUPT)
                break;
            if (e == ERR_NOT_FOUND && faccessat(r->folder, "state", F_OK, 0) != 0)
                break;
            usleep(RETRY_US);
        }
        if (e == ERR_CORRUPT || e == ERR_NOT_FOUND)
            e = view_refresh(r, "durable", &a);
    }
    if (e == ERR_OK) {
        atomic_fetch_add(&r->view->refs, 1);
        *out = r->view;
    }
    pthread_mutex_unlock(&r->lock);
    arena_free(&a);
    return e;
}

/* ---- one log ----------------------------------------------------------------------------------
 */
static enum err past_open(struct journal_reader *r, uint32_t epoch, struct view_log *out)
{
    char path[64];
    struct arena a;
    struct state st;
    int fd = openat(r->folder, past_path(epoch, "", path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return file_err_from_errno(errno);
    arena_init(&a);
    enum err e = state_read(fd, "state", &a, &st);
    *out = (struct view_log){fd, true, e == ERR_OK ? st.size : 0};
    if (e != ERR_OK)
        close(fd);
    arena_free(&a);
    return e;
}

enum err view_log_get(struct journal_reader *r, const struct view *v, unsigned log,
                      struct view_log *out)
{
    if (log == 0) {
        *out = (struct view_log){r->folder, false, v->size};
        return ERR_OK;
    }
    return log < v->epoch ? past_open(r, v->epoch - log, out) : ERR_NOT_FOUND;
}

void view_log_put(const struct view_log *l)
{
    if (l->past)
        close(l->folder);
}

/* ---- entries ----------------------------------------------------------------------------------
 */
enum err journal_find(struct journal_reader *r, struct str id, struct journal_at *out)
{
    uint8_t raw[ULID_BYTES];
    struct view *v;
    uint64_t place;
    if (!ulid_read(id, raw))
        return ERR_NOT_FOUND;
    enum err e = view_get(r, &v);
    if (e != ERR_OK)
        return e;
    bool found = ids_find(v->ids, raw, &place) && place_epoch(place) <= v->epoch;
    if (found)
        *out = (struct journal_at){v->epoch - place_epoch(place), place_index(place)};
    view_unref(v);
    return found ? ERR_OK : ERR_NOT_FOUND;
}

static enum err leaf_read(const struct view_log *l, uint64_t index, struct arena *a,
                          struct str *leaf)
{
    struct str bundle;
    uint64_t n = index / TILE_WIDTH;
    if (index >= l->size)
        return ERR_NOT_FOUND;
    enum err e =
        tile_read(l->folder, TILE_ENTRIES, n, tile_width(TILE_ENTRIES, n, l->size), a, &bundle);
    if (e != ERR_OK)
        return e == ERR_NOT_FOUND ? ERR_CORRUPT : e; /* it must be there */
    for (uint64_t i = n * TILE_WIDTH; i <= index; i++)
        if (!bundle_next(&bundle, leaf))
            return ERR_CORRUPT;
    return ERR_OK;
}

enum err journal_read(struct journal_reader *r, struct journal_at at, struct arena *a,
                      struct str *leaf)
{
    struct view *v;
    struct view_log l;
    enum err e = view_get(r, &v);
    if (e != ERR_OK)
        return e;
    e = view_log_get(r, v, at.log, &l);
    if (e == ERR_OK) {
        e = leaf_read(&l, at.index, a, leaf);
        view_log_put(&l);
    }
    view_unref(v);
    return e;
}

enum err journal_epoch(struct journal_reader *r, uint32_t *epoch)
{
    struct view *v;
    enum err e = view_get(r, &v);
    if (e != ERR_OK)
        return e;
    *epoch = v->epoch;
    view_unref(v);
    return ERR_OK;
}

enum err journal_log_of(struct journal_reader *r, uint64_t epoch, unsigned *log)
{
    uint32_t last;
    enum err e = journal_epoch(r, &last);
    if (e == ERR_OK && (epoch == 0 || epoch > last))
        e = ERR_NOT_FOUND;
    if (e == ERR_OK)
        *log = last - (uint32_t)epoch;
    return e;
}

enum err journal_tile(struct journal_reader *r, unsigned log, int level, uint64_t n, unsigned width,
                      struct arena *a, struct str *out)
{
    struct view *v;
    struct view_log l;
    if (level < TILE_ENTRIES || level >= TILE_LEVELS || width == 0 || width > TILE_WIDTH)
        return ERR_NOT_FOUND;
    enum err e = view_get(r, &v);
    if (e != ERR_OK)
        return e;
    e = view_log_get(r, v, log, &l);
    if (e == ERR_OK) {
        e = tile_width(level, n, l.size) < width ? ERR_NOT_FOUND
                                                 : tile_read(l.folder, level, n, width, a, out);
        view_log_put(&l);
    }
    view_unref(v);
    return e;
}

/* ---- checkpoints ------------------------------------------------------------------------------
 */
static enum err note_and_key(const struct view_log *l, struct arena *a, struct str *note,
                             struct str *key)
{
    enum err e = disk_read(l->folder, "checkpoint", a, NOTE_MAX, note);
    if (e == ERR_OK)
        e = disk_read(l->folder, "key", a, NOTE_KEY_MAX, key);
    if (e == ERR_OK && key->n && key->p[key->n - 1] == '\n')
        key->n--;
    return e;
}

enum err journal_size(struct journal_reader *r, unsigned log, uint64_t *size, uint64_t *sealed)
{
    struct arena a;
    struct checkpoint c = {0};
    struct str note;
    struct view *v;
    struct view_log l;
    *size = *sealed = 0;
    enum err e = view_get(r, &v);
    if (e != ERR_OK)
        return e == ERR_NOT_FOUND && log == 0 ? ERR_OK : e;
    arena_init(&a);
    e = view_log_get(r, v, log, &l);
    if (e == ERR_OK) {
        e = disk_read(l.folder, "checkpoint", &a, NOTE_MAX, &note);
        e = e == ERR_OK ? checkpoint_read(&a, note, &c) : e == ERR_NOT_FOUND ? ERR_OK : e;
        *size = l.size;
        *sealed = c.size < l.size ? c.size : l.size; /* it may be newer than our view */
        view_log_put(&l);
    }
    view_unref(v);
    arena_free(&a);
    return e == ERR_INVALID ? ERR_CORRUPT : e;
}

enum err journal_checkpoint(struct journal_reader *r, unsigned log, struct arena *a,
                            struct str *note, struct str *key)
{
    struct view *v;
    struct view_log l;
    enum err e = view_get(r, &v);
    if (e != ERR_OK)
        return e;
    e = view_log_get(r, v, log, &l);
    if (e == ERR_OK) {
        e = note_and_key(&l, a, note, key);
        view_log_put(&l);
    }
    view_unref(v);
    return e;
}

/* ---- proofs -----------------------------------------------------------------------------------
 */
/* The log's last checkpoint, with the key and a tree of at least its size. */
struct sealed_log {
    struct view_log log;
    struct checkpoint checkpoint;
    struct str note, key;
    struct tile_source tiles;
    struct merkle_source source;
};

/* The view is asked for after the checkpoint was read: it holds at least as much. */
static enum err sealed_get(struct journal_reader *r, unsigned log, struct arena *a,
                           struct sealed_log *out)
{
    struct view *v;
    enum err e = journal_checkpoint(r, log, a, &out->note, &out->key);
    if (e == ERR_OK && checkpoint_read(a, out->note, &out->checkpoint) != ERR_OK)
        e = ERR_CORRUPT;
    if (e == ERR_OK)
        e = view_get(r, &v);
    if (e != ERR_OK)
        return e;
    e = view_log_get(r, v, log, &out->log);
    view_unref(v);
    if (e != ERR_OK)
        return e;
    if (out->log.size < out->checkpoint.size) {
        view_log_put(&out->log);
        return ERR_CORRUPT;
    }
    out->tiles = (struct tile_source){.folder = out->log.folder, .size = out->log.size, .a = a};
    out->source = (struct merkle_source){tile_source_node, &out->tiles};
    return ERR_OK;
}

static enum err prove(struct sealed_log *s, uint64_t index, struct arena *a, struct str *proof)
{
    struct proof p = {.index = index, .key_line = s->key, .note = s->note};
    struct buf hashes;
    if (index >= s->log.size)
        return ERR_NOT_FOUND;
    if (index >= s->checkpoint.size)
        return ERR_AGAIN;
    buf_init(&hashes, MERKLE_PROOF_MAX * HASH_LEN);
    enum err e = merkle_inclusion(&s->source, index, s->checkpoint.size, &hashes);
    if (e == ERR_OK)
        e = leaf_read(&s->log, index, a, &p.leaf);
    p.hashes = buf_str(&hashes);
    if (e == ERR_OK)
        *proof = proof_print(a, &p);
    buf_free(&hashes);
    return e == ERR_NOT_FOUND ? ERR_CORRUPT : e;
}

enum err journal_prove(struct journal_reader *r, struct journal_at at, struct arena *a,
                       struct str *proof)
{
    struct sealed_log s;
    uint64_t size, sealed;
    enum err e = sealed_get(r, at.log, a, &s);
    if (e == ERR_NOT_FOUND) /* no checkpoint yet, or no such log */
        return journal_size(r, at.log, &size, &sealed) == ERR_OK && at.index < size ? ERR_AGAIN : e;
    if (e != ERR_OK)
        return e;
    e = prove(&s, at.index, a, proof);
    view_log_put(&s.log);
    return e;
}

enum err journal_prove_under(struct journal_reader *r, struct journal_at at, struct str note,
                             struct arena *a, struct str *proof)
{
    struct sealed_log s;
    struct checkpoint c;
    if (checkpoint_read(a, note, &c) != ERR_OK)
        return ERR_INVALID;
    enum err e = sealed_get(r, at.log, a, &s);
    if (e != ERR_OK)
        return e;
    if (!str_eq(c.origin, s.checkpoint.origin) || c.size > s.checkpoint.size) {
        e = ERR_INVALID;
    } else {
        s.checkpoint = c;
        s.note = note;
        e = prove(&s, at.index, a, proof);
    }
    view_log_put(&s.log);
    return e;
}

enum err journal_consistency(struct journal_reader *r, unsigned log, uint64_t from, uint64_t to,
                             struct arena *a, struct str *hashes)
{
    struct sealed_log s;
    struct buf b;
    enum err e = sealed_get(r, log, a, &s);
    if (e != ERR_OK)
        return e;
    buf_init(&b, 2 * MERKLE_PROOF_MAX * HASH_LEN);
    e = from == 0 || from > to || to > s.checkpoint.size
            ? ERR_INVALID
            : merkle_consistency(&s.source, from, to, &b);
    if (e == ERR_OK)
        *hashes = arena_dup(a, buf_str(&b));
    buf_free(&b);
    view_log_put(&s.log);
    return e;
}

/* ---- side rows --------------------------------------------------------------------------------
 */
struct listing {
    const struct journal_side_query *q;
    const struct view *v;
    uint8_t subject[SUBJECT_HASH];
    int fd;
    struct arena *a;
    struct journal_side_row *rows;
    size_t n;
    enum err err;
};

static bool kind_is_wanted(const struct journal_side_query *q, uint32_t hash, struct str text)
{
    for (size_t i = 0; i < q->n_kinds; i++)
        if (text.p ? str_eq(q->kinds[i], text) : side_kind(q->kinds[i]) == hash)
            return true;
    return !q->kinds;
}

static bool key_is_wanted(const struct listing *l, const struct side_key *k)
{
    return (!l->q->from_ms || k->at_ms >= l->q->from_ms) &&
           (!l->q->to_ms || k->at_ms < l->q->to_ms) && k->offset + k->length <= l->v->rows &&
           place_epoch(k->place) <= l->v->epoch && kind_is_wanted(l->q, k->kind, STR_NONE);
}

/* What the index led to must say so itself: it may have been erased meanwhile (ERR_NOT_FOUND). */
static enum err row_open(int fd, const struct side_key *k, const uint8_t subject[SUBJECT_HASH],
                         struct arena *a, struct side_row *row)
{
    if (k->length > SIDE_ROW_HEAD + KIND_MAX + JOURNAL_SIDE_MAX + 8)
        return ERR_CORRUPT;
    char *bytes = arena_alloc(a, k->length);
    enum err e = disk_pread(fd, bytes, k->length, k->offset);
    if (e == ERR_OK)
        e = side_row_read(str_of(bytes, k->length), row);
    if (e == ERR_OK && (row->place != k->place || memcmp(row->subject, subject, SUBJECT_HASH) != 0))
        e = ERR_CORRUPT;
    return e;
}

static struct journal_side_row row_out(const struct side_row *row, struct journal_at at)
{
    struct journal_side_row out = {
        .at = at, .kind = row->kind, .data = row->data, .at_ms = row->at_ms};
    ulid_write(row->id, out.id);
    return out;
}

static void row_take(struct listing *l, const struct side_key *k)
{
    struct side_row row;
    enum err e = row_open(l->fd, k, l->subject, l->a, &row);
    if (e == ERR_OK && kind_is_wanted(l->q, 0, row.kind))
        l->rows[l->n++] = row_out(&row, view_at(l->v, row.place));
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        l->err = e;
}

static bool listing_key(void *arg, const uint8_t *record)
{
    struct listing *l = arg;
    struct side_key k;
    side_key_read(record, &k);
    if (key_is_wanted(l, &k))
        row_take(l, &k);
    return l->err == ERR_OK && l->n < l->q->limit;
}

enum err journal_side_list(struct journal_reader *r, const struct journal_side_query *q,
                           struct arena *a, struct journal_side_row **rows, size_t *n)
{
    struct view *v;
    *rows = NULL;
    *n = 0;
    if (q->limit > SIDE_LIMIT_MAX)
        return ERR_LIMIT;
    enum err e = view_get(r, &v);
    if (e != ERR_OK || q->limit == 0) {
        if (e == ERR_OK)
            view_unref(v);
        return e == ERR_NOT_FOUND ? ERR_OK : e;
    }
    struct listing l = {.q = q,
                        .v = v,
                        .fd = r->rows_fd,
                        .a = a,
                        .rows = arena_array(a, struct journal_side_row, q->limit)};
    uint64_t before = UINT64_MAX;
    if (q->before && q->before->log < v->epoch)
        before = place_of(v->epoch - q->before->log, q->before->index);
    side_subject(q->subject, l.subject);
    side_each(v->side, l.subject, before, listing_key, &l);
    *rows = l.rows;
    *n = l.n;
    view_unref(v);
    return l.err;
}

/* ---- side rows by their keys -------------------------------------------------------------------
 */
struct keying {
    const struct journal_side_keys *q;
    const struct view *v;
    uint8_t subjects[JOURNAL_SIDE_SUBJECTS_MAX][SUBJECT_HASH];
    bool first[256]; /* first bytes of subjects: most records of the tail are somebody else's */
    uint32_t kinds[16];
    uint32_t subject;
    uint64_t before;
    struct arena *a;
    struct journal_side_key *keys;
    size_t n, of_subject, room;
};

uint32_t journal_side_kind(struct str kind)
{
    return side_kind(kind);
}

static bool keying_wants(const struct keying *g, const struct side_key *k)
{
    bool kind = !g->q->kinds;
    for (size_t i = 0; i < g->q->n_kinds && !kind; i++)
        kind = g->kinds[i] == k->kind;
    return kind && k->place < g->before && k->offset + k->length <= g->v->rows &&
           place_epoch(k->place) <= g->v->epoch;
}

static bool keying_take(void *arg, const uint8_t *record)
{
    struct keying *g = arg;
    struct side_key k;
    side_key_read(record, &k);
    if (side_key_is_blank(record) || !keying_wants(g, &k))
        return true;
    if (g->n == g->room) {
        size_t room = g->room ? 2 * g->room : 64;
        struct journal_side_key *more = arena_array(g->a, struct journal_side_key, room);
        if (g->n)
            memcpy(more, g->keys, g->n * sizeof *more);
        g->keys = more;
        g->room = room;
    }
    g->keys[g->n++] = (struct journal_side_key){.at = view_at(g->v, k.place),
                                                .at_ms = k.at_ms,
                                                .offset = k.offset,
                                                .kind = k.kind,
                                                .length = k.length,
                                                .subject = g->subject};
    return ++g->of_subject < g->q->limit;
}

static void keying_tail(struct keying *g)
{
    const struct runs *side = g->v->side;
    for (size_t i = side->tail_n; i-- > 0;) {
        const uint8_t *record = run_record(side->tail, SIDE_RECORD, i);
        for (uint32_t s = 0; g->first[record[0]] && s < g->q->n_subjects; s++)
            if (memcmp(record, g->subjects[s], SUBJECT_HASH) == 0) {
                g->subject = s;
                keying_take(g, record);
            }
    }
}

static int key_later_first(const void *a, const void *b)
{
    const struct journal_side_key *x = a, *y = b;
    if (x->at.log != y->at.log)
        return x->at.log > y->at.log ? 1 : -1;
    return x->at.index < y->at.index ? 1 : x->at.index > y->at.index ? -1 : 0;
}

static int key_newer_first(const void *a, const void *b)
{
    const struct journal_side_key *x = a, *y = b;
    if (x->at_ms != y->at_ms)
        return x->at_ms < y->at_ms ? 1 : -1;
    return key_later_first(a, b);
}

enum err journal_side_keys(struct journal_reader *r, const struct journal_side_keys *q,
                           struct arena *a, struct journal_side_key **keys, size_t *n)
{
    struct keying g = {.q = q, .a = a};
    struct view *v;
    *keys = NULL;
    *n = 0;
    if (q->limit > JOURNAL_SIDE_KEYS_MAX || q->n_subjects > JOURNAL_SIDE_SUBJECTS_MAX ||
        q->n_kinds > COUNT_OF(g.kinds))
        return ERR_LIMIT;
    enum err e = view_get(r, &v);
    if (e != ERR_OK)
        return e == ERR_NOT_FOUND ? ERR_OK : e;
    g.v = v;
    g.before = UINT64_MAX;
    if (q->by_place && q->before && q->before->log < v->epoch)
        g.before = place_of(v->epoch - q->before->log, q->before->index);
    for (size_t i = 0; i < q->n_kinds; i++)
        g.kinds[i] = side_kind(q->kinds[i]);
    for (size_t i = 0; i < q->n_subjects; i++) {
        side_subject(q->subjects[i], g.subjects[i]);
        g.first[g.subjects[i][0]] = true;
    }
    keying_tail(&g);
    for (g.subject = 0; g.subject < q->n_subjects; g.subject++) {
        g.of_subject = 0;
        side_each_sorted(v->side, g.subjects[g.subject], g.before, keying_take, &g);
    }
    if (g.n > 1)
        qsort(g.keys, g.n, sizeof *g.keys, q->by_place ? key_later_first : key_newer_first);
    *keys = g.keys;
    *n = g.n < q->limit ? g.n : q->limit;
    view_unref(v);
    return ERR_OK;
}

enum err journal_side_open(struct journal_reader *r, const struct str *subjects,
                           const struct journal_side_key *keys, size_t n, struct arena *a,
                           struct journal_side_row *rows)
{
    struct view *v;
    enum err e = view_get(r, &v);
    if (e != ERR_OK)
        return e;
    for (size_t i = 0; i < n && e == ERR_OK; i++) {
        uint8_t hash[SUBJECT_HASH];
        struct side_row row;
        struct side_key k = {.offset = keys[i].offset, .length = keys[i].length};
        rows[i] = (struct journal_side_row){0};
        if (keys[i].at.log > v->epoch)
            continue;
        k.place = place_of(v->epoch - keys[i].at.log, keys[i].at.index);
        side_subject(subjects[keys[i].subject], hash);
        e = row_open(r->rows_fd, &k, hash, a, &row);
        if (e == ERR_OK)
            rows[i] = row_out(&row, keys[i].at);
        else if (e == ERR_NOT_FOUND)
            e = ERR_OK;
    }
    view_unref(v);
    return e;
}
