/* JWE: the examples of RFC 7516 A.1 and RFC 7518 C, the round trip through the keys process's own
 * operation, and each way to be refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include "base/codec.h"
#include "crypto/jwe.h"
#include "crypto/keys.h"
#include "data/json.h"
#include "sys/file.h"

static struct arena arena;
static struct keys *keys;

static int begin(void **state)
{
    static char folder[] = "/tmp/socle-jwe-XXXXXX";
    (void)state;
    arena_init(&arena);
    return mkdtemp(folder) && keys_open_local(folder, &keys) == ERR_OK ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    keys_close(keys);
    arena_free(&arena);
    return 0;
}

static struct str b64(const char *text)
{
    struct str out;
    assert_int_equal(codec_base64url(&arena, str_from(text), &out), ERR_OK);
    return out;
}

/* RFC 7516 A.1: the content's part of the example (its key is wrapped with SHA-1, which we refuse).
 */
static void rfc_7516_a_1(void **state)
{
    static const uint8_t cek[] = {177, 161, 244, 128, 84,  143, 225, 115, 63, 180, 3,
                                  255, 107, 154, 212, 246, 138, 7,   110, 91, 112, 46,
                                  34,  105, 47,  130, 203, 46,  122, 234, 64, 252};
    struct str plain;
    struct jwe j = {.aad = STR("eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00ifQ"),
                    .iv = b64("48V1_ALb6US04U3b"),
                    .ciphertext = b64("5eym8TW_c8SuK0ltJ3rpYIzOeDQz7TALvtu6UG9oMo4vpzs9tX_"
                                      "EFShS8iB7j6jiSdiwkIr3ajwQzaBtQD_A"),
                    .tag = b64("XFBoMYUZodetZdvTiFvSkQ")};
    (void)state;
    assert_int_equal(jwe_open(&arena, &j, cek, &plain), ERR_OK);
    assert_true(str_eq_z(plain, "The true sign of intelligence is not knowledge but imagination."));
    j.aad = STR("eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00ifR");
    assert_int_equal(jwe_open(&arena, &j, cek, &plain), ERR_CORRUPT);
}

/* RFC 7518 C: Z, and the key that is derived of it (128 bits: the first half of a block). */
static void rfc_7518_c(void **state)
{
    static const uint8_t z[] = {158, 86,  217, 29,  129, 113, 53,  211, 114, 131, 66,
                                131, 191, 132, 38,  156, 251, 49,  110, 163, 218, 128,
                                106, 72,  246, 218, 167, 121, 140, 254, 144, 196};
    uint8_t out[32];
    (void)state;
    struct str info = jwe_party_info(&arena, "A128GCM", STR("Alice"), STR("Bob"), 128);
    jwe_concat_kdf(str_of(z, sizeof z), info, out);
    assert_true(str_eq_z(codec_to_base64url(&arena, out, 16), "VqqN6vgjbSBcIijNcacQGg"));
}

static struct str published(void)
{
    struct str json;
    assert_int_equal(keys_jwks(keys, "decrypt", &arena, &json), ERR_OK);
    return json;
}

static void there_and_back(void **state)
{
    static const enum jwe_alg algs[] = {JWE_ECDH_ES, JWE_RSA_OAEP_256};
    struct str jwks = published(), compact, plain;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(algs); i++) {
        assert_true(jwe_key_is_in(jwks, algs[i]));
        assert_int_equal(jwe_encrypt(&arena, jwks, algs[i], "JWT", STR("a.b.c"), &compact), ERR_OK);
        assert_true(jwe_is(compact));
        assert_int_equal(keys_jwe_open(keys, compact, &arena, &plain), ERR_OK);
        assert_true(str_eq_z(plain, "a.b.c"));
        /* Any byte that changes opens nothing. */
        for (size_t at = 0; at < compact.n; at += 7) {
            char *bad = arena_dupz(&arena, compact);
            bad[at] = bad[at] == 'A' ? 'B' : 'A';
            assert_int_not_equal(keys_jwe_open(keys, str_from(bad), &arena, &plain), ERR_OK);
        }
    }
}

