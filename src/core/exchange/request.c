#include "core/exchange/request.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/codec.h"
#include "base/map.h"
#include "data/pattern.h"

enum {
    SEGMENTS_MAX = 32,
    OPERATIONS_MAX = 2000,
    PARAMS_MAX = 100,
    PAIRS_MAX = 200,
    LOOKED_MAX = 400000
};

enum place { IN_QUERY, IN_PATH, IN_ELSEWHERE };

struct param {
    struct str name;
    enum place in;
    bool required, explode, list; /* list: an array; explode: one pair for each element */
    const json_t *schema;         /* of a value, or of a list's element; NULL: anything */
};

struct operation {
    struct str segments[SEGMENTS_MAX]; /* "{id}" with its braces where it is a name */
    size_t n_segments, n_names;
    struct param *params;
    size_t n_params;
    const json_t *body; /* {required, content}; NULL: none is described */
    struct operation *next;
};

struct request_book {
    atomic_uint refs;
    struct arena arena;
    json_t *root;
    const json_t *schemas;
    /* By method and number of segments; those with fewer names first. */
    struct operation *operations[HTTP_METHOD_COUNT][SEGMENTS_MAX + 1];
    struct map patterns; /* text -> struct pattern */
    size_t looked_at;    /* while compiling */
};

/* ---- compiling ----------------------------------------------------------------------------------
 */
static const json_t *follow(void *book, const json_t *schema)
{
    const struct request_book *b = book;
    const char *ref = json_get_z(schema, "$ref", NULL);
    return ref ? json_get(b->schemas, ref) : schema;
}

static void patterns_compile(struct request_book *b, const json_t *node)
{
    const char *key;
    json_t *v;
    size_t i;
    if (++b->looked_at > LOOKED_MAX)
        return;
    json_object_foreach((json_t *)node, key, v)
    {
        struct str text = json_get_str(node, "pattern");
        if (json_is_string(v) && strcmp(key, "pattern") == 0 && !map_get(&b->patterns, text)) {
            struct pattern *p = pattern_new(text);
            if (p)
                map_set(&b->patterns, text, p);
        }
        patterns_compile(b, v);
    }
    json_array_foreach(node, i, v)
    {
        patterns_compile(b, v);
    }
}

static bool is_list(const json_t *schema)
{
    const json_t *type = json_get(schema, "type");
    return json_is_string(type) && strcmp(json_string_value(type), "array") == 0;
}

static void params_compile(struct request_book *b, struct operation *op, const json_t *list)
{
    const json_t *v;
    size_t i;
    size_t most = json_array_size(list) < PARAMS_MAX ? json_array_size(list) : PARAMS_MAX;
    op->params = arena_array(&b->arena, struct param, most + 1);
    json_array_foreach(list, i, v)
    {
        struct str in = json_get_str(v, "in");
        struct param p = {.name = json_get_str(v, "name"),
                          .in = str_eq_z(in, "query")  ? IN_QUERY
                                : str_eq_z(in, "path") ? IN_PATH
                                                       : IN_ELSEWHERE,
                          .required = json_get_bool(v, "required", false),
                          .explode = json_get_bool(v, "explode", true)};
        p.schema = follow(b, json_get(v, "schema"));
        p.list = is_list(p.schema);
        if (p.list)
            p.schema = json_get(p.schema, "items");
        if (p.in != IN_ELSEWHERE && op->n_params < most)
            op->params[op->n_params++] = p;
    }
}

static bool is_name(struct str segment)
{
    return segment.n > 2 && segment.p[0] == '{' && segment.p[segment.n - 1] == '}';
}

static bool path_compile(struct operation *op, struct str path)
{
    struct str part;
    while (str_split(&path, '/', &part)) {
        if (op->n_segments == SEGMENTS_MAX)
            return false;
        op->n_names += is_name(part);
        op->segments[op->n_segments++] = part;
    }
    return true;
}

static bool method_of(struct str name, enum http_method *out)
{
    for (int m = 0; m < HTTP_METHOD_COUNT; m++)
        if (str_eq_nocase(name, str_from(http_method_name((enum http_method)m)))) {
            *out = (enum http_method)m;
            return true;
        }
    return false;
}

static void operation_compile(struct request_book *b, const json_t *v)
{
    enum http_method method;
    struct operation *op = arena_new(&b->arena, struct operation);
    if (!method_of(json_get_str(v, "method"), &method) ||
        !path_compile(op, json_get_str(v, "path")))
        return;
    params_compile(b, op, json_get(v, "params"));
    op->body = json_is_object(json_get(v, "body")) ? json_get(v, "body") : NULL;
    struct operation **at = &b->operations[method][op->n_segments];
    while (*at && (*at)->n_names <= op->n_names)
        at = &(*at)->next;
    op->next = *at;
    *at = op;
}

