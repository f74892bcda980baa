/* Structured fields, by the algorithms of RFC 9651 4. Each read function takes its part off the
 * front of the reader's text; nothing is believed twice and nothing is skipped in silence. */
#include "data/sfv.h"

#include "base/codec.h"

struct reader {
    struct arena *a;
    struct str in;
};

enum { DIGITS_INTEGER = 15, DIGITS_DECIMAL = 12, DIGITS_FRACTION = 3, GROW_FROM = 8 };
static const int64_t integer_max = 999999999999999;

/* --- characters ------------------------------------------------------------------------------- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_alpha(char c)
{
    return is_lower(c) || (c >= 'A' && c <= 'Z');
}

static bool is_key_char(char c)
{
    return is_lower(c) || is_digit(c) || c == '_' || c == '-' || c == '.' || c == '*';
}

static bool is_token_char(char c)
{
    return is_alpha(c) || is_digit(c) || (c && strchr("!#$%&'*+-.^_`|~:/", c));
}

static bool is_printable(char c)
{
    return c >= 0x20 && c <= 0x7e;
}

static bool at(const struct reader *r, char c)
{
    return r->in.n > 0 && r->in.p[0] == c;
}

static bool take(struct reader *r, char c)
{
    if (!at(r, c))
        return false;
    r->in = str_after(r->in, 1);
    return true;
}

static void skip_spaces(struct reader *r)
{
    while (take(r, ' '))
        ;
}

/* OWS: spaces and tabs. */
static void skip_white(struct reader *r)
{
    while (take(r, ' ') || take(r, '\t'))
        ;
}

static struct str take_while(struct reader *r, bool (*good)(char c))
{
    size_t n = 0;
    while (n < r->in.n && good(r->in.p[n]))
        n++;
    struct str part = str_sub(r->in, 0, n);
    r->in = str_after(r->in, n);
    return part;
}

/* Room for one more of `n` things of a size: doubles within the arena. */
static void *grown(struct arena *a, void *old, size_t n, size_t size)
{
    if (n && (n < GROW_FROM || (n & (n - 1))))
        return old;
    void *fresh = arena_alloc_array(a, n ? 2 * n : GROW_FROM, size);
    if (n)
        memcpy(fresh, old, n * size);
    return fresh;
}

/* --- bare items ------------------------------------------------------------------------------- */

static enum err number_read(struct reader *r, struct sfv_value *v)
{
    int64_t sign = take(r, '-') ? -1 : 1, n = 0, scale = 1000;
    struct str whole = take_while(r, is_digit);
    if (whole.n == 0 || whole.n > DIGITS_INTEGER)
        return ERR_INVALID;
    for (size_t i = 0; i < whole.n; i++)
        n = n * 10 + (whole.p[i] - '0');
    *v = (struct sfv_value){.type = SFV_INTEGER, .number = sign * n};
    if (!take(r, '.'))
        return ERR_OK;
    struct str part = take_while(r, is_digit);
    if (whole.n > DIGITS_DECIMAL || part.n == 0 || part.n > DIGITS_FRACTION)
        return ERR_INVALID;
    n *= scale;
    for (size_t i = 0; i < part.n; i++)
        n += (part.p[i] - '0') * (scale /= 10);
    *v = (struct sfv_value){.type = SFV_DECIMAL, .number = sign * n};
    return ERR_OK;
}

static enum err string_read(struct reader *r, struct sfv_value *v)
{
    size_t n = 0, escapes = 0;
    r->in = str_after(r->in, 1);
    for (; n < r->in.n && r->in.p[n] != '"'; n++) {
        if (!is_printable(r->in.p[n]))
            return ERR_INVALID;
        if (r->in.p[n] != '\\')
            continue;
        escapes++;
        if (++n == r->in.n || (r->in.p[n] != '"' && r->in.p[n] != '\\'))
            return ERR_INVALID;
    }
    if (n >= r->in.n)
        return ERR_INVALID;
    struct str raw = str_sub(r->in, 0, n);
    r->in = str_after(r->in, n + 1);
    *v = (struct sfv_value){.type = SFV_STRING, .text = raw};
    if (escapes == 0)
        return ERR_OK;
    char *p = arena_alloc(r->a, raw.n), *to = p;
    for (size_t i = 0; i < raw.n; i++) {
        i += raw.p[i] == '\\';
        *to++ = raw.p[i];
    }
    v->text = str_of(p, (size_t)(to - p));
    return ERR_OK;
}

