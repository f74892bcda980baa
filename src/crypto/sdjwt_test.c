/* SD-JWT: RFC 9901's own examples, and each presentation that must be refused. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/ec.h>
#include "base/codec.h"
#include "crypto/digest.h"
#include "crypto/jwk.h"
#include "crypto/sdjwt.h"
#include "data/json.h"
#include "sys/file.h"

static struct arena arena;

/* RFC 9901 A.5. */
static const char issuer_key[] = "{\"kty\":\"EC\",\"crv\":\"P-256\","
                                 "\"x\":\"b28d4MwZMjw8-00CG4xfnn9SLMVMM19SlqZpVb_uNtQ\","
                                 "\"y\":\"Xv5zWwuoaTgdS6hV43yI6gBwTnjukmFQQnJ_kCxzqk8\"}";
static const struct sdjwt_wanted rfc_wanted = {.audience = STR("https://verifier.example.org"),
                                               .nonce = STR("1234567890"),
                                               .since_ms = 1748361900000,
                                               .now_ms = 1748361950000};

static struct str example(const char *name)
{
    struct str text;
    const char *path = arena_printf(&arena, "test/corpus/sdjwt/%s", name).p;
    assert_int_equal(file_read(&arena, path, SDJWT_MAX, &text), ERR_OK);
    return text;
}

static struct sdjwt split(struct str text)
{
    struct sdjwt s;
    assert_int_equal(sdjwt_split(&arena, text, &s), ERR_OK);
    return s;
}

/* Signed by the RFC's issuer, and opened. */
static json_t *opened(const struct sdjwt *s)
{
    struct jwk *k;
    json_t *key, *claims;
    const char *why = "";
    assert_int_equal(json_read(str_from(issuer_key), &key, NULL), ERR_OK);
    assert_int_equal(jwk_read(key, &k), ERR_OK);
    assert_int_equal(jws_verify_key(&s->jwt, k, 1u << JOSE_ES256), ERR_OK);
    assert_int_equal(sdjwt_claims(&arena, s, &claims, &why), ERR_OK);
    json_decref(key);
    jwk_free(k);
    return claims;
}

static void is_json(const json_t *v, const char *expected)
{
    json_t *e;
    assert_int_equal(json_read(str_from(expected), &e, NULL), ERR_OK);
    if (!json_equal(v, e))
        print_message("%s\n", json_text(&arena, v).p);
    assert_true(json_equal(v, e));
    json_decref(e);
}

#define RFC_CNF                                              \
    "\"cnf\":{\"jwk\":{\"kty\":\"EC\",\"crv\":\"P-256\","    \
    "\"x\":\"TCAER19Zvu3OHF4j4W4vfSVoHIP1ILilDls7vCeGemc\"," \
    "\"y\":\"ZxjiWWbZMQGHVWKVQ4hbSIirsVfuecCE6t4jT9F2HZQ\"}}"

static void rfc9901_5_2(void **state)
{
    const char *why = "";
    struct sdjwt s = split(example("rfc9901-5.2"));
    (void)state;
    assert_int_equal(s.n_disclosures, 4);
    json_t *claims = opened(&s);
    is_json(claims,
            "{\"iss\":\"https://issuer.example.com\",\"iat\":1683000000,\"exp\":1883000000,"
            "\"sub\":\"user_42\",\"nationalities\":[\"US\"],\"given_name\":\"John\","
            "\"family_name\":\"Doe\",\"address\":{\"street_address\":\"123 Main St\","
            "\"locality\":\"Anytown\",\"region\":\"Anystate\",\"country\":\"US\"}," RFC_CNF "}");
    assert_int_equal(sdjwt_check_binding(&arena, &s, claims, &rfc_wanted, &why), ERR_OK);
    json_decref(claims);
    sdjwt_free(&s);
}

