/* Names to addresses, by c-ares (no NSS plug-ins under seccomp), with the rule against request
 * forgery: an address inside (loopback, private, link-local, multicast) is refused unless allowed. */
#ifndef SYS_RESOLVE_H
#define SYS_RESOLVE_H

#include <stdbool.h>
#include <sys/socket.h>
#include "base/err.h"
#include "base/str.h"

struct resolved {
    struct sockaddr_storage addr;
    socklen_t len;
};

/* localhost and *.localhost are the loopback (RFC 6761 6.3). Blocking, 5 s at most. Fills at most
 * n addresses, returns how many in *found. ERR_DENIED when all of them are inside and that is not
 * allowed; ERR_NOT_FOUND; ERR_TIMEOUT. */
enum err resolve_host(struct str host, unsigned port, bool allow_inside, struct resolved *out,
                      size_t n, size_t *found) MUST_CHECK;
bool resolve_is_inside(const struct sockaddr *addr);

#endif
