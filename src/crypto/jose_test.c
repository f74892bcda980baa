/* JOSE against the RFCs' own examples, and against the forgeries they warn of. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/ec.h>
#include <openssl/rsa.h>
#include "base/codec.h"
#include "crypto/jwk.h"
#include "data/json.h"

static struct arena arena;

static struct jwk *key_of(const char *json)
{
    struct jwk *k = NULL;
    json_t *o;
    assert_int_equal(json_read(str_from(json), &o, NULL), ERR_OK);
    enum err e = jwk_read(o, &k);
    json_decref(o);
    assert_true(e == (k ? ERR_OK : ERR_INVALID));
    return k;
}

static void refuse_key(const char *json)
{
    struct jwk *k = key_of(json);
    if (k)
        print_message("accepted: %s\n", json);
    assert_null(k);
}

/* RFC 7515 A.3 (the key without its private part). */
#define A3_X   "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
#define A3_Y   "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
#define A3_KEY "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" A3_X "\",\"y\":\"" A3_Y "\""
#define CLAIMS                                                                                     \
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVl" \
    "fQ"
static const char a3_jws[] = "eyJhbGciOiJFUzI1NiJ9." CLAIMS
                             ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSA"
                             "pmWQxfKTUJqPP3-Kg6NU1Q";

static void es256_rfc_7515_a3(void **state)
{
    struct jws j;
    struct jwk *k = key_of(A3_KEY "}");
    (void)state;
    assert_int_equal(jws_split(&arena, str_from(a3_jws), &j), ERR_OK);
    assert_int_equal(j.alg, JOSE_ES256);
    assert_null(j.kid.p);
    assert_true(str_eq_z(json_get_str(j.claims, "iss"), "joe"));
    assert_int_equal(jws_verify_key(&j, k, 1u << JOSE_ES256), ERR_OK);
    assert_int_equal(jws_verify_key(&j, k, 1u << JOSE_RS256), ERR_DENIED);
    assert_int_equal(jws_verify_key(&j, k, 0), ERR_DENIED);
    for (size_t i = 0; i < j.signature.n; i++) {
        ((char *)j.signature.p)[i] ^= 1;
        assert_int_equal(jws_verify_key(&j, k, 1u << JOSE_ES256), ERR_DENIED);
        ((char *)j.signature.p)[i] ^= 1;
    }
    struct str whole = j.signature;
    j.signature = str_sub(whole, 0, 63);
    assert_int_equal(jws_verify_key(&j, k, 1u << JOSE_ES256), ERR_DENIED);
    j.signature = str_of(arena_alloc(&arena, 64), 64);
    assert_int_equal(jws_verify_key(&j, k, 1u << JOSE_ES256), ERR_DENIED); /* r = s = 0 */
    j.signature = whole;
    j.signing_input = str_sub(j.signing_input, 0, j.signing_input.n - 1);
    assert_int_equal(jws_verify_key(&j, k, 1u << JOSE_ES256), ERR_DENIED);
    jws_free(&j);
    jwk_free(k);
}

