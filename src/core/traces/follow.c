/* The platform's own exchanges, out of its journal: who calls how much, for how many consents, how
 * often refused. The journal stays the one record; here its entries are only counted. */
#include "core/traces/traces.h"

#include "base/clock.h"
#include "base/log.h"

enum { BUNDLE = 256, ENTRIES_A_LOOK = 20000 };
static struct journal_reader *reader; /* of jobs */

static struct str member(struct str leaf, struct str name)
{
    ptrdiff_t at = str_find(leaf, name);
    if (at < 0)
        return STR("");
    struct str rest = str_after(leaf, (size_t)at + name.n);
    ptrdiff_t end = str_find_char(rest, '"');
    return end < 0 ? STR("") : str_sub(rest, 0, (size_t)end);
}

/* Leaves are our own writing: names of members are where they say. */
static bool event_of(struct str leaf, struct trace_event *e)
{
    struct str kind = member(leaf, STR("\"kind\":\"")), at = STR_NONE;
    ptrdiff_t p = str_find(leaf, STR("\"at\":"));
    bool decision = str_eq_z(kind, "exchange.decision"),
         refused = str_eq_z(kind, "exchange.refused");
    if (p < 0 || (!decision && !refused))
        return false;
    at = str_after(leaf, (size_t)p + 5);
    ptrdiff_t comma = str_find_char(at, ',');
    if (comma < 0 || !str_to_i64(str_sub(at, 0, (size_t)comma), &e->at_ms))
        return false;
    e->outcome = refused ? OUTCOME_REFUSED : OUTCOME_OK;
    e->texts[T_EVENT] = kind;
    e->texts[T_ACTOR] = member(leaf, STR("\"client\":\""));
    e->texts[T_OBJECT] = member(leaf, STR("\"consent\":\""));
    return e->texts[T_ACTOR].n > 0;
}

static enum err bundle_count(struct arena *a, uint64_t n, unsigned width, uint64_t skip,
                             struct trace_counts *t)
{
    struct str bytes;
    enum err e = journal_tile(reader, 0, JOURNAL_ENTRIES, n, width, a, &bytes);
    for (uint64_t i = 0; e == ERR_OK && i < width; i++) {
        struct trace_event ev = {0};
        if (bytes.n < 2)
            return ERR_CORRUPT;
        size_t length = (size_t)(uint8_t)bytes.p[0] << 8 | (uint8_t)bytes.p[1];
        if (i >= skip && event_of(str_sub(bytes, 2, length), &ev))
            trace_counts_add(t, &ev);
        bytes = str_after(bytes, 2 + length);
    }
    return e;
}

struct mark_job {
    const char *name;
    const struct trace_counts *counts;
    int64_t to, now_ms;
};

static enum err mark_closure(struct db_conn *db, void *arg)
{
    const struct mark_job *j = arg;
    enum err e = db_exec(db,
                         "INSERT INTO trace_mark(origin, entries) VALUES($1, $2) ON CONFLICT "
                         "(origin) DO UPDATE SET entries = $2",
                         "zi", j->name, j->to);
    return e == ERR_OK ? trace_counts_write(db, j->counts, j->now_ms) : e;
}

/* Entries [from, to) into counters, and the mark with them. */
static enum err count_range(struct ctx *c, uint64_t from, uint64_t size, uint64_t to)
{
    struct trace_keys k;
    enum err e = trace_keys_get(c, &k);
    if (e != ERR_OK)
        return e;
    struct mark_job j = {c->pf->settings->journal_origin, trace_counts_new(c->arena, &k),
                         (int64_t)to, clock_now_ms()};
    for (uint64_t n = from / BUNDLE; e == ERR_OK && n * BUNDLE < to; n++) {
        uint64_t held = size - n * BUNDLE, end = to - n * BUNDLE;
        unsigned width = (unsigned)(held < BUNDLE ? held : BUNDLE);
        if (end < width)
            width = (unsigned)end;
        e = bundle_count(c->arena, n, width, n * BUNDLE < from ? from - n * BUNDLE : 0,
                         (struct trace_counts *)(uintptr_t)j.counts);
    }
    if (e == ERR_OK)
        e = db_write(c->pf->db, mark_closure, &j);
    trace_counts_free((struct trace_counts *)(uintptr_t)j.counts);
    return e;
}

enum err trace_follow_journal(struct platform *pf)
{
    struct arena a;
    struct db_result r;
    uint64_t size, sealed, from = 0;
    struct db_conn *db = db_read(pf->db);
    arena_init(&a);
    enum err e =
        reader ? ERR_OK
               : journal_reader_open(arena_printf(&pf->arena, "%s/journal", pf->settings->data).p,
                                     &reader);
    if (e == ERR_OK)
        e = db ? journal_size(reader, 0, &size, &sealed) : ERR_UNAVAILABLE;
    if (e == ERR_OK)
        e = db_query(db, &a, &r, "SELECT entries FROM trace_mark WHERE origin = $1", "z",
                     pf->settings->journal_origin);
    if (e == ERR_OK && r.n_rows)
        from = (uint64_t)db_i64(&r, 0, 0);
    if (e == ERR_OK && from > size)
        from = 0; /* another log: after a restore */
    if (e == ERR_OK && from < size) {
        struct ctx *c = ctx_make(pf, &a);
        uint64_t to = size - from > ENTRIES_A_LOOK ? from + ENTRIES_A_LOOK : size;
        e = count_range(c, from, size, to);
        ctx_free(c);
    }
    arena_free(&a);
    return e;
}
