/* A connection's life: read, go through the states, send, wait. `conn_run` is the centre: it calls
 * the state's step until no step moves, sends what is queued, and settles what to wait for. Every
 * callback into the fast lane's user comes from there, never from inside a fast_ function. */
#include "web/conn.h"

#include <assert.h>
#include <errno.h>
#include <unistd.h>

enum { SPARE_MAX = 64, ROUNDS = 4 };

/* ---- work: taken with the first byte, given back with the last ------------------------------- */
static struct work *work_take(struct conn *c)
{
    struct web_loop *wl = c->wl;
    struct work *w = wl->spare;
    if (w) {
        wl->spare = w->next_spare;
        wl->n_spare--;
    } else {
        w = malloc(sizeof *w);
        if (!w)
            abort();
        memset(w, 0, offsetof(struct work, in));
        arena_init(&w->arena);
        out_init(&w->out);
        w->wide.spool_fd = -1;
        w->wide.rs.file_fd = -1;
        buf_init(&w->wide.body, BODY_IN_MEMORY);
    }
    w->c = c;
    w->in_base = w->in_at = w->in_n = 0;
    c->w = w;
    return w;
}

static void work_free(struct work *w)
{
    wide_clear(w);
    out_clear(&w->out);
    buf_free(&w->out.head);
    buf_free(&w->wide.body);
    buf_free(&w->wide.rs.body);
    arena_free(&w->arena);
    free(w);
}

static void work_give(struct conn *c)
{
    struct work *w = c->w;
    struct web_loop *wl = c->wl;
    c->w = NULL;
    w->c = NULL;
    if (wl->n_spare == SPARE_MAX) {
        work_free(w);
        return;
    }
    w->next_spare = wl->spare;
    wl->spare = w;
    wl->n_spare++;
}

void conn_spare_free(struct web_loop *wl)
{
    while (wl->spare) {
        struct work *w = wl->spare;
        wl->spare = w->next_spare;
        work_free(w);
    }
    wl->n_spare = 0;
}

static void conn_read(struct conn *c);

/* ---- lists ----------------------------------------------------------------------------------- */
static void idle_add(struct conn *c)
{
    struct web_loop *wl = c->wl;
    if (c->idle)
        return;
    c->idle = true;
    c->idle_next = NULL;
    c->idle_prev = wl->idle_last;
    *(wl->idle_last ? &wl->idle_last->idle_next : &wl->idle_first) = c;
    wl->idle_last = c;
}

static void idle_del(struct conn *c)
{
    struct web_loop *wl = c->wl;
    if (!c->idle)
        return;
    c->idle = false;
    *(c->idle_prev ? &c->idle_prev->idle_next : &wl->idle_first) = c->idle_next;
    *(c->idle_next ? &c->idle_next->idle_prev : &wl->idle_last) = c->idle_prev;
}

void conn_soon(struct conn *c)
{
    struct web_loop *wl = c->wl;
    if (c->soon)
        return;
    c->soon = true;
    c->soon_next = NULL;
    if (!wl->soon_first)
        loop_timer_set(wl->loop, &wl->soon, 0); /* timers run after the turn's events */
    *(wl->soon_first ? &wl->soon_last->soon_next : &wl->soon_first) = c;
    wl->soon_last = c;
}

void conn_soon_run(struct loop_timer *t)
{
    struct web_loop *wl = (struct web_loop *)((char *)t - offsetof(struct web_loop, soon));
    struct conn *c = wl->soon_first, *next;
    wl->soon_first = wl->soon_last = NULL;
    for (; c; c = next) {
        next = c->soon_next;
        c->soon = false;
        if (c->tls && !c->tls->drained && c->state != CONN_CLOSED)
            conn_read(c);
        if (c->state != CONN_CLOSED)
            conn_run(c);
        else if (!c->held)
            conn_free(c);
    }
}

