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

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(folds_what_people_type)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
