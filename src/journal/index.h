/* An index that grows: records wait in a tail, in the order they came, until there are enough of
 * them for a sorted run. Private to this folder. */
#ifndef JOURNAL_INDEX_H
#define JOURNAL_INDEX_H

#include "base/arena.h"
#include "base/buf.h"
#include "journal/durable.h"
#include "journal/runs.h"

struct index {
    int folder;
    const char *dir; /* "ids", "side", "find" */
    bool (*drop)(const uint8_t *record);
    void (*sort)(uint8_t *records, size_t n); /* NULL: by comparing them */
    struct durable *durable;
    uint64_t *next_name; /* all indexes count together */
    struct runs *runs;   /* what was published */
    struct buf records;  /* of the tail, and those not published yet */
    size_t in_tail;      /* bytes of them that are in its file */
    bool reordered;      /* they are not in the tail's order any more */
    int tail_fd;         /* -1: no tail */
    uint64_t tail_name;
};

/* Empty. */
void index_init(struct index *x, const struct index *conf, size_t record_size);
void index_free(struct index *x);
/* Out of the files that `state` lists; all others in the folder go. False: some are lost or
 * damaged; it is empty then. */
bool index_open(struct index *x, const struct run_names *names);
void index_add(struct index *x, const void *record);
/* Brings what was added into files, and makes x->runs the set of them. `all`: into runs, so that
 * there is no tail. After an error it may be called again. */
enum err index_publish(struct index *x, bool all) MUST_CHECK;
/* For `state`; the list is made in the arena. */
struct run_names index_names(const struct index *x, struct arena *a);

#endif
