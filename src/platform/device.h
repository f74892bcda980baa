/* What kind of device a request comes from, and from about where on the network: words for a person
 * who looks for what she does not recognise. Neither is proof of anything. */
#ifndef PLATFORM_DEVICE_H
#define PLATFORM_DEVICE_H

#include "platform/ctx.h"

/* "Firefox sur Windows" out of User-Agent; {"fr","en"}, caller owns it. */
json_t *device_kind(struct arena *a, struct str user_agent);
/* "203.0.x.x", "2001:db8::/32": never a whole address. "local" for addresses inside. */
struct str device_network(struct arena *a, struct str remote);

#endif
