#include "journal/ids.h"

#include <endian.h>

void id_record_write(uint8_t out[ID_RECORD], const uint8_t id[ULID_BYTES], uint64_t place)
{
    place = htobe64(place);
    memcpy(out, id, ULID_BYTES);
    memcpy(out + ULID_BYTES, &place, 8);
}

/* Ids grow with time, so that a new one is outside of nearly every run. */
static bool may_hold(const struct run *r, const uint8_t id[ULID_BYTES])
{
    return memcmp(id, run_record(r, ID_RECORD, 0), ULID_BYTES) >= 0 &&
           memcmp(id, run_record(r, ID_RECORD, r->n - 1), ULID_BYTES) <= 0;
}

bool ids_find_sorted(const struct runs *ids, const uint8_t id[ULID_BYTES], uint64_t *place)
{
    for (size_t k = ids->n; k-- > 0;) {
        const struct run *r = ids->list[k];
        if (!may_hold(r, id))
            continue;
        uint64_t at = run_lower_bound(r, ID_RECORD, str_of(id, ULID_BYTES));
        const uint8_t *record = run_record(r, ID_RECORD, at);
        if (at == r->n || memcmp(record, id, ULID_BYTES) != 0)
            continue;
        memcpy(place, record + ULID_BYTES, 8);
        *place = be64toh(*place);
        return true;
    }
    return false;
}

bool ids_find(const struct runs *ids, const uint8_t id[ULID_BYTES], uint64_t *place)
{
    for (size_t i = 0; i < ids->tail_n; i++) {
        const uint8_t *record = run_record(ids->tail, ID_RECORD, i);
        if (memcmp(record, id, ULID_BYTES) != 0)
            continue;
        memcpy(place, record + ULID_BYTES, 8);
        *place = be64toh(*place);
        return true;
    }
    return ids_find_sorted(ids, id, place);
}
