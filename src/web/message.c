#include "web/message.h"

struct httpsig_message message_of_head(struct arena *a, const struct http_head *h,
                                       struct str base_url)
{
    struct httpsig_field *f = arena_array(a, struct httpsig_field, h->n_headers + 1);
    ptrdiff_t at = str_find(base_url, STR("://"));
    for (size_t i = 0; i < h->n_headers; i++)
        f[i] = (struct httpsig_field){h->headers[i].name, h->headers[i].value};
    struct httpsig_message m = {.headers = {f, h->n_headers}};
    if (h->is_response) {
        m.status = h->status;
        return m;
    }
    bool queried = str_find_char(h->target, '?') >= 0;
    m.method = str_from(http_method_name(h->method));
    m.scheme = at > 0 ? str_sub(base_url, 0, (size_t)at) : STR("https");
    m.authority = at > 0 ? str_after(base_url, (size_t)at + 3) : h->host;
    m.path = h->path;
    m.query = !queried ? STR_NONE : h->query.p ? h->query : STR("");
    return m;
}
