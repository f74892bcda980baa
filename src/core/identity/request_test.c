/* Authorization requests: what each profile takes and refuses, and with which error. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/identity/request.h"
#include "data/json.h"

static struct arena arena;

static int end(void **state)
{
    (void)state;
    arena_reset(&arena);
    return 0;
}

#define STRICT_OK                                                                      \
    "client_id=a&redirect_uri=https%3A%2F%2Fa.fr%2Fcb&response_type=code&scope=openid" \
    "&state=s&nonce=1234567890123456789012&acr_values=eidas1"

/* The error, or "" when the request is taken. */
static const char *verdict(enum profile p, bool pkce, const char *query, struct request *r)
{
    struct form form;
    struct oauth_error why = {0};
    struct request mine;
    r = r ? r : &mine;
    assert_int_equal(form_read(&arena, str_from(query), &form), ERR_OK);
    request_read(&form, r);
    if (request_check(&arena, r, p, pkce, &why))
        return "";
    assert_non_null(why.error);
    assert_non_null(why.description);
    for (const char *c = why.description; *c; c++) /* RFC 6749 4.1.2.1 */
        assert_true(*c >= ' ' && *c <= '~' && *c != '"' && *c != '\\');
    return why.error;
}

static const char *with(const char *more)
{
    return arena_printf(&arena, "%s&%s", STRICT_OK, more).p;
}

static void strict_takes_what_franceconnect_takes(void **state)
{
    (void)state;
    struct request r;
    assert_string_equal(verdict(PROFILE_STRICT, false, STRICT_OK, &r), "");
    assert_int_equal(r.level, LEVEL_EIDAS1);
    assert_string_equal(
        verdict(PROFILE_STRICT, false, with("prompt=login%20consent&idp_hint=x&ui_locales=fr"), &r),
        "");
    assert_int_equal(r.prompts, PROMPT_LOGIN | PROMPT_CONSENT);
}

static void strict_refuses_everything_else(void **state)
{
    (void)state;
    static const char *const more[] = {
        "foo=bar",
        ("code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&"
         "code_challenge_method=S256"),
        "max_age=10",
        "login_hint=x",
        "response_mode=query",
        "prompt=none",
        "prompt=select_account",
        "realm=agents",
        "state=t",
        "request=x",
        "request_uri=x"};
    for (size_t i = 0; i < COUNT_OF(more); i++)
        if (strcmp(verdict(PROFILE_STRICT, false, with(more[i]), NULL), "invalid_request") != 0)
            fail_msg("taken, or another error: %s", more[i]);
}

