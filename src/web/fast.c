/* The fast lane: an exchange that stays in the loop. The fast_ functions only queue, send and mark;
 * the user's callbacks are called by conn_run, in fast_step and fast_drain, so no user of the fast
 * lane is ever called from inside a function it called. */
#include "web/conn.h"

#include <assert.h>

/* ---- the engine's side ----------------------------------------------------------------------- */
bool fast_offer(struct conn *c)
{
    const struct web_server_conf *conf = &c->wl->s->conf;
    struct fast *x = &c->w->fast;
    if (!conf->fast)
        return false;
    *x = (struct fast){.c = c, .left = -1};
    c->state = CONN_FAST;
    bool taken = conf->fast(x, conf->arg);
    assert(taken == (x->ops != NULL));
    if (taken)
        count(c->wl, COUNT_FAST, 1);
    return taken;
}

void fast_lost(struct conn *c)
{
    struct fast *x = &c->w->fast;
    x->over = true;
    x->ops->on_close(x);
}

bool fast_unanswered(const struct conn *c)
{
    return c->state == CONN_FAST && !c->w->fast.begun;
}

static bool give_body(struct conn *c)
{
    struct fast *x = &c->w->fast;
    struct str piece;
    bool last;
    enum err e = conn_body(c, &piece, &last);
    if (e == ERR_AGAIN)
        return false;
    if (e != ERR_OK && !x->begun) {
        conn_fail(c, 400, false);
    } else if (e != ERR_OK) {
        conn_reset(c);
    } else if (piece.n || last) {
        x->body_given = last;
        x->ops->on_body(x, piece, last);
    }
    return true;
}

bool fast_step(struct conn *c)
{
    struct fast *x = &c->w->fast;
    if (x->aborted) {
        conn_reset(c);
        return false;
    }
    if (x->over) {
        fast_lost(c);
        conn_answered(c);
        return true;
    }
    if (x->body_started && !x->body_given && !x->paused && give_body(c))
        return true;
    /* Who has closed the sending half is taken to have left, as proxies do: an exchange costs
     * others work, and nobody would read it. */
    if (c->eof)
        conn_close(c);
    return false;
}

bool fast_drain(struct conn *c)
{
    struct fast *x = &c->w->fast;
    if (x->over || !x->told_over_high || out_queued(&c->w->out) > OUT_LOW)
        return x->over;
    x->told_over_high = false;
    x->ops->on_drain(x);
    return true;
}

/* ---- the user's side ------------------------------------------------------------------------- */
const struct http_head *fast_head(const struct fast *x)
{
    return &x->c->w->head;
}

struct arena *fast_arena(struct fast *x)
{
    return &x->c->w->arena;
}

struct loop *fast_loop(struct fast *x)
{
    return x->c->wl->loop;
}

void *fast_loop_state(struct fast *x)
{
    return x->c->wl->state;
}

struct str fast_remote(const struct fast *x)
{
    return x->c->w->remote.p ? x->c->w->remote : x->c->remote;
}

bool fast_secure(const struct fast *x)
{
    return x->c->w->secure;
}

struct str fast_x5t(const struct fast *x)
{
    const struct conn_tls *t = x->c->tls;
    return t && t->client_cert ? str_of(t->x5t, TLS_X5T_LEN) : STR_NONE;
}

const char *fast_trace_id(struct fast *x)
{
    if (!x->trace_id[0] && !request_trace_id(&x->c->w->head, x->trace_id))
        loop_trace_id(x->c->wl, x->trace_id);
    return x->trace_id;
}

void *fast_get(const struct fast *x)
{
    return x->state;
}

void fast_take(struct fast *x, const struct fast_ops *ops, void *state)
{
    assert(!x->ops && ops && ops->on_close);
    x->ops = ops;
    x->state = state;
}

static void later(struct fast *x)
{
    if (!x->c->running)
        conn_soon(x->c);
}

void fast_body_start(struct fast *x)
{
    if (x->over || x->body_started)
        return;
    x->body_started = true;
    if (!x->begun) /* who has the answer needs no leave to go on */
        conn_continue(x->c);
    later(x);
}

void fast_body_pause(struct fast *x, bool pause)
{
    if (x->over || x->paused == pause)
        return;
    x->paused = pause;
    later(x);
}

/* The answer is whole: sent now, for the least delay; the rest of the ceremony is for later. */
static void answered(struct fast *x)
{
    struct conn *c = x->c;
    x->over = true;
    if (c->running)
        return;
    if (!(c->io.events & LOOP_WRITE) && out_flush(c) == ERR_IO)
        c->broken = true;
    conn_soon(c);
}

void fast_answer(struct fast *x, int status, const struct http_header *h, size_t n, struct str body)
{
    struct answer a = {.status = status, .headers = h, .n = n, .length = (int64_t)body.n};
    if (x->over)
        return;
    assert(!x->begun && status >= 200 && status < 600);
    x->begun = true;
    if (!answer_head(x->c, &a))
        answer_problem(x->c, 500);
    else if (answer_has_body(x->c->w, status))
        out_add(x->c, STR_NONE, body, STR_NONE);
    answered(x);
}

void fast_begin(struct fast *x, int status, const struct http_header *h, size_t n, int64_t length)
{
    struct answer a = {.status = status, .headers = h, .n = n, .length = length};
    struct work *w = x->c->w;
    if (x->over)
        return;
    assert(!x->begun && status >= 200 && status < 600);
    x->begun = true;
    if (!answer_head(x->c, &a)) {
        answer_problem(x->c, 500);
        answered(x);
        return;
    }
    x->no_body = !answer_has_body(w, status);
    x->left = length;
    x->chunked = length < 0 && w->head.minor > 0 && !x->no_body;
    later(x);
}

static struct str chunk_line(size_t n, char out[20])
{
    static const char hex[] = "0123456789abcdef";
    size_t i = 20;
    out[--i] = '\n';
    out[--i] = '\r';
    do {
        out[--i] = hex[n & 15];
        n >>= 4;
    } while (n);
    return str_of(out + i, 20 - i);
}

bool fast_write(struct fast *x, struct str piece)
{
    struct conn *c = x->c;
    char line[20];
    if (x->over || x->no_body || piece.n == 0)
        return true;
    assert(x->begun);
    if (x->left >= 0 && piece.n > (uint64_t)x->left) {
        fast_abort(x); /* more than was promised: the next answer would begin inside this one */
        return true;
    }
    if (x->left >= 0)
        x->left -= (int64_t)piece.n;
    if (x->chunked)
        out_add(c, chunk_line(piece.n, line), piece, STR("\r\n"));
    else
        out_add(c, STR_NONE, piece, STR_NONE);
    later(x);
    if (out_queued(&c->w->out) > OUT_LOW && !(c->io.events & LOOP_WRITE) && out_flush(c) == ERR_IO)
        c->broken = true;
    x->told_over_high |= out_queued(&c->w->out) > OUT_HIGH;
    return c->broken || out_queued(&c->w->out) <= OUT_HIGH;
}

void fast_end(struct fast *x)
{
    if (x->over)
        return;
    assert(x->begun);
    if (x->left > 0 && !x->no_body) {
        fast_abort(x);
        return;
    }
    if (x->chunked)
        out_add(x->c, STR_NONE, STR("0\r\n\r\n"), STR_NONE);
    answered(x);
}

void fast_abort(struct fast *x)
{
    if (x->over)
        return;
    x->over = x->aborted = true;
    later(x);
}
