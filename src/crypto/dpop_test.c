/* The memory of proofs: once each, for a life at least, and bounded. What a proof must say is
 * played from outside, by test/integration/oauth.test.mjs. */
#include "crypto/dpop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { LIFE_MS = DPOP_PAST_MS + DPOP_AHEAD_MS };

static void a_proof_is_new_once(void **state)
{
    struct dpop_seen s;
    (void)state;
    dpop_seen_init(&s, 100 * 1000);
    for (uint64_t i = 0; i < 5000; i++)
        assert_int_equal(dpop_seen_add(&s, i * 1024, 1), ERR_OK); /* all want the same slot */
    for (uint64_t i = 0; i < 5000; i++)
        assert_int_equal(dpop_seen_add(&s, i * 1024, 2), ERR_EXISTS);
    dpop_seen_free(&s);
}

static void it_is_known_for_a_life_whenever_it_came(void **state)
{
    (void)state;
    for (int64_t at_ms = 1; at_ms <= 3 * LIFE_MS; at_ms += 9973) {
        struct dpop_seen s;
        dpop_seen_init(&s, 1000);
        assert_int_equal(dpop_seen_add(&s, 1, 1), ERR_OK);
        assert_int_equal(dpop_seen_add(&s, 77, at_ms), ERR_OK);
        for (int64_t later_ms = 0; later_ms < LIFE_MS; later_ms += 5000)
            assert_int_equal(dpop_seen_add(&s, 77, at_ms + later_ms), ERR_EXISTS);
        dpop_seen_free(&s);
    }
}

static void it_is_bounded_and_forgets(void **state)
{
    struct dpop_seen s;
    (void)state;
    dpop_seen_init(&s, 10);
    for (uint64_t i = 1; i <= 10; i++)
        assert_int_equal(dpop_seen_add(&s, i, 1), ERR_OK);
    assert_int_equal(dpop_seen_add(&s, 11, 2),
                     ERR_LIMIT); /* nothing is believed rather than twice */
    assert_int_equal(dpop_seen_add(&s, 3, 2), ERR_EXISTS);
    assert_int_equal(dpop_seen_add(&s, 11, 2 + LIFE_MS), ERR_OK);
    assert_int_equal(dpop_seen_add(&s, 3, 5 * LIFE_MS), ERR_OK);
    dpop_seen_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_proof_is_new_once),
        cmocka_unit_test(it_is_known_for_a_life_whenever_it_came),
        cmocka_unit_test(it_is_bounded_and_forgets),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
