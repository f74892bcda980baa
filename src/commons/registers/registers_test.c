#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "commons/registers/registers.h"
#include "platform/fixture.h"

static struct fixture *f;

static const struct {
    const char *key, *label, *words;
    int weight;
} towns[] = {
    {"44109", "Nantes (44)", " 44000 44100 44200 44300", 320000},
    {"38273", "Nantes-en-Ratier (38)", " 38350", 480},
    {"77326", "Nanteuil-le-Haudouin (60)", " 60440", 4000},
    {"93066", "Saint-Denis (93)", " 93200 93210", 113000},
    {"97411", "Saint-Denis (974)", " 97400", 150000},
    {"42218", "Saint-Étienne (42)", " 42000 42100", 172000},
    {"76575", "Saint-Étienne-du-Rouvray (76)", " 76800", 29000},
    {"94038", "L’Haÿ-les-Roses (94)", " 94240", 31000},
    {"69123", "Lyon (69)", " 69001 69002", 520000},
    {"78361", "Mantes-la-Jolie (78)", " 78200", 44000},
};

static bool next(void *arg, struct arena *a, struct register_row *row)
{
    size_t *i = arg;
    if (*i == COUNT_OF(towns))
        return false;
    *row = (struct register_row){str_from(towns[*i].key), str_from(towns[*i].label),
                                 str_from(towns[*i].words), towns[*i].weight,
                                 arena_printf(a, "{\"departement_nom\":\"x\"}")};
    ++*i;
    return true;
}

/* More than a batch, generated. */
static bool many(void *arg, struct arena *a, struct register_row *row)
{
    size_t *i = arg;
    if (*i == 4500)
        return false;
    *row = (struct register_row){arena_printf(a, "k%zu", *i), arena_printf(a, "label %zu", *i),
                                 STR(""), 0, STR("{}")};
    ++*i;
    return true;
}

static int open_all(void **state)
{
    size_t i = 0;
    (void)state;
    f = fixture_open();
    return f && register_load(&f->pf, "towns", "1", next, &i) == ERR_OK ? 0 : -1;
}

static int close_all(void **state)
{
    (void)state;
    fixture_close(f);
    return 0;
}

static json_t *search(struct ctx *c, const char *q)
{
    json_t *out,
        *args =
            json_own(&c->pool, json_pack("{s:s,s:s,s:i}", "register", "towns", "q", q, "limit", 5));
    assert_int_equal(platform_call(c, "registers.search", args, &out), ERR_OK);
    return json_get(out, "items");
}

static void the_town_that_is_meant_comes_first(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"nantes", "44109", "name"},
        {"NANTES", "44109", "name"},
        {"Nantes (44)", "44109", "name"},
        {"44100", "44109", "word"},
        {"441", "44109", "part"},
        {"nant", "44109", "part"},
        {"nante", "44109", "part"},
        {"nantess", "44109", "near"},
        {"nnates", "44109", "near"},
        {"saint denis", "97411", "name"},
        {"st-denis", "97411", "name"},
        {"St Etienne", "42218", "name"},
        {"saint etiene", "42218", "near"},
        {"rouvray", "76575", "part"},
        {"l'hay les roses", "94038", "name"},
        {"lay les roses", "94038", "near"},
        {"lyion", "69123", "near"},
    };
    struct ctx *c = fixture_ctx(f, "mairie.localhost");
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        json_t *first = json_array_get(search(c, cases[i][0]), 0);
        if (strcmp(json_get_z(first, "key", ""), cases[i][1]) != 0 ||
            strcmp(json_get_z(first, "match", ""), cases[i][2]) != 0)
            fail_msg("%s: %s by %s", cases[i][0], json_get_z(first, "key", "nothing"),
                     json_get_z(first, "match", ""));
    }
    fixture_ctx_free(c);
}

static void what_is_not_there_is_not_found(void **state)
{
    (void)state;
    static const char *const cases[] = {"", " ", "%", "__", "zzzz", "99999", "xy", "'; DROP"};
    struct ctx *c = fixture_ctx(f, "mairie.localhost");
    json_t *out,
        *args = json_own(&c->pool, json_pack("{s:s,s:s}", "register", "towns", "key", "x"));
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        if (json_array_size(search(c, cases[i])) != 0)
            fail_msg("\"%s\" finds something", cases[i]);
    assert_int_equal(platform_call(c, "registers.find", args, &out), ERR_NOT_FOUND);
    fixture_ctx_free(c);
}

static void a_row_is_found_by_its_key(void **state)
{
    (void)state;
    struct ctx *c = fixture_ctx(f, "mairie.localhost");
    json_t *out,
        *args = json_own(&c->pool, json_pack("{s:s,s:s}", "register", "towns", "key", "93066"));
    assert_int_equal(platform_call(c, "registers.find", args, &out), ERR_OK);
    assert_string_equal(json_get_z(out, "label", ""), "Saint-Denis (93)");
    assert_string_equal(json_get_z(out, "departement_nom", ""), "x");
    fixture_ctx_free(c);
}

static int64_t rows_of(const char *id)
{
    struct db_result r;
    assert_int_equal(db_query_one(db_read(f->pf.db), &f->arena, &r,
                                  "SELECT COUNT(*) FROM register_row WHERE register = $1", "z", id),
                     ERR_OK);
    return db_i64(&r, 0, 0);
}

static void a_load_replaces_all_and_the_same_version_nothing(void **state)
{
    (void)state;
    size_t i = 0, again = 0, other = 4498;
    assert_int_equal(register_load(&f->pf, "many", "1", many, &i), ERR_OK);
    assert_int_equal(rows_of("many"), 4500);
    assert_int_equal(register_load(&f->pf, "many", "1", many, &again), ERR_OK);
    assert_int_equal(again, 0); /* not even asked */
    assert_int_equal(register_load(&f->pf, "many", "2", many, &other), ERR_OK);
    assert_int_equal(rows_of("many"), 2);
    assert_int_equal(rows_of("towns"), COUNT_OF(towns));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_town_that_is_meant_comes_first),
        cmocka_unit_test(what_is_not_there_is_not_found),
        cmocka_unit_test(a_row_is_found_by_its_key),
        cmocka_unit_test(a_load_replaces_all_and_the_same_version_nothing),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
