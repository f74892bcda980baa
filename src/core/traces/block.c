/* Blocks: a thousand events packed, sealed, and a filter that tells which words it may hold. Search
 * reads the filters and opens few blocks; a million events are a thousand rows. */
#include "core/traces/traces.h"

#include <endian.h>
#include <zlib.h>
#include "base/map.h"
#include "crypto/digest.h"
#include "crypto/seal.h"

enum { VERSION = 1, HEAD = 12, BITS_A_WORD = 5, FILTER_MIN = 64, FILTER_MAX = 16 * 1024 };
enum { RAW_MAX = BLOCK_EVENTS * (HEAD + TRACE_TEXTS * (2 + TRACE_TEXT_MAX)) };
#define CONTEXT STR("traces.block")

enum err trace_keys_get(struct ctx *c, struct trace_keys *out)
{
    uint8_t key[32];
    enum err e = vault_key(c, STR("traces"), key);
    if (e != ERR_OK)
        return e;
    struct str k = str_of(key, sizeof key);
    hkdf_sha256(k, STR(""), STR("words"), (uint8_t *)out->words, sizeof out->words);
    hkdf_sha256(k, STR(""), STR("blocks"), out->seal, sizeof out->seal);
    mem_wipe(key, sizeof key);
    return ERR_OK;
}

/* ---- the filter of words ------------------------------------------------------------------------
 */
static size_t filter_bytes(size_t n_words)
{
    size_t bytes = FILTER_MIN;
    while (bytes < FILTER_MAX && bytes * 8 < n_words * 8)
        bytes *= 2;
    return bytes;
}

static uint64_t bit_of(uint64_t h, unsigned i, size_t bytes)
{
    return (h + i * (h >> 32 | 1)) & (bytes * 8 - 1);
}

static void filter_add(uint8_t *filter, size_t bytes, uint64_t h)
{
    for (unsigned i = 0; i < BITS_A_WORD; i++) {
        uint64_t bit = bit_of(h, i, bytes);
        filter[bit / 8] = (uint8_t)(filter[bit / 8] | 1 << bit % 8);
    }
}

bool trace_words_may_hold(struct str words, const struct trace_keys *k, struct str word)
{
    uint64_t h = map_siphash(k->words, word) | 1;
    if (words.n < FILTER_MIN || (words.n & (words.n - 1)) != 0)
        return true; /* of another version: look into the block */
    for (unsigned i = 0; i < BITS_A_WORD; i++) {
        uint64_t bit = bit_of(h, i, words.n);
        if (!(words.p[bit / 8] >> bit % 8 & 1))
            return false;
    }
    return true;
}

static struct str filter_make(struct arena *a, const struct trace_keys *k,
                              const struct trace_event *events, size_t n)
{
    struct arena work;
    size_t n_words = 0;
    arena_init(&work);
    /* Distinct words are counted by their hashes; what repeats costs no room in the filter. */
    size_t room = 1024;
    uint64_t *seen = arena_array(&work, uint64_t, room);
    for (size_t i = 0; i < n; i++) {
        struct str rest = trace_event_words(&work, &events[i]), word;
        while (rest.n && str_split(&rest, ' ', &word)) {
            uint64_t h = map_siphash(k->words, word) | 1; /* 0 marks a free place */
            if (2 * n_words >= room) {
                uint64_t *more = arena_array(&work, uint64_t, 2 * room);
                for (size_t w = 0; w < room; w++)
                    for (size_t at = seen[w]; seen[w]; at++)
                        if (!more[at & (2 * room - 1)]) {
                            more[at & (2 * room - 1)] = seen[w];
                            break;
                        }
                seen = more;
                room *= 2;
            }
            size_t at = h & (room - 1);
            while (seen[at] && seen[at] != h)
                at = (at + 1) & (room - 1);
            n_words += !seen[at];
            seen[at] = h;
        }
    }
    size_t bytes = filter_bytes(n_words);
    uint8_t *filter = arena_alloc(a, bytes);
    for (size_t i = 0; i < room; i++)
        if (seen[i])
            filter_add(filter, bytes, seen[i]);
    arena_free(&work);
    return str_of(filter, bytes);
}

/* ---- packing
 * --------------------------------------------------------------------------------------
 */
