/* Outgoing HTTP/1.1 from inside a loop: pools of kept connections per origin, one set per loop. For
 * the gateway's fast lane; ordinary calls use web/client.h. */
#ifndef WEB_UPSTREAM_H
#define WEB_UPSTREAM_H

#include "sys/loop.h"
#include "sys/resolve.h"
#include "web/http.h"

/* Where to: resolved beforehand (never in a loop). Immutable; shared by loops. */
struct wire_identity;
struct upstream_origin {
    struct str host_header; /* "data.example:8443" */
    struct resolved addr;
    bool tls;
    struct str tls_name;
    const struct wire_identity *identity;      /* shown to an origin that asks; NULL: none */
    int connect_timeout_ms, answer_timeout_ms; /* to the first byte of the answer */
    uint64_t body_max;
};

struct upstreams; /* one per loop */
struct upstreams *upstreams_new(struct loop *l, unsigned kept_per_origin);
void upstreams_free(struct upstreams *u);

struct upstream_call;
struct upstream_ops {
    void (*on_head)(struct upstream_call *c, const struct http_head *head);
    void (*on_body)(struct upstream_call *c, struct str piece); /* decoded */
    /* Once, the last call: ERR_OK; ERR_UNAVAILABLE no connection; ERR_TIMEOUT; ERR_INVALID not
     * HTTP; ERR_IO closed early; ERR_LIMIT body_max. `sent` false: nothing reached the origin. */
    void (*on_end)(struct upstream_call *c, enum err e, bool sent);
};
/* A request whose body (may be empty) is whole. `headers` exclude Host, Content-Length and
 * Connection. `key` names the pool: the same origin pointer content gives the same key. A kept
 * connection that closes before any byte of an answer is retried once on a fresh one when the
 * method is idempotent. */
struct upstream_call *upstream_send(struct upstreams *u, const struct upstream_origin *o,
                                    enum http_method m, struct str target,
                                    const struct http_header *headers, size_t n, struct str body,
                                    const struct upstream_ops *ops, void *state);
/* A call that waits for a connection waits before all others. */
void upstream_hurry(struct upstream_call *c);
void *upstream_state(const struct upstream_call *c);
void upstream_pause(struct upstream_call *c, bool pause); /* stop reading the answer */
void upstream_cancel(struct upstream_call *c);            /* on_end is not called */

#endif
