#include "platform/device.h"

#include <arpa/inet.h>

struct word {
    const char *sign, *name;
};
/* First found wins: browsers name their ancestors behind their own name. */
static const struct word browsers[] = {
    {"Edg", "Edge"},        {"OPR/", "Opera"},    {"SamsungBrowser", "Samsung Internet"},
    {"Firefox", "Firefox"}, {"FxiOS", "Firefox"}, {"CriOS", "Chrome"},
    {"Chrome", "Chrome"},   {"Safari", "Safari"}, {"curl/", "curl"},
};
static const struct word systems[] = {
    {"iPhone", "iPhone"}, {"iPad", "iPad"},     {"Android", "Android"}, {"Windows", "Windows"},
    {"Mac OS X", "Mac"},  {"CrOS", "ChromeOS"}, {"Linux", "Linux"},
};

static const char *find(const struct word *list, size_t n, struct str s)
{
    for (size_t i = 0; i < n; i++)
        if (str_find(s, str_from(list[i].sign)) >= 0)
            return list[i].name;
    return NULL;
}

json_t *device_kind(struct arena *a, struct str user_agent)
{
    struct str s = str_sub(user_agent, 0, 512);
    const char *browser = find(browsers, COUNT_OF(browsers), s);
    const char *system = find(systems, COUNT_OF(systems), s);
    if (!browser && !system)
        return json_pack("{s:s,s:s}", "fr", "Appareil inconnu", "en", "Unknown device");
    if (!browser || !system)
        return json_pack("{s:s,s:s}", "fr", browser ? browser : system, "en",
                         browser ? browser : system);
    return json_pack("{s:s,s:s}", "fr", arena_printf(a, "%s sur %s", browser, system).p, "en",
                     arena_printf(a, "%s on %s", browser, system).p);
}

struct str device_network(struct arena *a, struct str remote)
{
    char text[INET6_ADDRSTRLEN] = "";
    struct sockaddr_in four = {.sin_family = AF_INET};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6};
    if (!remote.n || remote.n >= sizeof text)
        return STR("");
    memcpy(text, remote.p, remote.n);
    if (inet_pton(AF_INET, text, &four.sin_addr) == 1) {
        const uint8_t *b = (const uint8_t *)&four.sin_addr;
        bool inside = b[0] == 127 || b[0] == 10 || (b[0] == 192 && b[1] == 168) ||
                      (b[0] == 172 && b[1] >= 16 && b[1] < 32);
        return inside ? STR("local") : arena_printf(a, "%u.%u.x.x", b[0], b[1]);
    }
    if (inet_pton(AF_INET6, text, &six.sin6_addr) != 1)
        return STR("");
    if (IN6_IS_ADDR_LOOPBACK(&six.sin6_addr) || (six.sin6_addr.s6_addr[0] & 0xfe) == 0xfc)
        return STR("local");
    memset(six.sin6_addr.s6_addr + 4, 0, 12);
    inet_ntop(AF_INET6, &six.sin6_addr, text, sizeof text);
    return arena_printf(a, "%s/32", text);
}
