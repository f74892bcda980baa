/* A strict reader of the XML that services send, and nothing of what made XML dangerous: no
 * document type, so no entities; no processing instructions; one encoding. Every byte is checked
 * whether it is kept or not, since two readers who differ are how data leave through a filter. */
#include "data/xmlfilter.h"

#include "data/jsonfilter_inner.h"

enum { DEPTH_MAX = 32, ATTRS_MAX = 32, NAME_MAX_BYTES = 256, NAMESPACE_MAX = 256 };

enum mode { MODE_DROP, MODE_WAY, MODE_WHOLE, MODE_ASK };
struct level {
    struct str name;
    const struct field_node *node; /* on the way, or the allowed element itself; NULL inside it */
    enum mode mode;
    char *back, *inner; /* in the output: before the element, behind its start tag */
};
struct attr {
    struct str name, value; /* the value as written, between its quotes */
    char quote;
};
struct run {
    const struct json_filter *f;
    const char *p, *end;
    char *w, *w_start, *w_end;
    json_filter_seen *seen;
    void *arg;
    bool full;
    unsigned open;
    struct level levels[DEPTH_MAX];
    struct attr attrs[ATTRS_MAX];
    size_t n_attrs;
};

/* --- output ----------------------------------------------------------------------------------- */

static void put(struct run *r, struct str s)
{
    if ((size_t)(r->w_end - r->w) < s.n) {
        r->full = true;
        return;
    }
    if (s.n)
        memcpy(r->w, s.p, s.n);
    r->w += s.n;
}

static enum mode mode_now(const struct run *r)
{
    return r->open ? r->levels[r->open - 1].mode : MODE_DROP;
}

/* Text and what stands for it: kept within an allowed element only. */
static void content_put(struct run *r, const char *from)
{
    enum mode m = mode_now(r);
    if (m == MODE_WHOLE || m == MODE_ASK)
        put(r, str_of(from, (size_t)(r->p - from)));
}

/* --- what XML is (1.0, fifth edition) ----------------------------------------------------------
 */

