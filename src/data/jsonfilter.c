/* The filter sits in the gateway's fast lane: one pass over the bytes, nothing allocated, nothing
 * built. Each byte is checked whether it is kept or not, because a document that two readers
 * understand in two ways is how data leave through a filter. */
#include "data/jsonfilter_inner.h"

#include <endian.h>
#include <stdlib.h>

enum { DEPTH_MAX = 64, NODES_MAX = JSON_FILTER_PATHS * JSON_FILTER_LEVELS + 1 };

typedef const unsigned char *at; /* a place in the document; NULL: it is not JSON */

/* --- what JSON is (RFC 8259) ------------------------------------------------------------------ */

static inline at spaces(at p, at end)
{
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
        p++;
    return p;
}

/* Eight bytes at once: the first that is a control character, '"', '\\' or not ASCII, 8 when none
 * is. Each test marks the top bit of a byte that meets it; a borrow can mark bytes behind one that
 * does, never before it. */
static inline unsigned plain_run(at p)
{
    const uint64_t ones = 0x0101010101010101u, tops = ones << 7;
    uint64_t x;
    memcpy(&x, p, 8);
    x = le64toh(x);
    uint64_t quote = x ^ ones * '"', back = x ^ ones * '\\';
    uint64_t marks =
        (x | ((x - ones * 0x20) & ~x) | ((quote - ones) & ~quote) | ((back - ones) & ~back)) & tops;
    return marks ? (unsigned)__builtin_ctzll(marks) / 8 : 8;
}

static int hex4(at p, at end)
{
    int v = 0;
    if (end - p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        unsigned char c = p[i], low = c | 0x20;
        if (c >= '0' && c <= '9')
            v = v << 4 | (c - '0');
        else if (low >= 'a' && low <= 'f')
            v = v << 4 | (low - 'a' + 10);
        else
            return -1;
    }
    return v;
}

