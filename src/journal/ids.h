/* The index of ids: 16 bytes of ULID, then the entry's place. Private to this folder. */
#ifndef JOURNAL_IDS_H
#define JOURNAL_IDS_H

#include "journal/leaf.h"
#include "journal/runs.h"

enum { ID_RECORD = ULID_BYTES + 8 };

/* Epoch and index of one entry, in one number that grows. */
static inline uint64_t place_of(uint32_t epoch, uint64_t index)
{
    return (uint64_t)epoch << 48 | index;
}
static inline uint32_t place_epoch(uint64_t place)
{
    return (uint32_t)(place >> 48);
}
static inline uint64_t place_index(uint64_t place)
{
    return place & (((uint64_t)1 << 48) - 1);
}

void id_record_write(uint8_t out[ID_RECORD], const uint8_t id[ULID_BYTES], uint64_t place);
bool ids_find(const struct runs *ids, const uint8_t id[ULID_BYTES], uint64_t *place);
/* In the sorted runs alone. */
bool ids_find_sorted(const struct runs *ids, const uint8_t id[ULID_BYTES], uint64_t *place);

#endif
