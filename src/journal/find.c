#include "journal/find.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

enum { RADIX_BYTES = 8, RADIX = 256 };
/* Keys of the blocks' times: no hash of a word (find_key). */
static const uint64_t key_min = 0, key_max = 1;

/* ---- keys -------------------------------------------------------------------------------------
 */
/* FNV-1a, stirred at the end. Two words of one key cost a look at a leaf, nothing else: whoever
 * reads compares the words themselves. */
uint64_t find_key(enum find_class what, struct str value)
{
    uint64_t h = 0xcbf29ce484222325u;
    h = (h ^ (uint8_t)what) * 0x100000001b3u;
    for (size_t i = 0; i < value.n; i++)
        h = (h ^ (uint8_t)value.p[i]) * 0x100000001b3u;
    h ^= h >> 33;
    h *= 0xff51afd7ed558ccdu;
    h ^= h >> 33;
    return h > key_max ? h : h + 2;
}

static const struct {
    struct str name;
    enum find_class what;
} members[] = {{STR("actor"), FIND_PARTY},    {STR("client"), FIND_PARTY},
               {STR("contract"), FIND_PARTY}, {STR("consent"), FIND_PARTY},
               {STR("object"), FIND_PARTY},   {STR("provider"), FIND_PARTY},
               {STR("purpose"), FIND_PURPOSE}};

/* Behind the closing quote of the string that p is inside of; NULL: it does not end. */
static const char *string_end(const char *p, const char *end)
{
    const char *from = p;
    while (p < end && (p = memchr(p, '"', (size_t)(end - p))) != NULL) {
        size_t n = 0;
        while (p - n > from && p[-1 - (ptrdiff_t)n] == '\\')
            n++;
        p++;
        if (n % 2 == 0)
            return p;
    }
    return NULL;
}

/* Behind a value that is no string: at the comma or brace that ends it. */
static const char *value_end(const char *p, const char *end)
{
    int depth = 0;
    for (; p && p < end; p++) {
        if (*p == '"') {
            p = string_end(p + 1, end);
            if (!p--)
                return NULL;
        } else if (*p == '{' || *p == '[') {
            depth++;
        } else if (depth == 0 && (*p == ',' || *p == '}')) {
            return p;
        } else if (*p == '}' || *p == ']') {
            depth--;
        }
    }
    return NULL;
}

static void word_add(struct find_word *out, size_t *n, enum find_class what, struct str value)
{
    for (size_t i = 0; i < *n; i++)
        if (out[i].what == what && str_eq(out[i].value, value))
            return;
    if (*n < FIND_KEYS_MAX && value.n)
        out[(*n)++] = (struct find_word){what, value};
}

/* One member from its opening quote on; returns what is behind it, NULL at the end or where it is
 * not JSON as the platform writes it (without blanks). */
static const char *member_take(const char *p, const char *end, struct find_word *out, size_t *n)
{
    const char *name = p + 1, *name_end = string_end(name, end);
    if (!name_end || name_end + 1 >= end || *name_end != ':')
        return NULL;
    const char *value = name_end + 1;
    if (*value != '"')
        return value_end(value, end);
    const char *stop = string_end(value + 1, end);
    for (size_t i = 0; stop && i < COUNT_OF(members); i++)
        if (str_eq(str_of(name, (size_t)(name_end - name) - 1), members[i].name))
            word_add(out, n, members[i].what, str_of(value + 1, (size_t)(stop - value) - 2));
    return stop;
}

size_t find_words(struct str leaf, struct str kind, struct find_word out[FIND_KEYS_MAX])
{
    const char *p = kind.p + kind.n + 1, *end = leaf.p + leaf.n;
    size_t n = 0;
    word_add(out, &n, FIND_KIND, kind);
    while (p && p + 1 < end && p[0] == ',' && p[1] == '"')
        p = member_take(p + 1, end, out, &n);
    return n;
}

/* ---- writing ----------------------------------------------------------------------------------
 */
static void record_add(struct index *x, uint64_t key, uint64_t place, int64_t at_ms)
{
    uint64_t r[FIND_RECORD / 8] = {htobe64(key), htobe64(place), htobe64((uint64_t)at_ms)};
    index_add(x, r);
}

static void block_add(struct index *x, struct find_block *b, uint64_t place, int64_t at_ms)
{
    uint64_t index = place_index(place);
    if (index % FIND_BLOCK == 0 || !b->begun)
        *b = (struct find_block){at_ms, at_ms, true};
    b->min_ms = at_ms < b->min_ms ? at_ms : b->min_ms;
    b->max_ms = at_ms > b->max_ms ? at_ms : b->max_ms;
    if (x && index % FIND_BLOCK == FIND_BLOCK - 1) {
        record_add(x, key_min, place - (FIND_BLOCK - 1), b->min_ms);
        record_add(x, key_max, place - (FIND_BLOCK - 1), b->max_ms);
    }
}

