/* At the door: what `safety` says of somebody who has proved who she is, before she is let in and
 * once she is. Without that service everybody passes. */
#ifndef IDENTITY_GUARD_H
#define IDENTITY_GUARD_H

#include "core/identity/flow.h"
#include "platform/ctx.h"

struct guarded {
    struct flow *flow;
    struct str person, provider;
    json_t *provider_name; /* {"fr","en"}; not stolen */
    enum level level;      /* reached */
    bool suspicious;       /* the provider says so */
};
/* A block, or a sign-in that looks like somebody else's and is not strong: answered with the page
 * that says what to do. */
enum err guard_judge(struct ctx *c, const struct guarded *g, bool *answered) MUST_CHECK;
/* After session_start: the device is noted, she is written to when it is new. What fails here keeps
 * nobody out. */
void guard_arrived(struct ctx *c, const struct guarded *g);
/* A sign-in failed on the way: counted by where it came from. */
void guard_failed(struct ctx *c);

#endif
