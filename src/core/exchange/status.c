/* What the owner of an API sees of it (F3.5.1): who uses it, how much, what goes wrong, what the
 * gateway refused to spare it. Page, API and command say the same. Counts are two seconds old at
 * most. */
#include "core/exchange/schema.h"

#include "base/clock.h"
#include "core/exchange/policy.h"
#include "web/pages.h"

enum { DAY_MS = 86400 * 1000, DAYS = 30 };

static json_t *text(const struct db_result *r, size_t row, size_t col)
{
    struct str s = db_str(r, row, col);
    return json_stringn(s.p ? s.p : "", s.n);
}

/* PostgreSQL sums into numeric, which comes as text. */
static int64_t sum(const struct db_result *r, size_t row, size_t col)
{
    int64_t n = db_i64(r, row, col);
    uint64_t of_text;
    return n == 0 && str_to_u64(db_str(r, row, col), &of_text) ? (int64_t)of_text : n;
}

static const char *const counts[] = {"calls",  "errors",  "slow",       "refused",
                                     "opened", "sampled", "departures", "took_us"};

static json_t *counted(const struct db_result *r, size_t row, size_t col)
{
    json_t *v = json_object();
    for (size_t i = 0; i < COUNT_OF(counts); i++)
        json_object_set_new(v, counts[i], json_integer(sum(r, row, col + i)));
    int64_t calls = sum(r, row, col), took_us = sum(r, row, col + COUNT_OF(counts) - 1);
    json_object_del(v, "took_us");
    json_object_set_new(v, "mean_ms", json_real(calls ? (double)(took_us / calls) / 1000 : 0));
    return v;
}

static enum err days_read(struct ctx *c, struct db_conn *db, struct str api, struct str version,
                          int64_t since_day, json_t **out)
{
    struct db_result r;
    enum err e = db_query(db, c->arena, &r,
                          "SELECT COALESCE(SUM(calls), 0), COALESCE(SUM(errors), 0), "
                          "COALESCE(SUM(slow), 0), COALESCE(SUM(refused), 0), "
                          "COALESCE(SUM(opened), 0), "
                          "COALESCE(SUM(sampled), 0), COALESCE(SUM(departures), 0), "
                          "COALESCE(SUM(took_us), 0) FROM exchange_health "
                          "WHERE api = $1 AND version = $2 AND day >= $3",
                          "ssi", api, version, since_day);
    if (e == ERR_OK)
        *out = counted(&r, 0, 0);
    return e;
}

static enum err consumers_read(struct ctx *c, struct db_conn *db, struct str api,
                               struct str version, int64_t today, json_t **out)
{
    struct db_result r;
    enum err e = db_query(
        db, c->arena, &r,
        "SELECT k.id, k.client_id, k.org_id, COALESCE(o.name_fr, k.org_id), "
        "COALESCE(o.name_en, k.org_id), k.state, k.quota_per_minute, "
        "COALESCE(SUM(CASE WHEN u.day = $3 THEN u.delivered ELSE 0 END), 0), "
        "COALESCE(SUM(CASE WHEN u.day = $3 THEN u.refused ELSE 0 END), 0), "
        "COALESCE(SUM(u.delivered), 0), COALESCE(SUM(u.refused), 0), COALESCE(MAX(u.last_at), 0) "
        "FROM contract k LEFT JOIN organisation o ON o.id = k.org_id "
        "LEFT JOIN exchange_usage u ON u.contract = k.id AND u.day > $4 "
        "WHERE k.api = $1 AND k.version = $2 "
        "GROUP BY k.id, k.client_id, k.org_id, o.name_fr, o.name_en, k.state, k.quota_per_minute "
        "ORDER BY 10 DESC, k.id LIMIT 500",
        "ssii", api, version, today, today - DAYS);
    if (e != ERR_OK)
        return e;
    json_t *items = json_array();
    for (size_t i = 0; i < r.n_rows; i++)
        json_array_append_new(
            items,
            json_pack("{s:o, s:o, s:o, s:{s:o, s:o}, s:o, s:I, s:I, s:I, s:I, s:I, s:I}",
                      "contract", text(&r, i, 0), "client_id", text(&r, i, 1), "org_id",
                      text(&r, i, 2), "name", "fr", text(&r, i, 3), "en", text(&r, i, 4), "state",
                      text(&r, i, 5), "quota_per_minute", (json_int_t)db_i64(&r, i, 6),
                      "delivered_today", (json_int_t)sum(&r, i, 7), "refused_today",
                      (json_int_t)sum(&r, i, 8), "delivered", (json_int_t)sum(&r, i, 9), "refused",
                      (json_int_t)sum(&r, i, 10), "last_at", (json_int_t)sum(&r, i, 11)));
    *out = items;
    return ERR_OK;
}

