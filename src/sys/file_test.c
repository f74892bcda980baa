/* Files: ceilings, whole replacement, errors by their meaning. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/file.h"

static char dir[64];

static char *in_dir(const char *name)
{
    static char path[4][256];
    static int at;
    at = (at + 1) % 4;
    snprintf(path[at], sizeof path[at], "%s/%s", dir, name);
    return path[at];
}

static int count_entries(void)
{
    DIR *d = opendir(dir);
    int n = -2;
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a);
    struct str got;
    umask(077);
    assert_int_equal(file_write_atomic(in_dir("f"), STR("un"), 0644), ERR_OK);
    assert_int_equal(file_write_atomic(in_dir("f"), STR("deux"), 0640), ERR_OK);
    assert_int_equal(file_read(&a, in_dir("f"), 4, &got), ERR_OK);
    assert_true(str_eq(got, STR("deux")));
    assert_int_equal(got.p[got.n], 0);
    struct stat st;
    assert_int_equal(stat(in_dir("f"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640); /* the asked mode, whatever the umask */
    assert_int_equal(count_entries(), 1);      /* nothing left beside */
    assert_int_equal(file_write_atomic(in_dir("e"), STR(""), 0600), ERR_OK);
    assert_int_equal(file_read(&a, in_dir("e"), 4, &got), ERR_OK);
    assert_int_equal(got.n, 0);
    arena_free(&a);
}

static void limits_and_errors(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a);
    struct str got;
    assert_int_equal(file_write_atomic(in_dir("f"), STR("12345"), 0600), ERR_OK);
    assert_int_equal(file_read(&a, in_dir("f"), 4, &got), ERR_LIMIT);
    assert_int_equal(file_read(&a, in_dir("none"), 4, &got), ERR_NOT_FOUND);
    assert_int_equal(file_read(&a, dir, 4, &got), ERR_INVALID);
    assert_int_equal(file_read(&a, "/proc/self/stat", 8, &got), ERR_LIMIT);
    assert_int_equal(file_read(&a, "/proc/self/stat", 4096, &got), ERR_OK);
    assert_true(got.n > 10);
    assert_int_equal(file_write_atomic(in_dir("no/f"), STR("x"), 0600), ERR_NOT_FOUND);
    assert_int_equal(file_write_atomic(dir, STR("x"), 0600), ERR_IO); /* a folder is in the way */
    assert_int_equal(file_err_from_errno(ENOSPC), ERR_FULL);
    assert_int_equal(file_err_from_errno(EDQUOT), ERR_FULL);
    assert_int_equal(file_err_from_errno(EACCES), ERR_DENIED);
    int full = open("/dev/full", O_WRONLY);
    assert_int_equal(file_write_all(full, "x", 1), ERR_FULL);
    close(full);
    arena_free(&a);
}

static void folders_are_made(void **state)
{
    (void)state;
    assert_int_equal(file_make_dirs(in_dir("a/b//c/"), 0700), ERR_OK);
    assert_int_equal(file_make_dirs(in_dir("a/b/c"), 0700), ERR_OK);
    struct stat st;
    assert_int_equal(stat(in_dir("a/b/c"), &st), 0);
    assert_true(S_ISDIR(st.st_mode));
    assert_int_equal(file_write_atomic(in_dir("a/file"), STR("x"), 0600), ERR_OK);
    assert_int_equal(file_make_dirs(in_dir("a/file"), 0700), ERR_EXISTS);
    assert_int_equal(file_make_dirs(in_dir("a/file/x"), 0700), ERR_EXISTS);
    assert_int_equal(file_make_dirs("", 0700), ERR_INVALID);
}

static void pwrite_writes_where_told(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a);
    struct str got;
    int fd = open(in_dir("p"), O_RDWR | O_CREAT, 0600);
    assert_int_equal(file_pwrite_all(fd, "abc", 3, 2), ERR_OK);
    assert_int_equal(file_pwrite_all(fd, "XY", 2, 0), ERR_OK);
    close(fd);
    assert_int_equal(file_read(&a, in_dir("p"), 10, &got), ERR_OK);
    assert_true(str_eq(got, STR("XYabc")));
    arena_free(&a);
}

static int make_dir(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/sys-file-XXXXXX");
    return mkdtemp(dir) ? 0 : 1;
}

static int drop_dir(void **state)
{
    (void)state;
    const char *const made[] = {"f", "e", "p", "a/file", "a/b/c", "a/b", "a", "."};
    for (size_t i = 0; i < COUNT_OF(made); i++)
        (void)remove(in_dir(made[i]));
    return rmdir(dir) != 0 && errno != ENOENT;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_written_is_read, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(limits_and_errors, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(folders_are_made, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(pwrite_writes_where_told, make_dir, drop_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