/* ---- closing --------------------------------------------------------------------------------- */
void conn_free(struct conn *c)
{
    if (c->w) {
        wide_clear(c->w);
        out_clear(&c->w->out);
        arena_reset(&c->w->arena);
        work_give(c);
    }
    if (c->tls) /* its thread has ended, and the loop too */
        conn_tls_end(c, false);
    *c->at = c->next;
    if (c->next)
        c->next->at = c->at;
    free(c);
}

void conn_close(struct conn *c)
{
    bool was_fast = c->state == CONN_FAST;
    if (c->state == CONN_CLOSED)
        return;
    c->state = CONN_CLOSED;
    idle_del(c);
    loop_io_del(c->wl->loop, &c->io);
    if (!c->tls)
        close(c->io.fd);
    else if (!c->tls->busy)
        conn_tls_end(c, !c->broken);
    else /* the thread's step fails, and comes back */
        (void)shutdown(c->io.fd, SHUT_RDWR);
    loop_closed_one(c->wl);
    if (was_fast)
        fast_lost(c);
    conn_soon(c); /* to be freed */
}

void conn_reset(struct conn *c)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    if (c->state != CONN_CLOSED)
        (void)setsockopt(c->io.fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    conn_close(c);
}

static bool has_input(const struct conn *c)
{
    return c->w && c->w->in_at < c->w->in_n;
}

/* All is sent, and the answer was the last one. Closing a socket with input unread would reset it,
 * and the client might never read its answer: then the rest is read away first. */
static void last_sent(struct conn *c)
{
    struct work *w = c->w;
    if (c->eof || (w->body_done && !has_input(c) && !w->head.keep_alive)) {
        conn_close(c);
        return;
    }
    if (c->tls)
        conn_tls_say_last(c);
    (void)shutdown(c->io.fd, SHUT_WR);
    w->in_at = w->in_n = w->in_base = 0;
    c->state = CONN_LINGER;
}

/* ---- between requests ------------------------------------------------------------------------ */
static void next_request(struct conn *c)
{
    struct work *w = c->w;
    w->in_base = 0;
    if (w->in_at == w->in_n)
        w->in_at = w->in_n = 0;
    c->state = w->body_done ? CONN_HEAD : CONN_DISCARD;
}

static bool may_discard(const struct work *w)
{
    return w->body_done || (!w->body_chunked && !w->continue_owed && w->body_left <= DISCARD_MAX);
}

void conn_answered(struct conn *c)
{
    struct work *w = c->w;
    arena_reset(&w->arena);
    c->wait = WAIT_NONE;
    c->seen_sending = false;
    w->keep = w->keep && may_discard(w);
    if (w->keep && w->out.body.n == 0 && w->out.file_fd < 0 && out_queued(&w->out) <= OUT_LOW)
        next_request(c); /* answers to a pipeline go out together */
    else
        c->state = CONN_SEND;
}

void conn_fail(struct conn *c, int status, bool keep)
{
    if (c->state == CONN_FAST)
        fast_lost(c);
    idle_del(c);
    count(c->wl, COUNT_REFUSED, 1);
    if (!keep)
        c->w->head.keep_alive = c->w->body_done = false;
    answer_problem(c, status);
    conn_answered(c);
}

void conn_continue(struct conn *c)
{
    static const char line[] = "HTTP/1.1 100 Continue\r\n\r\n";
    if (c->w->continue_owed && !has_input(c))
        out_add(c, STR_NONE, str_of(line, sizeof line - 1), STR_NONE);
    c->w->continue_owed = false;
}

/* ---- the request's body ---------------------------------------------------------------------- */
static void body_frame(struct work *w)
{
    const struct http_head *h = &w->head;
    w->body_chunked = h->chunked;
    w->body_left = h->content_length > 0 ? (uint64_t)h->content_length : 0;
    w->body_done = !h->chunked && w->body_left == 0;
    w->continue_owed = h->expect_continue && h->minor > 0 && !w->body_done;
    w->chunks = (struct http_chunked){0};
}