static enum err departures_read(struct ctx *c, struct db_conn *db, struct str api,
                                struct str version, json_t **out)
{
    struct db_result r;
    enum err e = db_query(db, c->arena, &r,
                          "SELECT path, rule, n, last_at FROM exchange_departure "
                          "WHERE api = $1 AND version = $2 ORDER BY n DESC, path LIMIT 50",
                          "ss", api, version);
    if (e != ERR_OK)
        return e;
    *out = json_array();
    for (size_t i = 0; i < r.n_rows; i++)
        json_array_append_new(*out,
                              json_pack("{s:o, s:o, s:I, s:I}", "path", text(&r, i, 0), "rule",
                                        text(&r, i, 1), "n", (json_int_t)db_i64(&r, i, 2),
                                        "last_at", (json_int_t)db_i64(&r, i, 3)));
    return ERR_OK;
}

static enum err one_read(struct ctx *c, const struct db_result *r, size_t row, json_t **out)
{
    struct db_conn *db = db_read(c->pf->db);
    struct str api = db_str(r, row, 0), version = db_str(r, row, 1);
    int64_t today = clock_now_ms() / DAY_MS;
    json_t *day = NULL, *month = NULL, *consumers = NULL, *policy = NULL, *departed = NULL;
    if (!db)
        return ERR_UNAVAILABLE;
    enum err e = days_read(c, db, api, version, today, &day);
    if (e == ERR_OK)
        e = days_read(c, db, api, version, today - DAYS + 1, &month);
    if (e == ERR_OK)
        e = consumers_read(c, db, api, version, today, &consumers);
    if (e == ERR_OK)
        e = departures_read(c, db, api, version, &departed);
    if (e == ERR_OK && json_read(db_str(r, row, 7), &policy, NULL) != ERR_OK)
        policy = json_object();
    if (e != ERR_OK) {
        json_decref(day);
        json_decref(month);
        json_decref(consumers);
        return e;
    }
    const char *state = db_str(r, row, 5).n ? db_z(r, row, 5) : "closed";
    *out = json_pack("{s:o, s:o, s:o, s:{s:o, s:o}, s:{s:s, s:I}, s:o, s:o, s:o, s:o, s:o}", "api",
                     text(r, row, 0), "version", text(r, row, 1), "org_id", text(r, row, 2),
                     "title", "fr", text(r, row, 3), "en", text(r, row, 4), "breaker", "state",
                     state, "since", (json_int_t)db_i64(r, row, 6), "today", day, "days_30", month,
                     "consumers", consumers, "gateway", policy, "departures", departed);
    return ERR_OK;
}

/* exchange.status: {org_id, api, version}, each optional -> items. */
enum err exchange_call_status(struct ctx *c, const json_t *args, json_t **out)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    struct str org = json_get_str(args, "org_id"), api = json_get_str(args, "api"),
               version = json_get_str(args, "version");
    enum err e = !db ? ERR_UNAVAILABLE
                     : db_query(db, c->arena, &r,
                                "SELECT a.id, a.version, a.org_id, a.title_fr, a.title_en, "
                                "COALESCE(b.state, ''), COALESCE(b.since_at, 0), a.policy "
                                "FROM api a LEFT JOIN exchange_breaker b ON b.api = a.id AND "
                                "b.version = a.version WHERE ($1 = '' OR a.org_id = $1) AND "
                                "($2 = '' OR a.id = $2) AND ($3 = '' OR a.version = $3) "
                                "ORDER BY a.id, a.version LIMIT 200",
                                "sss", org.p ? org : STR(""), api.p ? api : STR(""),
                                version.p ? version : STR(""));
    json_t *items = json_array();
    for (size_t i = 0; e == ERR_OK && i < r.n_rows; i++) {
        json_t *v;
        e = one_read(c, &r, i, &v);
        if (e == ERR_OK)
            json_array_append_new(items, v);
    }
    if (e != ERR_OK) {
        json_decref(items);
        return e;
    }
    *out = json_pack("{s:o}", "items", items);
    return ERR_OK;
}