static enum err token_read(struct reader *r, struct sfv_value *v)
{
    *v = (struct sfv_value){.type = SFV_TOKEN, .text = take_while(r, is_token_char)};
    return ERR_OK;
}

static enum err bytes_read(struct reader *r, struct sfv_value *v)
{
    r->in = str_after(r->in, 1);
    ptrdiff_t end = str_find_char(r->in, ':');
    if (end < 0)
        return ERR_INVALID;
    *v = (struct sfv_value){.type = SFV_BYTES};
    struct str text = str_sub(r->in, 0, (size_t)end);
    r->in = str_after(r->in, (size_t)end + 1);
    return codec_base64(r->a, text, &v->text);
}

static enum err boolean_read(struct reader *r, struct sfv_value *v)
{
    r->in = str_after(r->in, 1);
    bool yes = take(r, '1');
    *v = (struct sfv_value){.type = SFV_BOOLEAN, .number = yes};
    return yes || take(r, '0') ? ERR_OK : ERR_INVALID;
}

static enum err date_read(struct reader *r, struct sfv_value *v)
{
    r->in = str_after(r->in, 1);
    enum err e = number_read(r, v);
    if (e || v->type != SFV_INTEGER)
        return ERR_INVALID;
    v->type = SFV_DATE;
    return ERR_OK;
}

