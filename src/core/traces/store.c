/* Keeping: events become blocks, counted in the same transaction; later small blocks become large
 * ones, and old ones go. */
#include "core/traces/traces.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/rand.h"

enum { SMALL = 250, MERGED_AT_ONCE = 40, YOUNG_MS = 60000, COUNTS_DAYS = 15, DAY_MS = 86400000 };

struct kept {
    char id[ID_LEN + 1];
    struct str source;
    struct trace_block block;
};

static enum err block_insert(struct db_conn *db, const struct kept *k)
{
    return db_exec(db,
                   "INSERT INTO trace_block(id, source, from_ms, to_ms, n, severity, words, data) "
                   "VALUES($1, $2, $3, $4, $5, $6, $7, $8)",
                   "zsiiiibb", k->id, k->source, k->block.from_ms, k->block.to_ms,
                   (int64_t)k->block.n, (int64_t)k->block.severity, k->block.words, k->block.data);
}

/* ---- new events
 * -----------------------------------------------------------------------------------
 */
struct store_job {
    const struct kept *blocks;
    size_t n;
    const struct trace_counts *counts;
    int64_t now_ms;
};

static enum err store_closure(struct db_conn *db, void *arg)
{
    const struct store_job *j = arg;
    enum err e = ERR_OK;
    for (size_t i = 0; i < j->n && e == ERR_OK; i++)
        e = block_insert(db, &j->blocks[i]);
    return e == ERR_OK ? trace_counts_write(db, j->counts, j->now_ms) : e;
}

enum err trace_store(struct ctx *c, struct str source, const struct trace_event *events, size_t n)
{
    struct trace_keys k;
    if (n == 0)
        return ERR_OK;
    enum err e = trace_keys_get(c, &k);
    if (e != ERR_OK)
        return e;
    struct store_job j = {.n = (n + BLOCK_EVENTS - 1) / BLOCK_EVENTS, .now_ms = clock_now_ms()};
    struct kept *blocks = arena_array(c->arena, struct kept, j.n);
    for (size_t i = 0; i < j.n; i++) {
        size_t from = i * BLOCK_EVENTS, of = n - from < BLOCK_EVENTS ? n - from : BLOCK_EVENTS;
        id_new(blocks[i].id);
        blocks[i].source = source;
        trace_block_make(c->arena, &k, events + from, of, &blocks[i].block);
    }
    struct trace_counts *counts = trace_counts_new(c->arena, &k);
    for (size_t i = 0; i < n; i++)
        trace_counts_add(counts, &events[i]);
    j.blocks = blocks;
    j.counts = counts;
    e = db_write(c->pf->db, store_closure, &j);
    trace_counts_free(counts);
    mem_wipe(&k, sizeof k);
    return e;
}

/* ---- small blocks into large ones
 * -----------------------------------------------------------------
 */
struct merge_job {
    const struct db_result *old;
    size_t n_old;
    const struct kept *new;
};

static enum err merge_closure(struct db_conn *db, void *arg)
{
    const struct merge_job *j = arg;
    enum err e = ERR_OK;
    for (size_t i = 0; i < j->n_old && e == ERR_OK; i++) {
        int64_t gone = 0;
        e = db_exec_count(db, &gone, "DELETE FROM trace_block WHERE id = $1", "s",
                          db_str(j->old, i, 0));
        if (e == ERR_OK && gone != 1)
            e = ERR_CONFLICT; /* another node was faster */
    }
    return e == ERR_OK ? block_insert(db, j->new) : e;
}

/* How many of the rows fit one block, and their events. */
static enum err gather(struct ctx *c, const struct trace_keys *k, const struct db_result *r,
                       struct trace_event *all, size_t *n_all, size_t *n_old)
{
    *n_all = *n_old = 0;
    for (size_t i = 0; i < r->n_rows; i++) {
        struct trace_event *some;
        size_t n;
        enum err e = trace_block_open(c->arena, k, db_str(r, i, 1), &some, &n);
        if (e != ERR_OK)
            return e;
        if (*n_all + n > BLOCK_EVENTS)
            break;
        memcpy(all + *n_all, some, n * sizeof *some);
        *n_all += n;
        *n_old = i + 1;
    }
    return ERR_OK;
}

static enum err merge_source(struct ctx *c, struct db_conn *db, struct str source,
                             int64_t before_ms)
{
    struct db_result r;
    struct trace_keys k;
    struct kept new;
    size_t n;
    struct merge_job j = {.old = &r, .new = &new};
    enum err e = trace_keys_get(c, &k);
    if (e == ERR_OK)
        e = db_query(db, c->arena, &r,
                     "SELECT id, data FROM trace_block WHERE source = $1 AND n < $2 AND to_ms < $3 "
                     "ORDER BY to_ms LIMIT $4",
                     "siii", source, (int64_t)SMALL, before_ms, (int64_t)MERGED_AT_ONCE);
    if (e != ERR_OK || r.n_rows < 2)
        return e;
    struct trace_event *all = arena_array(c->arena, struct trace_event, BLOCK_EVENTS);
    e = gather(c, &k, &r, all, &n, &j.n_old);
    if (e != ERR_OK || j.n_old < 2)
        return e;
    id_new(new.id);
    new.source = source;
    trace_block_make(c->arena, &k, all, n, &new.block);
    e = db_write(c->pf->db, merge_closure, &j);
    return e == ERR_CONFLICT ? ERR_OK : e;
}

static enum err forget_closure(struct db_conn *db, void *arg)
{
    const int64_t *at = arg;
    enum err e = db_exec(db, "DELETE FROM trace_block WHERE to_ms < $1", "i", at[0]);
    if (e == ERR_OK)
        e = db_exec(db, "DELETE FROM trace_count WHERE bucket < $1", "i", at[1]);
    if (e == ERR_OK)
        e = db_exec(db, "DELETE FROM trace_alert WHERE last_ms < $1 AND state = 'closed'", "i",
                    at[0]);
    return e == ERR_OK ? db_exec(db,
                                 "DELETE FROM trace_group WHERE seen_ms < $1 AND grp NOT IN "
                                 "(SELECT grp FROM trace_alert)",
                                 "i", at[1])
                       : e;
}

enum err trace_compact(struct platform *pf, int64_t now_ms)
{
    struct arena a;
    struct db_result r;
    arena_init(&a);
    struct ctx *c = ctx_make(pf, &a);
    struct db_conn *db = db_read(pf->db);
    enum err e = !db ? ERR_UNAVAILABLE
                     : db_query(db, &a, &r,
                                "SELECT source, count(*) FROM trace_block WHERE n < $1 AND to_ms < "
                                "$2 GROUP BY source HAVING count(*) > 1 LIMIT 20",
                                "ii", (int64_t)SMALL, now_ms - YOUNG_MS);
    for (size_t i = 0; e == ERR_OK && i < r.n_rows; i++)
        e = merge_source(c, db, db_str(&r, i, 0), now_ms - YOUNG_MS);
    int64_t before[2] = {now_ms - pf->settings->trace_days * (int64_t)DAY_MS,
                         now_ms - (int64_t)COUNTS_DAYS * DAY_MS};
    if (e == ERR_OK)
        e = db_write(pf->db, forget_closure, before);
    ctx_free(c);
    arena_free(&a);
    return e;
}
