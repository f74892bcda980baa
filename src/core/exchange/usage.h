/* How often each contract is used: counted by the loops without a lock, written down every two
 * seconds by a thread of its own. A crash loses two seconds of counts, never an entry of the
 * journal. */
#ifndef EXCHANGE_USAGE_H
#define EXCHANGE_USAGE_H

#include <stdatomic.h>
#include "platform/platform.h"

/* One per contract and loop; its loop alone adds. It stays for good, as contracts do. */
struct usage {
    atomic_uint_fast64_t delivered, refused, bytes;
    uint64_t told_delivered, told_refused, told_bytes; /* the thread's */
    const char *contract;
    struct usage *next;
};

/* From a loop, once; contract must stay. */
void usage_register(struct usage *u, const char *contract);
struct health;
void usage_register_health(struct health *h);
enum err usage_start(struct platform *pf) MUST_CHECK;

static inline void usage_count(struct usage *u, bool delivered, uint64_t bytes)
{
    atomic_fetch_add_explicit(delivered ? &u->delivered : &u->refused, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&u->bytes, bytes, memory_order_relaxed);
}

#endif
