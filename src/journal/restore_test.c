/* Backups of a journal that is being written, and what a start does with a log that it must not
 * continue. */
#include "journal/test_platform.h"

#include <pthread.h>
#include "data/json.h"
#include "journal/tiles.h"

static char backup[128];
static _Atomic bool no_more;

static void *append_run(void *journal)
{
    while (!no_more && !seen->fault[0])
        append_n(journal, 100, "p1");
    return NULL;
}

/* ---- backup, restore --------------------------------------------------------------------------
 */
static int client_backing_up(struct proc *self, void *arg)
{
    pthread_t thread;
    char path[256];
    (void)arg;
    struct journal *j = journal_connect(proc_fd(self, "journal"));
    proc_ready(self);
    append_n(j, 1000, "p2");
    no_more = false;
    CHECK(pthread_create(&thread, NULL, append_run, j) == 0);
    for (int i = 0; i < 5; i++) {
        usleep(150 * 1000);
        seen->at_backup = seen->n_acked; /* what the last one must hold */
        snprintf(path, sizeof path, "%s-%d", backup, i);
        CHECK_OK(journal_backup(data, path));
        CHECK(journal_backup(data, path) == ERR_EXISTS);
    }
    no_more = true;
    pthread_join(thread, NULL);
    journal_close(j);
    return stop_all();
}

/* ---- while it is written ----------------------------------------------------------------------
 */
static int client_looked_at(struct proc *self, void *arg)
{
    pthread_t thread;
    struct journal_verdict v;
    struct journal_reader *r;
    struct arena a;
    (void)arg;
    struct journal *j = journal_connect(proc_fd(self, "journal"));
    proc_ready(self);
    arena_init(&a);
    no_more = false;
    CHECK(pthread_create(&thread, NULL, append_run, j) == 0);
    CHECK_OK(journal_reader_open(data, &r));
    for (int64_t until_ms = clock_mono_ms() + 4000; clock_mono_ms() < until_ms;) {
        uint64_t size, sealed;
        struct str proof, leaf;
        journal_verify_folder(data, STR_NONE, &v);
        if (v.err != ERR_OK && v.err != ERR_NOT_FOUND)
            fault(v.file, (int)v.index, v.what);
        CHECK_OK(journal_size(r, 0, &size, &sealed));
        if (sealed == 0)
            continue;
        CHECK_OK(journal_prove(r, (struct journal_at){0, sealed - 1}, &a, &proof));
        journal_verify_proof(&a, proof, STR_NONE, &leaf, &v);
        CHECK_OK(v.err);
        arena_reset(&a);
        /* Found, not long after it was acknowledged. */
        size_t n = seen->n_acked;
        struct journal_at at;
        enum err e = ERR_NOT_FOUND;
        for (int i = 0; n > 0 && e == ERR_NOT_FOUND && i < WAIT_MS / 10; i++) {
            e = journal_find(r, str_from(seen->acked[n - 1].id), &at);
            if (e == ERR_NOT_FOUND)
                usleep(10 * 1000);
        }
        CHECK(n == 0 || e == ERR_OK);
    }
    no_more = true;
    pthread_join(thread, NULL);
    journal_reader_close(r);
    journal_close(j);
    arena_free(&a);
    return stop_all();
}

static void a_journal_under_way_verifies(void **state)
{
    (void)state;
    run_platform(client_looked_at, 1);
    remove_all(data);
    seen->n_acked = 0;
}

static int client_after(struct proc *self, void *arg)
{
    (void)arg;
    struct journal *j = journal_connect(proc_fd(self, "journal"));
    proc_ready(self);
    append_n(j, 10, "p1");
    usleep(400 * 1000);
    journal_close(j);
    return stop_all();
}

static json_t *first_entry(struct journal_reader *r)
{
    struct str leaf;
    json_t *v;
    assert_ok(journal_read(r, (struct journal_at){0, 0}, &arena, &leaf));
    assert_int_equal(json_read(leaf, &v, NULL), ERR_OK);
    return v;
}

/* The log under way follows one that ended for this reason; both verify. */
static void is_new_log(const char *reason)
{
    struct journal_reader *r;
    struct journal_verdict v;
    struct str note, key;
    assert_ok(journal_reader_open(data, &r));
    json_t *first = first_entry(r);
    assert_string_equal(json_get_z(first, "kind", ""), "journal.opened");
    assert_string_equal(json_get_z(first, "reason", ""), reason);
    json_decref(first);
    assert_ok(journal_checkpoint(r, 0, &arena, &note, &key));
    assert_true(str_starts(note, STR("test.example/journal/01")));
    journal_reader_close(r);
    if (strcmp(reason, "damaged") == 0)
        return; /* what was damaged stays so */
    journal_verify_folder(data, STR_NONE, &v);
    assert_string_equal(v.what, "");
    assert_ok(v.err);
}

