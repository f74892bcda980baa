#include "journal/follow.h"

#include <stdio.h>
#include "base/codec.h"
#include "journal/tiles.h"

#define FIRST_LINE "socle monitor 1"
enum { ROOTS_MAX = 1 << 30 }; /* bytes: of eight thousand million entries in one look */

/* ---- its file ---------------------------------------------------------------------------------
 */
struct str follow_print(struct arena *a, const struct follow *f)
{
    struct buf b;
    buf_init(&b, NOTE_MAX + 8192);
    buf_add_z(&b, FIRST_LINE "\nkey ");
    buf_add_str(&b, note_key_line(a, &f->key));
    buf_add_char(&b, '\n');
    for (unsigned i = 0; i < 64; i++)
        if (f->size >> i & 1) {
            buf_printf(&b, "peak %u ", i);
            buf_add_base64(&b, f->peaks[i], HASH_LEN);
            buf_add_char(&b, '\n');
        }
    buf_add_char(&b, '\n');
    buf_add_str(&b, f->note);
    struct str out = arena_dup(a, buf_str(&b));
    buf_free(&b);
    return out;
}

/* The peaks, biggest first, folded from the smallest up (RFC 6962 2.1). */
static void peaks_root(const struct follow *f, uint8_t out[HASH_LEN])
{
    bool any = false;
    merkle_empty(out);
    for (unsigned i = 0; i < 64; i++) {
        if (!(f->size >> i & 1))
            continue;
        if (any)
            merkle_node(f->peaks[i], out, out);
        else
            memcpy(out, f->peaks[i], HASH_LEN);
        any = true;
    }
}

static bool peak_read(struct arena *a, struct str line, struct follow *f)
{
    struct str word, place, raw;
    uint64_t i;
    if (!str_split(&line, ' ', &word) || !str_eq_z(word, "peak") || !line.p ||
        !str_split(&line, ' ', &place) || !line.p || !str_to_u64(place, &i) || i > 63 ||
        codec_base64(a, line, &raw) != ERR_OK || raw.n != HASH_LEN)
        return false;
    memcpy(f->peaks[i], raw.p, HASH_LEN);
    f->size |= 1ULL << i;
    return true;
}

enum err follow_read(struct arena *a, struct str text, struct follow *out)
{
    struct str rest = text, line;
    struct checkpoint c;
    uint8_t root[HASH_LEN];
    *out = (struct follow){0};
    if (!rest.n || !str_split(&rest, '\n', &line) || !str_eq_z(line, FIRST_LINE) || !rest.p ||
        !str_split(&rest, '\n', &line) || !str_starts(line, STR("key ")) ||
        note_key_read(a, str_after(line, 4), &out->key) != ERR_OK)
        return ERR_INVALID;
    while (rest.p && str_split(&rest, '\n', &line) && line.n)
        if (!peak_read(a, line, out))
            return ERR_INVALID;
    out->note = rest;
    if (!rest.p || checkpoint_read(a, rest, &c) != ERR_OK ||
        checkpoint_check(a, &c, &out->key) != ERR_OK || c.size != out->size)
        return ERR_INVALID;
    peaks_root(out, root);
    memcpy(out->root, c.root, HASH_LEN);
    return memcmp(root, c.root, HASH_LEN) == 0 ? ERR_OK : ERR_INVALID;
}

/* ---- a look ------------------------------------------------------------------------------------
 */
struct look {
    struct follow next; /* grows entry by entry */
    struct checkpoint checkpoint;
    struct arena work;
    follow_fetch *fetch;
    void *arg;
    struct follow_report *out;
    uint64_t from;           /* size before this look */
    struct buf roots, above; /* of the full tiles seen in it: of one level, and of the next */
};

static bool say(struct look *l, const char *state, const char *file, const char *what)
{
    l->out->state = state;
    snprintf(l->out->file, sizeof l->out->file, "%s", file);
    snprintf(l->out->what, sizeof l->out->what, "%s", what);
    return false;
}