void find_add(struct index *x, struct find_block *block, uint64_t place,
              const struct leaf_head *head, struct str leaf)
{
    struct find_word words[FIND_KEYS_MAX];
    if (x) {
        size_t n = find_words(leaf, head->kind, words);
        for (size_t i = 0; i < n; i++)
            record_add(x, find_key(words[i].what, words[i].value), place, head->at_ms);
    }
    block_add(x, block, place, head->at_ms);
}

/* Records come in the order of their places: sorting by key alone, keeping that order, is enough,
 * and ten times as fast as comparing them. */
void find_sort(uint8_t *records, size_t n)
{
    struct record {
        uint8_t bytes[FIND_RECORD];
    } *from = (struct record *)records, *to = malloc(n * sizeof *to), *spare = to;
    if (!to)
        abort();
    for (int byte = RADIX_BYTES - 1; byte >= 0; byte--) {
        size_t starts[RADIX] = {0}, sum = 0;
        for (size_t i = 0; i < n; i++)
            starts[from[i].bytes[byte]]++;
        for (size_t i = 0; i < RADIX; i++) {
            size_t count = starts[i];
            starts[i] = sum;
            sum += count;
        }
        for (size_t i = 0; i < n; i++)
            to[starts[from[i].bytes[byte]]++] = from[i];
        struct record *swap = from;
        from = to;
        to = swap;
    }
    free(spare); /* an even number of passes: they are back where they were */
}

/* ---- reading ----------------------------------------------------------------------------------
 */
void find_start(struct find_cursor *c, const struct runs *runs, uint64_t key)
{
    *c = (struct find_cursor){.runs = runs, .key = key, .run = runs->n, .tail = runs->tail_n};
}

static const uint8_t *next_in_tail(struct find_cursor *c, uint64_t before)
{
    while (c->tail > 0) {
        const uint8_t *r = run_record(c->runs->tail, FIND_RECORD, c->tail - 1);
        if (find_be64(r) == c->key && find_be64(r + 8) < before)
            return r;
        c->tail--;
    }
    return NULL;
}

static const uint8_t *next_in_run(struct find_cursor *c, const struct run *r, uint64_t before)
{
    uint64_t key[2] = {htobe64(c->key), htobe64(before)};
    const uint8_t *record = NULL;
    if (c->inside && c->at > 0) { /* often the next one is the one */
        record = run_record(r, FIND_RECORD, c->at - 1);
        if (find_be64(record) != c->key)
            return NULL;
        if (find_be64(record + 8) < before)
            return record;
        if (c->at > 1) {
            record = run_record(r, FIND_RECORD, c->at - 2);
            if (find_be64(record) == c->key && find_be64(record + 8) < before) {
                c->at--;
                return record;
            }
        }
    }
    c->at = run_lower_bound(r, FIND_RECORD, str_of((const char *)key, sizeof key));
    c->inside = true;
    record = c->at > 0 ? run_record(r, FIND_RECORD, c->at - 1) : NULL;
    return record && find_be64(record) == c->key ? record : NULL;
}

const uint8_t *find_next(struct find_cursor *c, uint64_t before)
{
    const uint8_t *r = next_in_tail(c, before);
    while (!r && c->run > 0) {
        r = next_in_run(c, c->runs->list[c->run - 1], before);
        if (!r) {
            c->run--;
            c->inside = false;
        }
    }
    return r;
}

void find_times_start(struct find_times *t, const struct runs *runs, int64_t from_ms, int64_t to_ms,
                      uint64_t before)
{
    *t = (struct find_times){.from_ms = from_ms, .to_ms = to_ms, .high = before};
    find_start(&t->min, runs, key_min);
    find_start(&t->max, runs, key_max);
}

/* Blocks without a record (the last of a log, those not written yet) may hold anything. */
bool find_times_next(struct find_times *t, uint64_t *low, uint64_t *high)
{
    uint64_t stretch = t->high;
    if (t->high == 0)
        return false;
    *high = t->high;
    if (!t->from_ms && !t->to_ms) {
        *low = t->high = 0;
        return true;
    }
    for (;;) {
        const uint8_t *min = find_next(&t->min, stretch), *max = find_next(&t->max, stretch);
        if (!min || !max) {
            *low = t->high = 0;
            return *high > 0;
        }
        uint64_t first = find_be64(min + 8);
        bool may = (!t->to_ms || (int64_t)find_be64(min + 16) < t->to_ms) &&
                   (!t->from_ms || (int64_t)find_be64(max + 16) >= t->from_ms);
        stretch = first;
        if (may)
            continue;
        *low = first + FIND_BLOCK;
        t->high = first;
        if (*low < *high)
            return true;
        *high = first;
        if (first == 0)
            return false;
    }
}