struct request_book *request_book_new(const json_t *operations)
{
    const json_t *v;
    size_t i;
    struct request_book *b = calloc(1, sizeof *b);
    if (!b)
        abort();
    atomic_init(&b->refs, 1);
    arena_init(&b->arena);
    map_init(&b->patterns);
    b->root = json_incref((json_t *)operations);
    b->schemas = json_get(operations, "schemas");
    json_array_foreach(json_get(operations, "operations"), i, v)
    {
        if (i < OPERATIONS_MAX)
            operation_compile(b, v);
    }
    patterns_compile(b, operations);
    return b;
}

struct request_book *request_book_ref(struct request_book *b)
{
    atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
    return b;
}

void request_book_unref(struct request_book *b)
{
    size_t at = 0;
    struct str key;
    void *p;
    if (!b || atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) != 1)
        return;
    while (map_next(&b->patterns, &at, &key, &p))
        pattern_free(p);
    map_free(&b->patterns);
    json_decref(b->root);
    arena_free(&b->arena);
    free(b);
}

/* ---- holding ------------------------------------------------------------------------------------
 */
struct holding {
    const struct request_book *b;
    struct arena *a;
    const struct request *r;
    struct request_fault *out;
    bool broken;
};

static bool breaks(struct holding *k, const char *in, struct str name, const char *rule)
{
    if (!k->broken) {
        k->out->in = in;
        k->out->rule = rule;
        snprintf(k->out->name, sizeof k->out->name, STR_FMT, STR_ARG(name));
    }
    k->broken = true;
    return false;
}

static bool pattern_holds(void *book, struct str text, struct str value)
{
    const struct request_book *b = book;
    const struct pattern *p = map_get(&b->patterns, text);
    return !p || pattern_fits(p, value);
}

struct departure {
    struct holding *k;
    const char *in;
    struct str name; /* .n: what departs; else its place */
};

static void departs(void *departure, const char *path, const char *keyword)
{
    struct departure *d = departure;
    struct str at = str_from(path);
    breaks(d->k, d->in, d->name.n ? d->name : at.n ? at : STR("body"), keyword);
}

static bool schema_holds(struct holding *k, const char *in, struct str name, const json_t *schema,
                         const json_t *v)
{
    struct departure d = {k, in, name};
    const struct schema_judge j = {.ref = follow,
                                   .ref_arg = (void *)k->b,
                                   .departs = departs,
                                   .departs_arg = &d,
                                   .pattern = pattern_holds,
                                   .pattern_arg = (void *)k->b,
                                   .steps_max = REQUEST_STEPS_MAX};
    return schema_check(&j, schema, v) == 0;
}

/* A parameter is text; its schema may want a number or a truth: it holds if either reading does. */
static bool value_holds(struct holding *k, const struct param *p, struct str text)
{
    const char *in = p->in == IN_QUERY ? "query" : "path";
    json_t *v = json_stringn(text.n ? text.p : "", text.n);
    if (!v)
        return breaks(k, in, p->name, "type"); /* not UTF-8 */
    bool holds = !p->schema || schema_holds(k, in, p->name, p->schema, v);
    json_decref(v);
    if (holds || strcmp(k->out->rule, "type") != 0)
        return holds;
    v = json_loadb(text.n ? text.p : "", text.n, JSON_DECODE_ANY, NULL);
    if (json_is_number(v) || json_is_boolean(v)) {
        k->broken = false;
        holds = schema_holds(k, in, p->name, p->schema, v);
    }
    json_decref(v);
    return holds;
}

static bool list_holds(struct holding *k, const struct param *p, struct str text)
{
    struct str part;
    while (str_split(&text, ',', &part))
        if (!value_holds(k, p, part))
            return false;
    return true;
}

struct pair {
    struct str name, value;
};

/* What the gateway itself puts into the query: the route's key, a purpose that came in a header. */
static bool is_added(const struct request *r, struct str name)
{
    static const char *const purpose[][2] = {
        {"context", "Socle-Context"}, {"object", "Socle-Object"}, {"recipient", "Socle-Recipient"}};
    for (size_t i = 0; i < COUNT_OF(purpose); i++)
        if (str_eq_z(name, purpose[i][0]))
            return http_header_get(r->head, purpose[i][1]).p != NULL;
    return r->ours.n && str_eq(name, r->ours);
}

/* A repeated parameter that is no list: which of two a provider reads is its own affair, so neither
 * goes on. */
static bool query_param_holds(struct holding *k, const struct param *p, const struct pair *pairs,
                              size_t n)
{
    size_t seen = 0;
    for (size_t i = 0; i < n; i++) {
        if (!str_eq(pairs[i].name, p->name))
            continue;
        if (seen++ && !(p->list && p->explode))
            return breaks(k, "query", p->name, "repeated");
        if (p->list && !p->explode ? !list_holds(k, p, pairs[i].value)
                                   : !value_holds(k, p, pairs[i].value))
            return false;
    }
    return seen || !p->required || is_added(k->r, p->name) ||
           breaks(k, "query", p->name, "required");
}

