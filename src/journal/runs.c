#include "journal/runs.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "journal/disk.h"
#include "sys/file.h"

enum { RECORD_MAX = 64, BLOCK = 64 * 1024 };
static const char magic[16] = "socle run 1", tail_magic[16] = "socle tail 1";

const char *run_path(const char *dir, uint64_t name, char out[32])
{
    snprintf(out, 32, "%s/%010llu", dir, (unsigned long long)name);
    return out;
}

/* ---- sets -------------------------------------------------------------------------------------
 */
static struct runs *runs_alloc(size_t record_size, size_t n)
{
    struct runs *r = calloc(1, sizeof *r + n * sizeof r->list[0]);
    if (!r)
        abort();
    r->record_size = record_size;
    atomic_init(&r->refs, 1);
    return r;
}

struct runs *runs_none(size_t record_size)
{
    return runs_alloc(record_size, 0);
}

struct runs *runs_ref(struct runs *r)
{
    atomic_fetch_add(&r->refs, 1);
    return r;
}

static void run_unref(struct run *run, size_t record_size)
{
    if (atomic_fetch_sub(&run->refs, 1) != 1)
        return;
    munmap((void *)(uintptr_t)(run->records - RUN_HEAD), RUN_HEAD + run->n * record_size);
    free(run);
}

void runs_unref(struct runs *r)
{
    if (!r || atomic_fetch_sub(&r->refs, 1) != 1)
        return;
    for (size_t i = 0; i < r->n; i++)
        run_unref(r->list[i], r->record_size);
    if (r->tail)
        run_unref(r->tail, r->record_size);
    free(r);
}

/* The first n runs of r, with room for one more. */
static struct runs *runs_head(const struct runs *r, size_t n)
{
    struct runs *out = runs_alloc(r->record_size, n + 1);
    for (out->n = 0; out->n < n; out->n++) {
        out->list[out->n] = r->list[out->n];
        atomic_fetch_add(&r->list[out->n]->refs, 1);
    }
    return out;
}

/* ---- files ------------------------------------------------------------------------------------
 */
static void head_write(char head[RUN_HEAD], const char *kind, size_t record_size, uint64_t n)
{
    uint32_t size = htole32((uint32_t)record_size);
    n = htole64(n);
    memset(head, 0, RUN_HEAD);
    memcpy(head, kind, sizeof magic);
    memcpy(head + 16, &size, 4);
    memcpy(head + 24, &n, 8);
}

static enum err run_map(int fd, const char *kind, size_t record_size, const struct run_name *name,
                        struct run **out)
{
    char head[RUN_HEAD];
    struct stat st;
    uint64_t n = name->n;
    size_t bytes = RUN_HEAD + n * record_size;
    head_write(head, kind, record_size, n);
    if (fstat(fd, &st) != 0)
        return file_err_from_errno(errno);
    if (n == 0 || n > UINT32_MAX || (uint64_t)st.st_size != bytes)
        return ERR_CORRUPT;
    void *p = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        return ERR_IO;
    if (memcmp(p, head, RUN_HEAD) != 0) {
        munmap(p, bytes);
        return ERR_CORRUPT;
    }
    struct run *run = calloc(1, sizeof *run);
    if (!run)
        abort();
    *run = (struct run){.name = name->name, .n = n, .records = (const uint8_t *)p + RUN_HEAD};
    atomic_init(&run->refs, 1);
    *out = run;
    return ERR_OK;
}

static struct run *run_in(const struct runs *old, const struct run_name *name)
{
    if (old && old->tail && old->tail->name == name->name && old->tail->n == name->n)
        return old->tail;
    for (size_t i = 0; old && i < old->n; i++)
        if (old->list[i]->name == name->name && old->list[i]->n == name->n)
            return old->list[i];
    return NULL;
}

