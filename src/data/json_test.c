/* JSON: bad documents are refused with a place and a reason; what the emitter writes is read back.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "data/json.h"

/* clang-format off */
static const struct {
    const char *text;
    size_t n;
} bad[] = {
#define BAD(s) {s, sizeof s - 1}
    /* nothing, more than one, something behind */
    BAD(""), BAD(" "), BAD("{} {}"), BAD("1 2"), BAD("{}x"), BAD("[],"), BAD("null null"),
    /* NUL, also where jansson overlooks it */
    BAD("1\0"), BAD("{}\0"), BAD("\0{}"), BAD("[1\0]"), BAD("\"a\0b\""), BAD("\"a\\u0000b\""),
    BAD("{\"a\\u0000\":1}"),
    /* duplicates */
    BAD("{\"a\":1,\"a\":1}"), BAD("{\"a\":1,\"\\u0061\":2}"), BAD("[{\"x\":{\"b\":1,\"c\":2,\"b\":3}}]"),
    /* not UTF-8: stray bytes, overlong forms, surrogates, beyond Unicode, cut */
    BAD("\"\xff\""), BAD("\"\x80\""), BAD("\"\xc0\xaf\""), BAD("\"\xe0\x80\xaf\""), BAD("\"\xed\xa0\x80\""),
    BAD("\"\xf4\x90\x80\x80\""), BAD("\"\xc3\""), BAD("\"\xe2\x82\""), BAD("\xef\xbb\xbf{}"),
    BAD("\"\\ud800\""), BAD("\"\\udc00\\ud800\""), BAD("\"\\ud800x\""),
    /* what other languages allow */
    BAD("{a:1}"), BAD("{'a':1}"), BAD("[1,]"), BAD("{\"a\":1,}"), BAD("// c\n1"), BAD("/* c */1"),
    BAD("NaN"), BAD("-Infinity"), BAD("0x10"), BAD("01"), BAD("1."), BAD(".5"), BAD("+1"), BAD("-"),
    BAD("1e"), BAD("True"), BAD("nul"), BAD("\"a\nb\""), BAD("\"a\tb\""), BAD("\"\\x41\""), BAD("\"\\u12\""),
    /* cut */
    BAD("{"), BAD("["), BAD("[1"), BAD("{\"a\""), BAD("{\"a\":"), BAD("\"a"), BAD("\"a\\"), BAD("tru"),
    /* numbers that do not fit */
    BAD("9223372036854775808"), BAD("-9223372036854775809"), BAD("1e400"),
};
/* clang-format on */

static void bad_documents_are_refused_with_a_reason(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        json_t *v;
        struct json_fault f;
        char *copy = malloc(bad[i].n ? bad[i].n : 1); /* reading behind it would be noticed */
        memcpy(copy, bad[i].text, bad[i].n);
        if (json_read(str_of(copy, bad[i].n), &v, &f) != ERR_INVALID || v || !f.text[0])
            fail_msg("%zu: %s was read", i, bad[i].text);
        assert_int_equal(json_read(str_of(copy, bad[i].n), &v, NULL), ERR_INVALID);
        free(copy);
    }
    json_t *v;
    assert_int_equal(json_read(STR_NONE, &v, NULL), ERR_INVALID);
}

static void a_fault_says_where(void **state)
{
    (void)state;
    json_t *v;
    struct json_fault f;
    assert_int_equal(json_read(STR("{\n  \"a\": 1,\n  \"b\": oui\n}"), &v, &f), ERR_INVALID);
    assert_int_equal(f.line, 3);
    assert_true(f.column > 5);
    assert_int_equal(json_read(STR("{}"), &v, &f), ERR_OK);
    assert_int_equal(f.line, 0);
    assert_string_equal(f.text, "");
    json_decref(v);
}

static void depth_ends_at_64(void **state)
{
    (void)state;
    for (int deep = 0; deep <= 1; deep++) {
        struct buf b;
        json_t *v;
        struct json_fault f;
        buf_init(&b, 4096);
        for (int i = 0; i < 64 + deep; i++)
            buf_add_z(&b, i % 2 ? "{\"a\":" : "[");
        buf_add_z(&b, "\"[[[[{{{{\\\"[[\"");
        for (int i = 64 + deep; i > 0; i--)
            buf_add_z(&b, i % 2 ? "]" : "}");
        assert_int_equal(json_read(buf_str(&b), &v, &f), deep ? ERR_INVALID : ERR_OK);
        if (deep)
            assert_non_null(strstr(f.text, "deeper"));
        json_decref(v);
        buf_free(&b);
    }
    struct buf b; /* a million levels cost no stack */
    json_t *v;
    buf_init(&b, 2000000);
    for (int i = 0; i < 1000000; i++)
        buf_add_char(&b, '[');
    assert_int_equal(json_read(buf_str(&b), &v, NULL), ERR_INVALID);
    buf_free(&b);
}

