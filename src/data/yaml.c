/* libyaml's events made into jansson's values. JSON goes through the strict JSON reader first,
 * because what libyaml takes for JSON is neither all of it nor only that; its lines are found by
 * walking the text beside the tree. */
#include "data/yaml.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <yaml.h>

struct reader {
    yaml_parser_t parser;
    yaml_event_t event;
    bool has_event;
    struct yaml_doc *doc;
    struct json_fault *fault;
    struct map anchors; /* name -> json_t, borrowed from the tree */
    size_t nodes;
};

static enum err refuse(struct reader *r, enum err e, size_t line, size_t column, const char *text)
{
    if (r->fault) {
        r->fault->line = (int)line + 1;
        r->fault->column = (int)column + 1;
        snprintf(r->fault->text, sizeof r->fault->text, "%s", text);
    }
    return e;
}

static enum err refuse_here(struct reader *r, enum err e, const char *text)
{
    return refuse(r, e, r->event.start_mark.line, r->event.start_mark.column, text);
}

static void line_note(struct yaml_doc *doc, const json_t *v, size_t line)
{
    if (json_is_boolean(v) || json_is_null(v))
        return; /* one value for all */
    const json_t **key = arena_new(&doc->arena, const json_t *);
    *key = v;
    map_set(&doc->lines, str_of(key, sizeof *key), (void *)(uintptr_t)line);
}

int yaml_doc_line(const struct yaml_doc *doc, const json_t *value)
{
    return (int)(uintptr_t)map_get(&doc->lines, str_of(&value, sizeof value));
}

/* ---- YAML ---------------------------------------------------------------------------------------
 */
static enum err next(struct reader *r)
{
    if (r->has_event)
        yaml_event_delete(&r->event);
    r->has_event = false;
    if (!yaml_parser_parse(&r->parser, &r->event)) {
        const char *text = r->parser.problem ? r->parser.problem : "this is not YAML";
        return refuse(r, ERR_INVALID, r->parser.problem_mark.line, r->parser.problem_mark.column,
                      text);
    }
    r->has_event = true;
    return ERR_OK;
}

static bool all_of(struct str s, const char *set)
{
    for (size_t i = 0; i < s.n; i++)
        if (!strchr(set, s.p[i]) || s.p[i] == '\0')
            return false;
    return s.n > 0;
}

/* 3, -3, 0x1f, 0o17, 1.5, 1e3 of the core schema; NULL: text. */
static json_t *number(struct str s)
{
    char z[64], *end;
    struct str digits = s.n && (s.p[0] == '-' || s.p[0] == '+') ? str_after(s, 1) : s;
    if (s.n == 0 || s.n >= sizeof z)
        return NULL;
    memcpy(z, s.p, s.n);
    z[s.n] = '\0';
    errno = 0;
    if (str_starts(s, STR("0x")) || str_starts(s, STR("0o"))) {
        bool hex = z[1] == 'x';
        if (!all_of(str_after(s, 2), hex ? "0123456789abcdefABCDEF" : "01234567"))
            return NULL;
        long long v = strtoll(z + 2, &end, hex ? 16 : 8);
        return errno || *end ? NULL : json_integer(v);
    }
    if (all_of(digits, "0123456789")) {
        long long v = strtoll(z, &end, 10);
        return errno || *end ? NULL : json_integer(v);
    }
    if (!all_of(digits, "0123456789.eE+-") || !strpbrk(z, "0123456789") || digits.p[0] == '-' ||
        digits.p[0] == '+')
        return NULL;
    double v = strtod(z, &end);
    return errno || *end || !isfinite(v) ? NULL : json_real(v);
}

static json_t *plain(struct str s)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};
    static const char *const yes[] = {"true", "True", "TRUE"}, *const no[] = {"false", "False",
                                                                              "FALSE"};
    for (size_t i = 0; i < COUNT_OF(nulls); i++)
        if (str_eq_z(s, nulls[i]))
            return json_null();
    for (size_t i = 0; i < COUNT_OF(yes); i++) {
        if (str_eq_z(s, yes[i]))
            return json_true();
        if (str_eq_z(s, no[i]))
            return json_false();
    }
    return number(s);
}

static enum err scalar(struct reader *r, json_t **out)
{
    struct str s = {(const char *)r->event.data.scalar.value, r->event.data.scalar.length};
    const char *tag = (const char *)r->event.data.scalar.tag;
    bool text = r->event.data.scalar.style != YAML_PLAIN_SCALAR_STYLE ||
                (tag && strcmp(tag, YAML_STR_TAG) == 0);
    *out = text ? NULL : plain(s);
    if (*out)
        return ERR_OK;
    if (memchr(s.p, 0, s.n))
        return refuse_here(r, ERR_INVALID, "a text holds a NUL");
    *out = json_stringn(s.p, s.n);
    return *out ? ERR_OK : refuse_here(r, ERR_INVALID, "a text is not UTF-8");
}