/* p is behind the backslash. *code is the character it stands for. */
static at escape_end(at p, at end, uint32_t *code)
{
    static const char letters[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    if (p == end)
        return NULL;
    const char *letter = memchr(letters, *p, sizeof letters - 1);
    if (letter) {
        *code = (unsigned char)meant[letter - letters];
        return p + 1;
    }
    int v = *p == 'u' ? hex4(p + 1, end) : -1;
    if (v < 0 || (v >= 0xDC00 && v <= 0xDFFF))
        return NULL;
    p += 5;
    *code = (uint32_t)v;
    if (v < 0xD800 || v > 0xDBFF)
        return p;
    int low = end - p >= 6 && p[0] == '\\' && p[1] == 'u' ? hex4(p + 2, end) : -1;
    if (low < 0xDC00 || low > 0xDFFF)
        return NULL;
    *code = 0x10000 + (((uint32_t)v & 0x3FF) << 10 | ((uint32_t)low & 0x3FF));
    return p + 6;
}

/* p is behind the opening quote; returns the place behind the closing one. */
static at string_end(at p, at end, bool *escaped)
{
    while (p < end) {
        while (end - p >= 8) {
            unsigned n = plain_run(p);
            p += n;
            if (n < 8)
                break;
        }
        if (p == end)
            return NULL;
        if (*p == '"')
            return p + 1;
        if (*p == '\\') {
            uint32_t code;
            *escaped = true;
            p = escape_end(p + 1, end, &code);
            if (!p)
                return NULL;
        } else if (*p < 0x20) {
            return NULL;
        } else if (*p < 0x80) {
            p++;
        } else {
            size_t n = str_utf8_len((const char *)p, (size_t)(end - p));
            if (n == 0)
                return NULL;
            p += n;
        }
    }
    return NULL;
}

/* One digit at least. */
static inline at digits(at p, at end)
{
    at from = p;
    while (p < end && *p >= '0' && *p <= '9')
        p++;
    return p > from ? p : NULL;
}

static at number_end(at p, at end)
{
    p += *p == '-';
    p = p < end && *p == '0' ? p + 1 : digits(p, end);
    if (p && p < end && *p == '.')
        p = digits(p + 1, end);
    if (p && p < end && (*p | 0x20) == 'e') {
        p++;
        p += p < end && (*p == '+' || *p == '-');
        p = digits(p, end);
    }
    return p;
}

static at word_end(at p, at end, const char *word, size_t n)
{
    return (size_t)(end - p) >= n && memcmp(p, word, n) == 0 ? p + n : NULL;
}

/* A value that is no object and no array. */
static inline at scalar_end(at p, at end)
{
    bool escaped;
    switch (*p) {
    case '"':
        return string_end(p + 1, end, &escaped);
    case 't':
        return word_end(p, end, "true", 4);
    case 'f':
        return word_end(p, end, "false", 5);
    case 'n':
        return word_end(p, end, "null", 4);
    default:
        return number_end(p, end);
    }
}

/* p is where a member's name must begin; returns where its value must. */
static inline at name_end(at p, at end)
{
    bool escaped;
    if (p == end || *p != '"' || !(p = string_end(p + 1, end, &escaped)))
        return NULL;
    p = spaces(p, end);
    return p < end && *p == ':' ? spaces(p + 1, end) : NULL;
}

/* The end of the value at p, whatever it holds; `depth` levels are open around it. The bits of
 * `objects` say which of the levels inside it are objects. */
static at value_end(at p, at end, unsigned depth)
{
    uint64_t objects = 0;
    unsigned open = 0;
    for (;;) {
        if (p == end)
            return NULL;
        if (*p == '{' || *p == '[') {
            bool object = *p == '{';
            if (depth + ++open > DEPTH_MAX)
                return NULL;
            objects = objects << 1 | object;
            p = spaces(p + 1, end);
            if (p < end && *p != (object ? '}' : ']')) {
                if (object && !(p = name_end(p, end)))
                    return NULL;
                continue;
            }
        } else if (!(p = scalar_end(p, end))) {
            return NULL;
        }
        /* behind a value, or before the end of an empty object or array */
        for (;; p++) {
            if (open == 0)
                return p;
            p = spaces(p, end);
            if (p == end)
                return NULL;
            if (*p == ',')
                break;
            if (*p != (objects & 1 ? '}' : ']'))
                return NULL;
            objects >>= 1;
            open--;
        }
        p = spaces(p + 1, end);
        if (objects & 1 && !(p = name_end(p, end)))
            return NULL;
    }
}

/* --- the allow list --------------------------------------------------------------------------- */

/* --- questions in place of values ----------------------------------------------------------------
 */

/* A JSON number and nothing else. Bounds and values are compared as doubles: a threshold is a round
 * figure, and an error of the last digit of 15 tells nobody the value. */
bool field_number(struct str s, double *out)
{
    char text[JSON_FILTER_BOUND + 1];
    at p = (at)s.p;
    if (s.n == 0 || s.n > JSON_FILTER_BOUND || (*p != '-' && (*p < '0' || *p > '9')) ||
        number_end(p, p + s.n) != p + s.n)
        return false;
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    *out = strtod(text, NULL);
    return true;
}

enum err json_filter_ask_read(struct str text, struct str *path, struct json_filter_ask *ask)
{
    *ask = (struct json_filter_ask){.op = JSON_ASK_VALUE};
    *path = text;
    if (str_ends(text, STR("?"))) {
        ask->op = JSON_ASK_IS;
        *path = str_sub(text, 0, text.n - 1);
    } else {
        ptrdiff_t least = str_find(text, STR(">=")), most = str_find(text, STR("<="));
        ptrdiff_t op = least >= 0 ? least : most;
        if (op >= 0) {
            ask->op = least >= 0 ? JSON_ASK_LEAST : JSON_ASK_MOST;
            ask->bound_text = str_after(text, (size_t)op + 2);
            *path = str_sub(text, 0, (size_t)op);
            if (!field_number(ask->bound_text, &ask->bound))
                return ERR_INVALID;
        }
    }
    for (size_t i = 0; i < path->n; i++)
        if (strchr("<>?=", path->p[i]))
            return ERR_INVALID;
    return path->n ? ERR_OK : ERR_INVALID;
}

/* "Is it so?": anything but false, null, and what is empty. */
static bool value_says_yes(struct str v)
{
    if (str_eq_z(v, "false") || str_eq_z(v, "null") || str_eq_z(v, "\"\""))
        return false;
    if (v.p[0] != '{' && v.p[0] != '[')
        return true;
    return str_trim(str_sub(v, 1, v.n - 2)).n > 0;
}

/* The answer, "true" or "false"; .p NULL: what is there cannot be compared, and nothing is said. */
static struct str answer(const struct json_filter_ask *ask, struct str v)
{
    double number;
    bool yes;
    if (ask->op == JSON_ASK_IS)
        yes = value_says_yes(v);
    else if (!field_number(v, &number))
        return STR_NONE;
    else
        yes = ask->op == JSON_ASK_LEAST ? number >= ask->bound : number <= ask->bound;
    return yes ? STR("true") : STR("false");
}

static bool asks_alike(const struct json_filter_ask *a, const struct json_filter_ask *b)
{
    return a->op == b->op && (a->op < JSON_ASK_LEAST || str_eq(a->bound_text, b->bound_text));
}

/* Takes the name at the front of the path. */
static enum err segment(struct str *path, struct str *name)
{
    if (!str_split(path, '.', name) || name->n == 0 || !str_is_utf8(*name))
        return ERR_INVALID;
    return name->n > JSON_FILTER_NAME ? ERR_LIMIT : ERR_OK;
}

/* A path being put into the tree, level by level: where it has come to. */
struct climber {
    struct str rest;
    struct json_filter_ask ask;
    uint16_t node;
    bool done;
};

/* Adds the children of one node: the next names of the paths that have come to it. Children lie one
 * behind the other because all of one node are added before any other's. */
static enum err children_add(struct json_filter *f, uint16_t parent, struct climber *c, size_t n)
{
    struct field_node *up = &f->nodes[parent];
    up->first = (uint16_t)f->n;
    for (size_t i = 0; i < n; i++) {
        struct str name;
        if (c[i].done || c[i].node != parent)
            continue;
        enum err e = segment(&c[i].rest, &name);
        if (e != ERR_OK)
            return e;
        const struct field_node *known = field_child(f, up, name.p, name.n);
        uint16_t here = known ? (uint16_t)(known - f->nodes) : (uint16_t)f->n++;
        if (!known) {
            f->nodes[here] = (struct field_node){.path = -1,
                                                 .n = (uint16_t)name.n,
                                                 .name = name.p,
                                                 .head = field_head(name.p, name.n)};
            up->count++;
            up->lengths |= (uint64_t)1 << (name.n & 63);
        }
        c[i].node = here;
        c[i].done = c[i].rest.p == NULL;
        if (c[i].done && f->nodes[here].path < 0) {
            f->nodes[here].path = (int16_t)i;
            f->nodes[here].ask = c[i].ask;
            f->asks |= c[i].ask.op != JSON_ASK_VALUE;
        } else if (c[i].done && !asks_alike(&f->nodes[here].ask, &c[i].ask)) {
            return ERR_INVALID; /* two questions about one value close in on it */
        }
    }
    return ERR_OK;
}

static enum err tree_make(struct json_filter *f, struct climber *c, size_t n)
{
    enum err e = ERR_OK;
    size_t level_ends = f->n = 1;
    unsigned levels = 0;
    f->nodes[0].path = -1;
    for (uint16_t i = 0; i < f->n && e == ERR_OK; i++) {
        if (i == level_ends) {
            levels++;
            level_ends = f->n;
        }
        if (levels < JSON_FILTER_LEVELS)
            e = children_add(f, i, c, n);
    }
    for (size_t i = 0; i < n && e == ERR_OK; i++)
        if (!c[i].done)
            e = ERR_LIMIT;
    return e;
}

enum err json_filter_new(const struct str *paths, size_t n, struct json_filter **out)
{
    struct climber c[JSON_FILTER_PATHS] = {0};
    size_t bytes = 1;
    if (n > JSON_FILTER_PATHS)
        return ERR_LIMIT;
    for (size_t i = 0; i < n; i++)
        bytes += paths[i].n;
    struct json_filter *f = calloc(1, sizeof *f);
    struct field_node *nodes = calloc(NODES_MAX, sizeof *nodes);
    char *names = malloc(bytes), *to = names;
    if (!f || !nodes || !names)
        abort();
    *f = (struct json_filter){.nodes = nodes, .names = names};
    enum err e = ERR_OK;
    for (size_t i = 0; i < n && e == ERR_OK; to += paths[i++].n) {
        if (paths[i].n)
            memcpy(to, paths[i].p, paths[i].n);
        e = json_filter_ask_read(str_of(to, paths[i].n), &c[i].rest, &c[i].ask);
    }
    if (e == ERR_OK)
        e = tree_make(f, c, n);
    if (e != ERR_OK) {
        json_filter_free(f);
        return e;
    }
    nodes = realloc(nodes, f->n * sizeof *nodes); /* there is a filter for each contract */
    f->nodes = nodes ? nodes : f->nodes;
    *out = f;
    return ERR_OK;
}

void json_filter_free(struct json_filter *f)
{
    if (!f)
        return;
    free(f->nodes);
    free(f->names);
    free(f);
}

/* --- a run ------------------------------------------------------------------------------------ */

struct run {
    const struct json_filter *f;
    at end;
    char *w, *w_end;
    json_filter_seen *seen;
    void *arg;
    bool full;
};

static void put(struct run *r, const void *p, size_t n)
{
    if ((size_t)(r->w_end - r->w) < n) {
        r->full = true;
        return;
    }
    memcpy(r->w, p, n);
    r->w += n;
}

static inline void put_char(struct run *r, char c)
{
    if (r->w == r->w_end)
        r->full = true;
    else
        *r->w++ = c;
}

static size_t utf8_put(uint32_t code, char out[4])
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t n = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--, code >>= 6)
        out[i] = (char)(0x80 | (code & 0x3F));
    out[0] = (char)((0xF00 >> n & 0xFF) | code);
    return n;
}

