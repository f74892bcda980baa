#include "journal/recent.h"

#include <assert.h>
#include <stdlib.h>
#include "base/map.h"

enum { CAP_FIRST = 1024, CAP_KEPT = 65536, SEEN_BITS = 1 << 19 };

static void table_init(struct recent_table *t, size_t cap)
{
    t->slots = calloc(cap, sizeof *t->slots);
    t->cap = cap;
    t->n = 0;
    if (!t->seen)
        t->seen = calloc(SEEN_BITS / 64, sizeof *t->seen);
    if (!t->slots || !t->seen)
        abort();
}

void recent_init(struct recent *r)
{
    *r = (struct recent){0};
    table_init(&r->young, CAP_FIRST);
    table_init(&r->old, CAP_FIRST);
}

void recent_free(struct recent *r)
{
    free(r->young.slots);
    free(r->young.seen);
    free(r->old.slots);
    free(r->old.seen);
}

static bool seen(const struct recent_table *t, uint64_t hash)
{
    size_t bit = hash >> 32 & (SEEN_BITS - 1);
    return t->seen[bit / 64] >> bit % 64 & 1;
}

/* The slot of an id, or the free one where it belongs. */
static struct recent_slot *slot_of(const struct recent_table *t, const uint8_t id[ULID_BYTES],
                                   uint64_t hash)
{
    size_t at = hash & (t->cap - 1);
    while (t->slots[at].index_1 && memcmp(t->slots[at].id, id, ULID_BYTES) != 0)
        at = (at + 1) & (t->cap - 1);
    return &t->slots[at];
}

/* Ids come from other processes, hence the keyed hash. */
static uint64_t hash_of(const uint8_t id[ULID_BYTES])
{
    return map_hash(str_of(id, ULID_BYTES));
}

static bool table_find(const struct recent_table *t, const uint8_t id[ULID_BYTES], uint64_t hash,
                       uint64_t *index)
{
    if (!seen(t, hash))
        return false;
    const struct recent_slot *s = slot_of(t, id, hash);
    *index = s->index_1 - 1;
    return s->index_1 != 0;
}

bool recent_find(const struct recent *r, const uint8_t id[ULID_BYTES], uint64_t *index)
{
    uint64_t hash = hash_of(id);
    return table_find(&r->young, id, hash, index) || table_find(&r->old, id, hash, index);
}

static void grow(struct recent_table *t)
{
    struct recent_table bigger = *t;
    table_init(&bigger, t->cap * 2);
    for (size_t i = 0; i < t->cap; i++)
        if (t->slots[i].index_1)
            *slot_of(&bigger, t->slots[i].id, hash_of(t->slots[i].id)) = t->slots[i];
    bigger.n = t->n;
    free(t->slots);
    *t = bigger;
}

void recent_add(struct recent *r, const uint8_t id[ULID_BYTES], uint64_t index)
{
    struct recent_table *t = &r->young;
    uint64_t hash = hash_of(id);
    size_t bit = hash >> 32 & (SEEN_BITS - 1);
    if (t->n * 2 >= t->cap)
        grow(t);
    struct recent_slot *s = slot_of(t, id, hash);
    assert(!s->index_1);
    memcpy(s->id, id, ULID_BYTES);
    s->index_1 = index + 1;
    t->seen[bit / 64] |= (uint64_t)1 << bit % 64;
    t->n++;
    t->end = index + 1 > t->end ? index + 1 : t->end; /* those of a past log come with index 0 */
}

static void table_clear(struct recent_table *t)
{
    if (t->n)
        memset(t->seen, 0, SEEN_BITS / 8);
    if (t->cap > CAP_KEPT) {
        free(t->slots);
        table_init(t, CAP_FIRST);
    } else if (t->n) {
        memset(t->slots, 0, t->cap * sizeof *t->slots);
    }
    t->n = 0;
    t->end = 0;
}

void recent_indexed(struct recent *r, uint64_t indexed)
{
    if ((r->old.n && r->old.end > indexed) || !r->young.n)
        return;
    table_clear(&r->old);
    struct recent_table t = r->old;
    r->old = r->young;
    r->young = t;
}