static void rfc9901_5_1_everything_and_no_binding(void **state)
{
    const char *why = "";
    struct sdjwt s = split(example("rfc9901-5.1"));
    (void)state;
    assert_int_equal(s.n_disclosures, 10);
    json_t *claims = opened(&s);
    assert_int_equal(json_object_size(claims), 14);
    is_json(json_get(claims, "nationalities"), "[\"US\",\"DE\"]");
    assert_int_equal(sdjwt_check_binding(&arena, &s, claims, &rfc_wanted, &why), ERR_DENIED);
    assert_string_equal(why, "no key binding");
    json_decref(claims);
    sdjwt_free(&s);
}

static void rfc9901_a_4_hidden_at_three_places(void **state)
{
    const char *why = "";
    struct sdjwt s = split(example("rfc9901-a.4"));
    (void)state;
    json_t *claims = opened(&s);
    is_json(json_get(claims, "credentialSubject"),
            "{\"vaccine\":{\"type\":\"Vaccine\",\"atcCode\":\"J07BX03\","
            "\"medicinalProductName\":\"COVID-19 Vaccine Moderna\"},"
            "\"recipient\":{\"type\":\"VaccineRecipient\"},\"type\":\"VaccinationEvent\","
            "\"order\":\"3/3\",\"dateOfVaccination\":\"2021-06-23T13:40:12Z\"}");
    assert_int_equal(sdjwt_check_binding(&arena, &s, claims, &rfc_wanted, &why), ERR_OK);
    json_decref(claims);
    sdjwt_free(&s);
}

static void hidden_in_hidden_decoys_and_sha512(void **state)
{
    json_t *claims;
    const char *why = "";
    struct sdjwt s = split(example("recursive"));
    (void)state;
    assert_int_equal(sdjwt_claims(&arena, &s, &claims, &why), ERR_OK);
    is_json(claims, "{\"iss\":\"https://pid.example\",\"list\":[[\"FR\"],7],"
                    "\"vct\":\"urn:eudi:pid:1\","
                    "\"address\":{\"country\":\"FR\",\"street\":\"1 rue\"}}");
    json_decref(claims);
    sdjwt_free(&s);
    s = split(example("sha512"));
    assert_int_equal(sdjwt_claims(&arena, &s, &claims, &why), ERR_OK);
    is_json(claims, "{\"street\":\"1 rue\"}");
    json_decref(claims);
    sdjwt_free(&s);
}

/* ---- what is refused ----------------------------------------------------------------------------
 */
static const char *b64(const char *text)
{
    return codec_to_base64url(&arena, text, strlen(text)).p;
}

static const char *digest(const char *disclosure)
{
    uint8_t hash[SHA256_LEN];
    sha256(disclosure, strlen(disclosure), hash);
    return codec_to_base64url(&arena, hash, sizeof hash).p;
}

/* A presentation that nobody signed: only what is in it is looked at. */
static struct sdjwt unsigned_of(const char *payload, const char *disclosures)
{
    return split(arena_printf(&arena, "%s.%s.AAAA~%s", b64("{\"alg\":\"ES256\"}"), b64(payload),
                              disclosures));
}

static void refuse(struct sdjwt s, const char *expected)
{
    json_t *claims;
    const char *why = "";
    enum err e = sdjwt_claims(&arena, &s, &claims, &why);
    assert_true(e == ERR_DENIED || e == ERR_LIMIT);
    assert_null(claims);
    assert_string_equal(why, expected);
    sdjwt_free(&s);
}

