/* Slices, numbers, UTF-8. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "base/str.h"

static void slices_are_compared(void **state)
{
    (void)state;
    assert_true(str_eq(STR_NONE, STR("")));
    assert_true(str_eq(str_of("a\0b", 3), str_of("a\0b", 3)));
    assert_false(str_eq(str_of("a\0b", 3), str_of("a\0c", 3)));
    assert_true(str_eq_z(STR("ab"), "ab"));
    assert_false(str_eq_z(STR("ab"), "abc"));
    assert_true(str_eq_nocase(STR("Host-1"), STR("hOST-1")));
    assert_false(str_eq_nocase(STR("[@"), STR("{`")));             /* letters only, not bit 5 */
    assert_false(str_eq_nocase(STR("\xc3\x89"), STR("\xc3\xa9"))); /* É é: never the locale's */
    assert_true(str_eq_secret(STR("abc"), STR("abc")));
    assert_false(str_eq_secret(STR("abc"), STR("abd")));
    assert_false(str_eq_secret(STR("abc"), STR("ab")));
    assert_true(str_eq_secret(STR_NONE, STR("")));
    assert_true(str_cmp(STR("a"), STR("b")) < 0 && str_cmp(STR("b"), STR("a")) > 0);
    assert_true(str_cmp(STR("a"), STR("ab")) < 0 && str_cmp(STR("ab"), STR("a")) > 0);
    assert_true(str_cmp(STR("\xff"), STR("a")) > 0); /* bytes, not signed characters */
    assert_int_equal(str_cmp(STR_NONE, STR("")), 0);
}

static void parts_are_found(void **state)
{
    (void)state;
    struct str s = STR("GET /a?b HTTP");
    assert_true(str_starts(s, STR("GET")) && str_starts(s, STR("")) && !str_starts(s, STR("get")));
    assert_true(str_ends(s, STR("HTTP")) && str_ends(s, STR_NONE) && !str_ends(STR("P"), s));
    assert_int_equal(str_find_char(s, '?'), 6);
    assert_int_equal(str_find_char(s, '!'), -1);
    assert_int_equal(str_find_char(STR_NONE, 'a'), -1);
    assert_int_equal(str_find(s, STR("/a")), 4);
    assert_int_equal(str_find(s, STR("/b")), -1);
    assert_int_equal(str_find(s, STR("")), 0);
    assert_int_equal(str_find(STR_NONE, STR("a")), -1);
    assert_true(str_eq_z(str_sub(s, 4, 2), "/a"));
    assert_true(str_eq_z(str_sub(s, 9, 100), "HTTP"));
    assert_int_equal(str_sub(s, 100, 1).n, 0);
    assert_int_equal(str_sub(STR_NONE, 0, 1).n, 0);
    assert_true(str_eq_z(str_after(s, 9), "HTTP"));
    assert_true(str_eq_z(str_trim(STR(" \t\r\na b\n ")), "a b"));
    assert_int_equal(str_trim(STR(" \r\n")).n, 0);
}

static void lists_are_split(void **state)
{
    (void)state;
    struct str rest = STR("a,,b,"), part;
    static const char *const want[] = {"a", "", "b", ""};
    for (size_t i = 0; i < COUNT_OF(want); i++) {
        assert_true(str_split(&rest, ',', &part));
        assert_true(str_eq_z(part, want[i]));
    }
    assert_false(str_split(&rest, ',', &part));
}

static void numbers_are_read_whole_or_not_at_all(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "-",
                                      "+1",
                                      " 1",
                                      "1 ",
                                      "1.0",
                                      "0x1",
                                      "--1",
                                      "1e3",
                                      "1\n",
                                      "18446744073709551616",
                                      "99999999999999999999"};
    uint64_t u;
    int64_t i;
    for (size_t n = 0; n < COUNT_OF(bad); n++) {
        assert_false(str_to_u64(str_from(bad[n]), &u));
        assert_false(str_to_i64(str_from(bad[n]), &i));
    }
    assert_true(str_to_u64(STR("18446744073709551615"), &u) && u == UINT64_MAX);
    assert_true(str_to_u64(STR("007"), &u) && u == 7);
    assert_false(str_to_u64(STR("-0"), &u));
    assert_true(str_to_i64(STR("9223372036854775807"), &i) && i == INT64_MAX);
    assert_true(str_to_i64(STR("-9223372036854775808"), &i) && i == INT64_MIN);
    assert_false(str_to_i64(STR("9223372036854775808"), &i));
    assert_false(str_to_i64(STR("-9223372036854775809"), &i));
    assert_false(str_to_u64(STR_NONE, &u));
}

static void utf_8_is_what_rfc_3629_says(void **state)
{
    (void)state;
    static const char *const good[] = {"",
                                       "a",
                                       "\x7f",
                                       "\xc2\x80",
                                       "\xdf\xbf",
                                       "\xe0\xa0\x80",
                                       "\xed\x9f\xbf",
                                       "\xee\x80\x80",
                                       "\xef\xbf\xbf",
                                       "\xf0\x90\x80\x80",
                                       "\xf4\x8f\xbf\xbf",
                                       "a\xc3\xa9z"};
    static const char *const bad[] = {"\x80",
                                      "\xbf",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xc2",
                                      "\xc2\x41",
                                      "\xc2\xc0",
                                      "\xe0\x9f\xbf",
                                      "\xe0\xa0",
                                      "\xed\xa0\x80",
                                      "\xed\xbf\xbf",
                                      "\xe2\x82\x41",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xf0\x90\x80",
                                      "\xfe",
                                      "\xff"};
    for (size_t i = 0; i < COUNT_OF(good); i++)
        assert_true(str_is_utf8(str_from(good[i])));
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        char text[16];
        snprintf(text, sizeof text, "ab%s", bad[i]);
        assert_false(str_is_utf8(str_from(text)));
    }
    assert_true(str_is_utf8(STR_NONE));
    assert_true(str_is_utf8(str_of("\0", 1)));
    assert_int_equal(str_utf8_len("\xf0\x9f\x98\x80", 4), 4);
    assert_int_equal(str_utf8_len("\xf0\x9f\x98\x80", 3), 0);
}

static void wiped_memory_is_zero(void **state)
{
    (void)state;
    char secret[8] = "secret";
    mem_wipe(secret, sizeof secret);
    for (size_t i = 0; i < sizeof secret; i++)
        assert_int_equal(secret[i], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slices_are_compared),
        cmocka_unit_test(parts_are_found),
        cmocka_unit_test(lists_are_split),
        cmocka_unit_test(numbers_are_read_whole_or_not_at_all),
        cmocka_unit_test(utf_8_is_what_rfc_3629_says),
        cmocka_unit_test(wiped_memory_is_zero),
    };
    return cmocka_run_group_tests_name("str", tests, NULL, NULL);
}
