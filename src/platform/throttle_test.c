/* Rates and failures: what is allowed, what waits, and that nobody is pushed out by strangers. */
#include "platform/fixture.h"
#include "platform/throttle.h"

static const struct throttle_rule rule = {"test", 3, 60};

static void so_many_at_once_then_a_pause(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(throttle_pass(&rule, STR("a")), 0);
    assert_int_equal(throttle_pass(&rule, STR("a")), 1);
    assert_int_equal(throttle_wait(&rule, STR("a")), 1);
    assert_int_equal(throttle_pass(&rule, STR("b")), 0);
    const struct throttle_rule other = {"other", 3, 60}, none = {"none", 1, 0};
    assert_int_equal(throttle_pass(&other, STR("a")), 0);
    throttle_forget(&rule, STR("a"));
    assert_int_equal(throttle_pass(&rule, STR("a")), 0);
    for (int i = 0; i < 100; i++)
        assert_int_equal(throttle_pass(&none, STR("a")), 0);
}

/* 200,000 keys come by: the table does not grow, and who waits still waits. */
static void a_crowd_pushes_nobody_out(void **state)
{
    (void)state;
    const struct throttle_rule slow = {"slow", 5, 1}, quick = {"quick", 1, 6000};
    char key[32];
    while (throttle_pass(&slow, STR("guesser")) == 0)
        ;
    for (int i = 0; i < 200000; i++) {
        snprintf(key, sizeof key, "k%d", i);
        (void)throttle_pass(&quick, str_from(key));
    }
    assert_true(throttle_wait(&slow, STR("guesser")) > 0);
}

static void run(bool postgres)
{
    unsigned wait_s;
    struct fixture *f = fixture_open_on(postgres);
    assert_non_null(f);
    struct ctx *c = fixture_ctx(f, "localhost");
    struct str who = STR("test:nobody");
    for (int i = 0; i < 4; i++)
        assert_int_equal(throttle_failed(c, who), ERR_OK);
    assert_int_equal(throttle_locked(c, who, &wait_s), ERR_OK);
    assert_int_equal(wait_s, 0);
    assert_int_equal(throttle_failed(c, who), ERR_OK);
    assert_int_equal(throttle_locked(c, who, &wait_s), ERR_OK);
    assert_in_range(wait_s, 25, 30);
    assert_int_equal(throttle_failed(c, who), ERR_OK);
    assert_int_equal(throttle_locked(c, who, &wait_s), ERR_OK);
    assert_in_range(wait_s, 55, 60);
    for (int i = 0; i < 200; i++)
        assert_int_equal(throttle_failed(c, who), ERR_OK);
    assert_int_equal(throttle_locked(c, who, &wait_s), ERR_OK);
    assert_in_range(wait_s, 3500, 3600);
    assert_int_equal(throttle_succeeded(c, who), ERR_OK);
    assert_int_equal(throttle_locked(c, who, &wait_s), ERR_OK);
    assert_int_equal(wait_s, 0);
    for (int i = 0; i < 5; i++)
        assert_int_equal(throttle_failed(c, who), ERR_OK);
    clock_set_offset_ms(25LL * 3600 * 1000); /* a day later */
    assert_int_equal(throttle_failed(c, who), ERR_OK);
    assert_int_equal(throttle_locked(c, who, &wait_s), ERR_OK);
    assert_int_equal(wait_s, 0);
    clock_set_offset_ms(0);
    fixture_ctx_free(c);
    fixture_close(f);
}

static void failures_grow_into_a_pause(void **state)
{
    (void)state;
    run(false);
    if (fixture_has_pg())
        run(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(so_many_at_once_then_a_pause),
        cmocka_unit_test(a_crowd_pushes_nobody_out),
        cmocka_unit_test(failures_grow_into_a_pause),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
