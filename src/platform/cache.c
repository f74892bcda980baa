#include "platform/cache.h"

#include <stdlib.h>
#include "base/clock.h"
#include "base/map.h"

struct cache_slot {
    char key[CACHE_KEY_MAX];
    size_t key_n; /* 0: empty */
    void *value;
    int64_t until_ms;
};

static struct cache_slot *slot_of(struct cache *c, struct str key)
{
    if (!c->slots) {
        c->slots = calloc(c->n_slots, sizeof *c->slots);
        if (!c->slots)
            abort();
    }
    return &c->slots[map_hash(key) & (c->n_slots - 1)];
}

static bool is_key(const struct cache_slot *s, struct str key)
{
    return key.n && s->key_n == key.n && memcmp(s->key, key.p, key.n) == 0;
}

static void slot_empty(struct cache *c, struct cache_slot *s)
{
    if (s->key_n)
        c->free(s->value);
    s->key_n = 0;
    s->value = NULL;
}

bool cache_get(struct cache *c, struct str key, cache_take *take, void *arg)
{
    int64_t now_ms = clock_mono_ms();
    pthread_mutex_lock(&c->lock);
    struct cache_slot *s = slot_of(c, key);
    bool found = is_key(s, key) && s->until_ms > now_ms;
    if (found)
        take(s->value, arg);
    pthread_mutex_unlock(&c->lock);
    return found;
}

uint64_t cache_mark(struct cache *c)
{
    pthread_mutex_lock(&c->lock);
    uint64_t mark = c->drops;
    pthread_mutex_unlock(&c->lock);
    return mark;
}

void cache_put(struct cache *c, struct str key, uint64_t mark, void *value)
{
    pthread_mutex_lock(&c->lock);
    if (mark == c->drops && key.n && key.n <= CACHE_KEY_MAX) {
        struct cache_slot *s = slot_of(c, key);
        slot_empty(c, s);
        memcpy(s->key, key.p, key.n);
        s->key_n = key.n;
        s->value = value;
        s->until_ms = clock_mono_ms() + c->life_ms;
        value = NULL;
    }
    pthread_mutex_unlock(&c->lock);
    if (value)
        c->free(value);
}

void cache_drop(struct cache *c, struct str key)
{
    pthread_mutex_lock(&c->lock);
    struct cache_slot *s = slot_of(c, key);
    c->drops++;
    if (is_key(s, key))
        slot_empty(c, s);
    pthread_mutex_unlock(&c->lock);
}

void cache_clear(struct cache *c)
{
    pthread_mutex_lock(&c->lock);
    c->drops++;
    for (size_t i = 0; c->slots && i < c->n_slots; i++)
        slot_empty(c, &c->slots[i]);
    pthread_mutex_unlock(&c->lock);
}

/* ---- JSON --------------------------------------------------------------------------------------
 */
static void take_json(void *value, void *arg)
{
    *(json_t **)arg = json_incref(value);
}

json_t *cache_get_json(struct cache *c, struct str key)
{
    json_t *v = NULL;
    return cache_get(c, key, take_json, &v) ? v : NULL;
}

void cache_put_json(struct cache *c, struct str key, uint64_t mark, json_t *v)
{
    cache_put(c, key, mark, json_incref(v));
}

void cache_free_json(void *v)
{
    json_decref(v);
}
