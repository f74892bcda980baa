#include "journal/tiles.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include "journal/disk.h"
#include "sys/file.h"

/* ---- paths ------------------------------------------------------------------------------------ */
const char *tile_path(int level, uint64_t n, unsigned width, char out[TILE_PATH_MAX])
{
    size_t at = level == TILE_ENTRIES
                    ? (size_t)snprintf(out, TILE_PATH_MAX, "tile/entries")
                    : (size_t)snprintf(out, TILE_PATH_MAX, "tile/%d", level);
    uint64_t above = 1;
    while (n / above >= 1000)
        above *= 1000;
    for (; above > 1; above /= 1000)
        at += (size_t)snprintf(out + at, TILE_PATH_MAX - at, "/x%03u",
                               (unsigned)(n / above % 1000));
    at += (size_t)snprintf(out + at, TILE_PATH_MAX - at, "/%03u", (unsigned)(n % 1000));
    if (width < TILE_WIDTH)
        snprintf(out + at, TILE_PATH_MAX - at, ".p/%u", width);
    return out;
}

unsigned tile_width(int level, uint64_t n, uint64_t size)
{
    uint64_t hashes = level > 0 ? size >> (8 * level) : size;
    if (hashes / TILE_WIDTH > n)
        return TILE_WIDTH;
    return hashes / TILE_WIDTH == n ? (unsigned)(hashes % TILE_WIDTH) : 0;
}

