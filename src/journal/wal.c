#include "journal/wal.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>
#include "base/log.h"
#include "journal/disk.h"
#include "sys/file.h"

#define MAGIC "SJL1"
enum { READ_MAX = WAL_HEAD + WAL_RECORDS_MAX, AT_CRC = 40 };

static uint64_t block_up(uint64_t n)
{
    return (n + WAL_BLOCK - 1) / WAL_BLOCK * WAL_BLOCK;
}

uint64_t wal_batch_end(const struct wal_batch *b)
{
    return b->position + block_up(WAL_HEAD + b->records.n);
}

const char *wal_segment_name(uint64_t segment, char out[32])
{
    snprintf(out, 32, "wal/%010llu", (unsigned long long)segment);
    return out;
}

/* ---- a batch's bytes --------------------------------------------------------------------------
 */
static uint32_t batch_crc(const char *head, struct str records)
{
    static const uint8_t zeros[4];
    uLong crc = crc32(0, (const Bytef *)head, AT_CRC);
    crc = crc32(crc, zeros, sizeof zeros);
    crc = crc32(crc, (const Bytef *)head + AT_CRC + 4, WAL_HEAD - AT_CRC - 4);
    return (uint32_t)crc32_z(crc, (const Bytef *)records.p, records.n);
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

enum err wal_batch_read(struct str p, uint64_t position, struct wal_batch *out, size_t *need)
{
    *need = WAL_HEAD;
    *out = (struct wal_batch){0};
    if (p.n < WAL_HEAD)
        return ERR_AGAIN;
    size_t n = get32(p.p + 4);
    if (memcmp(p.p, MAGIC, 4) != 0 || get64(p.p + 8) != position || n > WAL_RECORDS_MAX)
        return ERR_CORRUPT;
    *need = WAL_HEAD + n;
    if (p.n < *need)
        return ERR_AGAIN;
    *out = (struct wal_batch){.position = position,
                              .previous = get64(p.p + 16),
                              .first_index = get64(p.p + 24),
                              .n_records = get32(p.p + 32),
                              .epoch = get32(p.p + 36),
                              .records = str_of(p.p + WAL_HEAD, n)};
    return batch_crc(p.p, out->records) == get32(p.p + AT_CRC) ? ERR_OK : ERR_CORRUPT;
}

static void batch_write_head(char *p, const struct wal_batch *b)
{
    memcpy(p, MAGIC, 4);
    put32(p + 4, (uint32_t)b->records.n);
    put64(p + 8, b->position);
    put64(p + 16, b->previous);
    put64(p + 24, b->first_index);
    put32(p + 32, b->n_records);
    put32(p + 36, b->epoch);
    put32(p + 44, 0);
    put32(p + AT_CRC, batch_crc(p, b->records));
}

/* ---- reading ----------------------------------------------------------------------------------
 */
void wal_reader_init(struct wal_reader *r, int folder, uint64_t position)
{
    *r = (struct wal_reader){
        .folder = folder, .fd = -1, .position = position, .buf = malloc(READ_MAX)};
    if (!r->buf)
        abort();
}

static void segment_close(struct wal_reader *r)
{
    if (r->fd >= 0)
        close(r->fd);
    r->fd = -1;
}

void wal_reader_free(struct wal_reader *r)
{
    segment_close(r);
    free(r->buf);
    *r = (struct wal_reader){.fd = -1};
}

static enum err segment_open(struct wal_reader *r, uint64_t segment)
{
    char name[32];
    if (r->fd >= 0 && r->segment == segment)
        return ERR_OK;
    segment_close(r);
    r->segment = segment;
    r->fd = openat(r->folder, wal_segment_name(segment, name), O_RDONLY | O_CLOEXEC);
    return r->fd >= 0 ? ERR_OK : file_err_from_errno(errno);
}

/* ERR_NOT_FOUND: no good batch there. */
static enum err batch_at(struct wal_reader *r, uint64_t position, struct wal_batch *out)
{
    uint64_t at = position % WAL_SEGMENT;
    size_t have = 0, need = WAL_HEAD;
    enum err e = segment_open(r, position / WAL_SEGMENT);
    if (e != ERR_OK)
        return e;
    for (;;) {
        if (at + need > WAL_SEGMENT)
            return ERR_NOT_FOUND;
        e = disk_pread(r->fd, r->buf + have, need - have, at + have);
        if (e != ERR_OK)
            return e == ERR_CORRUPT ? ERR_NOT_FOUND : e; /* shorter than a segment */
        have = need;
        e = wal_batch_read(str_of(r->buf, have), position, out, &need);
        if (e != ERR_AGAIN)
            return e == ERR_CORRUPT ? ERR_NOT_FOUND : e;
    }
}

enum err wal_reader_next(struct wal_reader *r, struct wal_batch *out)
{
    uint64_t position = r->position;
    enum err e = batch_at(r, position, out);
    if (e == ERR_NOT_FOUND && position % WAL_SEGMENT != 0) {
        position = (position / WAL_SEGMENT + 1) * WAL_SEGMENT;
        e = batch_at(r, position, out);
    }
    if (e == ERR_OK && r->known_last && out->previous != r->last)
        e = ERR_NOT_FOUND; /* one is missing in between */
    if (e != ERR_OK) {     /* under the same name there may be another file next time */
        segment_close(r);
        return e;
    }
    r->last = position;
    r->known_last = true;
    r->position = wal_batch_end(out);
    return ERR_OK;
}

bool wal_reader_looks_cut(struct wal_reader *r)
{
    struct wal_batch b;
    uint64_t segment = r->position / WAL_SEGMENT;
    for (uint64_t end = segment + WAL_SEGMENTS_MAX + 1; segment < end; segment++) {
        uint64_t at = segment == r->position / WAL_SEGMENT ? r->position : segment * WAL_SEGMENT;
        if (segment_open(r, segment) != ERR_OK)
            continue;
        for (; at < (segment + 1) * WAL_SEGMENT; at += WAL_BLOCK) {
            char head[16];
            if (disk_pread(r->fd, head, sizeof head, at % WAL_SEGMENT) != ERR_OK)
                break;
            if (memcmp(head, MAGIC, 4) == 0 && get64(head + 8) == at &&
                batch_at(r, at, &b) == ERR_OK)
                return true;
        }
    }
    return false;
}

/* ---- segments ---------------------------------------------------------------------------------
 */
static void segment_remove(struct wal *w, uint64_t segment)
{
    char name[32];
    unlinkat(w->folder, wal_segment_name(segment, name), 0);
}

static enum err segment_fill(int fd, bool written)
{
    static const char zeros[64 * 1024];
    enum err e = ERR_OK;
    int rc = posix_fallocate(fd, 0, WAL_SEGMENT);
    if (rc != 0)
        return rc == EFBIG ? ERR_FULL : file_err_from_errno(rc);
    for (size_t at = 0; written && e == ERR_OK && at < WAL_SEGMENT; at += sizeof zeros)
        e = file_pwrite_all(fd, zeros, sizeof zeros, at);
    if (e == ERR_OK && fsync(fd) != 0)
        e = file_err_from_errno(errno);
    return e;
}

/* `written`: blocks that were written once sync faster than reserved ones; reserving is at once. */
static enum err segment_make(struct wal *w, uint64_t segment, bool written)
{
    char name[32];
    struct str none = STR("");
    int fd = -1;
    wal_segment_name(segment, name);
    enum err e = disk_space(name, WAL_SEGMENT);
    if (e == ERR_OK)
        e = disk_make_dirs(w->folder, "wal");
    if (e == ERR_OK)
        e = disk_put(w->folder, name, &none, 1, &fd);
    if (e == ERR_OK)
        e = segment_fill(fd, written);
    if (fd >= 0)
        close(fd);
    if (e == ERR_OK)
        e = disk_sync_dir(w->folder, "wal");
    if (e != ERR_OK)
        segment_remove(w, segment);
    return e;
}

void wal_open(struct wal *w, int folder, uint64_t end, uint64_t last)
{
    *w = (struct wal){.folder = folder,
                      .fd = -1,
                      .at = end,
                      .last = last,
                      .next = (end + WAL_SEGMENT - 1) / WAL_SEGMENT};
    w->oldest = w->next;
    atomic_init(&w->end, end);
    pthread_mutex_init(&w->lock, NULL);
    disk_sweep(folder, "wal", NULL, NULL);
}

void wal_close(struct wal *w)
{
    if (w->fd >= 0)
        close(w->fd);
    pthread_mutex_destroy(&w->lock);
}

static enum err segment_begin(struct wal *w)
{
    char name[32];
    pthread_mutex_lock(&w->lock);
    enum err e = w->next - w->oldest >= WAL_SEGMENTS_MAX ? ERR_AGAIN : ERR_OK;
    if (e == ERR_OK && w->ready == 0)
        e = segment_make(w, w->next, false);
    if (e == ERR_OK) {
        if (w->fd >= 0)
            close(w->fd);
        w->fd = openat(w->folder, wal_segment_name(w->next, name), O_WRONLY | O_CLOEXEC);
        e = w->fd >= 0 ? ERR_OK : file_err_from_errno(errno);
    }
    if (e == ERR_OK) {
        w->at = w->next++ * WAL_SEGMENT;
        w->ready -= w->ready > 0;
    }
    pthread_mutex_unlock(&w->lock);
    return e;
}

enum err wal_reserve(struct wal *w)
{
    uint64_t left = w->fd >= 0 ? w->next * WAL_SEGMENT - w->at : 0;
    return block_up(WAL_HEAD + WAL_RECORDS_MAX) <= left ? ERR_OK : segment_begin(w);
}

enum err wal_commit(struct wal *w, char *room, const struct wal_batch *batch, bool turn)
{
    struct wal_batch b = *batch;
    size_t used = WAL_HEAD + b.records.n, size = block_up(used);
    b.position = w->at;
    b.previous = w->last;
    batch_write_head(room, &b);
    memset(room + used, 0, size - used);
    enum err e = file_pwrite_all(w->fd, room, size, b.position % WAL_SEGMENT);
    if (e == ERR_OK && fdatasync(w->fd) != 0)
        e = file_err_from_errno(errno);
    if (e != ERR_OK)
        return e;
    w->last = b.position;
    w->at = wal_batch_end(&b);
    if (turn) {
        pthread_mutex_lock(&w->lock);
        close(w->fd);
        w->fd = -1;
        pthread_mutex_unlock(&w->lock);
    }
    w->end = w->at;
    return ERR_OK;
}

/* ---- the follower's part ----------------------------------------------------------------------
 */
/* The lowest segment that may still be written to (lock held). */
static uint64_t in_use(const struct wal *w)
{
    return w->fd >= 0 ? w->next - 1 : w->next;
}

/* Lock held, though it takes a moment: the writer asks for the lock only when it needs this very
 * segment. */
enum err wal_prepare(struct wal *w)
{
    enum err e = ERR_OK;
    pthread_mutex_lock(&w->lock);
    if (w->ready == 0) {
        e = segment_make(w, w->next, true);
        w->ready = e == ERR_OK;
        w->ready_used = false;
    }
    pthread_mutex_unlock(&w->lock);
    return e;
}

/* Makes an old segment one of the next ones (lock held). */
static bool segment_reuse(struct wal *w, uint64_t old)
{
    char name[32], from[32];
    if (w->ready >= WAL_READY_MAX || renameat(w->folder, wal_segment_name(old, from), w->folder,
                                              wal_segment_name(w->next + w->ready, name)) != 0)
        return false;
    w->ready++;
    w->ready_used = true;
    return true;
}

void wal_release(struct wal *w, uint64_t position)
{
    pthread_mutex_lock(&w->lock);
    uint64_t until = position / WAL_SEGMENT;
    until = until < in_use(w) ? until : in_use(w);
    bool any = w->oldest < until;
    for (; w->oldest < until; w->oldest++)
        if (!segment_reuse(w, w->oldest))
            segment_remove(w, w->oldest);
    if (any && disk_sync_dir(w->folder, "wal") != ERR_OK)
        log_warn("journal_segments_not_synced"); /* the writer syncs what it writes */
    pthread_mutex_unlock(&w->lock);
}

enum err wal_scrub(struct wal *w, uint64_t position)
{
    pthread_mutex_lock(&w->lock);
    uint64_t until = (position + WAL_SEGMENT - 1) / WAL_SEGMENT;
    until = until < in_use(w) ? until : in_use(w);
    for (; w->oldest < until; w->oldest++)
        segment_remove(w, w->oldest);
    for (; w->ready_used && w->ready > 0; w->ready--)
        segment_remove(w, w->next + w->ready - 1);
    enum err e = disk_sync_dir(w->folder, "wal");
    pthread_mutex_unlock(&w->lock);
    return e;
}
