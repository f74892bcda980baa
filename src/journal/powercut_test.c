/* The power is cut. A tape of all that the journal process asked of its disk is cut anywhere, and
 * disks are built that could be found afterwards: what was synced is there; of the rest any part,
 * in any order, torn inside a block, with lengths that grew and content that did not follow. From
 * each of them the process starts without a repair, holds what it acknowledged, where it said, and
 * all that a checkpoint said to anybody; what was erased is nowhere.
 *   SOCLE_TEST_LONG=1   every sync, six disks each;   SOCLE_TEST_SEED   which ones */
#include "journal/tape_for_test.h"

#include <stdlib.h>
#include "journal/note.h"
#include "journal/tiles.h"

enum {
    SHORT_DISKS = 12,
    LONG_DISKS = 6,
    ROUNDS = 60,
    SECTOR = 512,
    DIRS_MAX = 64,
    INOS_MAX = 4096
};
#define MARK "told-once-and-erased"

/* ---- the tape -----------------------------------------------------------------------------------
 */
static void checkpoint_look(void)
{
    struct arena a;
    struct checkpoint c;
    struct str note;
    int fd = open(data, O_RDONLY | O_DIRECTORY);
    arena_init(&a);
    if (fd >= 0 && disk_read(fd, "checkpoint", &a, NOTE_MAX, &note) == ERR_OK &&
        checkpoint_read(&a, note, &c) == ERR_OK) {
        struct tape_op op = {.what = TAPE_SHOWN, .n = c.size};
        tape_note(&op, c.root, HASH_LEN);
    }
    if (fd >= 0)
        close(fd);
    arena_free(&a);
}

static uint64_t of_p1;
static void acked_look(void)
{
    struct tape_op op = {.what = TAPE_ACKED, .n = seen->n_acked, .at = of_p1};
    tape_note(&op, NULL, 0);
}

/* One row whose content must not be found again. */
static void told_and_erased(struct journal *j, int round)
{
    struct tape_op op = {.what = TAPE_ERASED};
    char id[ID_LEN + 1], mark[64];
    struct buf b;
    uint64_t index, n;
    snprintf(op.path, sizeof op.path, "gone-%d", round);
    snprintf(mark, sizeof mark, MARK "-%d.", round);
    buf_init(&b, JOURNAL_LEAF_MAX);
    id_new(id);
    leaf_make(&b, id, clock_now_ms(), "test.told");
    struct journal_record r = {.leaf = buf_str(&b), .subject = str_from(op.path)};
    r.side = str_from(mark);
    CHECK_OK(journal_append(j, &r, WAIT_MS, &index));
    struct acked *x = &seen->acked[seen->n_acked++];
    memcpy(x->id, id, sizeof x->id);
    x->index = index;
    acked_look();
    if (round % 2)
        usleep(300 * 1000); /* in files by now */
    CHECK_OK(journal_erase_subject(j, r.subject, WAIT_MS, &n));
    CHECK(n == 1);
    snprintf(op.path, sizeof op.path, "%s", mark);
    tape_note(&op, NULL, 0);
    buf_free(&b);
}

static int client_working(struct proc *self, void *arg)
{
    (void)arg;
    struct journal *j = journal_connect(proc_fd(self, "journal"));
    proc_ready(self);
    for (int i = 0; i < ROUNDS && !seen->fault[0]; i++) {
        size_t n = i % 10 == 9 ? 1500 : 1 + (size_t)i * 7 % 60;
        append_n(j, n, i % 3 ? NULL : "p1");
        of_p1 += i % 3 ? 0 : n;
        acked_look();
        if (i % 12 == 5)
            told_and_erased(j, i);
        checkpoint_look();
        usleep(i % 4 ? 5000 : 150 * 1000);
    }
    journal_close(j);
    return stop_all();
}

static struct tape_op *ops[400 * 1000];
static size_t n_ops;

static void tape_read(void)
{
    uint64_t place = 0;
    for (n_ops = 0; n_ops < tape->n_ops && n_ops < COUNT_OF(ops); n_ops++) {
        ops[n_ops] = tape_at(place);
        place = ops[n_ops]->next;
    }
    assert_int_equal(n_ops, tape->n_ops);
}

/* ---- a disk -------------------------------------------------------------------------------------
 */
