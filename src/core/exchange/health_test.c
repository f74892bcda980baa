/* The breaker by its clock: when it opens, what it lets through, when it closes; and the shares. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/exchange/entreprise.h"
#include "core/exchange/health.h"

static const struct exchange_policy policy = {
    .breaker = {.calls = 4, .percent = 50, .slow_ms = 100, .open_s = 2}};

static bool admitted(struct health *h, int64_t now_ms, bool *probe)
{
    unsigned retry_s = 0;
    enum gw_code code = health_admit(h, &policy, now_ms, probe, &retry_s);
    if (code != GW_OK)
        assert_true(retry_s > 0);
    return code == GW_OK;
}

static void call(struct health *h, int64_t now_ms, enum health_end end, int64_t took_us)
{
    bool probe;
    assert_true(admitted(h, now_ms, &probe));
    health_done(h, &policy, now_ms, end, took_us, probe);
}

static void half_of_the_calls_open_it(void **state)
{
    (void)state;
    struct health h = {0};
    bool probe;
    call(&h, 1000, HEALTH_GOOD, 10);
    call(&h, 1001, HEALTH_BAD, 10);
    call(&h, 1002, HEALTH_GOOD, 10);
    assert_int_equal(h.state, BREAKER_CLOSED);
    call(&h, 1003, HEALTH_GOOD, 101 * 1000); /* slow is as bad */
    assert_int_equal(h.state, BREAKER_OPEN);
    assert_false(admitted(&h, 1004, &probe));
    assert_false(admitted(&h, 3002, &probe));
    assert_int_equal(h.counts[HEALTH_REFUSED], 2);
}

static void one_probe_decides(void **state)
{
    (void)state;
    struct health h = {0};
    bool probe, other;
    for (int i = 0; i < 4; i++)
        call(&h, 1000, HEALTH_BAD, 10);
    assert_true(admitted(&h, 3000, &probe));
    assert_true(probe);
    assert_false(admitted(&h, 3001, &other)); /* the others wait for it */
    health_done(&h, &policy, 3100, HEALTH_BAD, 10, true);
    assert_false(admitted(&h, 6000, &probe)); /* twice as long now */
    assert_true(admitted(&h, 7100, &probe));
    health_done(&h, &policy, 7200, HEALTH_LEFT, 10, true);
    assert_true(admitted(&h, 7201, &probe)); /* nothing was learnt: another one */
    health_done(&h, &policy, 7300, HEALTH_GOOD, 10, true);
    assert_int_equal(h.state, BREAKER_CLOSED);
    call(&h, 7301, HEALTH_GOOD, 10);
}

static void a_quiet_time_forgets(void **state)
{
    (void)state;
    struct health h = {0};
    for (int i = 0; i < 3; i++)
        call(&h, 1000, HEALTH_BAD, 10);
    call(&h, 20000, HEALTH_BAD, 10);
    assert_int_equal(h.state, BREAKER_CLOSED);
}

static void the_providers_own_limit_is_kept(void **state)
{
    (void)state;
    struct health h = {0};
    bool probe;
    unsigned retry_s;
    health_limit(&h, 1000, 5);
    health_limit(&h, 1000, 1);
    assert_int_equal(health_admit(&h, &policy, 2500, &probe, &retry_s), GW_LIMIT);
    assert_int_equal(retry_s, 4);
    assert_int_equal(health_admit(&h, &policy, 6000, &probe, &retry_s), GW_OK);
    health_limit(&h, 6000, 1000000);
    assert_int_equal(health_admit(&h, &policy, 306000, &probe, &retry_s), GW_OK);
}

static void callers_share(void **state)
{
    (void)state;
    struct health h = {0};
    unsigned flood = 0, other = 0;
    while (health_share(&h, flood))
        health_take(&h, &flood);
    assert_int_equal(flood, 1024);
    assert_true(health_share(&h, other));
    health_take(&h, &other);
    assert_int_equal(h.callers, 2);
    while (flood > 127)
        health_give(&h, &flood);
    assert_true(health_share(&h, flood));
    health_take(&h, &flood);
    assert_false(health_share(&h, flood)); /* half of 256 */
    while (flood)
        health_give(&h, &flood);
    assert_int_equal(h.callers, 1);
    assert_int_equal(h.flying, 1);
}

static const char *fault_of(const char *json, struct exchange_policy *p)
{
    struct arena a;
    json_t *v;
    arena_init(&a);
    assert_int_equal(json_read(str_from(json), &v, NULL), ERR_OK);
    const char *fault = policy_read(v, &a, p);
    json_decref(v);
    arena_free(&a);
    return fault;
}

