#include "journal/index.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "journal/disk.h"
#include "sys/file.h"

enum { RECORDS_MAX = 1 << 30 };

void index_init(struct index *x, const struct index *conf, size_t record_size)
{
    *x = *conf;
    x->tail_fd = -1;
    x->runs = runs_none(record_size);
    buf_init(&x->records, RECORDS_MAX);
}

void index_free(struct index *x)
{
    if (x->runs == NULL)
        return;
    if (x->tail_fd >= 0)
        close(x->tail_fd);
    runs_unref(x->runs);
    buf_free(&x->records);
    x->runs = NULL;
}

/* ---- opening ----------------------------------------------------------------------------------
 */
struct sweep {
    struct index *x;
    const struct run_names *names; /* NULL: none is kept */
};

/* A file that is in no list is left over; its name is not used again all the same, for readers may
 * still know it. */
static bool is_listed(void *arg, const char *name)
{
    const struct sweep *w = arg;
    uint64_t n;
    if (!str_to_u64(str_from(name), &n))
        return true; /* side/rows */
    if (n >= *w->x->next_name)
        *w->x->next_name = n + 1;
    for (size_t i = 0; w->names && i < w->names->n; i++)
        if (w->names->list[i].name == n)
            return true;
    return w->names && w->names->tail.n && w->names->tail.name == n;
}

static enum err tail_take_up(struct index *x)
{
    char path[32];
    if (!x->runs->tail)
        return ERR_OK;
    x->tail_name = x->runs->tail->name;
    x->tail_fd = openat(x->folder, run_path(x->dir, x->tail_name, path), O_WRONLY | O_CLOEXEC);
    if (x->tail_fd < 0)
        return file_err_from_errno(errno);
    x->in_tail = x->runs->tail_n * x->runs->record_size;
    buf_add(&x->records, x->runs->tail->records, x->in_tail);
    return ERR_OK;
}

bool index_open(struct index *x, const struct run_names *names)
{
    size_t record_size = x->runs->record_size;
    struct runs *runs;
    bool whole = runs_open(x->folder, x->dir, names, record_size, NULL, &runs) == ERR_OK;
    if (whole) {
        runs_unref(x->runs);
        x->runs = runs;
        whole = tail_take_up(x) == ERR_OK;
    }
    if (!whole) {
        runs_unref(x->runs);
        x->runs = runs_none(record_size);
    }
    disk_sweep(x->folder, x->dir, is_listed, &(struct sweep){x, whole ? names : NULL});
    return whole;
}

/* ---- growing ----------------------------------------------------------------------------------
 */
void index_add(struct index *x, const void *record)
{
    buf_add(&x->records, record, x->runs->record_size);
}

static void set_take(struct index *x, struct runs *next)
{
    for (size_t i = 0; i < x->runs->n; i++)
        if (i >= next->n || next->list[i] != x->runs->list[i])
            durable_gone(x->durable, x->dir, x->runs->list[i]->name);
    runs_unref(x->runs);
    x->runs = next;
}

static void tail_end(struct index *x)
{
    if (x->tail_fd < 0)
        return;
    close(x->tail_fd);
    x->tail_fd = -1;
    durable_gone(x->durable, x->dir, x->tail_name);
}

static enum err into_run(struct index *x)
{
    struct runs *next;
    struct runs_new new = {.folder = x->folder,
                           .dir = x->dir,
                           .name = *x->next_name,
                           .records = (uint8_t *)x->records.p,
                           .n = x->records.n / x->runs->record_size,
                           .drop = x->drop,
                           .sort = x->sort};
    x->reordered = true; /* by sorting; those in the tail are among them */
    enum err e = runs_add(x->runs, &new, &next);
    if (e != ERR_OK)
        return e;
    x->reordered = false;
    ++*x->next_name;
    tail_end(x);
    set_take(x, next);
    buf_reset(&x->records);
    x->in_tail = 0;
    return ERR_OK;
}

static enum err into_tail(struct index *x)
{
    struct runs *next;
    size_t size = x->runs->record_size;
    enum err e = disk_space(x->dir, x->records.n - x->in_tail);
    if (e == ERR_OK && x->tail_fd < 0) {
        x->tail_name = *x->next_name;
        e = tail_make(x->folder, x->dir, x->tail_name, size, &x->tail_fd);
        if (e != ERR_OK)
            x->tail_fd = -1;
        else
            ++*x->next_name;
    }
    if (e == ERR_OK)
        e = file_pwrite_all(x->tail_fd, x->records.p + x->in_tail, x->records.n - x->in_tail,
                            RUN_HEAD + x->in_tail);
    if (e == ERR_OK)
        e = runs_with_tail(x->runs, x->folder, x->dir, x->tail_name, x->records.n / size, &next);
    if (e != ERR_OK)
        return e;
    x->in_tail = x->records.n;
    set_take(x, next);
    return ERR_OK;
}

enum err index_publish(struct index *x, bool all)
{
    size_t n = x->records.n / x->runs->record_size;
    if (n >= TAIL_RECORDS || x->reordered || (all && n > 0))
        return into_run(x);
    return x->records.n > x->in_tail ? into_tail(x) : ERR_OK;
}

struct run_names index_names(const struct index *x, struct arena *a)
{
    const struct runs *r = x->runs;
    struct run_names names = {.list = arena_array(a, struct run_name, r->n + 1), .n = r->n};
    for (size_t i = 0; i < r->n; i++)
        names.list[i] = (struct run_name){r->list[i]->name, r->list[i]->n};
    if (r->tail)
        names.tail = (struct run_name){r->tail->name, r->tail_n};
    return names;
}
