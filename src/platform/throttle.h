/* Slowing down who asks too often: one mechanism for addresses, clients and accounts.
 *
 * Rates (an address's pages, a client's failures) live in this process, in a table of fixed size:
 * an attacker may ask a little more by coming to several nodes, and never costs memory. Failures of
 * an account (a password) are shared by all nodes, in the database: they grow into a pause, and are
 * counted for names that nobody has as well, so that a pause never tells who has an account. */
#ifndef PLATFORM_THROTTLE_H
#define PLATFORM_THROTTLE_H

#include "platform/ctx.h"

/* So many at once, then so many a minute. per_minute 0: no limit. */
struct throttle_rule {
    const char *name;
    unsigned burst, per_minute;
};
/* Takes one for `key`. 0: go on; else the seconds to wait (nothing was taken). */
unsigned throttle_pass(const struct throttle_rule *r, struct str key);
/* The seconds to wait, without taking. */
unsigned throttle_wait(const struct throttle_rule *r, struct str key);
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

/* ---- failures of an account, shared by all nodes ------------------------------------------------
 */
/* `what` names the kind and the account: "operator:<blind of the login>". 5 failures are free, then
 * 30 s, 60 s, 90 s ... one hour at most; a day without a failure forgets them. */
enum err throttle_locked(struct ctx *c, struct str what, unsigned *wait_s) MUST_CHECK;
enum err throttle_failed(struct ctx *c, struct str what) MUST_CHECK;
enum err throttle_succeeded(struct ctx *c, struct str what) MUST_CHECK;

extern const struct service service_throttle;

#endif
