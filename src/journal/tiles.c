#include "journal/tiles.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include "journal/disk.h"
#include "sys/file.h"

enum { TRIES = 5, RETRY_US = 500 };

/* ---- paths ------------------------------------------------------------------------------------
 */
const char *tile_path(int level, uint64_t n, unsigned width, char out[TILE_PATH_MAX])
{
    size_t at = level == TILE_ENTRIES ? (size_t)snprintf(out, TILE_PATH_MAX, "tile/entries")
                                      : (size_t)snprintf(out, TILE_PATH_MAX, "tile/%d", level);
    uint64_t above = 1;
    while (n / above >= 1000)
        above *= 1000;
    for (; above > 1; above /= 1000)
        at +=
            (size_t)snprintf(out + at, TILE_PATH_MAX - at, "/x%03u", (unsigned)(n / above % 1000));
    at += (size_t)snprintf(out + at, TILE_PATH_MAX - at, "/%03u", (unsigned)(n % 1000));
    if (width < TILE_WIDTH)
        snprintf(out + at, TILE_PATH_MAX - at, ".p/%u", width);
    return out;
}

/* "tile/0/000.p" */
static const char *partial_dir(int level, uint64_t n, char out[TILE_PATH_MAX])
{
    *strrchr(tile_path(level, n, 1, out), '/') = '\0';
    return out;
}

unsigned tile_width(int level, uint64_t n, uint64_t size)
{
    uint64_t hashes = level > 0 ? size >> (8 * level) : size;
    if (hashes / TILE_WIDTH > n)
        return TILE_WIDTH;
    return hashes / TILE_WIDTH == n ? (unsigned)(hashes % TILE_WIDTH) : 0;
}

/* ---- reading ----------------------------------------------------------------------------------
 */
bool bundle_next(struct str *rest, struct str *leaf)
{
    if (rest->n < 2)
        return false;
    size_t n = (size_t)(uint8_t)rest->p[0] << 8 | (uint8_t)rest->p[1];
    if (n > rest->n - 2)
        return false;
    *leaf = str_of(rest->p + 2, n);
    *rest = str_after(*rest, 2 + n);
    return true;
}

/* Length of the first `width` entries; 0: cut. */
static size_t bundle_length(struct str bundle, unsigned width)
{
    struct str rest = bundle, leaf;
    while (width > 0 && bundle_next(&rest, &leaf))
        width--;
    return width ? 0 : bundle.n - rest.n;
}

static enum err read_cut(int folder, const char *path, int level, unsigned width, bool exact,
                         struct arena *a, struct str *out)
{
    enum err e = disk_read(folder, path, a, level == TILE_ENTRIES ? BUNDLE_MAX : TILE_BYTES, out);
    if (e != ERR_OK)
        return e == ERR_LIMIT ? ERR_CORRUPT : e;
    size_t n = level == TILE_ENTRIES ? bundle_length(*out, width) : width * (size_t)HASH_LEN;
    if (n == 0 || n > out->n || (exact && n != out->n))
        return ERR_CORRUPT;
    out->n = n;
    return ERR_OK;
}

