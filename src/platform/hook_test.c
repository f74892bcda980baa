/* Outgoing webhooks: when a try follows, what is queued for whom, whose replay it is. */
#include "platform/fixture.h"

#include "platform/hook.h"

static void the_wait_doubles_up_to_a_day(void **state)
{
    (void)state;
    static const struct {
        int64_t tries, minutes;
    } cases[] = {{0, 1}, {1, 1}, {2, 2}, {3, 4}, {4, 8}, {11, 1024}, {12, 1024}, {1000, 1024}};
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_int_equal(hook_backoff_ms(cases[i].tries), cases[i].minutes * 60000);
    assert_true(hook_backoff_ms(INT64_MAX) <= 86400000);
    assert_true(hook_backoff_ms(-5) > 0);
}

static void the_signature_covers_time_and_body(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a);
    struct str one = hook_signature(&a, STR("key"), STR("10"), STR("{}"));
    assert_true(str_starts(one, STR("sha256=")));
    assert_int_equal(one.n, 7 + 64);
    assert_false(str_eq(one, hook_signature(&a, STR("key"), STR("11"), STR("{}"))));
    assert_false(str_eq(one, hook_signature(&a, STR("key"), STR("10"), STR("{ }"))));
    assert_false(str_eq(one, hook_signature(&a, STR("kez"), STR("10"), STR("{}"))));
    arena_free(&a);
}

struct queued {
    const char *org, *members;
};

static enum err queue(struct db_conn *db, void *arg)
{
    const struct queued *q = arg;
    return hook_queue(db, str_from(q->org), "test.event", str_from(q->members), 5);
}

static json_t *kept(struct ctx *c, const char *org)
{
    json_t *list;
    assert_int_equal(hook_deliveries(c, str_from(org), &list), ERR_OK);
    return list;
}

static void an_event_is_queued_for_who_has_an_address(void **state)
{
    struct fixture *f = *state;
    struct ctx *c = fixture_ctx(f, "localhost");
    struct str secret, other, url;
    struct queued to_one = {"one", "{\"a\":1}"}, to_two = {"two", "{}"};
    assert_int_equal(hook_set(c, STR("one"), STR("https://a.example/x"), STR("operator"), &secret),
                     ERR_OK);
    assert_int_equal(secret.n, SECRET_LEN);
    assert_int_equal(hook_set(c, STR("two"), STR("ftp://a.example/"), STR("operator"), &other),
                     ERR_INVALID);
    assert_int_equal(hook_set(c, STR("two"), STR("javascript:1"), STR("operator"), &other),
                     ERR_INVALID);
    assert_int_equal(db_write(f->pf.db, queue, &to_one), ERR_OK);
    assert_int_equal(db_write(f->pf.db, queue, &to_two), ERR_OK);
    assert_int_equal(json_array_size(kept(c, "two")), 0);
    assert_int_equal(json_array_size(kept(c, "one")), 1);
    struct str id = json_get_str(json_array_get(kept(c, "one"), 0), "id");
    assert_int_equal(hook_replay(c, STR("two"), id), ERR_NOT_FOUND); /* another's */
    assert_int_equal(hook_replay(c, STR("one"), id), ERR_OK);
    assert_int_equal(hook_replay(c, STR_NONE, id), ERR_OK);
    assert_int_equal(hook_replay(c, STR("one"), STR("nothing")), ERR_NOT_FOUND);
    assert_int_equal(hook_set(c, STR("one"), STR(""), STR("operator"), &other), ERR_OK);
    assert_int_equal(hook_url(c, STR("one"), &url), ERR_OK);
    assert_int_equal(url.n, 0);
    assert_int_equal(db_write(f->pf.db, queue, &to_one), ERR_OK);
    assert_int_equal(json_array_size(kept(c, "one")), 1); /* told no more */
    fixture_ctx_free(c);
}

static void a_body_too_large_is_no_event(void **state)
{
    struct fixture *f = *state;
    char *big = malloc(HOOK_BODY_MAX + 10);
    assert_non_null(big);
    memset(big, ' ', HOOK_BODY_MAX + 9);
    big[0] = '{';
    big[HOOK_BODY_MAX + 8] = '}';
    big[HOOK_BODY_MAX + 9] = '\0';
    struct queued q = {"one", big};
    assert_int_equal(db_write(f->pf.db, queue, &q), ERR_LIMIT);
    free(big);
}

static bool postgres;
static int open_platform(void **state)
{
    *state = fixture_open_on(postgres);
    return *state ? 0 : -1;
}

static int close_platform(void **state)
{
    fixture_close(*state);
    return 0;
}

static int run(const char *name, bool pg)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_wait_doubles_up_to_a_day),
        cmocka_unit_test(the_signature_covers_time_and_body),
        cmocka_unit_test_setup_teardown(an_event_is_queued_for_who_has_an_address, open_platform,
                                        close_platform),
        cmocka_unit_test_setup_teardown(a_body_too_large_is_no_event, open_platform,
                                        close_platform),
    };
    postgres = pg;
    return cmocka_run_group_tests_name(name, tests, NULL, NULL);
}

int main(void)
{
    int failed = run("hook, sqlite", false);
    return failed + (fixture_has_pg() ? run("hook, postgres", true) : 0);
}
