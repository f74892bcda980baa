/* The gateway: paths /gw/{api}/{version}/... on any host, served inside the loop that read them. */
#ifndef EXCHANGE_GATEWAY_H
#define EXCHANGE_GATEWAY_H

#include "platform/platform.h"

void *gateway_loop_start(struct platform *pf, struct loop *l, unsigned index);
bool gateway_fast(struct platform *pf, struct fast *x);
bool gateway_explain(struct str method, struct str path);

#endif
