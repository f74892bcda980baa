/* The calls of a minute: what a consumer that hurries, and one that waits, get. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "core/exchange/quota.h"

static void counts_down_then_refuses(void **state)
{
    (void)state;
    struct quota q = {0};
    for (unsigned i = 0; i < 60; i++) {
        assert_true(quota_take(&q, 60, 1000));
        assert_int_equal(quota_left(&q), 59 - i);
    }
    assert_false(quota_take(&q, 60, 1000));
    assert_int_equal(quota_retry_s(&q), 1);
    assert_int_equal(quota_reset_s(&q), 60);
}

static void refills_steadily(void **state)
{
    (void)state;
    struct quota q = {0};
    for (unsigned i = 0; i < 60; i++)
        assert_true(quota_take(&q, 60, 1000));
    assert_false(quota_take(&q, 60, 1999));
    assert_true(quota_take(&q, 60, 2000));
    assert_false(quota_take(&q, 60, 2000));
    /* A night's pause gives one minute's worth, not a night's. */
    unsigned n = 0;
    while (quota_take(&q, 60, 36000000))
        n++;
    assert_int_equal(n, 60);
}

static void small_steps_are_not_lost(void **state)
{
    (void)state;
    struct quota q = {0};
    unsigned given = 0;
    while (quota_take(&q, 600, 1))
        given++;
    assert_int_equal(given, 600);
    for (int64_t t = 2; t <= 10001; t++)
        given += quota_take(&q, 600, t);
    assert_int_equal(given, 700);
}

static void a_clock_that_goes_back_gives_nothing(void **state)
{
    (void)state;
    struct quota q = {0};
    assert_true(quota_take(&q, 1, 5000));
    assert_false(quota_take(&q, 1, 1));
    assert_false(quota_take(&q, 1, 2));
}

static void a_new_limit_keeps_what_was_used(void **state)
{
    (void)state;
    struct quota q = {0};
    for (unsigned i = 0; i < 50; i++)
        assert_true(quota_take(&q, 100, 1));
    assert_false(quota_take(&q, 40, 1));
    struct quota p = {0};
    for (unsigned i = 0; i < 50; i++)
        assert_true(quota_take(&p, 100, 1));
    assert_true(quota_take(&p, 200, 1));
    assert_int_equal(quota_left(&p), 149);
}

static void no_limit_is_no_limit(void **state)
{
    (void)state;
    struct quota q = {0};
    for (int i = 0; i < 100000; i++)
        assert_true(quota_take(&q, 0, 1));
    assert_int_equal(quota_share(0, 4), 0);
    assert_int_equal(quota_share(3, 4), 1);
    assert_int_equal(quota_share(240, 4), 60);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_down_then_refuses),
        cmocka_unit_test(refills_steadily),
        cmocka_unit_test(small_steps_are_not_lost),
        cmocka_unit_test(a_clock_that_goes_back_gives_nothing),
        cmocka_unit_test(a_new_limit_keeps_what_was_used),
        cmocka_unit_test(no_limit_is_no_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
