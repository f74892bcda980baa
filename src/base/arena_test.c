/* Arenas: aligned, zeroed, kept apart, wiped when secret. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/arena.h"

static void memory_is_aligned_zeroed_and_apart(void **state)
{
    (void)state;
    struct arena a;
    char *p[300];
    arena_init(&a);
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < COUNT_OF(p); i++) {
            p[i] = arena_alloc(&a, i * 7);
            assert_int_equal((uintptr_t)p[i] % 16, 0);
            for (size_t j = 0; j < i * 7; j++)
                assert_int_equal(p[i][j], 0);
            memset(p[i], (int)i, i * 7);
        }
        for (size_t i = 0; i < COUNT_OF(p); i++)
            for (size_t j = 0; j < i * 7; j++)
                assert_int_equal(p[i][j], (char)i);
        assert_true(a.used_bytes >= 300 * 299 / 2 * 7);
        arena_reset(&a); /* what is handed out again is zeroed again */
        assert_int_equal(a.used_bytes, 0);
    }
    char *big = arena_alloc(&a, 10 * 1024 * 1024);
    big[10 * 1024 * 1024 - 1] = 1;
    arena_free(&a);
    assert_int_equal(a.used_bytes, 0);
    arena_free(&a);
}

static void copies_end_with_a_nul(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a);
    struct str s = arena_dup(&a, str_of("ab\0cd", 5));
    assert_int_equal(s.n, 5);
    assert_memory_equal(s.p, "ab\0cd", 6);
    assert_string_equal(arena_dupz(&a, STR_NONE), "");
    char long_text[40000];
    memset(long_text, 'x', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    s = arena_printf(&a, "<%s|%d>", long_text, 7);
    assert_int_equal(s.n, sizeof long_text - 1 + 4);
    assert_int_equal(s.p[s.n], 0);
    assert_true(str_ends(s, STR("x|7>")));
    int *n = arena_array(&a, int, 10);
    n[9] = 1;
    arena_free(&a);
}

static void secrets_are_wiped_at_the_reset(void **state)
{
    (void)state;
    struct arena a;
    arena_init_secret(&a);
    char *p = arena_dupz(&a, STR("a secret of some length"));
    arena_reset(&a); /* the first block is kept: its memory may be looked at */
    for (size_t i = 0; i < 23; i++)
        assert_int_equal(((volatile char *)p)[i], 0);
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_aligned_zeroed_and_apart),
        cmocka_unit_test(copies_end_with_a_nul),
        cmocka_unit_test(secrets_are_wiped_at_the_reset),
    };
    return cmocka_run_group_tests_name("arena", tests, NULL, NULL);
}
