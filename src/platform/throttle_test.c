/* Rates and failures: what is allowed, what waits, and that nobody is pushed out by strangers. */
#include <pthread.h>
#include "platform/fixture.h"
#include "platform/throttle.h"

static const struct throttle_rule rule = {"test", 3, 60};

static void so_many_at_once_then_a_pause(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(throttle_take(&rule, STR("a")), 0);
    assert_int_equal(throttle_take(&rule, STR("a")), 1);
    assert_int_equal(throttle_wait(&rule, STR("a")), 1);
    assert_int_equal(throttle_take(&rule, STR("b")), 0);
    const struct throttle_rule other = {"other", 3, 60}, none = {"none", 1, 0};
    assert_int_equal(throttle_take(&other, STR("a")), 0);
    throttle_forget(&rule, STR("a"));
    assert_int_equal(throttle_take(&rule, STR("a")), 0);
    for (int i = 0; i < 100; i++)
        assert_int_equal(throttle_take(&none, STR("a")), 0);
}

/* 200,000 keys come by: the table does not grow, and who waits still waits. */
static void a_crowd_pushes_nobody_out(void **state)
{
    (void)state;
    const struct throttle_rule slow = {"slow", 5, 1}, quick = {"quick", 1, 6000};
    char key[32];
    while (throttle_take(&slow, STR("guesser")) == 0)
        ;
    for (int i = 0; i < 200000; i++) {
        snprintf(key, sizeof key, "k%d", i);
        (void)throttle_take(&quick, str_from(key));
    }
    assert_true(throttle_wait(&slow, STR("guesser")) > 0);
}

static enum err try(struct ctx *c, const char *whose)
{
    c->retry_after_s = 0;
    return throttle_try(c, "test", str_from(whose));
}

static void tries_of(struct ctx *c)
{
    for (int i = 0; i < 5; i++)
        assert_int_equal(try(c, "a"), ERR_OK);
    assert_int_equal(try(c, "a"), ERR_LIMIT);
    assert_in_range(c->retry_after_s, 25, 30);
    assert_int_equal(throttle_try(c, "other", STR("a")), ERR_OK);
    assert_int_equal(try(c, "b"), ERR_OK);
    clock_set_offset_ms(31 * 1000);
    assert_int_equal(try(c, "a"), ERR_OK);
    assert_int_equal(try(c, "a"), ERR_LIMIT); /* refused ones do not make it longer */
    assert_int_equal(try(c, "a"), ERR_LIMIT);
    assert_in_range(c->retry_after_s, 55, 60);
    for (int64_t i = 1; i < 200; i++) {
        clock_set_offset_ms(31 * 1000 + i * 3601 * 1000);
        assert_int_equal(try(c, "a"), ERR_OK);
    }
    assert_int_equal(try(c, "a"), ERR_LIMIT);
    assert_in_range(c->retry_after_s, 3590, 3600);
    assert_int_equal(throttle_right(c, "test", STR("a")), ERR_OK);
    for (int i = 0; i < 5; i++)
        assert_int_equal(try(c, "a"), ERR_OK);
    assert_int_equal(try(c, "a"), ERR_LIMIT);
    clock_set_offset_ms(230LL * 3601 * 1000); /* more than a day later */
    for (int i = 0; i < 5; i++)
        assert_int_equal(try(c, "a"), ERR_OK);
    assert_int_equal(try(c, "a"), ERR_LIMIT);
}

/* Twenty at once: five pass, whatever their order. */
struct at_once {
    struct fixture *f;
    int passed;
};

static void *one_try(void *arg)
{
    struct at_once *x = arg;
    struct arena a;
    arena_init(&a);
    struct ctx *c = ctx_make(&x->f->pf, &a);
    if (throttle_try(c, "test", STR("at once")) == ERR_OK)
        __atomic_add_fetch(&x->passed, 1, __ATOMIC_SEQ_CST);
    ctx_free(c);
    arena_free(&a);
    return NULL;
}

static void run(bool postgres)
{
    pthread_t t[20];
    struct fixture *f = fixture_open_on(postgres);
    assert_non_null(f);
    struct ctx *c = fixture_ctx(f, "localhost");
    tries_of(c);
    clock_set_offset_ms(0);
    struct at_once x = {f, 0};
    for (size_t i = 0; i < COUNT_OF(t); i++)
        assert_int_equal(pthread_create(&t[i], NULL, one_try, &x), 0);
    for (size_t i = 0; i < COUNT_OF(t); i++)
        pthread_join(t[i], NULL);
    assert_int_equal(x.passed, 5);
    fixture_ctx_free(c);
    fixture_close(f);
}

static void tries_grow_into_a_pause(void **state)
{
    (void)state;
    run(false);
    if (fixture_has_pg())
        run(true);
}

/* Who succeeds costs nothing, and makes no room for others. */
static void what_is_given_back_is_there_again(void **state)
{
    (void)state;
    const struct throttle_rule slow = {"give", 2, 1};
    for (int i = 0; i < 10; i++) {
        assert_int_equal(throttle_take(&slow, STR("a")), 0);
        throttle_give(&slow, STR("a"));
    }
    assert_int_equal(throttle_take(&slow, STR("a")), 0);
    assert_int_equal(throttle_take(&slow, STR("a")), 0);
    assert_true(throttle_take(&slow, STR("a")) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(so_many_at_once_then_a_pause),
        cmocka_unit_test(a_crowd_pushes_nobody_out),
        cmocka_unit_test(what_is_given_back_is_there_again),
        cmocka_unit_test(tries_grow_into_a_pause),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
