/* What the pages of a sign-in share. */
#ifndef IDENTITY_CHOOSE_H
#define IDENTITY_CHOOSE_H

#include "core/identity/flow.h"
#include "core/identity/provider.h"

/* The flow that the parameter `flow` names. *answered: a page was given instead (or an error is
 * returned), and there is nothing more to do. */
enum err flow_of_request(struct ctx *c, struct flow **out, bool *answered) MUST_CHECK;
/* May this flow use that provider? (realm, and the client's list) */
bool flow_accepts(struct ctx *c, const struct flow *f, const struct provider *p);

#endif