static void leaf_add(struct follow *f, const uint8_t hash[HASH_LEN])
{
    uint8_t h[HASH_LEN];
    unsigned i = 0;
    memcpy(h, hash, HASH_LEN);
    for (; f->size >> i & 1; i++)
        merkle_node(f->peaks[i], h, h);
    memcpy(f->peaks[i], h, HASH_LEN);
    f->size++;
}

static bool fetch_tile(struct look *l, int level, uint64_t n, unsigned width,
                       char path[TILE_PATH_MAX], struct str *out)
{
    tile_path(level, n, width, path);
    enum err e = l->fetch(l->arg, path, &l->work, out);
    if (e == ERR_NOT_FOUND && width < TILE_WIDTH) { /* it has become a full one meanwhile */
        tile_path(level, n, TILE_WIDTH, path);
        e = l->fetch(l->arg, path, &l->work, out);
    }
    if (e == ERR_OK)
        return true;
    return say(l, e == ERR_NOT_FOUND ? "altered" : "unavailable", path,
               e == ERR_NOT_FOUND ? "A file that the signed checkpoint covers is not there."
                                  : "The log does not answer.");
}

static void root_keep(struct buf *roots, struct str tile)
{
    uint8_t hash[HASH_LEN];
    merkle_perfect((const uint8_t *)tile.p, TILE_WIDTH, hash);
    buf_add(roots, hash, HASH_LEN);
}

/* Entries of one bundle, from `next.size` on, against the tile of their hashes. */
static bool bundle_take(struct look *l)
{
    char bundle_name[TILE_PATH_MAX], tile_name[TILE_PATH_MAX];
    uint64_t n = l->next.size / TILE_WIDTH, first = n * TILE_WIDTH;
    unsigned width = tile_width(TILE_ENTRIES, n, l->checkpoint.size);
    struct str bundle, tile, leaf;
    arena_reset(&l->work);
    if (!fetch_tile(l, TILE_ENTRIES, n, width, bundle_name, &bundle) ||
        !fetch_tile(l, 0, n, width, tile_name, &tile))
        return false;
    if (tile.n < (size_t)width * HASH_LEN)
        return say(l, "altered", tile_name, "The tile is cut short.");
    for (unsigned i = 0; i < width; i++) {
        uint8_t hash[HASH_LEN];
        if (!bundle_next(&bundle, &leaf))
            return say(l, "altered", bundle_name, "The bundle of entries is cut short.");
        if (first + i < l->next.size)
            continue; /* seen before */
        merkle_leaf(leaf, hash);
        if (memcmp(hash, tile.p + (size_t)i * HASH_LEN, HASH_LEN) != 0)
            return say(l, "altered", bundle_name,
                       "An entry and the tile of hashes do not agree: one of them was altered.");
        leaf_add(&l->next, hash);
    }
    if (width == TILE_WIDTH)
        root_keep(&l->roots, tile);
    return true;
}

/* A tile of an upper level: its new hashes are the roots of the tiles below, and what it holds
 * beyond its last full tile leads to the signed root. */
static bool upper_tile_take(struct look *l, int level, uint64_t n, uint64_t first)
{
    char name[TILE_PATH_MAX];
    uint8_t hash[HASH_LEN];
    struct str tile;
    unsigned width = tile_width(level, n, l->checkpoint.size), at = 0;
    arena_reset(&l->work);
    if (!fetch_tile(l, level, n, width, name, &tile))
        return false;
    bool good = tile.n >= (size_t)width * HASH_LEN;
    for (unsigned k = 0; good && k < width; k++)
        if (n * TILE_WIDTH + k >= first)
            good = memcmp(tile.p + k * HASH_LEN,
                          l->roots.p + (n * TILE_WIDTH + k - first) * HASH_LEN, HASH_LEN) == 0;
    for (unsigned bit = 8; good && width < TILE_WIDTH && bit-- > 0;) {
        if (!(width >> bit & 1))
            continue;
        merkle_perfect((const uint8_t *)tile.p + at * HASH_LEN, 1u << bit, hash);
        good = memcmp(hash, l->next.peaks[8 * level + (int)bit], HASH_LEN) == 0;
        at += 1u << bit;
    }
    if (good && width == TILE_WIDTH)
        root_keep(&l->above, tile);
    return good ? true
                : say(l, "altered", name, "A tile of an upper level is not that of the tree.");
}

