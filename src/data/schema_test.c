/* Values against schemas: what fits says nothing, what departs says where and why. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include "data/schema.h"

static char said[2000];

static void note(void *arg, const char *path, const char *keyword)
{
    size_t n = strlen(said);
    (void)arg;
    snprintf(said + n, sizeof said - n, "%s:%s ", path, keyword);
}

/* "#/definitions/x" of the document in arg. */
static const json_t *ref(void *arg, const json_t *s)
{
    const char *to = json_get_z(s, "$ref", NULL);
    return to ? json_get(arg, to) : s;
}

static const char *judged(const char *schema, const char *value)
{
    json_t *s, *v;
    said[0] = '\0';
    assert_int_equal(json_read(str_from(schema), &s, NULL), ERR_OK);
    assert_int_equal(json_read(str_from(value), &v, NULL), ERR_OK);
    const struct schema_judge j = {.ref = ref, .ref_arg = s, .departs = note};
    size_t n = schema_check(&j, s, v), spaces = 0;
    for (const char *p = said; *p; p++)
        spaces += *p == ' ';
    assert_int_equal(n, spaces);
    json_decref(s);
    json_decref(v);
    return said;
}

static void types(void **state)
{
    (void)state;
    assert_string_equal(judged("{\"type\":\"integer\"}", "3"), "");
    assert_string_equal(judged("{\"type\":\"integer\"}", "3.0"), "");
    assert_string_equal(judged("{\"type\":\"integer\"}", "3.5"), ":type ");
    assert_string_equal(judged("{\"type\":\"string\",\"nullable\":true}", "null"), "");
    assert_string_equal(judged("{\"type\":\"string\"}", "null"), ":type ");
    assert_string_equal(judged("{\"type\":[\"string\",\"null\"]}", "null"), "");
    assert_string_equal(judged("{\"type\":[\"string\",\"null\"]}", "1"), ":type ");
    assert_string_equal(judged("{\"enum\":[\"a\",\"b\"]}", "\"c\""), ":enum ");
    assert_string_equal(judged("{\"const\":1}", "2"), ":const ");
}

static void bounds(void **state)
{
    (void)state;
    assert_string_equal(judged("{\"minimum\":1,\"maximum\":3}", "2"), "");
    assert_string_equal(judged("{\"minimum\":1}", "0"), ":minimum ");
    assert_string_equal(judged("{\"minimum\":1,\"exclusiveMinimum\":true}", "1"), ":minimum ");
    assert_string_equal(judged("{\"exclusiveMaximum\":3}", "3"), ":exclusiveMaximum ");
    assert_string_equal(judged("{\"maxLength\":4}", "\"\xc3\xa9t\xc3\xa9s\""), "");
    assert_string_equal(judged("{\"maxLength\":3}", "\"\xc3\xa9t\xc3\xa9s\""), ":maxLength ");
    assert_string_equal(judged("{\"minItems\":1}", "[]"), ":minItems ");
}

static void where(void **state)
{
    (void)state;
    const char *s = "{\"type\":\"object\",\"required\":[\"total\"],\"additionalProperties\":false,"
                    "\"properties\":{\"total\":{\"type\":\"integer\"},\"list\":{\"type\":\"array\","
                    "\"items\":{\"type\":\"object\",\"properties\":{\"nom\":{\"type\":\"string\"}}}"
                    "}}}";
    assert_string_equal(judged(s, "{\"total\":1,\"list\":[{\"nom\":\"a\"},{}]}"), "");
    assert_string_equal(judged(s, "{\"list\":[{\"nom\":2}],\"x\":1}"),
                        "total:required list.nom:type x:additionalProperties ");
}

static void together(void **state)
{
    (void)state;
    const char *s = "{\"oneOf\":[{\"type\":\"string\"},{\"type\":\"integer\"}]}";
    assert_string_equal(judged(s, "1"), "");
    assert_string_equal(judged(s, "true"), ":oneOf ");
    assert_string_equal(judged("{\"anyOf\":[{\"type\":\"string\"}]}", "1"), ":anyOf ");
    assert_string_equal(judged("{\"allOf\":[{\"type\":\"string\"}]}", "1"), ":type ");
    assert_string_equal(judged("{\"not\":{\"type\":\"string\"}}", "\"a\""), ":not ");
}

/* A description that refers to itself must end, and one that lies says nothing. */
static void circles(void **state)
{
    (void)state;
    const char *s = "{\"$ref\":\"a\",\"a\":{\"type\":\"object\",\"properties\":{\"next\":{\"$ref\":"
                    "\"a\"}}},\"b\":{\"allOf\":[{\"$ref\":\"b\"},{\"$ref\":\"b\"}]}}";
    assert_string_equal(judged(s, "{\"next\":{\"next\":{\"next\":1}}}"), "next.next.next:type ");
    assert_string_equal(
        judged("{\"$ref\":\"b\",\"b\":{\"allOf\":[{\"$ref\":\"b\"},{\"$ref\":\"b\"}]}}", "1"), "");
    assert_string_equal(judged("{\"$ref\":\"nowhere\"}", "1"), "");
    assert_string_equal(judged("{\"type\":7,\"enum\":2,\"required\":3,\"properties\":4}", "{}"),
                        "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types),    cmocka_unit_test(bounds),  cmocka_unit_test(where),
        cmocka_unit_test(together), cmocka_unit_test(circles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
