/* Is it OpenAPI at all? (OpenAPI 3.0.4 and 3.1.1, section 4.8.) What these refuse, no tool could
 * read. */
#include "core/catalogue/rules.h"

static void version_rule(struct check *k)
{
    struct str v = json_get_str(k->d->root, "openapi");
    if (!str_starts(v, STR("3.0.")) && !str_starts(v, STR("3.1.")))
        found(k, json_get(k->d->root, "openapi"), k->d->root, STR("openapi"),
              "\"openapi\" must be \"3.0.x\" or \"3.1.x\"");
}

static void info_rule(struct check *k)
{
    static const char *const wanted[] = {"title", "version"};
    const json_t *info = json_get(k->d->root, "info");
    if (!json_is_object(info)) {
        found(k, info, k->d->root, STR("info"), "\"info\" is missing");
        return;
    }
    for (size_t i = 0; i < COUNT_OF(wanted); i++)
        if (json_get_str(info, wanted[i]).n == 0)
            found(k, json_get(info, wanted[i]), info, STR("info"),
                  "info.%s is missing, or is not a text", wanted[i]);
}

static void paths_rule(struct check *k)
{
    const char *path;
    json_t *item;
    const json_t *paths = json_get(k->d->root, "paths");
    if (!json_is_object(paths) || json_object_size(paths) == 0)
        found(k, paths, k->d->root, STR("paths"), "there are no paths");
    json_object_foreach(json_is_object(paths) ? (json_t *)paths : NULL, path, item)
    {
        struct str where = str_from(path);
        if (str_starts(where, STR("x-")))
            continue;
        if (path[0] != '/')
            found(k, item, paths, where, "a path begins with '/'");
        else if (!json_is_object(item))
            found(k, item, paths, where, "the path holds no operations");
    }
}

static void op_rule(struct check *k)
{
    for (size_t i = 0; i < k->d->n_ops; i++) {
        const struct desc_op *op = &k->d->ops[i];
        const json_t *all = json_get(op->op, "responses"), *r;
        const char *key;
        json_t *v;
        if (!json_is_object(all) || json_object_size(all) == 0) {
            found(k, all, op->op, op_name(k, op), "the operation has no responses");
            continue;
        }
        json_object_foreach((json_t *)all, key, v)
        {
            size_t n = strlen(key);
            bool good = strcmp(key, "default") == 0 || strncmp(key, "x-", 2) == 0 ||
                        (n == 3 && key[0] >= '1' && key[0] <= '5' &&
                         (strcasecmp(key + 1, "xx") == 0 || strspn(key, "0123456789") == 3));
            if (!good)
                found(k, v, all, op_name(k, op), "\"%s\" is not a status", key);
            r = desc_ref(k->d, v);
            if (good && json_is_object(r) && !json_is_string(json_get(r, "description")) &&
                strncmp(key, "x-", 2) != 0)
                found(k, v, all, op_name(k, op), "the response %s has no description", key);
        }
    }
}

/* ---- parameters ---------------------------------------------------------------------------------
 */
struct params {
    struct check *k;
    const struct desc_op *op;
    struct str names[32]; /* of those in the path */
    size_t n;
};

static void param_check(void *arg, const json_t *p)
{
    struct params *all = arg;
    struct check *k = all->k;
    struct str name = json_get_str(p, "name"), in = json_get_str(p, "in");
    bool path = str_eq_z(in, "path");
    if (!name.n ||
        !(path || str_eq_z(in, "query") || str_eq_z(in, "header") || str_eq_z(in, "cookie"))) {
        found(k, p, all->op->op, op_name(k, all->op), "a parameter has no name, or no place (in)");
        return;
    }
    if (!json_get(p, "schema") && !json_get(p, "content"))
        found(k, p, all->op->op, op_name(k, all->op), "the parameter \"" STR_FMT "\" has no schema",
              STR_ARG(name));
    if (path && !json_get_bool(p, "required", false))
        found(k, p, all->op->op, op_name(k, all->op),
              "the path's parameter \"" STR_FMT "\" is not required", STR_ARG(name));
    if (path && all->n < COUNT_OF(all->names))
        all->names[all->n++] = name;
}

static void param_rule(struct check *k)
{
    for (size_t i = 0; i < k->d->n_ops; i++) {
        struct params all = {.k = k, .op = &k->d->ops[i]};
        struct str rest = str_from(all.op->path), part;
        desc_params(k->d, all.op, param_check, &all);
        while (rest.p && str_split(&rest, '{', &part)) {
            ptrdiff_t end = rest.p ? str_find_char(rest, '}') : -1;
            struct str name = end < 0 ? STR_NONE : str_sub(rest, 0, (size_t)end);
            bool there = !name.p;
            for (size_t n = 0; n < all.n; n++)
                there |= str_eq(all.names[n], name);
            if (!there)
                found(k, all.op->op, all.op->item, op_name(k, all.op),
                      "\"{" STR_FMT "}\" of the path is not among the parameters", STR_ARG(name));
        }
    }
}

