/* Whom a request comes from when it comes through proxies. A header that names the client is worth
 * what its sender is worth: it counts from a trusted proxy, and is taken out of anyone else's
 * request, so that nothing behind us can read it by mistake. */
#include "web/conn.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "base/log.h"

/* ---- addresses ------------------------------------------------------------------------------- */
static const unsigned char v4_prefix[12] = {[10] = 0xff, [11] = 0xff};

static bool is_v4(const struct ip *ip)
{
    return memcmp(ip->b, v4_prefix, sizeof v4_prefix) == 0;
}

static void ip_from_v4(struct ip *out, const void *four)
{
    memcpy(out->b, v4_prefix, sizeof v4_prefix);
    memcpy(out->b + 12, four, 4);
}

bool ip_from_sockaddr(const struct sockaddr *sa, struct ip *out)
{
    if (sa->sa_family == AF_INET)
        ip_from_v4(out, &((const struct sockaddr_in *)(const void *)sa)->sin_addr);
    else if (sa->sa_family == AF_INET6)
        memcpy(out->b, &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr, 16);
    else
        return false;
    return true;
}

static bool ip_read_bare(struct str text, struct ip *out)
{
    char z[ADDRESS_TEXT];
    unsigned char four[4];
    if (text.n == 0 || text.n >= sizeof z)
        return false;
    memcpy(z, text.p, text.n);
    z[text.n] = '\0';
    if (strlen(z) != text.n)
        return false;
    if (inet_pton(AF_INET, z, four) == 1)
        ip_from_v4(out, four);
    else if (inet_pton(AF_INET6, z, out->b) != 1)
        return false;
    return true;
}

/* "192.0.2.1", "192.0.2.1:80", "2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:80". */
bool ip_read(struct str text, struct ip *out)
{
    ptrdiff_t colon = str_find_char(text, ':');
    if (text.n && text.p[0] == '[') {
        ptrdiff_t end = str_find_char(text, ']');
        return end > 0 && ip_read_bare(str_sub(text, 1, (size_t)end - 1), out);
    }
    if (colon > 0 && str_find_char(str_after(text, (size_t)colon + 1), ':') < 0)
        text = str_sub(text, 0, (size_t)colon);
    return ip_read_bare(text, out);
}

size_t ip_text(const struct ip *ip, char out[ADDRESS_TEXT])
{
    bool v4 = is_v4(ip);
    if (!inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? ip->b + 12 : ip->b, out, ADDRESS_TEXT))
        out[0] = '\0';
    return strlen(out);
}

/* ---- who is trusted -------------------------------------------------------------------------- */
static bool net_read(struct str part, struct ip *ip, unsigned *bits)
{
    ptrdiff_t slash = str_find_char(part, '/');
    uint64_t n;
    if (!ip_read_bare(slash < 0 ? part : str_sub(part, 0, (size_t)slash), ip))
        return false;
    unsigned max = is_v4(ip) ? 32 : 128;
    *bits = 128;
    if (slash < 0)
        return true;
    if (!str_to_u64(str_after(part, (size_t)slash + 1), &n) || n > max)
        return false;
    *bits = (unsigned)n + (128 - max);
    return true;
}

static void trusted_invalid(struct str part)
{
    char text[64];
    snprintf(text, sizeof text, STR_FMT, STR_ARG(part));
    log_error("trusted_proxy_invalid", "part", text);
}

void trusted_read(struct str list, struct trusted *out)
{
    struct str part;
    out->n = 0;
    while (list.n && str_split(&list, ',', &part)) {
        part = str_trim(part);
        if (part.n == 0)
            continue;
        if (out->n < TRUSTED_MAX && net_read(part, &out->net[out->n].ip, &out->net[out->n].bits))
            out->n++;
        else
            trusted_invalid(part);
    }
}

bool trusted_has(const struct trusted *t, const struct ip *ip)
{
    for (size_t i = 0; i < t->n; i++) {
        unsigned bytes = t->net[i].bits / 8, rest = t->net[i].bits % 8;
        unsigned char mask = (unsigned char)(0xff << (8 - rest));
        if (memcmp(ip->b, t->net[i].ip.b, bytes) == 0 &&
            (rest == 0 || ((ip->b[bytes] ^ t->net[i].ip.b[bytes]) & mask) == 0))
            return true;
    }
    return false;
}

/* ---- their headers --------------------------------------------------------------------------- */
static const struct str theirs[] = {
    STR("Forwarded"),        STR("X-Forwarded-For"),  STR("X-Forwarded-Proto"),
    STR("X-Forwarded-Host"), STR("X-Forwarded-Port"), STR("X-Forwarded-Server"),
    STR("X-Real-IP"),        STR("Client-Cert"),      STR("Client-Cert-Chain"),
};

