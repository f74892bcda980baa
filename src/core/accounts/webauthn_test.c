/* Registrations and assertions made by test/lib/authenticator.mjs (a second implementation), as
 * they are and altered; one-time codes against the vectors of RFC 6238; CBOR's strictness. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/codec.h"
#include "core/accounts/accounts.h"
#include "core/accounts/cbor.h"
#include "sys/file.h"

static struct arena arena;
static json_t *file;

static int begin(void **state)
{
    struct str text;
    (void)state;
    arena_init(&arena);
    return file_read(&arena, "test/vectors/webauthn/registrations.json", 1 << 20, &text) ==
                       ERR_OK &&
                   json_read(text, &file, NULL) == ERR_OK
               ? 0
               : -1;
}

static int end(void **state)
{
    (void)state;
    json_decref(file);
    arena_free(&arena);
    return 0;
}

static struct wa_expect expected(void)
{
    return (struct wa_expect){.rp_id = STR("localhost"),
                              .origin = STR("http://localhost"),
                              .challenge = STR("0123456789abcdef0123456789abcdef")};
}

static struct str bytes(const json_t *v, const char *name)
{
    struct str out;
    assert_int_equal(codec_base64url(&arena, json_get_str(v, name), &out), ERR_OK);
    return arena_dup(&arena, out);
}

static const json_t *vector(const char *name)
{
    const json_t *v = json_get(json_get(file, "vectors"), name);
    assert_non_null(v);
    return v;
}

static enum err register_as(const json_t *v, const struct wa_expect *x, struct wa_credential *out)
{
    const char *why = NULL;
    return wa_register(&arena, x, bytes(v, "client_data"), bytes(v, "attestation"), out, &why);
}

static void each_kind_of_key_registers_and_signs_in(void **state)
{
    static const struct {
        const char *name;
        int64_t alg;
    } kinds[] = {{"es256-none", WA_ES256},
                 {"eddsa-self", WA_EDDSA},
                 {"rs256-none", WA_RS256},
                 {"packed-x5c", WA_ES256},
                 {"u2f", WA_ES256}};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        const char *why = NULL;
        struct wa_credential k;
        struct wa_expect x = expected();
        const json_t *v = vector(kinds[i].name), *got = json_get(v, "assertion");
        assert_int_equal(register_as(v, &x, &k), ERR_OK);
        assert_int_equal(k.alg, kinds[i].alg);
        assert_false(k.attested); /* nobody is trusted here */
        x.user_verified = true;
        struct wa_credential again = k;
        assert_int_equal(wa_assert(&arena, &x, &again, bytes(got, "client_data"),
                                   bytes(got, "authenticator_data"), bytes(got, "signature"), &why),
                         ERR_OK);
        assert_true(again.count > k.count);
        assert_int_equal(wa_assert(&arena, &x, &again, bytes(got, "client_data"),
                                   bytes(got, "authenticator_data"), bytes(got, "signature"), &why),
                         ERR_INVALID);
        assert_string_equal(why, "counter");
        again = k;
        again.flags |= WA_BE;
        assert_int_equal(wa_assert(&arena, &x, &again, bytes(got, "client_data"),
                                   bytes(got, "authenticator_data"), bytes(got, "signature"), &why),
                         ERR_INVALID);
        assert_string_equal(why, "backup eligibility");
    }
}

/* Each byte of each part, one after the other, with one bit turned: none passes, save where
 * nothing depends on it. With `none` nobody signs the registration but the client data are
 * compared, and the key must be a key. */
static void no_altered_byte_of_a_signed_registration_passes(void **state)
{
    static const char *const names[] = {"eddsa-self", "packed-x5c"};
    (void)state;
    for (size_t n = 0; n < COUNT_OF(names); n++) {
        const json_t *v = vector(names[n]);
        struct str object = bytes(v, "attestation"), client = bytes(v, "client_data");
        for (size_t i = 0; i < object.n; i++) {
            const char *why = NULL;
            struct wa_credential k = {0};
            struct wa_expect x = expected();
            X509_STORE *anchors = wa_anchors(json_get_str(file, "maker"));
            x.anchors = anchors;
            ((char *)object.p)[i] ^= 1;
            enum err e = wa_register(&arena, &x, client, object, &k, &why);
            /* In the certificate's own signature a bit may turn: then no chain holds. */
            assert_true(e == ERR_INVALID || !k.attested);
            ((char *)object.p)[i] ^= 1;
            X509_STORE_free(anchors);
        }
    }
}

static void no_altered_byte_of_an_assertion_passes(void **state)
{
    static const char *const parts[] = {"client_data", "authenticator_data", "signature"};
    (void)state;
    const json_t *v = vector("eddsa-self"), *got = json_get(v, "assertion");
    struct wa_credential k;
    struct wa_expect x = expected();
    assert_int_equal(register_as(v, &x, &k), ERR_OK);
    for (size_t p = 0; p < COUNT_OF(parts); p++) {
        struct str in[3];
        for (size_t i = 0; i < 3; i++)
            in[i] = bytes(got, parts[i]);
        for (size_t i = 0; i < in[p].n; i++) {
            const char *why = NULL;
            struct wa_credential known = k;
            ((char *)in[p].p)[i] ^= 1;
            assert_int_equal(wa_assert(&arena, &x, &known, in[0], in[1], in[2], &why), ERR_INVALID);
            ((char *)in[p].p)[i] ^= 1;
        }
    }
}