static size_t weight(const json_t *v, size_t most)
{
    size_t n = 1, i;
    const char *key;
    json_t *part;
    json_object_foreach((json_t *)v, key, part)
    {
        n += n > most ? 0 : weight(part, most);
    }
    json_array_foreach(v, i, part)
    {
        n += n > most ? 0 : weight(part, most);
    }
    return n;
}

static enum err alias(struct reader *r, json_t **out)
{
    const char *name = (const char *)r->event.data.alias.anchor;
    json_t *v = map_get(&r->anchors, str_from(name));
    if (!v)
        return refuse_here(r, ERR_INVALID, "an alias names no anchor before it");
    r->nodes += weight(v, YAML_NODES_MAX);
    if (r->nodes > YAML_NODES_MAX)
        return refuse_here(r, ERR_LIMIT, "aliases make the document too large");
    *out = json_deep_copy(v);
    return ERR_OK;
}

static void anchor_keep(struct reader *r, const yaml_char_t *anchor, json_t *v)
{
    if (anchor)
        map_set(&r->anchors, arena_dup(&r->doc->arena, str_from((const char *)anchor)), v);
}

static enum err node(struct reader *r, int depth, json_t **out);

static enum err mapping(struct reader *r, int depth, json_t *into)
{
    enum err e;
    for (;;) {
        json_t *v;
        e = next(r);
        if (e != ERR_OK || r->event.type == YAML_MAPPING_END_EVENT)
            return e;
        if (r->event.type != YAML_SCALAR_EVENT)
            return refuse_here(r, ERR_INVALID, "a key is not a text");
        struct str s = {(const char *)r->event.data.scalar.value, r->event.data.scalar.length};
        if (memchr(s.p, 0, s.n) || !str_is_utf8(s))
            return refuse_here(r, ERR_INVALID, "a key is not plain text");
        struct str key = arena_dup(&r->doc->arena, s);
        size_t line = r->event.start_mark.line, column = r->event.start_mark.column;
        if (json_object_get(into, key.p))
            return refuse_here(r, ERR_INVALID, "a key comes twice");
        e = next(r);
        if (e == ERR_OK)
            e = node(r, depth + 1, &v);
        if (e != ERR_OK)
            return e;
        line_note(r->doc, v, line + 1);
        if (json_object_set_new(into, key.p, v) != 0)
            return refuse(r, ERR_INVALID, line, column, "a key is not plain text");
    }
}

static enum err sequence(struct reader *r, int depth, json_t *into)
{
    for (;;) {
        json_t *v;
        enum err e = next(r);
        if (e != ERR_OK || r->event.type == YAML_SEQUENCE_END_EVENT)
            return e;
        size_t line = r->event.start_mark.line;
        e = node(r, depth + 1, &v);
        if (e != ERR_OK)
            return e;
        line_note(r->doc, v, line + 1);
        json_array_append_new(into, v);
    }
}

/* The event at hand begins a value. */
static enum err node(struct reader *r, int depth, json_t **out)
{
    enum err e;
    if (++r->nodes > YAML_NODES_MAX)
        return refuse_here(r, ERR_LIMIT, "too many values");
    switch (r->event.type) {
    case YAML_SCALAR_EVENT:
        e = scalar(r, out);
        if (e == ERR_OK)
            anchor_keep(r, r->event.data.scalar.anchor, *out);
        return e;
    case YAML_ALIAS_EVENT:
        return alias(r, out);
    case YAML_MAPPING_START_EVENT:
    case YAML_SEQUENCE_START_EVENT: {
        bool map = r->event.type == YAML_MAPPING_START_EVENT;
        if (depth >= YAML_DEPTH_MAX)
            return refuse_here(r, ERR_LIMIT, "over 64 levels");
        const yaml_char_t *name =
            map ? r->event.data.mapping_start.anchor : r->event.data.sequence_start.anchor;
        struct str kept = name ? arena_dup(&r->doc->arena, str_from((const char *)name)) : STR_NONE;
        *out = map ? json_object() : json_array();
        e = map ? mapping(r, depth, *out) : sequence(r, depth, *out);
        if (e == ERR_OK && kept.p)
            map_set(&r->anchors, kept, *out);
        if (e != ERR_OK)
            json_decref(*out);
        return e;
    }
    default:
        return refuse_here(r, ERR_INVALID, "there is no value here");
    }
}