static int hex_digit(char c)
{
    return is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static enum err display_read(struct reader *r, struct sfv_value *v)
{
    r->in = str_after(r->in, 1);
    if (!take(r, '"'))
        return ERR_INVALID;
    char *p = arena_alloc(r->a, r->in.n), *to = p;
    size_t i = 0;
    for (; i < r->in.n && r->in.p[i] != '"'; i++) {
        char c = r->in.p[i];
        if (!is_printable(c))
            return ERR_INVALID;
        if (c == '%') {
            int high = i + 2 < r->in.n ? hex_digit(r->in.p[i + 1]) : -1;
            int low = i + 2 < r->in.n ? hex_digit(r->in.p[i + 2]) : -1;
            if (high < 0 || low < 0)
                return ERR_INVALID;
            c = (char)(high * 16 + low);
            i += 2;
        }
        *to++ = c;
    }
    *v = (struct sfv_value){.type = SFV_DISPLAY, .text = str_of(p, (size_t)(to - p))};
    if (i >= r->in.n || !str_is_utf8(v->text))
        return ERR_INVALID;
    r->in = str_after(r->in, i + 1);
    return ERR_OK;
}

static enum err bare_read(struct reader *r, struct sfv_value *v)
{
    char c = r->in.n ? r->in.p[0] : 0;
    if (c == '-' || is_digit(c))
        return number_read(r, v);
    if (c == '*' || is_alpha(c))
        return token_read(r, v);
    switch (c) {
    case '"':
        return string_read(r, v);
    case ':':
        return bytes_read(r, v);
    case '?':
        return boolean_read(r, v);
    case '@':
        return date_read(r, v);
    case '%':
        return display_read(r, v);
    default:
        return ERR_INVALID;
    }
}

/* --- what is made of them --------------------------------------------------------------------- */

static enum err key_read(struct reader *r, struct str *key)
{
    if (r->in.n == 0 || !(is_lower(r->in.p[0]) || r->in.p[0] == '*'))
        return ERR_INVALID;
    *key = take_while(r, is_key_char);
    return ERR_OK;
}

/* The place of a key: where it was before, or a new one at the end (a later value replaces an
 * earlier one where that one stood). */
static struct sfv_param *param_place(struct reader *r, struct sfv_params *p, struct str key)
{
    for (size_t i = 0; i < p->n; i++)
        if (str_eq(p->v[i].key, key))
            return &p->v[i];
    p->v = grown(r->a, p->v, p->n, sizeof *p->v);
    return &p->v[p->n++];
}

static enum err params_read(struct reader *r, struct sfv_params *p)
{
    *p = (struct sfv_params){0};
    while (take(r, ';')) {
        struct sfv_param one = {.value = {.type = SFV_BOOLEAN, .number = 1}};
        skip_spaces(r);
        enum err e = key_read(r, &one.key);
        if (!e && take(r, '='))
            e = bare_read(r, &one.value);
        if (!e && p->n >= SFV_PARAMS_MAX)
            e = ERR_LIMIT;
        if (e)
            return e;
        *param_place(r, p, one.key) = one;
    }
    return ERR_OK;
}

static enum err item_read(struct reader *r, struct sfv_item *i)
{
    enum err e = bare_read(r, &i->value);
    return e ? e : params_read(r, &i->params);
}

static enum err inner_read(struct reader *r, struct sfv_member *m)
{
    m->is_list = true;
    for (;;) {
        skip_spaces(r);
        if (take(r, ')'))
            return params_read(r, &m->params);
        if (m->n_items >= SFV_INNER_MAX)
            return ERR_LIMIT;
        m->items = grown(r->a, m->items, m->n_items, sizeof *m->items);
        enum err e = item_read(r, &m->items[m->n_items++]);
        if (e)
            return e;
        if (!at(r, ' ') && !at(r, ')'))
            return ERR_INVALID;
    }
}

static enum err member_read(struct reader *r, struct sfv_member *m)
{
    if (take(r, '('))
        return inner_read(r, m);
    enum err e = bare_read(r, &m->value);
    return e ? e : params_read(r, &m->params);
}

static enum err pair_read(struct reader *r, struct sfv_member *m)
{
    enum err e = key_read(r, &m->key);
    if (e)
        return e;
    if (take(r, '='))
        return member_read(r, m);
    m->value = (struct sfv_value){.type = SFV_BOOLEAN, .number = 1};
    return params_read(r, &m->params);
}

static enum err add(struct reader *r, struct sfv *v, const struct sfv_member *m)
{
    for (size_t i = 0; v->kind == SFV_DICTIONARY && i < v->n; i++)
        if (str_eq(v->members[i].key, m->key)) {
            v->members[i] = *m;
            return ERR_OK;
        }
    if (v->n >= SFV_MEMBERS_MAX)
        return ERR_LIMIT;
    v->members = grown(r->a, v->members, v->n, sizeof *v->members);
    v->members[v->n++] = *m;
    return ERR_OK;
}

static enum err members_read(struct reader *r, struct sfv *v)
{
    while (r->in.n) {
        struct sfv_member m = {0};
        enum err e = v->kind == SFV_LIST ? member_read(r, &m) : pair_read(r, &m);
        if (!e)
            e = add(r, v, &m);
        if (e)
            return e;
        skip_white(r);
        if (r->in.n == 0)
            return ERR_OK;
        if (!take(r, ','))
            return ERR_INVALID;
        skip_white(r);
        if (r->in.n == 0)
            return ERR_INVALID; /* a comma with nothing behind it */
    }
    return ERR_OK;
}

enum err sfv_read(struct arena *a, struct str text, enum sfv_kind kind, struct sfv *out)
{
    struct reader r = {a, text};
    *out = (struct sfv){.kind = kind};
    skip_spaces(&r);
    while (r.in.n && r.in.p[r.in.n - 1] == ' ')
        r.in.n--;
    if (kind != SFV_ITEM)
        return members_read(&r, out);
    out->members = arena_new(a, struct sfv_member);
    out->n = 1;
    enum err e = bare_read(&r, &out->members->value);
    if (!e)
        e = params_read(&r, &out->members->params);
    return e ? e : r.in.n ? ERR_INVALID : ERR_OK;
}

/* --- writing ---------------------------------------------------------------------------------- */

static enum err key_write(struct buf *b, struct str key)
{
    bool good = key.n && (is_lower(key.p[0]) || key.p[0] == '*');
    for (size_t i = 0; good && i < key.n; i++)
        good = is_key_char(key.p[i]);
    buf_add_str(b, key);
    return good ? ERR_OK : ERR_INVALID;
}

static enum err integer_write(struct buf *b, int64_t n)
{
    buf_printf(b, "%lld", (long long)n);
    return n >= -integer_max && n <= integer_max ? ERR_OK : ERR_INVALID;
}

static enum err decimal_write(struct buf *b, int64_t n)
{
    long long size = n < 0 ? -n : n, part = size % 1000;
    buf_printf(b, "%s%lld.", n < 0 ? "-" : "", size / 1000);
    int digits = part % 10 ? 3 : part % 100 ? 2 : 1;
    buf_printf(b, "%0*lld", digits, digits == 3 ? part : digits == 2 ? part / 10 : part / 100);
    return n >= -integer_max && n <= integer_max ? ERR_OK : ERR_INVALID;
}

static enum err string_write(struct buf *b, struct str s)
{
    buf_add_char(b, '"');
    for (size_t i = 0; i < s.n; i++) {
        if (!is_printable(s.p[i]))
            return ERR_INVALID;
        if (s.p[i] == '"' || s.p[i] == '\\')
            buf_add_char(b, '\\');
        buf_add_char(b, s.p[i]);
    }
    buf_add_char(b, '"');
    return ERR_OK;
}

static enum err token_write(struct buf *b, struct str s)
{
    bool good = s.n && (is_alpha(s.p[0]) || s.p[0] == '*');
    for (size_t i = 0; good && i < s.n; i++)
        good = is_token_char(s.p[i]);
    buf_add_str(b, s);
    return good ? ERR_OK : ERR_INVALID;
}

static enum err display_write(struct buf *b, struct str s)
{
    buf_add_z(b, "%\"");
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (!is_printable(c) || c == '%' || c == '"')
            buf_printf(b, "%%%02x", (unsigned)(uint8_t)c);
        else
            buf_add_char(b, c);
    }
    buf_add_char(b, '"');
    return str_is_utf8(s) ? ERR_OK : ERR_INVALID;
}

