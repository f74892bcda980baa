#include "base/map.h"

#include <pthread.h>
#include <stdlib.h>
#include "base/rand.h"

struct map_slot {
    struct str key;
    void *value; /* NULL: free; &dead: deleted */
    uint64_t hash;
};

static char dead_mark;
#define DEAD ((void *)&dead_mark)

static uint64_t sip_key[2];
static pthread_once_t sip_once = PTHREAD_ONCE_INIT;

static void sip_start(void)
{
    rand_bytes(sip_key, sizeof sip_key);
}

#define ROTL(x, b) ((x) << (b) | (x) >> (64 - (b)))

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = ROTL(v[1], 13) ^ v[0];
    v[0] = ROTL(v[0], 32);
    v[2] += v[3];
    v[3] = ROTL(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = ROTL(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = ROTL(v[1], 17) ^ v[2];
    v[2] = ROTL(v[2], 32);
}

uint64_t map_siphash(const uint64_t secret[2], struct str key)
{
    uint64_t v[4] = {secret[0] ^ 0x736f6d6570736575u, secret[1] ^ 0x646f72616e646f6du,
                     secret[0] ^ 0x6c7967656e657261u, secret[1] ^ 0x7465646279746573u};
    size_t i = 0;
    for (; i + 8 <= key.n; i += 8) {
        uint64_t m;
        memcpy(&m, key.p + i, 8);
        v[3] ^= m;
        sip_round(v);
        v[0] ^= m;
    }
    uint64_t last = (uint64_t)key.n << 56;
    if (i < key.n)
        memcpy(&last, key.p + i, key.n - i);
    v[3] ^= last;
    sip_round(v);
    v[0] ^= last;
    v[2] ^= 0xff;
    for (int r = 0; r < 3; r++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t map_hash(struct str key)
{
    pthread_once(&sip_once, sip_start);
    return map_siphash(sip_key, key);
}

void map_init(struct map *m)
{
    *m = (struct map){0};
}

void map_free(struct map *m)
{
    free(m->slots);
    *m = (struct map){0};
}

static struct map_slot *find(const struct map *m, struct str key, uint64_t hash)
{
    if (m->cap == 0)
        return NULL;
    for (size_t i = hash & (m->cap - 1);; i = (i + 1) & (m->cap - 1)) {
        struct map_slot *s = &m->slots[i];
        if (s->value == NULL)
            return NULL;
        if (s->value != DEAD && s->hash == hash && str_eq(s->key, key))
            return s;
    }
}

static void put(struct map *m, struct map_slot slot)
{
    size_t i = slot.hash & (m->cap - 1);
    while (m->slots[i].value != NULL && m->slots[i].value != DEAD)
        i = (i + 1) & (m->cap - 1);
    if (m->slots[i].value == DEAD)
        m->dead--;
    m->slots[i] = slot;
    m->n++;
}

static void rehash(struct map *m, size_t cap)
{
    struct map old = *m;
    *m = (struct map){.slots = calloc(cap, sizeof(struct map_slot)), .cap = cap};
    if (!m->slots)
        abort();
    for (size_t i = 0; i < old.cap; i++)
        if (old.slots[i].value != NULL && old.slots[i].value != DEAD)
            put(m, old.slots[i]);
    free(old.slots);
}

void *map_get(const struct map *m, struct str key)
{
    struct map_slot *s = find(m, key, map_hash(key));
    return s ? s->value : NULL;
}

void *map_set(struct map *m, struct str key, void *value)
{
    uint64_t hash = map_hash(key);
    struct map_slot *s = find(m, key, hash);
    if (s) {
        void *old = s->value;
        s->key = key;
        s->value = value;
        return old;
    }
    if ((m->n + m->dead + 1) * 4 > m->cap * 3)
        rehash(m, m->n * 2 < 16 ? 16 : m->n * 3 > m->cap ? m->cap * 2 : m->cap);
    put(m, (struct map_slot){key, value, hash});
    return NULL;
}

void *map_del(struct map *m, struct str key)
{
    struct map_slot *s = find(m, key, map_hash(key));
    if (!s)
        return NULL;
    void *old = s->value;
    *s = (struct map_slot){.value = DEAD};
    m->n--;
    m->dead++;
    return old;
}

bool map_next(const struct map *m, size_t *at, struct str *key, void **value)
{
    for (; *at < m->cap; (*at)++) {
        struct map_slot *s = &m->slots[*at];
        if (s->value != NULL && s->value != DEAD) {
            *key = s->key;
            *value = s->value;
            (*at)++;
            return true;
        }
    }
    return false;
}
