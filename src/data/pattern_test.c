#include "data/pattern.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static bool fits(const char *pattern, const char *value)
{
    struct pattern *p = pattern_new(str_from(pattern));
    assert_non_null(p);
    bool yes = pattern_fits(p, str_from(value));
    pattern_free(p);
    return yes;
}

static void test_as_json_schema_has_it(void **state)
{
    (void)state;
    assert_true(fits("^[0-9]{14}$", "99900600000015"));
    assert_false(fits("^[0-9]{14}$", "9990060000001"));
    assert_false(fits("^[0-9]{2}$", "12\n")); /* ECMA's $ is the very end */
    assert_true(fits("b", "abc"));            /* not anchored */
    assert_true(fits("^\\u00e9t\\u00e9$", "\u00e9t\u00e9"));
    assert_true(fits("^.$", "\u20ac")); /* a character, not a byte */
    assert_true(fits("^(?!00)\\d\\d$", "42"));
    assert_false(fits("^(?!00)\\d\\d$", "00"));
    assert_true(fits("", ""));
}

static void test_bounded(void **state)
{
    char many[4000];
    (void)state;
    assert_null(pattern_new(STR("([")));
    memset(many, 'a', sizeof many);
    assert_null(pattern_new(str_of(many, sizeof many)));
    many[sizeof many - 1] = '\0';
    assert_true(fits("^(a+)+$", many));
    many[sizeof many - 2] = '!';
    assert_true(fits("^(a+)+$", many)); /* would take years: nothing is said */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_json_schema_has_it),
        cmocka_unit_test(test_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
