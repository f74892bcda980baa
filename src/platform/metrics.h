/* Counters in Prometheus' text format (version 0.0.4). */
#ifndef PLATFORM_METRICS_H
#define PLATFORM_METRICS_H

#include "platform/ctx.h"

void metrics_set_server(const struct web_server *s);
enum err metrics_page(struct ctx *c);

#endif
