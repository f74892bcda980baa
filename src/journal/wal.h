/* The write-ahead log: segments, batches (docs/formats/journal-folder.md). Private to this folder.
 *
 * Two threads share a struct wal: one appends, one follows with a wal_reader, releases what is safe
 * elsewhere and has the next segment ready before it is needed. */
#ifndef JOURNAL_WAL_H
#define JOURNAL_WAL_H

#include <pthread.h>
#include <stdatomic.h>
#include "base/err.h"
#include "base/str.h"

enum {
    WAL_SEGMENT = 16 * 1024 * 1024,
    WAL_BLOCK = 4096,
    WAL_HEAD = 48,
    WAL_RECORDS_MAX = 1024 * 1024, /* bytes of records in a batch */
    WAL_SEGMENTS_MAX = 8,          /* alive at once: how far the files may lag behind */
    WAL_READY_MAX = 3,             /* kept for use after them */
};

struct wal_batch {
    uint64_t position, previous, first_index;
    uint32_t n_records, epoch;
    struct str records;
};
/* Where the batch behind this one begins (in its segment, or past its end). */
uint64_t wal_batch_end(const struct wal_batch *b);
/* Reads one batch from bytes that should begin with it. ERR_CORRUPT; *need: bytes to have for the
 * whole, when p has fewer (ERR_AGAIN). For fuzzing, and used by wal_reader_next. */
enum err wal_batch_read(struct str p, uint64_t position, struct wal_batch *out,
                        size_t *need) MUST_CHECK;

/* ---- reading: any process ---------------------------------------------------------------------
 */
struct wal_reader {
    int folder, fd;
    uint64_t segment;        /* of fd */
    uint64_t position, last; /* of the next batch to read, and of the one before */
    bool known_last;
    char *buf;
};
void wal_reader_init(struct wal_reader *r, int folder, uint64_t position);
void wal_reader_free(struct wal_reader *r);
/* The next batch; records are good until the next call. ERR_NOT_FOUND: the log ends here. */
enum err wal_reader_next(struct wal_reader *r, struct wal_batch *out) MUST_CHECK;
/* After the end: is there a good batch of a later position all the same? Then one before it was
 * damaged. */
bool wal_reader_looks_cut(struct wal_reader *r);
const char *wal_segment_name(uint64_t segment, char out[32]);

/* ---- writing ----------------------------------------------------------------------------------
 */
struct wal {
    int folder;
    int fd;               /* of the segment under way; -1: the next batch begins one */
    uint64_t at, last;    /* positions of the next batch and of the one before */
    _Atomic uint64_t end; /* all before is durable */

    pthread_mutex_t lock; /* guards what follows */
    uint64_t oldest;      /* lowest segment alive */
    uint64_t next;        /* the segment to begin after the one under way */
    unsigned ready;       /* so many are there already, from `next` on, */
    bool ready_used;      /* with old content in them, perhaps */
};
/* end, last: as the reader found them; all before is safe elsewhere, so the segments that are there
 * are removed. The next batch begins a new one. */
void wal_open(struct wal *w, int folder, uint64_t end, uint64_t last);
void wal_close(struct wal *w);
/* Makes room for a batch of any size, so that a commit cannot find the disk full. ERR_FULL;
 * ERR_AGAIN: the follower lags too far. */
enum err wal_reserve(struct wal *w) MUST_CHECK;
/* Writes and syncs one batch. `room`: WAL_HEAD free bytes, then the records, then up to WAL_BLOCK
 * bytes that are overwritten. `turn`: the next batch begins a new segment. After an error the
 * process must end: what the disk holds is not known. */
enum err wal_commit(struct wal *w, char *room, const struct wal_batch *batch, bool turn) MUST_CHECK;

/* The follower: everything before `position` is safe elsewhere; old segments become the next ones.
 */
void wal_release(struct wal *w, uint64_t position);
/* Has the next segment ready before it is needed. ERR_FULL and others are no harm. */
enum err wal_prepare(struct wal *w) MUST_CHECK;
/* After an erasure that ends before `position`: removes every segment up to it, and unused ones
 * with old content. ERR_FULL and others: try again. */
enum err wal_scrub(struct wal *w, uint64_t position) MUST_CHECK;

#endif
