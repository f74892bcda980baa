#include "web/client_target.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include "base/buf.h"
#include "web/http.h"

static bool is_one_of(struct str name, struct str list)
{
    struct str part;
    while (list.n && str_split(&list, ' ', &part))
        if (str_eq(part, name))
            return true;
    return false;
}

static enum err url_part(struct arena *a, CURLU *u, CURLUPart part, const char **out)
{
    char *z;
    if (curl_url_get(u, part, &z, CURLU_DEFAULT_PORT) != CURLUE_OK)
        return ERR_INVALID;
    *out = arena_dupz(a, str_from(z));
    curl_free(z);
    return ERR_OK;
}

enum err client_target_read(struct arena *a, struct str url, const char *schemes,
                            struct client_target *t)
{
    const char *port;
    uint64_t n;
    if (url.n == 0 || url.n > HTTP_TARGET_MAX)
        return ERR_INVALID;
    for (size_t i = 0; i < url.n; i++)
        if (url.p[i] <= ' ' || url.p[i] >= 127)
            return ERR_INVALID;
    CURLU *u = curl_url();
    if (!u)
        abort();
    t->url = arena_dupz(a, url);
    enum err e = curl_url_set(u, CURLUPART_URL, t->url, CURLU_DISALLOW_USER) ? ERR_INVALID : ERR_OK;
    if (!e)
        e = url_part(a, u, CURLUPART_SCHEME, &t->scheme);
    if (!e)
        e = url_part(a, u, CURLUPART_HOST, &t->host);
    if (!e)
        e = url_part(a, u, CURLUPART_PORT, &port);
    curl_url_cleanup(u);
    if (e || !is_one_of(str_from(t->scheme), str_from(schemes)))
        return ERR_INVALID;
    if (!str_to_u64(str_from(port), &n) || n == 0 || n > 65535)
        return ERR_INVALID;
    t->port = (unsigned)n;
    size_t len = strlen(t->host);
    if (len > 2 && t->host[0] == '[')
        t->host = arena_dupz(a, str_of(t->host + 1, len - 2));
    return ERR_OK;
}

/* "host:port:address,address": libcurl then looks nothing up. */
const char *client_target_pin(struct arena *a, const struct client_target *t)
{
    char text[INET6_ADDRSTRLEN];
    struct buf b;
    buf_init(&b, 1024);
    buf_printf(&b, "%s:%u", t->host, t->port);
    for (size_t i = 0; i < t->n; i++) {
        const struct sockaddr_storage *s = &t->addrs[i].addr;
        bool six = s->ss_family == AF_INET6;
        const void *raw = six ? (const void *)&((const struct sockaddr_in6 *)s)->sin6_addr
                              : (const void *)&((const struct sockaddr_in *)s)->sin_addr;
        if (!inet_ntop(s->ss_family, raw, text, sizeof text))
            continue;
        buf_printf(&b, six ? "%c[%s]" : "%c%s", i ? ',' : ':', text);
    }
    const char *z = b.err ? NULL : arena_dupz(a, buf_str(&b));
    buf_free(&b);
    return z;
}

enum err client_target_resolve(struct client_target *t, bool allow_inside)
{
    return resolve_host(str_from(t->host), t->port, allow_inside, t->addrs, CLIENT_ADDRESSES_MAX,
                        &t->n);
}
