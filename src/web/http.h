/* HTTP/1.1 messages, strict (RFC 9110, RFC 9112): one parser for both directions, no allocation, no
 * tolerance. What RFC 9112 lets a recipient choose to refuse is refused: bare LF, bare CR,
 * obs-fold, white space before a colon, two Content-Lengths (even equal), Content-Length with
 * Transfer-Encoding, any transfer coding but one final "chunked", two Hosts, no Host in 1.1, NUL or
 * control characters, a target that is neither origin-form nor (for OPTIONS) "*", an absolute form
 * whose authority is not the Host, CONNECT and TRACE. */
#ifndef WEB_HTTP_H
#define WEB_HTTP_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

enum {
    HTTP_HEAD_MAX = 32 * 1024,
    HTTP_HEADERS_MAX = 64,
    HTTP_TARGET_MAX = 8 * 1024,
};

enum http_method {
    HTTP_GET,
    HTTP_HEAD,
    HTTP_POST,
    HTTP_PUT,
    HTTP_PATCH,
    HTTP_DELETE,
    HTTP_OPTIONS,
    HTTP_METHOD_COUNT
};
const char *http_method_name(enum http_method m);
const char *http_status_text(int status);

struct http_header {
    struct str name, value; /* name as sent; compare with str_eq_nocase */
};

struct http_head {
    bool is_response;
    enum http_method method;
    struct str target, path, query; /* path raw (still percent-encoded), query without '?' */
    int status;                     /* responses */
    int minor;                      /* HTTP/1.minor */
    struct http_header headers[HTTP_HEADERS_MAX];
    size_t n_headers;
    struct str host;
    int64_t content_length; /* -1: none. A response that has no body (1xx, 204, 304, to HEAD): 0 */
    bool chunked, keep_alive, expect_continue, upgrade;
};

/* Reads a head from the start of `in`. ERR_OK: *used bytes were the head (slices point into in).
 * ERR_AGAIN: incomplete. Else *status is what to answer (400, 405, 414, 417, 431, 501, 505), and
 * the connection must close. Call again with the same bytes and more: an incomplete head costs one
 * memchr over it, a whole one is read once. Of `headers`, the first n_headers are written.
 * A response with neither length nor chunked goes on until close (keep_alive is then false). */
enum err http_read_request(struct str in, struct http_head *out, size_t *used,
                           int *status) MUST_CHECK;
enum err http_read_response(struct str in, bool to_head_request, struct http_head *out,
                            size_t *used) MUST_CHECK;
struct str http_header_get(const struct http_head *h, const char *name); /* .p NULL when absent */

/* For what we write ourselves: a name is a token, a value has no control character, a target is a
 * path and a query as a request may have them. */
bool http_field_ok(struct str name, struct str value);
bool http_target_ok(struct str target);

/* Chunked bodies (RFC 9112 7.1): feeds bytes, gives slices of content. Trailers are read and
 * dropped; extensions are refused over 256 bytes. */
struct http_chunked {
    int state;
    uint64_t left;
    unsigned line;
};
/* Starts as {0}. Takes some of *in (moving it): ERR_OK with content in *data, or with *last and no
 * data at the end (what *in still has belongs to the next message); ERR_AGAIN when *in is used up;
 * ERR_INVALID. */
enum err http_chunked_read(struct http_chunked *c, struct str *in, struct str *data,
                           bool *last) MUST_CHECK;

#endif
