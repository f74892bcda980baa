/* Reading a description: everything is bounded, because it comes from outside and may lie. */
#include "core/catalogue/description.h"

#include <stdlib.h>
#include "base/codec.h"
#include "data/fold.h"

static const char *const methods[] = {"get", "put", "post", "delete", "options", "head", "patch"};

/* ---- references ---------------------------------------------------------------------------------
 */
/* "~1" is '/', "~0" is '~' (RFC 6901), inside percent-encoding (RFC 3986). */
static bool step_name(struct str part, char *out, size_t size)
{
    size_t n = 0;
    for (size_t i = 0; i < part.n; i++) {
        char c = part.p[i];
        if (c == '~' && i + 1 < part.n && (part.p[i + 1] == '0' || part.p[i + 1] == '1'))
            c = part.p[++i] == '1' ? '/' : '~';
        if (n + 1 >= size)
            return false;
        out[n++] = c;
    }
    out[n] = '\0';
    return true;
}

static const json_t *pointer(const struct description *d, struct str ref)
{
    char name[256];
    struct str rest = str_after(ref, 2), part, plain;
    struct arena a;
    const json_t *v = d->root;
    if (!str_starts(ref, STR("#/")))
        return NULL;
    arena_init(&a);
    if (codec_url(&a, rest, false, &plain) == ERR_OK)
        rest = plain;
    while (v && rest.p && str_split(&rest, '/', &part)) {
        uint64_t at;
        if (!step_name(part, name, sizeof name))
            v = NULL;
        else if (json_is_array(v))
            v = str_to_u64(part, &at) ? json_array_get(v, at) : NULL;
        else
            v = json_object_get(v, name);
    }
    arena_free(&a);
    return v;
}

const json_t *desc_ref(const struct description *d, const json_t *node)
{
    for (int hops = 0; node && hops < DESC_REF_HOPS; hops++) {
        const json_t *ref = json_is_object(node) ? json_object_get(node, "$ref") : NULL;
        if (!json_is_string(ref))
            return node;
        node = pointer(d, str_of(json_string_value(ref), json_string_length(ref)));
    }
    return NULL;
}

int desc_line(const struct description *d, const json_t *node, const json_t *holder)
{
    int line = node ? yaml_doc_line(&d->doc, node) : 0;
    return line ? line : holder ? yaml_doc_line(&d->doc, holder) : 0;
}

/* ---- operations ---------------------------------------------------------------------------------
 */
static void ops_find(struct description *d)
{
    const char *path;
    json_t *item;
    d->ops = arena_array(&d->doc.arena, struct desc_op, DESC_OPS_MAX);
    json_object_foreach(json_get(d->root, "paths"), path, item)
    {
        const json_t *real = desc_ref(d, item);
        for (size_t i = 0; json_is_object(real) && i < COUNT_OF(methods); i++) {
            const json_t *op = json_object_get(real, methods[i]);
            if (json_is_object(op) && d->n_ops < DESC_OPS_MAX)
                d->ops[d->n_ops++] = (struct desc_op){path, methods[i], real, op};
        }
    }
}

const json_t *desc_answer(const struct description *d, const json_t *op, int status,
                          int *status_out)
{
    const char *key;
    json_t *v;
    json_object_foreach(json_get(op, "responses"), key, v)
    {
        uint64_t n = 0;
        bool number = str_to_u64(str_from(key), &n);
        if (!number && key[0] >= '1' && key[0] <= '5' && strcasecmp(key + 1, "xx") == 0)
            n = (uint64_t)(key[0] - '0') * 100;
        if (status ? (int)n != status : n < 200 || n > 299)
            continue;
        if (status_out)
            *status_out = (int)n;
        return desc_ref(d, v);
    }
    return NULL;
}

const json_t *desc_media(const struct description *d, const json_t *answer, const char **type)
{
    const char *key;
    json_t *v;
    (void)d;
    json_object_foreach(json_get(answer, "content"), key, v)
    {
        struct str name = str_from(key);
        ptrdiff_t semi = str_find_char(name, ';');
        name = semi < 0 ? name : str_trim(str_sub(name, 0, (size_t)semi));
        if (!str_eq_nocase(name, STR("application/json")) && !str_ends(name, STR("+json")))
            continue;
        if (type)
            *type = key;
        return v;
    }
    return NULL;
}