static enum err bare_write(struct buf *b, const struct sfv_value *v)
{
    switch (v->type) {
    case SFV_INTEGER:
        return integer_write(b, v->number);
    case SFV_DATE:
        buf_add_char(b, '@');
        return integer_write(b, v->number);
    case SFV_DECIMAL:
        return decimal_write(b, v->number);
    case SFV_STRING:
        return string_write(b, v->text);
    case SFV_TOKEN:
        return token_write(b, v->text);
    case SFV_DISPLAY:
        return display_write(b, v->text);
    case SFV_BOOLEAN:
        buf_add_z(b, v->number ? "?1" : "?0");
        return ERR_OK;
    case SFV_BYTES:
        buf_add_char(b, ':');
        buf_add_base64(b, v->text.p, v->text.n);
        buf_add_char(b, ':');
        return ERR_OK;
    }
    return ERR_INVALID;
}

static enum err params_write(struct buf *b, const struct sfv_params *p)
{
    enum err e = ERR_OK;
    for (size_t i = 0; !e && i < p->n; i++) {
        buf_add_char(b, ';');
        e = key_write(b, p->v[i].key);
        if (e || (p->v[i].value.type == SFV_BOOLEAN && p->v[i].value.number))
            continue;
        buf_add_char(b, '=');
        e = bare_write(b, &p->v[i].value);
    }
    return e;
}

enum err sfv_write_item(struct buf *b, const struct sfv_item *i)
{
    enum err e = bare_write(b, &i->value);
    return e ? e : params_write(b, &i->params);
}

enum err sfv_write_member(struct buf *b, const struct sfv_member *m)
{
    enum err e = ERR_OK;
    if (!m->is_list) {
        e = bare_write(b, &m->value);
        return e ? e : params_write(b, &m->params);
    }
    buf_add_char(b, '(');
    for (size_t i = 0; !e && i < m->n_items; i++) {
        if (i)
            buf_add_char(b, ' ');
        e = sfv_write_item(b, &m->items[i]);
    }
    buf_add_char(b, ')');
    return e ? e : params_write(b, &m->params);
}

static enum err pair_write(struct buf *b, const struct sfv_member *m)
{
    enum err e = key_write(b, m->key);
    if (e)
        return e;
    if (!m->is_list && m->value.type == SFV_BOOLEAN && m->value.number)
        return params_write(b, &m->params);
    buf_add_char(b, '=');
    return sfv_write_member(b, m);
}

enum err sfv_write(struct buf *b, const struct sfv *v)
{
    enum err e = ERR_OK;
    for (size_t i = 0; !e && i < v->n; i++) {
        if (i)
            buf_add_z(b, ", ");
        e = v->kind == SFV_DICTIONARY ? pair_write(b, &v->members[i])
                                      : sfv_write_member(b, &v->members[i]);
    }
    return e;
}

/* --- looking things up ------------------------------------------------------------------------ */

const struct sfv_member *sfv_member(const struct sfv *v, struct str key)
{
    for (size_t i = 0; i < v->n; i++)
        if (str_eq(v->members[i].key, key))
            return &v->members[i];
    return NULL;
}

const struct sfv_value *sfv_param(const struct sfv_params *p, const char *key)
{
    for (size_t i = 0; i < p->n; i++)
        if (str_eq_z(p->v[i].key, key))
            return &p->v[i].value;
    return NULL;
}