/* ---- references ---------------------------------------------------------------------------------
 */
struct refs {
    struct check *k;
    bool remote;
};

static void refs_walk(struct refs *r, const json_t *v, const json_t *holder, int level)
{
    const char *key;
    size_t i;
    json_t *part;
    const json_t *ref = json_is_object(v) ? json_object_get(v, "$ref") : NULL;
    if (level > YAML_DEPTH_MAX)
        return;
    if (json_is_string(ref)) {
        bool local = json_string_value(ref)[0] == '#';
        struct str where = str_of(json_string_value(ref), json_string_length(ref));
        if (r->remote && !local)
            found(r->k, ref, v, where, "the reference leads out of the document");
        else if (!r->remote && local && !desc_ref(r->k->d, v))
            found(r->k, ref, v, where, "the reference leads nowhere, or round in a circle");
        return;
    }
    json_object_foreach(json_is_object(v) ? (json_t *)v : NULL, key, part)
    {
        bool data = strcmp(key, "example") == 0 || strcmp(key, "examples") == 0 ||
                    strcmp(key, "default") == 0 || strcmp(key, "enum") == 0;
        if (!data || strcmp(key, "examples") == 0) {
            if (json_is_object(part) || json_is_array(part))
                refs_walk(r, part, holder, level + 1);
        }
    }
    json_array_foreach(v, i, part)
    {
        if (json_is_object(part) || json_is_array(part))
            refs_walk(r, part, holder, level + 1);
    }
}

static void ref_rule(struct check *k)
{
    struct refs r = {k, false};
    refs_walk(&r, k->d->root, NULL, 0);
}

static void remote_rule(struct check *k)
{
    struct refs r = {k, true};
    refs_walk(&r, k->d->root, NULL, 0);
}

/* ---- names and types ----------------------------------------------------------------------------
 */
static void id_rule(struct check *k)
{
    struct map seen;
    map_init(&seen);
    for (size_t i = 0; i < k->d->n_ops; i++) {
        const struct desc_op *op = &k->d->ops[i];
        struct str id = json_get_str(op->op, "operationId");
        if (id.n && map_get(&seen, id))
            found(k, json_get(op->op, "operationId"), op->op, op_name(k, op),
                  "the operationId \"" STR_FMT "\" is another operation's", STR_ARG(id));
        else if (id.n)
            map_set(&seen, id, (void *)op);
    }
    map_free(&seen);
}

static void type_rule(struct check *k)
{
    static const char *const known[] = {"",        "string", "integer", "number",
                                        "boolean", "object", "array",   "null"};
    for (size_t i = 0; i < k->d->n_fields; i++) {
        const struct desc_field *f = &k->d->fields[i];
        bool good = false;
        for (size_t n = 0; n < COUNT_OF(known); n++)
            good |= strcmp(f->type, known[n]) == 0;
        if (!good)
            found(k, json_get(f->schema, "type"), f->schema, f->path, "\"%s\" is not a type",
                  f->type);
    }
}

static void scheme_rule(struct check *k)
{
    const json_t *schemes = json_get(json_get(k->d->root, "components"), "securitySchemes");
    const json_t *all = json_get(k->d->root, "security");
    for (size_t i = 0; i <= k->d->n_ops; i++) {
        const json_t *list = i ? json_get(k->d->ops[i - 1].op, "security") : all;
        for (size_t n = 0; n < json_array_size(list); n++) {
            const char *name;
            json_t *v;
            json_object_foreach(json_array_get(list, n), name, v)
            {
                if (!json_get(schemes, name))
                    found(k, v, list, i ? op_name(k, &k->d->ops[i - 1]) : STR("security"),
                          "the security scheme \"%s\" is not defined", name);
            }
        }
    }
}

const struct rule rules_form[] = {
    {"openapi-version", true, TOPIC_TECHNICAL, version_rule},
    {"info", true, TOPIC_TECHNICAL, info_rule},
    {"paths", true, TOPIC_TECHNICAL, paths_rule},
    {"responses", true, TOPIC_TECHNICAL, op_rule},
    {"parameters", true, TOPIC_TECHNICAL, param_rule},
    {"references", true, TOPIC_TECHNICAL, ref_rule},
    {"references-inside", true, TOPIC_TECHNICAL, remote_rule},
    {"operation-id", true, TOPIC_TECHNICAL, id_rule},
    {"types", true, TOPIC_TECHNICAL, type_rule},
    {"security-defined", true, TOPIC_SECURITY, scheme_rule},
    {NULL, false, 0, NULL},
};
