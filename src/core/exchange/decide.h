/* May this token call this route now? The whole decision, apart from any I/O: contract, consent,
 * denials, times. Verdicts per grant are kept with the token until the snapshot or the deny list
 * changes, so that an ordinary call costs a few comparisons. */
#ifndef EXCHANGE_DECIDE_H
#define EXCHANGE_DECIDE_H

#include "core/exchange/snapshot.h"
#include "core/exchange/tokens.h"

/* What was withdrawn or revoked and could still be in somebody's token. One per loop. */
struct deny_list {
    struct map rows;  /* "consent:<id>" -> row */
    uint64_t version; /* grows with each addition; starts at 1 */
    size_t sweep_at;
};
void deny_init(struct deny_list *d);
void deny_free(struct deny_list *d);
void deny_add(struct deny_list *d, struct str key, int64_t at_ms, int64_t until_ms, int64_t now_ms);
bool deny_has(const struct deny_list *d, const char *kind, struct str id, int64_t *at_ms);

struct decide_in {
    const struct exchange_snapshot *snapshot;
    uint64_t snapshot_version; /* of this loop; grows */
    const struct deny_list *deny;
    int64_t now_ms;
    /* The loop's bucket of a contract. */
    struct quota *(*quota)(void *arg, struct str contract_id);
    void *quota_arg;
};
/* GW_OK and the grant; or the reason, and the grant it is about (NULL: none). *denied_at_ms is set
 * for GW_CONSENT when it was withdrawn, else 0. */
enum gw_code decide(const struct decide_in *in, struct token *t, const struct exchange_route *route,
                    struct token_grant **grant, int64_t *denied_at_ms) MUST_CHECK;

#endif
