/* Private to the engine (server.c, conn.c, wide.c, fast.c, answer.c, request.c, proxy.c).
 *
 * A connection is small while it waits between requests. With the first byte it takes a `work`: the
 * buffer it reads into, the parsed head, the request's arena, the answer that waits to be sent. The
 * loop keeps spare ones and gives out the one used last, so that many connections share few buffers
 * and these stay in the processor's cache.
 *
 * Everything here belongs to one loop's thread, except what a handler holds (struct wide) between
 * wide_push and its job's return. */
#ifndef WEB_CONN_H
#define WEB_CONN_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include "web/server.h"

enum {
    IN_BYTES = 64 * 1024,       /* a head of HTTP_HEAD_MAX, and as much for the body's pieces */
    BODY_IN_MEMORY = 64 * 1024, /* over that a request's body goes to a file */
    OUT_LOW = 64 * 1024,
    OUT_HIGH = 256 * 1024,
    OUT_MAX = 32 * 1024 * 1024, /* queued on one connection; over that it is closed */
    OUT_DIRECT = 8 * 1024,      /* pieces from here on are first tried without a copy */
    OUT_TURN = 1024 * 1024,     /* sent to one connection in one go, at most */
    RESPONSE_BODY_MAX = 8 * 1024 * 1024,
    DISCARD_MAX = 64 * 1024, /* of a body nobody wanted: read away; over that, closed */
    LINGER_MS = 2000,
    TRUSTED_MAX = 64,
    ADDRESS_TEXT = 46, /* INET6_ADDRSTRLEN */
};

/* ---- addresses and headers of proxies (proxy.c) ---------------------------------------------- */
struct ip {
    unsigned char b[16]; /* IPv4 as ::ffff:a.b.c.d */
};
struct trusted {
    size_t n;
    struct {
        struct ip ip;
        unsigned bits;
    } net[TRUSTED_MAX];
};
/* "127.0.0.1,10.0.0.0/8"; a part that is not an address is logged and trusts nobody. */
void trusted_read(struct str list, struct trusted *out);
bool trusted_has(const struct trusted *t, const struct ip *ip);
bool ip_from_sockaddr(const struct sockaddr *sa, struct ip *out);
bool ip_read(struct str text, struct ip *out); /* with or without port and brackets */
size_t ip_text(const struct ip *ip, char out[ADDRESS_TEXT]);

/* Takes out the headers only a trusted proxy may send. */
void proxy_strip(struct http_head *h);
/* Whom the trusted proxies speak for. false: they say nothing usable. */
bool proxy_client(const struct trusted *t, const struct http_head *h, struct ip *client,
                  bool *secure);

/* ---- what a head says (request.c) ------------------------------------------------------------ */
/* The path percent-decoded; ERR_INVALID for what could name another thing on another server. */
enum err request_path(struct arena *a, struct str raw, struct str *out) MUST_CHECK;
struct str request_host(struct arena *a, struct str authority); /* lower case, no port */
/* The caller's trace-id of a valid W3C traceparent; false: none. */
bool request_trace_id(const struct http_head *h, char out[33]);

/* ---- a connection ---------------------------------------------------------------------------- */
struct web_loop;

/* What waits to be sent: bytes, then a handler's body, then a file. */
struct out {
    struct buf head; /* from head_at on */
    size_t head_at;
    struct buf body;
    size_t body_at;
    int file_fd;
    off_t file_at;
    uint64_t file_left;
};

/* A handler's exchange. Between wide_push and `job` nothing here is the loop's. */
struct wide {
    struct loop_job job;
    struct work *next; /* in the pool's queue */
    struct web_request rq;
    struct web_response rs;
    atomic_bool half; /* the handler has ended, or what it awaits has come: not both */
    struct buf body;  /* of the request, while it is at most BODY_IN_MEMORY */
    int spool_fd;
    uint64_t body_n;
};

/* A fast exchange. */
struct fast {
    struct conn *c;
    const struct fast_ops *ops;
    void *state;
    bool body_started, paused, body_given;
    bool begun, over, aborted; /* the answer: its head queued; all of it queued; given up */
    bool told_over_high;
    bool chunked, no_body;
    int64_t left; /* of a declared length */
    char trace_id[33];
};

struct work {
    struct conn *c;
    struct work *next_spare;
    struct arena arena;
    struct http_head head;
    struct str remote; /* .p NULL: the connection's */
    bool secure;

