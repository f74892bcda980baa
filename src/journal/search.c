/* Searching entries: the index of what they say (find.h) leads to leaves, and a leaf must say it
 * itself. The work of one call is bounded, so that no question, however wide the log, holds up
 * others: what it did not get to is the next page. */
#include "journal/view.h"

#include <unistd.h>
#include "journal/leaf.h"
#include "journal/tiles.h"

enum { LIMIT_MAX = 1000, STEPS_MAX = 50000, LEAVES_MAX = 2048, WORDS = 3 };

struct search {
    struct journal_reader *r;
    const struct journal_search *q;
    const struct view *v;
    struct find_word words[WORDS];
    struct find_cursor cursors[WORDS];
    size_t n_words, steps, leaves;

    struct view_log log; /* the one that was read last */
    uint32_t epoch;      /* of it; 0: none */
    struct arena work;   /* of the bundle */
    uint64_t bundle;
    size_t n_leaves; /* in the bundle; 0: none */
    struct str leaf[TILE_WIDTH];

    struct arena *a;
    struct journal_finds *out;
};

/* ---- words ------------------------------------------------------------------------------------
 */
static void word_add(struct search *s, enum find_class what, struct str value)
{
    struct buf b;
    if (!value.n)
        return;
    buf_init(&b, JOURNAL_LEAF_MAX);
    buf_add_json(&b, value);
    struct str json = arena_dup(s->a, buf_str(&b));
    buf_free(&b);
    if (json.n < 2)
        return;
    struct str raw = str_sub(json, 1, json.n - 2);
    find_start(&s->cursors[s->n_words], s->v->find, find_key(what, raw));
    s->words[s->n_words++] = (struct find_word){what, raw};
}

static bool says_all(const struct search *s, struct str leaf, struct str kind)
{
    struct find_word has[FIND_KEYS_MAX];
    size_t n = find_words(leaf, kind, has), k;
    for (size_t i = 0; i < s->n_words; i++) {
        for (k = 0; k < n; k++)
            if (has[k].what == s->words[i].what && str_eq(has[k].value, s->words[i].value))
                break;
        if (k == n)
            return false;
    }
    return true;
}

/* ---- places -----------------------------------------------------------------------------------
 */
static enum err log_open(struct search *s, uint32_t epoch)
{
    if (s->epoch == epoch)
        return ERR_OK;
    if (s->epoch)
        view_log_put(&s->log);
    s->epoch = 0;
    s->n_leaves = 0;
    enum err e = view_log_get(s->r, s->v, s->v->epoch - epoch, &s->log);
    if (e == ERR_OK)
        s->epoch = epoch;
    return e;
}

/* The entry before `high`, of an older log when there is none left in this one. */
static enum err entry_before(struct search *s, uint64_t high, uint64_t *place)
{
    uint32_t epoch = place_epoch(high);
    uint64_t index = place_index(high);
    if (epoch > s->v->epoch) {
        epoch = s->v->epoch;
        index = s->v->size;
    }
    while (index == 0 && epoch > 1) {
        epoch--;
        index = log_open(s, epoch) == ERR_OK ? s->log.size : 0; /* a lost one is passed over */
    }
    if (index == 0)
        return ERR_NOT_FOUND;
    *place = place_of(epoch, index - 1);
    return ERR_OK;
}

static int64_t record_at(const uint8_t *record)
{
    return (int64_t)find_be64(record + 16);
}

static bool in_time(const struct search *s, int64_t at_ms)
{
    return (!s->q->from_ms || at_ms >= s->q->from_ms) && (!s->q->to_ms || at_ms < s->q->to_ms);
}

/* The newest place under `high` that all words lead to: each goes down to where the others are. */
static enum err place_of_words(struct search *s, uint64_t high, uint64_t *place)
{
    const uint8_t *record = NULL;
    for (size_t agree = 0, i = 0; agree < s->n_words; i = (i + 1) % s->n_words) {
        uint64_t under = agree ? *place + 1 : high;
        if (s->steps++ >= STEPS_MAX)
            return ERR_AGAIN;
        record = find_next(&s->cursors[i], under);
        if (!record)
            return ERR_NOT_FOUND;
        uint64_t at = find_be64(record + 8);
        bool fits = in_time(s, record_at(record));
        agree = agree && at == *place ? agree + 1 : 1;
        *place = at;
        if (!fits) { /* of this place nothing is wanted */
            agree = 0;
            high = at;
        }
    }
    return ERR_OK;
}

/* ---- leaves -----------------------------------------------------------------------------------
 */
