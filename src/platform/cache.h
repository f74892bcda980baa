/* What was read a moment ago, kept in this process: rows that every request asks for again, and
 * work that gives the same each time. Values are immutable and shared between threads.
 *
 * What a change in this process makes false is dropped by who made it (cache_drop, after the
 * commit). What another process or node changed is noticed by the change feed, or not at all before
 * `life_ms` is over: so either the feed clears the cache and `life_ms` is long, or it is a second
 * at most, which is what a revocation may take. */
#ifndef PLATFORM_CACHE_H
#define PLATFORM_CACHE_H

#include <jansson.h>
#include <pthread.h>
#include "base/arena.h"

enum { CACHE_KEY_MAX = 200 };
struct cache_slot;
struct cache {
    size_t n_slots; /* a power of two */
    int64_t life_ms;
    void (*free)(void *value);
    /* The cache's own. */
    pthread_mutex_t lock;
    struct cache_slot *slots;
    uint64_t drops;
};
#define CACHE(slots_n, life, free_fn)                               \
    {                                                               \
        .n_slots = (slots_n), .life_ms = (life), .free = (free_fn), \
        .lock = PTHREAD_MUTEX_INITIALIZER                           \
    }

/* Runs take(value, arg) under the cache's lock: take a reference, or copy. False: not there. */
typedef void cache_take(void *value, void *arg);
bool cache_get(struct cache *c, struct str key, cache_take *take, void *arg);

/* Takes the value over; one that was read before something was dropped is not kept: `mark` is what
 * cache_mark gave before the reading began. Longer keys are not kept. */
uint64_t cache_mark(struct cache *c);
void cache_put(struct cache *c, struct str key, uint64_t mark, void *value);
void cache_drop(struct cache *c, struct str key);
void cache_clear(struct cache *c);

/* For values that are json_t: nobody may change what he gets. The caller owns the reference (NULL:
 * not there); put takes one of its own. */
json_t *cache_get_json(struct cache *c, struct str key);
void cache_put_json(struct cache *c, struct str key, uint64_t mark, json_t *v);
void cache_free_json(void *v);

#endif
