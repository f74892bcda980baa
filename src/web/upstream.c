/* Calls: what they send, what they wait for, how they end. */
#include "web/upstream_inner.h"

#include <stdio.h>
#include <stdlib.h>
#include "base/log.h"

enum {
    SPARE_MAX = 256,
    SPARE_OUT_MAX = 16 * 1024,
    HEAD_EXTRA = 64, /* the version, Host's and Content-Length's names and digits */
    CONNECT_TIMEOUT_MS = 5000,
    ANSWER_TIMEOUT_MS = 30000,
    LOG_EVERY_MS = 1000,
    PACE_BYTES = 4000,
};
static const size_t out_max = 64u << 20;

/* ---- a call's memory ------------------------------------------------------------------------- */
static void call_on_timer(struct loop_timer *t);

static struct upstream_call *call_new(struct upstreams *u)
{
    struct upstream_call *call;
    struct buf out;
    if (link_empty(&u->spare)) {
        call = malloc(sizeof *call);
        if (!call)
            abort();
        buf_init(&out, out_max);
    } else {
        call = LINK_OWNER(u->spare.next, struct upstream_call, link);
        link_del(&call->link);
        u->n_spare--;
        out = call->out;
    }
    *call = (struct upstream_call){.u = u, .out = out, .timer.fn = call_on_timer};
    link_init(&call->queue);
    link_add_first(&u->calls, &call->link);
    return call;
}

static void call_free(struct upstream_call *call)
{
    struct upstreams *u = call->u;
    loop_timer_del(u->loop, &call->timer);
    link_del(&call->link);
    if (call->pool)
        pool_unref(call->pool);
    if (u->n_spare == SPARE_MAX) {
        buf_wipe(&call->out);
        free(call);
        return;
    }
    if (call->out.cap > SPARE_OUT_MAX)
        buf_wipe(&call->out);
    else
        buf_reset(&call->out);
    link_add_first(&u->spare, &call->link);
    u->n_spare++;
}

void call_end(struct upstream_call *call, enum err e)
{
    loop_timer_del(call->u->loop, &call->timer);
    call->ended = true;
    call->ops->on_end(call, e, call->sent);
    call_free(call);
}

/* From inside upstream_send nobody may be called back: the loop tells it. */
static void call_end_later(struct upstream_call *call, enum err e)
{
    call->end_with = e;
    loop_timer_set(call->u->loop, &call->timer, 0);
}

/* ---- what is sent ---------------------------------------------------------------------------- */
static char *put(char *p, struct str s)
{
    if (s.n)
        memcpy(p, s.p, s.n);
    return p + s.n;
}

/* A length where there is a body, and where a method has one by its meaning (RFC 9110 8.6). */
static char *put_length(char *p, enum http_method m, size_t n)
{
    char digits[24];
    if (n == 0 && m != HTTP_POST && m != HTTP_PUT && m != HTTP_PATCH)
        return p;
    int len = snprintf(digits, sizeof digits, "%zu\r\n", n);
    return put(put(p, STR("Content-Length: ")), str_of(digits, (size_t)len));
}

struct request {
    const struct upstream_origin *origin;
    enum http_method method;
    struct str target;
    const struct http_header *headers;
    size_t n;
    struct str body;
};

static bool request_ok(const struct request *r)
{
    struct str star = STR("*");
    if (!http_target_ok(r->target) && !(r->method == HTTP_OPTIONS && str_eq(r->target, star)))
        return false;
    for (size_t i = 0; i < r->n; i++)
        if (!http_field_ok(r->headers[i].name, r->headers[i].value))
            return false;
    return r->origin->host_header.n && http_field_ok(STR("Host"), r->origin->host_header);
}

