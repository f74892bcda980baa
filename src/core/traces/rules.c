/* Rules: what was counted is compared with a threshold, and with what is usual for the same group
 * over the two weeks before. Each rule needs both to be passed, so that a busy service is no alert
 * and a quiet one that doubles is none either. */
#include "core/traces/traces.h"

#include "base/log.h"

enum { LOOK_MAX = 5000, OVERLAP_MS = 10000, WEEKS_MS = 14 * 86400000, KNOWN_DAYS = 5 };

const struct trace_rule trace_rules[TRACE_RULES] = {
    {"brute-force-account", M_FAILED_ACTOR, BY_COUNT, 10, 0},
    {"brute-force-address", M_FAILED_ADDRESS, BY_COUNT, 20, 0},
    {"harvest-volume", M_READ, BY_COUNT, 300, 5},
    {"harvest-breadth", M_READ, BY_DISTINCT, 100, 5},
    {"harvest-hours", M_READ, BY_HOUR, 20, 0},
    {"refusals", M_REFUSED, BY_SHARE, 20, 30},
};

struct row {
    enum trace_metric metric;
    struct str grp, sketch;
    int64_t bucket, n;
};

/* "harvest-volume=500*10,refusals=50" of the settings. */
static struct trace_rule with_settings(const struct trace_rule *rule, const char *text)
{
    struct trace_rule out = *rule;
    struct str rest = str_from(text), part;
    while (rest.n && str_split(&rest, ',', &part)) {
        part = str_trim(part);
        ptrdiff_t eq = str_find_char(part, '=');
        if (eq < 0 || !str_eq_z(str_sub(part, 0, (size_t)eq), rule->id))
            continue;
        struct str value = str_after(part, (size_t)eq + 1);
        ptrdiff_t times = str_find_char(value, '*');
        struct str least = times < 0 ? value : str_sub(value, 0, (size_t)times);
        if (!str_to_i64(least, &out.at_least) ||
            (times >= 0 && !str_to_i64(str_after(value, (size_t)times + 1), &out.factor)))
            log_warn("trace_rules_malformed", "rule", rule->id);
    }
    return out;
}

/* ---- what is usual
 * ----------------------------------------------------------------------------------
 */
struct usual {
    int64_t mean;      /* over hours with anything at all; 0: nothing is known */
    int64_t this_hour; /* reads in this hour of the day, the hours beside included */
    int64_t days;      /* on which something was read */
};

static enum err usual_get(struct db_conn *db, struct arena *a, const struct row *row, bool distinct,
                          struct usual *out)
{
    struct db_result r;
    int64_t sum = 0, last_day = -1, hour = row->bucket / HOUR_MS % 24;
    *out = (struct usual){0};
    enum err e =
        db_query(db, a, &r,
                 "SELECT bucket, n, sketch FROM trace_count WHERE metric = $1 AND grp = "
                 "$2 AND bucket >= $3 AND bucket < $4 ORDER BY bucket",
                 "isii", (int64_t)row->metric, row->grp, row->bucket - WEEKS_MS, row->bucket);
    for (size_t i = 0; e == ERR_OK && i < r.n_rows; i++) {
        int64_t at = db_i64(&r, i, 0), n = db_i64(&r, i, 1), of = at / HOUR_MS % 24;
        int64_t apart = of > hour ? of - hour : hour - of;
        sum += distinct ? (int64_t)trace_sketch_count(db_str(&r, i, 2)) : n;
        /* The hour just before belongs to what is going on now. */
        if ((apart <= 1 || apart == 23) && row->bucket - at > 2 * HOUR_MS)
            out->this_hour += n;
        out->days += at / 86400000 != last_day && row->bucket - at > 20 * HOUR_MS;
        last_day = at / 86400000;
    }
    if (e == ERR_OK && r.n_rows)
        out->mean = (sum + (int64_t)r.n_rows - 1) / (int64_t)r.n_rows;
    return e;
}

