/* Names to addresses. A channel of c-ares' for each question: it then draws a new port and a new
 * number, which whoever wants to answer in the server's place must guess, and it reads
 * /etc/resolv.conf afresh, so that a change of network needs no restart. */
#include "sys/resolve.h"

#include <ares.h>
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/clock.h"

enum { WAIT_MS = 5000, TRY_MS = 1500, TRIES = 2, HOST_MAX = 253 };

static const char *servers_csv;

void resolve_set_servers(const char *csv)
{
    servers_csv = csv;
}

/* --- which addresses are inside --------------------------------------------------------------- */

struct range {
    uint8_t prefix[16];
    unsigned bits;
};

static bool in_range(const uint8_t *addr, const struct range *r)
{
    unsigned whole = r->bits / 8, rest = r->bits % 8;
    return memcmp(addr, r->prefix, whole) == 0 &&
           (rest == 0 || (addr[whole] ^ r->prefix[whole]) >> (8 - rest) == 0);
}

static bool in_ranges(const uint8_t *addr, const struct range *r, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (in_range(addr, &r[i]))
            return true;
    return false;
}

/* RFC 6890 and IANA's IPv4 registry. */
static bool ip4_is_inside(const uint8_t addr[4])
{
    static const struct range inside[] = {
        {{0}, 8},             /* this network */
        {{10}, 8},            /* private */
        {{100, 64}, 10},      /* shared, of carriers */
        {{127}, 8},           /* loopback */
        {{169, 254}, 16},     /* link-local; clouds' metadata */
        {{172, 16}, 12},      /* private */
        {{192, 0, 0}, 24},    /* protocol assignments */
        {{192, 0, 2}, 24},    /* documentation */
        {{192, 88, 99}, 24},  /* relays of 6to4 */
        {{192, 168}, 16},     /* private */
        {{198, 18}, 15},      /* benchmarks */
        {{198, 51, 100}, 24}, /* documentation */
        {{203, 0, 113}, 24},  /* documentation */
        {{224}, 4},           /* multicast */
        {{240}, 4},           /* reserved, broadcast */
    };
    return in_ranges(addr, inside, COUNT_OF(inside));
}

/* Global unicast is 2000::/3 alone; within it, what is not a host's. */
static bool ip6_is_inside(const uint8_t addr[16])
{
    static const struct range unicast = {{0x20}, 3}, nat64 = {{0, 0x64, 0xff, 0x9b}, 96},
                              mapped = {{[10] = 0xff, [11] = 0xff}, 96}, sixto4 = {{0x20, 2}, 16};
    static const struct range inside[] = {
        {{0x20, 1, 0}, 23},          /* protocol assignments, Teredo, ORCHID */
        {{0x20, 1, 0x0d, 0xb8}, 32}, /* documentation */
        {{0x3f, 0xff, 0}, 20},       /* documentation */
        {{0x3f, 0xfe}, 16},          /* the former test network */
    };
    if (in_range(addr, &mapped) || in_range(addr, &nat64))
        return ip4_is_inside(addr + 12);
    if (in_range(addr, &sixto4))
        return ip4_is_inside(addr + 2);
    return !in_range(addr, &unicast) || in_ranges(addr, inside, COUNT_OF(inside));
}

bool resolve_is_inside(const struct sockaddr *addr)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    switch (addr->sa_family) {
    case AF_INET:
        memcpy(&v4, addr, sizeof v4);
        return ip4_is_inside((const uint8_t *)&v4.sin_addr);
    case AF_INET6:
        memcpy(&v6, addr, sizeof v6);
        return ip6_is_inside(v6.sin6_addr.s6_addr);
    default:
        return true;
    }
}

/* --- the answer ------------------------------------------------------------------------------- */

struct question {
    unsigned port;
    bool allow_inside;
    struct resolved *out;
    size_t n, found, refused;
    bool done;
    int status; /* c-ares' */
};

static void take(struct question *q, const struct sockaddr *addr, socklen_t len)
{
    struct resolved r = {.len = len};
    if (q->found == q->n)
        return;
    if (!q->allow_inside && resolve_is_inside(addr)) {
        q->refused++;
        return;
    }
    memcpy(&r.addr, addr, len);
    if (addr->sa_family == AF_INET)
        ((struct sockaddr_in *)&r.addr)->sin_port = htons((uint16_t)q->port);
    else
        ((struct sockaddr_in6 *)&r.addr)->sin6_port = htons((uint16_t)q->port);
    q->out[q->found++] = r;
}

static bool take_text(struct question *q, const char *text)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
        take(q, (struct sockaddr *)&v4, sizeof v4);
    else if (inet_pton(AF_INET6, text, &v6.sin6_addr) == 1)
        take(q, (struct sockaddr *)&v6, sizeof v6);
    else
        return false;
    return true;
}

static void on_answer(void *arg, int status, int timeouts, struct ares_addrinfo *res)
{
    struct question *q = arg;
    (void)timeouts;
    q->done = true;
    q->status = status;
    for (struct ares_addrinfo_node *a = res ? res->nodes : NULL; a; a = a->ai_next)
        if (a->ai_family == AF_INET || a->ai_family == AF_INET6)
            take(q, a->ai_addr, a->ai_addrlen);
    if (res)
        ares_freeaddrinfo(res);
}