static void a_backup_holds_what_was_durable(void **state)
{
    struct journal_verdict v;
    (void)state;
    run_platform(client_backing_up, 1);
    for (int i = 0; i < 5; i++) {
        const char *path = arena_printf(&arena, "%s-%d", backup, i).p;
        journal_verify_folder(path, STR_NONE, &v);
        assert_string_equal(v.what, "");
        assert_true(v.entries + v.unsealed >= 1000);
    }
    assert_true(v.entries + v.unsealed >= seen->at_backup);
}

static void a_restored_backup_opens_a_new_log(void **state)
{
    struct journal_reader *r;
    struct journal_side_row *rows;
    uint64_t size, sealed;
    size_t n;
    (void)state;
    snprintf(data, sizeof data, "%s-4", backup);
    size_t held = seen->at_backup;
    assert_ok(journal_restored(data));
    assert_int_equal(journal_restored(folder), ERR_NOT_FOUND);
    run_platform(client_after, 1);
    is_new_log("restored");
    assert_ok(journal_reader_open(data, &r));
    for (size_t i = 0; i < held; i++) { /* what was there before is in the log before */
        struct journal_at at;
        assert_ok(journal_find(r, str_from(seen->acked[i].id), &at));
        assert_int_equal(at.log, 1);
        assert_int_equal(at.index, seen->acked[i].index);
    }
    assert_ok(journal_size(r, 1, &size, &sealed));
    assert_true(size >= held && sealed <= size && sealed > 0);
    assert_ok(journal_size(r, 0, &size, &sealed));
    assert_int_equal(size, 11);
    assert_int_equal(journal_size(r, 2, &size, &sealed), ERR_NOT_FOUND);
    json_t *first = first_entry(r);
    const json_t *previous = json_get(first, "previous");
    assert_string_equal(json_get_z(previous, "origin", ""), "test.example/journal");
    assert_true(json_get_i64(previous, "size", 0) > 0);
    assert_true(json_get_i64(json_get(first, "held"), "size", 0) >=
                json_get_i64(previous, "size", 0));
    assert_true(json_get_i64(first, "last_at", 0) > 0);
    json_decref(first);
    struct str proof, leaf;
    struct journal_verdict v;
    assert_ok(journal_prove(r, (struct journal_at){1, 5}, &arena, &proof));
    journal_verify_proof(&arena, proof, STR_NONE, &leaf, &v);
    assert_ok(v.err);
    /* Her rows go on over both logs. */
    struct journal_side_query q = {.subject = STR("p1"), .limit = 20};
    assert_ok(journal_side_list(r, &q, &arena, &rows, &n));
    assert_int_equal(n, 20);
    assert_int_equal(rows[9].at.log, 0);
    assert_int_equal(rows[10].at.log, 1);
    q.before = &rows[9].at;
    assert_ok(journal_side_list(r, &q, &arena, &rows, &n));
    assert_int_equal(rows[0].at.log, 1);
    journal_reader_close(r);
}

static void a_past_log_is_held_to_what_was_said_of_it(void **state)
{
    struct journal_verdict v;
    char from[256], to[256];
    (void)state;
    snprintf(from, sizeof from, "%s/past/1", data);
    snprintf(to, sizeof to, "%s/past-1", data);
    journal_verify_folder(from, STR_NONE, &v); /* by itself, too */
    assert_ok(v.err);
    assert_int_equal(rename(from, to), 0);
    journal_verify_folder(data, STR_NONE, &v);
    assert_int_equal(v.err, ERR_CORRUPT);
    assert_string_equal(v.file, "past/1");
    assert_int_equal(rename(to, from), 0);
    snprintf(from, sizeof from, "%s/past/1/tile/entries/000", data);
    int fd = open(from, O_RDWR);
    assert_int_equal(pwrite(fd, "Z", 1, 80), 1);
    close(fd);
    journal_verify_folder(data, STR_NONE, &v);
    assert_int_equal(v.err, ERR_CORRUPT);
    assert_string_equal(v.file, "past/1/tile/entries/000");
    assert_int_equal(v.index, 0);
}

/* ---- other reasons ----------------------------------------------------------------------------
 */
static int client_before(struct proc *self, void *arg)
{
    (void)arg;
    struct journal *j = journal_connect(proc_fd(self, "journal"));
    proc_ready(self);
    append_n(j, 600, "p1");
    usleep(400 * 1000);
    journal_close(j);
    return stop_all();
}

static void continues_after(int (*client)(struct proc *, void *))
{
    seen->n_acked = 0;
    run_platform(client, 1);
    for (size_t i = 0; i < seen->n_acked; i++)
        assert_true(i == 0 || seen->acked[i].index == seen->acked[i - 1].index + 1);
}