/* ---- reading ---------------------------------------------------------------------------------- */
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
    *strrchr(tile_path(level, n, 1, path), '/') = '\0';
    int fd = openat(folder, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
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

enum err tile_read(int folder, int level, uint64_t n, unsigned width, struct arena *a,
                   struct str *out)
{
    char path[TILE_PATH_MAX];
    enum err e = read_cut(folder, tile_path(level, n, width, path), level, width, true, a, out);
    if (e != ERR_NOT_FOUND || width == TILE_WIDTH)
        return e;
    e = read_cut(folder, tile_path(level, n, TILE_WIDTH, path), level, width, false, a, out);
    /* A partial one may be replaced between the look and the opening: look again. */
    for (int tries = 0; e == ERR_NOT_FOUND && tries < 5; tries++) {
        unsigned other = wider_partial(folder, level, n, width);
        e = read_cut(folder, tile_path(level, n, other ? other : TILE_WIDTH, path), level, width,
                     false, a, out);
    }
    return e;
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

/* ---- files to sync ---------------------------------------------------------------------------- */
bool unsynced_has_room(const struct unsynced *u)
{
    return u->n + 32 < UNSYNCED_MAX && u->n_dirs + 40 < UNSYNCED_DIRS;
}

static void dir_add(struct unsynced *u, const char *dir)
{
    for (size_t i = 0; i < u->n_dirs; i++)
        if (strcmp(u->dirs[i], dir) == 0)
            return;
    assert(u->n_dirs < UNSYNCED_DIRS);
    snprintf(u->dirs[u->n_dirs++], TILE_PATH_MAX, "%s", dir);
}

void unsynced_add(struct unsynced *u, int fd, const char *path)
{
    char dir[TILE_PATH_MAX];
    assert(u->n < UNSYNCED_MAX);
    u->fds[u->n++] = fd;
    /* Begun now, it is done when it is waited for. An error shows there. */
    (void)sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
    snprintf(dir, sizeof dir, "%s", path);
    for (char *slash; (slash = strrchr(dir, '/')) != NULL;) {
        *slash = '\0';
        dir_add(u, dir);
    }
}

enum err unsynced_add_path(struct unsynced *u, const char *path)
{
    int fd = openat(u->folder, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return file_err_from_errno(errno);
    unsynced_add(u, fd, path);
    return ERR_OK;
}

static enum err dirs_sync(struct unsynced *u)
{
    enum err e = ERR_OK;
    for (size_t i = 0; i < u->n_dirs && e == ERR_OK; i++)
        e = disk_sync_dir(u->folder, u->dirs[i]);
    u->n_dirs = 0;
    return e;
}

enum err unsynced_sync(struct unsynced *u)
{
    enum err e = ERR_OK;
    for (size_t i = 0; i < u->n; i++) {
        if (e == ERR_OK && fsync(u->fds[i]) != 0)
            e = file_err_from_errno(errno);
        close(u->fds[i]);
    }
    u->n = 0;
    enum err dirs = dirs_sync(u);
    return e == ERR_OK ? dirs : e;
}

/* ---- the tree that grows ---------------------------------------------------------------------- */
static enum err put_full(struct tree *t, int level, uint64_t n, struct str bytes)
{
    char path[TILE_PATH_MAX];
    int fd;
    enum err e = disk_put(t->folder, tile_path(level, n, TILE_WIDTH, path), &bytes, 1, &fd);
    if (e == ERR_OK)
        unsynced_add(t->unsynced, fd, path);
    return e;
}

static struct str level_bytes(const struct tree_level *l)
{
    return str_of(l->hashes, l->n * (size_t)HASH_LEN);
}

static void partials_remove(struct tree *t, int level, uint64_t n, unsigned *partials)
{
    char path[TILE_PATH_MAX];
    memset(partials, 0, PARTIALS_KEPT * sizeof *partials);
    *strrchr(tile_path(level, n, 1, path), '/') = '\0';
    disk_sweep(t->folder, path, NULL, NULL); /* those of a process before this one too */
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
        enum err e = put_full(t, i, l->tile, str_of(l->hashes, TILE_BYTES));
        if (e != ERR_OK)
            return e;
        merkle_perfect(l->hashes, TILE_WIDTH, up);
    }
    return put_full(t, TILE_ENTRIES, t->levels[0].tile, buf_str(&t->bundle));
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
        partials_remove(t, i, l->tile, l->partials);
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
        partials_remove(t, TILE_ENTRIES, t->levels[0].tile, t->bundle_partials);
        buf_reset(&t->bundle);
    }
    hash_add(t, hash);
    return ERR_OK;
}

static enum err publish_one(struct tree *t, int level, uint64_t n, unsigned width, struct str bytes,
                            unsigned *partials)
{
    char path[TILE_PATH_MAX];
    if (width == 0 || partials[PARTIALS_KEPT - 1] == width)
        return ERR_OK;
    enum err e = disk_put(t->folder, tile_path(level, n, width, path), &bytes, 1, NULL);
    if (e != ERR_OK)
        return e;
    if (partials[0])
        unlinkat(t->folder, tile_path(level, n, partials[0], path), 0);
    memmove(partials, partials + 1, (PARTIALS_KEPT - 1) * sizeof *partials);
    partials[PARTIALS_KEPT - 1] = width;
    return ERR_OK;
}

enum err tree_publish(struct tree *t)
{
    struct tree_level *first = &t->levels[0];
    enum err e = publish_one(t, TILE_ENTRIES, first->tile, first->n, buf_str(&t->bundle),
                             t->bundle_partials);
    for (int i = 0; i < TILE_LEVELS && e == ERR_OK; i++)
        e = publish_one(t, i, t->levels[i].tile, t->levels[i].n, level_bytes(&t->levels[i]),
                        t->levels[i].partials);
    return e;
}

/* Of the partial tiles, the last ones only: those before them are of no use to a new start. */
enum err tree_sync(struct tree *t)
{
    char path[TILE_PATH_MAX];
    enum err e = ERR_OK;
    for (int i = TILE_ENTRIES; i < TILE_LEVELS && e == ERR_OK; i++) {
        const struct tree_level *l = &t->levels[i == TILE_ENTRIES ? 0 : i];
        const unsigned *partials = i == TILE_ENTRIES ? t->bundle_partials : l->partials;
        unsigned width = partials[PARTIALS_KEPT - 1];
        if (width)
            e = unsynced_add_path(t->unsynced, tile_path(i, l->tile, width, path));
    }
    return e == ERR_OK ? unsynced_sync(t->unsynced) : e;
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
    enum err e = tile_read(t->folder, i, l->tile, l->n, a, &bytes);
    if (e == ERR_OK)
        memcpy(l->hashes, bytes.p, bytes.n);
    return e;
}

enum err tree_load(struct tree *t, int folder, uint64_t size, struct unsynced *u)
{
    struct arena a;
    struct str bundle = STR_NONE;
    *t = (struct tree){.folder = folder, .size = size, .unsynced = u};
    arena_init(&a);
    buf_init(&t->bundle, BUNDLE_MAX);
    enum err e = ERR_OK;
    for (int i = 0; i < TILE_LEVELS && e == ERR_OK; i++)
        e = level_load(t, i, &a);
    if (e == ERR_OK && t->levels[0].n)
        e = tile_read(folder, TILE_ENTRIES, t->levels[0].tile, t->levels[0].n, &a, &bundle);
    buf_add_str(&t->bundle, bundle);
    arena_free(&a);
    return e;
}

void tree_free(struct tree *t)
{
    buf_free(&t->bundle);
}