static enum err document(struct reader *r)
{
    enum err e = next(r); /* the stream's start */
    if (e == ERR_OK)
        e = next(r);
    if (e == ERR_OK && r->event.type != YAML_DOCUMENT_START_EVENT)
        return refuse_here(r, ERR_INVALID, "the file is empty");
    if (e == ERR_OK)
        e = next(r);
    if (e == ERR_OK) {
        size_t line = r->event.start_mark.line;
        e = node(r, 0, &r->doc->root);
        if (e != ERR_OK) {
            r->doc->root = NULL;
            return e;
        }
        line_note(r->doc, r->doc->root, line + 1);
    }
    if (e == ERR_OK)
        e = next(r); /* the document's end */
    if (e == ERR_OK)
        e = next(r);
    if (e == ERR_OK && r->event.type != YAML_STREAM_END_EVENT)
        return refuse_here(r, ERR_INVALID, "there is a second document");
    return e;
}

static enum err yaml_text_read(struct str text, struct yaml_doc *doc, struct json_fault *fault)
{
    struct reader r = {.doc = doc, .fault = fault};
    if (!yaml_parser_initialize(&r.parser))
        return ERR_INTERNAL;
    map_init(&r.anchors);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text.p, text.n);
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    enum err e = document(&r);
    if (r.has_event)
        yaml_event_delete(&r.event);
    yaml_parser_delete(&r.parser);
    map_free(&r.anchors);
    return e;
}

/* ---- JSON ---------------------------------------------------------------------------------------
 */
struct walk {
    const char *p;
    size_t line, nodes;
    struct yaml_doc *doc;
};

static void skip(struct walk *w, const char *also)
{
    for (; *w->p && strchr(" \t\r\n", *w->p) != NULL; w->p++)
        w->line += *w->p == '\n';
    if (*w->p && strchr(also, *w->p)) {
        w->p++;
        skip(w, "");
    }
}

static void skip_text(struct walk *w)
{
    for (w->p++; *w->p && *w->p != '"'; w->p++)
        w->p += *w->p == '\\' && w->p[1];
    w->p += *w->p == '"';
}

/* The text was read already, so it is well formed; members come in their order. */
static void walk_value(struct walk *w, const json_t *v)
{
    const char *key;
    size_t i;
    json_t *part;
    w->nodes++;
    if (json_is_object(v) || json_is_array(v)) {
        w->p++;
        skip(w, "");
    }
    json_object_foreach((json_t *)v, key, part)
    {
        line_note(w->doc, part, w->line);
        skip_text(w);
        skip(w, ":");
        walk_value(w, part);
        skip(w, ",");
    }
    json_array_foreach(v, i, part)
    {
        line_note(w->doc, part, w->line);
        walk_value(w, part);
        skip(w, ",");
    }
    if (json_is_object(v) || json_is_array(v))
        w->p++;
    else if (json_is_string(v))
        skip_text(w);
    else
        w->p += strcspn(w->p, " \t\r\n,]}");
}

static enum err json_text_read(struct str text, struct yaml_doc *doc, struct json_fault *fault)
{
    enum err e = json_read(text, &doc->root, fault);
    if (e != ERR_OK) {
        doc->root = NULL;
        return e;
    }
    struct walk w = {.p = arena_dupz(&doc->arena, text), .line = 1, .doc = doc};
    skip(&w, "");
    line_note(doc, doc->root, w.line);
    walk_value(&w, doc->root);
    return w.nodes > YAML_NODES_MAX ? ERR_LIMIT : ERR_OK;
}

/* ---- either -------------------------------------------------------------------------------------
 */
void yaml_doc_free(struct yaml_doc *doc)
{
    json_decref(doc->root);
    doc->root = NULL;
    map_free(&doc->lines);
    arena_free(&doc->arena);
}

enum err yaml_doc_read(struct str text, struct yaml_doc *out, struct json_fault *fault)
{
    struct json_fault unused;
    struct reader r = {.fault = fault ? fault : &unused};
    *out = (struct yaml_doc){0};
    if (text.n > YAML_BYTES_MAX)
        return refuse(&r, ERR_LIMIT, 0, 0, "the file is over 6 MB");
    if (!str_is_utf8(text))
        return refuse(&r, ERR_INVALID, 0, 0, "the file is not UTF-8");
    arena_init(&out->arena);
    map_init(&out->lines);
    struct str head = str_trim(text);
    bool json = head.n && (head.p[0] == '{' || head.p[0] == '[');
    enum err e = json ? json_text_read(text, out, r.fault) : yaml_text_read(text, out, r.fault);
    if (e != ERR_OK)
        yaml_doc_free(out);
    return e;
}