static void keys_for_signatures_are_not_used(void **state)
{
    struct str sig, compact;
    (void)state;
    assert_int_equal(keys_jwks(keys, "issuer", &arena, &sig), ERR_OK);
    assert_int_equal(jwe_encrypt(&arena, sig, JWE_ECDH_ES, NULL, STR("x"), &compact),
                     ERR_NOT_FOUND);
    assert_int_equal(
        jwe_encrypt(&arena, STR("{\"keys\":[]}"), JWE_RSA_OAEP_256, NULL, STR("x"), &compact),
        ERR_NOT_FOUND);
    assert_int_equal(jwe_encrypt(&arena, STR("no JSON"), JWE_ECDH_ES, NULL, STR("x"), &compact),
                     ERR_NOT_FOUND);
}

static enum err split_of(const char *header, const char *rest)
{
    struct jwe j;
    struct str head = codec_to_base64url(&arena, header, strlen(header));
    return jwe_split(&arena, arena_printf(&arena, "%s.%s", head.p, rest), &j);
}

static void what_is_refused(void **state)
{
    static const char rest[] = ".AAAAAAAAAAAAAAAA.AAAA.AAAAAAAAAAAAAAAAAAAAAA";
    static const char point[] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    static const char *const headers[] = {
        "{\"alg\":\"RSA-OAEP\",\"enc\":\"A256GCM\"}",
        "{\"alg\":\"RSA1_5\",\"enc\":\"A256GCM\"}",
        "{\"alg\":\"dir\",\"enc\":\"A256GCM\"}",
        "{\"alg\":\"none\",\"enc\":\"A256GCM\"}",
        "{\"alg\":\"RSA-OAEP-256\",\"enc\":\"A256GCM\"}", /* no wrapped key */
        "{\"alg\":\"ECDH-ES\",\"enc\":\"A256GCM\"}",      /* no point */
        "{\"alg\":\"ECDH-ES\",\"enc\":\"A256GCM\",\"epk\":7}",
        "{\"alg\":\"ECDH-ES\",\"alg\":\"ECDH-ES\",\"enc\":\"A256GCM\"}",
        "[]",
        "",
    };
    struct str good = arena_printf(
        &arena,
        "{\"alg\":\"ECDH-ES\",\"enc\":\"A256GCM\",\"epk\":{\"kty\":\"EC\",\"crv\":\"P-256\","
        "\"x\":\"%s\",\"y\":\"%s\"}}",
        point, point);
    (void)state;
    assert_int_equal(split_of(good.p, rest), ERR_OK);
    for (size_t i = 0; i < COUNT_OF(headers); i++)
        assert_int_equal(split_of(headers[i], rest), ERR_INVALID);
    static const char *const more[] = {",\"zip\":\"DEF\"}", ",\"crit\":[\"x\"]}", ",\"apu\":\"!\"}",
                                       ",\"enc\":\"A256GCM\"}"};
    for (size_t i = 0; i < COUNT_OF(more); i++) {
        struct str bad = arena_printf(&arena, "%.*s%s", (int)good.n - 1, good.p, more[i]);
        assert_int_equal(split_of(bad.p, rest), ERR_INVALID);
    }
    assert_int_equal(split_of(good.p, ".AAAA.AAAA.AAAAAAAAAAAAAAAAAAAAAA"), ERR_INVALID);
    assert_int_equal(split_of(good.p, ".AAAAAAAAAAAAAAAA.AAAA.AAAA"), ERR_INVALID);
    assert_int_equal(split_of(good.p, "AAAA.AAAAAAAAAAAAAAAA.AAAA.AAAAAAAAAAAAAAAAAAAAAA"),
                     ERR_INVALID);
    /* Well-formed, but the point is on no curve. */
    struct str plain, head = codec_to_base64url(&arena, good.p, good.n);
    assert_int_equal(
        keys_jwe_open(keys, arena_printf(&arena, "%s.%s", head.p, rest), &arena, &plain),
        ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc_7516_a_1),    cmocka_unit_test(rfc_7518_c),
        cmocka_unit_test(there_and_back),  cmocka_unit_test(keys_for_signatures_are_not_used),
        cmocka_unit_test(what_is_refused),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
