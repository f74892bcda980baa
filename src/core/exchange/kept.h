/* Answers kept for a while, where an API's declaration asks for it: `cache_seconds`. One per loop,
 * bounded; the least recently used leaves first. A kept answer is the provider's whole document: it
 * goes through the contract's filter and the journal as one that just came. It is found only by a
 * call that was admitted (token, contract, consent, quota) and is the same call: contract, consent,
 * subject, purpose, fields, method, path, query, Accept. docs/formats/exchange-declaration.md. */
#ifndef EXCHANGE_KEPT_H
#define EXCHANGE_KEPT_H

#include "base/map.h"
#include "sys/loop.h"
#include "web/http.h"

struct gw_call;
struct kept_entry;
struct kept {
    struct map entries;
    struct kept_entry *newest, *oldest;
    size_t n, bytes;
    struct loop *loop;
    struct loop_timer sweep; /* what has grown too old does not stay in memory */
};
void kept_init(struct kept *c, struct loop *l);
void kept_clear(struct kept *c);
/* "contract:...", "consent:...", "client:...", "person:...": what was kept for it goes. */
void kept_deny(struct kept *c, struct str key);

/* Whether the call's answer is there; then it stands in the call as the provider's would. */
bool kept_find(struct gw_call *c);
/* For how many seconds the provider lets its answer be kept, and how old it is already: of its
 * head.
 */
void kept_judge(struct gw_call *c, const struct http_head *h);
/* Keeps the provider's answer, if it may be. */
void kept_put(struct gw_call *c);

#endif