static bool request_write(const struct request *r, struct buf *out)
{
    struct str method = str_from(http_method_name(r->method));
    size_t size = method.n + r->target.n + r->origin->host_header.n + HEAD_EXTRA;
    for (size_t i = 0; i < r->n; i++)
        size += r->headers[i].name.n + r->headers[i].value.n + 4;
    if (r->body.n > out_max - 1024 * 1024 || size > 1024 * 1024)
        return false;
    char *begin = buf_room(out, size + r->body.n), *p = begin;
    if (!begin)
        return false;
    p = put(put(put(p, method), STR(" ")), r->target);
    p = put(put(p, STR(" HTTP/1.1\r\nHost: ")), r->origin->host_header);
    p = put(p, STR("\r\n"));
    for (size_t i = 0; i < r->n; i++) {
        p = put(put(p, r->headers[i].name), STR(": "));
        p = put(put(p, r->headers[i].value), STR("\r\n"));
    }
    p = put(put_length(p, r->method, r->body.n), STR("\r\n"));
    p = put(p, r->body);
    buf_grew(out, (size_t)(p - begin));
    return true;
}

/* Sends as much as goes. A broken connection is left to the reading side, which knows whether an
 * answer had come before. */
void call_write(struct upstream_call *call)
{
    struct wire *w = &call->conn->wire;
    enum err e = ERR_OK;
    while (call->out_at < call->out.n && e == ERR_OK && !call->write_broken) {
        size_t n;
        e = wire_send(w, call->out.p + call->out_at, call->out.n - call->out_at, &n);
        call->out_at += n;
        call->sent |= n > 0;
    }
    call->write_broken |= e == ERR_IO;
    wire_want(w, !call->paused, call->out_at < call->out.n && !call->write_broken);
}

/* ---- connections ----------------------------------------------------------------------------- */
bool call_is_idempotent(const struct upstream_call *call)
{
    return call->method != HTTP_POST && call->method != HTTP_PATCH;
}

void log_unavailable(struct pool *p, const char *why)
{
    struct upstreams *u = p->u;
    char host[256];
    int64_t now_ms = loop_now_ms(u->loop);
    if (u->logged_ms && now_ms - u->logged_ms < LOG_EVERY_MS)
        return;
    u->logged_ms = now_ms;
    snprintf(host, sizeof host, STR_FMT, STR_ARG(p->host));
    log_info("upstream_unavailable", "host", host, "why", why ? why : "");
}

static void call_use(struct upstream_call *call, struct upstream_conn *c)
{
    call->conn = c;
    c->call = call;
    call->out_at = 0;
    call->write_broken = false;
}

/* The answer's clock runs from here: it covers sending, too. */
void call_connected(struct upstream_call *call)
{
    call->progress_ms = loop_now_ms(call->u->loop);
    loop_timer_set(call->u->loop, &call->timer, call->answer_timeout_ms);
    call_write(call);
}

void call_start_fresh(struct upstream_call *call)
{
    const char *why = NULL;
    struct upstream_conn *c = upstream_conn_new(call->pool, &why);
    if (!c) {
        log_unavailable(call->pool, why);
        call_end_later(call, ERR_UNAVAILABLE);
        return;
    }
    call_use(call, c);
    loop_timer_set(call->u->loop, &call->timer, call->connect_timeout_ms);
}

void call_start(struct upstream_call *call)
{
    struct pool *p = call->pool;
    struct upstream_conn *c = pool_idle_conn(p);
    if (c) {
        call_use(call, c);
        call_connected(call);
    } else if (p->n_conns < UPSTREAM_CONNECTIONS_MAX) {
        call_start_fresh(call);
    } else if (p->n_queued < UPSTREAM_QUEUE_MAX) {
        link_add_last(&p->queue, &call->queue);
        p->n_queued++;
        loop_timer_set(call->u->loop, &call->timer, call->connect_timeout_ms);
    } else {
        call_end_later(call, ERR_UNAVAILABLE);
    }
}

/* Takes the call out of wherever it waits. */
static void call_detach(struct upstream_call *call)
{
    struct upstream_conn *c = call->conn;
    call->conn = NULL;
    if (!link_empty(&call->queue)) {
        link_del(&call->queue);
        call->pool->n_queued--;
    }
    if (!c)
        return;
    c->call = NULL;
    if (!c->busy)
        upstream_conn_close(c);
}

