/* The wide lane: a request gathered whole, a pool of threads that answer in straight lines, and the
 * way back into the loop. Who sends or reads slowly holds a connection, never a handler. */
#include "web/conn.h"

#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "sys/file.h"

enum { KEPT_BYTES = 64 * 1024 };

/* ---- the pool -------------------------------------------------------------------------------- */
/* Who rests longest is woken last: a few threads whose memory is in the caches do the work of many.
 */
struct handler {
    struct pool *pool;
    struct handler *next; /* idle before it; guarded by the pool's lock */
    pthread_cond_t wake;
    pthread_t thread;
};

struct pool {
    const struct web_server_conf *conf;
    pthread_mutex_t lock;
    struct work *first, *last;       /* guarded by lock, as all down to the blank line */
    struct work *later, *later_last; /* given back by their handlers */
    struct handler *idle;            /* the last that came to rest first */
    bool stop;

    atomic_uint queued, awaited; /* waiting for a handler; for what a handler awaits */
    unsigned n_handlers;
    struct handler handlers[];
};

/* With the lock held; NULL: the pool ends. A handler that was woken may find that another one,
 * still busy, has taken what there was. */
static struct work *pool_take(struct pool *p, struct handler *h)
{
    while (!p->first && !p->stop) {
        h->next = p->idle;
        p->idle = h;
        pthread_cond_wait(&h->wake, &p->lock);
        struct handler **at = &p->idle;
        while (*at && *at != h)
            at = &(*at)->next;
        if (*at) /* woken by nobody */
            *at = h->next;
    }
    struct work *w = p->stop ? NULL : p->first;
    if (w)
        p->first = w->wide.next;
    return w;
}

static void later_push(struct pool *p, struct work *w)
{
    struct web_response *rs = &w->wide.rs;
    rs->later = false;
    rs->status = 200;
    rs->n_headers = 0;
    buf_reset(&rs->body);
    w->wide.next = NULL;
    pthread_mutex_lock(&p->lock);
    *(p->later ? &p->later_last->wide.next : &p->later) = w;
    p->later_last = w;
    pthread_mutex_unlock(&p->lock);
}

/* One has ended: who has waited longest tries again, before those that came after. */
static void later_take(struct pool *p)
{
    pthread_mutex_lock(&p->lock);
    struct work *w = p->later;
    if (w) {
        p->later = w->wide.next;
        w->wide.next = p->first;
        if (!p->first)
            p->last = w;
        p->first = w;
        atomic_fetch_add_explicit(&p->queued, 1, memory_order_relaxed);
    }
    pthread_mutex_unlock(&p->lock);
}

static struct pool *pool_of(struct work *w)
{
    return w->c->wl->s->pool;
}

/* Handler and bringer each come here once; the second one gives the answer to the loop. */
static void half_done(struct work *w, struct pool *p)
{
    struct loop *back = w->c->wl->loop;
    if (!atomic_exchange(&w->wide.half, true))
        return;
    loop_post(back, &w->wide.job);
    atomic_fetch_sub(&p->awaited, 1);
}

static void finish(struct web_response *rs)
{
    struct work *w = (struct work *)((char *)rs - offsetof(struct work, wide.rs));
    half_done(w, pool_of(w));
}

void web_await(struct web_response *rs)
{
    struct work *w = (struct work *)((char *)rs - offsetof(struct work, wide.rs));
    rs->awaits = true;
    atomic_store(&w->wide.half, false);
    atomic_fetch_add(&pool_of(w)->awaited, 1);
}

void web_finish(struct web_response *rs)
{
    rs->finish(rs);
}

static void *handler_main(void *arg)
{
    struct handler *h = arg;
    struct pool *p = h->pool;
    pthread_setname_np(pthread_self(), "handler");
    if (p->conf->handler_thread_start)
        p->conf->handler_thread_start(p->conf->arg);
    for (;;) {
        pthread_mutex_lock(&p->lock);
        struct work *w = pool_take(p, h);
        pthread_mutex_unlock(&p->lock);
        if (!w)
            return NULL;
        atomic_fetch_sub_explicit(&p->queued, 1, memory_order_relaxed);
        struct loop *back = w->c->wl->loop;
        p->conf->handler(&w->wide.rq, &w->wide.rs, p->conf->arg);
        if (w->wide.rs.later) {
            later_push(p, w);
            continue;
        }
        if (w->wide.rs.awaits)
            half_done(w, p);
        else
            loop_post(back, &w->wide.job);
        later_take(p);
    }
}

