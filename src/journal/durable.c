#include "journal/durable.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/log.h"
#include "journal/disk.h"
#include "journal/runs.h"
#include "journal/state.h"
#include "sys/file.h"
#include "sys/turn.h"

enum { RETRY_MS = 200 };

void durable_init(struct durable *d, int folder)
{
    *d = (struct durable){.folder = folder};
    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->change, NULL);
    buf_init(&d->text, STATE_MAX);
}

void durable_gone(struct durable *d, const char *dir, uint64_t name)
{
    if (d->n_next == d->cap_next) {
        d->cap_next = d->cap_next ? d->cap_next * 2 : 64;
        d->next_gone = realloc(d->next_gone, d->cap_next * sizeof *d->next_gone);
        if (!d->next_gone)
            abort();
    }
    d->next_gone[d->n_next++] = (struct gone_file){dir, name};
}

static void remove_gone(struct durable *d)
{
    char path[32];
    for (size_t i = 0; i < d->n_gone; i++)
        unlinkat(d->folder, run_path(d->gone[i].dir, d->gone[i].name, path), 0);
    free(d->gone);
    d->gone = NULL;
    d->n_gone = 0;
}

/* One call for hundreds of files: synced one by one, each would wait for the disk. */
static enum err sync_all(struct durable *d)
{
    enum err e = syncfs(d->folder) == 0 ? ERR_OK : file_err_from_errno(errno);
    return e == ERR_FULL ? ERR_IO : e;
}

static enum err do_it(struct durable *d)
{
    enum err e = sync_all(d);
    if (e == ERR_OK)
        e = disk_replace(d->folder, "durable", buf_str(&d->text), true);
    if (e != ERR_OK)
        return e;
    remove_gone(d);
    if (d->wal)
        wal_release(d->wal, d->position);
    return ERR_OK;
}

static bool gives_up(struct durable *d)
{
    pthread_mutex_lock(&d->lock);
    bool up = d->stop || d->waited;
    pthread_mutex_unlock(&d->lock);
    return up;
}

static void *durable_main(void *arg)
{
    struct durable *d = arg;
    turn_set(TURN_BEHIND);
    pthread_mutex_lock(&d->lock);
    while (!d->stop || d->busy) { /* what was begun is ended: the sealer counts on it */
        if (!d->busy) {
            pthread_cond_wait(&d->change, &d->lock);
            continue;
        }
        pthread_mutex_unlock(&d->lock);
        enum err e;
        while ((e = do_it(d)) == ERR_FULL && !gives_up(d))
            usleep(RETRY_MS * 1000); /* the sealer says it */
        if (e != ERR_OK && e != ERR_FULL) {
            log_error("journal_not_durable", "error", err_name(e));
            _exit(1);
        }
        pthread_mutex_lock(&d->lock);
        d->busy = false;
        pthread_cond_broadcast(&d->change);
    }
    pthread_mutex_unlock(&d->lock);
    return NULL;
}

enum err durable_start(struct durable *d, struct wal *wal)
{
    d->wal = wal;
    d->runs = pthread_create(&d->thread, NULL, durable_main, d) == 0;
    return d->runs ? ERR_OK : ERR_INTERNAL;
}

void durable_free(struct durable *d)
{
    if (d->runs) {
        pthread_mutex_lock(&d->lock);
        d->stop = true;
        pthread_cond_broadcast(&d->change);
        pthread_mutex_unlock(&d->lock);
        pthread_join(d->thread, NULL);
    }
    pthread_cond_destroy(&d->change);
    pthread_mutex_destroy(&d->lock);
    buf_free(&d->text);
    free(d->gone);
    free(d->next_gone);
}

/* Fills in the point (not busy, lock held). */
static void point_set(struct durable *d, struct str text, uint64_t position)
{
    buf_reset(&d->text);
    buf_add_str(&d->text, text);
    d->position = position;
    if (d->gone) /* left by one that did not end */
        for (size_t i = 0; i < d->n_gone; i++)
            durable_gone(d, d->gone[i].dir, d->gone[i].name);
    free(d->gone);
    d->gone = d->next_gone;
    d->n_gone = d->n_next;
    d->next_gone = NULL;
    d->n_next = d->cap_next = 0;
}

bool durable_begin(struct durable *d, struct str text, uint64_t position)
{
    pthread_mutex_lock(&d->lock);
    bool free_now = !d->busy;
    if (free_now) {
        point_set(d, text, position);
        d->busy = true;
        pthread_cond_broadcast(&d->change);
    }
    pthread_mutex_unlock(&d->lock);
    return free_now;
}

enum err durable_now(struct durable *d, struct str text, uint64_t position)
{
    pthread_mutex_lock(&d->lock);
    d->waited = true;
    while (d->busy)
        pthread_cond_wait(&d->change, &d->lock);
    d->waited = false;
    point_set(d, text, position);
    pthread_mutex_unlock(&d->lock);
    return do_it(d);
}
