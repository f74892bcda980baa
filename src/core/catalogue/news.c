/* Who is told of new sources, and how many of a body's systems can be asked by program. */
#include "core/catalogue/catalogue.h"

#include "base/clock.h"
#include "platform/hook.h"

/* ---- new sources --------------------------------------------------------------------------------
 */
struct follow_job {
    struct str org_id, topic;
    int64_t now_ms;
    bool stop;
};

static enum err follow_closure(struct db_conn *db, void *arg)
{
    const struct follow_job *job = arg;
    if (job->stop)
        return db_exec(db, "DELETE FROM catalogue_follower WHERE org_id = $1 AND topic = $2", "ss",
                       job->org_id, job->topic);
    return db_exec(db,
                   "INSERT INTO catalogue_follower(org_id, topic, since_ms) VALUES($1, $2, $3) "
                   "ON CONFLICT (org_id, topic) DO NOTHING",
                   "ssi", job->org_id, job->topic, job->now_ms);
}

/* catalogue.follow: {org_id, topic, stop}: an empty topic is all new sources. */
enum err news_call_follow(struct ctx *c, const json_t *args, json_t **out)
{
    struct str topic = json_get_str(args, "topic");
    struct follow_job job = {json_get_str(args, "org_id"), topic.p ? topic : STR(""),
                             clock_now_ms(), json_get_bool(args, "stop", false)};
    if (!job.org_id.n || topic.n > 100)
        return ERR_INVALID;
    enum err e = db_write(c->pf->db, follow_closure, &job);
    if (e == ERR_OK)
        *out = json_object();
    return e;
}

/* catalogue.news: {org_id} -> items: [{api, version, kind, topic, at, url}], newest first. */
enum err news_call_list(struct ctx *c, const json_t *args, json_t **out)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    enum err e = !db ? ERR_UNAVAILABLE
                     : db_query(db, c->arena, &r,
                                "SELECT api, version, kind, topic, at_ms FROM catalogue_news "
                                "WHERE org_id = $1 ORDER BY at_ms DESC LIMIT 200",
                                "s", json_get_str(args, "org_id"));
    if (e != ERR_OK)
        return e;
    json_t *items = json_array();
    for (size_t i = 0; i < r.n_rows; i++) {
        const char *api = db_z(&r, i, 0), *version = db_z(&r, i, 1), *kind = db_z(&r, i, 2);
        bool departed = strcmp(kind, "departed") == 0;
        struct str url = departed ? arena_printf(c->arena, "/agent/suivi/%s/%s", api, version)
                                  : arena_printf(c->arena, "%s/catalogue/%s/%s",
                                                 c->pf->settings->base_url, api, version);
        json_array_append_new(items, json_pack("{s:s, s:s, s:s, s:s, s:I, s:b, s:o}", "api", api,
                                               "version", version, "kind", kind, "topic",
                                               db_z(&r, i, 3), "at", (json_int_t)db_i64(&r, i, 4),
                                               "departed", departed, "url", jstr(url)));
    }
    *out = json_pack("{s:o}", "items", items);
    return ERR_OK;
}

enum err api_follow(struct ctx *c)
{
    json_t *out, *args = json_pack("{s:o, s:o, s:b}", "org_id", jstr(c->site->org_id), "topic",
                                   jstr(ctx_form(c, "topic")), "stop", ctx_form(c, "stop").n > 0);
    enum err e = platform_call(c, "catalogue.follow", args, &out);
    json_decref(args);
    return e == ERR_OK ? ctx_json(c, 200, json_pack("{s:b}", "done", 1)) : e;
}

enum err api_news(struct ctx *c)
{
    json_t *out, *args = json_pack("{s:o}", "org_id", jstr(c->site->org_id));
    enum err e = platform_call(c, "catalogue.news", args, &out);
    json_decref(args);
    return e == ERR_OK ? ctx_json(c, 200, json_incref(out)) : e;
}

/* ---- answers that depart --------------------------------------------------------------------
 */
enum { TOLD_AGAIN_MS = 24 * 3600 * 1000 };

struct departed_job {
    struct str org_id, api, version, members;
    int64_t now_ms;
};

/* Once a day of each version at most: what was found meanwhile stands on its page. */
static enum err departed_closure(struct db_conn *db, void *arg)
{
    const struct departed_job *job = arg;
    int64_t changed;
    enum err e = db_exec_count(
        db, &changed,
        "INSERT INTO catalogue_news(org_id, api, version, kind, topic, at_ms) VALUES($1, $2, $3, "
        "'departed', '', $4) ON CONFLICT (org_id, api, version, kind) DO UPDATE SET at_ms = $4 "
        "WHERE catalogue_news.at_ms <= $5",
        "sssii", job->org_id, job->api, job->version, job->now_ms, job->now_ms - TOLD_AGAIN_MS);
    return e == ERR_OK && changed
               ? hook_queue(db, job->org_id, "catalogue.departed", job->members, job->now_ms)
               : e;
}

