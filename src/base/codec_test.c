/* Decoders: the standards' examples, and one spelling a value. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/codec.h"

typedef enum err decoder(struct arena *a, struct str text, struct str *out);

static enum err url(struct arena *a, struct str text, struct str *out)
{
    return codec_url(a, text, false, out);
}

static enum err form(struct arena *a, struct str text, struct str *out)
{
    return codec_url(a, text, true, out);
}

static void gives(decoder *fn, const char *text, struct str want)
{
    struct arena a;
    struct str got;
    arena_init(&a);
    assert_int_equal(fn(&a, str_from(text), &got), ERR_OK);
    assert_true(str_eq(got, want));
    assert_int_equal(got.p[got.n], 0);
    arena_free(&a);
}

static void refuses(decoder *fn, const char *const *bad, size_t n)
{
    struct arena a;
    struct str got;
    arena_init(&a);
    for (size_t i = 0; i < n; i++)
        if (fn(&a, str_from(bad[i]), &got) != ERR_INVALID)
            fail_msg("%s was read", bad[i]);
    arena_free(&a);
}

static void hexadecimal(void **state)
{
    (void)state;
    static const char *const bad[] = {"0", "0g", "0x", " 00", "00 ", "g0", "000"};
    gives(codec_hex, "", STR(""));
    gives(codec_hex, "00fFAb", STR("\x00\xff\xab"));
    refuses(codec_hex, bad, COUNT_OF(bad));
}

static void base64(void **state)
{
    (void)state;
    static const char *const texts[] = {"",         "Zg==",     "Zm8=",    "Zm9v",
                                        "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"};
    static const char *const bad[] = {"Z",      "Zg",   "Zg=",  "Zg===", "Zh==",     "Zm9=", "Zm 9",
                                      "Zm9v\n", "Zm9-", "====", "=",     "Zg==Zg==", "Z=g="};
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        gives(codec_base64, texts[i], str_of("foobar", i));
    gives(codec_base64, "+/+/", STR("\xfb\xff\xbf"));
    refuses(codec_base64, bad, COUNT_OF(bad));
}

static void base64url(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "Zg", "Zm8", "Zm9v", "Zm9vYg", "Zm9vYmE", "Zm9vYmFy"};
    static const char *const bad[] = {"Z",    "Zg==", "Zh",  "Zm9",  "Zm9vY",
                                      "Zm9+", "Zm9/", "Z g", "Zg\n", "é"};
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        gives(codec_base64url, texts[i], str_of("foobar", i));
    gives(codec_base64url, "-_-__w", STR("\xfb\xff\xbf\xff"));
    refuses(codec_base64url, bad, COUNT_OF(bad));
}

static void percent(void **state)
{
    (void)state;
    static const char *const bad[] = {"%", "%4", "a%", "%4g", "%g4", "%%41", "% 41", "%-1"};
    gives(url, "a%20b%C3%a9+%00", STR("a b\xc3\xa9+\0"));
    gives(form, "a+b%2Bc", STR("a b+c"));
    gives(url, "%2541", STR("%41")); /* once, not twice */
    refuses(url, bad, COUNT_OF(bad));
    refuses(form, bad, COUNT_OF(bad));
}

static void what_is_encoded_is_decoded(void **state)
{
    (void)state;
    struct arena a;
    char all[256];
    arena_init(&a);
    for (size_t i = 0; i < sizeof all; i++)
        all[i] = (char)i;
    for (size_t n = 0; n <= sizeof all; n += 5) {
        struct str in = str_of(all, n), got;
        assert_int_equal(codec_hex(&a, codec_to_hex(&a, all, n), &got), ERR_OK);
        assert_true(str_eq(got, in));
        assert_int_equal(codec_base64(&a, codec_to_base64(&a, all, n), &got), ERR_OK);
        assert_true(str_eq(got, in));
        assert_int_equal(codec_base64url(&a, codec_to_base64url(&a, all, n), &got), ERR_OK);
        assert_true(str_eq(got, in));
        assert_int_equal(codec_url(&a, codec_to_url(&a, in), true, &got), ERR_OK);
        assert_true(str_eq(got, in));
    }
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hexadecimal),
        cmocka_unit_test(base64),
        cmocka_unit_test(base64url),
        cmocka_unit_test(percent),
        cmocka_unit_test(what_is_encoded_is_decoded),
    };
    return cmocka_run_group_tests_name("codec", tests, NULL, NULL);
}