/* false: too many wait already. */
static bool pool_push(struct pool *p, struct work *w)
{
    if (atomic_fetch_add_explicit(&p->queued, 1, memory_order_relaxed) >=
        p->conf->limits.queue_max) {
        atomic_fetch_sub_explicit(&p->queued, 1, memory_order_relaxed);
        return false;
    }
    w->wide.next = NULL;
    pthread_mutex_lock(&p->lock);
    *(p->first ? &p->last->wide.next : &p->first) = w;
    p->last = w;
    struct handler *h = p->idle;
    if (h)
        p->idle = h->next;
    pthread_mutex_unlock(&p->lock);
    if (h)
        pthread_cond_signal(&h->wake);
    return true;
}

struct pool *pool_start(struct web_server *s)
{
    unsigned n = s->conf.n_handlers;
    struct pool *p = calloc(1, sizeof *p + n * sizeof p->handlers[0]);
    if (!p)
        abort();
    p->conf = &s->conf;
    p->n_handlers = n;
    pthread_mutex_init(&p->lock, NULL);
    for (unsigned i = 0; i < n; i++) {
        p->handlers[i].pool = p;
        pthread_cond_init(&p->handlers[i].wake, NULL);
    }
    for (unsigned i = 0; i < n; i++)
        if (pthread_create(&p->handlers[i].thread, NULL, handler_main, &p->handlers[i]) != 0)
            abort(); /* a server that cannot start its few threads cannot go on */
    return p;
}

/* What is awaited has its time limits: it comes. */
static void pool_settle(struct pool *p)
{
    const struct timespec moment = {.tv_nsec = 5 * 1000 * 1000};
    while (atomic_load(&p->awaited) > 0)
        nanosleep(&moment, NULL);
}

