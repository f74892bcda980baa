#include "base/codec.h"

#include "base/buf.h"

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

enum err codec_hex(struct arena *a, struct str text, struct str *out)
{
    if (text.n % 2 != 0)
        return ERR_INVALID;
    char *p = arena_alloc(a, text.n / 2 + 1);
    for (size_t i = 0; i < text.n; i += 2) {
        int hi = hex_digit(text.p[i]), lo = hex_digit(text.p[i + 1]);
        if (hi < 0 || lo < 0)
            return ERR_INVALID;
        p[i / 2] = (char)(hi << 4 | lo);
    }
    *out = str_of(p, text.n / 2);
    return ERR_OK;
}

static int base64_digit(char c, char c62, char c63)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == c62 ? 62 : c == c63 ? 63 : -1;
}

/* Unpadded text. Bits behind the last byte must be zero, so one value has one spelling. */
static enum err base64_decode(struct arena *a, struct str t, char c62, char c63, struct str *out)
{
    if (t.n % 4 == 1)
        return ERR_INVALID;
    char *p = arena_alloc(a, t.n / 4 * 3 + 3);
    size_t n = 0;
    uint32_t v = 0;
    unsigned bits = 0;
    for (size_t i = 0; i < t.n; i++) {
        int d = base64_digit(t.p[i], c62, c63);
        if (d < 0)
            return ERR_INVALID;
        v = v << 6 | (uint32_t)d;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            p[n++] = (char)(v >> bits & 255);
        }
    }
    if (bits && (v & ((1u << bits) - 1)) != 0)
        return ERR_INVALID;
    p[n] = '\0';
    *out = str_of(p, n);
    return ERR_OK;
}

enum err codec_base64(struct arena *a, struct str text, struct str *out)
{
    if (text.n % 4 != 0)
        return ERR_INVALID;
    for (int i = 0; i < 2 && text.n && text.p[text.n - 1] == '='; i++)
        text.n--;
    return base64_decode(a, text, '+', '/', out);
}

enum err codec_base64url(struct arena *a, struct str text, struct str *out)
{
    return base64_decode(a, text, '-', '_', out);
}

enum err codec_url(struct arena *a, struct str text, bool form, struct str *out)
{
    char *p = arena_alloc(a, text.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '%') {
            int hi = i + 2 < text.n ? hex_digit(text.p[i + 1]) : -1;
            int lo = i + 2 < text.n ? hex_digit(text.p[i + 2]) : -1;
            if (hi < 0 || lo < 0)
                return ERR_INVALID;
            p[n++] = (char)(hi << 4 | lo);
            i += 2;
        } else {
            p[n++] = form && text.p[i] == '+' ? ' ' : text.p[i];
        }
    }
    *out = str_of(p, n);
    return ERR_OK;
}

typedef void encoder(struct buf *b, const void *p, size_t n);

static struct str encode(struct arena *a, const void *p, size_t n, encoder *fn)
{
    struct buf b;
    buf_init(&b, n * 3 + 8);
    fn(&b, p, n);
    struct str s = arena_dup(a, buf_str(&b));
    buf_wipe(&b);
    return s;
}

static void add_url(struct buf *b, const void *p, size_t n)
{
    buf_add_url(b, str_of(p, n));
}

struct str codec_to_hex(struct arena *a, const void *p, size_t n)
{
    return encode(a, p, n, buf_add_hex);
}

struct str codec_to_base64(struct arena *a, const void *p, size_t n)
{
    return encode(a, p, n, buf_add_base64);
}

struct str codec_to_base64url(struct arena *a, const void *p, size_t n)
{
    return encode(a, p, n, buf_add_base64url);
}

struct str codec_to_url(struct arena *a, struct str s)
{
    return encode(a, s.p, s.n, add_url);
}