static void disclosures_that_lie(void **state)
{
    const char *d = b64("[\"salt\",\"name\",\"Doe\"]"), *el = b64("[\"salt\",\"Doe\"]");
    const char *one = arena_printf(&arena, "%s~", d).p, *elt = arena_printf(&arena, "%s~", el).p;
    (void)state;
#define PAYLOAD(fmt, ...) arena_printf(&arena, fmt, __VA_ARGS__).p
    refuse(unsigned_of("{\"a\":1}", one), "a disclosure that nothing refers to");
    refuse(unsigned_of(PAYLOAD("{\"_sd\":[\"%s\"]}", digest(d)),
                       arena_printf(&arena, "%s~%s~", d, d).p),
           "a disclosure came twice");
    refuse(unsigned_of(PAYLOAD("{\"_sd\":[\"%s\",\"%s\"]}", digest(d), digest(d)), one),
           "a digest stands twice");
    refuse(
        unsigned_of(PAYLOAD("{\"_sd\":[\"%s\"],\"b\":{\"_sd\":[\"%s\"]}}", "decoy", "decoy"), ""),
        "a digest stands twice");
    refuse(unsigned_of(PAYLOAD("{\"_sd\":[\"%s\"],\"name\":\"X\"}", digest(d)), one),
           "a disclosure has the name of another claim");
    refuse(unsigned_of(PAYLOAD("{\"_sd\":[\"%s\"]}", digest(el)), elt),
           "a disclosure is of another kind than its place");
    refuse(unsigned_of(PAYLOAD("{\"l\":[{\"...\":\"%s\"}]}", digest(d)), one),
           "a disclosure is of another kind than its place");
    refuse(unsigned_of(PAYLOAD("{\"l\":[{\"...\":\"%s\",\"x\":1}]}", digest(el)), elt),
           "a hidden element has other members");
    refuse(unsigned_of("{\"...\":\"x\"}", ""), "\"...\" stands outside of a list");
    refuse(unsigned_of("{\"_sd\":\"x\"}", ""), "_sd is no list");
    refuse(unsigned_of("{\"_sd\":[7]}", ""), "a digest is no text");
    refuse(unsigned_of("{\"_sd_alg\":\"md5\"}", ""), "_sd_alg is not known here");
    refuse(unsigned_of("{\"_sd_alg\":7}", ""), "_sd_alg is not known here");
    static const char *const malformed[] = {
        "{}",           "[]",      "[1,2,3]",           "[\"s\",7,\"v\"]",
        "[\"s\",\"n\"", "[\"s\"]", "[\"s\",\"n\",1,2]", "\"\""};
    for (size_t i = 0; i < COUNT_OF(malformed); i++) {
        d = b64(malformed[i]);
        refuse(
            unsigned_of(PAYLOAD("{\"_sd\":[\"%s\"]}", digest(d)), arena_printf(&arena, "%s~", d).p),
            "a disclosure is malformed");
    }
    refuse(unsigned_of("{\"a\":1}", "!!!~"), "a disclosure is malformed");
}

static void reserved_and_relied_on_names(void **state)
{
    static const struct {
        const char *name, *why;
    } cases[] = {{"_sd", "a disclosure has a reserved name"},
                 {"...", "a disclosure has a reserved name"},
                 {"_sd_alg", "a disclosure has a reserved name"},
                 {"iss", "a claim that checks rely on is hidden"},
                 {"exp", "a claim that checks rely on is hidden"},
                 {"cnf", "a claim that checks rely on is hidden"},
                 {"vct", "a claim that checks rely on is hidden"},
                 {"status", "a claim that checks rely on is hidden"}};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const char *d = b64(arena_printf(&arena, "[\"s\",\"%s\",[]]", cases[i].name).p);
        refuse(
            unsigned_of(PAYLOAD("{\"_sd\":[\"%s\"]}", digest(d)), arena_printf(&arena, "%s~", d).p),
            cases[i].why);
    }
}

/* Each disclosure lies in the one before: twenty levels, where sixteen are allowed. */
static void too_deep(void **state)
{
    struct str all = STR("");
    const char *inner = b64("[\"s\",\"n\",1]");
    (void)state;
    all = arena_printf(&arena, "%s~", inner);
    for (int i = 0; i < 20; i++) {
        inner = b64(arena_printf(&arena, "[\"s\",\"n\",{\"_sd\":[\"%s\"]}]", digest(inner)).p);
        all = arena_printf(&arena, "%s~%s", inner, all.p);
    }
    refuse(unsigned_of(PAYLOAD("{\"_sd\":[\"%s\"]}", digest(inner)), all.p), "too many levels");
}

