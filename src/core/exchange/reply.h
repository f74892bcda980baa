/* What every answer of the gateway bears, and how a call is refused. */
#ifndef EXCHANGE_REPLY_H
#define EXCHANGE_REPLY_H

#include "core/exchange/call.h"

enum { REPLY_HEADERS_MAX = 20 };
struct reply {
    struct http_header list[REPLY_HEADERS_MAX];
    size_t n;
    char limit[12], left[12], reset[12], retry[12], age[12];
};
/* Begins with what all have: the entry, the trace, the days of the version, the quota. */
void reply_start(struct gw_call *c, struct reply *r);
/* An empty value adds nothing. */
void reply_header(struct reply *r, const char *name, struct str value);

#endif
