/* Counting: who did what how often, by ten minutes or by hour. A batch is added up in memory, then
 * each group is one row more or one row changed. Names of groups are hashed; what the name is lies
 * sealed beside, for the alert alone. */
#include "core/traces/traces.h"

#include <math.h>
#include <stdio.h>
#include "base/map.h"
#include "crypto/seal.h"

enum { GROUP_NAME_MAX = 200 };
const int64_t trace_bucket_ms[METRICS] = {TEN_MINUTES_MS, TEN_MINUTES_MS, HOUR_MS, HOUR_MS,
                                          HOUR_MS};

struct count {
    enum trace_metric metric;
    char grp[17];
    int64_t bucket, n;
    uint8_t *sketch; /* of objects; M_READ only */
    struct str name, sealed;
    struct count *next;
};
struct trace_counts {
    struct arena *a;
    const struct trace_keys *k;
    struct map map;
    struct count *first;
};

struct trace_counts *trace_counts_new(struct arena *a, const struct trace_keys *k)
{
    struct trace_counts *t = arena_new(a, struct trace_counts);
    t->a = a;
    t->k = k;
    map_init(&t->map);
    return t;
}

void trace_counts_free(struct trace_counts *t)
{
    map_free(&t->map);
}

/* ---- a sketch of distinct values: linear counting
 * -------------------------------------------------
 */
static void sketch_add(uint8_t *sketch, uint64_t h)
{
    uint64_t bit = h % (SKETCH_BYTES * 8);
    sketch[bit / 8] = (uint8_t)(sketch[bit / 8] | 1 << bit % 8);
}

size_t trace_sketch_count(struct str s)
{
    size_t ones = 0, bits = SKETCH_BYTES * 8;
    if (s.n != SKETCH_BYTES)
        return 0;
    for (size_t i = 0; i < s.n; i++)
        ones += (size_t)__builtin_popcount((uint8_t)s.p[i]);
    if (ones >= bits - 8) /* full: over thirty thousand */
        ones = bits - 8;
    return (size_t)(-(double)bits * log((double)(bits - ones) / (double)bits) + 0.5);
}

/* ---- adding up
 * --------------------------------------------------------------------------------------
 */
static struct count *count_of(struct trace_counts *t, enum trace_metric metric, struct str name,
                              int64_t at_ms)
{
    char grp[17];
    name = str_sub(name, 0, GROUP_NAME_MAX);
    snprintf(grp, sizeof grp, "%016llx", (unsigned long long)map_siphash(t->k->words, name));
    int64_t bucket = at_ms - at_ms % trace_bucket_ms[metric];
    struct str key = arena_printf(t->a, "%d %s %lld", (int)metric, grp, (long long)bucket);
    struct count *c = map_get(&t->map, key);
    if (c)
        return c;
    c = arena_new(t->a, struct count);
    c->metric = metric;
    memcpy(c->grp, grp, sizeof grp);
    c->bucket = bucket;
    c->name = name;
    c->sealed = seal(t->a, t->k->seal, STR("traces.group"), name);
    c->next = t->first;
    t->first = c;
    map_set(&t->map, key, c);
    return c;
}

static bool speaks_of(struct str event, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_find(event, str_from(words[i])) >= 0)
            return true;
    return false;
}

static bool is_sign_in(const struct trace_event *e)
{
    static const char *const words[] = {"login", "logon", "signin", "sign-in", "auth"};
    return speaks_of(e->texts[T_EVENT], words, COUNT_OF(words));
}

static bool is_read(const struct trace_event *e)
{
    static const char *const words[] = {"read", "search", "export",   "list",
                                        "get",  "query",  "download", "exchange.decision"};
    return speaks_of(e->texts[T_EVENT], words, COUNT_OF(words));
}

void trace_counts_add(struct trace_counts *t, const struct trace_event *e)
{
    struct str actor = e->texts[T_ACTOR], address = e->texts[T_ADDRESS],
               object = e->texts[T_OBJECT];
    if (e->outcome == OUTCOME_FAILED && is_sign_in(e)) {
        if (actor.n)
            count_of(t, M_FAILED_ACTOR, actor, e->at_ms)->n++;
        if (address.n)
            count_of(t, M_FAILED_ADDRESS, address, e->at_ms)->n++;
    }
    if (!actor.n)
        return;
    count_of(t, M_ACTS, actor, e->at_ms)->n++;
    if (e->outcome == OUTCOME_REFUSED)
        count_of(t, M_REFUSED, actor, e->at_ms)->n++;
    if (e->outcome == OUTCOME_REFUSED || e->outcome == OUTCOME_FAILED || !is_read(e))
        return;
    struct count *c = count_of(t, M_READ, actor, e->at_ms);
    c->n++;
    if (!c->sketch)
        c->sketch = arena_alloc(t->a, SKETCH_BYTES);
    if (object.n)
        sketch_add(c->sketch, map_siphash(t->k->words, object));
}

/* ---- writing
 * ----------------------------------------------------------------------------------------
 */
static enum err sketch_merge(struct db_conn *db, struct arena *a, const struct count *c,
                             struct str *out)
{
    struct db_result r;
    *out = STR("");
    if (!c->sketch)
        return ERR_OK;
    enum err e = db_query_one(db, a, &r,
                              "SELECT sketch FROM trace_count WHERE metric = $1 AND grp = $2 AND "
                              "bucket = $3",
                              "izi", (int64_t)c->metric, c->grp, c->bucket);
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    uint8_t *all = arena_alloc(a, SKETCH_BYTES);
    memcpy(all, c->sketch, SKETCH_BYTES);
    struct str old = e == ERR_OK ? db_str(&r, 0, 0) : STR_NONE;
    for (size_t i = 0; old.n == SKETCH_BYTES && i < old.n; i++)
        all[i] = (uint8_t)(all[i] | (uint8_t)old.p[i]);
    *out = str_of(all, SKETCH_BYTES);
    return ERR_OK;
}

static enum err count_write(struct db_conn *db, struct arena *a, const struct count *c,
                            int64_t now_ms)
{
    struct str sketch;
    enum err e = sketch_merge(db, a, c, &sketch);
    if (e == ERR_OK)
        e = db_exec(db,
                    "INSERT INTO trace_count(metric, grp, bucket, n, sketch, touched) VALUES($1, "
                    "$2, $3, $4, $5, $6) ON CONFLICT (metric, grp, bucket) DO UPDATE SET n = "
                    "trace_count.n + $4, sketch = $5, touched = $6",
                    "iziibi", (int64_t)c->metric, c->grp, c->bucket, c->n, sketch, now_ms);
    return e == ERR_OK ? db_exec(db,
                                 "INSERT INTO trace_group(grp, name, seen_ms) VALUES($1, $2, $3) "
                                 "ON CONFLICT (grp) DO UPDATE SET seen_ms = $3",
                                 "zbi", c->grp, c->sealed, now_ms)
                       : e;
}

enum err trace_counts_write(struct db_conn *db, const struct trace_counts *t, int64_t now_ms)
{
    struct arena a;
    enum err e = ERR_OK;
    arena_init(&a);
    for (const struct count *c = t->first; c && e == ERR_OK; c = c->next) {
        e = count_write(db, &a, c, now_ms);
        arena_reset(&a);
    }
    arena_free(&a);
    return e;
}
