/* What is shown of the pings: the state of each provider now, its availability over 90 days, its
 * incidents; and of each reference set what is measured beside what was committed to. */
#include "core/catalogue/status.h"

#include "base/clock.h"
#include "core/catalogue/catalogue.h"
#include "web/pages.h"

enum { DAY_MS = 86400 * 1000, INCIDENTS = 10, UNKNOWN = -1 };

struct figures {
    int64_t ok, failed, took_ms;
    int day[STATUS_DAYS]; /* per 10,000, oldest first; UNKNOWN */
};

static int share(int64_t ok, int64_t failed)
{
    return ok + failed ? (int)(ok * 10000 / (ok + failed)) : UNKNOWN;
}

static enum err figures_get(struct ctx *c, const json_t *api, int64_t today, struct figures *f)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    enum err e = db ? db_query(db, c->arena, &r,
                               "SELECT day, ok, failed, took_ms FROM catalogue_ping WHERE api = $1 "
                               "AND version = $2 AND day > $3",
                               "ssi", json_get_str(api, "id"), json_get_str(api, "version"),
                               today - STATUS_DAYS)
                    : ERR_UNAVAILABLE;
    *f = (struct figures){0};
    for (size_t i = 0; i < STATUS_DAYS; i++)
        f->day[i] = UNKNOWN;
    for (size_t i = 0; e == ERR_OK && i < r.n_rows; i++) {
        int64_t at = db_i64(&r, i, 0) - today + STATUS_DAYS - 1;
        f->ok += db_i64(&r, i, 1);
        f->failed += db_i64(&r, i, 2);
        f->took_ms += db_i64(&r, i, 3);
        if (at >= 0 && at < STATUS_DAYS)
            f->day[at] = share(db_i64(&r, i, 1), db_i64(&r, i, 2));
    }
    return e;
}

static enum err incidents_add(struct ctx *c, const json_t *api, json_t *v)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    enum err e = db ? db_query(db, c->arena, &r,
                               "SELECT began_ms, ended_ms, status FROM catalogue_incident WHERE "
                               "api = $1 AND version = $2 ORDER BY began_ms DESC LIMIT 10",
                               "ss", json_get_str(api, "id"), json_get_str(api, "version"))
                    : ERR_UNAVAILABLE;
    json_t *list = json_array();
    for (size_t i = 0; e == ERR_OK && i < r.n_rows; i++)
        json_array_append_new(
            list, json_pack("{s:I,s:I,s:I}", "began", (json_int_t)db_i64(&r, i, 0), "ended",
                            (json_int_t)db_i64(&r, i, 1), "status", (json_int_t)db_i64(&r, i, 2)));
    json_object_set_new(v, "incidents", list);
    return e;
}

/* What its body commits to, and whether it holds: availability in percent, days of age at most. */
static void reference_add(const json_t *api, json_t *v, int availability, int64_t modified_ms)
{
    const json_t *said = json_get(json_get(api, "about"), "reference");
    if (!json_is_object(said))
        return;
    double wanted = json_number_value(json_get(said, "availability"));
    int64_t days = json_get_i64(said, "freshness-days", 0);
    int64_t age = modified_ms ? (clock_now_ms() - modified_ms) / DAY_MS : UNKNOWN;
    json_t *ref = json_pack("{s:f,s:I}", "availability_committed", wanted, "freshness_committed",
                            (json_int_t)days);
    if (availability != UNKNOWN) {
        json_object_set_new(ref, "availability_holds",
                            json_boolean(availability >= (int)(wanted * 100 + 0.5)));
    }
    if (age != UNKNOWN) {
        json_object_set_new(ref, "age_days", json_integer(age < 0 ? 0 : age));
        json_object_set_new(ref, "modified_at", json_integer(modified_ms));
        json_object_set_new(ref, "freshness_holds", json_boolean(!days || age <= days));
    }
    json_object_set_new(v, "reference", ref);
}