struct cut {
    size_t at; /* ops before it were asked for */
    int mode;  /* 0: nothing unsynced is there; 1: all; else a part */
    uint64_t seed;
    uint64_t all_from;
    struct {
        char path[TAPE_PATH];
        uint64_t from, until; /* synced before; there before */
    } dirs[DIRS_MAX];
    size_t n_dirs;
    struct {
        uint64_t ino, from;
    } inos[INOS_MAX];
    size_t n_inos;
};
static struct cut cut;
static char image[96], lost[96];

static uint64_t drawn(void)
{
    uint64_t z = cut.seed += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static bool is_kept(void)
{
    static const unsigned of_ten[] = {0, 10, 1, 5, 9, 5};
    return drawn() % 10 < of_ten[cut.mode % 6];
}

static void parent(const char *path, char out[TAPE_PATH])
{
    snprintf(out, TAPE_PATH, "%s", path);
    char *slash = strrchr(out, '/');
    *(slash ? slash : out) = '\0';
}

static size_t dir_of(const char *path)
{
    for (size_t i = 0; i < cut.n_dirs; i++)
        if (strcmp(cut.dirs[i].path, path) == 0)
            return i;
    assert_true(cut.n_dirs < DIRS_MAX);
    memcpy(cut.dirs[cut.n_dirs].path, path, TAPE_PATH);
    return cut.n_dirs++;
}

static uint64_t *ino_of(uint64_t ino)
{
    for (size_t i = 0; i < cut.n_inos; i++)
        if (cut.inos[i].ino == ino)
            return &cut.inos[i].from;
    assert_true(cut.n_inos < INOS_MAX);
    cut.inos[cut.n_inos].ino = ino;
    return &cut.inos[cut.n_inos++].from;
}

/* What syncs that ended before the cut cover. */
static void syncs_read(void)
{
    char dir[TAPE_PATH];
    for (size_t i = 0; i < cut.at; i++) {
        const struct tape_op *op = ops[i];
        if (op->what == TAPE_SYNC_ALL)
            cut.all_from = op->from;
        else if (op->what == TAPE_SYNC_DIR)
            cut.dirs[dir_of(op->path)].from = op->from;
        else if (op->what == TAPE_SYNC)
            *ino_of(op->ino) = op->from;
        else if (op->what == TAPE_RENAME || op->what == TAPE_EXCHANGE)
            parent(op->to, dir), dir_of(dir);
        else if (op->what == TAPE_CREATE || op->what == TAPE_MKDIR || op->what == TAPE_REMOVE)
            parent(op->path, dir), dir_of(dir);
    }
    for (size_t i = 0; i < cut.n_dirs; i++) { /* of each folder's changes, the first so many */
        uint64_t from = cut.dirs[i].from > cut.all_from ? cut.dirs[i].from : cut.all_from;
        cut.dirs[i].from = from;
        cut.dirs[i].until = cut.mode == 0   ? from
                            : cut.mode == 1 ? cut.at
                                            : from + drawn() % (cut.at - from + 1);
    }
}

static int lost_open(uint64_t ino)
{
    char path[160];
    snprintf(path, sizeof path, "%s/%llu", lost, (unsigned long long)ino);
    return open(path, O_RDWR);
}

/* Block by block, and some blocks sector by sector. */
static void write_part(int fd, const struct tape_op *op, bool whole)
{
    static const char zeros[64 * 1024];
    const char *bytes = op->what == TAPE_ZEROS ? NULL : (const char *)(op + 1);
    struct stat st;
    for (uint64_t done = 0; done < op->n;) {
        uint64_t at = op->at + done;
        uint64_t unit = !whole && cut.mode == 5 && drawn() % 4 == 0 ? SECTOR : 4096;
        uint64_t n = unit - at % unit;
        n = whole && !bytes ? sizeof zeros : whole ? op->n : n;
        n = n < op->n - done ? n : op->n - done;
        if (whole || is_kept())
            assert_int_equal(syscall(SYS_pwrite64, fd, bytes ? bytes + done : zeros, n, at), n);
        else if (drawn() % 2 && fstat(fd, &st) == 0 && (uint64_t)st.st_size < at + n && cut.mode)
            assert_int_equal(syscall(SYS_ftruncate, fd, at + n), 0);
        done += n;
    }
}

static void data_apply(size_t i)
{
    const struct tape_op *op = ops[i];
    bool safe = i < cut.all_from || i < *ino_of(op->ino);
    struct stat st;
    int fd = lost_open(op->ino);
    if (fd < 0)
        return; /* the lock: made before the tape began */
    if (op->what == TAPE_CUT) {
        if (safe || is_kept())
            assert_int_equal(syscall(SYS_ftruncate, fd, op->n), 0);
    } else if (op->what == TAPE_RESERVE) {
        if ((safe || is_kept()) && fstat(fd, &st) == 0 && (uint64_t)st.st_size < op->n)
            assert_int_equal(syscall(SYS_ftruncate, fd, op->n), 0);
    } else {
        write_part(fd, op, safe);
    }
    close(fd);
}

static bool is_there_yet(size_t i, const char *path)
{
    char dir[TAPE_PATH];
    parent(path, dir);
    return i < cut.dirs[dir_of(dir)].until;
}

/* The object is there from its creation on; its name only when that was kept. */
static void link_in(uint64_t ino, const char *name)
{
    char from[160], to[256];
    snprintf(from, sizeof from, "%s/%llu", lost, (unsigned long long)ino);
    snprintf(to, sizeof to, "%s/%s", image, name);
    for (char *p = to + strlen(image) + 1; (p = strchr(p, '/')) != NULL; *p++ = '/') {
        *p = '\0';
        mkdir(to, 0700);
    }
    unlink(to);
    if (link(from, to) != 0 && errno != ENOENT)
        fail_msg("link %s: %s", name, strerror(errno));
}

static void name_apply(size_t i)
{
    const struct tape_op *op = ops[i];
    char from[256], to[256];
    snprintf(from, sizeof from, "%s/%s", image, op->path);
    snprintf(to, sizeof to, "%s/%s", image, op->to);
    if (op->what == TAPE_CREATE) {
        char object[160];
        snprintf(object, sizeof object, "%s/%llu", lost, (unsigned long long)op->ino);
        unlink(object); /* an inode that is used again */
        int fd = open(object, O_RDWR | O_CREAT | O_EXCL, 0600);
        assert_true(fd >= 0);
        close(fd);
    }
    if (!is_there_yet(i, op->what == TAPE_RENAME || op->what == TAPE_EXCHANGE ? op->to : op->path))
        return;
    if (op->what == TAPE_CREATE)
        link_in(op->ino, op->path);
    else if (op->what == TAPE_MKDIR)
        mkdir(from, 0700);
    else if (op->what == TAPE_REMOVE)
        (void)(unlink(from) == 0 || rmdir(from) == 0);
    else if (op->what == TAPE_EXCHANGE)
        (void)!syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, RENAME_EXCHANGE);
    else if (rename(from, to) != 0 && op->ino)
        link_in(op->ino, op->to);
}

