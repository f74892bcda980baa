/* What the threads of the journal process share. Private to this folder.
 *
 * The committer (writer.c) takes records from the channels, writes them to the write-ahead log and
 * answers. The sealer (sealer.c) follows the log and does all the rest: tree, indexes, side rows,
 * checkpoint. It also runs alone, at the start, before there is a committer. A third one
 * (durable.c) waits for the disk in the sealer's place, so that publishing goes on. */
#ifndef JOURNAL_WRITER_H
#define JOURNAL_WRITER_H

#include <pthread.h>
#include "crypto/keys.h"
#include "journal/find.h"
#include "journal/index.h"
#include "journal/journal.h"
#include "journal/note.h"
#include "journal/side.h"
#include "journal/state.h"
#include "journal/tiles.h"
#include "journal/wal.h"

/* An erasure that was done: the committer answers it. */
struct erased {
    uint64_t position; /* of the end of its batch */
    uint64_t n_rows;
};
enum { ERASED_MAX = 64 };

struct shared {
    pthread_mutex_t lock;
    pthread_cond_t wake; /* the sealer waits on it */
    struct runs *ids;    /* the set that holds entries under `published` */
    struct erased erased[ERASED_MAX];
    size_t n_erased;
    uint64_t indexed;
    _Atomic bool stop, idle, no_space; /* idle, no_space: what the sealer waits for */
    int door;                          /* eventfd: the sealer rings, the committer looks */
};

struct sealer {
    int folder;
    struct shared *shared;
    struct wal *wal; /* NULL at the start */
    struct wal_reader log;
    struct keys *keys;
    struct note_key key;
    struct str origin;
    struct arena work;

    uint32_t epoch;
    struct tree tree;
    struct side_writer side;
    struct index ids, side_index, find;
    struct find_block block;
    uint64_t next_name; /* of a file of an index */
    uint64_t sealed;
    uint8_t root[HASH_LEN];

    struct durable durable;
    uint64_t durable_wal, durable_sealed; /* where the last durable point, done or under way, is */
    int64_t durable_at_ms;
    bool sign_failed;
};

/* From `durable` (or what is left): ready to follow the log. */
enum err sealer_load(struct sealer *s, const struct state *from) MUST_CHECK;
void sealer_free(struct sealer *s);
/* Applies what the log holds; up to most_ms. ERR_OK also when there was nothing. */
enum err sealer_apply(struct sealer *s, int64_t most_ms) MUST_CHECK;
/* Makes what was applied readable. */
enum err sealer_publish(struct sealer *s) MUST_CHECK;
enum err sealer_sign(struct sealer *s) MUST_CHECK;
/* Everything published is safe when it returns; the write-ahead log before it may go. */
enum err sealer_make_durable(struct sealer *s) MUST_CHECK;
void *sealer_main(void *sealer); /* the thread */

/* Indexes made again (rebuild.c), out of the entries of all logs and the side rows. */
enum err rebuild_ids(struct sealer *s, uint64_t size) MUST_CHECK;
enum err rebuild_side(struct sealer *s, uint64_t length) MUST_CHECK;
enum err rebuild_find(struct sealer *s, uint64_t size) MUST_CHECK;
/* Takes up the block of the find index that is under way. */
enum err rebuild_block(struct sealer *s, uint64_t size) MUST_CHECK;

/* ---- opening a folder (open.c) ------------------------------------------------------------------
 */
/* Loads the log under way, applies its write-ahead log, checks it against its checkpoint, and opens
 * a new log where it must not be continued. *end, *last: of the write-ahead log. opening: the first
 * entry to write into a log that follows another one, else .p NULL. */
struct opened {
    uint64_t end, last;
    struct str opening;
};
enum err log_open(struct sealer *s, const char *origin, struct arena *a,
                  struct opened *out) MUST_CHECK;
/* In a folder that nobody else writes: what its write-ahead log holds goes into its files. Signs
 * nothing. */
enum err log_apply(int folder) MUST_CHECK;

void shared_init(struct shared *s);
void shared_free(struct shared *s);

#endif
