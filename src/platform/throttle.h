/* Slowing down who asks too often: one mechanism for addresses, clients and accounts.
 *
 * Rates (an address's pages, a client's failures) live in this process, in a table of fixed size:
 * an attacker may ask a little more by coming to several nodes, and never costs memory. Tries at a
 * secret (a password, a code) are shared by all nodes, in the database: they grow into a pause, and
 * are counted for names that nobody has as well, so that a pause never tells who has an account. */
#ifndef PLATFORM_THROTTLE_H
#define PLATFORM_THROTTLE_H

#include "platform/ctx.h"

/* So many at once, then so many a minute. per_minute 0: no limit. */
struct throttle_rule {
    const char *name;
    unsigned burst, per_minute;
};
/* Takes one for `key`. 0: go on; else the seconds to wait (nothing was taken). */
unsigned throttle_take(const struct throttle_rule *r, struct str key);
/* The seconds to wait, without taking. */
unsigned throttle_wait(const struct throttle_rule *r, struct str key);
/* Gives back one that was taken: who succeeds costs nothing, and makes no room for others. */
void throttle_give(const struct throttle_rule *r, struct str key);
void throttle_forget(const struct throttle_rule *r, struct str key);

/* Takes one and, where there is none, fails the request: SOC-429-RATE with Retry-After; ERR_LIMIT.
 */
enum err throttle_hold(struct ctx *c, const struct throttle_rule *r, struct str key) MUST_CHECK;
/* The same by the caller's address, under the setting throttle_address: what ROUTE_THROTTLED does.
 */
enum err throttle_hold_address(struct ctx *c) MUST_CHECK;
/* Whose address: an IPv6 address counts by its /64. "" for the loopback, which is a proxy that
 * trusted_proxies does not name: everybody would be slowed down as one. */
struct str throttle_address(const struct ctx *c);

/* ---- tries at a secret, shared by all nodes -----------------------------------------------------
 */
/* Counts a try before it is made, so that two at once cannot both be the last. `what` names the
 * kind, `whose` the account or whatever was typed in its place; only a keyed digest of both is
 * kept. 5 tries are free, then one each 30 s, 60 s, 90 s ... one hour at most; a day without a try
 * forgets them. ERR_LIMIT: not now, c->retry_after_s says when; the request is not answered yet. */
enum err throttle_try(struct ctx *c, const char *what, struct str whose) MUST_CHECK;
/* It was right: those before it are forgotten. */
enum err throttle_right(struct ctx *c, const char *what, struct str whose) MUST_CHECK;

extern const struct service service_throttle;

#endif
