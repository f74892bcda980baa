/* Personal values at rest: each subject has a key of its own, wrapped by the keys process. Erasing
 * a person is destroying that key, so that backups forget too. Unwrapped keys are kept in a small
 * cache, because asking `keys` for each value would cost more than the value. */
#include "platform/ctx.h"

#include <pthread.h>
#include "base/clock.h"
#include "base/codec.h"
#include "base/rand.h"
#include "crypto/seal.h"
#include "platform/boot.h"
#include "platform/change.h"

enum { CACHE_N = 8192 };
static struct cached {
    char subject[160];
    uint8_t key[SEAL_KEY_LEN];
} cache[CACHE_N];
static pthread_mutex_t cache_lock = PTHREAD_MUTEX_INITIALIZER;

static struct cached *slot(struct str subject)
{
    uint64_t h = 1469598103934665603u;
    for (size_t i = 0; i < subject.n; i++)
        h = (h ^ (unsigned char)subject.p[i]) * 1099511628211u;
    return &cache[h % CACHE_N];
}

static bool cache_get(struct str subject, uint8_t key[SEAL_KEY_LEN])
{
    pthread_mutex_lock(&cache_lock);
    struct cached *s = slot(subject);
    bool found = subject.n && str_eq_z(subject, s->subject);
    if (found)
        memcpy(key, s->key, SEAL_KEY_LEN);
    pthread_mutex_unlock(&cache_lock);
    return found;
}

static void cache_put(struct str subject, const uint8_t *key)
{
    pthread_mutex_lock(&cache_lock);
    struct cached *s = slot(subject);
    mem_wipe(s, sizeof *s);
    if (key && subject.n < sizeof s->subject) {
        memcpy(s->subject, subject.p, subject.n);
        memcpy(s->key, key, SEAL_KEY_LEN);
    }
    pthread_mutex_unlock(&cache_lock);
}

/* An erased subject keeps an empty row, so that it never gets another key: *wrapped is empty. */
static enum err key_read(struct ctx *c, struct str subject, struct str *wrapped)
{
    struct db_conn *db = db_read(c->pf->db);
    struct db_result r;
    if (!db)
        return ERR_UNAVAILABLE;
    enum err e = db_query_one(db, c->arena, &r,
                              "SELECT wrapped FROM subject_key WHERE subject = $1", "s", subject);
    if (e == ERR_OK)
        *wrapped = db_str(&r, 0, 0);
    return e;
}

struct key_insert {
    struct str subject, wrapped;
    int64_t now_ms;
};

static enum err key_insert(struct db_conn *db, void *arg)
{
    struct key_insert *k = arg;
    return db_exec(db,
                   "INSERT INTO subject_key(subject, wrapped, created_at) VALUES($1, $2, $3) "
                   "ON CONFLICT (subject) DO NOTHING",
                   "sbi", k->subject, k->wrapped, k->now_ms);
}

/* Makes a key when the subject has no row. Another thread may be faster: its key is the answer. */
static enum err key_make(struct ctx *c, struct str subject, struct str *wrapped)
{
    uint8_t fresh[SEAL_KEY_LEN];
    struct key_insert k = {.subject = subject, .now_ms = clock_now_ms()};
    rand_bytes(fresh, sizeof fresh);
    enum err e = keys_wrap(c->pf->keys, "subject", subject, str_of(fresh, sizeof fresh), c->arena,
                           &k.wrapped);
    mem_wipe(fresh, sizeof fresh);
    if (e == ERR_OK)
        e = db_write(c->pf->db, key_insert, &k);
    return e == ERR_OK ? key_read(c, subject, wrapped) : e;
}

enum err vault_key(struct ctx *c, struct str subject, uint8_t key[SEAL_KEY_LEN])
{
    struct str wrapped = STR_NONE, plain;
    if (cache_get(subject, key))
        return ERR_OK;
    enum err e = key_read(c, subject, &wrapped);
    if (e == ERR_NOT_FOUND)
        e = key_make(c, subject, &wrapped);
    if (e == ERR_OK && wrapped.n == 0)
        return ERR_NOT_FOUND; /* erased */
    if (e == ERR_OK)
        e = keys_unwrap(c->pf->keys, "subject", subject, wrapped, c->arena, &plain);
    if (e != ERR_OK)
        return e;
    if (plain.n != SEAL_KEY_LEN)
        return ERR_CORRUPT;
    memcpy(key, plain.p, SEAL_KEY_LEN);
    cache_put(subject, key);
    return ERR_OK;
}