static void shapes_that_do_not_split(void **state)
{
    struct sdjwt s;
    struct str rfc = example("rfc9901-5.2");
    (void)state;
    struct str alone = str_sub(rfc, 0, (size_t)str_find_char(rfc, '~'));
    assert_int_equal(sdjwt_split(&arena, alone, &s), ERR_INVALID);
    assert_int_equal(sdjwt_split(&arena, STR(""), &s), ERR_INVALID);
    assert_int_equal(sdjwt_split(&arena, STR("~~"), &s), ERR_INVALID);
    assert_int_equal(
        sdjwt_split(&arena, arena_printf(&arena, STR_FMT "~~WyJhIl0~", STR_ARG(alone)), &s),
        ERR_INVALID);
    struct str none = arena_printf(&arena, "%s.%s.~", b64("{\"alg\":\"none\"}"), b64("{\"a\":1}"));
    assert_int_equal(sdjwt_split(&arena, none, &s), ERR_INVALID);
    struct str text = arena_printf(&arena, "%s.%s.AAAA~", b64("{\"alg\":\"ES256\"}"), b64("[1]"));
    assert_int_equal(sdjwt_split(&arena, text, &s), ERR_INVALID);
    char *many = arena_alloc(&arena, SDJWT_MAX + 2);
    memset(many, 'a', SDJWT_MAX + 1);
    assert_int_equal(sdjwt_split(&arena, str_of(many, SDJWT_MAX + 1), &s), ERR_LIMIT);
    for (size_t i = 1; i < 600; i += 2)
        many[i] = '~';
    assert_int_equal(sdjwt_split(&arena, str_of(many, 600), &s), ERR_LIMIT);
}

/* ---- the holder's key ---------------------------------------------------------------------------
 */
static EVP_PKEY *holder, *stranger;

static struct str bound_by(EVP_PKEY *key, const char *header, const char *claims)
{
    struct str jwk = jwk_of_pkey(&arena, holder);
    struct str sd = arena_printf(&arena, "%s.%s.AAAA~", b64("{\"alg\":\"ES256\"}"),
                                 b64(PAYLOAD("{\"cnf\":{\"jwk\":%s}}", jwk.p)));
    uint8_t hash[SHA256_LEN];
    sha256(sd.p, sd.n, hash);
    const char *sd_hash = codec_to_base64url(&arena, hash, sizeof hash).p;
    struct str payload = arena_printf(&arena, "%s,\"sd_hash\":\"%s\"}", claims, sd_hash);
    struct str input = jws_input(&arena, str_from(header), payload);
    struct str sig = pkey_sign(&arena, key, JOSE_ES256, input);
    return arena_printf(&arena, STR_FMT STR_FMT ".%s", STR_ARG(sd), STR_ARG(input),
                        codec_to_base64url(&arena, sig.p, sig.n).p);
}

static const char *binding_fault(struct str text, const struct sdjwt_wanted *w)
{
    const char *why = NULL;
    json_t *claims;
    struct sdjwt s = split(text);
    assert_int_equal(sdjwt_claims(&arena, &s, &claims, &why), ERR_OK);
    enum err e = sdjwt_check_binding(&arena, &s, claims, w, &why);
    assert_true((e == ERR_OK) == (why == NULL));
    json_decref(claims);
    sdjwt_free(&s);
    return why ? why : "good";
}