void desc_params(const struct description *d, const struct desc_op *op, desc_param_fn *fn,
                 void *arg)
{
    const json_t *lists[] = {json_get(op->item, "parameters"), json_get(op->op, "parameters")};
    for (size_t i = 0; i < COUNT_OF(lists); i++) {
        for (size_t k = 0; k < json_array_size(lists[i]) && k < 100; k++) {
            const json_t *p = desc_ref(d, json_array_get(lists[i], k));
            if (json_is_object(p))
                fn(arg, p);
        }
    }
}

/* ---- fields -------------------------------------------------------------------------------------
 */
struct field_walk {
    struct description *d;
    struct map *by_path; /* path -> 1 + index */
    bool written;
    size_t looked_at;
    const json_t *above[DESC_SCHEMA_LEVELS + 1];
};

static const char *type_of(const json_t *schema)
{
    const json_t *type = json_get(schema, "type");
    if (json_is_string(type))
        return json_string_value(type);
    for (size_t i = 0; i < json_array_size(type); i++) { /* 3.1: ["string", "null"] */
        const char *z = json_string_value(json_array_get(type, i));
        if (z && strcmp(z, "null") != 0)
            return z;
    }
    return json_get(schema, "properties") ? "object" : json_get(schema, "items") ? "array" : "";
}

static int sensitivity_of(const json_t *schema)
{
    static const char *const names[] = {"public", "personal", "sensitive", "special"};
    const char *z = json_get_z(schema, "x-socle-sensitivity", "");
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (strcmp(z, names[i]) == 0)
            return (int)i;
    return -1;
}

/* The first line of a text: a meaning is a phrase, not a chapter. */
static struct str phrase(struct str s)
{
    ptrdiff_t end = str_find_char(s, '\n');
    s = str_trim(end < 0 ? s : str_sub(s, 0, (size_t)end));
    size_t n = s.n > 200 ? 200 : s.n;
    while (n && n < s.n && ((unsigned char)s.p[n] & 0xC0) == 0x80)
        n--;
    return str_sub(s, 0, n);
}

/* What it means, said beside the reference or at the schema it leads to. */
static void meaning(struct desc_field *f, const json_t *node, const json_t *schema)
{
    const json_t *from[] = {node, schema};
    for (size_t i = 0; i < COUNT_OF(from); i++) {
        const json_t *two = json_get(from[i], "x-socle-label");
        struct str title = json_get_str(from[i], "title");
        struct str said = phrase(title.n ? title : json_get_str(from[i], "description"));
        if (!f->label_fr.n)
            f->label_fr = json_get(two, "fr") ? phrase(json_get_str(two, "fr")) : said;
        if (!f->label_en.n)
            f->label_en = json_get(two, "en") ? phrase(json_get_str(two, "en")) : said;
        if (!*f->concept)
        f->concept = json_get_z(from[i], "x-socle-concept", "");
        if (f->sensitivity < 0)
            f->sensitivity = sensitivity_of(from[i]);
    }
}

static struct desc_field *field_at(struct field_walk *w, struct str path)
{
    struct description *d = w->d;
    uintptr_t at = (uintptr_t)map_get(w->by_path, path);
    if (at)
        return &d->fields[at - 1];
    if (d->n_fields == DESC_FIELDS_MAX) {
        d->fields_cut = true;
        return NULL;
    }
    struct desc_field *f = &d->fields[d->n_fields++];
    *f = (struct desc_field){.path = path,
                             .type = "",
                             .format = "",
                             .concept = "",
                             .label_fr = STR(""),
                             .label_en = STR(""),
                             .sensitivity = -1};
    map_set(w->by_path, path, (void *)(uintptr_t)d->n_fields);
    return f;
}

static void schema_walk(struct field_walk *w, const json_t *node, struct str path, int level);

static void members_walk(struct field_walk *w, const json_t *schema, struct str path, int level)
{
    const char *name;
    json_t *node;
    json_object_foreach(json_get(schema, "properties"), name, node)
    {
        const json_t *real = desc_ref(w->d, node);
        if (++w->looked_at > DESC_WALK_MAX)
            return;
        if (strlen(name) > 100 || strchr(name, '.'))
            continue;
        struct str here = path.n
                              ? arena_printf(&w->d->doc.arena, STR_FMT ".%s", STR_ARG(path), name)
                              : arena_dup(&w->d->doc.arena, str_from(name));
        size_t known = w->d->n_fields;
        struct desc_field *f = json_is_object(real) ? field_at(w, here) : NULL;
        if (!f)
            continue;
        size_t index = (size_t)(f - w->d->fields), before = w->d->n_fields;
        meaning(f, node, real);
        f->schema = real;
        f->type = type_of(real);
        f->format = json_get_z(real, "format", "");
        f->read |= !w->written && !json_get_bool(real, "writeOnly", false);
        f->written |= w->written && !json_get_bool(real, "readOnly", false);
        schema_walk(w, node, here, level + 1);
        if (before > known && before == w->d->n_fields) /* new, and nothing below it */
            w->d->fields[index].leaf = strcmp(f->type, "object") != 0;
    }
}

