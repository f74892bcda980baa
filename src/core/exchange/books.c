#include "core/exchange/books.h"

#include <pthread.h>
#include <stdlib.h>
#include "base/log.h"
#include "base/map.h"
#include "platform/ctx.h"
#include "sys/proc.h"
#include "sys/turn.h"

enum { AGAIN_S = 2 };

struct row {
    struct request_book *book;
    bool there; /* in the list that was just read */
    char digest[72];
    size_t n;
    char key[];
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct platform *pf;
    void (*changed)(void);
    struct map rows;
    bool asked;
} books = {.lock = PTHREAD_MUTEX_INITIALIZER, .work = PTHREAD_COND_INITIALIZER};

struct request_book *books_get(struct str key)
{
    pthread_mutex_lock(&books.lock);
    const struct row *row = map_get(&books.rows, key);
    struct request_book *b = row ? request_book_ref(row->book) : NULL;
    pthread_mutex_unlock(&books.lock);
    return b;
}

void books_look(void)
{
    pthread_mutex_lock(&books.lock);
    books.asked = true;
    pthread_cond_signal(&books.work);
    pthread_mutex_unlock(&books.lock);
}

/* ---- the thread ---------------------------------------------------------------------------------
 * It alone writes rows; the lock is held where a reader could see it. */
static void row_put(struct str key, const char *digest, struct request_book *book)
{
    struct row *row = map_get(&books.rows, key);
    pthread_mutex_lock(&books.lock);
    if (!row) {
        row = calloc(1, sizeof *row + key.n + 1);
        if (!row)
            abort();
        row->n = key.n;
        memcpy(row->key, key.p, key.n);
        map_set(&books.rows, str_of(row->key, row->n), row);
    }
    struct request_book *old = row->book;
    row->book = book;
    row->there = true;
    snprintf(row->digest, sizeof row->digest, "%s", digest);
    pthread_mutex_unlock(&books.lock);
    request_book_unref(old);
}

static bool row_renew(struct ctx *c, struct str key, const char *digest)
{
    struct row *row = map_get(&books.rows, key);
    ptrdiff_t slash = str_find_char(key, '/');
    json_t *out;
    if (row && strcmp(row->digest, digest) == 0) {
        row->there = true;
        return false;
    }
    if (slash < 0)
        return false;
    json_t *args = json_own(&c->pool, json_pack("{s:s%, s:s}", "api", key.p, (size_t)slash,
                                                "version", str_after(key, (size_t)slash + 1).p));
    enum err e = platform_call(c, "catalogue.operations", args, &out);
    if (e == ERR_OK)
        row_put(key, digest, request_book_new(out));
    else
        log_warn("request_book", "api", key.p, "error", err_name(e));
    return e == ERR_OK;
}

/* Those that are no longer described. */
static bool rows_sweep(void)
{
    for (bool found = true, gone = false;; gone = true) {
        size_t at = 0;
        struct str key;
        void *v;
        found = false;
        while (!found && map_next(&books.rows, &at, &key, &v))
            found = !((struct row *)v)->there;
        if (!found)
            return gone;
        struct row *row = v;
        pthread_mutex_lock(&books.lock);
        map_del(&books.rows, key);
        pthread_mutex_unlock(&books.lock);
        request_book_unref(row->book);
        free(row);
    }
}

static enum err renew(bool *changed)
{
    struct arena a;
    json_t *out;
    const char *key;
    json_t *v;
    size_t at = 0;
    struct str name;
    void *row;
    arena_init(&a);
    struct ctx *c = ctx_make(books.pf, &a);
    *changed = false;
    enum err e = platform_call(c, "catalogue.digests", NULL, &out);
    if (e == ERR_OK) {
        while (map_next(&books.rows, &at, &name, &row))
            ((struct row *)row)->there = false;
        json_object_foreach(json_get(out, "items"), key, v)
        {
            *changed |= row_renew(c, str_from(key), json_string_value(v));
        }
        *changed |= rows_sweep();
    }
    ctx_free(c);
    arena_free(&a);
    return e == ERR_NOT_FOUND ? ERR_OK : e; /* a platform without a catalogue */
}

static void *books_run(void *arg)
{
    bool again = true, changed;
    (void)arg;
    turn_set(TURN_BEHIND);
    while (!proc_stopping) {
        if (again) {
            again = renew(&changed) != ERR_OK;
            if (changed)
                books.changed();
        }
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += AGAIN_S;
        pthread_mutex_lock(&books.lock);
        if (!books.asked)
            pthread_cond_timedwait(&books.work, &books.lock, &until);
        again |= books.asked;
        books.asked = false;
        pthread_mutex_unlock(&books.lock);
    }
    return NULL;
}

enum err books_start(struct platform *pf, void (*changed)(void))
{
    pthread_t thread;
    pthread_attr_t attr;
    books.pf = pf;
    books.changed = changed;
    map_init(&books.rows);
    if (pthread_attr_init(&attr) != 0)
        return ERR_INTERNAL;
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    int failed = pthread_create(&thread, &attr, books_run, NULL);
    pthread_attr_destroy(&attr);
    return failed ? ERR_INTERNAL : ERR_OK;
}
