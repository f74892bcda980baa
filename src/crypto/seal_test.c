/* Seals: only the same key and the same context open a value, and no altered byte passes. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "crypto/seal.h"

static struct arena arena;
static const uint8_t key[SEAL_KEY_LEN] = {1, 2, 3}, other[SEAL_KEY_LEN] = {1, 2, 4};

static void what_was_sealed_opens(void **state)
{
    struct str out, plain = STR("12 rue des Lilas");
    (void)state;
    struct str s = seal(&arena, key, STR("account.address/42"), plain);
    assert_int_equal(s.n, plain.n + SEAL_OVERHEAD);
    assert_int_equal(s.p[0], 1);
    assert_int_equal(unseal(&arena, key, STR("account.address/42"), s, &out), ERR_OK);
    assert_true(str_eq(out, plain));
    s = seal(&arena, key, STR_NONE, STR_NONE);
    assert_int_equal(unseal(&arena, key, STR_NONE, s, &out), ERR_OK);
    assert_int_equal(out.n, 0);
}

static void the_same_value_is_never_sealed_alike(void **state)
{
    (void)state;
    struct str a = seal(&arena, key, STR("c"), STR("yes"));
    struct str b = seal(&arena, key, STR("c"), STR("yes"));
    assert_false(str_eq(a, b));
}

static void another_place_or_key_does_not_open(void **state)
{
    struct str out, s = seal(&arena, key, STR("account.address/42"), STR("secret"));
    (void)state;
    assert_int_equal(unseal(&arena, key, STR("account.address/43"), s, &out), ERR_CORRUPT);
    assert_int_equal(unseal(&arena, key, STR_NONE, s, &out), ERR_CORRUPT);
    assert_int_equal(unseal(&arena, other, STR("account.address/42"), s, &out), ERR_CORRUPT);
}

static void no_altered_bit_and_no_shorter_value_opens(void **state)
{
    struct str out, s = seal(&arena, key, STR("c"), STR("value"));
    (void)state;
    for (size_t i = 0; i < s.n * 8; i++) {
        struct str t = arena_dup(&arena, s);
        ((char *)t.p)[i / 8] ^= (char)(1 << i % 8);
        assert_int_equal(unseal(&arena, key, STR("c"), t, &out), ERR_CORRUPT);
    }
    for (size_t n = 0; n < s.n; n++)
        assert_int_equal(unseal(&arena, key, STR("c"), str_sub(s, 0, n), &out), ERR_CORRUPT);
    assert_int_equal(unseal(&arena, key, STR("c"), s, &out), ERR_OK); /* and the thread goes on */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_sealed_opens),
        cmocka_unit_test(the_same_value_is_never_sealed_alike),
        cmocka_unit_test(another_place_or_key_does_not_open),
        cmocka_unit_test(no_altered_bit_and_no_shorter_value_opens),
    };
    arena_init_secret(&arena);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_free(&arena);
    return failed;
}
