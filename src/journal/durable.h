/* Durable points: what was published reaches the disk, `durable` says so, and what it made useless
 * goes (old runs, old segments of the write-ahead log). A sync may take long where others write to
 * the same disk, so a thread of its own waits for it. Private to this folder. */
#ifndef JOURNAL_DURABLE_H
#define JOURNAL_DURABLE_H

#include <pthread.h>
#include <stdbool.h>
#include "base/buf.h"
#include "journal/wal.h"

struct gone_file {
    const char *dir;
    uint64_t name;
};
struct durable {
    int folder;
    struct wal *wal; /* NULL: nothing to release */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t change;
    bool runs, busy, waited, stop; /* there is a thread; waited: durable_now is, for it */

    /* The point under way. */
    struct buf text;
    uint64_t position;
    struct gone_file *gone;
    size_t n_gone;

    /* The sealer's own: what the next point makes useless. */
    struct gone_file *next_gone;
    size_t n_next, cap_next;
};

void durable_init(struct durable *d, int folder);
void durable_free(struct durable *d); /* ends the thread first */
enum err durable_start(struct durable *d, struct wal *wal) MUST_CHECK;

/* A file of an index that is in no list any more. */
void durable_gone(struct durable *d, const char *dir, uint64_t name);
/* False: one is under way. Else begins one: text is that of the file `durable`, position where the
 * write-ahead log may be cut. A failure ends the process: what the disk holds is not known. */
bool durable_begin(struct durable *d, struct str text, uint64_t position);
/* The same at once, after the one under way. ERR_FULL: it may be tried again. */
enum err durable_now(struct durable *d, struct str text, uint64_t position) MUST_CHECK;

#endif