/* The window slides: a bucket and the one before it. */
static enum err with_previous(struct db_conn *db, struct arena *a, const struct row *row,
                              int64_t *n)
{
    struct db_result r;
    enum err e = db_query_one(db, a, &r,
                              "SELECT n FROM trace_count WHERE metric = $1 AND grp = $2 AND bucket "
                              "= $3",
                              "isi", (int64_t)row->metric, row->grp,
                              row->bucket - trace_bucket_ms[row->metric]);
    *n = row->n + (e == ERR_OK ? db_i64(&r, 0, 0) : 0);
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

static enum err acts_of(struct db_conn *db, struct arena *a, const struct row *row, int64_t *n)
{
    struct db_result r;
    enum err e = db_query_one(db, a, &r,
                              "SELECT n FROM trace_count WHERE metric = $1 AND grp = $2 AND bucket "
                              "= $3",
                              "isi", (int64_t)M_ACTS, row->grp, row->bucket);
    *n = e == ERR_OK ? db_i64(&r, 0, 0) : row->n;
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

/* ---- judging
 * ------------------------------------------------------------------------------------------
 */
struct judged {
    bool passed;
    int64_t n, usual;
};

static enum err judge(struct db_conn *db, struct arena *a, const struct trace_rule *rule,
                      const struct row *row, struct judged *out)
{
    struct usual u;
    int64_t acts;
    *out = (struct judged){.n = row->n};
    enum err e = ERR_OK;
    if (rule->measure == BY_DISTINCT)
        out->n = (int64_t)trace_sketch_count(row->sketch);
    if (rule->measure == BY_COUNT && rule->factor == 0)
        e = with_previous(db, a, row, &out->n);
    if (e != ERR_OK || out->n < rule->at_least)
        return e;
    switch (rule->measure) {
    case BY_SHARE:
        e = acts_of(db, a, row, &acts);
        out->passed = e == ERR_OK && row->n * 100 >= acts * rule->factor;
        out->usual = acts;
        return e;
    case BY_HOUR:
        e = usual_get(db, a, row, false, &u);
        out->passed = e == ERR_OK && u.days >= KNOWN_DAYS && u.this_hour == 0;
        return e;
    case BY_COUNT:
    case BY_DISTINCT:
        if (rule->factor == 0) {
            out->passed = true;
            return ERR_OK;
        }
        e = usual_get(db, a, row, rule->measure == BY_DISTINCT, &u);
        out->usual = u.mean;
        /* Who is new has no habits yet: the threshold itself stands for them. */
        if (u.days < KNOWN_DAYS && u.mean < rule->at_least)
            u.mean = rule->at_least;
        out->passed = e == ERR_OK && out->n > u.mean * rule->factor;
        return e;
    }
    return ERR_INTERNAL;
}

static enum err judge_row(struct ctx *c, struct db_conn *db, const struct row *row, int64_t now_ms)
{
    enum err e = ERR_OK;
    for (size_t i = 0; i < TRACE_RULES && e == ERR_OK; i++) {
        struct trace_rule rule = with_settings(&trace_rules[i], c->pf->settings->trace_rules);
        struct judged j;
        if (rule.metric != row->metric)
            continue;
        e = judge(db, c->arena, &rule, row, &j);
        if (e == ERR_OK && j.passed)
            e = trace_alert_raise(c, &rule, row->grp, j.n, j.usual, now_ms);
    }
    return e;
}

enum err trace_rules_run(struct platform *pf, int64_t now_ms)
{
    static int64_t
        seen_ms; /* of jobs' one thread; after a restart the last hour is looked at again */
    struct arena a;
    struct db_result r;
    arena_init(&a);
    struct ctx *c = ctx_make(pf, &a);
    struct db_conn *db = db_read(pf->db);
    int64_t from_ms = seen_ms ? seen_ms - OVERLAP_MS : now_ms - HOUR_MS;
    enum err e = !db ? ERR_UNAVAILABLE
                     : db_query(db, &a, &r,
                                "SELECT metric, grp, bucket, n, sketch, touched FROM trace_count "
                                "WHERE touched >= $1 ORDER BY touched LIMIT $2",
                                "ii", from_ms, (int64_t)LOOK_MAX);
    for (size_t i = 0; e == ERR_OK && i < r.n_rows; i++) {
        int64_t metric = db_i64(&r, i, 0);
        struct row row = {(enum trace_metric)metric, db_str(&r, i, 1), db_str(&r, i, 4),
                          db_i64(&r, i, 2), db_i64(&r, i, 3)};
        if (metric >= 0 && metric < METRICS)
            e = judge_row(c, db, &row, now_ms);
    }
    if (e == ERR_OK)
        seen_ms = r.n_rows == LOOK_MAX ? db_i64(&r, LOOK_MAX - 1, 5) + OVERLAP_MS : now_ms;
    ctx_free(c);
    arena_free(&a);
    return e;
}
