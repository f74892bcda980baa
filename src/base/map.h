/* A map from byte strings to pointers: open addressing, keyed SipHash so that outsiders cannot
 * choose collisions. Keys are borrowed: they must live as long as their entry. */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/str.h"

struct map_slot;
struct map {
    struct map_slot *slots;
    size_t n, cap, dead;
};

void map_init(struct map *m);
void map_free(struct map *m);
void *map_get(const struct map *m, struct str key);

/* Sets or replaces (the new key slice replaces the old one); value must not be NULL. Returns the
 * value that was there, or NULL. */
void *map_set(struct map *m, struct str key, void *value);
void *map_del(struct map *m, struct str key);

/* Walks all entries: start with *at = 0; false at the end. Do not change the map meanwhile. */
bool map_next(const struct map *m, size_t *at, struct str *key, void **value);

/* SipHash-1-3 under a key drawn at process start: for tables in memory. */
uint64_t map_hash(struct str key);
/* The same under a key of the caller's: for what is stored. */
uint64_t map_siphash(const uint64_t secret[2], struct str text);

#endif
