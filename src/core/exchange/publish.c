/* An API out of its declaration (docs/formats/exchange-declaration.md): for the command line, and
 * for the catalogue, which makes declarations out of descriptions. */
#include "core/exchange/exchange.h"
#include "core/exchange/policy.h"
#include "core/exchange/schema.h"
#include "core/exchange/snapshot.h"
#include "base/log.h"
#include "platform/change.h"

static const char *two(const json_t *v, const char *key, const char *lang)
{
    return json_get_z(json_get(v, key), lang, NULL);
}

/* Or nobody says that it is not. */
static bool is_personal(const struct exchange_api_field *fields, size_t n)
{
    bool personal = n == 0;
    for (size_t i = 0; i < n; i++)
        personal |= fields[i].sensitivity > 0;
    return personal;
}

enum err exchange_api_put_json(struct ctx *c, const json_t *v)
{
    const json_t *f;
    size_t i, n = json_array_size(json_get(v, "fields"));
    if (n > EXCHANGE_FIELDS_MAX)
        return ERR_LIMIT;
    struct exchange_api_field *fields = arena_array(c->arena, struct exchange_api_field, n + 1);
    json_array_foreach(json_get(v, "fields"), i, f)
    {
        const char *name = json_get_z(f, "path", "");
        const char *fr = two(f, "label", "fr"), *en = two(f, "label", "en");
        fields[i] = (struct exchange_api_field){name, fr ? fr : name, en ? en : name,
                                                (int)json_get_i64(f, "sensitivity", 1)};
    }
    const json_t *gateway = json_get(v, "gateway");
    struct exchange_policy policy;
    const char *fault = gateway ? policy_read(gateway, c->arena, &policy) : NULL;
    if (gateway && !fault && policy.cache_s && !policy.cache_personal && is_personal(fields, n))
        fault = "gateway.cache_seconds";
    if (fault) {
        log_warn("api_refused", "id", json_get_z(v, "id", ""), "member", fault);
        return ERR_INVALID;
    }
    struct exchange_api api = {.id = json_get_z(v, "id", ""),
                               .version = json_get_z(v, "version", ""),
                               .org_id = json_get_z(v, "org_id", ""),
                               .title_fr = two(v, "title", "fr"),
                               .title_en = two(v, "title", "en"),
                               .summary_fr = two(v, "summary", "fr"),
                               .summary_en = two(v, "summary", "en"),
                               .scope = json_get_z(v, "scope", ""),
                               .origin = json_get_z(v, "origin", ""),
                               .prefix = json_get_z(v, "prefix", ""),
                               .adapter = json_get_z(v, "adapter", NULL),
                               .methods = json_get_z(v, "methods", NULL),
                               .circle = (int)json_get_i64(v, "circle", 3),
                               .fields = fields,
                               .n_fields = n,
                               .policy = gateway ? json_text(c->arena, gateway).p : NULL,
                               .dated = json_get(v, "deprecated_at") || json_get(v, "sunset_at"),
                               .deprecated_ms = json_get_i64(v, "deprecated_at", 0),
                               .sunset_ms = json_get_i64(v, "sunset_at", 0)};
    return exchange_api_put(c, &api);
}

/* The call "exchange.api_put": {declaration}. */
enum err exchange_call_api_put(struct ctx *c, const json_t *args, json_t **out)
{
    enum err e = exchange_api_put_json(c, args);
    if (e == ERR_OK)
        *out = json_pack("{s:s, s:s}", "id", json_get_z(args, "id", ""), "version",
                         json_get_z(args, "version", ""));
    return e;
}

/* The call "exchange.fields": {api, version} -> items: [{name, label{fr,en}, sensitivity}]. */
enum err exchange_call_fields(struct ctx *c, const json_t *args, json_t **out)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    enum err e = !db ? ERR_UNAVAILABLE
                     : db_query(db, c->arena, &r,
                                "SELECT path, label_fr, label_en, sensitivity FROM api_field "
                                "WHERE api = $1 AND version = $2 ORDER BY position",
                                "ss", json_get_str(args, "api"), json_get_str(args, "version"));
    if (e != ERR_OK)
        return e;
    json_t *items = json_array();
    for (size_t i = 0; i < r.n_rows; i++)
        json_array_append_new(items, json_pack("{s:s, s:{s:s, s:s}, s:I}", "name", db_z(&r, i, 0),
                                               "label", "fr", db_z(&r, i, 1), "en", db_z(&r, i, 2),
                                               "sensitivity", (json_int_t)db_i64(&r, i, 3)));
    *out = json_pack("{s:o}", "items", items);
    return ERR_OK;
}

/* The call "exchange.contract": {id} -> client_id, org_id, api, version, fields, state. */
enum err exchange_call_contract(struct ctx *c, const json_t *args, json_t **out)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    enum err e = !db ? ERR_UNAVAILABLE
                     : db_query_one(db, c->arena, &r,
                                    "SELECT id, client_id, org_id, api, version, fields, state "
                                    "FROM contract WHERE id = $1",
                                    "s", json_get_str(args, "id"));
    if (e == ERR_OK)
        *out = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "id", db_z(&r, 0, 0), "client_id",
                         db_z(&r, 0, 1), "org_id", db_z(&r, 0, 2), "api", db_z(&r, 0, 3), "version",
                         db_z(&r, 0, 4), "fields", db_z(&r, 0, 5), "state", db_z(&r, 0, 6));
    return e;
}

/* The call "exchange.subscribers" -> items: [{api, version, organisations}]: how many bodies hold
 * an active contract. */
enum err exchange_call_subscribers(struct ctx *c, const json_t *args, json_t **out)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    (void)args;
    enum err e =
        !db ? ERR_UNAVAILABLE
            : db_query(db, c->arena, &r,
                       "SELECT api, version, COUNT(DISTINCT org_id) FROM contract "
                       "WHERE state = 'active' GROUP BY api, version ORDER BY api, version",
                       "");
    if (e != ERR_OK)
        return e;
    json_t *items = json_array();
    for (size_t i = 0; i < r.n_rows; i++)
        json_array_append_new(items, json_pack("{s:s, s:s, s:I}", "api", db_z(&r, i, 0), "version",
                                               db_z(&r, i, 1), "organisations",
                                               (json_int_t)db_i64(&r, i, 2)));
    *out = json_pack("{s:o}", "items", items);
    return ERR_OK;
}

/* The call "exchange.circle_set": {id, version, circle}: every version of an API stands in one
 * circle. */
static enum err circle_closure(struct db_conn *db, void *arg)
{
    const json_t *v = arg;
    enum err e = db_exec(db, "UPDATE api SET circle = $1 WHERE id = $2", "is",
                         json_get_i64(v, "circle", 3), json_get_str(v, "id"));
    return e == ERR_OK ? change_add(db, "config", json_get_str(v, "id"), 0) : e;
}

enum err exchange_call_circle_set(struct ctx *c, const json_t *args, json_t **out)
{
    int64_t circle = json_get_i64(args, "circle", 0);
    if (circle < 1 || circle > 3)
        return ERR_INVALID;
    enum err e = db_write(c->pf->db, circle_closure, (void *)args);
    if (e == ERR_OK)
        *out = json_object();
    return e;
}