enum err conn_body(struct conn *c, struct str *piece, bool *last)
{
    struct work *w = c->w;
    struct str in = str_of(w->in + w->in_at, w->in_n - w->in_at);
    enum err e = ERR_OK;
    *piece = STR_NONE;
    *last = w->body_done;
    if (w->body_done)
        return ERR_OK;
    if (w->body_chunked) {
        e = http_chunked_read(&w->chunks, &in, piece, last);
        w->in_at = w->in_n - in.n;
        w->body_done = e == ERR_OK && *last;
        return e;
    }
    if (in.n == 0)
        return ERR_AGAIN;
    piece->p = in.p;
    piece->n = in.n < w->body_left ? in.n : (size_t)w->body_left;
    w->in_at += piece->n;
    w->body_left -= piece->n;
    *last = w->body_done = w->body_left == 0;
    return ERR_OK;
}

/* ---- steps: true when the state may go on ---------------------------------------------------- */
/* What a trusted proxy would say of the certificate it saw, we say of the one we saw; and believe
 * nobody else. */
static bool certificate_add(struct conn *c)
{
    struct http_head *h = &c->w->head;
    proxy_strip(h);
    if (h->n_headers == HTTP_HEADERS_MAX)
        return false;
    h->headers[h->n_headers++] = (struct http_header){
        STR("Client-Cert"), str_of(c->tls->client_cert, c->tls->client_cert_n)};
    return true;
}

static void request_begin(struct conn *c)
{
    struct work *w = c->w;
    struct ip ip;
    char text[ADDRESS_TEXT];
    count(c->wl, COUNT_REQUESTS, 1);
    body_frame(w);
    w->remote = STR_NONE;
    w->secure = c->tls != NULL;
    if (c->tls && c->tls->client_cert) {
        if (!certificate_add(c)) {
            conn_fail(c, 431, false);
            return;
        }
    } else if (!c->trusted)
        proxy_strip(&w->head);
    else if (proxy_client(&c->wl->s->trusted, &w->head, &ip, &w->secure))
        w->remote = arena_dup(&w->arena, str_of(text, ip_text(&ip, text)));
    if (!fast_offer(c))
        wide_begin(c);
}

static bool step_head(struct conn *c)
{
    struct work *w = c->w;
    size_t used;
    int status;
    if (!has_input(c)) {
        if (c->eof)
            conn_close(c);
        return false;
    }
    enum err e =
        http_read_request(str_of(w->in + w->in_at, w->in_n - w->in_at), &w->head, &used, &status);
    if (e == ERR_AGAIN) {
        if (c->eof)
            conn_close(c);
        return false;
    }
    if (e != ERR_OK) {
        conn_fail(c, status, false);
        return true;
    }
    idle_del(c);
    w->in_at += used;
    w->in_base = w->in_at;
    request_begin(c);
    return true;
}

static bool step_discard(struct conn *c)
{
    struct str piece;
    bool last;
    enum err e = conn_body(c, &piece, &last);
    if (e == ERR_AGAIN && !c->eof)
        return false;
    if (e != ERR_OK)
        conn_close(c);
    else if (last)
        next_request(c);
    return true;
}

static bool step_linger(struct conn *c)
{
    if (c->eof)
        conn_close(c);
    else
        c->w->in_at = c->w->in_n = 0;
    return false;
}

static bool step_none(struct conn *c)
{
    (void)c;
    return false;
}

static bool (*const steps[CONN_STATES])(struct conn *c) = {
    [CONN_GREET] = step_none,      [CONN_HEAD] = step_head,     [CONN_BODY] = wide_step,
    [CONN_HANDLER] = step_none,    [CONN_FAST] = fast_step,     [CONN_SEND] = step_none,
    [CONN_DISCARD] = step_discard, [CONN_LINGER] = step_linger, [CONN_CLOSED] = step_none,
};

