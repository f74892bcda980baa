/* The public catalogue: which data are exchanged, who holds them, with what meaning. */
#include "core/exchange/schema.h"

enum err exchange_page_catalogue(struct ctx *c)
{
    json_t *out, *v;
    size_t i;
    enum err e = exchange_apis(c, NULL, &out);
    if (e != ERR_OK)
        return e;
    json_t *items = json_deep_copy(json_get(json_own(&c->pool, out), "items"));
    json_array_foreach(items, i, v)
    {
        struct str url = arena_printf(c->arena, "/catalogue/%s", json_get_z(v, "id", ""));
        json_t *n = json_get(v, "n_fields");
        json_object_set_new(v, "url", json_stringn(url.p, url.n));
        json_object_set_new(v, "several", json_boolean(json_integer_value(n) != 1));
        json_object_set_new(
            v, "circle_key",
            json_sprintf("circle.%d", (int)json_get_i64(v, "circle", 3)));
    }
    json_t *data = json_pack("{s:o, s:b}", "items", items, "some", json_array_size(items) > 0);
    return ctx_page(c, "exchange/catalogue", data);
}

static enum err versions_of(struct ctx *c, struct str id, json_t **out)
{
    struct db_result f;
    struct db_conn *db = db_read(c->pf->db);
    json_t *all, *v;
    size_t i;
    enum err e = db ? exchange_apis(c, NULL, &all) : ERR_UNAVAILABLE;
    if (e != ERR_OK)
        return e;
    json_own(&c->pool, all);
    *out = json_own(&c->pool, json_array());
    json_array_foreach(json_get(all, "items"), i, v)
    {
        if (!str_eq(json_get_str(v, "id"), id))
            continue;
        e = db_query(db, c->arena, &f,
                     "SELECT path, label_fr, label_en, sensitivity FROM api_field "
                     "WHERE api = $1 AND version = $2 ORDER BY position", "ss", id,
                     json_get_str(v, "version"));
        if (e != ERR_OK)
            return e;
        json_t *one = json_deep_copy(v), *fields = json_array();
        for (size_t k = 0; k < f.n_rows; k++)
            json_array_append_new(
                fields, json_pack("{s:s, s:{s:s, s:s}, s:o}", "name", db_z(&f, k, 0), "label",
                                  "fr", db_z(&f, k, 1), "en", db_z(&f, k, 2), "sensitivity_key",
                                  json_sprintf("sensitivity.%d", (int)db_i64(&f, k, 3))));
        json_object_set_new(one, "fields", fields);
        json_object_set_new(one, "circle_key",
                            json_sprintf("circle.%d", (int)json_get_i64(v, "circle", 3)));
        json_object_set_new(one, "path",
                            json_sprintf("/gw/%s/%s/", json_get_z(v, "id", ""),
                                         json_get_z(v, "version", "")));
        json_array_append_new(*out, one);
    }
    return json_array_size(*out) ? ERR_OK : ERR_NOT_FOUND;
}

enum err exchange_page_api(struct ctx *c)
{
    json_t *versions;
    enum err e = versions_of(c, ctx_path(c, "api"), &versions);
    if (e != ERR_OK)
        return e;
    json_t *last = json_array_get(versions, json_array_size(versions) - 1);
    json_t *data = json_pack("{s:O, s:O, s:O, s:O}", "title", json_get(last, "title"), "summary",
                             json_get(last, "summary"), "provider", json_get(last, "provider"),
                             "versions", versions);
    return ctx_page(c, "exchange/api", data);
}
