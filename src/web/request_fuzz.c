/* A path, then header lines: what comes out of a path is safe to look up, and nothing a stranger
 * says about who it is stays. */
#include "web/conn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_path(struct arena *a, struct str raw)
{
    struct str path;
    if (request_path(a, raw, &path) != ERR_OK)
        return;
    bool star = str_eq_z(path, "*");
    if (!str_is_utf8(path) || (path.p[0] != '/' && !star) || memchr(path.p, 0, path.n) ||
        str_find(path, STR("//")) >= 0 || str_find(path, STR("/../")) >= 0 ||
        str_ends(path, STR("/..")))
        __builtin_trap();
}

static void read_headers(struct str text, struct http_head *h)
{
    struct str line;
    h->n_headers = 0;
    while (text.n && h->n_headers < HTTP_HEADERS_MAX && str_split(&text, '\n', &line)) {
        ptrdiff_t colon = str_find_char(line, ':');
        if (colon > 0)
            h->headers[h->n_headers++] = (struct http_header){
                str_sub(line, 0, (size_t)colon), str_trim(str_after(line, (size_t)colon + 1))};
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct trusted t;
    struct arena a;
    struct http_head h;
    struct ip ip;
    struct str rest = str_of(data, size), path = STR_NONE;
    char trace[33], text[ADDRESS_TEXT];
    bool secure;
    arena_init(&a);
    if (t.n == 0)
        trusted_read(STR("10.0.0.0/8"), &t);
    if (size)
        str_split(&rest, '\n', &path);
    check_path(&a, path);
    request_host(&a, path);
    read_headers(rest, &h);
    if (request_trace_id(&h, trace) && strlen(trace) != 32)
        __builtin_trap();
    if (proxy_client(&t, &h, &ip, &secure) && ip_text(&ip, text) == 0)
        __builtin_trap();
    proxy_strip(&h);
    if (proxy_client(&t, &h, &ip, &secure) || secure)
        __builtin_trap();
    arena_free(&a);
    return 0;
}