/* ---- reading --------------------------------------------------------------------------------- */
static size_t room(struct work *w)
{
    if (w->in_at == w->in_n) {
        w->in_at = w->in_n = w->in_base;
    } else if (w->in_n == IN_BYTES && w->in_at > w->in_base) {
        memmove(w->in + w->in_base, w->in + w->in_at, w->in_n - w->in_at);
        w->in_n -= w->in_at - w->in_base;
        w->in_at = w->in_base;
    }
    return IN_BYTES - w->in_n;
}

static bool wants_input(struct conn *c)
{
    return !c->eof && c->state != CONN_CLOSED && (!c->w || room(c->w) > 0);
}

static void took(struct conn *c, size_t n)
{
    c->w->in_n += n;
    count(c->wl, COUNT_IN, (uint64_t)n);
    if (c->wait == WAIT_BODY) {
        c->since_ms = loop_now_ms(c->wl->loop);
        c->body_got += (uint64_t)n;
    }
}

/* Until nothing is left inside the session: the socket says nothing of what lies there. */
static void tls_read(struct conn *c)
{
    size_t n;
    c->tls->drained = false;
    while (!c->tls->drained && wants_input(c)) {
        struct work *w = c->w ? c->w : work_take(c);
        enum err e = conn_tls_recv(c, w->in + w->in_n, IN_BYTES - w->in_n, &n);
        c->eof = e == ERR_OK && n == 0;
        c->broken = e == ERR_IO;
        if (n == 0)
            return;
        took(c, n);
    }
}

/* One read a turn: the loop is level-triggered, what is left comes back. Input nobody wants now is
 * found here and only then costs a call to the kernel. */
static void conn_read(struct conn *c)
{
    if (!wants_input(c)) {
        loop_io_set(c->wl->loop, &c->io, c->io.events & ~(unsigned)LOOP_READ);
        return;
    }
    if (c->tls) {
        tls_read(c);
        return;
    }
    struct work *w = c->w ? c->w : work_take(c);
    ssize_t n = recv(c->io.fd, w->in + w->in_n, IN_BYTES - w->in_n, 0);
    if (n > 0) {
        took(c, (size_t)n);
    } else if (n == 0) {
        c->eof = true;
    } else if (errno != EAGAIN && errno != EINTR) {
        c->broken = true;
    }
}

/* ---- what to wait for ------------------------------------------------------------------------ */
static enum conn_wait wait_of(const struct conn *c, bool pending)
{
    static const enum conn_wait by_state[CONN_STATES] = {
        [CONN_BODY] = WAIT_BODY, [CONN_DISCARD] = WAIT_BODY, [CONN_LINGER] = WAIT_LINGER};
    if (pending)
        return WAIT_SEND;
    if (c->state == CONN_HEAD)
        return c->w ? WAIT_HEAD : WAIT_IDLE;
    if (c->state == CONN_FAST) {
        const struct fast *x = &c->w->fast;
        return x->body_started && !x->paused && !c->w->body_done ? WAIT_BODY : WAIT_NONE;
    }
    return by_state[c->state];
}

static void settle(struct conn *c)
{
    struct work *w = c->w;
    bool pending = w && out_pending(&w->out);
    if (w && c->state == CONN_HEAD && !pending && !has_input(c))
        work_give(c);
    unsigned events = c->io.events & LOOP_READ;
    if (wants_input(c))
        events |= LOOP_READ;
    if (pending || (c->tls && c->tls->wants_write))
        events |= LOOP_WRITE;
    if (c->tls && !c->tls->drained && !c->tls->wants_write && wants_input(c))
        conn_soon(c);
    loop_io_set(c->wl->loop, &c->io, events);
    if (c->state == CONN_HEAD || c->state == CONN_LINGER) {
        idle_add(c);
        if (c->wl->stopping && !c->w)
            conn_close(c);
    }
    enum conn_wait wait = wait_of(c, pending);
    if (wait != c->wait) {
        c->wait = wait;
        c->since_ms = c->body_from_ms = loop_now_ms(c->wl->loop);
        c->body_got = 0;
        if (wait == WAIT_SEND)
            out_mark(c);
    }
}

