/* The file of trusted issuers: each rule that stops a start; and countries by their two letters.
 * Credentials against it: test/integration/wallet.test.mjs. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/identity/country.h"
#include "core/identity/wallet_trust.h"

#define KEY                                                                                    \
    "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\"," \
    "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}"
#define WITH(issuers) "{\"version\":1,\"issuers\":[" issuers "]}"
#define GOOD          "{\"issuer\":\"https://a.example\",\"jwks\":{\"keys\":[" KEY "]}}"

static void rules_of_the_file(void **state)
{
    static const struct {
        const char *json, *why;
    } cases[] = {
        {WITH(GOOD), NULL},
        {WITH("{\"issuer\":\"https://a.example\",\"authorities\":"
              "\"-----BEGIN CERTIFICATE-----\\nx\"}"),
         NULL},
        {"", "not JSON"},
        {"[]", "version is not 1"},
        {"{\"version\":2,\"issuers\":[" GOOD "]}", "version is not 1"},
        {"{\"version\":1}", "issuers is empty or too long"},
        {WITH(""), "issuers is empty or too long"},
        {WITH("7"), "an issuer is no address"},
        {WITH("{\"issuer\":\"a.example\",\"jwks\":{\"keys\":[" KEY "]}}"),
         "an issuer is no address"},
        {WITH("{\"issuer\":\"https://a.example\"}"), "an issuer has either jwks or authorities"},
        {WITH("{\"issuer\":\"https://a.example\",\"authorities\":\"x\",\"jwks\":{\"keys\":[]}}"),
         "an issuer has either jwks or authorities"},
        {WITH("{\"issuer\":\"https://a.example\",\"jwks\":[]}"),
         "the jwks of an issuer is no key set"},
        {WITH("{\"issuer\":\"https://a.example\",\"jwks\":{\"keys\":[]}}"),
         "the jwks of an issuer is empty"},
        {WITH("{\"issuer\":\"https://a.example\",\"authorities\":\"x\"}"),
         "the authorities of an issuer are no PEM certificates"},
        {WITH(GOOD "," GOOD), "an issuer is there twice"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct wallet_trust *t;
        const char *why;
        enum err e = wallet_trust_read(str_from(cases[i].json), &t, &why);
        assert_int_equal(e, cases[i].why ? ERR_INVALID : ERR_OK);
        if (cases[i].why)
            assert_string_equal(why, cases[i].why);
        wallet_trust_free(t);
    }
}

static void countries(void **state)
{
    static const struct {
        const char *iso, *cog;
    } cases[] = {{"FR", "99100"}, {"RE", "99100"}, {"DE", "99109"}, {"AD", "99130"},
                 {"ZW", "99310"}, {"PL", "99122"}, {"US", "99404"}, {"XX", NULL},
                 {"fr", NULL},    {"", NULL},      {"FRA", NULL},   {"30", NULL},
                 {"1 ", NULL}};
    struct arena a;
    (void)state;
    arena_init(&a);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct str cog = country_cog(&a, str_from(cases[i].iso));
        if (cases[i].cog)
            assert_true(str_eq_z(cog, cases[i].cog));
        else
            assert_null(cog.p);
    }
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(rules_of_the_file),
                                       cmocka_unit_test(countries)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