static void lost_or_altered_files_open_a_new_log(void **state)
{
    static const char *const names[] = {"tile/1/000.p/2",  "tile/0/002.p/88",
                                        "tile/0/002.p/88", "tile/entries/002.p/88",
                                        "durable",         "key"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        remove_all(data);
        run_platform(client_before, 1);
        const char *path = arena_printf(&arena, "%s/%s", data, names[i]).p;
        int fd = open(path, O_RDWR | O_CREAT, 0600);
        assert_int_equal(pwrite(fd, "ZZ", 2, 3), 2);
        close(fd);
        if (i % 2)
            unlink(path);
        continues_after(client_after);
        is_new_log("damaged");
        continues_after(client_after); /* and that one goes on */
        assert_true(seen->acked[0].index >= 11);
    }
}

static void spoil_all(const char *dir)
{
    const char *path = arena_printf(&arena, "%s/%s", data, dir).p;
    DIR *d = opendir(path);
    for (struct dirent *f; (f = readdir(d)) != NULL;)
        if (f->d_name[0] == '0') {
            int fd = openat(dirfd(d), f->d_name, O_RDWR);
            assert_int_equal(pwrite(fd, "ZZ", 2, 3), 2);
            close(fd);
        }
    closedir(d);
}

static void indexes_are_made_again(void **state)
{
    struct journal_reader *r;
    struct journal_side_row *rows;
    size_t n;
    (void)state;
    remove_all(data);
    run_platform(client_before, 1);
    spoil_all("ids");
    remove_all(arena_printf(&arena, "%s/ids", data).p);
    spoil_all("side");
    run_platform(client_after, 1); /* appends behind what client_before noted */
    assert_ok(journal_reader_open(data, &r));
    for (size_t i = 0; i < 610; i++) {
        struct journal_at at;
        assert_ok(journal_find(r, str_from(seen->acked[seen->n_acked - 610 + i].id), &at));
        assert_int_equal(at.index, i);
        assert_int_equal(at.log, 0);
    }
    struct journal_side_query q = {.subject = STR("p1"), .limit = 1000};
    assert_ok(journal_side_list(r, &q, &arena, &rows, &n));
    assert_int_equal(n, 610);
    journal_reader_close(r);
}

/* What a start finds when the one before it was killed in the middle of the move. */
static void a_move_cut_short_goes_on(void **state)
{
    static const char *const moved[] = {"tile", "checkpoint", "key"};
    (void)state;
    for (size_t n = 0; n <= COUNT_OF(moved); n++) {
        remove_all(data);
        run_platform(client_before, 1);
        assert_int_equal(mkdir(arena_printf(&arena, "%s/past", data).p, 0700), 0);
        assert_int_equal(mkdir(arena_printf(&arena, "%s/past/1", data).p, 0700), 0);
        struct str durable;
        const char *path = arena_printf(&arena, "%s/durable", data).p;
        assert_ok(file_read(&arena, path, 65536, &durable));
        if (n > 0) /* it is there before anything moves */
            assert_ok(
                file_write_atomic(arena_printf(&arena, "%s/past/1/state", data).p, durable, 0600));
        for (size_t i = 0; i < n; i++)
            assert_int_equal(rename(arena_printf(&arena, "%s/%s", data, moved[i]).p,
                                    arena_printf(&arena, "%s/past/1/%s", data, moved[i]).p),
                             0);
        assert_ok(file_write_atomic(arena_printf(&arena, "%s/ending", data).p, STR("1 0 restored"),
                                    0600));
        continues_after(client_after);
        is_new_log("restored");
        continues_after(client_after);
        assert_true(seen->acked[0].index == 11);
    }
}

static void another_key_opens_a_new_log(void **state)
{
    (void)state;
    remove_all(data);
    run_platform(client_before, 1);
    remove_all(keys_folder);
    continues_after(client_after);
    is_new_log("key_changed");
}

static void a_lost_checkpoint_is_signed_again(void **state)
{
    struct journal_verdict v;
    (void)state;
    remove_all(data);
    run_platform(client_before, 1);
    unlink(arena_printf(&arena, "%s/checkpoint", data).p);
    continues_after(client_after);
    assert_int_equal(seen->acked[0].index, 600); /* the same log */
    journal_verify_folder(data, STR_NONE, &v);
    assert_string_equal(v.what, "");
}

static int begin(void **state)
{
    int rc = start(state);
    snprintf(backup, sizeof backup, "%s/backup", folder);
    return rc;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_journal_under_way_verifies),
        cmocka_unit_test(a_backup_holds_what_was_durable),
        cmocka_unit_test(a_restored_backup_opens_a_new_log),
        cmocka_unit_test(a_past_log_is_held_to_what_was_said_of_it),
        cmocka_unit_test(lost_or_altered_files_open_a_new_log),
        cmocka_unit_test(indexes_are_made_again),
        cmocka_unit_test(a_move_cut_short_goes_on),
        cmocka_unit_test(another_key_opens_a_new_log),
        cmocka_unit_test(a_lost_checkpoint_is_signed_again),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