static void bindings(void **state)
{
#define KB "{\"alg\":\"ES256\",\"typ\":\"kb+jwt\"}"
#define OK "{\"aud\":\"me\",\"nonce\":\"n\",\"iat\":1000"
    struct sdjwt_wanted w = {STR("me"), STR("n"), 990000, 1010000};
    static const struct {
        const char *header, *claims, *why;
    } cases[] = {
        {KB, OK, "good"},
        {KB, "{\"aud\":\"you\",\"nonce\":\"n\",\"iat\":1000",
         "the key binding is for another audience"},
        {KB, "{\"aud\":[\"me\"],\"nonce\":\"n\",\"iat\":1000",
         "the key binding is for another audience"},
        {KB, "{\"aud\":\"me\",\"nonce\":\"m\",\"iat\":1000", "the key binding has another nonce"},
        {KB, "{\"aud\":\"me\",\"iat\":1000", "the key binding has another nonce"},
        {KB, "{\"aud\":\"me\",\"nonce\":\"n\",\"iat\":900",
         "the key binding is older than the request"},
        {KB, "{\"aud\":\"me\",\"nonce\":\"n\"", "the key binding is older than the request"},
        {KB, "{\"aud\":\"me\",\"nonce\":\"n\",\"iat\":\"1000\"",
         "the key binding is older than the request"},
        {KB, "{\"aud\":\"me\",\"nonce\":\"n\",\"iat\":1080", "the key binding is from the future"},
        {"{\"alg\":\"ES256\",\"typ\":\"JWT\"}", OK, "the key binding is of another type"},
        {"{\"alg\":\"ES256\"}", OK, "the key binding is of another type"},
        {"{\"alg\":\"none\",\"typ\":\"kb+jwt\"}", OK,
         "the key binding is malformed, or not signed"},
        {"{\"alg\":\"HS256\",\"typ\":\"kb+jwt\"}", OK, "the key binding is by another key"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_string_equal(binding_fault(bound_by(holder, cases[i].header, cases[i].claims), &w),
                            cases[i].why);
    assert_string_equal(binding_fault(bound_by(stranger, KB, OK), &w),
                        "the key binding is by another key");
    w.nonce = STR("");
    assert_string_equal(
        binding_fault(bound_by(holder, KB, "{\"aud\":\"me\",\"nonce\":\"\",\"iat\":1000"), &w),
        "the key binding has another nonce");
}

/* The RFC's own binding, over one disclosure less; and a binding where no key was named. */
static void bindings_of_something_else(void **state)
{
    struct str rfc = example("rfc9901-5.2");
    ptrdiff_t first = str_find_char(rfc, '~');
    struct str rest = str_after(rfc, (size_t)first + 1);
    struct str less = arena_printf(&arena, STR_FMT STR_FMT, (int)first, rfc.p,
                                   STR_ARG(str_after(rest, (size_t)str_find_char(rest, '~'))));
    (void)state;
    assert_string_equal(binding_fault(less, &rfc_wanted),
                        "the key binding is of another presentation");
    struct str nobody = arena_printf(&arena, "%s.%s.AAAA~a.b.c", b64("{\"alg\":\"ES256\"}"),
                                     b64("{\"cnf\":{\"kid\":\"x\"}}"));
    assert_string_equal(binding_fault(nobody, &rfc_wanted),
                        "the credential names no usable key of its holder");
}

static int setup(void **state)
{
    (void)state;
    arena_init(&arena);
    holder = EVP_EC_gen("P-256");
    stranger = EVP_EC_gen("P-256");
    return holder && stranger ? 0 : 1;
}

static int teardown(void **state)
{
    (void)state;
    EVP_PKEY_free(holder);
    EVP_PKEY_free(stranger);
    arena_free(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc9901_5_2),
        cmocka_unit_test(rfc9901_5_1_everything_and_no_binding),
        cmocka_unit_test(rfc9901_a_4_hidden_at_three_places),
        cmocka_unit_test(hidden_in_hidden_decoys_and_sha512),
        cmocka_unit_test(disclosures_that_lie),
        cmocka_unit_test(reserved_and_relied_on_names),
        cmocka_unit_test(too_deep),
        cmocka_unit_test(shapes_that_do_not_split),
        cmocka_unit_test(bindings),
        cmocka_unit_test(bindings_of_something_else),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