static enum err err_of(const struct question *q)
{
    if (q->found)
        return ERR_OK;
    if (q->refused)
        return ERR_DENIED;
    switch (q->status) {
    case ARES_SUCCESS:
    case ARES_ENODATA:
    case ARES_ENOTFOUND:
        return ERR_NOT_FOUND;
    case ARES_ETIMEOUT:
    case ARES_ECANCELLED:
        return ERR_TIMEOUT;
    case ARES_EBADNAME:
        return ERR_INVALID;
    default:
        return ERR_UNAVAILABLE;
    }
}

/* --- asking ----------------------------------------------------------------------------------- */

static void library_start(void)
{
    if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS)
        abort();
}

static size_t watched(ares_channel ch, struct pollfd fds[ARES_GETSOCK_MAXNUM])
{
    ares_socket_t sockets[ARES_GETSOCK_MAXNUM];
    unsigned bits = (unsigned)ares_getsock(ch, sockets, ARES_GETSOCK_MAXNUM);
    size_t n = 0;
    for (int i = 0; i < ARES_GETSOCK_MAXNUM; i++) {
        int events =
            (bits & 1u << i ? POLLIN : 0) | (bits & 1u << (i + ARES_GETSOCK_MAXNUM) ? POLLOUT : 0);
        if (events)
            fds[n++] = (struct pollfd){.fd = sockets[i], .events = (short)events};
    }
    return n;
}

static void wait_for(ares_channel ch, struct question *q)
{
    int64_t until_ms = clock_mono_ms() + WAIT_MS;
    struct pollfd fds[ARES_GETSOCK_MAXNUM];
    while (!q->done) {
        int64_t left_ms = until_ms - clock_mono_ms();
        if (left_ms <= 0) {
            ares_cancel(ch); /* calls on_answer */
            return;
        }
        struct timeval most = {.tv_sec = left_ms / 1000, .tv_usec = left_ms % 1000 * 1000}, tv;
        struct timeval *t = ares_timeout(ch, &most, &tv);
        size_t n = watched(ch, fds);
        int ready = poll(fds, n, (int)(t->tv_sec * 1000 + t->tv_usec / 1000 + 1));
        if (ready <= 0)
            ares_process_fd(ch, ARES_SOCKET_BAD, ARES_SOCKET_BAD); /* time has passed */
        for (size_t i = 0; i < n && ready > 0; i++)
            if (fds[i].revents)
                ares_process_fd(ch, fds[i].revents & ~POLLOUT ? fds[i].fd : ARES_SOCKET_BAD,
                                fds[i].revents & POLLOUT ? fds[i].fd : ARES_SOCKET_BAD);
    }
}

static enum err ask(const char *name, struct question *q)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct ares_options options = {.timeout = TRY_MS, .tries = TRIES, .lookups = (char *)"fb"};
    struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    ares_channel ch;
    pthread_once(&once, library_start);
    if (ares_init_options(&ch, &options, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS) !=
        ARES_SUCCESS)
        return ERR_UNAVAILABLE;
    enum err e = ERR_OK;
    if (servers_csv && ares_set_servers_ports_csv(ch, servers_csv) != ARES_SUCCESS)
        e = ERR_UNAVAILABLE;
    if (e == ERR_OK) {
        ares_getaddrinfo(ch, name, NULL, &hints, on_answer, q);
        wait_for(ch, q);
        e = err_of(q);
    }
    ares_destroy(ch);
    return e;
}

/* --- the question ----------------------------------------------------------------------------- */

/* Into z, without brackets and without the root's dot. */
static bool host_read(struct str host, char z[HOST_MAX + 1])
{
    if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
        host = str_sub(host, 1, host.n - 2);
    else if (host.n > 1 && host.p[host.n - 1] == '.')
        host.n--;
    if (host.n == 0 || host.n > HOST_MAX)
        return false;
    for (size_t i = 0; i < host.n; i++) {
        char c = host.p[i];
        bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '-' || c == '_' || c == '.' || c == ':';
        if (!good)
            return false;
    }
    memcpy(z, host.p, host.n);
    z[host.n] = '\0';
    return true;
}

static bool is_localhost(struct str host)
{
    static const struct str name = {"localhost", 9}, under = {".localhost", 10};
    return str_eq_nocase(host, name) ||
           (host.n > under.n && str_eq_nocase(str_after(host, host.n - under.n), under));
}

/* "127.1", "0177.0.0.1", "0x7f000001": numbers that others read as addresses are no names. */
static bool ends_in_number(const char *z)
{
    const char *label = strrchr(z, '.') ? strrchr(z, '.') + 1 : z;
    return strspn(label, "0123456789") == strlen(label) || strncasecmp(label, "0x", 2) == 0;
}

enum err resolve_host(struct str host, unsigned port, bool allow_inside, struct resolved *out,
                      size_t n, size_t *found)
{
    struct question q = {.port = port, .allow_inside = allow_inside, .out = out, .n = n};
    char z[HOST_MAX + 1];
    *found = 0;
    if (!host_read(host, z) || port > 65535 || n == 0)
        return ERR_INVALID;
    enum err e = ERR_OK;
    if (is_localhost(str_from(z))) {
        take_text(&q, "127.0.0.1");
        take_text(&q, "::1");
        e = err_of(&q);
    } else if (take_text(&q, z)) {
        e = err_of(&q);
    } else if (strchr(z, ':') || host.p[0] == '[' || ends_in_number(z)) {
        e = ERR_INVALID;
    } else {
        e = ask(z, &q);
    }
    *found = q.found;
    return e;
}
