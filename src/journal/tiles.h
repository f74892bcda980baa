/* C2SP tlog-tiles files: paths, reading, and the tree that grows (docs/formats/journal-folder.md).
 * Private to this folder. */
#ifndef JOURNAL_TILES_H
#define JOURNAL_TILES_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "journal/merkle.h"

enum {
    TILE_WIDTH = 256,
    TILE_LEVELS = 8, /* 2^64 leaves */
    TILE_BYTES = TILE_WIDTH * HASH_LEN,
    TILE_PATH_MAX = 64,
    TILE_ENTRIES = -1, /* as a level: the entry bundles */
    BUNDLE_MAX = TILE_WIDTH * (2 + 32 * 1024),
};

/* "tile/0/x001/067", with ".p/12" for a width under 256. */
const char *tile_path(int level, uint64_t n, unsigned width, char out[TILE_PATH_MAX]);
/* Width of tile n of a level in a tree of `size`; 0: not there. Entry bundles are as level 0. */
unsigned tile_width(int level, uint64_t n, uint64_t size);

/* ---- reading ----------------------------------------------------------------------------------
 */
/* The first `width` hashes of a tile, or entries of a bundle, out of that file or a wider one.
 * ERR_CORRUPT: cut short, longer than its name says, or no bundle; ERR_NOT_FOUND. */
enum err tile_read(int folder, int level, uint64_t n, unsigned width, struct arena *a,
                   struct str *out) MUST_CHECK;
/* The same for the writer's own start: a process that ended between growing a file and renaming it
 * left one that is longer than its name says. */
enum err tile_take_up(int folder, int level, uint64_t n, unsigned width, struct arena *a,
                      struct str *out) MUST_CHECK;
/* Takes one entry off a bundle; false at its end or when it is cut (then *rest is not empty). */
bool bundle_next(struct str *rest, struct str *leaf);

/* Nodes out of the tiles of one log, for a tree of `size`: a merkle_source. Keeps the tile it read
 * last on each level. */
struct tile_source {
    int folder;
    uint64_t size;
    struct arena *a;
    struct {
        uint64_t n;
        struct str bytes;
    } kept[TILE_LEVELS];
};
enum err tile_source_node(void *tile_source, unsigned level, uint64_t index,
                          uint8_t out[HASH_LEN]) MUST_CHECK;

/* ---- the tree that grows ----------------------------------------------------------------------
 */
/* The file of a tile under way. A wider tile begins with the bytes of the narrower one, so the file
 * grows and gets the name of its new width; when it is full it moves to its last name. The folder
 * that it leaves is the next one's: files and folders that come and go are what costs. */
struct growing {
    int fd;         /* -1: none */
    unsigned width; /* in its name */
    size_t written;
    bool has_spare;
    uint64_t spare; /* the tile whose folder is empty */
};
struct tree_level {
    uint8_t hashes[TILE_BYTES];
    unsigned n;    /* hashes of the tile under way */
    uint64_t tile; /* its number */
    struct growing file;
};
struct tree {
    int folder;
    uint64_t size;
    struct tree_level levels[TILE_LEVELS];
    struct buf bundle; /* entries of the bundle under way */
    struct growing bundle_file;
};
void tree_init(struct tree *t, int folder); /* empty; may be freed */
/* Out of the files of a log that holds `size` entries. ERR_CORRUPT, ERR_NOT_FOUND. */
enum err tree_load(struct tree *t, uint64_t size) MUST_CHECK;
void tree_free(struct tree *t);
/* Adds a leaf; full tiles are written at once. When that fails the tree is as before: call it again
 * when there is space. */
enum err tree_add(struct tree *t, struct str leaf) MUST_CHECK;
/* Writes the partial tiles of this size. */
enum err tree_publish(struct tree *t) MUST_CHECK;
void tree_root(const struct tree *t, uint8_t out[HASH_LEN]);

#endif
