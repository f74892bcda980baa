/* Names to addresses, by c-ares (no NSS plug-ins under seccomp), with the rule against request
 * forgery: an address inside (loopback, private, link-local, multicast) is refused unless allowed.
 */
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
 * n addresses, returns how many in *found; with allow_inside false, those outside only. ERR_INVALID
 * for what is no host name or address (RFC 1123 2.1; an IPv6 address may stand in brackets);
 * ERR_DENIED when all of them are inside and that is not allowed; ERR_NOT_FOUND; ERR_TIMEOUT;
 * ERR_UNAVAILABLE when no name server can be asked or all of them fail. */
enum err resolve_host(struct str host, unsigned port, bool allow_inside, struct resolved *out,
                      size_t n, size_t *found) MUST_CHECK;

/* True for every address that is not one of the public Internet's hosts (IANA's registries of
 * special-purpose addresses), also when it is written inside an IPv6 address; true for any family
 * but IPv4 and IPv6. */
bool resolve_is_inside(const struct sockaddr *addr);

/* Name servers to ask instead of /etc/resolv.conf's: "192.0.2.1:53,192.0.2.2". Borrowed for good;
 * set before the first resolve_host. */
void resolve_set_servers(const char *csv);

#endif