/* The upper levels, as far as this look goes: whoever proves an entry needs them. */
static bool upper_take(struct look *l)
{
    for (int level = 1; level < TILE_LEVELS && l->checkpoint.size >> (8 * level); level++) {
        uint64_t first = l->from >> (8 * level), all = l->checkpoint.size >> (8 * level);
        for (uint64_t n = first / TILE_WIDTH; first < all && n * TILE_WIDTH < all; n++)
            if (!upper_tile_take(l, level, n, first))
                return false;
        struct buf below = l->roots;
        l->roots = l->above;
        l->above = below;
        buf_reset(&l->above);
    }
    return true;
}

static bool checkpoint_take(struct look *l, const struct follow *f, struct arena *keep)
{
    struct str note;
    if (l->fetch(l->arg, "checkpoint", keep, &note) != ERR_OK)
        return say(l, "unavailable", "checkpoint", "The log does not answer.");
    if (checkpoint_read(keep, note, &l->checkpoint) != ERR_OK)
        return say(l, "signature", "checkpoint", "The checkpoint is malformed.");
    if (checkpoint_check(keep, &l->checkpoint, &f->key) != ERR_OK)
        return say(l, "signature", "checkpoint",
                   "The checkpoint is not signed with the key of this log.");
    l->out->to = l->checkpoint.size;
    if (l->checkpoint.size < f->size)
        return say(l, "rollback", "checkpoint",
                   "The log is shorter than it was: entries that were signed are gone.");
    if (l->checkpoint.size == f->size && f->note.n &&
        memcmp(l->checkpoint.root, f->root, HASH_LEN) != 0)
        return say(l, "fork", "checkpoint",
                   "The log signed two histories of the same length: keep both checkpoints.");
    l->next.note = note;
    return true;
}

/* Entries and hashes agree with one another, and do not lead from what was seen to what is signed.
 * Alone, they may still lead to what is signed: then the log tells another past. */
static bool explain(struct look *l)
{
    struct follow whole = {.key = l->next.key};
    l->next = whole;
    while (l->next.size < l->checkpoint.size)
        if (!bundle_take(l))
            return false;
    uint8_t root[HASH_LEN];
    peaks_root(&l->next, root);
    if (memcmp(root, l->checkpoint.root, HASH_LEN) == 0)
        return say(l, "fork", "checkpoint",
                   "The log signed a history that does not hold what it signed before: keep both "
                   "checkpoints.");
    return say(l, "altered", "tile",
               "The files do not lead to the signed root: entries and hashes were altered.");
}

static bool grow(struct look *l, const struct follow *f, struct arena *keep)
{
    uint8_t root[HASH_LEN];
    if (!checkpoint_take(l, f, keep))
        return false;
    while (l->next.size < l->checkpoint.size)
        if (!bundle_take(l))
            return false;
    peaks_root(&l->next, root);
    if (memcmp(root, l->checkpoint.root, HASH_LEN) != 0)
        return explain(l);
    memcpy(l->next.root, root, HASH_LEN);
    return upper_take(l);
}

void follow_look(struct follow *f, struct arena *keep, follow_fetch *fetch, void *arg,
                 struct follow_report *out)
{
    struct look *l = arena_new(keep, struct look);
    *l = (struct look){.next = *f, .fetch = fetch, .arg = arg, .out = out, .from = f->size};
    buf_init(&l->roots, ROOTS_MAX);
    buf_init(&l->above, ROOTS_MAX);
    *out = (struct follow_report){.state = "good", .from = f->size};
    arena_init(&l->work);
    if (grow(l, f, keep))
        *f = l->next;
    buf_free(&l->roots);
    buf_free(&l->above);
    arena_free(&l->work);
}
