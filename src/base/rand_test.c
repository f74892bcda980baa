/* Identifiers and secrets: well-formed, in order, never twice. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/wait.h>
#include <unistd.h>

#include "base/rand.h"

static void identifiers_sort_by_time_and_differ(void **state)
{
    (void)state;
    char first[ID_LEN + 1], a[ID_LEN + 1], b[ID_LEN + 1];
    id_new(first);
    usleep(2000);
    for (int i = 0; i < 1000; i++) {
        id_new(a);
        id_new(b);
        assert_int_equal(strlen(a), ID_LEN);
        assert_true(id_is_valid(str_from(a)));
        assert_string_not_equal(a, b);
        assert_true(strcmp(first, a) < 0);
    }
}

static void what_is_no_identifier_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "01ARZ3NDEKTSV4RRFFQ69G5FA",
                                      "01ARZ3NDEKTSV4RRFFQ69G5FAVV",
                                      "81ARZ3NDEKTSV4RRFFQ69G5FAV",
                                      "01ARZ3NDEKTSV4RRFFQ69G5FAU",
                                      "01ARZ3NDEKTSV4RRFFQ69G5FAI",
                                      "01arz3ndektsv4rrffq69g5fav",
                                      "01ARZ3NDEKTSV4RRFFQ69G5FA ",
                                      "01ARZ3NDEKTSV4RRFFQ69G5FA'"};
    assert_true(id_is_valid(STR("01ARZ3NDEKTSV4RRFFQ69G5FAV")));
    assert_true(id_is_valid(STR("7ZZZZZZZZZZZZZZZZZZZZZZZZZ")));
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_false(id_is_valid(str_from(bad[i])));
    assert_false(id_is_valid(str_of("01ARZ3NDEKTSV4RRFFQ69G5FA\0", 26)));
}

static void secrets_are_256_bits_of_text(void **state)
{
    (void)state;
    char a[SECRET_LEN + 1], b[SECRET_LEN + 1];
    secret_new(a);
    secret_new(b);
    assert_int_equal(strlen(a), SECRET_LEN);
    assert_int_equal(strspn(a, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
                     SECRET_LEN);
    assert_string_not_equal(a, b);
}

/* Short ones come out of a store: a child process must not draw what its parent draws. */
static void a_child_process_draws_other_bytes(void **state)
{
    (void)state;
    unsigned char mine[16], theirs[16], next[16];
    int ends[2], status;
    rand_bytes(mine, sizeof mine);
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        rand_bytes(theirs, sizeof theirs);
        _exit(write(ends[1], theirs, sizeof theirs) == sizeof theirs ? 0 : 1);
    }
    assert_int_equal(read(ends[0], theirs, sizeof theirs), sizeof theirs);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    rand_bytes(next, sizeof next);
    assert_memory_not_equal(theirs, next, sizeof next);
    assert_memory_not_equal(mine, next, sizeof next);
    close(ends[0]);
    close(ends[1]);
}

static void random_bytes_fill_their_place_and_no_more(void **state)
{
    (void)state;
    unsigned char bytes[258] = {0}, seen[256] = {0};
    size_t different = 0;
    rand_bytes(bytes + 1, 256);
    assert_int_equal(bytes[0], 0);
    assert_int_equal(bytes[257], 0);
    for (size_t i = 1; i <= 256; i++)
        different += !seen[bytes[i]]++;
    assert_true(different > 100);
    rand_bytes(NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(identifiers_sort_by_time_and_differ),
        cmocka_unit_test(what_is_no_identifier_is_refused),
        cmocka_unit_test(secrets_are_256_bits_of_text),
        cmocka_unit_test(a_child_process_draws_other_bytes),
        cmocka_unit_test(random_bytes_fill_their_place_and_no_more),
    };
    return cmocka_run_group_tests_name("rand", tests, NULL, NULL);
}
