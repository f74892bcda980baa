/* The rules of the setting `retention`: what is one, and what is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include "platform/retention.h"

static void rules_are_kinds_and_months(void **state)
{
    static const char *const good[] = {"", "  ", "a=1", "identity.signin=36  x.y_z=1200 ", " a=12"};
    static const char *const bad[] = {"a", "=3", "a=", "a=0", "a=-1", "a=1201", "a=12 b", "a=1x"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(good); i++)
        assert_int_equal(retention_check(good[i]), ERR_OK);
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_int_equal(retention_check(bad[i]), ERR_INVALID);
    struct settings s = {.retention = "identity.signin=36  procedure.read=6"};
    assert_int_equal(retention_months(&s, "identity.signin"), 36);
    assert_int_equal(retention_months(&s, "procedure.read"), 6);
    assert_int_equal(retention_months(&s, "procedure.submitted"), 0);
}

static void twelve_months_are_a_year(void **state)
{
    (void)state;
    assert_int_equal(RETENTION_MONTH_MS * 12 * 400, 146097LL * 86400 * 1000); /* of 400 years */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_are_kinds_and_months),
        cmocka_unit_test(twelve_months_are_a_year),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
