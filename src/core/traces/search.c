/* Searching: blocks from the newest to the oldest, by their times and filters; only those that may
 * hold every word are opened, until as many events are found as were asked for and no older block
 * can have a newer one. */
#include "core/traces/traces.h"

#include <stdlib.h>
#include "base/clock.h"
#include "data/fold.h"

enum { WORDS_MAX = 16, CANDIDATES = 256 };

struct search {
    struct ctx *c;
    const struct trace_query *q;
    struct trace_keys keys;
    struct str words[WORDS_MAX];
    size_t n_words;
    struct trace_found *found; /* sorted, newest first; room for limit + 1 */
    size_t n;
    /* of the blocks: */
    struct candidate {
        char id[32];
        int64_t to_ms;
    } list[CANDIDATES];
    size_t n_list;
    int64_t last_to_ms; /* where the next look begins */
    char last_id[32];
    bool more;
};

static int see_block(void *arg, const struct db_value *row, size_t n_cols)
{
    struct search *s = arg;
    (void)n_cols;
    struct str id = str_sub(row[0].s, 0, sizeof s->last_id - 1);
    memcpy(s->last_id, id.p, id.n);
    s->last_id[id.n] = '\0';
    s->last_to_ms = row[1].i;
    bool may = true;
    for (size_t i = 0; i < s->n_words && may; i++)
        may = trace_words_may_hold(row[2].s, &s->keys, s->words[i]);
    if (may) {
        memcpy(s->list[s->n_list].id, s->last_id, sizeof s->last_id);
        s->list[s->n_list++].to_ms = row[1].i;
    }
    s->more = s->n_list == CANDIDATES;
    return s->more;
}

/* The next blocks that may hold something. */
static enum err look(struct search *s, struct db_conn *db)
{
    const struct trace_query *q = s->q;
    int64_t to_ms = q->to_ms ? q->to_ms : INT64_MAX;
    s->n_list = 0;
    s->more = false;
    return db_each(
        db, see_block, s,
        "SELECT id, to_ms, words FROM trace_block WHERE to_ms >= $1 AND from_ms < $2 AND "
        "severity <= $3 AND (CAST($4 AS TEXT) = '' OR source = $4) AND (to_ms < $5 OR "
        "(to_ms = $5 AND id < $6)) ORDER BY to_ms DESC, id DESC",
        "iiisiz", q->from_ms, to_ms, (int64_t)q->severity, q->source.n ? q->source : STR(""),
        s->last_to_ms, s->last_id);
}

static bool holds_words(const struct search *s, struct str folded)
{
    for (size_t i = 0; i < s->n_words; i++) {
        struct str w = s->words[i], rest = folded;
        bool there = false;
        for (ptrdiff_t at; !there && (at = str_find(rest, w)) >= 0;) {
            size_t end = (size_t)at + w.n;
            there = (at == 0 || rest.p[at - 1] == ' ') && (end == rest.n || rest.p[end] == ' ');
            rest = str_after(rest, (size_t)at + 1);
        }
        if (!there)
            return false;
    }
    return true;
}

static bool is_wanted(const struct search *s, struct arena *a, const struct trace_event *e)
{
    const struct trace_query *q = s->q;
    return e->severity <= q->severity && e->at_ms >= q->from_ms &&
           (!q->to_ms || e->at_ms < q->to_ms) &&
           (!s->n_words || holds_words(s, trace_event_words(a, e)));
}

static void keep(struct search *s, struct str source, const struct trace_event *e)
{
    size_t at = s->n;
    while (at > 0 && s->found[at - 1].event.at_ms < e->at_ms)
        at--;
    if (at == s->q->limit)
        return;
    if (s->n < s->q->limit)
        s->n++;
    memmove(&s->found[at + 1], &s->found[at], (s->n - 1 - at) * sizeof *s->found);
    s->found[at] = (struct trace_found){arena_dup(s->c->arena, source), *e};
    for (size_t i = 0; i < TRACE_TEXTS; i++)
        s->found[at].event.texts[i] = arena_dup(s->c->arena, e->texts[i]);
}

static enum err open_block(struct search *s, struct db_conn *db, struct arena *a, const char *id)
{
    struct db_result r;
    struct trace_event *events;
    size_t n;
    enum err e =
        db_query_one(db, a, &r, "SELECT source, data FROM trace_block WHERE id = $1", "z", id);
    if (e == ERR_NOT_FOUND)
        return ERR_OK; /* merged meanwhile */
    if (e == ERR_OK)
        e = trace_block_open(a, &s->keys, db_str(&r, 0, 1), &events, &n);
    for (size_t i = 0; e == ERR_OK && i < n; i++) {
        bool full = s->n == s->q->limit;
        if (full && events[i].at_ms <= s->found[s->n - 1].event.at_ms)
            continue;
        if (is_wanted(s, a, &events[i]))
            keep(s, db_str(&r, 0, 0), &events[i]);
    }
    return e;
}

static enum err run(struct search *s, struct db_conn *db)
{
    struct arena a;
    enum err e = ERR_OK;
    arena_init(&a);
    do {
        e = look(s, db);
        for (size_t i = 0; e == ERR_OK && i < s->n_list; i++) {
            arena_reset(&a);
            if (s->n == s->q->limit && s->list[i].to_ms <= s->found[s->n - 1].event.at_ms)
                s->more = false; /* no older block has a newer event */
            else
                e = open_block(s, db, &a, s->list[i].id);
        }
    } while (e == ERR_OK && s->more);
    arena_free(&a);
    return e;
}

enum err trace_search(struct ctx *c, const struct trace_query *q, struct trace_found **out,
                      size_t *n)
{
    struct search *s = arena_new(c->arena, struct search);
    struct db_conn *db = db_read(c->pf->db);
    struct str rest = text_fold(c->arena, q->words), word;
    *n = 0;
    if (!db)
        return ERR_UNAVAILABLE;
    if (q->limit == 0 || q->limit > TRACE_FOUND_MAX)
        return ERR_LIMIT;
    *s = (struct search){.c = c, .q = q, .last_to_ms = INT64_MAX, .last_id = "~"};
    while (rest.n && s->n_words < WORDS_MAX && str_split(&rest, ' ', &word))
        s->words[s->n_words++] = word;
    s->found = arena_array(c->arena, struct trace_found, q->limit + 1);
    enum err e = trace_keys_get(c, &s->keys);
    if (e == ERR_OK)
        e = run(s, db);
    mem_wipe(&s->keys, sizeof s->keys);
    *out = s->found;
    *n = s->n;
    return e;
}

json_t *trace_found_json(struct ctx *c, const struct trace_found *f)
{
    static const char *const outcomes[] = {"", "ok", "failed", "refused"};
    const struct trace_event *e = &f->event;
    json_t *j = json_object();
    struct str at = clock_rfc3339(c->arena, e->at_ms, true);
    json_object_set_new(j, "time", json_stringn(at.p, at.n));
    json_object_set_new(j, "source", json_stringn(f->source.p, f->source.n));
    json_object_set_new(j, "severity", json_string(trace_severity_names[e->severity]));
    if (e->outcome && e->outcome < COUNT_OF(outcomes))
        json_object_set_new(j, "outcome", json_string(outcomes[e->outcome]));
    for (size_t i = 0; i < TRACE_TEXTS; i++)
        if (e->texts[i].n)
            json_object_set_new(j, trace_text_names[i], json_stringn(e->texts[i].p, e->texts[i].n));
    return j;
}
