/* What comes back on a connection. Bytes are read into the loop's one buffer and given from there;
 * only what cannot be given yet is kept by the connection. */
#include "web/upstream_inner.h"

enum {
    READS_PER_EVENT = 4, /* then others have their turn; the loop comes back */
    INTERIM_MAX = 16,
};

/* ---- the head -------------------------------------------------------------------------------- */
static enum err body_begin(struct upstream_call *call, const struct http_head *h)
{
    call->keep_alive = h->keep_alive;
    call->end = h->chunked ? BODY_CHUNKED : h->content_length >= 0 ? BODY_LENGTH : BODY_CLOSE;
    call->left = h->content_length > 0 ? (uint64_t)h->content_length : 0;
    return call->left > call->body_max ? ERR_LIMIT : ERR_OK;
}

/* ERR_OK when something was taken. */
static enum err head_take(struct upstream_call *call, struct str *in)
{
    struct http_head h;
    size_t used;
    enum err e = http_read_response(*in, call->method == HTTP_HEAD, &h, &used);
    if (e != ERR_OK)
        return e == ERR_AGAIN ? e : ERR_INVALID;
    if (h.status == 101 || (h.status < 200 && ++call->n_interim > INTERIM_MAX))
        return ERR_INVALID; /* we never ask for another protocol */
    if (h.status >= 200) {
        e = body_begin(call, &h);
        call->head_done = e == ERR_OK;
        call->progress_ms = call->pace_ms = loop_now_ms(call->u->loop);
        if (e == ERR_OK)
            call->ops->on_head(call, &h); /* `call` may be gone now */
    }
    *in = str_after(*in, used);
    return e;
}

/* ---- the body -------------------------------------------------------------------------------- */
static enum err body_give(struct upstream_call *call, struct str piece)
{
    if (piece.n > call->body_max - call->body_n)
        return ERR_LIMIT;
    call->body_n += piece.n;
    call->ops->on_body(call, piece); /* `call` may be gone now */
    return ERR_OK;
}

static enum err length_take(struct upstream_call *call, struct str *in)
{
    struct str piece = str_sub(*in, 0, call->left < in->n ? (size_t)call->left : in->n);
    if (piece.n == 0)
        return ERR_AGAIN;
    call->left -= piece.n;
    *in = str_after(*in, piece.n);
    return body_give(call, piece);
}

static enum err chunked_take(struct upstream_call *call, struct str *in, bool *last)
{
    struct str piece;
    enum err e = http_chunked_read(&call->chunked, in, &piece, last);
    return e == ERR_OK && piece.n ? body_give(call, piece) : e;
}

static enum err close_take(struct upstream_call *call, struct str *in)
{
    struct str piece = *in;
    if (piece.n == 0)
        return ERR_AGAIN;
    *in = STR_NONE;
    return body_give(call, piece);
}

/* Takes the next part of the answer. With ERR_OK only, *last says whether it was the last; the call
 * may have been cancelled by then, so its own members are looked at before it is called back. */
static enum err part_take(struct upstream_call *call, struct str *in, bool *last)
{
    *last = false;
    if (!call->head_done)
        return head_take(call, in);
    if (call->end == BODY_CHUNKED)
        return chunked_take(call, in, last);
    if (call->end == BODY_CLOSE)
        return close_take(call, in);
    *last = call->left == 0;
    return *last ? ERR_OK : length_take(call, in);
}

/* ---- the end --------------------------------------------------------------------------------- */
/* The connection is kept only when nothing of this exchange can be left on it. */
static void answer_whole(struct upstream_conn *c, struct str rest)
{
    struct upstream_call *call = c->call;
    bool keep = call->keep_alive && rest.n == 0 && call->out_at == call->out.n;
    if (rest.n && call->end != BODY_CLOSE)
        pool_distrust(c->pool);
    c->call = NULL;
    call->conn = NULL;
    upstream_conn_release(c, keep);
    call_end(call, ERR_OK);
}

static void answer_failed(struct upstream_conn *c, enum err e)
{
    struct upstream_call *call = c->call;
    c->call = NULL;
    call->conn = NULL;
    upstream_conn_close(c);
    call_end(call, e);
}

