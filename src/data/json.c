/* Reading with jansson, writing by hand. */
#include "data/json.h"

#include <stdio.h>
#include <stdlib.h>

enum { DEPTH_MAX = 64, WRITE_DEPTH_MAX = 2048 };

/* jansson recurses: depth is counted before it is let near the text. */
static bool too_deep(struct str text)
{
    int depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > DEPTH_MAX)
                return true;
        } else if (c == '}' || c == ']') {
            depth--;
        }
    }
    return false;
}

enum err json_read(struct str text, json_t **out, struct json_fault *fault)
{
    json_error_t error;
    *out = NULL;
    if (fault)
        *fault = (struct json_fault){0};
    /* jansson overlooks a NUL byte behind a number. */
    if (text.n && memchr(text.p, '\0', text.n)) {
        if (fault)
            snprintf(fault->text, sizeof fault->text, "a NUL byte");
        return ERR_INVALID;
    }
    if (too_deep(text)) {
        if (fault)
            snprintf(fault->text, sizeof fault->text, "nested deeper than %d", DEPTH_MAX);
        return ERR_INVALID;
    }
    *out =
        json_loadb(text.p ? text.p : "", text.n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (*out)
        return ERR_OK;
    if (fault) {
        fault->line = error.line;
        fault->column = error.column;
        snprintf(fault->text, sizeof fault->text, "%s", error.text);
    }
    return ERR_INVALID;
}

json_t *json_get(const json_t *obj, const char *key)
{
    return json_object_get(obj, key);
}

json_t *json_str(struct str s)
{
    return json_stringn(s.p ? s.p : "", s.n);
}

struct str json_get_str(const json_t *obj, const char *key)
{
    const json_t *v = json_object_get(obj, key);
    return json_is_string(v) ? str_of(json_string_value(v), json_string_length(v)) : STR("");
}

const char *json_get_z(const json_t *obj, const char *key, const char *absent)
{
    const json_t *v = json_object_get(obj, key);
    return json_is_string(v) ? json_string_value(v) : absent;
}

int64_t json_get_i64(const json_t *obj, const char *key, int64_t absent)
{
    const json_t *v = json_object_get(obj, key);
    return json_is_integer(v) ? json_integer_value(v) : absent;
}

bool json_get_bool(const json_t *obj, const char *key, bool absent)
{
    const json_t *v = json_object_get(obj, key);
    return json_is_boolean(v) ? json_is_true(v) : absent;
}

static int dump(const char *p, size_t n, void *b)
{
    buf_add(b, p, n);
    return 0;
}

/* What nearly all documents are made of is written by hand: jansson asks for each character what it
 * is. It writes the rest (real numbers). */
static void write_value(struct buf *b, const json_t *v, unsigned depth)
{
    const char *key;
    json_t *one;
    bool first = true;
    if (depth > WRITE_DEPTH_MAX) {
        b->err = b->err == ERR_OK ? ERR_INVALID : b->err;
        return;
    }
    switch (json_typeof(v)) {
    case JSON_OBJECT:
        buf_add_char(b, '{');
        json_object_foreach((json_t *)(uintptr_t)v, key, one)
        {
            if (!first)
                buf_add_char(b, ',');
            first = false;
            buf_add_json(b, str_from(key));
            buf_add_char(b, ':');
            write_value(b, one, depth + 1);
        }
        buf_add_char(b, '}');
        return;
    case JSON_ARRAY:
        buf_add_char(b, '[');
        for (size_t i = 0; i < json_array_size(v); i++) {
            if (i)
                buf_add_char(b, ',');
            write_value(b, json_array_get(v, i), depth + 1);
        }
        buf_add_char(b, ']');
        return;
    case JSON_STRING:
        buf_add_json(b, str_of(json_string_value(v), json_string_length(v)));
        return;
    case JSON_INTEGER:
        buf_printf(b, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
        return;
    case JSON_TRUE:
        buf_add_z(b, "true");
        return;
    case JSON_FALSE:
        buf_add_z(b, "false");
        return;
    case JSON_NULL:
        buf_add_z(b, "null");
        return;
    case JSON_REAL:
        if (json_dump_callback(v, dump, b, JSON_COMPACT | JSON_ENCODE_ANY) != 0)
            b->err = b->err == ERR_OK ? ERR_INVALID : b->err;
        return;
    }
}

void json_write(struct buf *b, const json_t *v)
{
    if (v)
        write_value(b, v, 0);
    else
        b->err = b->err == ERR_OK ? ERR_INVALID : b->err;
}

static struct str text_of(struct arena *a, const json_t *v, size_t flags)
{
    struct buf b;
    buf_init(&b, 64 * 1024 * 1024);
    if (json_dump_callback(v, dump, &b, JSON_COMPACT | flags) != 0)
        buf_reset(&b);
    struct str s = arena_dup(a, buf_str(&b));
    buf_free(&b);
    return s;
}

struct str json_text(struct arena *a, const json_t *v)
{
    return text_of(a, v, JSON_ENCODE_ANY);
}

struct str json_text_sorted(struct arena *a, const json_t *v)
{
    return text_of(a, v, JSON_SORT_KEYS);
}

json_t *json_own(struct json_pool *p, json_t *v)
{
    if (!v)
        return NULL;
    if (!p->list)
        p->list = json_array();
    json_array_append_new(p->list, v);
    return v;
}

void json_pool_free(struct json_pool *p)
{
    json_decref(p->list);
    p->list = NULL;
}

/* ---- emitter -----------------------------------------------------------------------------------
 */
void jw_start(struct jw *w, struct buf *b)
{
    *w = (struct jw){.b = b};
}

static void separate(struct jw *w)
{
    if (w->comma)
        buf_add_char(w->b, ',');
    w->comma = true;
}

static void open_level(struct jw *w, bool obj)
{
    separate(w);
    if (w->depth == sizeof w->in_obj)
        abort();
    w->in_obj[w->depth++] = obj;
    buf_add_char(w->b, obj ? '{' : '[');
    w->comma = false;
}

void jw_obj(struct jw *w)
{
    open_level(w, true);
}

void jw_arr(struct jw *w)
{
    open_level(w, false);
}

void jw_end(struct jw *w)
{
    if (w->depth == 0)
        abort();
    buf_add_char(w->b, w->in_obj[--w->depth] ? '}' : ']');
    w->comma = true;
}

void jw_key(struct jw *w, const char *key)
{
    separate(w);
    buf_add_json(w->b, str_from(key));
    buf_add_char(w->b, ':');
    w->comma = false;
}

void jw_str(struct jw *w, struct str s)
{
    separate(w);
    buf_add_json(w->b, s);
}

void jw_z(struct jw *w, const char *z)
{
    if (z)
        jw_str(w, str_from(z));
    else
        jw_null(w);
}

void jw_i64(struct jw *w, int64_t v)
{
    separate(w);
    if (v < 0)
        buf_add_char(w->b, '-');
    buf_add_u64(w->b, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

void jw_bool(struct jw *w, bool v)
{
    separate(w);
    buf_add_z(w->b, v ? "true" : "false");
}

void jw_null(struct jw *w)
{
    separate(w);
    buf_add_z(w->b, "null");
}

void jw_raw(struct jw *w, struct str json)
{
    separate(w);
    buf_add_str(w->b, json);
}

void jw_kstr(struct jw *w, const char *key, struct str s)
{
    jw_key(w, key);
    jw_str(w, s);
}

void jw_kz(struct jw *w, const char *key, const char *z)
{
    jw_key(w, key);
    jw_z(w, z);
}

void jw_ki64(struct jw *w, const char *key, int64_t v)
{
    jw_key(w, key);
    jw_i64(w, v);
}

void jw_kbool(struct jw *w, const char *key, bool v)
{
    jw_key(w, key);
    jw_bool(w, v);
}
