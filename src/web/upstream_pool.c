/* Origins and their connections. The last used connection is used first, so that those which are
 * too many grow old and are closed. */
#include "web/upstream_inner.h"

#include <netinet/in.h>
#include <openssl/ssl.h>
#include <stdlib.h>

enum { IDLE_MS = 50000, SESSION_MS = 600000, SWEEP_MS = 5000, ALONE_MS = 30000, KEY_MAX = 1024 };

/* ---- pools ----------------------------------------------------------------------------------- */
static size_t address_bytes(const struct sockaddr_storage *s, char out[24])
{
    const struct sockaddr_in *four = (const struct sockaddr_in *)s;
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)s;
    if (s->ss_family == AF_INET) {
        memcpy(out, &four->sin_port, 2);
        memcpy(out + 2, &four->sin_addr, 4);
        return 6;
    }
    memcpy(out, &six->sin6_port, 2);
    memcpy(out + 2, &six->sin6_addr, 16);
    memcpy(out + 18, &six->sin6_scope_id, 4);
    return 22;
}

/* Two origins with the same key are the same to us, whatever their limits. The TLS name comes last,
 * where the pool's copy ends it. */
static size_t key_write(char *key, const struct upstream_origin *o)
{
    size_t n = 0;
    if (o->host_header.n + o->tls_name.n > KEY_MAX - 32 ||
        (o->addr.addr.ss_family != AF_INET && o->addr.addr.ss_family != AF_INET6))
        return 0;
    key[n++] = !o->tls ? 'p' : o->identity ? 'i' : 's';
    n += address_bytes(&o->addr.addr, key + n);
    memcpy(key + n, o->host_header.p, o->host_header.n);
    n += o->host_header.n;
    key[n++] = '\n'; /* in neither name */
    if (o->tls && o->tls_name.n) {
        memcpy(key + n, o->tls_name.p, o->tls_name.n);
        n += o->tls_name.n;
    }
    return n;
}

static struct pool *pool_new(struct upstreams *u, const struct upstream_origin *o, struct str key)
{
    struct pool *p = calloc(1, sizeof *p + key.n + 1);
    if (!p)
        abort();
    char *copy = (char *)(p + 1);
    memcpy(copy, key.p, key.n);
    p->u = u;
    p->key = str_of(copy, key.n);
    p->addr = o->addr;
    p->tls = o->tls;
    p->identity = o->identity;
    p->tls_name = copy + key.n - (o->tls ? o->tls_name.n : 0);
    p->host = str_of(p->tls_name - 1 - o->host_header.n, o->host_header.n);
    link_init(&p->idle);
    link_init(&p->busy);
    link_init(&p->queue);
    link_add_first(&u->pools, &p->link);
    map_set(&u->pools_by_key, p->key, p);
    return p;
}

struct pool *pool_get(struct upstreams *u, const struct upstream_origin *o)
{
    char text[KEY_MAX];
    struct str key = str_of(text, key_write(text, o));
    if (key.n == 0)
        return NULL;
    struct pool *p = map_get(&u->pools_by_key, key);
    if (!p)
        p = pool_new(u, o, key);
    p->n_calls++;
    return p;
}

static void pool_free_unused(struct pool *p)
{
    if (p->n_conns || p->n_calls)
        return;
    if (p->session || p->alone_until_ms > loop_now_ms(p->u->loop)) {
        p->unused_since_ms = loop_now_ms(p->u->loop);
        if (!p->u->sweep.heap_at)
            loop_timer_set(p->u->loop, &p->u->sweep, SWEEP_MS);
        return;
    }
    map_del(&p->u->pools_by_key, p->key);
    link_del(&p->link);
    free(p);
}

void pool_unref(struct pool *p)
{
    p->n_calls--;
    pool_free_unused(p);
}

/* Starts calls that wait as long as there is a connection for them, or room for one. */
static void pool_serve_queue(struct pool *p)
{
    while (!link_empty(&p->queue) && (p->n_idle || p->n_conns < UPSTREAM_CONNECTIONS_MAX)) {
        struct upstream_call *call = LINK_OWNER(p->queue.next, struct upstream_call, queue);
        link_del(&call->queue);
        p->n_queued--;
        call_start(call);
    }
}

/* ---- connections ----------------------------------------------------------------------------- */
struct upstream_conn *upstream_conn_new(struct pool *p, const char **why)
{
    struct upstream_conn *c = calloc(1, sizeof *c);
    if (!c)
        abort();
    c->wire.io.fn = upstream_conn_event;
    c->wire.session = &p->session;
    c->wire.identity = p->identity;
    if (wire_start(&c->wire, p->u->loop, &p->addr, p->tls ? p->tls_name : NULL) != ERR_OK) {
        *why = c->wire.why;
        free(c);
        return NULL;
    }
    c->pool = p;
    buf_init(&c->in, HTTP_HEAD_MAX + 2 * UPSTREAM_READ_BYTES);
    link_add_first(&p->busy, &c->link);
    p->n_conns++;
    return c;
}

static void conn_free(struct upstream_conn *c)
{
    link_del(&c->link);
    buf_wipe(&c->in);
    free(c);
}

