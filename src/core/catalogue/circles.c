/* The three circles and their duties: who may stand where, what must be shown for it, and the way
 * from the partners to the commons. */
#include "core/catalogue/catalogue.h"

#include <stdlib.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/rand.h"

enum { PROPOSE_AT = 5, TICK_EVERY_MS = 60 * 1000 };

static const struct {
    const char *name; /* of `about`; texts: evidence.<name> */
    int circle;       /* needed in this circle and further in */
} evidence[] = {
    {"documented", 2},  {"contact", 2}, {"licence", 2},     {"availability", 2},
    {"responsible", 2}, {"terms", 2},   {"legal_basis", 1}, {"support", 1},
};

static bool is_private(struct ctx *c, struct str org_id)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    if (!db || db_query_one(db, c->arena, &r, "SELECT kind FROM organisation WHERE id = $1", "s",
                            org_id) != ERR_OK)
        return false;
    struct str kind = db_str(&r, 0, 0);
    return str_eq_z(kind, "private") || str_eq_z(kind, "partner");
}

static bool is_shown(const json_t *about, const char *name)
{
    const json_t *v = json_get(about, name);
    return json_is_string(v) ? json_string_length(v) > 0 : json_object_size(v) > 0;
}

enum err circle_evidence(struct ctx *c, struct str org_id, const json_t *about, bool documented,
                         int circle, json_t **missing)
{
    *missing = json_own(&c->pool, json_array());
    if (circle < 1 || circle > 3)
        return ERR_INVALID;
    if (circle < 3 && is_private(c, org_id))
        return ERR_DENIED;
    for (size_t i = 0; i < COUNT_OF(evidence); i++) {
        bool there = i == 0 ? documented : is_shown(about, evidence[i].name);
        if (circle <= evidence[i].circle && !there)
            json_array_append_new(*missing, json_string(evidence[i].name));
    }
    return ERR_OK;
}

/* ---- decisions ----------------------------------------------------------------------------------
 */
struct circle_row {
    char id[ID_LEN + 1];
    struct str api, actor, reason;
    const char *kind; /* "proposed", "accepted", "refused" */
    int from, to;
    int64_t subscribers, now_ms;
};

static enum err circle_insert(struct db_conn *db, void *arg)
{
    const struct circle_row *r = arg;
    return db_exec(db,
                   "INSERT INTO catalogue_circle(id, api, kind, from_circle, to_circle, "
                   "subscribers, reason, actor, at_ms) VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                   "zsziiissi", r->id, r->api, r->kind, (int64_t)r->from, (int64_t)r->to,
                   r->subscribers, r->reason, r->actor, r->now_ms);
}

static enum err circle_write(struct ctx *c, struct circle_row *r)
{
    struct act act;
    id_new(r->id);
    r->now_ms = clock_now_ms();
    struct act_info info = {.kind = arena_printf(c->arena, "catalogue.circle.%s", r->kind).p,
                            .actor = r->actor,
                            .object = r->api};
    enum err e = act_make(c, &info, &act);
    return e == ERR_OK ? act_write(c, circle_insert, r, &act, 1) : e;
}

/* The newest version of an API: its row of exchange.apis; NULL: none. */
static json_t *newest(struct ctx *c, struct str api)
{
    json_t *items, *v, *found = NULL;
    size_t i;
    if (catalogue_apis(c, &items) != ERR_OK)
        return NULL;
    json_array_foreach(items, i, v)
    {
        if (str_eq(json_get_str(v, "id"), api))
            found = v;
    }
    return found;
}

/* The declaration anew, with another circle: what gateways and pages read. */
static enum err circle_set(struct ctx *c, const json_t *v, int circle)
{
    json_t *out, *args = json_pack("{s:O, s:O, s:i}", "id", json_get(v, "id"), "version",
                                   json_get(v, "version"), "circle", circle);
    enum err e = platform_call(c, "exchange.circle_set", args, &out);
    json_decref(args);
    return e;
}

/* catalogue.circle: {api, circle, reason, accept, actor}: the operator's decision, with a trace. */
enum err circle_call_decide(struct ctx *c, const json_t *args, json_t **out)
{
    struct str api = json_get_str(args, "api"), reason = json_get_str(args, "reason");
    bool accept = json_get_bool(args, "accept", true);
    json_t *missing, *v = newest(c, api);
    if (!v)
        return ERR_NOT_FOUND;
    int from = (int)json_get_i64(v, "circle", 3), to = (int)json_get_i64(args, "circle", from - 1);
    struct str org_id = json_get_str(json_get(v, "provider"), "id");
    enum err e = circle_evidence(c, org_id, json_get(v, "about"),
                                 json_get_bool(v, "documented", false), to, &missing);
    *out = json_pack("{s:s%, s:i, s:i, s:O, s:b}", "api", api.p, api.n, "from", from, "to", to,
                     "missing", missing, "done", 0);
    if (e == ERR_DENIED)
        json_object_set_new(*out, "refused", json_string("private-provider"));
    if (e != ERR_OK || reason.n == 0)
        return e == ERR_DENIED ? ERR_OK : e != ERR_OK ? e : ERR_INVALID;
    if (accept && json_array_size(missing)) {
        json_object_set_new(*out, "refused", json_string("evidence"));
        return ERR_OK;
    }
    struct circle_row row = {.api = api,
                             .kind = accept ? "accepted" : "refused",
                             .from = from,
                             .to = to,
                             .reason = reason,
                             .actor = c->session ? c->session->subject : STR("operator")};
    if (accept)
        e = circle_set(c, v, to);
    if (e == ERR_OK)
        e = circle_write(c, &row);
    json_object_set_new(*out, "done", json_boolean(e == ERR_OK));
    return e;
}

