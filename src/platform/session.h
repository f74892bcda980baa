/* What dispatch and jobs need of sessions beyond ctx.h. */
#ifndef PLATFORM_SESSION_H
#define PLATFORM_SESSION_H

#include "platform/ctx.h"

/* Fills c->session from the request's cookie; none, expired or of another site: stays NULL. */
enum err session_load(struct ctx *c) MUST_CHECK;
/* Deletes what expired. */
enum err session_sweep(struct platform *pf) MUST_CHECK;

#endif