static void image_build(size_t at, int mode, uint64_t seed)
{
    memset(&cut, 0, sizeof cut);
    cut.at = at;
    cut.mode = mode;
    cut.seed = seed;
    remove_all(image);
    remove_all(lost);
    assert_true(mkdir(image, 0700) == 0 && mkdir(lost, 0700) == 0);
    syncs_read();
    for (size_t i = 0; i < at; i++)
        switch (ops[i]->what) {
        case TAPE_CREATE:
        case TAPE_MKDIR:
        case TAPE_RENAME:
        case TAPE_EXCHANGE:
        case TAPE_REMOVE:
            name_apply(i);
            break;
        case TAPE_WRITE:
        case TAPE_ZEROS:
        case TAPE_CUT:
        case TAPE_RESERVE:
            data_apply(i);
            break;
        default:
            break;
        }
    remove_all(lost);
}

/* ---- what must be true --------------------------------------------------------------------------
 */
static struct {
    size_t acked;
    uint64_t of_p1;
} promised;

static int client_checking(struct proc *self, void *arg)
{
    struct journal_reader *r;
    struct journal_at at;
    (void)arg;
    struct journal *j = journal_connect(proc_fd(self, "journal"));
    proc_ready(self);
    size_t before = seen->n_acked;
    append_n(j, 1, NULL); /* it serves; all before is in files or found there */
    seen->n_acked = before;
    usleep(50 * 1000);
    CHECK_OK(journal_reader_open(data, &r));
    for (size_t i = 0; i < promised.acked && !seen->fault[0]; i += 1 + i % 3) {
        CHECK_OK(journal_find(r, str_from(seen->acked[i].id), &at));
        CHECK(at.log == 0 && at.index == seen->acked[i].index);
    }
    journal_reader_close(r);
    journal_close(j);
    return stop_all();
}