enum err circle_history(struct ctx *c, struct str api, json_t **items)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    enum err e = !db ? ERR_UNAVAILABLE
                     : db_query(db, c->arena, &r,
                                "SELECT kind, from_circle, to_circle, subscribers, reason, actor, "
                                "at_ms FROM catalogue_circle WHERE api = $1 ORDER BY at_ms, id",
                                "s", api);
    if (e != ERR_OK)
        return e;
    *items = json_own(&c->pool, json_array());
    for (size_t i = 0; i < r.n_rows; i++)
        json_array_append_new(
            *items,
            json_pack("{s:s, s:o, s:i, s:i, s:I, s:s, s:s, s:I, s:o}", "kind", db_z(&r, i, 0),
                      "kind_key", json_sprintf("circle.event.%s", db_z(&r, i, 0)), "from",
                      (int)db_i64(&r, i, 1), "to", (int)db_i64(&r, i, 2), "subscribers",
                      (json_int_t)db_i64(&r, i, 3), "reason", db_z(&r, i, 4), "actor",
                      db_z(&r, i, 5), "at", (json_int_t)db_i64(&r, i, 6), "when",
                      jstr(clock_in_words(c->arena, db_i64(&r, i, 6), c->lang, false))));
    return ERR_OK;
}

/* ---- proposals ----------------------------------------------------------------------------------
 */
static int64_t subscribers_of(const json_t *all, struct str api)
{
    size_t i;
    json_t *v;
    int64_t most = 0;
    json_array_foreach(all, i, v)
    {
        int64_t n = json_get_i64(v, "organisations", 0);
        if (str_eq(json_get_str(v, "api"), api) && n > most)
            most = n;
    }
    return most;
}

/* {items: [{api, title, provider, subscribers, threshold, missing, decided}]} of the third circle.
 */
enum err circle_call_proposals(struct ctx *c, const json_t *args, json_t **out)
{
    json_t *subs, *items, *history, *missing, *v;
    size_t i;
    (void)args;
    enum err e = platform_call(c, "exchange.subscribers", NULL, &subs);
    if (e == ERR_OK)
        e = catalogue_apis(c, &items);
    if (e != ERR_OK)
        return e;
    *out = json_pack("{s:[], s:i}", "items", "threshold", PROPOSE_AT);
    json_array_foreach(items, i, v)
    {
        struct str api = json_get_str(v, "id");
        int64_t n = subscribers_of(json_get(subs, "items"), api);
        if (json_get_i64(v, "circle", 3) != 3 || n < PROPOSE_AT ||
            circle_history(c, api, &history) != ERR_OK)
            continue;
        const json_t *last = json_array_get(history, json_array_size(history) - 1);
        const char *kind = json_get_z(last, "kind", "");
        if (strcmp(kind, "refused") == 0 && n < json_get_i64(last, "subscribers", 0) * 2)
            continue; /* asked again when it has twice as many */
        if (circle_evidence(c, json_get_str(json_get(v, "provider"), "id"), json_get(v, "about"),
                            json_get_bool(v, "documented", false), 2, &missing) != ERR_OK)
            continue;
        json_array_append_new(json_get(*out, "items"),
                              json_pack("{s:O, s:O, s:O, s:I, s:O, s:b}", "api", json_get(v, "id"),
                                        "title", json_get(v, "title"), "provider",
                                        json_get(v, "provider"), "subscribers", (json_int_t)n,
                                        "missing", missing, "told", strcmp(kind, "proposed") == 0));
    }
    return ERR_OK;
}

/* In jobs: a proposal that is not told yet is written down, which tells the operator. */
void circle_tick(struct platform *pf, int64_t now_ms)
{
    static int64_t next_ms;
    struct arena a;
    json_t *out, *v;
    size_t i;
    if (now_ms < next_ms)
        return;
    next_ms = now_ms + TICK_EVERY_MS;
    arena_init(&a);
    struct ctx *c = ctx_make(pf, &a);
    if (platform_call(c, "catalogue.proposals", NULL, &out) == ERR_OK) {
        json_array_foreach(json_get(out, "items"), i, v)
        {
            struct circle_row row = {.api = json_get_str(v, "api"),
                                     .kind = "proposed",
                                     .from = 3,
                                     .to = 2,
                                     .reason = STR(""),
                                     .actor = STR("socle"),
                                     .subscribers = json_get_i64(v, "subscribers", 0)};
            if (json_get_bool(v, "told", false))
                continue;
            enum err e = circle_write(c, &row);
            log_info("circle_proposed", "api", json_get_z(v, "api", ""), "result", err_name(e));
        }
    }
    ctx_free(c);
    arena_free(&a);
}