void pool_stop(struct pool *p)
{
    pthread_mutex_lock(&p->lock);
    p->stop = true;
    for (unsigned i = 0; i < p->n_handlers; i++)
        pthread_cond_signal(&p->handlers[i].wake);
    pthread_mutex_unlock(&p->lock);
    for (unsigned i = 0; i < p->n_handlers; i++) {
        pthread_join(p->handlers[i].thread, NULL);
        pthread_cond_destroy(&p->handlers[i].wake);
    }
    pool_settle(p);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

unsigned pool_queued(const struct pool *p)
{
    return atomic_load_explicit(&p->queued, memory_order_relaxed);
}

/* ---- the answer ------------------------------------------------------------------------------ */
static void buf_keep(struct buf *b)
{
    if (b->cap > KEPT_BYTES)
        buf_free(b);
    buf_reset(b);
}

void wide_clear(struct work *w)
{
    struct wide *x = &w->wide;
    buf_keep(&x->body);
    buf_keep(&x->rs.body);
    if (x->spool_fd >= 0)
        close(x->spool_fd);
    if (x->rs.file_fd >= 0)
        close(x->rs.file_fd);
    x->spool_fd = x->rs.file_fd = -1;
    x->body_n = 0;
}

static void answer(struct conn *c)
{
    struct work *w = c->w;
    struct web_response *rs = &w->wide.rs;
    bool file = rs->file_fd >= 0;
    struct answer a = {.status = rs->status,
                       .headers = rs->headers,
                       .n = rs->n_headers,
                       .length = file ? (int64_t)rs->file_size : (int64_t)rs->body.n};
    bool good = rs->status >= 200 && rs->status < 600 && rs->body.err == ERR_OK && a.length >= 0;
    if (!good || !answer_head(c, &a)) {
        log_error("answer_invalid", "trace", w->wide.rq.trace_id, "status", LOG_NUM(rs->status));
        answer_problem(c, 500);
    } else if (!answer_has_body(w, rs->status)) {
        /* the head said it all */
    } else if (file) {
        w->out.file_fd = rs->file_fd;
        w->out.file_at = 0;
        w->out.file_left = rs->file_size;
        rs->file_fd = -1;
    } else if (rs->body.n < OUT_DIRECT) {
        out_add(c, STR_NONE, buf_str(&rs->body), STR_NONE);
    } else {
        w->out.body = rs->body;
        w->out.body_at = 0;
        buf_init(&rs->body, RESPONSE_BODY_MAX);
    }
    wide_clear(w);
    conn_answered(c);
}

static void on_handled(struct loop_job *job)
{
    struct work *w = (struct work *)((char *)job - offsetof(struct work, wide.job));
    struct conn *c = w->c;
    c->held = false;
    if (c->state == CONN_CLOSED) {
        conn_soon(c); /* the client left meanwhile */
        return;
    }
    answer(c);
    conn_run(c);
}

static void submit(struct conn *c)
{
    struct work *w = c->w;
    struct web_request *rq = &w->wide.rq;
    if (w->wide.spool_fd >= 0 && lseek(w->wide.spool_fd, 0, SEEK_SET) != 0) {
        conn_fail(c, 500, true);
        return;
    }
    if (w->wide.spool_fd < 0 && !rq->body.p)
        rq->body = buf_str(&w->wide.body);
    rq->body_fd = w->wide.spool_fd;
    rq->body_size = rq->body_fd >= 0 ? w->wide.body_n : rq->body.n;
    rq->came_ms = clock_mono_ms();
    w->wide.job.fn = on_handled;
    c->state = CONN_HANDLER;
    c->held = true;
    if (pool_push(c->wl->s->pool, w))
        return;
    c->held = false;
    wide_clear(w);
    conn_fail(c, 503, true);
}

/* ---- the request ----------------------------------------------------------------------------- */
/* The status to refuse with; 0: kept. */
static int store(struct conn *c, struct str piece)
{
    struct wide *x = &c->w->wide;
    x->body_n += piece.n;
    if (x->body_n > c->wl->s->conf.limits.body_max)
        return 413;
    if (x->body_n <= BODY_IN_MEMORY) {
        buf_add_str(&x->body, piece);
        return 0;
    }
    enum err e = ERR_OK;
    if (x->spool_fd < 0) {
        x->spool_fd = spool_open(c->wl->s->conf.spool_folder);
        if (x->spool_fd < 0)
            e = file_err_from_errno(errno);
        else
            e = file_write_all(x->spool_fd, x->body.p, x->body.n);
        buf_reset(&x->body);
    }
    if (e == ERR_OK)
        e = file_write_all(x->spool_fd, piece.p, piece.n);
    if (e != ERR_OK)
        log_error("spool_failed", "folder", c->wl->s->conf.spool_folder, "error", err_name(e));
    return e == ERR_OK ? 0 : e == ERR_FULL ? 507 : 500;
}

bool wide_step(struct conn *c)
{
    struct str piece;
    bool last;
    enum err e = conn_body(c, &piece, &last);
    if (e == ERR_AGAIN) {
        if (c->eof)
            conn_close(c);
        return false;
    }
    int refused = e != ERR_OK ? 400 : store(c, piece);
    if (refused) {
        wide_clear(c->w);
        conn_fail(c, refused, false);
    } else if (last) {
        submit(c);
    }
    return true;
}

static enum err fill(struct conn *c)
{
    struct work *w = c->w;
    struct web_request *rq = &w->wide.rq;
    *rq = (struct web_request){.arena = &w->arena,
                               .head = &w->head,
                               .method = w->head.method,
                               .authority = w->head.host,
                               .query = w->head.query,
                               .body_fd = -1,
                               .remote = w->remote.p ? w->remote : c->remote,
                               .secure = w->secure};
    rq->host = request_host(&w->arena, w->head.host);
    if (!request_trace_id(&w->head, rq->trace_id))
        loop_trace_id(c->wl, rq->trace_id);
    struct web_response *rs = &w->wide.rs;
    rs->arena = &w->arena;
    rs->status = 200;
    rs->n_headers = 0;
    rs->file_fd = -1;
    rs->file_size = 0;
    rs->finish = finish;
    rs->awaits = false;
    rs->body.ceiling = RESPONSE_BODY_MAX;
    return request_path(&w->arena, w->head.path, &rq->path);
}

void wide_begin(struct conn *c)
{
    struct work *w = c->w;
    c->state = CONN_BODY;
    if (fill(c) != ERR_OK) {
        conn_fail(c, 400, true);
    } else if (!w->body_chunked && w->body_left > c->wl->s->conf.limits.body_max) {
        conn_fail(c, 413, false);
    } else if (w->body_done) {
        submit(c);
    } else if (!w->body_chunked && w->body_left <= w->in_n - w->in_at) {
        /* It came with its head: left where it is, and that part of the buffer with it. */
        w->wide.rq.body = str_of(w->in + w->in_at, (size_t)w->body_left);
        w->in_at += w->wide.rq.body.n;
        w->in_base = w->in_at;
        w->body_left = 0;
        w->body_done = true;
        submit(c);
    } else {
        conn_continue(c);
    }
}
