/* The head of an answer, and the engine's own answers. */
#include "web/conn.h"

#include <assert.h>

/* A field name is a token (RFC 9110 5.6.2) and comes from our own code; of a value only what could
 * end its line is looked for. */
static bool header_ok(const struct http_header *h)
{
    if (h->name.n == 0)
        return false;
    for (size_t i = 0; i < h->value.n; i++)
        if (h->value.p[i] == '\r' || h->value.p[i] == '\n' || h->value.p[i] == '\0')
            return false;
    return true;
}

static char *put(char *p, struct str s)
{
    memcpy(p, s.p, s.n);
    return p + s.n;
}

#define PUT_LITERAL(p, lit) put((p), STR(lit))

static char *put_u64(char *p, uint64_t v)
{
    char digits[20];
    size_t i = sizeof digits;
    do {
        digits[--i] = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    return put(p, str_of(digits + i, sizeof digits - i));
}

bool answer_has_body(const struct work *w, int status)
{
    return w->head.method != HTTP_HEAD && status >= 200 && status != 204 && status != 304;
}

static char *put_frame(char *p, struct work *w, const struct answer *a)
{
    bool never = a->status < 200 || a->status == 204 || (a->status == 304 && a->length <= 0);
    if (a->length >= 0 && !never) {
        p = PUT_LITERAL(p, "Content-Length: ");
        p = put_u64(p, (uint64_t)a->length);
        p = PUT_LITERAL(p, "\r\n");
    } else if (a->length < 0 && !never && w->head.minor > 0) {
        p = PUT_LITERAL(p, "Transfer-Encoding: chunked\r\n");
    }
    if (!w->keep)
        p = PUT_LITERAL(p, "Connection: close\r\n");
    else if (w->head.minor == 0)
        p = PUT_LITERAL(p, "Connection: keep-alive\r\n");
    return PUT_LITERAL(p, "\r\n");
}

/* Whether the connection can serve another request after this answer. A body its reader has begun
 * to read will be read. */
static bool keeps(const struct conn *c, const struct answer *a)
{
    const struct work *w = c->w;
    bool until_close = a->length < 0 && w->head.minor == 0 && answer_has_body(w, a->status);
    bool unread = !w->body_done && !(c->state == CONN_FAST && w->fast.body_started) &&
                  (w->body_chunked || w->continue_owed || w->body_left > DISCARD_MAX);
    bool left = c->eof && w->in_at == w->in_n;
    return w->head.keep_alive && !until_close && !unread && !left && !c->wl->stopping;
}

bool answer_head(struct conn *c, const struct answer *a)
{
    enum { FIXED = 256 }; /* start line, date, length, connection */
    struct work *w = c->w;
    struct str reason = str_from(http_status_text(a->status));
    size_t most = FIXED + reason.n;
    for (size_t i = 0; i < a->n; i++) {
        if (!header_ok(&a->headers[i]))
            return false;
        most += a->headers[i].name.n + a->headers[i].value.n + 4;
    }
    w->keep = keeps(c, a);
    char *start = buf_room(&w->out.head, most), *p = start;
    if (!p) {
        c->broken = true;
        return true;
    }
    p = PUT_LITERAL(p, "HTTP/1.1 ");
    p = put_u64(p, (uint64_t)a->status);
    *p++ = ' ';
    p = put(p, reason);
    p = PUT_LITERAL(p, "\r\n");
    p = put(p, loop_date(c->wl));
    for (size_t i = 0; i < a->n; i++) {
        p = put(p, a->headers[i].name);
        p = PUT_LITERAL(p, ": ");
        if (a->headers[i].value.n)
            p = put(p, a->headers[i].value);
        p = PUT_LITERAL(p, "\r\n");
    }
    p = put_frame(p, w, a);
    buf_grew(&w->out.head, (size_t)(p - start));
    if (a->status >= 100 && a->status < 600)
        count(c->wl, COUNT_STATUS + (enum counter)(a->status / 100), 1);
    return true;
}

static const struct {
    int status;
    const char *detail;
} details[] = {
    {400, "The request is not well-formed HTTP/1.1."},
    {405, "This method is not served."},
    {408, "The request did not arrive in time."},
    {413, "The body of the request is larger than this server accepts."},
    {414, "The address asked for is too long."},
    {417, "This expectation cannot be met."},
    {431, "The header of the request is too large."},
    {500, "The server failed; the failure was recorded."},
    {501, "This transfer coding or method is not implemented."},
    {503, "The server is busy; try again in a moment."},
    {505, "This version of HTTP is not served."},
    {507, "The server has no room to store the request."},
};

static const char *detail_of(int status)
{
    for (size_t i = 0; i < COUNT_OF(details); i++)
        if (details[i].status == status)
            return details[i].detail;
    return "The request was refused.";
}

void answer_problem(struct conn *c, int status)
{
    struct http_header h[3] = {
        {STR("Content-Type"), STR("application/problem+json")},
        {STR("Cache-Control"), STR("no-store")},
    };
    size_t n_headers = 2;
    if (status == 503)
        h[n_headers++] = (struct http_header){STR("Retry-After"), STR("2")};
    if (status == 405)
        h[n_headers++] =
            (struct http_header){STR("Allow"), STR("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")};
    char text[256];
    int n = snprintf(text, sizeof text,
                     "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%d,"
                     "\"detail\":\"%s\"}\n",
                     http_status_text(status), status, detail_of(status));
    struct answer a = {.status = status, .headers = h, .n = n_headers, .length = n};
    assert(n > 0 && (size_t)n < sizeof text);
    if (answer_head(c, &a) && answer_has_body(c->w, status))
        out_add(c, STR_NONE, str_of(text, (size_t)n), STR_NONE);
}

void web_header(struct web_response *r, const char *name, struct str value)
{
    if (r->n_headers == COUNT_OF(r->headers))
        r->body.err = ERR_LIMIT; /* answered as a 500 */
    else
        r->headers[r->n_headers++] = (struct http_header){str_from(name), value};
}
