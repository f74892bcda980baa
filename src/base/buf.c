#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>

void buf_init(struct buf *b, size_t ceiling_bytes)
{
    *b = (struct buf){.ceiling = ceiling_bytes};
}

void buf_free(struct buf *b)
{
    free(b->p);
    *b = (struct buf){.ceiling = b->ceiling};
}

void buf_wipe(struct buf *b)
{
    if (b->p)
        mem_wipe(b->p, b->cap);
    buf_free(b);
}

void buf_reset(struct buf *b)
{
    b->n = 0;
    b->err = ERR_OK;
}

char *buf_room(struct buf *b, size_t n)
{
    if (b->err != ERR_OK || n > b->ceiling || b->n > b->ceiling - n) {
        b->err = ERR_LIMIT;
        return NULL;
    }
    if (b->cap - b->n < n) {
        size_t cap = b->cap ? b->cap * 2 : 256;
        while (cap - b->n < n)
            cap *= 2;
        if (cap > b->ceiling)
            cap = b->ceiling;
        b->p = realloc(b->p, cap);
        if (!b->p)
            abort();
        b->cap = cap;
    }
    return b->p + b->n;
}

void buf_grew(struct buf *b, size_t n)
{
    b->n += n;
}

void buf_add(struct buf *b, const void *p, size_t n)
{
    if (n == 0)
        return;
    char *at = buf_room(b, n);
    if (at) {
        memcpy(at, p, n);
        b->n += n;
    }
}

void buf_add_str(struct buf *b, struct str s)
{
    buf_add(b, s.p, s.n);
}

void buf_add_z(struct buf *b, const char *z)
{
    buf_add(b, z, strlen(z));
}

void buf_add_char(struct buf *b, char c)
{
    buf_add(b, &c, 1);
}

void buf_add_u64(struct buf *b, uint64_t v)
{
    char tmp[20];
    size_t i = sizeof tmp;
    do {
        tmp[--i] = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    buf_add(b, tmp + i, sizeof tmp - i);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *at = n < 0 ? NULL : buf_room(b, (size_t)n + 1);
    if (at) {
        vsnprintf(at, (size_t)n + 1, fmt, again);
        b->n += (size_t)n;
    }
    va_end(again);
}

void buf_drop(struct buf *b, size_t n)
{
    if (n >= b->n) {
        b->n = 0;
        return;
    }
    memmove(b->p, b->p + n, b->n - n);
    b->n -= n;
}

void buf_add_hex(struct buf *b, const void *p, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *s = p;
    for (size_t i = 0; i < n; i++) {
        char two[2] = {digits[s[i] >> 4], digits[s[i] & 15]};
        buf_add(b, two, 2);
    }
}

static void add_base64(struct buf *b, const unsigned char *s, size_t n, const char *abc, bool pad)
{
    for (size_t i = 0; i < n; i += 3) {
        size_t left = n - i;
        uint32_t v = (uint32_t)s[i] << 16 | (left > 1 ? (uint32_t)s[i + 1] << 8 : 0) |
                     (left > 2 ? (uint32_t)s[i + 2] : 0);
        char four[4] = {abc[v >> 18 & 63], abc[v >> 12 & 63], left > 1 ? abc[v >> 6 & 63] : '=',
                        left > 2 ? abc[v & 63] : '='};
        buf_add(b, four, pad || left > 2 ? 4 : left + 1);
    }
}

void buf_add_base64(struct buf *b, const void *p, size_t n)
{
    add_base64(b, p, n, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", true);
}

void buf_add_base64url(struct buf *b, const void *p, size_t n)
{
    add_base64(b, p, n, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", false);
}

void buf_add_html(struct buf *b, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        switch (s.p[i]) {
        case '&':
            buf_add_z(b, "&amp;");
            break;
        case '<':
            buf_add_z(b, "&lt;");
            break;
        case '>':
            buf_add_z(b, "&gt;");
            break;
        case '"':
            buf_add_z(b, "&quot;");
            break;
        case '\'':
            buf_add_z(b, "&#39;");
            break;
        default:
            buf_add_char(b, s.p[i]);
        }
    }
}

static bool is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

void buf_add_url(struct buf *b, struct str s)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (is_unreserved(s.p[i])) {
            buf_add_char(b, s.p[i]);
        } else {
            char three[3] = {'%', digits[c >> 4], digits[c & 15]};
            buf_add(b, three, 3);
        }
    }
}

void buf_add_json(struct buf *b, struct str s)
{
    buf_add_char(b, '"');
    size_t from = 0;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        buf_add(b, s.p + from, i - from);
        from = i + 1;
        if (c == '"' || c == '\\') {
            char two[2] = {'\\', (char)c};
            buf_add(b, two, 2);
        } else {
            buf_printf(b, "\\u%04x", c);
        }
    }
    buf_add(b, s.p + from, s.n - from);
    buf_add_char(b, '"');
}