/* True when the sending let something go on. */
static bool flush(struct conn *c)
{
    struct work *w = c->w;
    if (!w || c->state == CONN_CLOSED)
        return false;
    enum err e = out_flush(c);
    if (c->broken) {
        conn_close(c);
        return false;
    }
    if (c->state == CONN_FAST)
        return fast_drain(c);
    if (e != ERR_OK || c->state != CONN_SEND)
        return false;
    out_clear(&w->out);
    if (w->keep)
        next_request(c);
    else
        last_sent(c);
    return true;
}

void conn_run(struct conn *c)
{
    assert(!c->running);
    c->running = true;
    if (c->broken)
        conn_close(c);
    int rounds = 0;
    do {
        while (steps[c->state](c))
            ;
    } while (flush(c) && ++rounds < ROUNDS);
    c->running = false;
    if (rounds == ROUNDS)
        conn_soon(c); /* the others' turn */
    if (c->state != CONN_CLOSED)
        settle(c);
}

static void on_io(struct loop_io *io, unsigned events)
{
    struct conn *c = (struct conn *)io;
    bool greets = c->state == CONN_GREET;
    if (events & LOOP_HUP) { /* reset, or both sides have said they are through */
        conn_close(c);
        return;
    }
    if (greets) {
        conn_greet(c);
        return;
    }
    if (events & LOOP_READ || (c->tls && c->tls->wants_write))
        conn_read(c);
    conn_run(c);
}

void conn_greeted(struct conn *c)
{
    c->state = CONN_HEAD;
    c->wait = WAIT_IDLE;
    c->since_ms = loop_now_ms(c->wl->loop);
    loop_io_set(c->wl->loop, &c->io, LOOP_READ);
    conn_read(c); /* the first request may have come with the last of the handshake */
    conn_run(c);
}

void conn_expire(struct conn *c)
{
    bool answers = (c->wait == WAIT_HEAD && c->state != CONN_GREET) || c->state == CONN_BODY ||
                   (c->wait == WAIT_BODY && fast_unanswered(c));
    if (c->wait == WAIT_SEND && out_moved(c))
        return;
    if (answers) {
        conn_fail(c, 408, false);
        conn_run(c);
    } else if (c->wait == WAIT_IDLE || c->wait == WAIT_LINGER || c->state == CONN_GREET) {
        conn_close(c);
    } else {
        conn_reset(c);
    }
}

void conn_new(struct web_loop *wl, int fd, const struct sockaddr *from, enum tls_kind kind)
{
    struct conn *c = calloc(1, sizeof *c);
    struct ip ip;
    if (!c)
        abort();
    *c = (struct conn){.io = {.fn = on_io, .fd = fd, .events = LOOP_READ},
                       .wl = wl,
                       .state = CONN_HEAD,
                       .wait = WAIT_IDLE,
                       .since_ms = loop_now_ms(wl->loop)};
    bool good = kind == TLS_NONE || conn_tls_begin(c, kind);
    if (!good || loop_io_add(wl->loop, &c->io) != ERR_OK) {
        if (c->tls)
            conn_tls_end(c, false);
        else
            close(fd);
        free(c);
        loop_closed_one(wl);
        return;
    }
    if (ip_from_sockaddr(from, &ip)) {
        c->remote = str_of(c->remote_text, ip_text(&ip, c->remote_text));
        c->trusted = trusted_has(&wl->s->trusted, &ip);
    }
    c->next = wl->all;
    c->at = &wl->all;
    if (wl->all)
        wl->all->at = &c->next;
    wl->all = c;
    idle_add(c);
}