static void members_have_defaults(void **state)
{
    (void)state;
    json_t *v;
    assert_int_equal(
        json_read(STR("{\"s\":\"é\",\"i\":-5,\"b\":true,\"n\":null,\"r\":1.5,\"o\":{}}"), &v, NULL),
        ERR_OK);
    assert_true(str_eq(json_get_str(v, "s"), STR("é")));
    assert_int_equal(json_get_str(v, "i").n, 0);
    assert_int_equal(json_get_str(v, "none").n, 0);
    assert_string_equal(json_get_z(v, "s", "x"), "é");
    assert_string_equal(json_get_z(v, "n", "x"), "x");
    assert_null(json_get_z(v, "none", NULL));
    assert_int_equal(json_get_i64(v, "i", 9), -5);
    assert_int_equal(json_get_i64(v, "r", 9), 9);
    assert_int_equal(json_get_i64(v, "s", 9), 9);
    assert_true(json_get_bool(v, "b", false));
    assert_true(json_get_bool(v, "n", true));
    assert_false(json_get_bool(v, "i", false));
    assert_true(json_is_object(json_get(v, "o")));
    assert_null(json_get(v, "none"));
    assert_null(json_get(NULL, "o"));
    json_decref(v);
}

static void every_text_comes_back_from_the_emitter(void **state)
{
    (void)state;
    struct buf b;
    struct jw w;
    json_t *v;
    char all[127];
    for (size_t i = 0; i < sizeof all; i++)
        all[i] = (char)(i + 1);
    buf_init(&b, 4096);
    jw_start(&w, &b);
    jw_arr(&w);
    jw_str(&w, str_of(all, sizeof all));
    jw_z(&w, "é\xe2\x80\xa8😀</script>");
    jw_end(&w);
    assert_int_equal(json_read(buf_str(&b), &v, NULL), ERR_OK);
    assert_memory_equal(json_string_value(json_array_get(v, 0)), all, sizeof all);
    assert_string_equal(json_string_value(json_array_get(v, 1)), "é\xe2\x80\xa8😀</script>");
    json_decref(v);
    buf_free(&b);
}

static void the_emitter_sets_its_commas(void **state)
{
    (void)state;
    struct buf b;
    struct jw w;
    buf_init(&b, 4096);
    jw_start(&w, &b);
    jw_obj(&w);
    jw_kstr(&w, "a\"", STR("x"));
    jw_ki64(&w, "min", INT64_MIN);
    jw_ki64(&w, "max", INT64_MAX);
    jw_kbool(&w, "t", true);
    jw_kz(&w, "n", NULL);
    jw_key(&w, "l");
    jw_arr(&w);
    jw_obj(&w);
    jw_end(&w);
    jw_arr(&w);
    jw_end(&w);
    jw_i64(&w, 0);
    jw_null(&w);
    jw_bool(&w, false);
    jw_raw(&w, STR("{\"r\":1}"));
    jw_end(&w);
    jw_key(&w, "o");
    jw_obj(&w);
    jw_end(&w);
    jw_end(&w);
    assert_true(
        str_eq(buf_str(&b),
               STR("{\"a\\\"\":\"x\",\"min\":-9223372036854775808,\"max\":9223372036854775807,"
                   "\"t\":true,\"n\":null,\"l\":[{},[],0,null,false,{\"r\":1}],\"o\":{}}")));
    buf_free(&b);
}

static void trees_are_written_compact(void **state)
{
    (void)state;
    struct arena a;
    struct buf b;
    struct json_pool pool = {0};
    json_t *v;
    arena_init(&a);
    assert_int_equal(json_read(STR(" { \"b\" : [ 1 , 2.5 ] , \"a\" : \"\\u00e9\\n\" } "), &v, NULL),
                     ERR_OK);
    assert_ptr_equal(json_own(&pool, v), v);
    assert_null(json_own(&pool, NULL));
    assert_true(str_eq(json_text(&a, v), STR("{\"b\":[1,2.5],\"a\":\"é\\n\"}")));
    buf_init(&b, 10);
    json_write(&b, v); /* over the ceiling */
    assert_int_equal(b.err, ERR_LIMIT);
    buf_free(&b);
    json_pool_free(&pool);
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_documents_are_refused_with_a_reason),
        cmocka_unit_test(a_fault_says_where),
        cmocka_unit_test(depth_ends_at_64),
        cmocka_unit_test(members_have_defaults),
        cmocka_unit_test(every_text_comes_back_from_the_emitter),
        cmocka_unit_test(the_emitter_sets_its_commas),
        cmocka_unit_test(trees_are_written_compact),
    };
    return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