/* One parameter taken away, or changed, at a time. */
static void strict_needs_each(void **state)
{
    (void)state;
    static const struct {
        const char *query, *error;
    } cases[] = {
        {"response_type=code&scope=openid&nonce=1234567890123456789012&acr_values=eidas1",
         "invalid_request"},
        {"response_type=code&scope=openid&state=s&acr_values=eidas1", "invalid_request"},
        {"response_type=code&scope=openid&state=s&nonce=123456789012345678901&acr_values=eidas1",
         "invalid_request"},
        {"response_type=code&scope=openid&state=s&nonce=1234567890123456789012", "invalid_request"},
        {"response_type=code&scope=openid&state=s&nonce=1234567890123456789012&acr_values=loa9",
         "invalid_request"},
        {"scope=openid&state=s&nonce=1234567890123456789012&acr_values=eidas1", "invalid_request"},
        {"response_type=token&scope=openid&state=s&nonce=1234567890123456789012&acr_values=eidas1",
         "unsupported_response_type"},
        {"response_type=code&scope=profile&state=s&nonce=1234567890123456789012&acr_values=eidas1",
         "invalid_scope"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        if (strcmp(verdict(PROFILE_STRICT, false, cases[i].query, NULL), cases[i].error) != 0)
            fail_msg("not %s: %s", cases[i].error, cases[i].query);
}

static void modern_is_the_standard(void **state)
{
    (void)state;
    struct request r;
    assert_string_equal(verdict(PROFILE_MODERN, false,
                                "response_type=code&scope=openid&unknown=x&claims_locales=fr", &r),
                        "");
    assert_int_equal(r.level, LEVEL_EIDAS1);
    assert_false(r.level_asked);
    assert_int_equal(r.max_age_s, -1);
    assert_string_equal(verdict(PROFILE_MODERN, false,
                                "response_type=code&scope=openid&acr_values=x%20eidas2&max_age=0&"
                                "prompt=none",
                                &r),
                        "");
    assert_int_equal(r.level, LEVEL_EIDAS2);
    assert_int_equal(r.max_age_s, 0);
    assert_int_equal(r.prompts, PROMPT_NONE);
}

static void modern_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *more, *error;
    } cases[] = {
        {"prompt=none%20login", "invalid_request"},
        {"prompt=dance", "invalid_request"},
        {"max_age=-1", "invalid_request"},
        {"max_age=abc", "invalid_request"},
        {"response_mode=fragment", "invalid_request"},
        {"request=eyJhbGciOiJub25lIn0.e30.", "request_not_supported"},
        {"request_uri=https%3A%2F%2Fevil.example%2F", "request_uri_not_supported"},
        {"claims=notjson", "invalid_request"},
        {"claims=%5B%5D", "invalid_request"},
        {"scope=openid", "invalid_request"}, /* twice */
        {"code_challenge=abc&code_challenge_method=S256", "invalid_request"},
        {"code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", "invalid_request"},
        {"code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=plain",
         "invalid_request"},
        {"code_challenge_method=S256", "invalid_request"},
        {"realm=other", "invalid_request"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const char *q = arena_printf(&arena, "response_type=code&scope=openid&%s", cases[i].more).p;
        if (strcmp(verdict(PROFILE_MODERN, false, q, NULL), cases[i].error) != 0)
            fail_msg("not %s: %s", cases[i].error, q);
    }
    const char *plain = "response_type=code&scope=openid";
    assert_string_equal(verdict(PROFILE_MODERN, true, plain, NULL), "invalid_request");
    assert_string_equal(verdict(PROFILE_FAPI, false, plain, NULL), "invalid_request");
}

static void long_values_are_refused(void **state)
{
    (void)state;
    char *state_param = arena_alloc(&arena, 4000);
    memset(state_param, 'a', 3999);
    const char *q = arena_printf(&arena, "response_type=code&scope=openid&state=%s", state_param).p;
    assert_string_equal(verdict(PROFILE_MODERN, false, q, NULL), "invalid_request");
}

static void claims_parameter(void **state)
{
    (void)state;
    struct request r;
    const char *q = "response_type=code&scope=openid&claims=%7B%22userinfo%22%3A%7B%22gender%22%3A"
                    "null%2C%22nonsense%22%3Anull%7D%2C%22id_token%22%3A%7B%22acr%22%3A%7B"
                    "%22essential%22%3Atrue%2C%22value%22%3A%22eidas3%22%7D%7D%7D";
    assert_string_equal(verdict(PROFILE_MODERN, false, q, &r), "");
    assert_true(str_eq_z(r.claims_wanted, "gender"));
    assert_int_equal(r.level, LEVEL_EIDAS3);
}

static void request_survives_the_pages(void **state)
{
    (void)state;
    struct request r, again;
    assert_string_equal(
        verdict(PROFILE_MODERN, false, with("prompt=login&max_age=60&state2=x"), &r), "");
    json_t *v = request_to_json(&r);
    request_from_json(&arena, v, &again);
    json_decref(v);
    assert_true(str_eq_z(again.redirect_uri, "https://a.fr/cb"));
    assert_true(str_eq_z(again.nonce, "1234567890123456789012"));
    assert_int_equal(again.prompts, PROMPT_LOGIN);
    assert_int_equal(again.max_age_s, 60);
    assert_int_equal(again.level, LEVEL_EIDAS1);
    assert_null(again.login_hint.p);
}

/* RFC 7636 appendix B. */
static void pkce(void **state)
{
    (void)state;
    struct str challenge = STR("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    struct str verifier = STR("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
    assert_true(pkce_matches(&arena, challenge, verifier));
    assert_false(
        pkce_matches(&arena, challenge, STR("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXK")));
    assert_false(pkce_matches(&arena, challenge, challenge)); /* "plain" */
    assert_false(pkce_matches(&arena, challenge, STR("")));
    assert_false(pkce_matches(&arena, challenge, STR("short")));
}

static void lists(void **state)
{
    (void)state;
    assert_true(list_has(STR("a bc d"), STR("bc")));
    assert_false(list_has(STR("a bc d"), STR("b")));
    assert_false(list_has(STR("a  d"), STR("")));
    struct arena less;
    arena_init(&less);
    assert_string_equal(arena_dupz(&less, list_less(&less, STR("a bc  d bc"), STR("bc"))), "a d");
    assert_int_equal(list_less(&less, STR("bc"), STR("bc")).n, 0);
    arena_free(&less);
    assert_true(str_eq_z(list_add(&arena, STR("a b"), STR("b")), "a b"));
    assert_true(str_eq_z(list_add(&arena, STR("a b"), STR("c")), "a b c"));
    assert_true(str_eq_z(list_add(&arena, STR(""), STR("c")), "c"));
}

static void redirect_addresses(void **state)
{
    (void)state;
    static const char *const good[] = {
        "https://a.fr/cb",       "https://a.fr/cb?x=1&y=2",  "https://a.fr",
        "https://a.fr:8443/cb",  "http://localhost:3000/cb", "http://mairie.localhost/cb",
        "http://127.0.0.1:9/cb", "http://[::1]:9/cb"};
    static const char *const bad[] = {"",
                                      "http://a.fr/cb",
                                      "https://",
                                      "https:///cb",
                                      "https://a.fr/cb#x",
                                      "https://u:p@a.fr/cb",
                                      "/cb",
                                      "javascript:alert(1)",
                                      "https://a.fr/c b",
                                      "ftp://a.fr/cb",
                                      "https://a.fr\\@evil.example/",
                                      "http://localhost.evil.example/",
                                      "https://a.fr/\r\nSet-Cookie: x",
                                      "data:text/html,x"};
    for (size_t i = 0; i < COUNT_OF(good); i++)
        if (!redirect_is_registrable(str_from(good[i]), false))
            fail_msg("refused: %s", good[i]);
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        if (redirect_is_registrable(str_from(bad[i]), false))
            fail_msg("taken: %s", bad[i]);
    assert_true(redirect_is_registrable(STR("http://a.fr/cb"), true));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(strict_takes_what_franceconnect_takes, end),
        cmocka_unit_test_teardown(strict_refuses_everything_else, end),
        cmocka_unit_test_teardown(strict_needs_each, end),
        cmocka_unit_test_teardown(modern_is_the_standard, end),
        cmocka_unit_test_teardown(modern_refusals, end),
        cmocka_unit_test_teardown(long_values_are_refused, end),
        cmocka_unit_test_teardown(claims_parameter, end),
        cmocka_unit_test_teardown(request_survives_the_pages, end),
        cmocka_unit_test_teardown(pkce, end),
        cmocka_unit_test_teardown(lists, end),
        cmocka_unit_test_teardown(redirect_addresses, end),
    };
    arena_init(&arena);
    cmocka_set_message_output(CM_OUTPUT_TAP);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_free(&arena);
    return failed;
}