void upstream_conn_close(struct upstream_conn *c)
{
    struct pool *p = c->pool;
    wire_close(&c->wire);
    conn_free(c);
    p->n_conns--;
    pool_serve_queue(p);
    pool_free_unused(p);
}

static void idle_drop(struct upstream_conn *c)
{
    c->pool->n_idle--;
    upstream_conn_close(c);
}

void pool_distrust(struct pool *p)
{
    p->alone_until_ms = loop_now_ms(p->u->loop) + ALONE_MS;
}

/* One on which nothing came since its last answer: a second one would be taken for the next call's,
 * which may be another person's. The call to the kernel is the price of that. */
struct upstream_conn *pool_idle_conn(struct pool *p)
{
    while (!link_empty(&p->idle)) {
        struct upstream_conn *c = LINK_OWNER(p->idle.next, struct upstream_conn, link);
        p->n_idle--;
        link_del(&c->link);
        link_add_first(&p->busy, &c->link);
        enum wire_quiet quiet = wire_quiet(&c->wire);
        if (quiet == WIRE_QUIET)
            return c;
        if (quiet == WIRE_SPOKE)
            pool_distrust(p);
        upstream_conn_close(c);
    }
    return NULL;
}

void upstream_conn_release(struct upstream_conn *c, bool keep)
{
    struct pool *p = c->pool;
    struct upstreams *u = p->u;
    if (!keep || p->n_idle >= u->kept_per_origin || loop_now_ms(u->loop) < p->alone_until_ms) {
        upstream_conn_close(c);
        return;
    }
    buf_wipe(&c->in);
    wire_want(&c->wire, true, false);
    c->used_before = true;
    c->idle_since_ms = loop_now_ms(u->loop);
    link_del(&c->link);
    link_add_first(&p->idle, &c->link);
    p->n_idle++;
    if (!u->sweep.heap_at)
        loop_timer_set(u->loop, &u->sweep, SWEEP_MS);
    if (!link_empty(&p->queue))
        pool_serve_queue(p);
}

/* Something on a connection that serves nobody: a ticket of TLS is nothing, all else ends it. */
void upstream_conn_idle_event(struct upstream_conn *c)
{
    size_t n;
    enum err e = wire_recv(&c->wire, c->pool->u->room, UPSTREAM_READ_BYTES, &n);
    if (e == ERR_OK && n > 0)
        pool_distrust(c->pool);
    if (e != ERR_AGAIN)
        idle_drop(c);
}

static void sweep(struct loop_timer *t)
{
    struct upstreams *u = LINK_OWNER(t, struct upstreams, sweep);
    int64_t too_old_ms = loop_now_ms(u->loop) - IDLE_MS;
    unsigned left = 0;
    for (struct link *l = u->pools.next, *next; l != &u->pools; l = next) {
        struct pool *p = LINK_OWNER(l, struct pool, link);
        unsigned idle = p->n_idle;
        next = l->next; /* the last connection may take the pool along */
        if (!p->n_conns && !p->n_calls) {
            if (p->unused_since_ms > loop_now_ms(u->loop) - SESSION_MS) {
                left++;
                continue;
            }
            SSL_SESSION_free(p->session);
            p->session = NULL;
            pool_free_unused(p);
            continue;
        }
        while (idle) {
            struct upstream_conn *c = LINK_OWNER(p->idle.prev, struct upstream_conn, link);
            if (c->idle_since_ms > too_old_ms)
                break;
            idle--;
            idle_drop(c);
        }
        left += idle;
    }
    if (left)
        loop_timer_set(u->loop, &u->sweep, SWEEP_MS);
}

/* ---- all of them ----------------------------------------------------------------------------- */
struct upstreams *upstreams_new(struct loop *l, unsigned kept_per_origin)
{
    struct upstreams *u = calloc(1, sizeof *u);
    if (!u)
        abort();
    u->loop = l;
    u->kept_per_origin = kept_per_origin;
    u->sweep.fn = sweep;
    map_init(&u->pools_by_key);
    link_init(&u->pools);
    link_init(&u->calls);
    link_init(&u->spare);
    return u;
}

static void conns_free(struct link *list)
{
    while (!link_empty(list)) {
        struct upstream_conn *c = LINK_OWNER(list->next, struct upstream_conn, link);
        wire_close(&c->wire);
        conn_free(c);
    }
}

static void calls_free(struct upstreams *u, struct link *list)
{
    while (!link_empty(list)) {
        struct upstream_call *call = LINK_OWNER(list->next, struct upstream_call, link);
        loop_timer_del(u->loop, &call->timer);
        link_del(&call->link);
        buf_wipe(&call->out);
        free(call);
    }
}

void upstreams_free(struct upstreams *u)
{
    if (!u)
        return;
    loop_timer_del(u->loop, &u->sweep);
    calls_free(u, &u->calls);
    calls_free(u, &u->spare);
    while (!link_empty(&u->pools)) {
        struct pool *p = LINK_OWNER(u->pools.next, struct pool, link);
        conns_free(&p->idle);
        conns_free(&p->busy);
        link_del(&p->link);
        SSL_SESSION_free(p->session);
        free(p);
    }
    map_free(&u->pools_by_key);
    mem_wipe(u->room, sizeof u->room);
    free(u);
}