static void a_policy_is_read_strictly(void **state)
{
    (void)state;
    struct exchange_policy p;
    assert_null(fault_of("{}", &p));
    assert_int_equal(p.answer_ms, 10000);
    assert_int_equal(p.breaker.calls, 20);
    assert_null(fault_of("{\"breaker\":{\"calls\":0},\"errors\":\"api-entreprise\"}", &p));
    assert_int_equal(p.breaker.calls, 0);
    assert_true(p.entreprise_errors);
    assert_string_equal(fault_of("{\"answer_ms\":5}", &p), "gateway.answer_ms");
    assert_string_equal(fault_of("{\"retries\":9}", &p), "gateway.retries");
    assert_string_equal(fault_of("{\"breaker\":{\"percent\":0}}", &p), "gateway.breaker");
    assert_string_equal(fault_of("{\"errors\":\"xml\"}", &p), "gateway.errors");
    assert_string_equal(fault_of("{\"other\":1}", &p), "gateway");
    assert_string_equal(fault_of("{\"credentials\":{\"kind\":\"header\"}}", &p),
                        "gateway.credentials");
    assert_string_equal(
        fault_of("{\"credentials\":{\"kind\":\"header\",\"name\":\"Content-Length\"}}", &p),
        "gateway.credentials");
    assert_null(fault_of("{\"credentials\":{\"kind\":\"header\",\"name\":\"X-Key\"}}", &p));
}

static void each_refusal_has_its_code_in_the_other_format_too(void **state)
{
    (void)state;
    for (int i = GW_OK + 1; i < GW_CODE_COUNT; i++) {
        const struct entreprise_error *e = entreprise_error((enum gw_code)i);
        bool providers = e->code[0] == '9';
        assert_string_not_equal(e->code, "00999"); /* it is in no table */
        assert_int_equal(strspn(e->code, "0123456789"), 5);
        assert_true(strlen(e->title) > 0 && strlen(e->detail) > 0);
        if (providers)
            assert_true(gw_fault((enum gw_code)i)->status == 404 ||
                        gw_fault((enum gw_code)i)->status == 422 ||
                        gw_fault((enum gw_code)i)->status >= 500);
        for (int k = GW_OK + 1; k < i; k++)
            assert_string_not_equal(e->code, entreprise_error((enum gw_code)k)->code);
    }
    struct buf b;
    json_t *v;
    struct gw_problem p = {.code = GW_PURPOSE, .trace_id = STR("t"), .base_url = ""};
    buf_init(&b, 4096);
    entreprise_write(&b, &p, 0, "object");
    assert_int_equal(json_read(buf_str(&b), &v, NULL), ERR_OK);
    const json_t *one = json_array_get(json_get(v, "errors"), 0);
    assert_string_equal(json_get_z(json_get(one, "source"), "parameter", ""), "object");
    assert_true(json_is_null(json_get(json_get(one, "meta"), "retry_in")));
    json_decref(v);
    buf_free(&b);
}

static void a_secret_is_shown_as_each_kind_says(void **state)
{
    (void)state;
    struct arena a;
    struct exchange_policy p = {0};
    arena_init(&a);
    p.credential.kind = CREDENTIAL_BASIC;
    p.credential.user = STR("Aladdin");
    assert_true(
        str_eq_z(policy_shown(&p, STR("open sesame"), &a), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="));
    p.credential.kind = CREDENTIAL_QUERY;
    p.credential.name = STR("api key");
    assert_true(str_eq_z(policy_shown(&p, STR("a&b=c"), &a), "api%20key=a%26b%3Dc"));
    p.credential.kind = CREDENTIAL_OAUTH;
    assert_true(str_eq_z(policy_shown(&p, STR("t"), &a), "Bearer t"));
    assert_true(str_eq_z(policy_header(&p), "Authorization"));
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(half_of_the_calls_open_it),
        cmocka_unit_test(one_probe_decides),
        cmocka_unit_test(a_quiet_time_forgets),
        cmocka_unit_test(the_providers_own_limit_is_kept),
        cmocka_unit_test(callers_share),
        cmocka_unit_test(a_policy_is_read_strictly),
        cmocka_unit_test(each_refusal_has_its_code_in_the_other_format_too),
        cmocka_unit_test(a_secret_is_shown_as_each_kind_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
