/* Forms, cookies and URLs as browsers send them, and as an attacker might. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "web/form.h"

static struct arena arena;

static void assert_str(struct str got, const char *want)
{
    assert_true(got.p != NULL);
    assert_string_equal(arena_dupz(&arena, got), want);
}

static void fields_are_read_in_order(void **state)
{
    struct form f;
    (void)state;
    assert_int_equal(
        form_read(&arena, STR("nom=Lef%C3%A8vre&rue=12+rue+A%26B&x=1&x=2&vide=&seul&&=y"), &f),
        ERR_OK);
    assert_str(form_get(&f, "nom"), "Lef\xc3\xa8vre");
    assert_str(form_get(&f, "rue"), "12 rue A&B");
    assert_str(form_get(&f, "x"), "1");
    assert_int_equal(form_count(&f, "x"), 2);
    assert_str(form_get(&f, "vide"), "");
    assert_str(form_get(&f, "seul"), "");
    assert_str(form_get(&f, ""), "y");
    assert_null(form_get(&f, "absent").p);
    assert_int_equal(form_count(&f, "absent"), 0);
    assert_str(form_get(&f, "nom"), "Lef\xc3\xa8vre");
    assert_int_equal(form_read(&arena, STR_NONE, &f), ERR_OK);
    assert_int_equal(f.n, 0);
}

static void what_is_no_text_is_refused(void **state)
{
    const char *bad[] = {"a=%",    "a=%4",  "a=%zz",       "a=%00",
                         "a%00=b", "a=%ff", "a=%ed%a0%80", "\xff=1"};
    struct form f;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_int_equal(form_read(&arena, str_from(bad[i]), &f), ERR_INVALID);
    assert_int_equal(form_read(&arena, str_of("a=\0", 3), &f), ERR_INVALID);
}

static void fields_are_counted(void **state)
{
    struct buf b;
    struct form f;
    (void)state;
    buf_init(&b, 10000);
    for (int i = 0; i < 1200; i++)
        buf_add_z(&b, i ? "&a=1" : "a=1");
    assert_int_equal(form_read(&arena, buf_str(&b), &f), ERR_OK);
    assert_int_equal(f.n, 1200);
    buf_add_z(&b, "&a=1");
    assert_int_equal(form_read(&arena, buf_str(&b), &f), ERR_LIMIT);
    assert_int_equal(f.n, 0);
    buf_free(&b);
}

static void cookies(void **state)
{
    (void)state;
    struct str h = STR("a=1; __Host-s=abc=d;b=\"q\" ; a=1; sx=no");
    assert_str(cookie_get(h, "a"), "1");
    assert_str(cookie_get(h, "__Host-s"), "abc=d");
    assert_str(cookie_get(h, "b"), "q");
    assert_null(cookie_get(h, "s").p);
    assert_null(cookie_get(STR_NONE, "s").p);
    assert_str(cookie_make(&arena, "s", STR("v"), true, -1),
               "__Host-s=v; Path=/; HttpOnly; SameSite=Lax; Secure");
    assert_str(cookie_make(&arena, "s", STR(""), false, 0),
               "s=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0");
    assert_string_equal(cookie_name(&arena, "s", true), "__Host-s");
    assert_string_equal(cookie_name(&arena, "s", false), "s");
}

/* A neighbour's site (Domain=, a longer Path=) or an older syntax puts a cookie beside ours. */
static void tossed_cookies_name_nobody(void **state)
{
    (void)state;
    assert_null(cookie_get(STR("s=theirs; s=ours"), "s").p);
    assert_null(cookie_get(STR("s=ours; x=1; s="), "s").p);
    static const char *const not_ours[] = {
        "=__Host-s=v",
        "s=v",
        " __host-s=v",
        "__Host-s =v",
        "\xc2\xa0__Host-s=v",
        "x=\"__Host-s=v",
        "$Version=1;S=v",
        "__Host-s",
        "\xe2\x80\x80__Host-s=v",
        "__Host-sx=v",
        "x=1,__Host-s=v",
        "__Host-s;=v",
    };
    for (size_t i = 0; i < COUNT_OF(not_ours); i++)
        assert_null(cookie_get(str_from(not_ours[i]), "__Host-s").p);
}

static void urls_take_parameters(void **state)
{
    (void)state;
    assert_str(url_with(&arena, STR("https://a/b"), "c", STR("d e&=\xc3\xa9")),
               "https://a/b?c=d%20e%26%3D%C3%A9");
    assert_str(url_with(&arena, STR("https://a/b?x=1#top"), "c", STR("d")),
               "https://a/b?x=1&c=d#top");
    assert_str(url_with(&arena, STR("/b?"), "c", STR("")), "/b?c=");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_read_in_order),   cmocka_unit_test(what_is_no_text_is_refused),
        cmocka_unit_test(fields_are_counted),         cmocka_unit_test(cookies),
        cmocka_unit_test(tossed_cookies_name_nobody), cmocka_unit_test(urls_take_parameters),
    };
    arena_init(&arena);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_free(&arena);
    return failed;
}