static uint64_t rows_of_p1(void)
{
    struct journal_side_row *rows;
    struct journal_at before;
    struct journal_reader *r;
    struct arena a;
    uint64_t all = 0;
    size_t n = 1000;
    arena_init(&a);
    assert_ok(journal_reader_open(data, &r));
    for (struct journal_side_query q = {.subject = STR("p1"), .limit = 1000}; n == 1000;
         q.before = &before) {
        assert_ok(journal_side_list(r, &q, &a, &rows, &n));
        all += n;
        if (n)
            before = rows[n - 1].at;
    }
    journal_reader_close(r);
    arena_free(&a);
    return all;
}

/* Every checkpoint that somebody saw is of this same log. */
static void shown_are_held(void)
{
    struct arena a;
    struct state_of_tree {
        uint64_t size;
    } tree = {0};
    struct journal_reader *r;
    uint64_t sealed;
    uint8_t root[HASH_LEN];
    arena_init(&a);
    assert_ok(journal_reader_open(data, &r));
    assert_ok(journal_size(r, 0, &tree.size, &sealed));
    journal_reader_close(r);
    int fd = open(data, O_RDONLY | O_DIRECTORY);
    struct tile_source tiles = {.folder = fd, .size = tree.size, .a = &a};
    struct merkle_source source = {tile_source_node, &tiles};
    for (size_t i = 0; i < cut.at; i++) {
        if (ops[i]->what != TAPE_SHOWN || ops[i]->n == 0)
            continue;
        assert_true(ops[i]->n <= tree.size);
        assert_ok(merkle_root(&source, ops[i]->n, root));
        assert_memory_equal(root, ops[i] + 1, HASH_LEN);
    }
    close(fd);
    arena_free(&a);
}

static bool is_in_folder(const char *path, const char *what)
{
    DIR *d = opendir(path);
    bool found = false;
    for (struct dirent *f; d && !found && (f = readdir(d)) != NULL;) {
        char sub[512];
        struct stat st;
        if (strcmp(f->d_name, ".") == 0 || strcmp(f->d_name, "..") == 0 ||
            snprintf(sub, sizeof sub, "%s/%s", path, f->d_name) >= (int)sizeof sub ||
            lstat(sub, &st) != 0)
            continue;
        if (S_ISDIR(st.st_mode)) {
            found = is_in_folder(sub, what);
        } else if (st.st_size > 0) {
            int fd = open(sub, O_RDONLY);
            char *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
            found = p != MAP_FAILED && memmem(p, (size_t)st.st_size, what, strlen(what));
            munmap(p, (size_t)st.st_size);
            close(fd);
        }
    }
    if (d)
        closedir(d);
    return found;
}

static void erased_is_nowhere(void)
{
    for (size_t i = 0; i < cut.at; i++)
        if (ops[i]->what == TAPE_ERASED && is_in_folder(image, ops[i]->path))
            fail_msg("%s is there again", ops[i]->path);
}

static void image_check(void)
{
    struct journal_verdict v;
    char past[128];
    memset(&promised, 0, sizeof promised);
    for (size_t i = 0; i < cut.at; i++)
        if (ops[i]->what == TAPE_ACKED) {
            promised.acked = ops[i]->n;
            promised.of_p1 = ops[i]->at;
        }
    erased_is_nowhere();
    snprintf(data, sizeof data, "%s", image);
    run_platform(client_checking, 1);
    snprintf(past, sizeof past, "%s/past", image);
    assert_int_not_equal(access(past, F_OK), 0); /* the same log goes on */
    journal_verify_folder(image, STR_NONE, &v);
    assert_string_equal(v.what, "");
    assert_true(v.entries > promised.acked);
    assert_true(rows_of_p1() >= promised.of_p1);
    shown_are_held();
    erased_is_nowhere();
}

/* ---- all of it ----------------------------------------------------------------------------------
 */