    /* The request's body as it comes. */
    uint64_t body_left;
    bool body_done, body_chunked, continue_owed;
    struct http_chunked chunks;

    bool keep; /* decided with the answer's head */
    struct out out;
    struct fast fast;
    struct wide wide;

    size_t in_base, in_at, in_n; /* the head's end while an exchange runs; unread from in_at */
    char in[IN_BYTES];
};

/* TLS on a connection (greet.c). While `busy` a thread has it: the loop looks at nothing in it. */
enum greet_result { GREET_DONE, GREET_READ, GREET_WRITE, GREET_FAILED };
struct conn_tls {
    SSL *ssl;
    struct conn *c;
    enum tls_kind kind;
    enum greet_result result;
    bool busy;
    bool drained;      /* nothing more is to be had before the socket is readable */
    bool wants_write;  /* reading waits for the socket to take something */
    bool broken;       /* nothing more may be said */
    char *client_cert; /* as a header has it (RFC 9440); NULL none */
    size_t client_cert_n;
    char x5t[TLS_X5T_LEN + 1];
    struct loop_job back;
    struct conn_tls *next;
};

enum conn_state {
    CONN_GREET,   /* the TLS handshake */
    CONN_HEAD,    /* between requests, or in a head */
    CONN_BODY,    /* gathers a body for a handler */
    CONN_HANDLER, /* a handler has it */
    CONN_FAST,
    CONN_SEND,    /* answered; not all of it is sent */
    CONN_DISCARD, /* the rest of a body nobody wanted */
    CONN_LINGER,  /* answered and shut, until the client closes: it may still read the answer */
    CONN_CLOSED,
    CONN_STATES
};

enum conn_wait { WAIT_NONE, WAIT_IDLE, WAIT_HEAD, WAIT_BODY, WAIT_SEND, WAIT_LINGER, WAIT_COUNT };

struct conn {
    struct loop_io io;
    struct web_loop *wl;
    struct work *w; /* NULL: nothing under way */
    enum conn_state state;
    enum conn_wait wait;
    int64_t since_ms;     /* of what it waits for; moved by progress where that counts */
    int64_t body_from_ms; /* since when body_got bytes of a body came */
    uint64_t body_got;
    uint64_t acknowledged; /* bytes the client's side had taken then */
    bool running, soon, eof, broken, idle, held, trusted, seen_sending;
    struct conn *next, **at;            /* all of the loop's */
    struct conn *idle_next, *idle_prev; /* those without an exchange, oldest first */
    struct conn *soon_next;
    struct conn_tls *tls; /* NULL: plain */
    struct str remote;
    char remote_text[ADDRESS_TEXT];
};

/* conn.c */
void conn_new(struct web_loop *wl, int fd, const struct sockaddr *from, enum tls_kind kind);
void conn_greeted(struct conn *c); /* the handshake is over */
/* Ends it at once; the memory goes at the end of the turn. */
void conn_close(struct conn *c);
void conn_reset(struct conn *c); /* the same with RST: what was sent was not the whole */
/* Goes as far as bytes and states allow, and arms what it waits for. Not for use inside itself. */
void conn_run(struct conn *c);
/* conn_run at the end of this turn (also from inside itself). */
void conn_soon(struct conn *c);
/* The answer is queued: goes on to the next request, or to closing. */
void conn_answered(struct conn *c);
/* Answers the engine's own problem+json and closes, unless `keep`. */
void conn_fail(struct conn *c, int status, bool keep);
/* What waits is over its time. */
void conn_expire(struct conn *c);
void conn_soon_run(struct loop_timer *t);
void conn_free(struct conn *c); /* only when the loop has ended; else conn_close */
void conn_spare_free(struct web_loop *wl);
/* The next piece of the request's body out of what was read. ERR_AGAIN: nothing now. */
enum err conn_body(struct conn *c, struct str *piece, bool *last) MUST_CHECK;
void conn_continue(struct conn *c); /* 100 Continue, where it is owed */

/* greet.c */
enum { GREETERS_MAX = 8 };
struct greeters;
struct greeters *greeters_start(unsigned n_threads);
void greeters_stop(struct greeters *g);
bool conn_tls_begin(struct conn *c, enum tls_kind kind) MUST_CHECK; /* false: no certificate */
void conn_greet(struct conn *c); /* a step of the handshake, elsewhere */
void conn_tls_end(struct conn *c, bool goodbye);
void conn_tls_say_last(struct conn *c);
/* ERR_OK with *n 0: the end that the other side said. ERR_AGAIN, ERR_IO. */
enum err conn_tls_recv(struct conn *c, char *room, size_t size, size_t *n) MUST_CHECK;
enum err conn_tls_send(struct conn *c, const char *p, size_t n, size_t *taken) MUST_CHECK;