/* ---- time ------------------------------------------------------------------------------------ */
/* How long the answer may still take; once its head is there, from its last byte on. */
static int64_t answer_left_ms(const struct upstream_call *call)
{
    int64_t now_ms = loop_now_ms(call->u->loop);
    if (call->paused)
        return call->answer_timeout_ms;
    return call->progress_ms + call->answer_timeout_ms - now_ms;
}

/* An answer that drips would hold its connection for ever: once its head is there, each stretch of
 * the time limit brings PACE_BYTES, or its end. */
static bool call_drips(struct upstream_call *call)
{
    int64_t now_ms = loop_now_ms(call->u->loop);
    if (!call->head_done || call->paused || now_ms - call->pace_ms < call->answer_timeout_ms)
        return false;
    bool drips = call->body_n - call->pace_n < PACE_BYTES;
    call->pace_ms = now_ms;
    call->pace_n = call->body_n;
    return drips;
}

static void call_on_timer(struct loop_timer *t)
{
    struct upstream_call *call = LINK_OWNER(t, struct upstream_call, timer);
    bool open = call->conn && call->conn->wire.state == WIRE_OPEN;
    enum err e = call->end_with ? call->end_with : ERR_UNAVAILABLE;
    if (open && !call->end_with) {
        struct upstream_conn *c = call->conn;
        int64_t left_ms = answer_left_ms(call);
        bool resuming = call->resuming;
        call->resuming = false;
        if (left_ms > 0 && (resuming || !call_drips(call))) {
            loop_timer_set(call->u->loop, &call->timer, left_ms);
            if (resuming)
                upstream_conn_resume(c);
            return;
        }
        e = ERR_TIMEOUT;
    } else if (call->conn) {
        log_unavailable(call->pool, "timeout");
    }
    call_detach(call);
    call_end(call, e);
}

/* ---- for others ------------------------------------------------------------------------------ */
struct upstream_call *upstream_send(struct upstreams *u, const struct upstream_origin *o,
                                    enum http_method m, struct str target,
                                    const struct http_header *headers, size_t n, struct str body,
                                    const struct upstream_ops *ops, void *state)
{
    struct request r = {o, m, target, headers, n, body};
    if (!request_ok(&r))
        return NULL;
    struct upstream_call *call = call_new(u);
    call->ops = ops;
    call->state = state;
    call->method = m;
    call->body_max = o->body_max;
    call->connect_timeout_ms =
        o->connect_timeout_ms > 0 ? o->connect_timeout_ms : CONNECT_TIMEOUT_MS;
    call->answer_timeout_ms = o->answer_timeout_ms > 0 ? o->answer_timeout_ms : ANSWER_TIMEOUT_MS;
    if (!request_write(&r, &call->out) || (call->pool = pool_get(u, o)) == NULL) {
        call_free(call);
        return NULL;
    }
    call_start(call);
    return call;
}

void upstream_hurry(struct upstream_call *call)
{
    if (link_empty(&call->queue))
        return;
    link_del(&call->queue);
    link_add_first(&call->pool->queue, &call->queue);
}

void *upstream_state(const struct upstream_call *c)
{
    return c->state;
}

void upstream_pause(struct upstream_call *call, bool pause)
{
    struct upstream_conn *c = call->conn;
    if (call->ended || call->paused == pause)
        return;
    call->paused = pause;
    call->progress_ms = call->pace_ms = loop_now_ms(call->u->loop);
    call->pace_n = call->body_n;
    if (!c || c->wire.state != WIRE_OPEN)
        return;
    wire_want(&c->wire, !pause, call->out_at < call->out.n && !call->write_broken);
    /* What a pause held back is given by the loop, never from here. */
    if (!pause && !c->busy && c->in.n) {
        call->resuming = true;
        loop_timer_set(call->u->loop, &call->timer, 0);
    }
}

void upstream_cancel(struct upstream_call *call)
{
    if (call->ended)
        return;
    call_detach(call);
    call_free(call);
}