static enum err one(struct ctx *c, const json_t *api, int64_t today, json_t **out)
{
    struct db_result r;
    struct figures f;
    struct db_conn *db = db_read(c->pf->db);
    enum err e = db ? db_query_one(db, c->arena, &r,
                                   "SELECT up, at_ms, took_ms, modified_ms FROM catalogue_state "
                                   "WHERE api = $1 AND version = $2",
                                   "ss", json_get_str(api, "id"), json_get_str(api, "version"))
                    : ERR_UNAVAILABLE;
    bool asked = e == ERR_OK;
    if (e == ERR_OK || e == ERR_NOT_FOUND)
        e = figures_get(c, api, today, &f);
    if (e != ERR_OK)
        return e;
    const char *state = !asked ? "unknown" : db_i64(&r, 0, 0) ? "up" : "down";
    int availability = share(f.ok, f.failed);
    json_t *v = json_own(
        &c->pool, json_pack("{s:O,s:O,s:O,s:O,s:O,s:O,s:s,s:I,s:I}", "api", json_get(api, "id"),
                            "version", json_get(api, "version"), "title", json_get(api, "title"),
                            "provider", json_get(api, "provider"), "circle",
                            json_get(api, "circle"), "url", json_get(api, "url"), "state", state,
                            "at", (json_int_t)(asked ? db_i64(&r, 0, 1) : 0), "took_ms",
                            (json_int_t)(f.ok ? f.took_ms / f.ok : 0)));
    json_t *days = json_array();
    for (size_t i = 0; i < STATUS_DAYS; i++)
        json_array_append_new(days, json_integer(f.day[i]));
    json_object_set_new(v, "days", days);
    if (availability != UNKNOWN)
        json_object_set_new(v, "availability", json_integer(availability));
    reference_add(api, v, availability, asked ? db_i64(&r, 0, 3) : 0);
    *out = v;
    return incidents_add(c, api, v);
}

enum err status_all(struct ctx *c, json_t **out)
{
    json_t *apis, *api, *v, *items;
    size_t i, up = 0, down = 0;
    int64_t today = clock_now_ms() / DAY_MS;
    enum err e = catalogue_public(c, &apis);
    items = json_own(&c->pool, json_array());
    json_array_foreach(e == ERR_OK ? apis : NULL, i, api)
    {
        if (e == ERR_OK)
            e = one(c, api, today, &v);
        if (e != ERR_OK)
            break;
        json_array_append(items, v);
        up += strcmp(json_get_z(v, "state", ""), "up") == 0;
        down += strcmp(json_get_z(v, "state", ""), "down") == 0;
    }
    if (e == ERR_OK)
        *out =
            json_own(&c->pool, json_pack("{s:I,s:i,s:i,s:i,s:O}", "at", (json_int_t)clock_now_ms(),
                                         "up", (int)up, "down", (int)down, "total",
                                         (int)json_array_size(items), "items", items));
    return e;
}

/* ---- shown --------------------------------------------------------------------------------------
 */
static json_t *percent(struct ctx *c, int per_10000)
{
    const char *mark = strcmp(c->lang, "en") == 0 ? "." : ",";
    const char *unit = strcmp(c->lang, "en") == 0 ? "%" : "\302\240%";
    return json_sprintf("%d%s%02d%s", per_10000 / 100, mark, per_10000 % 100, unit);
}

static json_t *words(struct ctx *c, const char *key)
{
    return jstr(pages_text(c->arena, "catalogue", key, c->lang, NULL));
}

/* A bar a day, 90 of them, 3 wide and one apart. */
static json_t *bars(const json_t *days)
{
    json_t *list = json_array();
    for (size_t i = 0; i < json_array_size(days); i++) {
        json_int_t n = json_integer_value(json_array_get(days, i));
        const char *kind = n < 0 ? "none" : n >= 9990 ? "good" : n >= 9000 ? "fair" : "poor";
        int height = n < 0 ? 4 : 4 + (int)(n * 20 / 10000);
        json_array_append_new(list, json_pack("{s:i,s:i,s:i,s:s}", "x", (int)i * 4, "y",
                                              24 - height, "height", height, "kind", kind));
    }
    return list;
}

static json_t *incidents_shown(struct ctx *c, const json_t *list)
{
    json_t *out = json_array(), *v;
    size_t i;
    json_array_foreach(list, i, v)
    {
        int64_t ended_ms = json_get_i64(v, "ended", 0);
        json_t *one =
            json_pack("{s:o}", "began",
                      jstr(clock_in_words(c->arena, json_get_i64(v, "began", 0), c->lang, true)));
        if (ended_ms)
            json_object_set_new(one, "ended",
                                jstr(clock_in_words(c->arena, ended_ms, c->lang, true)));
        json_array_append_new(out, one);
    }
    return out;
}