/* Out of `old`, or from its file. */
static enum err run_open(int folder, const char *dir, const char *kind, size_t record_size,
                         const struct run_name *name, const struct runs *old, struct run **out)
{
    char path[32];
    *out = run_in(old, name);
    if (*out) {
        atomic_fetch_add(&(*out)->refs, 1);
        return ERR_OK;
    }
    int fd = openat(folder, run_path(dir, name->name, path), O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return file_err_from_errno(errno);
    enum err e = run_map(fd, kind, record_size, name, out);
    close(fd);
    return e;
}

static enum err tail_open(struct runs *r, int folder, const char *dir, const struct run_name *tail,
                          const struct runs *old)
{
    struct run_name whole = {tail->name, TAIL_RECORDS};
    if (tail->n == 0)
        return ERR_OK;
    if (tail->n > TAIL_RECORDS)
        return ERR_CORRUPT;
    r->tail_n = tail->n;
    return run_open(folder, dir, tail_magic, r->record_size, &whole, old, &r->tail);
}

enum err runs_open(int folder, const char *dir, const struct run_names *names, size_t record_size,
                   const struct runs *old, struct runs **out)
{
    struct runs *r = runs_alloc(record_size, names->n);
    enum err e = ERR_OK;
    for (; r->n < names->n && e == ERR_OK; r->n += e == ERR_OK)
        e = run_open(folder, dir, magic, record_size, &names->list[r->n], old, &r->list[r->n]);
    if (e == ERR_OK)
        e = tail_open(r, folder, dir, &names->tail, old);
    *out = e == ERR_OK ? r : NULL;
    if (e != ERR_OK)
        runs_unref(r);
    return e;
}

enum err runs_with_tail(const struct runs *r, int folder, const char *dir, uint64_t name, size_t n,
                        struct runs **out)
{
    struct runs *next = runs_head(r, r->n);
    enum err e = tail_open(next, folder, dir, &(struct run_name){name, n}, r);
    if (e == ERR_OK)
        *out = next;
    else
        runs_unref(next);
    return e;
}

enum err tail_make(int folder, const char *dir, uint64_t name, size_t record_size, int *fd)
{
    char path[32], head[RUN_HEAD];
    struct str content = str_of(head, sizeof head);
    head_write(head, tail_magic, record_size, TAIL_RECORDS);
    enum err e = disk_put(folder, run_path(dir, name, path), &content, 1, fd);
    if (e == ERR_OK && ftruncate(*fd, (off_t)(RUN_HEAD + TAIL_RECORDS * record_size)) != 0) {
        e = file_err_from_errno(errno);
        close(*fd);
    }
    return e;
}

uint64_t run_lower_bound(const struct run *r, size_t record_size, struct str key)
{
    uint64_t low = 0, high = r->n;
    while (low < high) {
        uint64_t mid = low + (high - low) / 2;
        if (memcmp(run_record(r, record_size, mid), key.p, key.n) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

enum err runs_blank(int folder, const char *dir, const struct run *run, size_t record_size,
                    const struct run_blanks *b)
{
    static const char zeros[RECORD_MAX];
    char path[32];
    int fd = -1;
    enum err e = ERR_OK;
    for (uint64_t i = b->from; i < b->to && e == ERR_OK; i++) {
        if (!b->take(b->arg, run_record(run, record_size, i)))
            continue;
        if (fd < 0)
            fd = openat(folder, run_path(dir, run->name, path), O_WRONLY | O_CLOEXEC);
        e = fd < 0 ? file_err_from_errno(errno)
                   : file_pwrite_all(fd, zeros, record_size - b->keep,
                                     RUN_HEAD + i * record_size + b->keep);
    }
    if (fd >= 0 && e == ERR_OK && fdatasync(fd) != 0)
        e = file_err_from_errno(errno);
    if (fd >= 0)
        close(fd);
    return e;
}

/* ---- merging ----------------------------------------------------------------------------------
 */
/* Records of one size, compared as bytes: qsort has no argument for the size, so there is one
 * function for each size there is. */
static int cmp_24(const void *a, const void *b)
{
    return memcmp(a, b, 24);
}

static int cmp_48(const void *a, const void *b)
{
    return memcmp(a, b, 48);
}

struct cursor {
    const uint8_t *at, *end;
};

struct merge {
    size_t record_size, n_cursors;
    struct cursor cursors[64];
    bool (*drop)(const uint8_t *record);
    int fd;
    char block[BLOCK];
    size_t used;
    uint64_t written, n;
};

static enum err merge_flush(struct merge *m)
{
    enum err e = file_pwrite_all(m->fd, m->block, m->used, m->written);
    m->written += m->used;
    m->used = 0;
    return e;
}

/* The cursor with the smallest record, NULL when all are used up. There are few: two or three as a
 * rule. */
static struct cursor *smallest(struct merge *m)
{
    struct cursor *best = NULL;
    for (size_t i = 0; i < m->n_cursors; i++) {
        struct cursor *c = &m->cursors[i];
        if (c->at < c->end && (!best || memcmp(c->at, best->at, m->record_size) < 0))
            best = c;
    }
    return best;
}

static enum err merge_all(struct merge *m)
{
    enum err e = ERR_OK;
    m->used = RUN_HEAD; /* written last, when n is known */
    memset(m->block, 0, RUN_HEAD);
    for (struct cursor *c; e == ERR_OK && (c = smallest(m)) != NULL; c->at += m->record_size) {
        if (m->drop && m->drop(c->at))
            continue;
        if (m->used + m->record_size > BLOCK)
            e = merge_flush(m);
        memcpy(m->block + m->used, c->at, m->record_size);
        m->used += m->record_size;
        m->n++;
    }
    char head[RUN_HEAD];
    head_write(head, magic, m->record_size, m->n);
    if (e == ERR_OK)
        e = merge_flush(m);
    return e == ERR_OK ? file_pwrite_all(m->fd, head, RUN_HEAD, 0) : e;
}

/* How many of the newest runs go into the new one: those shorter than twice what came together. */
static size_t how_many(const struct runs *r, uint64_t n)
{
    size_t k = 0;
    while (k < r->n && k < 62) {
        uint64_t next = r->list[r->n - 1 - k]->n;
        if (next > 2 * n || next + n > RUN_RECORDS_MAX)
            break;
        n += next;
        k++;
    }
    return k;
}

static void set_up(struct merge *m, const struct runs *r, const struct runs_new *new, size_t k)
{
    if (new->sort)
        new->sort(new->records, new->n);
    else
        qsort(new->records, new->n, r->record_size, r->record_size == 24 ? cmp_24 : cmp_48);
    for (size_t i = r->n - k; i < r->n; i++)
        m->cursors[m->n_cursors++] = (struct cursor){
            r->list[i]->records, run_record(r->list[i], r->record_size, r->list[i]->n)};
    m->cursors[m->n_cursors++] =
        (struct cursor){new->records, new->records + new->n * r->record_size};
}

/* The set in which the new run, when there is anything in it, stands for the last k ones. */
static enum err set_of_merge(const struct runs *r, const struct runs_new *new, size_t k, uint64_t n,
                             struct runs **out)
{
    struct run *run = NULL;
    struct run_name name = {new->name, n};
    enum err e =
        n ? run_open(new->folder, new->dir, magic, r->record_size, &name, NULL, &run) : ERR_OK;
    if (e != ERR_OK)
        return e;
    *out = runs_head(r, r->n - k);
    if (run)
        (*out)->list[(*out)->n++] = run;
    return ERR_OK;
}

enum err runs_add(const struct runs *r, const struct runs_new *new, struct runs **out)
{
    char path[32];
    struct str none = STR("");
    assert(new->n > 0 && (r->record_size == 24 || r->record_size == 48));
    struct merge *m = calloc(1, sizeof *m);
    if (!m)
        abort();
    *m = (struct merge){.record_size = r->record_size, .drop = new->drop, .fd = -1};
    size_t k = how_many(r, new->n);
    set_up(m, r, new, k);
    enum err e = disk_put(new->folder, run_path(new->dir, new->name, path), &none, 1, &m->fd);
    if (e == ERR_OK)
        e = merge_all(m);
    if (m->fd >= 0 && close(m->fd) != 0 && e == ERR_OK)
        e = file_err_from_errno(errno);
    if (e == ERR_OK)
        e = set_of_merge(r, new, k, m->n, out);
    if ((e != ERR_OK && m->fd >= 0) || (e == ERR_OK && m->n == 0))
        unlinkat(new->folder, path, 0);
    free(m);
    return e;
}