static bool is_theirs(struct str name)
{
    char first = (char)(name.p[0] | 32);
    if (first != 'x' && first != 'f' && first != 'c')
        return false;
    for (size_t i = 0; i < COUNT_OF(theirs); i++)
        if (name.n == theirs[i].n && str_eq_nocase(name, theirs[i]))
            return true;
    return false;
}

void proxy_strip(struct http_head *h)
{
    size_t kept = 0;
    for (size_t i = 0; i < h->n_headers; i++) {
        if (is_theirs(h->headers[i].name))
            continue;
        if (kept != i)
            h->headers[kept] = h->headers[i];
        kept++;
    }
    h->n_headers = kept;
}

/* Hops are walked from the nearest one: each is believed because the one before was trusted. */
struct hop {
    struct ip ip;
    bool said, found, secure, ended;
};

static void hop_add(const struct trusted *t, struct hop *hop, struct str node, bool secure)
{
    struct ip ip;
    bool known = ip_read(node, &ip);
    hop->said = true;
    if (!known) { /* "unknown", "_hidden": nobody before it can be told */
        hop->ended = true;
        hop->secure = hop->found ? hop->secure : secure;
        return;
    }
    hop->ip = ip;
    hop->found = true;
    hop->secure = secure;
    hop->ended = !trusted_has(t, &ip);
}

/* Takes the last element of a list, by the last comma that is not inside quotes. */
static bool take_last(struct str *list, struct str *out)
{
    bool quoted = false;
    size_t from = 0;
    if (!list->p)
        return false;
    for (size_t i = 0; i < list->n; i++) {
        if (list->p[i] == '"')
            quoted = !quoted;
        else if (list->p[i] == '\\' && quoted)
            i++;
        else if (list->p[i] == ',' && !quoted)
            from = i + 1;
    }
    *out = str_trim(str_after(*list, from));
    *list = from ? str_sub(*list, 0, from - 1) : STR_NONE;
    return true;
}

static struct str unquote(struct str s)
{
    return s.n >= 2 && s.p[0] == '"' && s.p[s.n - 1] == '"' ? str_sub(s, 1, s.n - 2) : s;
}

/* RFC 7239 4: for=192.0.2.1;proto=https;by=... */
static void forwarded_element(struct str element, struct str *node, bool *secure)
{
    struct str pair;
    *node = STR_NONE;
    *secure = false;
    while (element.n && str_split(&element, ';', &pair)) {
        ptrdiff_t eq = str_find_char(pair, '=');
        if (eq < 0)
            continue;
        struct str name = str_trim(str_sub(pair, 0, (size_t)eq));
        struct str value = unquote(str_trim(str_after(pair, (size_t)eq + 1)));
        if (str_eq_nocase(name, STR("for")))
            *node = value;
        else if (str_eq_nocase(name, STR("proto")))
            *secure = str_eq_nocase(value, STR("https"));
    }
}

/* Fields of one name are one list, in their order (RFC 9110 5.3): from the last field back. */
static struct hop forwarded_hops(const struct trusted *t, const struct http_head *h)
{
    struct hop hop = {0};
    struct str list, element, node;
    bool secure;
    for (size_t i = h->n_headers; i-- > 0;) {
        if (!str_eq_nocase(h->headers[i].name, STR("Forwarded")))
            continue;
        list = h->headers[i].value;
        while (!hop.ended && take_last(&list, &element)) {
            forwarded_element(element, &node, &secure);
            hop_add(t, &hop, node, secure);
        }
    }
    return hop;
}

static struct hop x_forwarded_hops(const struct trusted *t, const struct http_head *h)
{
    struct hop hop = {0};
    struct str list, node, proto = http_header_get(h, "X-Forwarded-Proto"), last = STR_NONE;
    bool secure = take_last(&proto, &last) && str_eq_nocase(last, STR("https"));
    hop.said = last.p != NULL;
    hop.secure = secure;
    for (size_t i = h->n_headers; i-- > 0;) {
        if (!str_eq_nocase(h->headers[i].name, STR("X-Forwarded-For")))
            continue;
        list = h->headers[i].value;
        while (!hop.ended && take_last(&list, &node))
            hop_add(t, &hop, node, secure);
    }
    return hop;
}

/* Most proxies write one of the two and let the other through as the client sent it: where both are
 * there and differ, nobody can say which one is the proxy's, and neither counts. */
bool proxy_client(const struct trusted *t, const struct http_head *h, struct ip *client,
                  bool *secure)
{
    struct hop f = forwarded_hops(t, h), x = x_forwarded_hops(t, h);
    struct hop hop = f.said ? f : x;
    bool differ =
        f.said && x.said &&
        (f.found != x.found || memcmp(&f.ip, &x.ip, sizeof f.ip) != 0 || f.secure != x.secure);
    *secure = !differ && hop.secure;
    *client = hop.ip;
    return hop.found && !differ;
}
