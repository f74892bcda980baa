#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "data/fold.h"

static void folds_what_people_type(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"L'Haÿ-les-Roses", "l hay les roses"},
        {"Œuilly", "oeuilly"},
        {"ÎLE-DE-BRÉHAT", "ile de brehat"},
        {"  Saint--Étienne ", "saint etienne"},
        {"Straße Łódź Çà", "strasse lodz ca"},
        {"déménagement ✈ 2026", "demenagement 2026"},
        {"e\xCC\x81te\xCC\x81",
         "ete"}, /* accents that follow their letters, as some keyboards send */
        {"", ""},
        {"\xC3", ""},
    };
    struct arena a;
    arena_init(&a);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct str got = text_fold(&a, str_from(cases[i][0]));
        assert_string_equal(arena_dupz(&a, got), cases[i][1]);
    }
    arena_free(&a);
}

static void counts_slips_of_the_finger(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        int most, d;
    } cases[] = {
        {"nantes", "nantes", 2, 0},  {"nante", "nantes", 2, 1},  {"nnates", "nantes", 2, 1},
        {"nantess", "nantes", 2, 1}, {"mantes", "nantes", 2, 1}, {"nants", "mantes", 1, 2},
        {"nants", "mantes", 2, 2},   {"", "ab", 2, 2},           {"", "", 0, 0},
        {"abcdef", "a", 2, 3},       {"paris", "lyon", 2, 3},
    };
    static char longer[100];
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct str a = str_from(cases[i].a), b = str_from(cases[i].b);
        assert_int_equal(text_distance(a, b, cases[i].most), cases[i].d);
        assert_int_equal(text_distance(b, a, cases[i].most), cases[i].d);
    }
    memset(longer, 'a', sizeof longer);
    assert_int_equal(text_distance(str_of(longer, 65), str_of(longer, 65), 2), 3);
    assert_int_equal(text_distance(str_of(longer, 64), str_of(longer, 63), 2), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(folds_what_people_type),
                                       cmocka_unit_test(counts_slips_of_the_finger)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
