/* Is this person in the civil register? Asked of an adapter that the State runs before its register
 * (docs/formats/civil-register.md), where the setting or the provider's own settings name one. */
#ifndef IDENTITY_REGISTER_H
#define IDENTITY_REGISTER_H

#include "core/identity/flow.h"
#include "core/identity/provider.h"

/* claims: a checked pivot. What refuses is answered with its page. */
enum err register_check(struct ctx *c, const struct provider *p, const struct flow *f,
                        const json_t *claims, bool *answered) MUST_CHECK;

#endif
