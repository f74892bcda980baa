/* Buffers hold to their ceiling; encodings come out as their standards say. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"

static struct buf b;

static int setup(void **state)
{
    (void)state;
    buf_init(&b, 1 << 20);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    buf_free(&b);
    return 0;
}

static void additions_follow_each_other(void **state)
{
    (void)state;
    buf_add_str(&b, STR("ab"));
    buf_add_z(&b, "cd");
    buf_add_char(&b, 'e');
    buf_add_u64(&b, 0);
    buf_add_u64(&b, UINT64_MAX);
    buf_printf(&b, "[%d %s]", -1, "x");
    buf_add(&b, NULL, 0);
    assert_true(str_eq_z(buf_str(&b), "abcde018446744073709551615[-1 x]"));
    buf_drop(&b, 5);
    assert_true(str_starts(buf_str(&b), STR("0184")));
    buf_drop(&b, 1000);
    assert_int_equal(b.n, 0);
    for (int i = 0; i < 100000; i++)
        buf_add_char(&b, (char)i);
    for (int i = 0; i < 100000; i++)
        assert_int_equal(b.p[i], (char)i);
    assert_int_equal(b.err, ERR_OK);
}

static void the_ceiling_is_sticky_and_drops_whole_additions(void **state)
{
    (void)state;
    struct buf small;
    buf_init(&small, 10);
    buf_add_z(&small, "12345");
    buf_add_z(&small, "123456");
    assert_int_equal(small.err, ERR_LIMIT);
    buf_add_z(&small, "1"); /* would fit, but something is missing before it */
    assert_true(str_eq_z(buf_str(&small), "12345"));
    assert_null(buf_room(&small, 1));
    buf_reset(&small);
    assert_int_equal(small.err, ERR_OK);
    buf_add_z(&small, "1234567890");
    assert_int_equal(small.err, ERR_OK);
    assert_int_equal(small.n, 10);
    assert_null(buf_room(&small, SIZE_MAX));
    buf_reset(&small);
    buf_printf(&small, "%s", "a text longer than ten");
    assert_int_equal(small.err, ERR_LIMIT);
    assert_int_equal(small.n, 0);
    buf_free(&small);
    assert_int_equal(small.ceiling, 10);
}

static void room_is_written_in_place(void **state)
{
    (void)state;
    char *p = buf_room(&b, 5000);
    assert_non_null(p);
    memcpy(p, "abc", 3);
    buf_grew(&b, 3);
    assert_true(str_eq_z(buf_str(&b), "abc"));
    buf_wipe(&b);
    assert_null(b.p);
}

static void says(const char *want)
{
    assert_true(str_eq_z(buf_str(&b), want));
    buf_reset(&b);
}

static void encodings_are_their_standards(void **state)
{
    (void)state;
    buf_add_hex(&b, "\x00\x7f\xff", 3);
    says("007fff");
    static const char *const base64[] = {"",         "Zg==",     "Zm8=",    "Zm9v",
                                         "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"};
    for (size_t i = 0; i < COUNT_OF(base64); i++) { /* RFC 4648 10 */
        buf_add_base64(&b, "foobar", i);
        says(base64[i]);
    }
    buf_add_base64(&b, "\xfb\xff\xbf", 3);
    says("+/+/");
    buf_add_base64url(&b, "\xfb\xff\xbf\xff", 4);
    says("-_-__w");
    buf_add_html(&b, STR("<a href=\"x\">'&é"));
    says("&lt;a href=&quot;x&quot;&gt;&#39;&amp;é");
    buf_add_url(&b, STR("aZ09-._~ /?&=+%é\n"));
    says("aZ09-._~%20%2F%3F%26%3D%2B%25%C3%A9%0A");
    buf_add_json(&b, str_of("\"\\/\b\n\0\x1f\x7f"
                            "é",
                            10));
    says("\"\\\"\\\\/\\u0008\\u000a\\u0000\\u001f\x7f"
         "é\"");
    buf_add_json(&b, STR_NONE);
    says("\"\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(additions_follow_each_other, setup, teardown),
        cmocka_unit_test_setup_teardown(the_ceiling_is_sticky_and_drops_whole_additions, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(room_is_written_in_place, setup, teardown),
        cmocka_unit_test_setup_teardown(encodings_are_their_standards, setup, teardown),
    };
    return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}
