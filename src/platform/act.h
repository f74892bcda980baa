/* The two ends of act_write's life that only the processes call. */
#ifndef PLATFORM_ACT_H
#define PLATFORM_ACT_H

#include "platform/ctx.h"

enum err act_start(struct platform *pf) MUST_CHECK; /* replays the outbox, starts the confirmer */
void act_stop(void);

#endif