static enum err bundle_read(struct search *s, uint64_t n)
{
    struct str bundle;
    s->n_leaves = 0;
    arena_reset(&s->work);
    enum err e = tile_read(s->log.folder, TILE_ENTRIES, n, tile_width(TILE_ENTRIES, n, s->log.size),
                           &s->work, &bundle);
    if (e != ERR_OK)
        return e == ERR_NOT_FOUND ? ERR_CORRUPT : e;
    while (s->n_leaves < TILE_WIDTH && bundle_next(&bundle, &s->leaf[s->n_leaves]))
        s->n_leaves++;
    s->bundle = n;
    return ERR_OK;
}

static enum err leaf_take(struct search *s, uint64_t place)
{
    struct leaf_head head;
    uint64_t index = place_index(place), n = index / TILE_WIDTH;
    enum err e = log_open(s, place_epoch(place));
    if (e == ERR_OK && (s->n_leaves == 0 || s->bundle != n))
        e = bundle_read(s, n);
    if (e == ERR_OK && index % TILE_WIDTH >= s->n_leaves)
        e = ERR_CORRUPT;
    if (e != ERR_OK)
        return e;
    struct str leaf = s->leaf[index % TILE_WIDTH];
    if (leaf_head_read(leaf, &head) != ERR_OK || !in_time(s, head.at_ms) ||
        !says_all(s, leaf, head.kind))
        return ERR_OK;
    struct journal_found *f = &s->out->list[s->out->n++];
    *f = (struct journal_found){.at = view_at(s->v, place), .at_ms = head.at_ms};
    ulid_write(head.id, f->id);
    f->leaf = arena_dup(s->a, leaf);
    f->kind = str_of(f->leaf.p + (head.kind.p - leaf.p), head.kind.n);
    return ERR_OK;
}

/* ---- the search -------------------------------------------------------------------------------
 */
/* Entries of [low, *high); ERR_NOT_FOUND: none is left anywhere; ERR_AGAIN: enough work for now. */
static enum err stretch_take(struct search *s, uint64_t low, uint64_t *high)
{
    uint64_t place = 0;
    while (s->out->n < s->q->limit) {
        if (s->leaves >= LEAVES_MAX)
            return ERR_AGAIN;
        enum err e = s->n_words ? place_of_words(s, *high, &place) : entry_before(s, *high, &place);
        if (e == ERR_AGAIN && place) /* all above was looked at */
            *high = place + 1 < *high ? place + 1 : *high;
        if (e != ERR_OK)
            return e;
        if (place < low)
            return ERR_OK;
        *high = place;
        s->leaves++;
        e = leaf_take(s, place);
        if (e != ERR_OK)
            return e;
    }
    return ERR_AGAIN;
}

static enum err search_run(struct search *s, uint64_t before)
{
    struct find_times times;
    uint64_t low, high;
    enum err e = ERR_OK;
    find_times_start(&times, s->v->find, s->q->from_ms, s->q->to_ms, before);
    while (e == ERR_OK && find_times_next(&times, &low, &high))
        e = stretch_take(s, low, &high);
    if (e == ERR_AGAIN) {
        s->out->more = true;
        s->out->next = view_at(s->v, high);
        if (place_epoch(high) > s->v->epoch)
            s->out->next = (struct journal_at){0, s->v->size};
    }
    return e == ERR_AGAIN || e == ERR_NOT_FOUND ? ERR_OK : e;
}

enum err journal_search(struct journal_reader *r, const struct journal_search *q, struct arena *a,
                        struct journal_finds *out)
{
    struct view *v;
    uint64_t before = UINT64_MAX;
    *out = (struct journal_finds){0};
    if (q->limit == 0 || q->limit > LIMIT_MAX)
        return ERR_LIMIT;
    enum err e = view_get(r, &v);
    if (e != ERR_OK)
        return e == ERR_NOT_FOUND ? ERR_OK : e;
    struct search *s = arena_new(a, struct search);
    *s = (struct search){.r = r, .q = q, .v = v, .a = a, .out = out};
    arena_init(&s->work);
    out->list = arena_array(a, struct journal_found, q->limit);
    word_add(s, FIND_PARTY, q->party);
    word_add(s, FIND_PURPOSE, q->purpose);
    word_add(s, FIND_KIND, q->kind);
    if (q->before && q->before->log < v->epoch)
        before = place_of(v->epoch - q->before->log, q->before->index);
    e = search_run(s, before);
    if (s->epoch)
        view_log_put(&s->log);
    arena_free(&s->work);
    view_unref(v);
    return e;
}