static bool is_sync(size_t i)
{
    return ops[i]->what == TAPE_SYNC || ops[i]->what == TAPE_SYNC_DIR ||
           ops[i]->what == TAPE_SYNC_ALL;
}

static size_t tried;
static void try(size_t at, int mode, uint64_t seed)
{
    print_message("# disk %zu: cut at %zu of %zu, mode %d, seed %llu\n", ++tried, at, n_ops, mode,
                  (unsigned long long)seed);
    image_build(at, mode, seed);
    image_check();
}

static void after_a_power_cut_nothing_that_was_promised_is_missing(void **state)
{
    const char *set = getenv("SOCLE_TEST_SEED");
    const char *is_long = getenv("SOCLE_TEST_LONG");
    uint64_t seed = set ? strtoull(set, NULL, 10) : 1;
    size_t n_syncs = 0, syncs = 0, every;
    (void)state;
    tape_new();
    tape->on = true;
    run_platform(client_working, 1);
    tape->on = false;
    tape_read();
    snprintf(image, sizeof image, "%s/image", folder);
    snprintf(lost, sizeof lost, "%s/lost", folder);
    for (size_t i = 0; i < n_ops; i++)
        n_syncs += is_sync(i);
    assert_true(n_syncs > 40 && seen->n_acked > 8000);
    every = is_long && *is_long ? 1 : n_syncs / SHORT_DISKS + 1;
    for (size_t i = 0; i < n_ops; i++) {
        if (!is_sync(i) || (syncs++ + seed) % every)
            continue;
        for (int mode = 0; mode < LONG_DISKS; mode++) /* just before the sync ends, or behind it */
            if (every == 1 || mode == (int)(syncs / every % LONG_DISKS))
                try(i + (mode + syncs) % 2, mode, seed * 1000003 + syncs * 7 + (uint64_t)mode);
    }
    print_message("%zu entries, %zu writes, %zu syncs, %zu disks\n", (size_t)seen->n_acked, n_ops,
                  n_syncs, tried);
    tape_free();
}

/* ---- a disk that turns read-only ----------------------------------------------------------------
 */
static int client_refused(struct proc *self, void *arg)
{
    char id[ID_LEN + 1];
    uint64_t index, before;
    struct buf b;
    (void)arg;
    struct journal *j = journal_connect(proc_fd(self, "journal"));
    proc_ready(self);
    append_n(j, 100, "p1");
    buf_init(&b, JOURNAL_LEAF_MAX);
    id_new(id);
    leaf_make(&b, id, clock_now_ms(), "test.refused");
    struct journal_record r = {.leaf = buf_str(&b)};
    usleep(300 * 1000);
    before = seen->n_acked;
    tape->read_only = true;
    for (int i = 0; i < 3; i++)
        CHECK(journal_append(j, &r, 700, &index) != ERR_OK);
    CHECK(journal_erase_subject(j, STR("p1"), 300, NULL) != ERR_OK);
    CHECK(before == seen->n_acked);
    tape->read_only = false;
    r.maybe_repeat = true;
    CHECK_OK(journal_append(j, &r, WAIT_MS, &index)); /* nobody had to do anything */
    CHECK(index == 100);
    append_n(j, 100, NULL);
    buf_free(&b);
    journal_close(j);
    return stop_all();
}

static void a_disk_that_turns_read_only_is_said_and_waited_for(void **state)
{
    char path[128];
    struct str said;
    struct journal_verdict v;
    (void)state;
    tape_new();
    snprintf(path, sizeof path, "%s/said", folder);
    int err = dup(STDERR_FILENO), file = open(path, O_RDWR | O_CREAT, 0600);
    dup2(file, STDERR_FILENO);
    run_platform(client_refused, 1);
    dup2(err, STDERR_FILENO);
    close(err);
    close(file);
    assert_ok(file_read(&arena, path, 1 << 20, &said));
    assert_true(str_find(said, STR("journal_disk_read_only")) >= 0);
    journal_verify_folder(data, STR_NONE, &v);
    assert_string_equal(v.what, "");
    assert_int_equal(v.entries, 201);
    tape_free();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_disk_that_turns_read_only_is_said_and_waited_for, start,
                                        end),
        cmocka_unit_test_setup_teardown(after_a_power_cut_nothing_that_was_promised_is_missing,
                                        start, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
