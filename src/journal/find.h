/* The index of what entries say: by party, purpose, kind and time (docs/formats/journal-folder.md,
 * `find`). Private to this folder. */
#ifndef JOURNAL_FIND_H
#define JOURNAL_FIND_H

#include "journal/ids.h"
#include "journal/index.h"

enum { FIND_RECORD = 24, FIND_BLOCK = 4096, FIND_KEYS_MAX = 12 };

/* What a value is looked for as. */
enum find_class { FIND_KIND, FIND_PURPOSE, FIND_PARTY };
uint64_t find_key(enum find_class what, struct str value);

/* What a leaf is found by, values as JSON writes them (slices of the leaf), none twice. */
struct find_word {
    enum find_class what;
    struct str value;
};
size_t find_words(struct str leaf, struct str kind, struct find_word out[FIND_KEYS_MAX]);

/* ---- writing ----------------------------------------------------------------------------------
 */
/* The entries since the last multiple of FIND_BLOCK. */
struct find_block {
    int64_t min_ms, max_ms;
    bool begun;
};
/* x NULL: the block alone, as after a start. */
void find_add(struct index *x, struct find_block *block, uint64_t place,
              const struct leaf_head *head, struct str leaf);
void find_sort(uint8_t *records, size_t n);

/* ---- reading ----------------------------------------------------------------------------------
 */
static inline uint64_t find_be64(const uint8_t *p)
{
    uint64_t v = 0;
    for (int i = 0; i < 8; i++)
        v = v << 8 | p[i];
    return v;
}

/* Walks one key's records from the newest on. */
struct find_cursor {
    const struct runs *runs;
    uint64_t key;
    size_t run;  /* runs above it are done; the tail comes before them */
    size_t tail; /* records of the tail not looked at yet */
    uint64_t at; /* in that run, when `inside` */
    bool inside;
};
void find_start(struct find_cursor *c, const struct runs *runs, uint64_t key);
/* The newest record with a place under `before`, which never grows from call to call; NULL: none.
 */
const uint8_t *find_next(struct find_cursor *c, uint64_t before);

/* Stretches of places in which an entry may be of [from_ms, to_ms), newest first. */
struct find_times {
    struct find_cursor min, max;
    int64_t from_ms, to_ms;
    uint64_t high; /* nothing at or above it is left */
};
void find_times_start(struct find_times *t, const struct runs *runs, int64_t from_ms, int64_t to_ms,
                      uint64_t before);
bool find_times_next(struct find_times *t, uint64_t *low, uint64_t *high);

#endif
