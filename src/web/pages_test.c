/* Every page compiles, every text a page asks for exists in French and in English, and the table of
 * compiled-in files is found by path. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "web/assets.h"
#include "web/pages.h"

static int load(void **state)
{
    (void)state;
    return pages_load() == ERR_OK ? 0 : -1;
}

static void say(void *arg, const char *page, const char *lang, const char *key)
{
    (void)arg;
    print_error("missing: %s (%s): %s\n", page, lang, key);
}

static void no_text_is_missing_in_any_language(void **state)
{
    (void)state;
    assert_int_equal(pages_check(say, NULL), 0);
}

static void assets_are_sorted_and_found(void **state)
{
    (void)state;
    assert_true(assets_n > 0);
    for (size_t i = 0; i < assets_n; i++) {
        if (i)
            assert_true(strcmp(assets[i - 1].path, assets[i].path) < 0);
        struct str s = asset_get(assets[i].path);
        assert_non_null(s.p);
        assert_int_equal(s.n, assets[i].size);
    }
    assert_null(asset_get("src/platform/none.css").p);
    assert_null(asset_get("").p);
    size_t at = 0, n = 0;
    for (const struct asset *a; (a = asset_next("src/platform/text/", &at)) != NULL; n++)
        assert_memory_equal(a->path, "src/platform/text/", 18);
    assert_int_equal(n, 2);
}

static void a_text_is_plain_words_in_the_language_asked(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a);
    struct str fr = pages_text(&a, "platform", "site.demo", "fr", NULL);
    struct str en = pages_text(&a, "no-such-module", "site.demo", "en", NULL);
    assert_true(fr.n > 0 && en.n > 0 && !str_eq(fr, en));
    assert_null(pages_text(&a, "platform", "no.such.key", "fr", NULL).p);
    arena_free(&a);
}

static void an_unknown_page_is_not_found(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1000);
    assert_int_equal(pages_render("platform/none", "fr", NULL, &b), ERR_NOT_FOUND);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_text_is_missing_in_any_language),
        cmocka_unit_test(assets_are_sorted_and_found),
        cmocka_unit_test(a_text_is_plain_words_in_the_language_asked),
        cmocka_unit_test(an_unknown_page_is_not_found),
    };
    return cmocka_run_group_tests(tests, load, NULL);
}