/* The child a name with escapes stands for. The name has been found well-formed. */
static const struct field_node *escaped_find(const struct run *r, const struct field_node *n, at p,
                                             at end)
{
    char name[JSON_FILTER_NAME + 4];
    size_t len = 0;
    while (p < end && len <= JSON_FILTER_NAME) {
        uint32_t code;
        if (*p != '\\') {
            name[len++] = (char)*p++;
            continue;
        }
        p = escape_end(p + 1, end, &code);
        len += utf8_put(code, name + len);
    }
    return p == end ? field_child(r->f, n, name, len) : NULL;
}

static at value_filter(struct run *r, at p, const struct field_node *n, unsigned depth, bool *kept);

/* One member of an object on the way: `p` is where its name must begin. */
static at member_filter(struct run *r, at p, const struct field_node *n, unsigned depth,
                        uint64_t *had, bool *first)
{
    bool escaped = false, kept = true;
    at name = p;
    if (p == r->end || *p != '"' || !(p = string_end(p + 1, r->end, &escaped)))
        return NULL;
    at name_ends = p;
    p = spaces(p, r->end);
    if (p == r->end || *p != ':')
        return NULL;
    p = spaces(p + 1, r->end);
    const struct field_node *c =
        escaped ? escaped_find(r, n, name + 1, name_ends - 1)
                : field_child(r->f, n, (const char *)name + 1, (size_t)(name_ends - name) - 2);
    if (!c)
        return value_end(p, r->end, depth);
    uint64_t bit = (uint64_t)1 << (c - &r->f->nodes[n->first]);
    if (*had & bit)
        return NULL;
    *had |= bit;
    char *back = r->w;
    if (!*first)
        put_char(r, ',');
    put(r, name, (size_t)(name_ends - name));
    put_char(r, ':');
    if (c->path >= 0) {
        at value = p;
        if (!(p = value_end(p, r->end, depth)))
            return NULL;
        struct str said = str_of(value, (size_t)(p - value));
        if (c->ask.op != JSON_ASK_VALUE)
            said = answer(&c->ask, said);
        kept = said.p != NULL;
        if (kept)
            put(r, said.p, said.n);
        if (kept && r->seen)
            r->seen(r->arg, (size_t)c->path, said);
    } else {
        p = value_filter(r, p, c, depth, &kept);
    }
    if (kept)
        *first = false;
    else
        r->w = back;
    return p;
}