static void event_pack(struct buf *b, const struct trace_event *e)
{
    uint64_t at = htole64((uint64_t)e->at_ms);
    char marks[4] = {(char)e->severity, (char)e->facility, (char)e->outcome, 0};
    buf_add(b, &at, sizeof at);
    buf_add(b, marks, sizeof marks);
    for (size_t i = 0; i < TRACE_TEXTS; i++) {
        struct str s = str_sub(e->texts[i], 0, TRACE_TEXT_MAX);
        uint16_t n = htole16((uint16_t)s.n);
        buf_add(b, &n, sizeof n);
        buf_add_str(b, s);
    }
}

static bool event_unpack(struct str *rest, struct trace_event *e)
{
    uint64_t at;
    uint16_t n;
    if (rest->n < HEAD)
        return false;
    memcpy(&at, rest->p, 8);
    *e = (struct trace_event){.at_ms = (int64_t)le64toh(at),
                              .severity = (uint8_t)rest->p[8],
                              .facility = (uint8_t)rest->p[9],
                              .outcome = (uint8_t)rest->p[10]};
    *rest = str_after(*rest, HEAD);
    for (size_t i = 0; i < TRACE_TEXTS; i++) {
        if (rest->n < 2)
            return false;
        memcpy(&n, rest->p, 2);
        n = le16toh(n);
        if (n > TRACE_TEXT_MAX || rest->n < 2u + n)
            return false;
        e->texts[i] = str_sub(*rest, 2, n);
        *rest = str_after(*rest, 2u + n);
    }
    return e->severity < 8;
}

static struct str deflated(struct arena *a, struct str raw)
{
    uLongf n = compressBound(raw.n);
    char *p = arena_alloc(a, n + 1);
    p[0] = VERSION;
    if (compress2((Bytef *)p + 1, &n, (const Bytef *)raw.p, raw.n, 1) != Z_OK)
        return STR_NONE;
    return str_of(p, n + 1);
}

void trace_block_make(struct arena *a, const struct trace_keys *k, const struct trace_event *events,
                      size_t n, struct trace_block *out)
{
    struct arena work;
    struct buf raw;
    arena_init(&work);
    buf_init(&raw, RAW_MAX);
    *out = (struct trace_block){.n = n, .severity = 7, .from_ms = INT64_MAX};
    for (size_t i = 0; i < n; i++) {
        const struct trace_event *e = &events[i];
        event_pack(&raw, e);
        out->from_ms = e->at_ms < out->from_ms ? e->at_ms : out->from_ms;
        out->to_ms = e->at_ms > out->to_ms ? e->at_ms : out->to_ms;
        out->severity = e->severity < out->severity ? e->severity : out->severity;
    }
    out->words = filter_make(a, k, events, n);
    out->data = seal(a, k->seal, CONTEXT, deflated(&work, buf_str(&raw)));
    buf_free(&raw);
    arena_free(&work);
}

static enum err inflated(struct arena *a, struct str packed, struct str *out)
{
    struct buf raw;
    z_stream z = {.next_in = (Bytef *)(uintptr_t)packed.p, .avail_in = (uInt)packed.n};
    int done = Z_OK;
    if (inflateInit(&z) != Z_OK)
        return ERR_INTERNAL;
    buf_init(&raw, RAW_MAX);
    while (done == Z_OK) {
        char *room = buf_room(&raw, 64 * 1024);
        if (!room)
            break;
        z.next_out = (Bytef *)room;
        z.avail_out = 64 * 1024;
        done = inflate(&z, Z_NO_FLUSH);
        buf_grew(&raw, 64 * 1024 - z.avail_out);
        if (done == Z_BUF_ERROR)
            break;
    }
    inflateEnd(&z);
    *out = arena_dup(a, buf_str(&raw));
    buf_free(&raw);
    return done == Z_STREAM_END ? ERR_OK : ERR_CORRUPT;
}

enum err trace_block_open(struct arena *a, const struct trace_keys *k, struct str data,
                          struct trace_event **events, size_t *n)
{
    struct str packed, raw;
    *n = 0;
    enum err e = unseal(a, k->seal, CONTEXT, data, &packed);
    if (e == ERR_OK && (packed.n < 2 || packed.p[0] != VERSION))
        e = ERR_CORRUPT;
    if (e == ERR_OK)
        e = inflated(a, str_after(packed, 1), &raw);
    if (e != ERR_OK)
        return e;
    *events = arena_array(a, struct trace_event, BLOCK_EVENTS);
    while (raw.n) {
        if (*n == BLOCK_EVENTS || !event_unpack(&raw, &(*events)[*n]))
            return ERR_CORRUPT;
        ++*n;
    }
    return ERR_OK;
}
