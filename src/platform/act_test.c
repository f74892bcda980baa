/* An act and its proof are one transaction: see act_write. Without a journal, as in commands, the
 * proof waits in the outbox; the journal's side is tested by killing processes
 * (test/integration). */
#include "platform/act.h"

#include "platform/fixture.h"

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

static enum err change_setting(struct db_conn *db, void *arg)
{
    enum err *after = arg;
    enum err e = db_exec(db, "INSERT INTO setting(name, value) VALUES('canary', 'x')", "");
    return e == ERR_OK ? *after : e;
}

static struct act make(struct ctx *c, const char *told)
{
    struct act act;
    struct act_info info = {.kind = "test.done",
                            .actor = STR("self"),
                            .object = STR("object-1"),
                            .person = STR("person-1"),
                            .told = json_pack("{s:s}", "title", told)};
    assert_int_equal(act_make(c, &info, &act), ERR_OK);
    return act;
}

static void change_and_proof_together(void **state)
{
    struct fixture *t = *state;
    struct ctx *c = ctx_make(&t->pf, &t->arena);
    enum err after = ERR_OK;
    struct act act = make(c, "Canari");
    assert_int_equal(act_write(c, change_setting, &after, &act, 1), ERR_OK);
    assert_int_equal(fixture_count(t, "SELECT count(*) FROM setting WHERE name = 'canary'"), 1);
    assert_true(str_eq(fixture_value(t, "SELECT id FROM outbox"), act.record.id));
    ctx_free(c);
}

static void neither_when_the_change_fails(void **state)
{
    struct fixture *t = *state;
    struct ctx *c = ctx_make(&t->pf, &t->arena);
    enum err after = ERR_CONFLICT;
    struct act act = make(c, "Canari");
    assert_int_equal(act_write(c, change_setting, &after, &act, 1), ERR_CONFLICT);
    assert_int_equal(fixture_count(t, "SELECT count(*) FROM setting WHERE name = 'canary'"), 0);
    assert_int_equal(fixture_count(t, "SELECT count(*) FROM outbox"), 0);
    ctx_free(c);
}

/* The same act twice is one act, and the second change is not made either. */
static void neither_when_the_proof_is_there_already(void **state)
{
    struct fixture *t = *state;
    struct ctx *c = ctx_make(&t->pf, &t->arena);
    enum err after = ERR_OK;
    struct act act = make(c, "Canari");
    assert_int_equal(act_write(c, NULL, NULL, &act, 1), ERR_OK);
    assert_int_equal(act_write(c, change_setting, &after, &act, 1), ERR_EXISTS);
    assert_int_equal(fixture_count(t, "SELECT count(*) FROM setting WHERE name = 'canary'"), 0);
    ctx_free(c);
}

/* What the person reads is sealed under her key; the leaf only commits to it. */
static void leaf_and_outbox_hold_nothing_personal(void **state)
{
    struct fixture *t = *state;
    struct ctx *c = ctx_make(&t->pf, &t->arena);
    struct str plain;
    struct act act = make(c, "Canari");
    assert_int_equal(act_write(c, NULL, NULL, &act, 1), ERR_OK);
    assert_true(str_find(act.record.leaf, STR("Canari")) < 0);
    assert_true(str_find(act.record.leaf, STR("person-1")) < 0);
    assert_true(str_find(fixture_value(t, "SELECT side FROM outbox"), STR("Canari")) < 0);
    assert_int_equal(vault_open(c, STR("person-1"), "journal.side", act.record.side, &plain),
                     ERR_OK);
    assert_true(str_find(plain, STR("Canari")) >= 0);
    ctx_free(c);
}

static int run(const char *name, bool pg)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(change_and_proof_together, open_platform, close_platform),
        cmocka_unit_test_setup_teardown(neither_when_the_change_fails, open_platform,
                                        close_platform),
        cmocka_unit_test_setup_teardown(neither_when_the_proof_is_there_already, open_platform,
                                        close_platform),
        cmocka_unit_test_setup_teardown(leaf_and_outbox_hold_nothing_personal, open_platform,
                                        close_platform),
    };
    postgres = pg;
    return cmocka_run_group_tests_name(name, tests, NULL, NULL);
}

int main(void)
{
    int failed = run("act, sqlite", false);
    return failed + (fixture_has_pg() ? run("act, postgres", true) : 0);
}