static void hs256_rfc_7515_a1(void **state)
{
    struct jws j;
    struct str secret;
    (void)state;
    assert_int_equal(codec_base64url(&arena,
                                     STR("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aK"
                                         "tMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"),
                                     &secret),
                     ERR_OK);
    assert_int_equal(jws_split(&arena,
                               STR("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." CLAIMS
                                   ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
                               &j),
                     ERR_OK);
    assert_int_equal(jws_verify_hs256(&j, secret), ERR_OK);
    assert_int_equal(jws_verify_hs256(&j, str_sub(secret, 0, 63)), ERR_DENIED);
    assert_int_equal(jws_verify_hs256(&j, STR_NONE), ERR_DENIED);
    jws_free(&j);
    struct str made = jws_make_hs256(&arena, STR("{\"alg\":\"HS256\"}"), STR("{\"a\":1}"), secret);
    assert_int_equal(jws_split(&arena, made, &j), ERR_OK);
    assert_int_equal(jws_verify_hs256(&j, secret), ERR_OK);
    assert_int_equal(json_integer_value(json_object_get(j.claims, "a")), 1);
    jws_free(&j);
    /* A right MAC under a secret that can be guessed. */
    made = jws_make_hs256(&arena, STR("{\"alg\":\"HS256\"}"), STR("{}"), STR("short"));
    assert_int_equal(jws_split(&arena, made, &j), ERR_OK);
    assert_int_equal(jws_verify_hs256(&j, STR("short")), ERR_DENIED);
    jws_free(&j);
}

/* RFC 8037 A.1 and A.4. */
static void eddsa_rfc_8037_a4(void **state)
{
    struct jws j;
    struct jwk *k = key_of("{\"kty\":\"OKP\",\"crv\":\"Ed25519\","
                           "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}");
    (void)state;
    assert_int_equal(
        jws_split(&arena,
                  STR("eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc."
                      "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5B"
                      "hVsPt9g7sVvpAr_MuM0KAg"),
                  &j),
        ERR_OK);
    assert_null(j.claims);
    assert_true(str_eq_z(j.payload, "Example of Ed25519 signing"));
    assert_int_equal(jws_verify_key(&j, k, 1u << JOSE_EDDSA), ERR_OK);
    assert_int_equal(jws_verify_key(&j, k, 1u << JOSE_ES256), ERR_DENIED);
    jws_free(&j);
    jwk_free(k);
}

/* RFC 8032 7.1, test 3. */
static void ed25519_rfc_8032(void **state)
{
    struct str pub, sig, msg;
    (void)state;
    assert_int_equal(
        codec_hex(&arena, STR("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025"),
                  &pub),
        ERR_OK);
    assert_int_equal(
        codec_hex(&arena,
                  STR("6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
                      "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"),
                  &sig),
        ERR_OK);
    assert_int_equal(codec_hex(&arena, STR("af82"), &msg), ERR_OK);
    const uint8_t *p = (const uint8_t *)pub.p, *s = (const uint8_t *)sig.p;
    assert_true(ed25519_verify(p, msg, s));
    assert_false(ed25519_verify(p, STR("other"), s));
    ((char *)sig.p)[63] ^= 1;
    assert_false(ed25519_verify(p, msg, s));
}

/* RFC 7638 3.1. */
#define RFC7638_N                                                                                  \
    "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECP" \
    "ebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY" \
    "368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0f" \
    "M4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
static const char rfc7638_key[] = "{\"kty\":\"RSA\",\"n\":\"" RFC7638_N
                                  "\",\"e\":\"AQAB\",\"alg\":\"RS256\",\"kid\":\"2011-04-29\"}";

static void thumbprint_rfc_7638(void **state)
{
    json_t *o;
    struct jwk *k = key_of(rfc7638_key);
    (void)state;
    assert_int_equal(json_read(str_from(rfc7638_key), &o, NULL), ERR_OK);
    assert_true(str_eq_z(jwk_thumbprint(&arena, o), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"));
    /* The same from the key itself, which is how our own keys get their names. */
    assert_true(
        str_eq_z(jwk_kid_of_pkey(&arena, k->pkey), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"));
    assert_true(str_eq_z(jwk_kid(k), "2011-04-29"));
    json_object_del(o, "e");
    assert_null(jwk_thumbprint(&arena, o).p);
    json_decref(o);
    jwk_free(k);
}

static void sign_and_verify(const char *type, enum jose_alg alg, EVP_PKEY *private)
{
    struct jws j;
    struct str header = arena_printf(&arena, "{\"alg\":\"%s\"}", jose_alg_name(alg));
    struct str input = jws_input(&arena, header, STR("{}"));
    struct str sig = pkey_sign(&arena, private, alg, input);
    struct str text =
        arena_printf(&arena, "%s.%s", input.p, codec_to_base64url(&arena, sig.p, sig.n).p);
    struct jwk *k = key_of(jwk_of_pkey(&arena, private).p);
    print_message("%s %s\n", type, jose_alg_name(alg));
    assert_non_null(k);
    assert_int_equal(jws_split(&arena, text, &j), ERR_OK);
    assert_int_equal(jws_verify_key(&j, k, ~0u), ERR_OK);
    for (int other = 0; other < JOSE_ALG_COUNT; other++) {
        j.alg = (enum jose_alg)other;
        if (j.alg != alg)
            assert_int_equal(jws_verify_key(&j, k, ~0u), ERR_DENIED);
    }
    jws_free(&j);
    jwk_free(k);
}

static void each_algorithm_signs_what_it_verifies(void **state)
{
    EVP_PKEY *ec = EVP_EC_gen("P-256"), *rsa = EVP_RSA_gen(2048);
    EVP_PKEY *ed = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    (void)state;
    sign_and_verify("EC", JOSE_ES256, ec);
    sign_and_verify("RSA", JOSE_RS256, rsa);
    sign_and_verify("RSA", JOSE_PS256, rsa);
    sign_and_verify("OKP", JOSE_EDDSA, ed);
    EVP_PKEY_free(ec);
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(ed);
}

static void a_key_for_one_algorithm_serves_no_other(void **state)
{
    struct jws j;
    EVP_PKEY *rsa = EVP_RSA_gen(2048);
    (void)state;
    struct str mine = jwk_of_pkey(&arena, rsa);
    struct jwk *k =
        key_of(arena_printf(&arena, "%.*s,\"alg\":\"PS256\"}", (int)mine.n - 1, mine.p).p);
    struct str input = jws_input(&arena, STR("{\"alg\":\"RS256\"}"), STR("{}"));
    struct str sig = pkey_sign(&arena, rsa, JOSE_RS256, input);
    struct str text =
        arena_printf(&arena, "%s.%s", input.p, codec_to_base64url(&arena, sig.p, sig.n).p);
    assert_int_equal(jws_split(&arena, text, &j), ERR_OK);
    assert_int_equal(jws_verify_key(&j, k, ~0u), ERR_DENIED);
    jws_free(&j);
    jwk_free(k);
    EVP_PKEY_free(rsa);
}

static void bad_keys_are_refused(void **state)
{
    EVP_PKEY *small = EVP_RSA_gen(1024);
    (void)state;
    refuse_key(jwk_of_pkey(&arena, small).p);
    EVP_PKEY_free(small);
    refuse_key("[]");
    refuse_key("{}");
    refuse_key("{\"kty\":\"EC\"}");
    /* Off the curve: one bit of y. */
    refuse_key("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" A3_X
               "\",\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a4\"}");
    /* The point at infinity has no such form; zeros are off the curve. */
    refuse_key(
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
        "\",\"y\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}");
    refuse_key("{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"" A3_X "\",\"y\":\"" A3_Y "\"}");
    refuse_key("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" A3_X "\"}");
    refuse_key("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" A3_X "A\",\"y\":\"" A3_Y "\"}");
    refuse_key(A3_KEY ",\"alg\":\"RS256\"}");
    refuse_key(A3_KEY ",\"alg\":\"none\"}");
    refuse_key(A3_KEY ",\"use\":\"enc\"}");
    refuse_key(A3_KEY ",\"key_ops\":[\"sign\"]}");
    refuse_key(A3_KEY ",\"kid\":7}");
    refuse_key(A3_KEY ",\"d\":\"AA\"}");
    refuse_key("{\"kty\":\"oct\",\"k\":\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ\"}");
    refuse_key("{\"kty\":\"RSA\",\"n\":\"" RFC7638_N "\",\"e\":\"AQ\"}");
    refuse_key("{\"kty\":\"RSA\",\"n\":\"" RFC7638_N "\",\"e\":\"AAEAAQ\"}");
    refuse_key("{\"kty\":\"RSA\",\"n\":\"AAAA\",\"e\":\"AQAB\"}");
    refuse_key("{\"kty\":\"OKP\",\"crv\":\"X25519\","
               "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}");
    struct jwk *k = key_of(A3_KEY ",\"use\":\"sig\",\"alg\":\"ES256\",\"key_ops\":[\"verify\"]}");
    assert_non_null(k);
    jwk_free(k);
}

static struct str compact(const char *header, const char *payload)
{
    struct str input = jws_input(&arena, str_from(header), str_from(payload));
    return arena_printf(&arena, "%s.AAAA", input.p);
}

static enum err split(struct str text)
{
    struct jws j;
    enum err e = jws_split(&arena, text, &j);
    if (!e)
        jws_free(&j);
    return e;
}

static void forged_headers_do_not_even_split(void **state)
{
    static const char *const bad[] = {
        "{\"alg\":\"none\"}",
        "{\"alg\":\"NONE\"}",
        "{\"alg\":\"\"}",
        "{\"alg\":null}",
        "{\"alg\":[]}",
        "{}",
        "{\"alg\":\"HS512\"}",
        "[]",
        "\"ES256\"",
        "{\"alg\":\"ES256\"",
        "{\"alg\":\"ES256\",\"alg\":\"HS256\"}",
        "{\"alg\":\"ES256\",\"kid\":1}",
        "{\"alg\":\"ES256\",\"crit\":[\"exp\"],\"exp\":1}",
        "{\"alg\":\"ES256\",\"crit\":[],\"b64\":false}",
    };
    static const char *const torn[] = {
        "",
        ".",
        "..",
        "...",
        "a.b",
        "eyJhbGciOiJFUzI1NiJ9.e30",
        "eyJhbGciOiJFUzI1NiJ9.e30.",
        "eyJhbGciOiJFUzI1NiJ9.e30.AA.AA",
        "eyJhbGciOiJFUzI1NiJ9.e30.A",
        "eyJhbGciOiJFUzI1NiJ9.e30=.AA",
        "eyJhbGciOiJFUzI1NiJ9.e3 .AA",
        "eyJhbGciOiJFUzI1NiJ9.e30.AB",
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_int_equal(split(compact(bad[i], "{}")), ERR_INVALID);
    for (size_t i = 0; i < COUNT_OF(torn); i++)
        assert_int_equal(split(str_from(torn[i])), ERR_INVALID);
    assert_int_equal(split(compact("{\"alg\":\"ES256\"}", "{}")), ERR_OK);
    char *big = arena_alloc(&arena, 200000);
    memset(big, 'A', 200000);
    assert_int_equal(split(str_of(big, 200000)), ERR_LIMIT);
}

static void claims_given_twice_are_no_claims(void **state)
{
    struct jws j;
    (void)state;
    assert_int_equal(
        jws_split(&arena, compact("{\"alg\":\"ES256\"}", "{\"sub\":\"a\",\"sub\":\"b\"}"), &j),
        ERR_OK);
    assert_null(j.claims);
    jws_free(&j);
}

/* A public key used as an HMAC secret (RFC 8725 2.1): HS256 passes no public-key door. */
static void a_public_key_is_no_shared_secret(void **state)
{
    struct jws j;
    struct jwks *ks;
    (void)state;
    struct str made =
        jws_make_hs256(&arena, STR("{\"alg\":\"HS256\"}"), STR("{}"), str_from(rfc7638_key));
    struct str set =
        arena_printf(&arena, "{\"keys\":[%s,{\"kty\":\"oct\",\"k\":\"AAAA\"}]}", rfc7638_key);
    assert_int_equal(jwks_read(set, &ks), ERR_OK);
    assert_int_equal(ks->n, 1);
    assert_int_equal(jws_split(&arena, made, &j), ERR_OK);
    assert_int_equal(jws_verify(&j, ks, ~0u), ERR_DENIED);
    jws_free(&j);
    jwks_free(ks);
}

static void the_key_is_chosen_by_kid(void **state)
{
    struct jws j;
    struct jwks *ks;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    (void)state;
    struct str mine = jwk_of_pkey(&arena, key);
    struct str set = arena_printf(&arena,
                                  "{\"keys\":[" A3_KEY
                                  ",\"kid\":\"old\"},{\"kty\":\"new-kind\"},%.*s,\"kid\":\"k1\"}]}",
                                  (int)mine.n - 1, mine.p);
    assert_int_equal(jwks_read(set, &ks), ERR_OK);
    assert_int_equal(ks->n, 2);
    const struct {
        const char *header;
        enum err want;
    } cases[] = {
        {"{\"alg\":\"ES256\",\"kid\":\"k1\"}", ERR_OK},
        {"{\"alg\":\"ES256\"}", ERR_OK},
        {"{\"alg\":\"ES256\",\"kid\":\"old\"}", ERR_DENIED},
        {"{\"alg\":\"ES256\",\"kid\":\"k\"}", ERR_NOT_FOUND},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct str input = jws_input(&arena, str_from(cases[i].header), STR("{}"));
        struct str sig = pkey_sign(&arena, key, JOSE_ES256, input);
        struct str text =
            arena_printf(&arena, "%s.%s", input.p, codec_to_base64url(&arena, sig.p, sig.n).p);
        assert_int_equal(jws_split(&arena, text, &j), ERR_OK);
        assert_int_equal(jws_verify(&j, ks, 1u << JOSE_ES256), cases[i].want);
        jws_free(&j);
    }
    jwks_free(ks);
    EVP_PKEY_free(key);
    assert_int_equal(jwks_read(STR("{}"), &ks), ERR_INVALID);
    assert_int_equal(jwks_read(STR("{\"keys\":{}}"), &ks), ERR_INVALID);
    assert_int_equal(jwks_read(STR("nope"), &ks), ERR_INVALID);
}

static enum err check(const char *claims, const char **why)
{
    json_t *o;
    assert_int_equal(json_read(str_from(claims), &o, NULL), ERR_OK);
    enum err e = jwt_check(o, STR("https://op"), STR("me"), 1000000, why); /* 1,000 s */
    json_decref(o);
    return e;
}

#define WHO "{\"iss\":\"https://op\",\"aud\":\"me\""
static void claims_are_checked(void **state)
{
    static const char *const good[] = {
        WHO ",\"exp\":1001}",
        WHO ",\"exp\":991}", /* the leeway */
        WHO ",\"exp\":1000.5,\"nbf\":1010,\"iat\":1009}",
        "{\"iss\":\"https://op\",\"aud\":[\"you\",\"me\"],\"exp\":2000}",
    };
    static const char *const bad[] = {
        "[]",
        WHO "}",
        WHO ",\"exp\":990}",
        WHO ",\"exp\":\"2000\"}",
        WHO ",\"exp\":1e300}",
        WHO ",\"exp\":-1}",
        WHO ",\"exp\":2000,\"nbf\":1011}",
        WHO ",\"exp\":2000,\"iat\":1011}",
        WHO ",\"exp\":2000,\"iat\":null}",
        "{\"iss\":\"https://op/\",\"aud\":\"me\",\"exp\":2000}",
        "{\"aud\":\"me\",\"exp\":2000}",
        "{\"iss\":\"https://op\",\"exp\":2000}",
        "{\"iss\":\"https://op\",\"aud\":[\"you\"],\"exp\":2000}",
        "{\"iss\":\"https://op\",\"aud\":{\"me\":1},\"exp\":2000}",
    };
    const char *why;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        assert_int_equal(check(good[i], &why), ERR_OK);
        assert_null(why);
    }
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        assert_int_equal(check(bad[i], &why), ERR_DENIED);
        assert_non_null(why);
    }
    assert_int_equal(jwt_check(NULL, STR_NONE, STR_NONE, 0, &why), ERR_DENIED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(es256_rfc_7515_a3),
        cmocka_unit_test(hs256_rfc_7515_a1),
        cmocka_unit_test(eddsa_rfc_8037_a4),
        cmocka_unit_test(ed25519_rfc_8032),
        cmocka_unit_test(thumbprint_rfc_7638),
        cmocka_unit_test(each_algorithm_signs_what_it_verifies),
        cmocka_unit_test(a_key_for_one_algorithm_serves_no_other),
        cmocka_unit_test(bad_keys_are_refused),
        cmocka_unit_test(forged_headers_do_not_even_split),
        cmocka_unit_test(claims_given_twice_are_no_claims),
        cmocka_unit_test(a_public_key_is_no_shared_secret),
        cmocka_unit_test(the_key_is_chosen_by_kid),
        cmocka_unit_test(claims_are_checked),
    };
    arena_init(&arena);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_free(&arena);
    return failed;
}
