/* [M022] The table of transitions: for each state and side, what may be done and nothing else. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "core/contracts/contracts.h"

static void may(enum contract_state s, unsigned side, bool held, const char *want)
{
    char got[256] = "";
    size_t n = 0;
    for (size_t i = 0; i < transitions_n; i++)
        if (transition_fits(&transitions[i], s, side, held))
            n += (size_t)snprintf(got + n, sizeof got - n, "%s%s", n ? " " : "",
                                  transitions[i].action);
    assert_string_equal(got, want);
}

static void each_side_does_its_own(void **state)
{
    (void)state;
    may(CONTRACT_DRAFT, SIDE_CONSUMER, false, "submit archive");
    may(CONTRACT_DRAFT, SIDE_PROVIDER, false, "");
    may(CONTRACT_SUBMITTED, SIDE_CONSUMER, false, "");
    may(CONTRACT_SUBMITTED, SIDE_PROVIDER, false, "request_changes validate refuse");
    may(CONTRACT_SUBMITTED, SIDE_OPERATOR, false, "");
    may(CONTRACT_CHANGES_REQUESTED, SIDE_CONSUMER, false, "submit archive");
    may(CONTRACT_VALIDATED, SIDE_CONSUMER, false, "suspend revoke");
    may(CONTRACT_VALIDATED, SIDE_CONSUMER, true, "resume revoke");
    may(CONTRACT_VALIDATED, SIDE_PROVIDER, false, "suspend review renew revoke");
    may(CONTRACT_VALIDATED, SIDE_OPERATOR, true, "resume revoke");
    may(CONTRACT_REFUSED, SIDE_PROVIDER, false, "");
    may(CONTRACT_REFUSED, SIDE_CONSUMER, false, "archive");
    may(CONTRACT_REVOKED, SIDE_PROVIDER, true, "");
    for (unsigned side = 0; side < 8; side++)
        may(CONTRACT_ARCHIVED, side, false, "");
}

static void names_go_both_ways(void **state)
{
    enum contract_state s;
    (void)state;
    for (int i = 0; i < CONTRACT_STATE_COUNT; i++) {
        const char *name = contract_state_name((enum contract_state)i);
        assert_int_equal(contract_state_read(str_from(name), &s), ERR_OK);
        assert_int_equal(s, i);
    }
    assert_int_equal(contract_state_read(STR("Draft"), &s), ERR_INVALID);
    assert_null(transition_named(STR("approve")));
    assert_null(transition_named(STR("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_side_does_its_own),
        cmocka_unit_test(names_go_both_ways),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