static bool at(const struct run *r, const char *z)
{
    size_t n = strlen(z);
    return (size_t)(r->end - r->p) >= n && memcmp(r->p, z, n) == 0;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool spaces(struct run *r)
{
    const char *from = r->p;
    while (r->p < r->end && is_space(*r->p))
        r->p++;
    return r->p > from;
}

static bool is_char(uint32_t c)
{
    return c == '\t' || c == '\n' || c == '\r' || (c >= 0x20 && c <= 0xD7FF) ||
           (c >= 0xE000 && c <= 0xFFFD) || (c >= 0x10000 && c <= 0x10FFFF);
}

/* One character of text, whatever it means. */
static bool char_pass(struct run *r)
{
    unsigned char c = (unsigned char)*r->p;
    if (c < 0x80) {
        r->p++;
        return is_char(c);
    }
    size_t n = str_utf8_len(r->p, (size_t)(r->end - r->p));
    if (n == 3 && c == 0xEF && (unsigned char)r->p[1] == 0xBF && (unsigned char)r->p[2] >= 0xBE)
        return false;
    r->p += n;
    return n > 0;
}

/* The name's characters outside ASCII are not told apart: readers agree on where it ends. */
static bool name_read(struct run *r, struct str *name)
{
    const char *from = r->p;
    while (r->p < r->end) {
        unsigned char c = (unsigned char)*r->p, low = c | 0x20;
        bool start = (low >= 'a' && low <= 'z') || c == '_' || c == ':' || c >= 0x80;
        bool more = (c >= '0' && c <= '9') || c == '-' || c == '.';
        if (!start && (!more || r->p == from))
            break;
        if (!char_pass(r))
            return false;
    }
    *name = str_of(from, (size_t)(r->p - from));
    return name->n > 0 && name->n <= NAME_MAX_BYTES;
}

/* "&amp;", "&#233;", "&#xE9;". */
static bool reference_pass(struct run *r)
{
    static const char *const known[] = {"&amp;", "&lt;", "&gt;", "&quot;", "&apos;"};
    for (size_t i = 0; i < COUNT_OF(known); i++)
        if (at(r, known[i])) {
            r->p += strlen(known[i]);
            return true;
        }
    if (!at(r, "&#"))
        return false;
    r->p += 2;
    uint32_t base = at(r, "x") ? 16 : 10, code = 0;
    r->p += base == 16;
    const char *from = r->p;
    for (; r->p < r->end && *r->p != ';' && code <= 0x10FFFF; r->p++) {
        char c = *r->p, low = (char)(c | 0x20);
        if (c >= '0' && c <= '9')
            code = code * base + (uint32_t)(c - '0');
        else if (base == 16 && low >= 'a' && low <= 'f')
            code = code * base + (uint32_t)(low - 'a' + 10);
        else
            return false;
    }
    return r->p > from && r->p < r->end && *r->p++ == ';' && is_char(code);
}

static bool attr_read(struct run *r, struct attr *a)
{
    if (!name_read(r, &a->name))
        return false;
    spaces(r);
    if (!at(r, "="))
        return false;
    r->p++;
    spaces(r);
    if (r->p == r->end || (*r->p != '"' && *r->p != '\''))
        return false;
    a->quote = *r->p++;
    const char *from = r->p;
    while (r->p < r->end && *r->p != a->quote)
        if (*r->p == '<' || !(*r->p == '&' ? reference_pass(r) : char_pass(r)))
            return false;
    if (r->p == r->end)
        return false;
    a->value = str_of(from, (size_t)(r->p++ - from));
    return true;
}

/* What follows a tag's name, up to its '>' or "/>" or "?>". */
static bool attrs_read(struct run *r)
{
    for (r->n_attrs = 0;;) {
        bool apart = spaces(r);
        if (r->p == r->end)
            return false;
        if (*r->p == '>' || *r->p == '/' || *r->p == '?')
            return true;
        struct attr *a = &r->attrs[r->n_attrs];
        if (!apart || r->n_attrs == ATTRS_MAX || !attr_read(r, a))
            return false;
        for (size_t i = 0; i < r->n_attrs; i++)
            if (str_eq(r->attrs[i].name, a->name))
                return false;
        r->n_attrs++;
    }
}

/* From behind its opening to behind `close`; "--" ends a comment or breaks it. */
static bool section_pass(struct run *r, const char *close, const char *barred)
{
    while (r->p < r->end) {
        if (at(r, close)) {
            r->p += strlen(close);
            return true;
        }
        if ((barred && at(r, barred)) || !char_pass(r))
            return false;
    }
    return false;
}

static bool comment_pass(struct run *r)
{
    r->p += 4;
    return section_pass(r, "-->", "--");
}

/* --- elements --------------------------------------------------------------------------------- */

/* The answer, "true" or "false"; .p NULL: what is there cannot be compared, and nothing is said. */
static struct str answer(const struct json_filter_ask *ask, struct str v)
{
    double number;
    bool yes;
    v = str_trim(v);
    if (v.n && (memchr(v.p, '&', v.n) || str_find(v, STR("<![CDATA[")) >= 0))
        return STR_NONE;
    if (ask->op == JSON_ASK_IS)
        yes = v.n > 0 && !str_eq_z(v, "false") && !str_eq_z(v, "0");
    else if (!field_number(v, &number))
        return STR_NONE;
    else
        yes = ask->op == JSON_ASK_LEAST ? number >= ask->bound : number <= ask->bound;
    return yes ? STR("true") : STR("false");
}

static void attr_put(struct run *r, const struct attr *a, struct str value)
{
    put(r, STR(" "));
    put(r, a->name);
    put(r, STR("="));
    put(r, str_of(&a->quote, 1));
    put(r, value);
    put(r, str_of(&a->quote, 1));
}

static bool is_namespace(struct str name)
{
    return str_eq_z(name, "xmlns") || str_starts(name, STR("xmlns:"));
}

static const struct field_node *attr_find(const struct run *r, const struct field_node *n,
                                          struct str name)
{
    char text[JSON_FILTER_NAME];
    if (!n || name.n >= sizeof text)
        return NULL;
    text[0] = '@';
    memcpy(text + 1, name.p, name.n);
    const struct field_node *c = field_child(r->f, n, text, name.n + 1);
    return c && c->path >= 0 ? c : NULL;
}

static bool attrs_put(struct run *r, const struct level *l)
{
    for (size_t i = 0; i < r->n_attrs; i++) {
        const struct attr *a = &r->attrs[i];
        if (is_namespace(a->name) && a->value.n > NAMESPACE_MAX)
            return false;
        if (is_namespace(a->name) || l->mode == MODE_WHOLE) {
            attr_put(r, a, a->value);
            continue;
        }
        const struct field_node *c = l->mode == MODE_WAY ? attr_find(r, l->node, a->name) : NULL;
        struct str said = a->value;
        if (c && c->ask.op != JSON_ASK_VALUE)
            said = answer(&c->ask, said);
        if (!c || !said.p)
            continue;
        attr_put(r, a, said);
        if (r->seen)
            r->seen(r->arg, (size_t)c->path, said);
    }
    return true;
}

/* What becomes of an element, from what became of the one around it. */
static void level_open(struct run *r, struct str name)
{
    const struct level *up = r->open ? &r->levels[r->open - 1] : NULL;
    struct level *l = &r->levels[r->open];
    *l = (struct level){.name = name, .mode = up ? up->mode : MODE_WAY, .back = r->w};
    if (!up)
        l->node = &r->f->nodes[0];
    else if (up->mode == MODE_WAY)
        l->node = field_child(r->f, up->node, name.p, name.n);
    if (up && up->mode == MODE_WAY)
        l->mode = !l->node                            ? MODE_DROP
                  : l->node->path < 0                 ? MODE_WAY
                  : l->node->ask.op == JSON_ASK_VALUE ? MODE_WHOLE
                                                      : MODE_ASK;
    r->open++;
}

static void level_close(struct run *r)
{
    const struct level *l = &r->levels[--r->open];
    bool leaf = l->node && l->node->path >= 0;
    if (l->mode == MODE_DROP || r->full)
        return;
    struct str said = str_of(l->inner, (size_t)(r->w - l->inner));
    if (leaf && l->mode == MODE_ASK) {
        said = answer(&l->node->ask, said);
        r->w = said.p ? l->inner : l->back;
        if (!said.p)
            return;
        put(r, said);
    }
    if (leaf && r->seen)
        r->seen(r->arg, (size_t)l->node->path, said);
    put(r, STR("</"));
    put(r, l->name);
    put(r, STR(">"));
}

/* r->p is behind the '<'. */
static bool start_tag(struct run *r)
{
    struct str name;
    if (r->open == DEPTH_MAX || !name_read(r, &name) || !attrs_read(r))
        return false;
    bool empty = *r->p == '/';
    r->p += empty;
    if (!at(r, ">"))
        return false;
    r->p++;
    level_open(r, name);
    struct level *l = &r->levels[r->open - 1];
    if (l->mode != MODE_DROP) {
        put(r, STR("<"));
        put(r, name);
        if (!attrs_put(r, l))
            return false;
        put(r, STR(">"));
    }
    l->inner = r->w;
    if (empty)
        level_close(r);
    return true;
}

/* r->p is behind the "</". */
static bool end_tag(struct run *r)
{
    struct str name;
    if (!name_read(r, &name) || !str_eq(name, r->levels[r->open - 1].name))
        return false;
    spaces(r);
    if (!at(r, ">"))
        return false;
    r->p++;
    level_close(r);
    return true;
}

/* --- a document ------------------------------------------------------------------------------- */

static bool declaration_pass(struct run *r)
{
    if (!at(r, "<?xml"))
        return true;
    r->p += 5;
    if (!attrs_read(r) || !at(r, "?>") || r->n_attrs == 0 ||
        !str_eq_z(r->attrs[0].name, "version") || !str_eq_z(r->attrs[0].value, "1.0"))
        return false;
    r->p += 2;
    for (size_t i = 1; i < r->n_attrs; i++) {
        const struct attr *a = &r->attrs[i];
        if (i == 1 && str_eq_z(a->name, "encoding")) {
            if (!str_eq_nocase(a->value, STR("UTF-8")))
                return false;
        } else if (!str_eq_z(a->name, "standalone") ||
                   (!str_eq_z(a->value, "yes") && !str_eq_z(a->value, "no"))) {
            return false;
        }
    }
    return true;
}

/* Spaces and comments, around the document's element. */
static bool misc_pass(struct run *r)
{
    for (;;) {
        spaces(r);
        if (!at(r, "<!--"))
            return true;
        if (!comment_pass(r))
            return false;
    }
}

static bool text_pass(struct run *r)
{
    const char *from = r->p;
    /* A comment that is dropped must not make "]]>" of what was around it. */
    if (r->w > r->w_start && r->w[-1] == ']' && (*r->p == ']' || *r->p == '>'))
        return false;
    while (r->p < r->end && *r->p != '<') {
        if (at(r, "]]>") || !(*r->p == '&' ? reference_pass(r) : char_pass(r)))
            return false;
    }
    content_put(r, from);
    return true;
}

static bool markup_pass(struct run *r)
{
    const char *from = r->p;
    if (at(r, "<!--"))
        return comment_pass(r);
    if (at(r, "<![CDATA[")) {
        r->p += 9;
        bool good = section_pass(r, "]]>", NULL);
        if (good)
            content_put(r, from);
        return good;
    }
    bool ends = at(r, "</");
    r->p += ends ? 2 : 1;
    return ends ? end_tag(r) : start_tag(r);
}

static bool document_pass(struct run *r)
{
    if (at(r, "\xEF\xBB\xBF"))
        r->p += 3;
    put(r, STR("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"));
    if (!declaration_pass(r) || !misc_pass(r) || !at(r, "<"))
        return false;
    r->p++;
    if (!start_tag(r))
        return false;
    while (r->open && r->p < r->end)
        if (!(*r->p == '<' ? markup_pass(r) : text_pass(r)))
            return false;
    return !r->open && misc_pass(r) && r->p == r->end;
}

enum err xml_filter_run(const struct json_filter *f, struct str in, struct buf *out,
                        json_filter_seen *seen, void *arg)
{
    /* "<a/>" becomes "<a></a>" or, asked, "<a>false</a>": three times what was there. */
    size_t left = out->ceiling > out->n ? out->ceiling - out->n : 0;
    size_t most = in.n * 3 + 64;
    size_t room = most < left ? most : left;
    if (in.n == 0)
        return ERR_INVALID;
    char *w = buf_room(out, room);
    if (!w || room == 0)
        return out->err = ERR_LIMIT;
    struct run r = {.f = f, .p = in.p, .end = in.p + in.n, .w = w, .w_start = w, .w_end = w + room};
    r.seen = seen;
    r.arg = arg;
    if (!document_pass(&r))
        return ERR_INVALID;
    if (r.full)
        out->err = ERR_LIMIT;
    else
        buf_grew(out, (size_t)(r.w - w));
    return out->err;
}
