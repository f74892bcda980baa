/* Ids that are in the write-ahead log and perhaps not yet in a sorted run of the index. Two tables:
 * once runs hold all of the older one it is emptied, and they change places. Private to this
 * folder. */
#ifndef JOURNAL_RECENT_H
#define JOURNAL_RECENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "journal/leaf.h"

struct recent_slot {
    uint8_t id[ULID_BYTES];
    uint64_t index_1; /* index + 1; 0: free */
};
struct recent_table {
    struct recent_slot *slots;
    uint64_t *seen; /* a bit for each hash: most ids that are asked for are in no table */
    size_t n, cap;  /* cap: a power of two */
    uint64_t end;   /* highest index + 1 */
};
struct recent {
    struct recent_table young, old;
};

void recent_init(struct recent *r);
void recent_free(struct recent *r);
bool recent_find(const struct recent *r, const uint8_t id[ULID_BYTES], uint64_t *index);
/* Not there yet. */
void recent_add(struct recent *r, const uint8_t id[ULID_BYTES], uint64_t index);
/* Entries under `indexed` are in sorted runs. */
void recent_indexed(struct recent *r, uint64_t indexed);

#endif
