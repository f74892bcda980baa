#include "journal/recent.h"

#include <assert.h>
#include <stdlib.h>
#include "base/map.h"

enum { CAP_FIRST = 1024, CAP_KEPT = 65536 };

static void table_init(struct recent_table *t, size_t cap)
{
    *t = (struct recent_table){.slots = calloc(cap, sizeof *t->slots), .cap = cap};
    if (!t->slots)
        abort();
}

void recent_init(struct recent *r)
{
    table_init(&r->young, CAP_FIRST);
    table_init(&r->old, CAP_FIRST);
}

void recent_free(struct recent *r)
{
    free(r->young.slots);
    free(r->old.slots);
}

/* The slot of an id, or the free one where it belongs. Ids come from other processes, hence the
 * keyed hash. */
static struct recent_slot *slot_of(const struct recent_table *t, const uint8_t id[ULID_BYTES])
{
    size_t at = map_hash(str_of(id, ULID_BYTES)) & (t->cap - 1);
    while (t->slots[at].index_1 && memcmp(t->slots[at].id, id, ULID_BYTES) != 0)
        at = (at + 1) & (t->cap - 1);
    return &t->slots[at];
}

bool recent_find(const struct recent *r, const uint8_t id[ULID_BYTES], uint64_t *index)
{
    const struct recent_slot *s = slot_of(&r->young, id);
    if (!s->index_1 && r->old.n)
        s = slot_of(&r->old, id);
    *index = s->index_1 - 1;
    return s->index_1 != 0;
}

static void grow(struct recent_table *t)
{
    struct recent_table bigger;
    table_init(&bigger, t->cap * 2);
    for (size_t i = 0; i < t->cap; i++)
        if (t->slots[i].index_1)
            *slot_of(&bigger, t->slots[i].id) = t->slots[i];
    bigger.n = t->n;
    bigger.end = t->end;
    free(t->slots);
    *t = bigger;
}

void recent_add(struct recent *r, const uint8_t id[ULID_BYTES], uint64_t index)
{
    struct recent_table *t = &r->young;
    if (t->n * 2 >= t->cap)
        grow(t);
    struct recent_slot *s = slot_of(t, id);
    assert(!s->index_1);
    memcpy(s->id, id, ULID_BYTES);
    s->index_1 = index + 1;
    t->n++;
    t->end = index + 1;
}

static void table_clear(struct recent_table *t)
{
    if (t->cap > CAP_KEPT) {
        free(t->slots);
        table_init(t, CAP_FIRST);
        return;
    }
    if (t->n)
        memset(t->slots, 0, t->cap * sizeof *t->slots);
    t->n = 0;
}

void recent_published(struct recent *r, uint64_t published)
{
    if (r->old.n && r->old.end > published)
        return;
    if (!r->young.n)
        return;
    table_clear(&r->old);
    struct recent_table t = r->old;
    r->old = r->young;
    r->young = t;
}