static json_t *item_shown(struct ctx *c, const json_t *v)
{
    const char *state = json_get_z(v, "state", "");
    const char *kind = strcmp(state, "up") == 0     ? "success"
                       : strcmp(state, "down") == 0 ? "error"
                                                    : "";
    int64_t at_ms = json_get_i64(v, "at", 0);
    json_t *one = json_pack(
        "{s:O,s:O,s:O,s:O,s:o,s:{s:s,s:o},s:O,s:o}", "title", json_get(v, "title"), "version",
        json_get(v, "version"), "provider", json_get(v, "provider"), "url", json_get(v, "url"),
        "bars", bars(json_get(v, "days")), "tag", "kind", kind, "label",
        words(c, arena_printf(c->arena, "state.%s", state).p), "took_ms", json_get(v, "took_ms"),
        "at", jstr(at_ms ? clock_in_words(c->arena, at_ms, c->lang, true) : STR("")));
    if (json_get(v, "availability"))
        json_object_set_new(one, "availability",
                            percent(c, (int)json_get_i64(v, "availability", 0)));
    if (json_array_size(json_get(v, "incidents")))
        json_object_set_new(
            one, "incidents",
            json_pack("{s:o}", "items", incidents_shown(c, json_get(v, "incidents"))));
    return one;
}

enum err page_status(struct ctx *c)
{
    json_t *all, *v, *items = json_array();
    size_t i;
    enum err e = status_all(c, &all);
    json_array_foreach(e == ERR_OK ? json_get(all, "items") : NULL, i, v)
    {
        json_array_append_new(items, item_shown(c, v));
    }
    json_t *d = json_pack("{s:o,s:O?,s:O?,s:O?,s:b}", "items", items, "up", json_get(all, "up"),
                          "down", json_get(all, "down"), "total", json_get(all, "total"), "some",
                          json_array_size(items) > 0);
    return e == ERR_OK ? ctx_page(c, "catalogue/status", d) : (json_decref(d), e);
}

enum err api_status(struct ctx *c)
{
    json_t *all;
    enum err e = status_all(c, &all);
    return e == ERR_OK ? ctx_json(c, 200, json_incref(all)) : e;
}

/* ---- reference sets -----------------------------------------------------------------------------
 */
static enum err references(struct ctx *c, json_t **out)
{
    json_t *all, *v;
    size_t i;
    enum err e = status_all(c, &all);
    *out = json_own(&c->pool, json_array());
    json_array_foreach(e == ERR_OK ? json_get(all, "items") : NULL, i, v)
    {
        if (json_get(v, "reference"))
            json_array_append(*out, v);
    }
    return e;
}

static json_t *verdict(struct ctx *c, const json_t *ref, const char *member)
{
    const json_t *v = json_get(ref, member);
    const char *key = !v                ? "reference.unknown"
                      : json_is_true(v) ? "reference.holds"
                                        : "reference.fails";
    return json_pack("{s:s,s:o}", "kind",
                     !v                ? ""
                     : json_is_true(v) ? "success"
                                       : "error",
                     "label", words(c, key));
}

static json_t *reference_shown(struct ctx *c, const json_t *v)
{
    const json_t *ref = json_get(v, "reference");
    double wanted = json_number_value(json_get(ref, "availability_committed"));
    json_t *one = json_pack(
        "{s:O,s:O,s:O,s:O,s:o,s:o,s:o,s:O}", "title", json_get(v, "title"), "version",
        json_get(v, "version"), "provider", json_get(v, "provider"), "url", json_get(v, "url"),
        "availability_committed", percent(c, (int)(wanted * 100 + 0.5)), "availability_tag",
        verdict(c, ref, "availability_holds"), "freshness_tag", verdict(c, ref, "freshness_holds"),
        "freshness_committed", json_get(ref, "freshness_committed"));
    if (json_get(v, "availability"))
        json_object_set_new(one, "availability",
                            percent(c, (int)json_get_i64(v, "availability", 0)));
    if (json_get(ref, "modified_at"))
        json_object_set_new(
            one, "modified",
            jstr(clock_in_words(c->arena, json_get_i64(ref, "modified_at", 0), c->lang, false)));
    return one;
}

enum err page_references(struct ctx *c)
{
    json_t *list, *v, *items = json_array();
    size_t i;
    enum err e = references(c, &list);
    json_array_foreach(list, i, v)
    {
        json_array_append_new(items, reference_shown(c, v));
    }
    json_t *d = json_pack("{s:o,s:b}", "items", items, "some", json_array_size(items) > 0);
    return e == ERR_OK ? ctx_page(c, "catalogue/references", d) : (json_decref(d), e);
}

enum err api_references(struct ctx *c)
{
    json_t *list;
    enum err e = references(c, &list);
    return e == ERR_OK ? ctx_json(c, 200, json_pack("{s:O}", "items", list)) : e;
}
