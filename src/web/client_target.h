/* Where an outgoing call goes: the address read, its name resolved by us and pinned, so that
 * libcurl looks nothing up. Shared by client.c (HTTP) and letter.c (SMTP). */
#ifndef WEB_CLIENT_TARGET_H
#define WEB_CLIENT_TARGET_H

#include "base/arena.h"
#include "base/err.h"
#include "sys/resolve.h"

enum { CLIENT_ADDRESSES_MAX = 4 };
struct client_target {
    const char *url, *scheme, *host; /* host without brackets */
    unsigned port;
    struct resolved addrs[CLIENT_ADDRESSES_MAX];
    size_t n;
};

/* schemes: those allowed, blank-separated. ERR_INVALID. */
enum err client_target_read(struct arena *a, struct str url, const char *schemes,
                            struct client_target *t) MUST_CHECK;
/* As resolve_host. */
enum err client_target_resolve(struct client_target *t, bool allow_inside) MUST_CHECK;
/* "host:port:address,address" for CURLOPT_RESOLVE; NULL: too long. */
const char *client_target_pin(struct arena *a, const struct client_target *t);

#endif