static bool query_read(struct holding *k, struct str query, struct pair *pairs, size_t *n)
{
    struct str part;
    *n = 0;
    while (query.n && str_split(&query, '&', &part)) {
        ptrdiff_t eq = str_find_char(part, '=');
        struct str name = eq >= 0 ? str_sub(part, 0, (size_t)eq) : part;
        struct str value = eq >= 0 ? str_after(part, (size_t)eq + 1) : STR("");
        if (*n == PAIRS_MAX)
            return breaks(k, "query", STR(""), "maxItems");
        if (codec_url(k->a, name, true, &pairs[*n].name) != ERR_OK ||
            codec_url(k->a, value, true, &pairs[*n].value) != ERR_OK)
            return breaks(k, "query", name, "encoding");
        ++*n;
    }
    return true;
}

static bool path_param_holds(struct holding *k, const struct operation *op, const struct param *p,
                             const struct str *segments)
{
    struct str value;
    for (size_t i = 0; i < op->n_segments; i++) {
        struct str s = op->segments[i];
        if (!is_name(s) || !str_eq(str_sub(s, 1, s.n - 2), p->name))
            continue;
        if (codec_url(k->a, segments[i], false, &value) != ERR_OK)
            return breaks(k, "path", p->name, "encoding");
        return p->list ? list_holds(k, p, value) : value_holds(k, p, value);
    }
    return true;
}

static struct str media_type(struct str header)
{
    ptrdiff_t end = str_find_char(header, ';');
    return str_trim(end < 0 ? header : str_sub(header, 0, (size_t)end));
}

/* "application/json", or a range: "image/" and "*", "*" and "/" and "*". */
static bool type_is(struct str range, struct str type)
{
    struct str want = media_type(range);
    if (str_eq_z(want, "*/*"))
        return true;
    if (str_ends(want, STR("/*")))
        return type.n >= want.n &&
               str_eq_nocase(str_sub(type, 0, want.n - 1), str_sub(want, 0, want.n - 1));
    return str_eq_nocase(want, type);
}

static bool is_json(struct str type)
{
    return str_eq_nocase(type, STR("application/json")) ||
           (type.n > 5 && str_eq_nocase(str_after(type, type.n - 5), STR("+json")));
}

static bool body_holds(struct holding *k, const struct operation *op, const struct http_head *h,
                       struct str body)
{
    const json_t *content = json_get(op->body, "content"), *schema = NULL;
    struct str type = media_type(http_header_get(h, "Content-Type"));
    const char *key;
    json_t *v;
    bool known = false;
    if (!body.n)
        return !json_get_bool(op->body, "required", false) ||
               breaks(k, "body", STR("body"), "required");
    json_object_foreach((json_t *)content, key, v)
    {
        if (known || !type_is(str_from(key), type))
            continue;
        known = true;
        schema = v;
    }
    if (!known && json_object_size(content))
        return breaks(k, "header", STR("Content-Type"), "mediaType");
    if (!is_json(type) || body.n > REQUEST_JSON_MAX)
        return true;
    if (json_read(body, &v, NULL) != ERR_OK)
        return breaks(k, "body", STR("body"), "json");
    bool holds = !json_is_object(schema) || schema_holds(k, "body", STR_NONE, schema, v);
    json_decref(v);
    return holds;
}

static const struct operation *match(const struct request_book *b, enum http_method m,
                                     const struct str *segments, size_t n)
{
    for (const struct operation *op = b->operations[m][n]; op; op = op->next) {
        size_t i = 0;
        while (i < n && (is_name(op->segments[i]) ? segments[i].n > 0
                                                  : str_eq(op->segments[i], segments[i])))
            i++;
        if (i == n)
            return op;
    }
    return NULL;
}

bool request_fits(const struct request_book *b, struct arena *a, const struct request *r,
                  struct request_fault *out)
{
    struct holding k = {.b = b, .a = a, .r = r, .out = out};
    struct str segments[SEGMENTS_MAX], path = r->rest.n ? r->rest : STR("/");
    struct pair pairs[PAIRS_MAX];
    size_t n = 0, n_pairs = 0;
    while (n < SEGMENTS_MAX && str_split(&path, '/', &segments[n]))
        n++;
    const struct operation *op = path.p ? NULL : match(b, r->head->method, segments, n);
    if (!op)
        return true;
    if (op->n_params && !query_read(&k, r->head->query, pairs, &n_pairs))
        return false;
    for (size_t i = 0; i < op->n_params; i++) {
        const struct param *p = &op->params[i];
        if (p->in == IN_QUERY ? !query_param_holds(&k, p, pairs, n_pairs)
                              : !path_param_holds(&k, op, p, segments))
            return false;
    }
    return !op->body || body_holds(&k, op, r->head, r->body);
}
