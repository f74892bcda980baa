/* Whether this node lives, and whether it can serve. */
#ifndef PLATFORM_HEALTH_H
#define PLATFORM_HEALTH_H

#include "platform/ctx.h"

enum err health_live(struct ctx *c);  /* /healthz */
enum err health_ready(struct ctx *c); /* /readyz */

/* [{name (in the person's language), ok}], for the status page. */
json_t *health_parts(struct ctx *c);

/* Database, keys and journal answer. */
bool health_is_ready(struct ctx *c);

#endif
