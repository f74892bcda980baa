/* Digests against published vectors: FIPS 180-4, RFC 4231, RFC 5869. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include "base/codec.h"
#include "crypto/digest.h"

static struct arena arena;

static void assert_hex(const uint8_t *got, size_t n, const char *want)
{
    assert_string_equal(codec_to_hex(&arena, got, n).p, want);
}

static struct str unhex(const char *hex)
{
    struct str s;
    assert_int_equal(codec_hex(&arena, str_from(hex), &s), ERR_OK);
    return s;
}

static const char abc[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

static void sha256_gives_the_published_digests(void **state)
{
    uint8_t d[SHA256_LEN];
    (void)state;
    sha256("abc", 3, d);
    assert_hex(d, sizeof d, abc);
    sha256("", 0, d);
    assert_hex(d, sizeof d, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    struct str parts[] = {STR("a"), STR_NONE, STR("bc")};
    sha256_many(parts, 3, d);
    assert_hex(d, sizeof d, abc);
    struct sha256 *s = sha256_new();
    sha256_add(s, "ab", 2);
    sha256_add(s, "c", 1);
    sha256_end(s, d);
    assert_hex(d, sizeof d, abc);
}

static void hmac_rfc_4231(void **state)
{
    uint8_t d[SHA256_LEN];
    (void)state;
    hmac_sha256(unhex("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b"), STR("Hi There"), d);
    assert_hex(d, sizeof d, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    hmac_sha256(STR("Jefe"), STR("what do ya want for nothing?"), d);
    assert_hex(d, sizeof d, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    /* An empty key is a key, not the last one. */
    hmac_sha256(STR_NONE, STR_NONE, d);
    assert_hex(d, sizeof d, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

static void hkdf_rfc_5869(void **state)
{
    uint8_t out[42];
    (void)state;
    struct str ikm = unhex("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b");
    hkdf_sha256(ikm, unhex("000102030405060708090a0b0c"), unhex("f0f1f2f3f4f5f6f7f8f9"), out, 42);
    assert_hex(
        out, 42,
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
    hkdf_sha256(ikm, STR_NONE, STR_NONE, out, 42);
    assert_hex(
        out, 42,
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
}

static void *hash_many(void *arg)
{
    uint8_t d[SHA256_LEN], want[SHA256_LEN];
    memcpy(want, arg, sizeof want);
    for (int i = 0; i < 2000; i++) {
        sha256("abc", 3, d);
        if (memcmp(d, want, sizeof d) != 0)
            return arg;
    }
    return NULL;
}

static void threads_do_not_disturb_each_other(void **state)
{
    pthread_t t[8];
    uint8_t want[SHA256_LEN];
    (void)state;
    sha256("abc", 3, want);
    for (size_t i = 0; i < COUNT_OF(t); i++)
        assert_int_equal(pthread_create(&t[i], NULL, hash_many, want), 0);
    for (size_t i = 0; i < COUNT_OF(t); i++) {
        void *wrong;
        pthread_join(t[i], &wrong);
        assert_null(wrong);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256_gives_the_published_digests),
        cmocka_unit_test(hmac_rfc_4231),
        cmocka_unit_test(hkdf_rfc_5869),
        cmocka_unit_test(threads_do_not_disturb_each_other),
    };
    arena_init(&arena);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_free(&arena);
    return failed;
}