/* The narrowest partial file of at least that width; 0: none. */
static unsigned wider_partial(int folder, int level, uint64_t n, unsigned width)
{
    char path[TILE_PATH_MAX];
    unsigned best = 0;
    uint64_t v;
    int fd = openat(folder, partial_dir(level, n, path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    if (!d) {
        if (fd >= 0)
            close(fd);
        return 0;
    }
    for (struct dirent *f; (f = readdir(d)) != NULL;)
        if (str_to_u64(str_from(f->d_name), &v) && v >= width && v < TILE_WIDTH &&
            (!best || v < best))
            best = (unsigned)v;
    closedir(d);
    return best;
}

/* A tile under way grows, and is renamed, while we look: a name that has gone, or a file that is
 * longer than its name says, is looked for again. */
enum err tile_read(int folder, int level, uint64_t n, unsigned width, struct arena *a,
                   struct str *out)
{
    char path[TILE_PATH_MAX];
    enum err e = ERR_NOT_FOUND;
    for (int tries = 0; tries < TRIES; tries++) {
        e = read_cut(folder, tile_path(level, n, width, path), level, width, true, a, out);
        if (e == ERR_OK || width == TILE_WIDTH)
            return e;
        unsigned wider = wider_partial(folder, level, n, width + 1);
        enum err e2 = read_cut(folder, tile_path(level, n, wider ? wider : TILE_WIDTH, path), level,
                               width, false, a, out);
        if (e2 != ERR_NOT_FOUND)
            return e2;
        usleep(RETRY_US);
    }
    return e;
}

enum err tile_take_up(int folder, int level, uint64_t n, unsigned width, struct arena *a,
                      struct str *out)
{
    char path[TILE_PATH_MAX];
    enum err e = read_cut(folder, tile_path(level, n, width, path), level, width, false, a, out);
    return e == ERR_NOT_FOUND ? tile_read(folder, level, n, width, a, out) : e;
}

enum err tile_source_node(void *tile_source, unsigned level, uint64_t index, uint8_t out[HASH_LEN])
{
    struct tile_source *s = tile_source;
    unsigned tile_level = level / 8, within = level % 8;
    uint64_t first = index << within, n = first / TILE_WIDTH;
    size_t at = first % TILE_WIDTH, count = (size_t)1 << within;
    unsigned width = tile_level < TILE_LEVELS ? tile_width((int)tile_level, n, s->size) : 0;
    if (at + count > width)
        return ERR_CORRUPT; /* no such node in this tree */
    if (!s->kept[tile_level].bytes.p || s->kept[tile_level].n != n) {
        struct str bytes;
        enum err e = tile_read(s->folder, (int)tile_level, n, width, s->a, &bytes);
        if (e != ERR_OK)
            return e;
        s->kept[tile_level].n = n;
        s->kept[tile_level].bytes = bytes;
    }
    merkle_perfect((const uint8_t *)s->kept[tile_level].bytes.p + at * HASH_LEN, count, out);
    return ERR_OK;
}

/* ---- the tree that grows ----------------------------------------------------------------------
 */
static enum err file_begin(struct tree *t, struct growing *g, int level, uint64_t n, unsigned width)
{
    char path[TILE_PATH_MAX], spare[TILE_PATH_MAX];
    if (g->has_spare && width < TILE_WIDTH) {
        partial_dir(level, g->spare, spare);
        if (renameat(t->folder, spare, t->folder, partial_dir(level, n, path)) != 0)
            unlinkat(t->folder, spare, AT_REMOVEDIR); /* beside the other folder of a thousand */
        g->has_spare = false;
    }
    g->width = width;
    return disk_open(t->folder, tile_path(level, n, width, path), &g->fd);
}

/* Brings the file to these bytes, which begin with those written before, and to the name of this
 * width. When that fails it may be done again. */
static enum err grow(struct tree *t, struct growing *g, int level, uint64_t n, unsigned width,
                     struct str bytes)
{
    char from[TILE_PATH_MAX], to[TILE_PATH_MAX];
    tile_path(level, n, g->width, from);
    tile_path(level, n, width, to);
    enum err e = disk_space(to, bytes.n - g->written);
    if (e == ERR_OK && g->fd < 0)
        e = file_begin(t, g, level, n, width);
    if (e == ERR_OK)
        e = file_pwrite_all(g->fd, bytes.p + g->written, bytes.n - g->written, g->written);
    /* A process before this one may have left a longer one, of the same entries. */
    if (e == ERR_OK && g->written == 0 && ftruncate(g->fd, (off_t)bytes.n) != 0)
        e = file_err_from_errno(errno);
    if (e != ERR_OK)
        return e;
    g->written = bytes.n;
    if (g->width != width && renameat(t->folder, from, t->folder, to) != 0)
        return file_err_from_errno(errno);
    g->width = width;
    return ERR_OK;
}

static struct str level_bytes(const struct tree_level *l)
{
    return str_of(l->hashes, l->n * (size_t)HASH_LEN);
}

static bool keep_nothing(void *arg, const char *name)
{
    (void)arg;
    (void)name;
    return false;
}

/* The tile is complete: what is left beside it goes, and the next one begins. */
static void grown(struct tree *t, struct growing *g, int level, uint64_t n)
{
    char path[TILE_PATH_MAX];
    struct growing next = {.fd = -1, .has_spare = g->has_spare, .spare = g->spare};
    /* Begun now, it is no work any more for the sync that waits for all. An error shows there. */
    (void)sync_file_range(g->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
    close(g->fd);
    if (disk_sweep(t->folder, partial_dir(level, n, path), keep_nothing, NULL)) {
        next.has_spare = true;
        next.spare = n;
    }
    *g = next;
}

/* Writes every tile that one more hash completes, without changing the tree; the hash that goes up
 * is computed again when it does. */
static enum err write_full(struct tree *t, const uint8_t leaf_hash[HASH_LEN])
{
    uint8_t up[HASH_LEN];
    memcpy(up, leaf_hash, HASH_LEN);
    for (int i = 0; i < TILE_LEVELS && t->levels[i].n == TILE_WIDTH - 1; i++) {
        struct tree_level *l = &t->levels[i];
        memcpy(l->hashes + l->n * HASH_LEN, up, HASH_LEN); /* behind what counts */
        enum err e = grow(t, &l->file, i, l->tile, TILE_WIDTH, str_of(l->hashes, TILE_BYTES));
        if (e != ERR_OK)
            return e;
        merkle_perfect(l->hashes, TILE_WIDTH, up);
    }
    return grow(t, &t->bundle_file, TILE_ENTRIES, t->levels[0].tile, TILE_WIDTH,
                buf_str(&t->bundle));
}

static void hash_add(struct tree *t, const uint8_t leaf_hash[HASH_LEN])
{
    uint8_t up[HASH_LEN];
    memcpy(up, leaf_hash, HASH_LEN);
    for (int i = 0; i < TILE_LEVELS; i++) {
        struct tree_level *l = &t->levels[i];
        memcpy(l->hashes + l->n++ * HASH_LEN, up, HASH_LEN);
        if (l->n < TILE_WIDTH)
            break;
        merkle_perfect(l->hashes, TILE_WIDTH, up);
        grown(t, &l->file, i, l->tile);
        l->n = 0;
        l->tile++;
    }
    t->size++;
}

enum err tree_add(struct tree *t, struct str leaf)
{
    uint8_t hash[HASH_LEN];
    size_t before = t->bundle.n;
    char prefix[2] = {(char)(leaf.n >> 8), (char)leaf.n};
    bool completes = t->levels[0].n == TILE_WIDTH - 1;
    merkle_leaf(leaf, hash);
    buf_add(&t->bundle, prefix, 2);
    buf_add_str(&t->bundle, leaf);
    assert(t->bundle.err == ERR_OK);
    enum err e = completes ? write_full(t, hash) : ERR_OK;
    if (e != ERR_OK) {
        t->bundle.n = before;
        return e;
    }
    if (completes) {
        grown(t, &t->bundle_file, TILE_ENTRIES, t->levels[0].tile);
        buf_reset(&t->bundle);
    }
    hash_add(t, hash);
    return ERR_OK;
}

enum err tree_publish(struct tree *t)
{
    struct tree_level *first = &t->levels[0];
    enum err e = ERR_OK;
    if (first->n)
        e = grow(t, &t->bundle_file, TILE_ENTRIES, first->tile, first->n, buf_str(&t->bundle));
    for (int i = 0; i < TILE_LEVELS && e == ERR_OK; i++) {
        struct tree_level *l = &t->levels[i];
        if (l->n && l->file.width != l->n)
            e = grow(t, &l->file, i, l->tile, l->n, level_bytes(l));
    }
    return e;
}

/* Perfect subtrees from the smallest up: each one on the left of all smaller ones. */
void tree_root(const struct tree *t, uint8_t out[HASH_LEN])
{
    bool any = false;
    uint8_t piece[HASH_LEN];
    for (int i = 0; i < TILE_LEVELS; i++) {
        const struct tree_level *l = &t->levels[i];
        for (unsigned bit = 1; bit < TILE_WIDTH; bit <<= 1) {
            if (!(l->n & bit))
                continue;
            size_t from = l->n & ~(2 * bit - 1);
            merkle_perfect(l->hashes + from * HASH_LEN, bit, piece);
            if (any)
                merkle_node(piece, out, out);
            else
                memcpy(out, piece, HASH_LEN);
            any = true;
        }
    }
    if (!any)
        merkle_empty(out);
}

static enum err level_load(struct tree *t, int i, struct arena *a)
{
    struct tree_level *l = &t->levels[i];
    struct str bytes;
    l->tile = t->size >> (8 * i) >> 8;
    l->n = (unsigned)(t->size >> (8 * i) & 255);
    if (l->n == 0)
        return ERR_OK;
    enum err e = tile_take_up(t->folder, i, l->tile, l->n, a, &bytes);
    if (e == ERR_OK)
        memcpy(l->hashes, bytes.p, bytes.n);
    return e;
}

void tree_init(struct tree *t, int folder)
{
    *t = (struct tree){.folder = folder, .bundle_file = {.fd = -1}};
    for (int i = 0; i < TILE_LEVELS; i++)
        t->levels[i].file.fd = -1;
    buf_init(&t->bundle, BUNDLE_MAX);
}

enum err tree_load(struct tree *t, uint64_t size)
{
    struct arena a;
    struct str bundle = STR_NONE;
    arena_init(&a);
    t->size = size;
    enum err e = ERR_OK;
    for (int i = 0; i < TILE_LEVELS && e == ERR_OK; i++)
        e = level_load(t, i, &a);
    if (e == ERR_OK && t->levels[0].n)
        e = tile_take_up(t->folder, TILE_ENTRIES, t->levels[0].tile, t->levels[0].n, &a, &bundle);
    buf_add_str(&t->bundle, bundle);
    arena_free(&a);
    return e;
}

static void file_end(struct tree *t, struct growing *g, int level)
{
    char path[TILE_PATH_MAX];
    if (g->fd >= 0)
        close(g->fd);
    if (g->has_spare)
        unlinkat(t->folder, partial_dir(level, g->spare, path), AT_REMOVEDIR);
}

void tree_free(struct tree *t)
{
    for (int i = 0; i < TILE_LEVELS; i++)
        file_end(t, &t->levels[i].file, i);
    file_end(t, &t->bundle_file, TILE_ENTRIES);
    buf_free(&t->bundle);
}
