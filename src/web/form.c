/* Forms and cookies: the small text formats that browsers send (WHATWG URL 5.1, RFC 6265). Values
 * reach templates and databases, so what is not UTF-8 or holds a NUL is refused at this door. */
#include "web/form.h"

#include <assert.h>
#include "base/buf.h"
#include "base/codec.h"

enum { FIELDS_MAX = 1200, COOKIE_MAX = 4096 };

static enum err part_read(struct arena *a, struct str raw, struct str *out)
{
    enum err e = codec_url(a, raw, true, out);
    if (e)
        return e;
    if ((out->n && memchr(out->p, '\0', out->n)) || !str_is_utf8(*out))
        return ERR_INVALID;
    return ERR_OK;
}

static size_t fields_max_of(struct str text)
{
    size_t n = 1;
    for (size_t i = 0; i < text.n && n <= FIELDS_MAX; i++)
        n += text.p[i] == '&';
    return n;
}

enum err form_read(struct arena *a, struct str text, struct form *out)
{
    struct str pair;
    size_t max = fields_max_of(text);
    *out = (struct form){0};
    if (max > FIELDS_MAX)
        return ERR_LIMIT;
    if (text.n == 0)
        return ERR_OK;
    struct form f = {.fields = arena_array(a, struct form_field, max)};
    while (str_split(&text, '&', &pair)) {
        struct str name = pair, value = STR("");
        ptrdiff_t eq = str_find_char(pair, '=');
        if (pair.n == 0)
            continue;
        if (eq >= 0) {
            name = str_sub(pair, 0, (size_t)eq);
            value = str_after(pair, (size_t)eq + 1);
        }
        struct form_field *field = &f.fields[f.n];
        enum err e = part_read(a, name, &field->name);
        if (e || (e = part_read(a, value, &field->value)))
            return e;
        f.n++;
    }
    *out = f;
    return ERR_OK;
}

struct str form_get(const struct form *f, const char *name)
{
    for (size_t i = 0; i < f->n; i++)
        if (str_eq_z(f->fields[i].name, name))
            return f->fields[i].value;
    return STR_NONE;
}

size_t form_count(const struct form *f, const char *name)
{
    size_t n = 0;
    for (size_t i = 0; i < f->n; i++)
        n += str_eq_z(f->fields[i].name, name);
    return n;
}

struct str cookie_get(struct str header, const char *name)
{
    struct str pair, found = STR_NONE;
    while (str_split(&header, ';', &pair)) {
        pair = str_trim(pair);
        ptrdiff_t eq = str_find_char(pair, '=');
        if (eq < 0 || !str_eq_z(str_sub(pair, 0, (size_t)eq), name))
            continue;
        struct str v = str_after(pair, (size_t)eq + 1);
        if (v.n >= 2 && v.p[0] == '"' && v.p[v.n - 1] == '"')
            v = str_sub(v, 1, v.n - 2);
        if (found.p && !str_eq(found, v))
            return STR_NONE;
        found = v;
    }
    return found;
}

/* RFC 6265 4.1.1: a token for the name, cookie-octets for the value. Both are ours: never what a
 * person typed. */
static bool cookie_text_ok(struct str s, const char *refused)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] >= 127 || strchr(refused, s.p[i]))
            return false;
    return true;
}

struct str cookie_make(struct arena *a, const char *name, struct str value, bool secure,
                       int64_t max_age_s)
{
    struct buf b;
    assert(*name && cookie_text_ok(str_from(name), "()<>@,;:\\\"/[]?={}"));
    assert(value.n <= COOKIE_MAX && cookie_text_ok(value, "\",;\\"));
    buf_init(&b, COOKIE_MAX + 512);
    buf_printf(&b, "%s%s=" STR_FMT "; Path=/; HttpOnly; SameSite=Lax", secure ? "__Host-" : "",
               name, STR_ARG(value));
    if (secure)
        buf_add_z(&b, "; Secure");
    if (max_age_s >= 0)
        buf_printf(&b, "; Max-Age=%lld", (long long)max_age_s);
    assert(b.err == ERR_OK);
    struct str s = arena_dup(a, buf_str(&b));
    buf_wipe(&b);
    return s;
}

const char *cookie_name(struct arena *a, const char *name, bool secure)
{
    return secure ? arena_printf(a, "__Host-%s", name).p : name;
}

struct str url_with(struct arena *a, struct str url, const char *name, struct str value)
{
    struct buf b;
    ptrdiff_t hash = str_find_char(url, '#');
    struct str head = hash < 0 ? url : str_sub(url, 0, (size_t)hash);
    char last = head.n ? head.p[head.n - 1] : '\0';
    buf_init(&b, url.n + 3 * (strlen(name) + value.n) + 8);
    buf_add_str(&b, head);
    if (str_find_char(head, '?') < 0)
        buf_add_char(&b, '?');
    else if (last != '?' && last != '&')
        buf_add_char(&b, '&');
    buf_add_url(&b, str_from(name));
    buf_add_char(&b, '=');
    buf_add_url(&b, value);
    if (hash >= 0)
        buf_add_str(&b, str_after(url, (size_t)hash));
    assert(b.err == ERR_OK);
    struct str s = arena_dup(a, buf_str(&b));
    buf_wipe(&b);
    return s;
}
