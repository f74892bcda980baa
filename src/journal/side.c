#include "journal/side.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include <zlib.h>
#include "crypto/digest.h"
#include "journal/disk.h"
#include "sys/file.h"

enum { ROW_CRC_FROM = 16, BUFFERED_MAX = 1 << 30 };

void side_subject(struct str subject, uint8_t out[SUBJECT_HASH])
{
    uint8_t hash[SHA256_LEN];
    sha256(subject.p, subject.n, hash);
    memcpy(out, hash, SUBJECT_HASH);
}

uint32_t side_kind(struct str kind)
{
    return (uint32_t)crc32_z(0, (const Bytef *)kind.p, kind.n);
}

/* ---- index records: big-endian, so that bytes sort as numbers -----------------------------------
 */
static void key_write(uint8_t out[SIDE_RECORD], const uint8_t subject[SUBJECT_HASH],
                      const struct side_key *k)
{
    uint64_t place = htobe64(k->place), at = htobe64((uint64_t)k->at_ms),
             offset = htobe64(k->offset);
    uint32_t kind = htobe32(k->kind), length = htobe32(k->length);
    memcpy(out, subject, SUBJECT_HASH);
    memcpy(out + 16, &place, 8);
    memcpy(out + 24, &at, 8);
    memcpy(out + 32, &kind, 4);
    memcpy(out + 36, &length, 4);
    memcpy(out + 40, &offset, 8);
}

void side_key_read(const uint8_t *r, struct side_key *out)
{
    uint64_t place, at, offset;
    uint32_t kind, length;
    memcpy(&place, r + 16, 8);
    memcpy(&at, r + 24, 8);
    memcpy(&kind, r + 32, 4);
    memcpy(&length, r + 36, 4);
    memcpy(&offset, r + 40, 8);
    *out = (struct side_key){.place = be64toh(place),
                             .offset = be64toh(offset),
                             .at_ms = (int64_t)be64toh(at),
                             .kind = be32toh(kind),
                             .length = be32toh(length)};
}

bool side_key_is_blank(const uint8_t *r)
{
    static const uint8_t zeros[SIDE_RECORD];
    return memcmp(r + SUBJECT_HASH, zeros, SIDE_RECORD - SUBJECT_HASH) == 0;
}

/* ---- rows -------------------------------------------------------------------------------------
 */
static void put32(char *p, uint32_t v)
{
    v = htole32(v);
    memcpy(p, &v, 4);
}

static void put64(char *p, uint64_t v)
{
    v = htole64(v);
    memcpy(p, &v, 8);
}

static uint32_t get32(const char *p)
{
    uint32_t v;
    memcpy(&v, p, 4);
    return le32toh(v);
}

static uint64_t get64(const char *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
    return le64toh(v);
}

static size_t row_length(size_t kind_n, size_t data_n)
{
    return (SIDE_ROW_HEAD + kind_n + data_n + 7) / 8 * 8;
}

static uint32_t row_crc(const char *row, size_t kind_n, size_t data_n)
{
    return (uint32_t)crc32_z(0, (const Bytef *)row + ROW_CRC_FROM,
                             SIDE_ROW_HEAD - ROW_CRC_FROM + kind_n + data_n);
}

static void row_write(char *p, uint64_t place, const struct leaf_head *head,
                      const uint8_t subject[SUBJECT_HASH], struct str data)
{
    size_t n = row_length(head->kind.n, data.n);
    memset(p, 0, SIDE_ROW_HEAD);
    memcpy(p, "SJR1", 4);
    put32(p + 4, (uint32_t)data.n);
    p[8] = (char)head->kind.n;
    put64(p + 16, place);
    put64(p + 24, (uint64_t)head->at_ms);
    memcpy(p + 32, head->id, ULID_BYTES);
    memcpy(p + 48, subject, SUBJECT_HASH);
    memcpy(p + SIDE_ROW_HEAD, head->kind.p, head->kind.n);
    if (data.n)
        memcpy(p + SIDE_ROW_HEAD + head->kind.n, data.p, data.n);
    memset(p + SIDE_ROW_HEAD + head->kind.n + data.n, 0, n - SIDE_ROW_HEAD - head->kind.n - data.n);
    put32(p + 12, row_crc(p, head->kind.n, data.n));
}

enum err side_row_read(struct str b, struct side_row *out)
{
    *out = (struct side_row){0};
    if (b.n < SIDE_ROW_HEAD)
        return ERR_CORRUPT;
    if (memcmp(b.p, "SJR0", 4) == 0)
        return ERR_NOT_FOUND;
    size_t data_n = get32(b.p + 4), kind_n = (uint8_t)b.p[8];
    if (memcmp(b.p, "SJR1", 4) != 0 || data_n > JOURNAL_SIDE_MAX || kind_n > KIND_MAX ||
        row_length(kind_n, data_n) > b.n || row_crc(b.p, kind_n, data_n) != get32(b.p + 12))
        return ERR_CORRUPT;
    out->place = get64(b.p + 16);
    out->at_ms = (int64_t)get64(b.p + 24);
    memcpy(out->id, b.p + 32, ULID_BYTES);
    memcpy(out->subject, b.p + 48, SUBJECT_HASH);
    out->kind = str_of(b.p + SIDE_ROW_HEAD, kind_n);
    out->data = str_of(b.p + SIDE_ROW_HEAD + kind_n, data_n);
    return ERR_OK;
}