/* catalogue.departed: {api, version, items: [{path, rule}]}: the producer is told, in its news and
 * at its address, that answers are not as its description says. */
enum err news_call_departed(struct ctx *c, const json_t *args, json_t **out)
{
    struct catalogue_entry entry;
    struct departed_job job = {.api = json_get_str(args, "api"),
                               .version = json_get_str(args, "version"),
                               .now_ms = clock_now_ms()};
    enum err e = catalogue_entry_get(c, job.api, job.version, false, &entry);
    if (e != ERR_OK)
        return e;
    job.org_id = entry.org_id;
    job.members = json_text(c->arena, args);
    e = db_write(c->pf->db, departed_closure, &job);
    if (e == ERR_OK)
        *out = json_object();
    return e;
}

/* ---- systems ------------------------------------------------------------------------------------
 */
static enum err system_closure(struct db_conn *db, void *arg)
{
    const json_t *v = arg;
    return db_exec(db,
                   "INSERT INTO catalogue_system(org_id, name, api) VALUES($1, $2, $3) "
                   "ON CONFLICT (org_id, name) DO UPDATE SET api = $3",
                   "sss", json_get_str(v, "org_id"), json_get_str(v, "name"),
                   json_get_str(v, "api"));
}

enum err system_call_put(struct ctx *c, const json_t *args, json_t **out)
{
    struct str org_id = json_get_str(args, "org_id"), name = json_get_str(args, "name");
    if (!org_id.n || !name.n || name.n > 200 || !json_get_str(args, "api").p)
        return ERR_INVALID;
    enum err e = db_write(c->pf->db, system_closure, (void *)args);
    if (e == ERR_OK)
        *out = json_object();
    return e;
}

static json_t *rate_of(json_t *items, struct str org_id)
{
    size_t i;
    json_t *v;
    json_array_foreach(items, i, v)
    {
        if (str_eq(json_get_str(v, "org_id"), org_id))
            return v;
    }
    v = json_pack("{s:o, s:i, s:i, s:i}", "org_id", jstr(org_id), "systems", 0, "with_api", 0,
                  "percent", 0);
    json_array_append_new(items, v);
    return v;
}

static void count(json_t *v, bool with_api)
{
    int64_t all = json_get_i64(v, "systems", 0) + 1;
    int64_t with = json_get_i64(v, "with_api", 0) + with_api;
    json_object_set_new(v, "systems", json_integer(all));
    json_object_set_new(v, "with_api", json_integer(with));
    json_object_set_new(v, "percent", json_integer(with * 100 / all));
}

static bool is_catalogued(const json_t *apis, struct str id)
{
    size_t i;
    json_t *v;
    json_array_foreach(apis, i, v)
    {
        if (id.n && str_eq(json_get_str(v, "id"), id))
            return true;
    }
    return false;
}

/* catalogue.rates -> items: [{org_id, org_name{fr,en}, systems, with_api, percent}]. A system has
 * an API when the map names one and the catalogue holds it. */
enum err rates_call(struct ctx *c, const json_t *args, json_t **out)
{
    struct db_result r;
    json_t *apis, *items;
    struct db_conn *db = db_read(c->pf->db);
    (void)args;
    enum err e = !db ? ERR_UNAVAILABLE
                     : db_query(db, c->arena, &r,
                                "SELECT s.org_id, s.name, s.api, COALESCE(o.name_fr, s.org_id), "
                                "COALESCE(o.name_en, s.org_id) FROM catalogue_system s "
                                "LEFT JOIN organisation o ON o.id = s.org_id "
                                "ORDER BY s.org_id, s.name",
                                "");
    if (e == ERR_OK)
        e = catalogue_apis(c, &apis);
    if (e != ERR_OK)
        return e;
    *out = json_pack("{s:[]}", "items");
    items = json_get(*out, "items");
    for (size_t i = 0; i < r.n_rows; i++) {
        json_t *v = rate_of(items, db_str(&r, i, 0));
        json_object_set_new(v, "org_name",
                            json_pack("{s:s, s:s}", "fr", db_z(&r, i, 3), "en", db_z(&r, i, 4)));
        count(v, is_catalogued(apis, db_str(&r, i, 2)));
    }
    return ERR_OK;
}