/* p is behind the bracket. */
static at object_filter(struct run *r, at p, const struct field_node *n, unsigned depth)
{
    uint64_t had = 0;
    bool first = true;
    put_char(r, '{');
    p = spaces(p, r->end);
    if (p == r->end || *p != '}')
        for (;; p = spaces(p + 1, r->end)) {
            p = member_filter(r, p, n, depth, &had, &first);
            if (!p)
                return NULL;
            p = spaces(p, r->end);
            if (p == r->end || (*p != ',' && *p != '}'))
                return NULL;
            if (*p == '}')
                break;
        }
    put_char(r, '}');
    return p + 1;
}

static at array_filter(struct run *r, at p, const struct field_node *n, unsigned depth)
{
    bool first = true;
    put_char(r, '[');
    p = spaces(p, r->end);
    if (p == r->end || *p != ']')
        for (;; p = spaces(p + 1, r->end)) {
            bool kept;
            char *back = r->w;
            if (!first)
                put_char(r, ',');
            p = value_filter(r, p, n, depth, &kept);
            if (!p)
                return NULL;
            if (kept)
                first = false;
            else
                r->w = back;
            p = spaces(p, r->end);
            if (p == r->end || (*p != ',' && *p != ']'))
                return NULL;
            if (*p == ']')
                break;
        }
    put_char(r, ']');
    return p + 1;
}

