#include <pthread.h>

#include "platform/change.h"
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

/* Caches live as long as the process: each test has subjects of its own. */
static struct str fresh(struct fixture *t)
{
    char *id = arena_alloc(&t->arena, ID_LEN + 1);
    id_new(id);
    return str_from(id);
}

static void opens_what_it_sealed(void **state)
{
    struct fixture *t = *state;
    struct ctx *c = ctx_make(&t->pf, &t->arena);
    struct str who = fresh(t), sealed, plain;
    assert_int_equal(vault_seal(c, who, "dossier.fields", STR("1 rue du Canari"), &sealed), ERR_OK);
    assert_true(str_find(sealed, STR("Canari")) < 0);
    assert_int_equal(vault_open(c, who, "dossier.fields", sealed, &plain), ERR_OK);
    assert_true(str_eq_z(plain, "1 rue du Canari"));
    ctx_free(c);
}

/* A value moved to another place, or to another person's row, does not open. */
static void place_and_person_are_bound(void **state)
{
    struct fixture *t = *state;
    struct ctx *c = ctx_make(&t->pf, &t->arena);
    struct str who = fresh(t), sealed, plain;
    assert_int_equal(vault_seal(c, who, "consent", STR("x"), &sealed), ERR_OK);
    assert_int_equal(vault_open(c, who, "dossier.fields", sealed, &plain), ERR_CORRUPT);
    assert_int_equal(vault_open(c, fresh(t), "consent", sealed, &plain), ERR_CORRUPT);
    ctx_free(c);
}

static void erased_never_opens_again(void **state)
{
    struct fixture *t = *state;
    struct ctx *c = ctx_make(&t->pf, &t->arena);
    struct str who = fresh(t), sealed, plain;
    assert_int_equal(vault_seal(c, who, "consent", STR("x"), &sealed), ERR_OK);
    assert_int_equal(vault_erase(c, who), ERR_OK);
    assert_int_equal(vault_open(c, who, "consent", sealed, &plain), ERR_NOT_FOUND);
    assert_int_equal(vault_seal(c, who, "consent", STR("y"), &sealed), ERR_NOT_FOUND);
    assert_int_equal(fixture_count(t, "SELECT count(*) FROM change WHERE kind = 'erase'"), 1);
    ctx_free(c);
}

static void table_holds_no_key(void **state)
{
    struct fixture *t = *state;
    struct ctx *c = ctx_make(&t->pf, &t->arena);
    uint8_t key[32];
    struct str who = fresh(t);
    assert_int_equal(vault_key(c, who, key), ERR_OK);
    struct str wrapped = fixture_value(t, "SELECT wrapped FROM subject_key");
    assert_true(wrapped.n > sizeof key && str_find(wrapped, str_of(key, sizeof key)) < 0);
    ctx_free(c);
}

/* Many at once for one new person: all get the one key that was stored. */
struct racer {
    struct fixture *t;
    struct str who;
    uint8_t key[32];
    enum err e;
};

static void *race(void *arg)
{
    struct racer *r = arg;
    struct arena a;
    arena_init(&a);
    struct ctx *c = ctx_make(&r->t->pf, &a);
    r->e = vault_key(c, r->who, r->key);
    ctx_free(c);
    arena_free(&a);
    return NULL;
}

static void first_key_is_made_once(void **state)
{
    enum { N = 8 };
    struct fixture *t = *state;
    struct racer r[N];
    pthread_t threads[N];
    struct str who = fresh(t);
    for (int i = 0; i < N; i++) {
        r[i] = (struct racer){.t = t, .who = who};
        assert_int_equal(pthread_create(&threads[i], NULL, race, &r[i]), 0);
    }
    for (int i = 0; i < N; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < N; i++) {
        assert_int_equal(r[i].e, ERR_OK);
        assert_memory_equal(r[i].key, r[0].key, sizeof r[0].key);
    }
}

static void blind_index_finds_and_hides(void **state)
{
    struct fixture *t = *state;
    struct ctx *c = ctx_make(&t->pf, &t->arena);
    struct str a, again, other, elsewhere;
    assert_int_equal(vault_blind(c, "person", STR("MARTIN"), &a), ERR_OK);
    assert_int_equal(vault_blind(c, "person", STR("MARTIN"), &again), ERR_OK);
    assert_int_equal(vault_blind(c, "person", STR("MARTINE"), &other), ERR_OK);
    assert_int_equal(vault_blind(c, "dossier", STR("MARTIN"), &elsewhere), ERR_OK);
    assert_true(str_eq(a, again));
    assert_false(str_eq(a, other) || str_eq(a, elsewhere));
    ctx_free(c);
}

static int run(const char *name, bool pg)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(opens_what_it_sealed, open_platform, close_platform),
        cmocka_unit_test_setup_teardown(place_and_person_are_bound, open_platform, close_platform),
        cmocka_unit_test_setup_teardown(erased_never_opens_again, open_platform, close_platform),
        cmocka_unit_test_setup_teardown(table_holds_no_key, open_platform, close_platform),
        cmocka_unit_test_setup_teardown(first_key_is_made_once, open_platform, close_platform),
        cmocka_unit_test_setup_teardown(blind_index_finds_and_hides, open_platform, close_platform),
    };
    postgres = pg;
    return cmocka_run_group_tests_name(name, tests, NULL, NULL);
}

int main(void)
{
    int failed = run("vault, sqlite", false);
    return failed + (fixture_has_pg() ? run("vault, postgres", true) : 0);
}