static void schema_walk(struct field_walk *w, const json_t *node, struct str path, int level)
{
    static const char *const parts[] = {"allOf", "oneOf", "anyOf"};
    const json_t *schema = desc_ref(w->d, node);
    if (!json_is_object(schema) || level > DESC_SCHEMA_LEVELS || ++w->looked_at > DESC_WALK_MAX)
        return;
    for (int i = 0; i < level; i++)
        if (w->above[i] == schema)
            return; /* a tree of people: its parents are people too */
    w->above[level] = schema;
    members_walk(w, schema, path, level);
    if (json_is_object(json_get(schema, "items")))
        schema_walk(w, json_get(schema, "items"), path, level + 1);
    for (size_t i = 0; i < COUNT_OF(parts); i++)
        for (size_t k = 0; k < json_array_size(json_get(schema, parts[i])); k++)
            schema_walk(w, json_array_get(json_get(schema, parts[i]), k), path, level + 1);
    w->above[level] = NULL;
}

static void fields_find(struct description *d)
{
    struct map by_path;
    struct field_walk w = {.d = d, .by_path = &by_path};
    d->fields = arena_array(&d->doc.arena, struct desc_field, DESC_FIELDS_MAX);
    map_init(&by_path);
    for (size_t i = 0; i < d->n_ops; i++) {
        const json_t *op = d->ops[i].op;
        w.written = false;
        schema_walk(&w, json_get(desc_media(d, desc_answer(d, op, 0, NULL), NULL), "schema"),
                    STR(""), 0);
        w.written = true;
        schema_walk(
            &w, json_get(desc_media(d, desc_ref(d, json_get(op, "requestBody")), NULL), "schema"),
            STR(""), 0);
    }
    map_free(&by_path);
}

/* ---- paths --------------------------------------------------------------------------------------
 */
/* 0: no; else how many of its segments are names. */
static bool path_fits(struct str template, struct str path, int *names)
{
    struct str want, have;
    *names = 0;
    while (str_split(&template, '/', &want)) {
        if (!str_split(&path, '/', &have))
            return false;
        bool is_name = want.n > 1 && want.p[0] == '{' && want.p[want.n - 1] == '}';
        if (is_name ? have.n == 0 : !str_eq(want, have))
            return false;
        *names += is_name;
    }
    return path.p == NULL;
}

const struct desc_op *desc_match(const struct description *d, const char *method, struct str path,
                                 bool *other)
{
    const struct desc_op *best = NULL;
    int fewest = 1000, names;
    *other = false;
    for (size_t i = 0; i < d->n_ops; i++) {
        if (!path_fits(str_from(d->ops[i].path), path, &names))
            continue;
        *other = true;
        if (strcasecmp(d->ops[i].method, method) == 0 && names < fewest) {
            best = &d->ops[i];
            fewest = names;
        }
    }
    return best;
}

/* ---- the whole ----------------------------------------------------------------------------------
 */
struct str desc_slug(struct arena *a, struct str text)
{
    struct str folded = text_fold(a, str_sub(text, 0, 400));
    char *p = arena_dupz(a, str_sub(folded, 0, 60));
    size_t n = strlen(p);
    while (n && p[n - 1] == ' ')
        p[--n] = '\0';
    for (size_t i = 0; i < n; i++)
        p[i] = p[i] == ' ' ? '-' : p[i];
    return str_of(p, n);
}

enum err desc_read(struct str text, struct description *out, struct json_fault *fault)
{
    *out = (struct description){0};
    enum err e = yaml_doc_read(text, &out->doc, fault);
    if (e != ERR_OK)
        return e;
    out->root = out->doc.root;
    if (!json_is_object(out->root)) {
        if (fault)
            *fault = (struct json_fault){1, 1, "this is not a description: it is not an object"};
        yaml_doc_free(&out->doc);
        return ERR_INVALID;
    }
    ops_find(out);
    fields_find(out);
    return ERR_OK;
}

void desc_free(struct description *d)
{
    yaml_doc_free(&d->doc);
}
