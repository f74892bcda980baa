/* The HTTP engine: loops that own connections, a pool of handlers (the wide lane), and a hook for
 * exchanges that stay in the loop (the fast lane). */
#ifndef WEB_SERVER_H
#define WEB_SERVER_H

#include "base/arena.h"
#include "base/buf.h"
#include "sys/loop.h"
#include "web/http.h"
#include "web/tls.h"

/* ---- wide lane: what a handler gets and gives ------------------------------------------------ */
struct web_request {
    struct arena *arena; /* ends with the request */
    const struct http_head *head;
    enum http_method method;
    struct str host;      /* lower case, without port */
    struct str authority; /* as sent: host:port */
    struct str path;      /* percent-decoded, no "..", no empty segment in the middle */
    struct str query;     /* raw */
    struct str body;      /* whole when <= 64 KB, else .n == 0 and body_fd >= 0 */
    int body_fd;          /* spooled body, at its start; -1: none */
    uint64_t body_size;
    struct str remote; /* address of the client as text, after trusted proxies */
    bool secure;       /* came over TLS, here or at a trusted proxy */
    char trace_id[33]; /* W3C trace-id: the caller's, or a new one */
    int64_t came_ms;   /* monotonic */
};

struct web_response {
    struct arena *arena;
    int status; /* 200 */
    struct http_header headers[32];
    size_t n_headers;
    struct buf body; /* ceiling 8 MB */
    int file_fd;     /* when >= 0, this file is the body (sent from its start) and then closed */
    uint64_t file_size;
    /* The handler gives the request back, as it came, for what it needs has no room: it comes again
     * when another has ended. Only while some other handler holds that room, or it waits for
     * ever. */
    bool later;
    /* The handler's thread does not wait for the rest: it calls web_await before it asks for what
     * is missing, and whoever brings that, in any thread, web_finish, once. From web_await on, only
     * he may touch request and response. NULL: no handler of a server's, nobody would finish. */
    void (*finish)(struct web_response *r);
    bool awaits;
};
void web_await(struct web_response *r);
void web_finish(struct web_response *r);
/* Copies nothing: name and value must live in the response's arena or be literals. Adds; for
 * Set-Cookie several times. CR, LF and NUL in a value make it a 500. */
void web_header(struct web_response *r, const char *name, struct str value);

typedef void web_handler(struct web_request *rq, struct web_response *rs, void *arg);

/* ---- fast lane ------------------------------------------------------------------------------- */
/* One exchange, in the loop's thread only. Its arena and head live until on_close. */
struct fast;
struct fast_ops {
    /* A piece of the request's body; `last` once, perhaps with an empty piece. */
    void (*on_body)(struct fast *x, struct str piece, bool last);
    /* Queued output fell under the low mark after fast_write said it was over the high one. */
    void (*on_drain)(struct fast *x);
    /* The exchange is over (answered, or the client went away). Free what is yours. Always called,
     * once. */
    void (*on_close)(struct fast *x);
};
const struct http_head *fast_head(const struct fast *x);
struct arena *fast_arena(struct fast *x);
struct loop *fast_loop(struct fast *x);
void *fast_loop_state(struct fast *x); /* what loop_start returned */
struct str fast_remote(const struct fast *x);
bool fast_secure(const struct fast *x); /* came over TLS, here or at a trusted proxy */
/* Thumbprint (x5t#S256) of the client certificate seen here; .p NULL: none was. One that a trusted
 * proxy saw is in the header Client-Cert. */
struct str fast_x5t(const struct fast *x);
const char *fast_trace_id(struct fast *x);
void *fast_get(const struct fast *x); /* the exchange's own state */
void fast_take(struct fast *x, const struct fast_ops *ops, void *state);
/* The body is not read before fast_body_start. Pausing stops reading from the socket. */
void fast_body_start(struct fast *x);
void fast_body_pause(struct fast *x, bool pause);
/* Whole answer. headers exclude Content-Length, Connection, Date: the engine writes these. */
void fast_answer(struct fast *x, int status, const struct http_header *h, size_t n,
                 struct str body);
/* Piece by piece: length < 0 is chunked (or until close for HTTP/1.0). fast_write returns false
 * when over the high mark (256 KB): wait for on_drain. */
void fast_begin(struct fast *x, int status, const struct http_header *h, size_t n, int64_t length);
bool fast_write(struct fast *x, struct str piece);
void fast_end(struct fast *x);
void fast_abort(struct fast *x); /* closes the connection: the answer cannot be completed */

/* ---- the server ------------------------------------------------------------------------------ */
struct web_limits {
    uint64_t body_max;        /* 10 MB on the wide lane */
    unsigned connections_max; /* per loop, 10,000: over that the oldest idle is closed */
    int head_timeout_ms;      /* 10,000: from first byte to whole head */
    int body_timeout_ms;      /* 30,000 without a byte */
    int body_rate_ms;         /* 8,000: over so long a body that is waited for must bring */
    size_t body_rate_bytes;   /* 4,000 bytes, or be whole; 0: no such rule */
    int idle_timeout_ms;      /* 65,000 between requests */
    int send_timeout_ms;      /* 30,000 without progress */
    unsigned queue_max;       /* 1,000 requests waiting for a handler: over that 503 */
};
extern const struct web_limits web_limits_default;

struct web_server_conf {
    const int *listen_fds;
    const enum tls_kind *listen_kinds; /* of each; NULL: all in clear */
    size_t n_listen_fds;
    struct tls *tls; /* NULL: none */
    unsigned n_loops, n_handlers;
    struct web_limits limits;
    const char *spool_folder; /* made when missing; bodies over 64 KB, unlinked at once */
    web_handler *handler;
    void *arg;
    void (*handler_thread_start)(void *arg); /* NULL or called in each handler thread */
    /* NULL, or called per loop thread before it runs; the result is fast_loop_state. */
    void *(*loop_start)(struct loop *l, unsigned index, void *arg);
    /* NULL, or asked for each head: true when it took the exchange (fast_take). */
    bool (*fast)(struct fast *x, void *arg);
    struct str trusted_proxies; /* "127.0.0.1,10.0.0.0/8": whose Forwarded / X-Forwarded-* count */
};

struct web_server;
struct web_server *web_server_start(const struct web_server_conf *conf); /* threads started */
/* Stops accepting, lets answers under way finish (grace_ms), ends the threads, frees. */
void web_server_stop(struct web_server *s, int grace_ms);

struct web_counts {
    uint64_t connections_open, accepted, requests, fast, refused, bytes_in, bytes_out;
    uint64_t by_status[6]; /* [2] = 2xx ... */
    uint64_t queue_length;
};
void web_server_counts(const struct web_server *s, struct web_counts *out);

#endif