/* out.c */
void out_init(struct out *o);
void out_clear(struct out *o);
bool out_pending(const struct out *o);
size_t out_queued(const struct out *o); /* bytes in memory */
/* Sends what the socket takes. ERR_AGAIN: not all went. */
enum err out_flush(struct conn *c) MUST_CHECK;
/* Queues, after a try to send where that saves a copy: a piece between two frames. */
void out_add(struct conn *c, struct str before, struct str piece, struct str after);
/* Sending is waited for from now on. Had the client taken anything since then? The kernel's own
 * queue is so long that a slow line may leave it full for longer than the time limit. */
void out_mark(struct conn *c);
bool out_moved(struct conn *c);
/* A whole answer that its client takes slowly: out of memory, into a file. */
void out_spool(struct conn *c);
/* A file without a name in this folder; -1 with errno. */
int spool_open(const char *folder);

/* answer.c */
struct answer {
    int status;
    const struct http_header *headers;
    size_t n;
    int64_t length; /* -1: chunked, or until close for HTTP/1.0 */
};
/* Queues the head and decides w->keep. false, nothing queued: a header breaks the rules. */
bool answer_head(struct conn *c, const struct answer *a) MUST_CHECK;
bool answer_has_body(const struct work *w, int status); /* not to HEAD, nor 1xx, 204, 304 */
void answer_problem(struct conn *c, int status);

/* fast.c */
bool fast_offer(struct conn *c); /* true: taken */
bool fast_step(struct conn *c);
bool fast_drain(struct conn *c);            /* true: it was told to go on */
void fast_lost(struct conn *c);             /* the connection ends: on_close */
bool fast_unanswered(const struct conn *c); /* the engine may still answer */

/* wide.c */
struct pool;
struct pool *pool_start(struct web_server *s);
void pool_stop(struct pool *p); /* waits for running handlers; drops the queue */
unsigned pool_queued(const struct pool *p);
void wide_begin(struct conn *c);
bool wide_step(struct conn *c);
void wide_clear(struct work *w);

/* ---- a loop and the server (server.c) -------------------------------------------------------- */
enum counter {
    COUNT_ACCEPTED,
    COUNT_REQUESTS,
    COUNT_FAST,
    COUNT_REFUSED,
    COUNT_IN,
    COUNT_OUT,
    COUNT_STATUS, /* and five more */
    COUNTERS = COUNT_STATUS + 6
};

struct listener {
    struct loop_io io;
    enum tls_kind kind;
    struct web_loop *wl;
    bool armed;
};

struct web_loop {
    struct web_server *s;
    struct loop *loop;
    void *state;
    struct conn *all, *idle_first, *idle_last, *soon_first, *soon_last;
    struct loop_timer soon, sweep, rearm, grace;
    struct work *spare;
    unsigned n_spare;
    bool stopping;
    struct loop_timer idle_end; /* of the time a last request may still come in */
    char date[40];              /* "Date: ...\r\n" */
    size_t date_n;
    int64_t date_at_ms;
    unsigned char noise[1024];
    size_t noise_left;
    atomic_uint open; /* also counts those on their way from another loop */
    _Atomic uint64_t counts[COUNTERS];

    struct listener *listeners;
    struct loop_job stop_accepting, stop;
    unsigned index;
    pthread_t thread;
} __attribute__((aligned(64)));

struct web_server {
    struct web_server_conf conf;
    struct trusted trusted;
    int sweep_ms;
    struct pool *pool;
    struct greeters *greeters; /* NULL: no TLS */
    struct web_loop *loops;
    pthread_mutex_t lock;
    pthread_cond_t stopped;
    unsigned n_stopped;
    int grace_ms;
};

/* Only the loop's thread counts; others read. */
static inline void count(struct web_loop *wl, enum counter i, uint64_t n)
{
    atomic_store_explicit(&wl->counts[i],
                          atomic_load_explicit(&wl->counts[i], memory_order_relaxed) + n,
                          memory_order_relaxed);
}
void loop_closed_one(struct web_loop *wl);
void loop_trace_id(struct web_loop *wl, char out[33]); /* a new one */
struct str loop_date(struct web_loop *wl);             /* the header's line */

#endif
