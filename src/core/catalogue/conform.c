/* Is an answer what its description says (P5.5.5)? Asked by the gateway about a few answers of each
 * API, beside its loops. What departs is named by its place and the rule, never by its value. */
#include "core/catalogue/catalogue.h"

#include "data/schema.h"

enum { LISTED_MAX = 20 };

static const json_t *follow(void *description, const json_t *schema)
{
    return desc_ref(description, schema);
}

struct listing {
    json_t *list;
};

static void add(struct listing *l, const char *path, const char *rule)
{
    size_t i;
    json_t *v;
    json_array_foreach(l->list, i, v)
    {
        if (strcmp(json_get_z(v, "path", ""), path) == 0 &&
            strcmp(json_get_z(v, "rule", ""), rule) == 0)
            return;
    }
    if (json_array_size(l->list) < LISTED_MAX)
        json_array_append_new(l->list, json_pack("{s:s, s:s}", "path", path, "rule", rule));
}

static void departs(void *listing, const char *path, const char *keyword)
{
    add(listing, path, keyword);
}

static void judge(struct held *h, const json_t *args, const struct desc_op *op, struct listing *l)
{
    int status = (int)json_get_i64(args, "status", 200), real;
    const json_t *found = desc_answer(&h->d, op->op, status, &real);
    json_t *v;
    if (!found)
        found = desc_ref(&h->d, json_get(json_get(op->op, "responses"), "default"));
    if (!found) {
        add(l, "", "status");
        return;
    }
    const json_t *media = desc_media(&h->d, found, NULL);
    const json_t *schema = media ? desc_ref(&h->d, json_get(media, "schema")) : NULL;
    if (json_read(json_get_str(args, "body"), &v, NULL) != ERR_OK) {
        add(l, "", "json");
        return;
    }
    const struct schema_judge j = {
        .ref = follow, .ref_arg = &h->d, .departs = departs, .departs_arg = l};
    if (schema)
        schema_check(&j, schema, v);
    json_decref(v);
}

/* catalogue.conform: {api, version, method, path, status, body} -> known, items: [{path, rule}].
 * known false: there is no description, or it has no such operation. */
enum err catalogue_call_conform(struct ctx *c, const json_t *args, json_t **out)
{
    struct held *h;
    struct listing l = {NULL};
    bool other;
    enum err e = held_get(c, json_get_str(args, "api"), json_get_str(args, "version"), &h);
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    const struct desc_op *op = NULL;
    l.list = json_array();
    if (e == ERR_OK) {
        op = desc_match(&h->d, json_get_z(args, "method", "GET"), json_get_str(args, "path"),
                        &other);
        if (op)
            judge(h, args, op, &l);
        held_give(h);
    }
    *out = json_pack("{s:b, s:o}", "known", op != NULL, "items", l.list);
    return ERR_OK;
}
