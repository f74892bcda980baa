/* A copy of a journal that is being written. `durable` lists files that no longer change; the
 * write-ahead log has the rest. So: the checkpoint first (it covers no more than what comes after),
 * then `durable`, the runs it lists held open, the write-ahead log from there; when `durable` is
 * still the same then, all of it belongs together. The tree's files follow: they never change.
 * Last, the copy's own files take in what its write-ahead log holds. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "journal/disk.h"
#include "journal/journal.h"
#include "journal/note.h"
#include "journal/runs.h"
#include "journal/find.h"
#include "journal/side.h"
#include "journal/state.h"
#include "journal/tiles.h"
#include "journal/wal.h"
#include "journal/writer.h"
#include "sys/file.h"

enum { TRIES = 20, BLOCK = 1024 * 1024 };

struct backup {
    int from, to;
    struct arena a;
    struct str checkpoint, durable;
    struct state state;
    struct runs *ids, *side, *find; /* mapped: readable even when the writer has removed them */
    char *block;
};

static enum err put(struct backup *b, const char *path, struct str content)
{
    return disk_put(b->to, path, &content, 1, NULL);
}

/* The first n bytes of a file, or all of it (UINT64_MAX). */
static enum err copy(struct backup *b, int from_dir, const char *path, uint64_t n)
{
    struct str none = STR("");
    int to = -1, from = openat(from_dir, path, O_RDONLY | O_CLOEXEC);
    enum err e = from < 0 ? file_err_from_errno(errno) : disk_put(b->to, path, &none, 1, &to);
    for (uint64_t at = 0; e == ERR_OK && at < n;) {
        size_t want = n - at < BLOCK ? (size_t)(n - at) : BLOCK;
        ssize_t got = pread(from, b->block, want, (off_t)at);
        if (got < 0)
            e = file_err_from_errno(errno);
        else if (got == 0)
            e = n == UINT64_MAX ? ERR_OK : ERR_CORRUPT, n = at;
        else if ((e = file_pwrite_all(to, b->block, (size_t)got, at)) == ERR_OK)
            at += (uint64_t)got;
    }
    if (from >= 0)
        close(from);
    if (to >= 0)
        close(to);
    return e;
}

/* ---- what belongs together ----------------------------------------------------------------------
 */
