/* The three halves of upstream: calls (upstream.c), the connections they use (upstream_pool.c) and
 * what comes back on them (upstream_answer.c).
 *
 * A call is queued, or holds a connection, or waits for its timer to tell its end; whichever, it is
 * in `calls`. A connection is idle or serves one call. Two rules keep callbacks harmless: they are
 * called from the loop only, never from inside upstream_send, _pause or _cancel; and after each one
 * the code looks at conn->call again, which a callback may have taken away (`busy` then keeps the
 * connection's memory until the code that called back is done with it). */
#ifndef WEB_UPSTREAM_INNER_H
#define WEB_UPSTREAM_INNER_H

#include <stddef.h>
#include "base/buf.h"
#include "base/map.h"
#include "web/upstream.h"
#include "web/wire.h"

enum {
    UPSTREAM_CONNECTIONS_MAX = 256, /* per origin and loop */
    UPSTREAM_QUEUE_MAX = 1024,      /* calls that wait for one of them */
    UPSTREAM_READ_BYTES = 64 * 1024,
};

/* ---- lists through their members ------------------------------------------------------------- */
struct link {
    struct link *prev, *next;
};
#define LINK_OWNER(link, type, member) ((type *)((char *)(link)-offsetof(type, member)))

static inline void link_init(struct link *head)
{
    head->prev = head->next = head;
}

static inline bool link_empty(const struct link *head)
{
    return head->next == head;
}

static inline void link_add_first(struct link *head, struct link *l)
{
    l->prev = head;
    l->next = head->next;
    head->next->prev = l;
    head->next = l;
}

static inline void link_add_last(struct link *head, struct link *l)
{
    link_add_first(head->prev, l);
}

static inline void link_del(struct link *l)
{
    l->prev->next = l->next;
    l->next->prev = l->prev;
    l->prev = l->next = l;
}

/* ---- what a loop has ------------------------------------------------------------------------- */
struct upstreams {
    struct loop *loop;
    unsigned kept_per_origin;
    struct map pools_by_key;
    struct link pools, calls, spare;
    unsigned n_spare;
    struct loop_timer sweep; /* of idle connections */
    int64_t logged_ms;
    char room[UPSTREAM_READ_BYTES]; /* of the read under way */
};

/* One origin's connections. Goes when neither a connection nor a call has it. */
struct pool {
    struct upstreams *u;
    struct link link;        /* in u->pools */
    struct link idle, queue; /* the last used connection first; the oldest call first */
    struct link busy;
    unsigned n_conns, n_idle, n_calls, n_queued;
    struct resolved addr;
    bool tls;
    struct str key, host;
    struct ssl_session_st *session; /* to resume; NULL none. Keeps the pool for a while */
    int64_t unused_since_ms;
    int64_t alone_until_ms; /* it said more than it was asked: a connection a call until then */
    const struct wire_identity *identity;
    const char *tls_name; /* in key's memory, ended by a NUL */
};

struct upstream_conn {
    struct wire wire; /* first: its loop_io leads here */
    struct pool *pool;
    struct link link;           /* in pool->idle or pool->busy */
    struct upstream_call *call; /* NULL: idle, or taken away by a callback */
    bool used_before, busy;
    int64_t idle_since_ms;
    struct buf in; /* came and could not be given yet: half a head, or what a pause held back */
};

enum body_end { BODY_LENGTH, BODY_CHUNKED, BODY_CLOSE };

struct upstream_call {
    struct upstreams *u;
    const struct upstream_ops *ops;
    void *state;
    struct link link;  /* in u->calls or u->spare */
    struct link queue; /* in pool->queue, or alone */
    struct pool *pool;
    struct upstream_conn *conn;
    struct loop_timer timer; /* for the connection, then for the answer; or to end, or to go on */
    int connect_timeout_ms, answer_timeout_ms;
    int64_t progress_ms,
        pace_ms; /* since the last byte; since pace_n bytes of the body were here */
    uint64_t pace_n;
    struct buf out; /* the request */
    size_t out_at;
    enum http_method method;
    enum err end_with; /* not ERR_OK: what the timer tells */
    bool sent, paused, resuming, ended;
    bool write_broken;

    bool any_byte, head_done, keep_alive;
    unsigned n_interim;
    enum body_end end;
    uint64_t left, body_n, body_max;
    struct http_chunked chunked;
};

/* upstream_pool.c */
struct pool *pool_get(struct upstreams *u, const struct upstream_origin *o);
void pool_unref(struct pool *p);                      /* a call lets go of it */
struct upstream_conn *pool_idle_conn(struct pool *p); /* NULL: none */
/* NULL: the system refuses one; `why` says how. */
struct upstream_conn *upstream_conn_new(struct pool *p, const char **why);
void upstream_conn_close(struct upstream_conn *c);
/* Its call is over: back among the idle ones, or closed. Serves the queue. */
void upstream_conn_release(struct upstream_conn *c, bool keep);
void upstream_conn_idle_event(struct upstream_conn *c);
void pool_distrust(struct pool *p); /* bytes came that answer nothing */

/* upstream.c */
void call_start(struct upstream_call *call);       /* from the queue */
void call_start_fresh(struct upstream_call *call); /* on a new connection */
void call_write(struct upstream_call *call);
void call_connected(struct upstream_call *call);
void call_end(struct upstream_call *call, enum err e); /* has no connection any more */

bool call_is_idempotent(const struct upstream_call *call);
void log_unavailable(struct pool *p, const char *why);

/* upstream_answer.c */
void upstream_conn_event(struct loop_io *io, unsigned events);
void upstream_conn_resume(struct upstream_conn *c); /* gives what a pause held back */

#endif
