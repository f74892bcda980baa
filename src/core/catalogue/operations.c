/* What a description says of requests, for the gateway, which holds each call against it: small,
 * and whole in itself, since what is referred to comes along under the text of its reference. */
#include "core/catalogue/catalogue.h"

enum { LEVELS_MAX = 200 };

struct gather {
    const struct description *d;
    json_t *schemas, *params;
    size_t looked_at;
};

/* Every reference below a schema. */
static void refs_gather(struct gather *g, const json_t *node, int level)
{
    const char *key;
    json_t *v;
    size_t i;
    if (level == LEVELS_MAX || ++g->looked_at > DESC_WALK_MAX)
        return;
    const char *ref = json_get_z(node, "$ref", NULL);
    if (ref) {
        const json_t *real = json_get(g->schemas, ref) ? NULL : desc_ref(g->d, node);
        if (!real)
            return;
        json_object_set(g->schemas, ref, (json_t *)real);
        refs_gather(g, real, level + 1);
        return;
    }
    json_object_foreach((json_t *)node, key, v)
    {
        refs_gather(g, v, level + 1);
    }
    json_array_foreach(node, i, v)
    {
        refs_gather(g, v, level + 1);
    }
}

static json_t *schema_give(struct gather *g, const json_t *media)
{
    json_t *schema = json_get(media, "schema");
    if (!json_is_object(schema))
        return json_null();
    refs_gather(g, schema, 0);
    return json_incref(schema);
}

/* The operation's own comes after the path's, and takes its place. */
static void param_add(void *gather, const json_t *p)
{
    struct gather *g = gather;
    const char *name = json_get_z(p, "name", ""), *in = json_get_z(p, "in", "");
    const char *style = json_get_z(p, "style", "");
    json_t *old;
    size_t i;
    json_array_foreach(g->params, i, old)
    {
        if (strcmp(json_get_z(old, "name", ""), name) == 0 &&
            strcmp(json_get_z(old, "in", ""), in) == 0) {
            json_array_remove(g->params, i);
            break;
        }
    }
    if (*style && strcmp(style, "form") != 0 && strcmp(style, "simple") != 0)
        return; /* written in a way of its own: the provider reads it */
    json_array_append_new(g->params,
                          json_pack("{s:s, s:s, s:b, s:b, s:o}", "name", name, "in", in, "required",
                                    json_get_bool(p, "required", false), "explode",
                                    json_get_bool(p, "explode", strcmp(in, "query") == 0), "schema",
                                    schema_give(g, p)));
}

static json_t *body_of(struct gather *g, const json_t *op)
{
    const json_t *body = desc_ref(g->d, json_get(op, "requestBody"));
    const char *type;
    json_t *media, *content;
    if (!json_is_object(body))
        return json_null();
    content = json_object();
    json_object_foreach(json_get(body, "content"), type, media)
    {
        json_object_set_new(content, type, schema_give(g, media));
    }
    return json_pack("{s:b, s:o}", "required", json_get_bool(body, "required", false), "content",
                     content);
}

/* catalogue.operations: {api, version}: docs/CALLS.md. */
enum err catalogue_call_operations(struct ctx *c, const json_t *args, json_t **out)
{
    struct held *h;
    enum err e = held_get(c, json_get_str(args, "api"), json_get_str(args, "version"), &h);
    if (e != ERR_OK)
        return e;
    struct gather g = {.d = &h->d, .schemas = json_object()};
    json_t *list = json_array();
    for (size_t i = 0; i < h->d.n_ops; i++) {
        const struct desc_op *op = &h->d.ops[i];
        g.params = json_array();
        desc_params(&h->d, op, param_add, &g);
        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:o, s:o}", "method", op->method, "path",
                                        op->path, "params", g.params, "body", body_of(&g, op->op)));
    }
    *out = json_pack("{s:o, s:o, s:o}", "digest", jstr(h->digest), "operations", list, "schemas",
                     g.schemas);
    held_give(h);
    return ERR_OK;
}

/* catalogue.digests -> items: {"api/version": digest}. */
enum err catalogue_call_digests(struct ctx *c, const json_t *args, json_t **out)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    (void)args;
    enum err e =
        !db ? ERR_UNAVAILABLE
            : db_query(db, c->arena, &r, "SELECT api, version, digest FROM catalogue_api", "");
    if (e != ERR_OK)
        return e;
    json_t *items = json_object();
    for (size_t i = 0; i < r.n_rows; i++) {
        struct str key = arena_printf(c->arena, STR_FMT "/" STR_FMT, STR_ARG(db_str(&r, i, 0)),
                                      STR_ARG(db_str(&r, i, 1)));
        json_object_set_new(items, key.p, jstr(db_str(&r, i, 2)));
    }
    *out = json_pack("{s:o}", "items", items);
    return ERR_OK;
}