/* A value on the way to allowed paths. */
static at value_filter(struct run *r, at p, const struct field_node *n, unsigned depth, bool *kept)
{
    *kept = p < r->end && (*p == '{' || *p == '[');
    if (!*kept)
        return p < r->end ? scalar_end(p, r->end) : NULL;
    if (++depth > DEPTH_MAX)
        return NULL;
    return *p == '{' ? object_filter(r, p + 1, n, depth) : array_filter(r, p + 1, n, depth);
}

enum err json_filter_run(const struct json_filter *f, struct str in, struct buf *out,
                         json_filter_seen *seen, void *arg)
{
    /* What is kept is never longer than what was there, but for "null" in place of a digit; an
     * answer takes 5 bytes where with its name and comma there were 6 at least. */
    size_t left = out->ceiling > out->n ? out->ceiling - out->n : 0;
    size_t most = (f->asks ? 2 * in.n : in.n) + 4;
    size_t room = most < left ? most : left;
    char *w = buf_room(out, room);
    if (in.n == 0)
        return ERR_INVALID;
    if (!w || room == 0)
        return out->err = ERR_LIMIT;
    struct run r = {.f = f, .w = w, .w_end = w + room, .seen = seen, .arg = arg};
    at p = (at)in.p;
    bool kept;
    r.end = p + in.n;
    p = value_filter(&r, spaces(p, r.end), &f->nodes[0], 0, &kept);
    if (!p || spaces(p, r.end) != r.end)
        return ERR_INVALID;
    if (!kept)
        put(&r, "null", 4);
    if (r.full)
        out->err = ERR_LIMIT;
    else
        buf_grew(out, (size_t)(r.w - w));
    return out->err;
}
