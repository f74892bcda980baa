/* Brings what the database says to the loops: the change feed's thread builds a snapshot after each
 * change of configuration and posts it, and every denial, to each loop. A thread of its own
 * resolves the providers' names and reads the issuer's public keys again now and then, so that
 * neither a slow name server nor the keys process can hold a withdrawal up. */
#ifndef EXCHANGE_FEED_H
#define EXCHANGE_FEED_H

#include "core/exchange/snapshot.h"
#include "platform/platform.h"

struct feed_denial {
    int64_t at_ms, until_ms;
    struct str key;
};

/* What a loop gets, in its own thread. */
struct feed_listener {
    struct loop *loop;
    void (*on_snapshot)(struct feed_listener *l, struct exchange_snapshot *s /* yours to unref */);
    void (*on_denials)(struct feed_listener *l, const struct feed_denial *list, size_t n);
    struct feed_listener *next;
};

enum err feed_start(struct platform *pf) MUST_CHECK;
/* Called in the loop's thread before it runs: gives at once what is known. The listener stays. */
void feed_listen(struct feed_listener *l);

#endif
