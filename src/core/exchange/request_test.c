#include "core/exchange/request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/clock.h"

static struct request_book *book_of(const char *operations)
{
    json_t *v;
    assert_int_equal(json_read(str_from(operations), &v, NULL), ERR_OK);
    struct request_book *b = request_book_new(v);
    json_decref(v);
    return b;
}

static const char *ask(const struct request_book *b, const char *method, const char *path,
                       const char *query, struct str body)
{
    static char said[SCHEMA_PATH_MAX + 40];
    struct http_head h = {.method = strcmp(method, "POST") == 0 ? HTTP_POST : HTTP_GET,
                          .query = str_from(query),
                          .n_headers = 1};
    h.headers[0] =
        (struct http_header){STR("Content-Type"), STR("application/json; charset=utf-8")};
    struct request r = {.head = &h, .rest = str_from(path), .body = body, .ours = STR("cle")};
    struct request_fault f = {0};
    struct arena a;
    arena_init(&a);
    bool fits = request_fits(b, &a, &r, &f);
    arena_free(&a);
    snprintf(said, sizeof said, "%s %s %s", fits ? "" : f.in, fits ? "" : f.name,
             fits ? "" : f.rule);
    return fits ? "fits" : said;
}

static void test_the_more_exact_path_first(void **state)
{
    (void)state;
    struct request_book *b = book_of(
        "{\"schemas\":{},\"operations\":["
        "{\"method\":\"get\",\"path\":\"/a/{id}\",\"params\":[{\"name\":\"id\",\"in\":\"path\","
        "\"required\":true,\"explode\":false,\"schema\":{\"type\":\"integer\"}}],\"body\":null},"
        "{\"method\":\"get\",\"path\":\"/a/tous\",\"params\":[],\"body\":null},"
        "{\"method\":\"get\",\"path\":\"/cle\",\"params\":[{\"name\":\"cle\",\"in\":\"query\","
        "\"required\":true,\"explode\":true,\"schema\":null}],\"body\":null}]}");
    assert_string_equal(ask(b, "GET", "/a/7", "", STR("")), "fits");
    assert_string_equal(ask(b, "GET", "/a/%37", "", STR("")), "fits");
    assert_string_equal(ask(b, "GET", "/a/x", "", STR("")), "path id type");
    assert_string_equal(ask(b, "GET", "/a/tous", "", STR("")), "fits");
    assert_string_equal(ask(b, "GET", "/a/x/y", "", STR("")), "fits"); /* nobody describes it */
    assert_string_equal(ask(b, "GET", "/cle", "", STR("")), "fits");   /* the gateway adds it */
    request_book_unref(b);
}

static void test_what_a_book_leaves_out(void **state)
{
    (void)state;
    request_book_unref(book_of("{}"));
    struct request_book *b =
        book_of("{\"operations\":[{},3,{\"method\":\"brew\",\"path\":\"/x\"},{\"method\":\"get\","
                "\"path\":\"\",\"params\":7},{\"method\":\"post\",\"path\":\"/x\",\"params\":["
                "{\"in\":\"query\"},null],\"body\":{\"content\":{\"application/json\":{"
                "\"$ref\":\"#/nowhere\"}}}}]}");
    assert_string_equal(ask(b, "POST", "/x", "a=1", STR("{}")), "fits");
    request_book_unref(request_book_ref(b));
    request_book_unref(b);
}

/* The worst schema and the worst body: bounded, whatever they are. */
static void test_bounded(void **state)
{
    (void)state;
    struct request_book *b = book_of(
        "{\"schemas\":{\"#/n\":{\"anyOf\":[{\"$ref\":\"#/n\"},{\"$ref\":\"#/n\"},{\"type\":"
        "\"array\",\"items\":{\"$ref\":\"#/n\"}},{\"type\":\"string\",\"pattern\":\"^(a+)+$\"}]}},"
        "\"operations\":[{\"method\":\"post\",\"path\":\"/x\",\"params\":[],\"body\":{\"required\":"
        "true,\"content\":{\"application/json\":{\"$ref\":\"#/n\"}}}}]}");
    static char body[REQUEST_JSON_MAX];
    size_t n = 0;
    body[n++] = '[';
    while (n + 40 < sizeof body)
        n += (size_t)snprintf(body + n, sizeof body - n, "%s\"aaaaaaaaaaaaaaaaaaaaaaaaaaaa!\"",
                              n > 1 ? "," : "");
    body[n++] = ']';
    int64_t began_us = clock_mono_us();
    ask(b, "POST", "/x", "", str_of(body, n));
    assert_true(clock_mono_us() - began_us < 5000000); /* not the age of the universe */
    request_book_unref(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_more_exact_path_first),
        cmocka_unit_test(test_what_a_book_leaves_out),
        cmocka_unit_test(test_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
