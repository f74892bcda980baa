/* How a change of configuration or a withdrawal reaches every loop of every node: a sequenced
 * table, polled every 200 ms (PostgreSQL's NOTIFY only hastens it). */
#ifndef PLATFORM_CHANGE_H
#define PLATFORM_CHANGE_H

#include "platform/platform.h"

struct change {
    int64_t seq;
    struct str kind;  /* "config" (contracts, routes, clients), "deny" (a consent, a token, a
                         contract),  "erase" (a subject whose key was destroyed) */
    struct str key;   /* what: for deny "consent:<id>", "token:<jti>", "contract:<id>" */
    int64_t until_ms; /* deny: may be forgotten after (one token's lifetime) */
    int64_t at_ms;    /* when it was written */
};

/* Inside a closure: written with what it announces. */
enum err change_add(struct db_conn *c, const char *kind, struct str key,
                    int64_t until_ms) MUST_CHECK;

/* Called from the poller's thread with each batch, in order, each change once; before that, once
 * with n = 0 at start (build your snapshot) then with the deny rows that still count. Register in
 * service.start. */
typedef void change_fn(struct platform *pf, const struct change *list, size_t n, void *arg);
void change_subscribe(struct platform *pf, change_fn *fn, void *arg);

/* Monotonic time of the last successful poll. The fast lane answers 503 when it is over 1 s old. */
int64_t change_confirmed_ms(void);

#endif
