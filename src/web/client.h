/* Ordinary outgoing HTTP for handlers and jobs: libcurl, addresses resolved and checked first and
 * pinned, redirects not followed, certificates verified, ceilings on everything. Blocks. */
#ifndef WEB_CLIENT_H
#define WEB_CLIENT_H

#include "base/arena.h"
#include "base/err.h"
#include "web/http.h"

struct client_call {
    const char *method; /* NULL: GET */
    struct str url;     /* http or https */
    const struct http_header
        *headers; /* not those that frame: Host, Content-Length ... (INVALID) */
    size_t n_headers;
    struct str body;   /* its Content-Type is a header: none is added */
    int timeout_ms;    /* 0: 5,000 */
    size_t answer_max; /* 0: 1 MB */
    bool allow_inside; /* loopback and private addresses: demonstration and sites that say so */
};
struct client_answer {
    int status;
    struct http_header headers[HTTP_HEADERS_MAX];
    size_t n_headers;
    struct str body;
};
/* Once, before threads and before the sandbox: reads the authorities (SSL_CERT_FILE, else the
 * system's). */
void client_global_start(void);
/* ERR_UNAVAILABLE, ERR_TIMEOUT, ERR_DENIED (address refused), ERR_LIMIT, ERR_INVALID (url). */
enum err client_send(struct arena *a, const struct client_call *call,
                     struct client_answer *out) MUST_CHECK;
struct str client_header(const struct client_answer *r, const char *name);

#endif
