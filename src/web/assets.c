/* Finds a compiled-in file by its path. The table is sorted by the build, so looking up is a binary
 * search and nothing is set up at start. A debug build may read the files from the source tree
 * instead, so that a page can be worked on without compiling. */
#include "web/assets.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef SOCLE_DEBUG
/* What was read stays, because callers keep slices; it is read again only when it changed. */
struct live {
    struct live *next;
    const char *path;
    char *data;
    size_t size;
};
static struct live *lives;
static pthread_mutex_t lives_lock = PTHREAD_MUTEX_INITIALIZER;

static char *read_whole(const char *folder, const char *path, size_t *size)
{
    char full[1024];
    snprintf(full, sizeof full, "%s/%s", folder, path);
    FILE *f = fopen(full, "rb");
    if (!f)
        return NULL;
    char *p = NULL;
    long end = fseek(f, 0, SEEK_END) == 0 ? ftell(f) : -1;
    if (end >= 0 && fseek(f, 0, SEEK_SET) == 0 && (p = malloc((size_t)end + 1)) != NULL)
        *size = fread(p, 1, (size_t)end, f);
    fclose(f);
    return p;
}

static struct str live_get(const char *folder, const struct asset *a)
{
    size_t size = 0;
    char *p = read_whole(folder, a->path, &size);
    if (!p)
        return str_of(a->data, a->size);
    pthread_mutex_lock(&lives_lock);
    struct live *l = lives;
    while (l && strcmp(l->path, a->path) != 0)
        l = l->next;
    if (l && l->size == size && memcmp(l->data, p, size) == 0) {
        free(p);
    } else {
        l = malloc(sizeof *l);
        if (!l)
            abort();
        *l = (struct live){lives, a->path, p, size};
        lives = l;
    }
    struct str s = str_of(l->data, l->size);
    pthread_mutex_unlock(&lives_lock);
    return s;
}
#endif

static int by_path(const void *key, const void *item)
{
    return strcmp(key, ((const struct asset *)item)->path);
}

struct str asset_get(const char *path)
{
    const struct asset *a = bsearch(path, assets, assets_n, sizeof *a, by_path);
    if (!a)
        return STR_NONE;
#ifdef SOCLE_DEBUG
    const char *folder = getenv("SOCLE_ASSETS");
    if (folder && folder[0])
        return live_get(folder, a);
#endif
    return str_of(a->data, a->size);
}

const struct asset *asset_next(const char *prefix, size_t *at)
{
    struct str want = str_from(prefix);
    while (*at < assets_n) {
        const struct asset *a = &assets[(*at)++];
        if (str_starts(str_from(a->path), want))
            return a;
    }
    return NULL;
}
