/* How a provider fares, as one loop sees it: the breaker, the provider's own limits, and how its
 * callers share it. No lock: a loop has its own; the counts are atomic because the usage thread
 * reads them and writes them down for the owner's page. */
#ifndef EXCHANGE_HEALTH_H
#define EXCHANGE_HEALTH_H

#include <stdatomic.h>
#include "core/exchange/faults.h"
#include "core/exchange/policy.h"

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN };
extern const char *const breaker_names[];

enum health_count {
    HEALTH_CALLS,      /* asked of the provider */
    HEALTH_ERRORS,     /* no connection, no answer, garbage, 5xx */
    HEALTH_SLOW,       /* over slow_ms */
    HEALTH_REFUSED,    /* not asked: breaker, the provider's limit, share */
    HEALTH_OPENED,     /* times the breaker opened */
    HEALTH_SAMPLED,    /* answers compared with the description */
    HEALTH_DEPARTURES, /* of them: not as described */
    HEALTH_TOOK_US,    /* to the first byte of the answer, summed */
    HEALTH_COUNTS
};

struct health {
    int64_t window_ms; /* when the window under way began */
    unsigned calls, bad;
    enum breaker_state state;
    int64_t open_until_ms, limit_until_ms;
    unsigned opened_in_row;
    bool probing;
    unsigned seen;            /* whole answers, for the samples */
    unsigned flying, callers; /* calls under way, contracts that have some */

    atomic_uint_fast64_t counts[HEALTH_COUNTS];
    _Atomic int state_now;
    uint64_t told[HEALTH_COUNTS]; /* the usage thread's */
    int state_told;
    struct health *next;
    char api[66], version[66];
};

static inline void health_count(struct health *h, enum health_count what, uint64_t n)
{
    atomic_fetch_add_explicit(&h->counts[what], n, memory_order_relaxed);
}

/* May the provider be asked? GW_OK, GW_BREAKER or GW_LIMIT, and when to come back. A GW_OK of a
 * half open breaker is its probe: *probe. */
enum gw_code health_admit(struct health *h, const struct exchange_policy *p, int64_t now_ms,
                          bool *probe, unsigned *retry_s) MUST_CHECK;

/* What became of a call that was admitted: told once. took_us: to the first byte, or to the end of
 * the waiting. */
enum health_end { HEALTH_GOOD, HEALTH_BAD, HEALTH_LEFT /* the caller went: nothing is known */ };
void health_done(struct health *h, const struct exchange_policy *p, int64_t now_ms,
                 enum health_end end, int64_t took_us, bool probe);
/* The provider asked to be left alone for so long. */
void health_limit(struct health *h, int64_t now_ms, unsigned seconds);

/* Calls under way are shared: while several contracts ask, none holds more than its part of the
 * connections. `mine`: the contract's calls under way in this loop. */
bool health_share(const struct health *h, unsigned mine);
/* Who has less than its part of the connections does not wait behind who has more. */
bool health_first(const struct health *h, unsigned mine);
void health_take(struct health *h, unsigned *mine);
void health_give(struct health *h, unsigned *mine);

#endif