enum err side_row_key(struct str b, uint64_t offset, uint8_t record[SIDE_RECORD], uint64_t *length)
{
    if (b.n < SIDE_ROW_HEAD)
        return ERR_CORRUPT;
    size_t data_n = get32(b.p + 4), kind_n = (uint8_t)b.p[8];
    bool erased = memcmp(b.p, "SJR0", 4) == 0;
    memset(record, 0, SIDE_RECORD);
    *length = row_length(kind_n, data_n);
    if ((!erased && memcmp(b.p, "SJR1", 4) != 0) || data_n > JOURNAL_SIDE_MAX ||
        kind_n > KIND_MAX || (!erased && b.n < SIDE_ROW_HEAD + kind_n))
        return ERR_CORRUPT;
    if (erased)
        return ERR_OK;
    struct side_key k = {.place = get64(b.p + 16),
                         .offset = offset,
                         .at_ms = (int64_t)get64(b.p + 24),
                         .kind = side_kind(str_of(b.p + SIDE_ROW_HEAD, kind_n)),
                         .length = (uint32_t)*length};
    key_write(record, (const uint8_t *)b.p + 48, &k);
    return ERR_OK;
}

/* ---- writing ----------------------------------------------------------------------------------
 */
enum err side_writer_open(struct side_writer *w, int folder, uint64_t length)
{
    *w = (struct side_writer){.fd = -1, .length = length};
    buf_init(&w->rows, BUFFERED_MAX);
    enum err e = disk_make_dirs(folder, "side");
    if (e == ERR_OK)
        w->fd = openat(folder, SIDE_ROWS_FILE, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    return e == ERR_OK && w->fd < 0 ? file_err_from_errno(errno) : e;
}

void side_writer_close(struct side_writer *w)
{
    if (w->fd >= 0)
        close(w->fd);
    buf_wipe(&w->rows);
}

void side_add(struct side_writer *w, uint64_t place, const struct leaf_head *head,
              struct str subject, struct str data, uint8_t key[SIDE_RECORD])
{
    uint8_t hash[SUBJECT_HASH];
    size_t n = row_length(head->kind.n, data.n);
    side_subject(subject, hash);
    char *p = buf_room(&w->rows, n);
    row_write(p, place, head, hash, data);
    buf_grew(&w->rows, n);
    struct side_key k = {.place = place,
                         .offset = w->length,
                         .at_ms = head->at_ms,
                         .kind = side_kind(head->kind),
                         .length = (uint32_t)n};
    key_write(key, hash, &k);
    w->length += n;
}

enum err side_flush(struct side_writer *w)
{
    if (w->rows.n == 0)
        return ERR_OK;
    enum err e = disk_space(SIDE_ROWS_FILE, w->rows.n);
    if (e == ERR_OK)
        e = file_pwrite_all(w->fd, w->rows.p, w->rows.n, w->length - w->rows.n);
    if (e != ERR_OK)
        return e;
    mem_wipe(w->rows.p, w->rows.n);
    buf_reset(&w->rows);
    return ERR_OK;
}

/* ---- looking up -------------------------------------------------------------------------------
 */
/* The tail holds later entries than any run, and a run later ones than those before it. */
static bool each_in_tail(const struct runs *runs, const uint8_t subject[SUBJECT_HASH],
                         uint64_t before, bool (*fn)(void *arg, const uint8_t *record), void *arg)
{
    for (size_t i = runs->tail_n; i-- > 0;) {
        const uint8_t *record = run_record(runs->tail, SIDE_RECORD, i);
        struct side_key k;
        if (memcmp(record, subject, SUBJECT_HASH) != 0)
            continue;
        side_key_read(record, &k);
        if (k.place < before && !fn(arg, record))
            return false;
    }
    return true;
}

void side_each_sorted(const struct runs *runs, const uint8_t subject[SUBJECT_HASH], uint64_t before,
                      bool (*fn)(void *arg, const uint8_t *record), void *arg)
{
    uint8_t key[SUBJECT_HASH + 8];
    uint64_t place = htobe64(before);
    memcpy(key, subject, SUBJECT_HASH);
    memcpy(key + SUBJECT_HASH, &place, 8);
    for (size_t run = runs->n; run-- > 0;) {
        const struct run *r = runs->list[run];
        uint64_t i = run_lower_bound(r, SIDE_RECORD, str_of(key, sizeof key));
        while (i-- > 0) {
            const uint8_t *record = run_record(r, SIDE_RECORD, i);
            if (memcmp(record, subject, SUBJECT_HASH) != 0)
                break;
            if (!side_key_is_blank(record) && !fn(arg, record))
                return;
        }
    }
}

void side_each(const struct runs *runs, const uint8_t subject[SUBJECT_HASH], uint64_t before,
               bool (*fn)(void *arg, const uint8_t *record), void *arg)
{
    if (each_in_tail(runs, subject, before, fn, arg))
        side_each_sorted(runs, subject, before, fn, arg);
}

/* ---- erasing ----------------------------------------------------------------------------------
 */
struct erasing {
    int fd;
    const struct side_erasure *x;
    uint32_t kind;
    uint64_t n;
};

/* By the index alone: two kinds may share a checksum. */
static bool key_is_due(const struct erasing *g, const uint8_t *record, struct side_key *k)
{
    if (side_key_is_blank(record))
        return false;
    side_key_read(record, k);
    return k->at_ms < g->x->what.before_ms && (g->x->what.kind.n == 0 || k->kind == g->kind);
}

static bool row_is_of(const char *head, struct str kind)
{
    return kind.n == 0 ||
           ((uint8_t)head[8] == kind.n && memcmp(head + SIDE_ROW_HEAD, kind.p, kind.n) == 0);
}

/* The head keeps its two lengths; the rest becomes zeros. */
static enum err row_erase(struct erasing *g, const struct side_key *k)
{
    static const char zeros[SIDE_ROW_HEAD + KIND_MAX + JOURNAL_SIDE_MAX + 8];
    char head[SIDE_ROW_HEAD] = {0}, old[SIDE_ROW_HEAD + KIND_MAX] = {0};
    if (k->length < SIDE_ROW_HEAD || k->length > sizeof zeros)
        return ERR_CORRUPT;
    size_t n = k->length < sizeof old ? k->length : sizeof old;
    enum err e = disk_pread(g->fd, old, n, k->offset);
    if (e != ERR_OK || memcmp(old, "SJR1", 4) != 0 || !row_is_of(old, g->x->what.kind))
        return e; /* done before a crash, or another kind's */
    memcpy(head, "SJR0", 4);
    memcpy(head + 4, old + 4, 5);
    e = file_pwrite_all(g->fd, head, sizeof head, k->offset);
    g->n++;
    return e == ERR_OK
               ? file_pwrite_all(g->fd, zeros, k->length - SIDE_ROW_HEAD, k->offset + SIDE_ROW_HEAD)
               : e;
}

/* Where a run may have such records: one subject's stand together. */
struct range {
    uint64_t from, to;
};

static struct range range_of(const struct run *r, struct str subject)
{
    uint8_t hash[SUBJECT_HASH];
    struct range x = {0, r->n};
    if (subject.n == 0)
        return x;
    side_subject(subject, hash);
    x.from = x.to = run_lower_bound(r, SIDE_RECORD, str_of(hash, SUBJECT_HASH));
    while (x.to < r->n && memcmp(run_record(r, SIDE_RECORD, x.to), hash, SUBJECT_HASH) == 0)
        x.to++;
    return x;
}

static enum err rows_erase(struct erasing *g, const struct run *r)
{
    enum err e = ERR_OK;
    struct side_key k;
    struct range x = range_of(r, g->x->what.subject);
    for (uint64_t i = x.from; i < x.to && e == ERR_OK && g->n < g->x->most; i++)
        if (key_is_due(g, run_record(r, SIDE_RECORD, i), &k))
            e = row_erase(g, &k);
    return e;
}

static bool is_erased(void *arg, const uint8_t *record)
{
    struct erasing *g = arg;
    struct side_key k;
    char mark[4];
    return key_is_due(g, record, &k) && disk_pread(g->fd, mark, sizeof mark, k.offset) == ERR_OK &&
           memcmp(mark, "SJR0", 4) == 0;
}

enum err side_erase(struct side_writer *w, int folder, const struct runs *runs,
                    const struct side_erasure *x, uint64_t *n_rows)
{
    enum err e = ERR_OK;
    struct erasing g = {.fd = w->fd, .x = x, .kind = side_kind(x->what.kind)};
    for (size_t i = 0; i < runs->n && e == ERR_OK; i++)
        e = rows_erase(&g, runs->list[i]);
    if (e == ERR_OK && g.n && fdatasync(w->fd) != 0)
        e = file_err_from_errno(errno);
    /* The index last: it leads to what is left after a crash. */
    for (size_t i = 0; i < runs->n && e == ERR_OK; i++) {
        struct range of = range_of(runs->list[i], x->what.subject);
        struct run_blanks b = {
            .from = of.from, .to = of.to, .keep = SUBJECT_HASH, .take = is_erased, .arg = &g};
        e = runs_blank(folder, "side", runs->list[i], SIDE_RECORD, &b);
    }
    *n_rows = g.n;
    return e;
}
