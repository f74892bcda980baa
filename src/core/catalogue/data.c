/* The catalogue of data: each datum once, whoever holds it, with what it means, how it is read and
 * written, by which law, and how often it is. Two sources that name a datum alike hold the same
 * datum: by x-socle-concept, else by its meaning. */
#include "core/catalogue/catalogue.h"

enum { DATA_MAX = 20000 };

struct gather {
    struct ctx *c;
    json_t *items;
    struct map by_id; /* concept -> json_t of items */
    const json_t *usage;
};

struct datum {
    struct str id, path, fr, en;
    const char *type, *format;
    int sensitivity;
    bool read, written;
};

static const json_t *usage_of(const json_t *usage, const json_t *api)
{
    size_t i;
    json_t *v;
    json_array_foreach(json_get(usage, "items"), i, v)
    {
        if (str_eq(json_get_str(v, "api"), json_get_str(api, "id")) &&
            str_eq(json_get_str(v, "version"), json_get_str(api, "version")))
            return v;
    }
    return NULL;
}

/* A text, or one in two languages, as two. */
static json_t *two_of(const json_t *v)
{
    if (json_is_object(v))
        return json_deep_copy(v);
    const char *z = json_is_string(v) ? json_string_value(v) : "";
    return json_pack("{s:s, s:s}", "fr", z, "en", z);
}

static json_t *item_of(struct gather *g, const struct datum *d)
{
    json_t *v = map_get(&g->by_id, d->id);
    if (v || json_array_size(g->items) == DATA_MAX)
        return v;
    v = json_pack("{s:o, s:{s:o, s:o}, s:s, s:s, s:i, s:s, s:[], s:I, s:I, s:o}", "id", jstr(d->id),
                  "label", "fr", jstr(d->fr), "en", jstr(d->en), "type", d->type, "format",
                  d->format, "sensitivity", d->sensitivity, "names", "", "producers", "delivered",
                  (json_int_t)0, "delivered_30", (json_int_t)0, "url",
                  jstr(arena_printf(g->c->arena, "/donnees/" STR_FMT, STR_ARG(d->id))));
    json_array_append_new(g->items, v);
    map_set(&g->by_id, d->id, v);
    return v;
}

static void producer_add(struct gather *g, const json_t *api, const struct datum *d)
{
    json_t *v = item_of(g, d);
    const json_t *use = usage_of(g->usage, api), *about = json_get(api, "about");
    int64_t delivered = json_get_i64(use, "delivered", 0);
    if (!v)
        return;
    json_array_append_new(
        json_get(v, "producers"),
        json_pack("{s:O, s:O, s:O, s:O, s:O, s:o, s:b, s:b, s:o, s:I, s:I, s:I}", "api",
                  json_get(api, "id"), "version", json_get(api, "version"), "title",
                  json_get(api, "title"), "provider", json_get(api, "provider"), "url",
                  json_get(api, "url"), "path", jstr(d->path), "read", d->read, "write", d->written,
                  "legal_basis", two_of(json_get(about, "legal_basis")), "delivered",
                  (json_int_t)delivered, "delivered_30",
                  (json_int_t)json_get_i64(use, "delivered_30", 0), "organisations",
                  (json_int_t)json_get_i64(use, "organisations", 0)));
    json_object_set_new(v, "delivered", json_integer(json_get_i64(v, "delivered", 0) + delivered));
    json_object_set_new(
        v, "delivered_30",
        json_integer(json_get_i64(v, "delivered_30", 0) + json_get_i64(use, "delivered_30", 0)));
    if (d->sensitivity > json_get_i64(v, "sensitivity", 0))
        json_object_set_new(v, "sensitivity", json_integer(d->sensitivity));
    struct str names = json_get_str(v, "names");
    if (names.n < 400)
        json_object_set_new(
            v, "names",
            jstr(arena_printf(g->c->arena, STR_FMT " " STR_FMT, STR_ARG(names), STR_ARG(d->path))));
}

static enum err described(struct gather *g, const json_t *api)
{
    struct db_result r;
    struct db_conn *db = db_read(g->c->pf->db);
    enum err e = !db ? ERR_UNAVAILABLE
                     : db_query(db, g->c->arena, &r,
                                "SELECT concept, path, label_fr, label_en, type, format, "
                                "sensitivity, readable, writable FROM catalogue_field "
                                "WHERE api = $1 AND version = $2 AND leaf = 1 ORDER BY position",
                                "ss", json_get_str(api, "id"), json_get_str(api, "version"));
    for (size_t i = 0; e == ERR_OK && i < r.n_rows; i++) {
        struct str path = db_str(&r, i, 1), fr = db_str(&r, i, 2), en = db_str(&r, i, 3);
        struct datum d = {.id = db_str(&r, i, 0),
                          .path = path,
                          .fr = fr.n ? fr : path,
                          .en = en.n ? en : path,
                          .type = db_z(&r, i, 4),
                          .format = db_z(&r, i, 5),
                          .sensitivity = (int)db_i64(&r, i, 6),
                          .read = db_i64(&r, i, 7) != 0,
                          .written = db_i64(&r, i, 8) != 0};
        if (d.id.n)
            producer_add(g, api, &d);
    }
    return e;
}

enum err data_list(struct ctx *c, json_t **items)
{
    struct gather g = {.c = c};
    json_t *apis, *usage = NULL, *v;
    size_t i;
    enum err e = catalogue_public(c, &apis);
    if (e == ERR_OK)
        e = platform_call(c, "exchange.usage", NULL, &usage);
    if (e != ERR_OK)
        return e;
    g.usage = usage;
    g.items = *items = json_own(&c->pool, json_array());
    map_init(&g.by_id);
    json_array_foreach(apis, i, v)
    {
        e = described(&g, v);
        if (e != ERR_OK)
            break;
    }
    map_free(&g.by_id);
    json_array_foreach(*items, i, v)
    {
        json_object_set_new(v, "sensitivity_key",
                            json_sprintf("sensitivity.%d", (int)json_get_i64(v, "sensitivity", 0)));
        json_object_set_new(v, "type_key", type_key(json_get_z(v, "type", "")));
        json_object_set_new(v, "n_producers",
                            json_integer((json_int_t)json_array_size(json_get(v, "producers"))));
    }
    return e;
}

enum err data_call_list(struct ctx *c, const json_t *args, json_t **out)
{
    json_t *items;
    (void)args;
    enum err e = data_list(c, &items);
    if (e == ERR_OK)
        *out = json_pack("{s:O}", "items", items);
    return e;
}
