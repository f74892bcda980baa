/* Who may do what, when, and what it becomes: the whole of it is this table. */
#include "core/contracts/contracts.h"

#define AT(s) (1u << CONTRACT_##s)

const struct transition transitions[] = {
    {"submit", AT(DRAFT) | AT(CHANGES_REQUESTED), CONTRACT_SUBMITTED, SIDE_CONSUMER, false, false,
     "contract.submitted"},
    {"request_changes", AT(SUBMITTED), CONTRACT_CHANGES_REQUESTED, SIDE_PROVIDER, true, false,
     "contract.changes_requested"},
    {"validate", AT(SUBMITTED), CONTRACT_VALIDATED, SIDE_PROVIDER, false, false,
     "contract.validated"},
    {"refuse", AT(SUBMITTED), CONTRACT_REFUSED, SIDE_PROVIDER, true, false, "contract.refused"},
    {"suspend", AT(VALIDATED), CONTRACT_VALIDATED, SIDE_CONSUMER | SIDE_PROVIDER | SIDE_OPERATOR,
     true, false, "contract.suspended"},
    {"resume", AT(VALIDATED), CONTRACT_VALIDATED, SIDE_CONSUMER | SIDE_PROVIDER | SIDE_OPERATOR,
     false, true, "contract.resumed"},
    {"review", AT(VALIDATED), CONTRACT_VALIDATED, SIDE_PROVIDER, false, false, "contract.reviewed"},
    {"renew", AT(VALIDATED), CONTRACT_VALIDATED, SIDE_PROVIDER, false, false, "contract.renewed"},
    {"revoke", AT(VALIDATED), CONTRACT_REVOKED, SIDE_CONSUMER | SIDE_PROVIDER | SIDE_OPERATOR, true,
     false, "contract.revoked"},
    {"archive", AT(DRAFT) | AT(CHANGES_REQUESTED) | AT(REFUSED) | AT(REVOKED), CONTRACT_ARCHIVED,
     SIDE_CONSUMER, false, false, "contract.archived"},
};
const size_t transitions_n = COUNT_OF(transitions);

static const char *const names[CONTRACT_STATE_COUNT] = {
    [CONTRACT_DRAFT] = "draft",
    [CONTRACT_SUBMITTED] = "submitted",
    [CONTRACT_CHANGES_REQUESTED] = "changes_requested",
    [CONTRACT_VALIDATED] = "validated",
    [CONTRACT_REFUSED] = "refused",
    [CONTRACT_REVOKED] = "revoked",
    [CONTRACT_ARCHIVED] = "archived",
};

const char *contract_state_name(enum contract_state s)
{
    return names[s];
}

enum err contract_state_read(struct str name, enum contract_state *out)
{
    for (int i = 0; i < CONTRACT_STATE_COUNT; i++)
        if (str_eq_z(name, names[i])) {
            *out = (enum contract_state)i;
            return ERR_OK;
        }
    return ERR_INVALID;
}

const struct transition *transition_named(struct str action)
{
    for (size_t i = 0; i < transitions_n; i++)
        if (str_eq_z(action, transitions[i].action))
            return &transitions[i];
    return NULL;
}

bool transition_fits(const struct transition *t, enum contract_state s, unsigned sides, bool held)
{
    bool suspends = t->to == CONTRACT_VALIDATED && t->words_needed;
    return t->from & 1u << s && t->sides & sides && (!t->held || held) && (!suspends || !held);
}