/* The APIs of the site's body, or one of them. */
static enum err mine(struct ctx *c, json_t **items)
{
    json_t *out, *args = json_pack("{s:s%}", "org_id", c->site->org_id.p, c->site->org_id.n);
    static const char *const names[] = {"api", "version"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct str v = ctx_path(c, names[i]);
        if (v.p)
            json_object_set_new(args, names[i], json_stringn(v.p, v.n));
    }
    enum err e =
        c->site->org_id.n ? platform_call(c, "exchange.status", args, &out) : ERR_NOT_FOUND;
    json_decref(args);
    if (e == ERR_OK)
        *items = json_get(out, "items");
    return e == ERR_OK && ctx_path(c, "api").p && json_array_size(*items) == 0 ? ERR_NOT_FOUND : e;
}

enum err exchange_api_status(struct ctx *c)
{
    json_t *items;
    enum err e = mine(c, &items);
    return e == ERR_OK ? ctx_json(c, 200, json_pack("{s:O}", "items", items)) : e;
}

enum err exchange_api_status_one(struct ctx *c)
{
    json_t *items;
    enum err e = mine(c, &items);
    return e == ERR_OK ? ctx_json(c, 200, json_incref(json_array_get(items, 0))) : e;
}

/* ---- pages --------------------------------------------------------------------------------------
 */
static void state_shown(struct ctx *c, json_t *v)
{
    const char *state = json_get_z(json_get(v, "breaker"), "state", "closed");
    bool closed = strcmp(state, "closed") == 0;
    static const char *const stretches[] = {"today", "days_30"};
    for (size_t i = 0; i < COUNT_OF(stretches); i++) { /* a person reads whole milliseconds */
        json_t *one = json_object_get(v, stretches[i]);
        double mean = json_number_value(json_object_get(one, "mean_ms"));
        json_object_set_new(one, "mean_ms", json_integer((json_int_t)(mean + 0.5)));
    }
    int64_t since_ms = json_get_i64(json_get(v, "breaker"), "since", 0);
    json_object_set_new(v, "state_key", json_sprintf("status.state.%s", state));
    json_object_set_new(
        v, "tag",
        json_pack("{s:s, s:o}", "kind", closed ? "success" : "error", "label",
                  json_string(pages_text(c->arena, "exchange",
                                         closed                       ? "status.state.closed"
                                         : strcmp(state, "open") == 0 ? "status.state.open"
                                                                      : "status.state.half-open",
                                         c->lang, NULL)
                                  .p)));
    json_object_set_new(v, "spared", json_boolean(!closed));
    if (since_ms) {
        struct str at = clock_in_words(c->arena, since_ms, c->lang, true);
        json_object_set_new(v, "since", json_stringn(at.p, at.n));
    }
}

enum err exchange_page_status(struct ctx *c)
{
    json_t *items, *v;
    size_t i;
    enum err e = mine(c, &items);
    if (e != ERR_OK)
        return e;
    json_t *copy = json_deep_copy(items);
    json_array_foreach(copy, i, v)
    {
        state_shown(c, v);
        json_object_set_new(v, "n_consumers",
                            json_integer((json_int_t)json_array_size(json_get(v, "consumers"))));
    }
    return ctx_page(c, "exchange/status",
                    json_pack("{s:o, s:b}", "items", copy, "some", json_array_size(copy) > 0));
}

enum err exchange_page_status_one(struct ctx *c)
{
    json_t *items, *k;
    size_t i;
    enum err e = mine(c, &items);
    if (e != ERR_OK)
        return e;
    json_t *v = json_deep_copy(json_array_get(items, 0));
    state_shown(c, v);
    json_array_foreach(json_get(v, "consumers"), i, k)
    {
        int64_t last_ms = json_get_i64(k, "last_at", 0);
        struct str at = last_ms ? clock_in_words(c->arena, last_ms, c->lang, true) : STR("");
        json_object_set_new(k, "last", json_stringn(at.p, at.n));
    }
    json_object_set_new(v, "some", json_boolean(json_array_size(json_get(v, "consumers")) > 0));
    json_object_set_new(v, "departs", json_boolean(json_array_size(json_get(v, "departures")) > 0));
    return ctx_page(c, "exchange/status_one", v);
}
