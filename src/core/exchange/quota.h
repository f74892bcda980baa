/* A contract's calls per minute: a token bucket that refills steadily, one per contract and loop.
 * Each loop holds its share, so that loops never meet: with connections spread unevenly a consumer
 * may be told to wait a little early, never let through late. */
#ifndef EXCHANGE_QUOTA_H
#define EXCHANGE_QUOTA_H

#include <stdbool.h>
#include <stdint.h>

struct quota {
    unsigned per_minute; /* this loop's share; 0: no limit */
    int64_t micro;       /* millionths of a call left */
    int64_t at_ms;       /* when that was true; monotonic */
};

/* A loop's share of a contract's limit, at least one call. */
unsigned quota_share(unsigned per_minute, unsigned n_loops);
/* Takes one call. Changing per_minute keeps what was used. */
bool quota_take(struct quota *q, unsigned per_minute, int64_t now_ms);
/* Whole calls left, and seconds until one more is there (0 when there is one). */
unsigned quota_left(const struct quota *q);
unsigned quota_retry_s(const struct quota *q);
/* Seconds until the bucket is full again. */
unsigned quota_reset_s(const struct quota *q);

#endif
