#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "data/yaml.h"

static void reads_what_json_reads(void **state)
{
    static const char *const same[][2] = {
        {"a: 1\nb: [x, 'y', \"z\"]\n", "{\"a\":1,\"b\":[\"x\",\"y\",\"z\"]}"},
        {"yes: no\non: off\n", "{\"yes\":\"no\",\"on\":\"off\"}"},
        {"200:\n  ok: true\n  no: ~\n", "{\"200\":{\"ok\":true,\"no\":null}}"},
        {"v: '1'\nw: !!str 1\nx: 0x10\ny: 1.5\nz: 2026-11-24\n",
         "{\"v\":\"1\",\"w\":\"1\",\"x\":16,\"y\":1.5,\"z\":\"2026-11-24\"}"},
        {"a: &k {b: 1}\nc: *k\n", "{\"a\":{\"b\":1},\"c\":{\"b\":1}}"},
        {"{\"a\": {\"b\": [1, null]}}", "{\"a\":{\"b\":[1,null]}}"},
        {"t: |\n  one\n  two\n", "{\"t\":\"one\\ntwo\\n\"}"},
        {"v: 1.2.3\nw: +\nx: -a\n", "{\"v\":\"1.2.3\",\"w\":\"+\",\"x\":\"-a\"}"},
    };
    struct arena a;
    (void)state;
    arena_init(&a);
    for (size_t i = 0; i < COUNT_OF(same); i++) {
        struct yaml_doc doc;
        struct json_fault fault;
        assert_int_equal(yaml_doc_read(str_from(same[i][0]), &doc, &fault), ERR_OK);
        assert_string_equal(arena_dupz(&a, json_text(&a, doc.root)), same[i][1]);
        yaml_doc_free(&doc);
    }
    arena_free(&a);
}

static void knows_the_lines(void **state)
{
    static const char *const texts[] = {
        "info:\n  title: X\npaths:\n  /a:\n    get:\n      tags:\n        - one\n",
        "{\"info\":\n {\"title\": \"X\"},\n \"paths\":\n {\"/a\":\n {\"get\":\n {\"tags\":\n "
        "[\"one\"]}}}}",
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct yaml_doc doc;
        assert_int_equal(yaml_doc_read(str_from(texts[i]), &doc, NULL), ERR_OK);
        const json_t *paths = json_get(doc.root, "paths"), *a = json_get(paths, "/a");
        const json_t *tags = json_get(json_get(a, "get"), "tags");
        assert_int_equal(yaml_doc_line(&doc, paths), 3);
        assert_int_equal(yaml_doc_line(&doc, a), 4);
        assert_int_equal(yaml_doc_line(&doc, tags), 6);
        assert_int_equal(yaml_doc_line(&doc, json_array_get(tags, 0)), 7);
        yaml_doc_free(&doc);
    }
}

static void says_where_it_is_wrong(void **state)
{
    static const struct {
        const char *text;
        int line;
        const char *word;
    } bad[] = {
        {"a: 1\nb: 2\na: 3\n", 3, "twice"}, {"a: 1\n  b: 2\n", 2, ""},  {"a: *none\n", 1, "anchor"},
        {"a: 1\n---\nb: 2\n", 2, "second"}, {"", 1, "empty"},           {"? [a]\n: 1\n", 1, "key"},
        {"{\"a\": 1,\n \"a\": 2}", 2, ""},  {"a: \"\\0\"\n", 1, "NUL"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct yaml_doc doc;
        struct json_fault fault = {0};
        assert_int_equal(yaml_doc_read(str_from(bad[i].text), &doc, &fault), ERR_INVALID);
        assert_int_equal(fault.line, bad[i].line);
        assert_non_null(strstr(fault.text, bad[i].word));
    }
}

/* Nine anchors of nine aliases each would be 400 million values. */
static void holds_its_limits(void **state)
{
    struct buf b;
    struct yaml_doc doc;
    struct json_fault fault;
    (void)state;
    buf_init(&b, 1 << 20);
    buf_add_z(&b, "a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for (int i = 1; i < 10; i++) {
        buf_printf(&b, "a%d: &a%d [", i, i);
        for (int k = 0; k < 9; k++)
            buf_printf(&b, "%s*a%d", k ? ", " : "", i - 1);
        buf_add_z(&b, "]\n");
    }
    assert_int_equal(yaml_doc_read(buf_str(&b), &doc, &fault), ERR_LIMIT);
    assert_true(fault.line > 1);
    buf_reset(&b);
    for (int i = 0; i < 70; i++)
        buf_add_char(&b, '[');
    assert_int_not_equal(yaml_doc_read(buf_str(&b), &doc, &fault), ERR_OK);
    buf_reset(&b);
    buf_add_z(&b, "a: ");
    for (int i = 0; i < 70; i++)
        buf_add_char(&b, '[');
    assert_int_equal(yaml_doc_read(buf_str(&b), &doc, &fault), ERR_LIMIT);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_json_reads), cmocka_unit_test(knows_the_lines),
        cmocka_unit_test(says_where_it_is_wrong), cmocka_unit_test(holds_its_limits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