/* Batches as they are, each at its place: what lies between them stays empty. */
static enum err wal_copy(struct backup *b)
{
    struct wal_reader r;
    struct wal_batch batch;
    char name[32];
    int to = -1;
    uint64_t segment = UINT64_MAX;
    enum err e = ERR_OK;
    wal_reader_init(&r, b->from, b->state.wal);
    while (e == ERR_OK && (e = wal_reader_next(&r, &batch)) == ERR_OK) {
        if (batch.position / WAL_SEGMENT != segment) {
            struct str none = STR("");
            segment = batch.position / WAL_SEGMENT;
            if (to >= 0)
                close(to);
            to = -1;
            e = disk_put(b->to, wal_segment_name(segment, name), &none, 1, &to);
            if (e == ERR_OK && ftruncate(to, WAL_SEGMENT) != 0)
                e = file_err_from_errno(errno);
        }
        if (e == ERR_OK)
            e = file_pwrite_all(to, r.buf, WAL_HEAD + batch.records.n,
                                batch.position % WAL_SEGMENT);
    }
    if (to >= 0)
        close(to);
    wal_reader_free(&r);
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

static void let_go(struct backup *b)
{
    runs_unref(b->ids);
    runs_unref(b->side);
    runs_unref(b->find);
    b->ids = b->side = b->find = NULL;
    disk_sweep(b->to, "wal", NULL, NULL);
    arena_reset(&b->a);
}

static enum err heads_copy(struct backup *b)
{
    struct str now;
    enum err e = disk_read(b->from, "checkpoint", &b->a, NOTE_MAX, &b->checkpoint);
    if (e == ERR_OK || e == ERR_NOT_FOUND)
        e = disk_read(b->from, "durable", &b->a, STATE_MAX, &b->durable);
    if (e == ERR_OK)
        e = state_parse(&b->a, b->durable, &b->state);
    if (e == ERR_OK)
        e = runs_open(b->from, "ids", &b->state.ids, ID_RECORD, NULL, &b->ids);
    if (e == ERR_OK)
        e = runs_open(b->from, "side", &b->state.side, SIDE_RECORD, NULL, &b->side);
    if (e == ERR_OK)
        e = runs_open(b->from, "find", &b->state.find, FIND_RECORD, NULL, &b->find);
    if (e == ERR_OK)
        e = wal_copy(b);
    if (e == ERR_OK)
        e = disk_read(b->from, "durable", &b->a, STATE_MAX, &now);
    return e == ERR_OK && !str_eq(now, b->durable) ? ERR_AGAIN : e;
}

/* ---- the rest ---------------------------------------------------------------------------------
 */
static enum err run_copy(struct backup *b, const char *dir, const struct run *r, size_t record_size)
{
    char path[32];
    return put(b, run_path(dir, r->name, path),
               str_of(r->records - RUN_HEAD, RUN_HEAD + r->n * record_size));
}

static enum err runs_copy(struct backup *b, const char *dir, const struct runs *r)
{
    enum err e = disk_make_dirs(b->to, dir);
    for (size_t i = 0; i < r->n && e == ERR_OK; i++)
        e = run_copy(b, dir, r->list[i], r->record_size);
    return e == ERR_OK && r->tail ? run_copy(b, dir, r->tail, r->record_size) : e;
}

static enum err tiles_copy(struct backup *b, int level)
{
    char path[TILE_PATH_MAX];
    struct arena a;
    struct str tile;
    uint64_t size = b->state.size;
    unsigned width;
    enum err e = ERR_OK;
    arena_init(&a);
    for (uint64_t n = 0; e == ERR_OK && (width = tile_width(level, n, size)) > 0; n++) {
        e = tile_read(b->from, level, n, width, &a, &tile);
        if (e == ERR_OK)
            e = put(b, tile_path(level, n, width, path), tile);
        arena_reset(&a);
    }
    arena_free(&a);
    return e;
}

static enum err folder_copy(struct backup *b, const char *path)
{
    int fd = openat(b->from, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    if (!d) {
        if (fd >= 0)
            close(fd);
        return errno == ENOENT ? ERR_OK : file_err_from_errno(errno);
    }
    enum err e = disk_make_dirs(b->to, path);
    for (struct dirent *f; e == ERR_OK && (f = readdir(d)) != NULL;) {
        struct stat st;
        if (strcmp(f->d_name, ".") == 0 || strcmp(f->d_name, "..") == 0)
            continue;
        const char *sub = arena_printf(&b->a, "%s/%s", path, f->d_name).p;
        if (fstatat(b->from, sub, &st, AT_SYMLINK_NOFOLLOW) != 0)
            e = file_err_from_errno(errno);
        else if (S_ISDIR(st.st_mode))
            e = folder_copy(b, sub);
        else if (S_ISREG(st.st_mode))
            e = copy(b, b->from, sub, UINT64_MAX);
    }
    closedir(d);
    return e;
}

static enum err rest_copy(struct backup *b)
{
    enum err e = runs_copy(b, "ids", b->ids);
    if (e == ERR_OK)
        e = runs_copy(b, "side", b->side);
    if (e == ERR_OK)
        e = runs_copy(b, "find", b->find);
    if (e == ERR_OK)
        e = copy(b, b->from, SIDE_ROWS_FILE, b->state.rows);
    if (e == ERR_OK)
        e = tiles_copy(b, TILE_ENTRIES);
    for (int i = 0; i < TILE_LEVELS && e == ERR_OK; i++)
        e = tiles_copy(b, i);
    if (e == ERR_OK)
        e = folder_copy(b, "past");
    if (e == ERR_OK)
        e = copy(b, b->from, "key", UINT64_MAX);
    if (e == ERR_OK && b->checkpoint.n)
        e = put(b, "checkpoint", b->checkpoint);
    if (e == ERR_OK)
        e = put(b, "state", b->durable);
    if (e == ERR_OK && syncfs(b->to) != 0)
        e = file_err_from_errno(errno);
    if (e == ERR_OK)
        e = disk_replace(b->to, "durable", b->durable, true);
    if (e == ERR_OK)
        e = log_apply(b->to);
    disk_sweep(b->to, "wal", NULL, NULL);
    return e;
}

static enum err open_both(struct backup *b, const char *folder, const char *to)
{
    struct stat st;
    b->from = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (b->from < 0)
        return file_err_from_errno(errno);
    if (stat(to, &st) == 0)
        return ERR_EXISTS;
    enum err e = file_make_dirs(to, 0700);
    b->to = e == ERR_OK ? open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    return e == ERR_OK && b->to < 0 ? file_err_from_errno(errno) : e;
}

enum err journal_backup(const char *folder, const char *to)
{
    struct backup b = {.from = -1, .to = -1, .block = malloc(BLOCK)};
    if (!b.block)
        abort();
    arena_init(&b.a);
    enum err e = open_both(&b, folder, to);
    enum err heads = ERR_AGAIN;
    /* While we look, files go away and `durable` moves on; both say: again. */
    for (int i = 0; e == ERR_OK && i < TRIES && (heads == ERR_AGAIN || heads == ERR_NOT_FOUND);
         i++) {
        let_go(&b);
        heads = heads_copy(&b);
    }
    if (e == ERR_OK)
        e = heads;
    if (e == ERR_OK)
        e = rest_copy(&b);
    runs_unref(b.ids);
    runs_unref(b.side);
    runs_unref(b.find);
    if (b.from >= 0)
        close(b.from);
    if (b.to >= 0)
        close(b.to);
    arena_free(&b.a);
    free(b.block);
    return e;
}

enum err journal_restored(const char *folder)
{
    struct str text = STR("A restored backup: the next start opens a new log.\n");
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return file_err_from_errno(errno);
    enum err e = faccessat(fd, "durable", F_OK, 0) == 0 ? ERR_OK : ERR_NOT_FOUND;
    if (e == ERR_OK)
        e = disk_replace(fd, "restored", text, true);
    close(fd);
    return e;
}
