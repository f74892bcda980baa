#include "core/accounts/cbor.h"

enum { UNSIGNED, NEGATIVE, BYTES, TEXT, LIST, MAP, TAG, SIMPLE };
enum { DEPTH_MAX = 8 };

static uint64_t fail(struct cbor *c)
{
    c->bad = true;
    return 0;
}

/* The first byte and the number in or behind it, in its shortest form only. */
static uint64_t head(struct cbor *c, unsigned *major)
{
    static const uint64_t least[] = {24, 256, 65536, 4294967296u};
    *major = SIMPLE;
    if (c->bad || c->at >= c->n)
        return fail(c);
    uint8_t first = c->p[c->at++];
    unsigned more = first & 31;
    *major = first >> 5;
    if (more < 24)
        return more;
    if (more > 27 || c->n - c->at < (size_t)1 << (more - 24))
        return fail(c);
    uint64_t v = 0;
    for (size_t i = 0; i < (size_t)1 << (more - 24); i++)
        v = v << 8 | c->p[c->at++];
    return v < least[more - 24] ? fail(c) : v;
}

static uint64_t want(struct cbor *c, unsigned major)
{
    unsigned is;
    uint64_t v = head(c, &is);
    return is == major && !c->bad ? v : fail(c);
}

/* An entry takes a byte at least: more of them than bytes left is a lie. */
size_t cbor_map(struct cbor *c)
{
    uint64_t n = want(c, MAP);
    return n <= (c->n - c->at) / 2 ? (size_t)n : (size_t)fail(c);
}

size_t cbor_list(struct cbor *c)
{
    uint64_t n = want(c, LIST);
    return n <= c->n - c->at ? (size_t)n : (size_t)fail(c);
}

static struct str slice(struct cbor *c, unsigned major)
{
    uint64_t n = want(c, major);
    if (c->bad || n > c->n - c->at) {
        fail(c);
        return STR("");
    }
    struct str s = str_of(c->p + c->at, (size_t)n);
    c->at += (size_t)n;
    return s;
}

struct str cbor_text(struct cbor *c)
{
    struct str s = slice(c, TEXT);
    if (!str_is_utf8(s))
        fail(c);
    return s;
}

struct str cbor_bytes(struct cbor *c)
{
    return slice(c, BYTES);
}

int64_t cbor_int(struct cbor *c)
{
    unsigned major;
    uint64_t v = head(c, &major);
    if (c->bad || major > NEGATIVE || v > INT64_MAX)
        return (int64_t)fail(c);
    return major == UNSIGNED ? (int64_t)v : -1 - (int64_t)v;
}

bool cbor_next_is_text(const struct cbor *c)
{
    return !c->bad && c->at < c->n && c->p[c->at] >> 5 == TEXT;
}

static void skip(struct cbor *c, int depth)
{
    unsigned major;
    size_t before = c->at;
    uint64_t v = head(c, &major);
    if (c->bad || depth > DEPTH_MAX || major == TAG || (major == SIMPLE && (v < 20 || v > 22))) {
        fail(c);
        return;
    }
    c->at = before;
    if (major <= NEGATIVE || major == SIMPLE) {
        (void)head(c, &major);
    } else if (major == BYTES) {
        (void)cbor_bytes(c);
    } else if (major == TEXT) {
        (void)cbor_text(c);
    } else {
        size_t n = major == MAP ? cbor_map(c) * 2 : cbor_list(c);
        for (size_t i = 0; i < n && !c->bad; i++)
            skip(c, depth + 1);
    }
}

struct str cbor_skip(struct cbor *c)
{
    size_t from = c->at;
    skip(c, 0);
    return c->bad ? STR("") : str_of(c->p + from, c->at - from);
}