enum err vault_seal(struct ctx *c, struct str subject, const char *context, struct str plain,
                    struct str *sealed)
{
    uint8_t key[SEAL_KEY_LEN];
    enum err e = vault_key(c, subject, key);
    if (e == ERR_OK)
        *sealed = seal(c->arena, key, str_from(context), plain);
    mem_wipe(key, sizeof key);
    return e;
}

enum err vault_open(struct ctx *c, struct str subject, const char *context, struct str sealed,
                    struct str *plain)
{
    uint8_t key[SEAL_KEY_LEN];
    enum err e = vault_key(c, subject, key);
    if (e == ERR_OK)
        e = unseal(c->arena, key, str_from(context), sealed, plain);
    mem_wipe(key, sizeof key);
    return e;
}

/* An empty row stays: the subject never gets another key. */
enum err vault_erase_in(struct db_conn *db, struct str subject)
{
    enum err e = db_exec(db,
                         "INSERT INTO subject_key(subject, wrapped, created_at) VALUES($1, $2, $3) "
                         "ON CONFLICT (subject) DO UPDATE SET wrapped = $2",
                         "sbi", subject, STR(""), clock_now_ms());
    return e == ERR_OK ? change_add(db, "erase", subject, 0) : e;
}

static enum err erase_write(struct db_conn *db, void *arg)
{
    return vault_erase_in(db, *(struct str *)arg);
}

enum err vault_erase(struct ctx *c, struct str subject)
{
    enum err e = db_write(c->pf->db, erase_write, &subject);
    cache_put(subject, NULL);
    return e;
}

/* The key must be forgotten by every node's cache, not only by the one that destroyed it. */
static void on_change(struct platform *pf, const struct change *list, size_t n, void *arg)
{
    (void)pf;
    (void)arg;
    for (size_t i = 0; i < n; i++)
        if (str_eq_z(list[i].kind, "erase"))
            cache_put(list[i].key, NULL);
}

/* What the journal keeps beside for an erased person is deleted too, on each node by its own jobs:
 * how far each has come is a setting of that node. */
struct mark {
    struct str name, value;
};

static enum err mark_write(struct db_conn *db, void *arg)
{
    struct mark *m = arg;
    return db_exec(db,
                   "INSERT INTO setting(name, value) VALUES($1, $2) "
                   "ON CONFLICT (name) DO UPDATE SET value = $2",
                   "ss", m->name, m->value);
}

enum err vault_sweep(struct platform *pf)
{
    struct arena a;
    struct db_result r;
    uint64_t done = 0;
    arena_init(&a);
    struct mark m = {arena_printf(&a, "erased:%s", pf->settings->journal_origin), STR("")};
    struct db_conn *db = db_read(pf->db);
    enum err e =
        !db ? ERR_UNAVAILABLE
            : db_query(db, &a, &r, "SELECT value FROM setting WHERE name = $1", "s", m.name);
    if (e == ERR_OK && r.n_rows && !str_to_u64(db_str(&r, 0, 0), &done))
        e = ERR_CORRUPT;
    if (e == ERR_OK)
        e = db_query(db, &a, &r,
                     "SELECT seq, item FROM change WHERE kind = 'erase' AND seq > $1 ORDER BY seq "
                     "LIMIT 100",
                     "i", (int64_t)done);
    for (size_t i = 0; e == ERR_OK && i < r.n_rows; i++) {
        e = journal_erase_subject(pf->journal, db_str(&r, i, 1), 5000, NULL);
        m.value = arena_printf(&a, "%lld", (long long)db_i64(&r, i, 0));
        if (e == ERR_OK)
            e = db_write(pf->db, mark_write, &m);
    }
    arena_free(&a);
    return e;
}

void vault_start(struct platform *pf)
{
    change_subscribe(pf, on_change, NULL);
}

enum err vault_blind(struct ctx *c, const char *context, struct str value, struct str *hex)
{
    uint8_t mac[32];
    struct str data = arena_printf(c->arena, "%s%c" STR_FMT, context, '\0', STR_ARG(value));
    enum err e = keys_mac(c->pf->keys, "blind", data, mac);
    if (e == ERR_OK)
        *hex = codec_to_hex(c->arena, mac, sizeof mac);
    return e;
}