static void a_maker_counts_when_its_authority_is_an_anchor(void **state)
{
    (void)state;
    struct wa_credential k;
    struct wa_expect x = expected();
    x.anchors = wa_anchors(json_get_str(file, "maker"));
    assert_non_null(x.anchors);
    assert_int_equal(register_as(vector("packed-x5c"), &x, &k), ERR_OK);
    assert_true(k.attested);
    assert_int_equal(register_as(vector("u2f"), &x, &k), ERR_OK);
    assert_true(k.attested);
    assert_int_equal(register_as(vector("eddsa-self"), &x, &k), ERR_OK);
    assert_false(k.attested);
    X509_STORE_free(x.anchors);
    assert_null(wa_anchors(STR("-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----\n")));
    assert_null(wa_anchors(STR("")));
}

static void another_party_page_or_question_is_refused(void **state)
{
    (void)state;
    struct wa_credential k;
    const json_t *v = vector("packed-x5c");
    struct wa_expect x = expected();
    x.rp_id = STR("elsewhere");
    assert_int_equal(register_as(v, &x, &k), ERR_INVALID);
    x = expected();
    x.origin = STR("https://localhost");
    assert_int_equal(register_as(v, &x, &k), ERR_INVALID);
    x = expected();
    x.challenge = STR("0123456789abcdef0123456789abcdeF");
    assert_int_equal(register_as(v, &x, &k), ERR_INVALID);
}

static void cbor_is_read_strictly(void **state)
{
    static const struct {
        const char *p;
        size_t n;
        bool good;
    } cases[] = {{"\x00", 1, true},
                 {"\x18\x17", 2, false},
                 {"\x18\x18", 2, true},
                 {"\x19\x00\xff", 3, false},
                 {"\x5f\xff", 2, false},
                 {"\xa1\x00", 2, false},
                 {"\xa1\x00\x00", 3, true},
                 {"\xc0\x00", 2, false},
                 {"\xf9\x00\x00", 3, false},
                 {"\xf5", 1, true},
                 {"\x61\xff", 2, false},
                 {"\x42\x00", 2, false},
                 {"\x1c", 1, false},
                 {"\x00\x00", 2, false},
                 {"", 0, false},
                 {"\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x00", 11, false},
                 {"\x9b\x7f\xff\xff\xff\xff\xff\xff\xff", 9, false}};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct cbor c = cbor_open(str_of(cases[i].p, cases[i].n));
        (void)cbor_skip(&c);
        if (cbor_ended(&c) != cases[i].good)
            fail_msg("case %zu", i);
    }
}

/* RFC 6238, appendix B, SHA-1, the last six of its eight digits. */
static void one_time_codes_are_those_of_the_standard(void **state)
{
    static const struct {
        int64_t at_s;
        const char *code;
    } known[] = {{59, "287082"},         {1111111109, "081804"}, {1111111111, "050471"},
                 {1234567890, "005924"}, {2000000000, "279037"}, {20000000000, "353130"}};
    struct str secret = STR("12345678901234567890");
    int64_t step = 0, second;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(known); i++) {
        struct str code = str_from(known[i].code);
        int64_t now_ms = known[i].at_s * 1000;
        assert_int_equal(totp_check(secret, code, now_ms, 0, &step), ERR_OK);
        assert_int_equal(step, known[i].at_s / 30);
        assert_int_equal(totp_check(secret, code, now_ms, step, &second), ERR_DENIED);
        assert_int_equal(totp_check(secret, code, now_ms + 30000, 0, &second), ERR_OK);
        assert_int_equal(second, step);
        assert_int_equal(totp_check(secret, code, now_ms - 30000, 0, &second), ERR_OK);
        assert_int_equal(second, step);
        assert_int_equal(totp_check(secret, code, now_ms + 60000, 0, &second), ERR_DENIED);
    }
    assert_int_equal(totp_check(secret, STR("28708"), 59000, 0, &step), ERR_DENIED);
    assert_int_equal(totp_check(secret, STR("2870822"), 59000, 0, &step), ERR_DENIED);
    assert_int_equal(totp_check(secret, STR("28708a"), 59000, 0, &step), ERR_DENIED);
    assert_int_equal(totp_check(secret, STR("287 082"), 59000, 0, &step), ERR_OK);
}

static void passwords_that_can_be_guessed_are_refused(void **state)
{
    (void)state;
    struct str email = STR("camille.martin@exemple.fr");
    assert_null(password_fault(STR("cheval agrafe pile"), email));
    assert_non_null(password_fault(STR("onze signes"), email));
    assert_non_null(password_fault(STR("camille.martin"), email));
    assert_non_null(password_fault(STR("camille.martin@exemple.fr1"), email));
    assert_non_null(password_fault(STR("aaaaaaaaaaaaaaaa"), email));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_of_key_registers_and_signs_in),
        cmocka_unit_test(no_altered_byte_of_a_signed_registration_passes),
        cmocka_unit_test(no_altered_byte_of_an_assertion_passes),
        cmocka_unit_test(a_maker_counts_when_its_authority_is_an_anchor),
        cmocka_unit_test(another_party_page_or_question_is_refused),
        cmocka_unit_test(cbor_is_read_strictly),
        cmocka_unit_test(one_time_codes_are_those_of_the_standard),
        cmocka_unit_test(passwords_that_can_be_guessed_are_refused),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
