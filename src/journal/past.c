#include "journal/past.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/codec.h"
#include "base/rand.h"
#include "journal/disk.h"
#include "journal/journal.h"
#include "journal/leaf.h"
#include "journal/note.h"
#include "journal/side.h"
#include "journal/state.h"
#include "journal/tiles.h"
#include "sys/file.h"

enum { SMALL_MAX = 64 * 1024 };

const char *past_path(uint32_t epoch, const char *name, char out[64])
{
    snprintf(out, 64, *name ? "past/%u/%s" : "past/%u", epoch, name);
    return out;
}

uint32_t past_last(int folder)
{
    uint32_t last = 0;
    uint64_t v;
    int fd = openat(folder, "past", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    if (!d) {
        if (fd >= 0)
            close(fd);
        return 0;
    }
    for (struct dirent *f; (f = readdir(d)) != NULL;)
        if (str_to_u64(str_from(f->d_name), &v) && v < 65536 && v > last)
            last = (uint32_t)v;
    closedir(d);
    return last;
}

/* ---- moving -----------------------------------------------------------------------------------
 */
static enum err move_one(int folder, uint32_t epoch, const char *name)
{
    char to[64];
    if (renameat(folder, name, folder, past_path(epoch, name, to)) == 0 || errno == ENOENT)
        return ERR_OK; /* moved before, or never there */
    return file_err_from_errno(errno);
}

/* Keeps what the old log's files hold; an old `durable` that cannot be read is not replaced by
 * less. */
static enum err state_keep(int folder, uint32_t epoch, struct arena *a, struct state *st)
{
    char path[64];
    struct buf b;
    enum err e = state_read(folder, "durable", a, st);
    if (e != ERR_OK)
        e = state_read(folder, "state", a, st);
    if (e != ERR_OK || st->epoch != epoch)
        return e == ERR_OK ? ERR_EXISTS : e;
    buf_init(&b, STATE_MAX);
    state_print(st, &b);
    e = b.err == ERR_OK ? disk_replace(folder, past_path(epoch, "state", path), buf_str(&b), true)
                        : b.err;
    buf_free(&b);
    return e;
}

static enum err state_next(int folder, uint32_t epoch, struct state *st, bool with_wal)
{
    struct buf b;
    struct stat rows;
    st->epoch = epoch + 1;
    st->size = st->sealed = 0;
    memset(st->root, 0, HASH_LEN);
    if (with_wal)
        st->wal = 0;
    if (fstatat(folder, SIDE_ROWS_FILE, &rows, 0) == 0 && (uint64_t)rows.st_size > st->rows)
        st->rows = (uint64_t)rows.st_size; /* rows that no index leads to are not written over */
    buf_init(&b, STATE_MAX);
    state_print(st, &b);
    enum err e = b.err == ERR_OK ? disk_replace(folder, "durable", buf_str(&b), true) : b.err;
    buf_free(&b);
    return e;
}

static enum err remove_one(int folder, const char *name)
{
    return unlinkat(folder, name, 0) == 0 || errno == ENOENT ? ERR_OK : file_err_from_errno(errno);
}

static enum err move_files(int folder, uint32_t epoch, const char *reason, bool with_wal)
{
    static const char *const names[] = {"tile", "checkpoint", "key"};
    char path[64];
    enum err e = disk_make_dirs(folder, past_path(epoch, "", path));
    if (e == ERR_OK)
        e = disk_replace(folder, past_path(epoch, "ended", path), str_from(reason), true);
    for (size_t i = 0; i < COUNT_OF(names) && e == ERR_OK; i++)
        e = move_one(folder, epoch, names[i]);
    if (e == ERR_OK && with_wal)
        e = move_one(folder, epoch, "wal");
    if (e == ERR_OK)
        e = disk_sync_dir(folder, past_path(epoch, "", path));
    return e;
}

static enum err move(int folder, uint32_t epoch, const char *reason, bool with_wal, struct arena *a)
{
    struct state st = {0};
    char path[64];
    enum err e = disk_make_dirs(folder, past_path(epoch, "", path));
    enum err kept = e == ERR_OK ? state_keep(folder, epoch, a, &st) : e;
    if (e == ERR_OK && kept != ERR_OK && kept != ERR_CORRUPT && kept != ERR_NOT_FOUND &&
        kept != ERR_EXISTS)
        e = kept;
    if (e == ERR_OK)
        e = move_files(folder, epoch, reason, with_wal);
    if (e == ERR_OK && kept != ERR_EXISTS) /* else `durable` is the next log's already */
        e = state_next(folder, epoch, &st, with_wal);
    if (e == ERR_OK)
        e = remove_one(folder, "state");
    if (e == ERR_OK)
        e = remove_one(folder, "restored");
    return e == ERR_OK ? remove_one(folder, "ending") : e;
}

enum err past_move(int folder, uint32_t epoch, const char *reason, bool with_wal)
{
    struct arena a;
    arena_init(&a);
    enum err e =
        disk_replace(folder, "ending", arena_printf(&a, "%u %d %s", epoch, with_wal, reason), true);
    if (e == ERR_OK)
        e = move(folder, epoch, reason, with_wal, &a);
    arena_free(&a);
    return e;
}

enum err past_move_finish(int folder)
{
    struct arena a;
    struct str rest, epoch_text, wal_text;
    uint64_t epoch;
    arena_init(&a);
    enum err e = disk_read(folder, "ending", &a, 256, &rest);
    bool there = e == ERR_OK;
    if (e == ERR_NOT_FOUND)
        e = ERR_OK;
    if (there && str_split(&rest, ' ', &epoch_text) && str_split(&rest, ' ', &wal_text) && rest.n &&
        str_to_u64(epoch_text, &epoch) && epoch > 0 && epoch < 65535)
        e = move(folder, (uint32_t)epoch, arena_dupz(&a, rest), str_eq_z(wal_text, "1"), &a);
    else if (there)
        e = remove_one(folder, "ending"); /* cut by a power failure before anything was moved */
    arena_free(&a);
    return e;
}

/* ---- the first entry of the next log ------------------------------------------------------------
 */
struct ended {
    struct str reason, origin;
    struct checkpoint last;
    uint64_t held;
    uint8_t held_root[HASH_LEN];
    int64_t last_at_ms;
};

static int64_t at_of_last(int fd, uint64_t size, struct arena *a)
{
    struct str bundle, leaf = STR_NONE;
    struct leaf_head h;
    uint64_t n = (size - 1) / TILE_WIDTH;
    if (tile_read(fd, TILE_ENTRIES, n, tile_width(TILE_ENTRIES, n, size), a, &bundle) != ERR_OK)
        return 0;
    while (bundle_next(&bundle, &leaf))
        ;
    return leaf_head_read(leaf, &h) == ERR_OK ? h.at_ms : 0;
}

static void ended_read(int fd, struct arena *a, struct ended *x)
{
    struct str text;
    struct state st;
    *x = (struct ended){.reason = STR("damaged"), .last = {.origin = STR("")}};
    if (disk_read(fd, "ended", a, 64, &text) == ERR_OK)
        x->reason = text;
    if (disk_read(fd, "checkpoint", a, SMALL_MAX, &text) != ERR_OK ||
        checkpoint_read(a, text, &x->last) != ERR_OK)
        x->last = (struct checkpoint){.origin = STR("")};
    if (state_read(fd, "state", a, &st) != ERR_OK || st.size == 0)
        return;
    struct tile_source tiles = {.folder = fd, .size = st.size, .a = a};
    struct merkle_source source = {tile_source_node, &tiles};
    if (merkle_root(&source, st.size, x->held_root) != ERR_OK)
        return; /* altered: nothing is known of it */
    x->held = st.size;
    x->last_at_ms = at_of_last(fd, st.size, a);
}

static void add_head(struct journal_entry *e, struct arena *a, const char *key, struct str origin,
                     uint64_t size, const uint8_t root[HASH_LEN])
{
    struct buf b;
    buf_init(&b, 4096);
    buf_add_char(&b, '{');
    if (origin.p) {
        buf_add_z(&b, "\"origin\":");
        buf_add_json(&b, origin);
        buf_add_char(&b, ',');
    }
    buf_printf(&b, "\"size\":%llu", (unsigned long long)size);
    if (size)
        buf_printf(&b, ",\"root\":\"" STR_FMT "\"", STR_ARG(codec_to_base64(a, root, HASH_LEN)));
    buf_add_char(&b, '}');
    journal_entry_json(e, key, buf_str(&b));
    buf_free(&b);
}

enum err past_opening(int folder, uint32_t epoch, struct arena *a, struct str *leaf)
{
    char path[64], id[ID_LEN + 1];
    struct journal_entry entry;
    struct ended x;
    struct buf b;
    int fd = openat(folder, past_path(epoch, "", path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return file_err_from_errno(errno);
    ended_read(fd, a, &x);
    close(fd);
    id_new(id);
    buf_init(&b, JOURNAL_LEAF_MAX);
    journal_entry_start(&entry, &b, id, clock_now_ms(), "journal.opened", NULL);
    journal_entry_str(&entry, "reason", x.reason);
    add_head(&entry, a, "previous", x.last.origin, x.last.size, x.last.root);
    add_head(&entry, a, "held", STR_NONE, x.held, x.held_root);
    if (x.last_at_ms)
        journal_entry_i64(&entry, "last_at", x.last_at_ms);
    enum err e = journal_entry_end(&entry);
    *leaf = arena_dup(a, buf_str(&b));
    buf_free(&b);
    return e;
}