/* The other side closed, or the connection broke. */
static void conn_ended(struct upstream_conn *c, bool broken)
{
    struct upstream_call *call = c->call;
    bool harmless = call_is_idempotent(call) || !call->sent;
    if (c->used_before && !call->any_byte && harmless) {
        c->call = NULL;
        call_start_fresh(call); /* first, or a call of the queue could take its place */
        upstream_conn_close(c);
        return;
    }
    answer_failed(c, call->head_done && call->end == BODY_CLOSE && !broken ? ERR_OK : ERR_IO);
}

/* ---- reading --------------------------------------------------------------------------------- */
static void hold_back(struct upstream_conn *c, struct str rest)
{
    bool is_held = c->in.n && rest.p >= c->in.p && rest.p <= c->in.p + c->in.n;
    if (rest.n == 0)
        buf_wipe(&c->in);
    else if (is_held)
        buf_drop(&c->in, c->in.n - rest.n);
    else
        buf_add_str(&c->in, rest);
}

static bool body_is_whole(const struct upstream_call *call)
{
    return call->head_done && call->end == BODY_LENGTH && call->left == 0;
}

/* Gives what is there. True when more should be read: not over, not paused, not cancelled. */
static bool conn_give(struct upstream_conn *c, struct str in)
{
    enum err e = ERR_OK;
    bool last = false;
    c->busy = true;
    while (c->call && !last && e == ERR_OK && (!c->call->paused || body_is_whole(c->call)))
        e = part_take(c->call, &in, &last);
    c->busy = false;
    if (!c->call) {
        upstream_conn_close(c);
        return false;
    }
    if (last && e == ERR_OK) {
        answer_whole(c, in);
        return false;
    }
    if (e != ERR_OK && e != ERR_AGAIN) {
        answer_failed(c, e);
        return false;
    }
    hold_back(c, in);
    return !c->call->paused;
}

void upstream_conn_resume(struct upstream_conn *c)
{
    (void)conn_give(c, buf_str(&c->in));
}

/* Adds what was read to what is held, if something is. */
static bool conn_gather(struct upstream_conn *c, struct str *in)
{
    if (c->in.n == 0)
        return true;
    buf_add_str(&c->in, *in);
    *in = buf_str(&c->in);
    return c->in.err == ERR_OK;
}

static void conn_read(struct upstream_conn *c)
{
    struct upstreams *u = c->pool->u;
    for (int i = 0; i < READS_PER_EVENT; i++) {
        struct upstream_call *call = c->call;
        size_t n;
        enum err e = wire_recv(&c->wire, u->room, sizeof u->room, &n);
        if (e == ERR_AGAIN) {
            wire_want(&c->wire, true, call->out_at < call->out.n && !call->write_broken);
            return;
        }
        if (n == 0) {
            conn_ended(c, e != ERR_OK);
            return;
        }
        struct str in = str_of(u->room, n);
        call->any_byte = true;
        if (call->head_done)
            call->progress_ms = loop_now_ms(u->loop);
        if (!conn_gather(c, &in)) {
            answer_failed(c, ERR_INVALID);
            return;
        }
        if (!conn_give(c, in) || (!c->wire.ssl && n < sizeof u->room))
            return;
    }
}

static void conn_go_on(struct upstream_conn *c)
{
    enum err e = wire_go_on(&c->wire);
    if (e == ERR_OK) {
        call_connected(c->call);
    } else if (e != ERR_AGAIN) {
        log_unavailable(c->pool, c->wire.why);
        answer_failed(c, ERR_UNAVAILABLE);
    }
}

void upstream_conn_event(struct loop_io *io, unsigned events)
{
    struct upstream_conn *c = (struct upstream_conn *)io;
    struct upstream_call *call = c->call;
    if (c->wire.state != WIRE_OPEN) {
        conn_go_on(c);
        return;
    }
    if (!call) {
        upstream_conn_idle_event(c);
        return;
    }
    if (call->out_at < call->out.n && !call->write_broken)
        call_write(call);
    if (call->paused) {
        if (events & LOOP_HUP)
            wire_unwatch(&c->wire);
    } else if (c->wire.ssl || (events & (LOOP_READ | LOOP_HUP))) {
        conn_read(c);
    }
}
