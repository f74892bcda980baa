/* One answer in so many is compared with its API's description: copied by the loop, judged by a
 * thread of its own, counted for the owner. Bounded: what finds no room is not judged. */
#ifndef EXCHANGE_SAMPLE_H
#define EXCHANGE_SAMPLE_H

#include "core/exchange/call.h"

enum err sample_start(struct platform *pf) MUST_CHECK;
/* In the loop, once the provider's whole answer is there. */
void sample_offer(struct gw_call *c);

#endif
