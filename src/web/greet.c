/* TLS on a connection: the handshake in threads apart, then bytes in the loop.
 *
 * A handshake costs a fifth of a millisecond of elliptic curves, three times that with RSA, and
 * waits for the keys process: a loop that did it would serve nobody meanwhile. So each step of it
 * is done by one of a few threads, while the loop leaves the connection alone (`busy`); when the
 * step is over a job brings it back. Whatever floods these threads, the loops go on. */
#include "web/conn.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <unistd.h>

#include "base/log.h"

enum { QUEUE_MAX = 4096 };

struct greeters {
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct conn_tls *first, *last;
    unsigned n;
    bool stop;
    unsigned n_threads;
    pthread_t threads[GREETERS_MAX];
};

/* ---- the threads ----------------------------------------------------------------------------- */
static void step(struct conn_tls *t)
{
    ERR_clear_error();
    int r = SSL_do_handshake(t->ssl);
    int e = r == 1 ? SSL_ERROR_NONE : SSL_get_error(t->ssl, r);
    t->result = e == SSL_ERROR_NONE         ? GREET_DONE
                : e == SSL_ERROR_WANT_READ  ? GREET_READ
                : e == SSL_ERROR_WANT_WRITE ? GREET_WRITE
                                            : GREET_FAILED;
    if (t->result == GREET_DONE && t->kind == TLS_CLIENTS)
        t->client_cert = tls_client_certificate(t->ssl, t->x5t);
    t->client_cert_n = t->client_cert ? strlen(t->client_cert) : 0;
    ERR_clear_error();
}

static void *greeter_main(void *arg)
{
    struct greeters *g = arg;
    pthread_setname_np(pthread_self(), "greeter");
    pthread_mutex_lock(&g->lock);
    for (;;) {
        while (!g->first && !g->stop)
            pthread_cond_wait(&g->work, &g->lock);
        if (g->stop)
            break;
        struct conn_tls *t = g->first;
        g->first = t->next;
        if (!g->first)
            g->last = NULL;
        g->n--;
        pthread_mutex_unlock(&g->lock);
        step(t);
        loop_post(t->c->wl->loop, &t->back);
        pthread_mutex_lock(&g->lock);
    }
    pthread_mutex_unlock(&g->lock);
    return NULL;
}

static bool greeters_push(struct greeters *g, struct conn_tls *t)
{
    pthread_mutex_lock(&g->lock);
    bool room = g->n < QUEUE_MAX && !g->stop;
    if (room) {
        t->next = NULL;
        *(g->last ? &g->last->next : &g->first) = t;
        g->last = t;
        g->n++;
        pthread_cond_signal(&g->work);
    }
    pthread_mutex_unlock(&g->lock);
    return room;
}

struct greeters *greeters_start(unsigned n)
{
    struct greeters *g = calloc(1, sizeof *g);
    if (!g)
        abort();
    pthread_mutex_init(&g->lock, NULL);
    pthread_cond_init(&g->work, NULL);
    g->n_threads = n < 1 ? 1 : n > GREETERS_MAX ? GREETERS_MAX : n;
    for (unsigned i = 0; i < g->n_threads; i++)
        if (pthread_create(&g->threads[i], NULL, greeter_main, g) != 0)
            abort();
    return g;
}

void greeters_stop(struct greeters *g)
{
    if (!g)
        return;
    pthread_mutex_lock(&g->lock);
    g->stop = true;
    pthread_cond_broadcast(&g->work);
    pthread_mutex_unlock(&g->lock);
    for (unsigned i = 0; i < g->n_threads; i++)
        pthread_join(g->threads[i], NULL);
    pthread_cond_destroy(&g->work);
    pthread_mutex_destroy(&g->lock);
    free(g);
}

/* ---- in the loop ----------------------------------------------------------------------------- */
static void on_back(struct loop_job *job)
{
    struct conn_tls *t = (struct conn_tls *)((char *)job - offsetof(struct conn_tls, back));
    struct conn *c = t->c;
    t->busy = c->held = false;
    if (c->state == CONN_CLOSED) {
        conn_tls_end(c, false);
        conn_soon(c); /* to be freed */
        return;
    }
    if (t->result == GREET_FAILED) {
        count(c->wl, COUNT_REFUSED, 1);
        conn_close(c);
        return;
    }
    if (t->result != GREET_DONE) {
        loop_io_set(c->wl->loop, &c->io, t->result == GREET_WRITE ? LOOP_WRITE : LOOP_READ);
        return;
    }
    conn_greeted(c);
}

bool conn_tls_begin(struct conn *c, enum tls_kind kind)
{
    struct conn_tls *t = calloc(1, sizeof *t);
    if (!t)
        abort();
    t->ssl = tls_new(c->wl->s->conf.tls, kind, c->io.fd);
    if (!t->ssl) {
        free(t);
        return false;
    }
    t->c = c;
    t->kind = kind;
    t->drained = true;
    t->back.fn = on_back;
    c->tls = t;
    c->state = CONN_GREET;
    c->wait = WAIT_HEAD; /* the whole handshake has the time of a head */
    return true;
}

void conn_greet(struct conn *c)
{
    struct conn_tls *t = c->tls;
    loop_io_set(c->wl->loop, &c->io, 0);
    t->busy = c->held = true;
    if (greeters_push(c->wl->s->greeters, t))
        return;
    t->busy = c->held = false;
    count(c->wl, COUNT_REFUSED, 1);
    conn_close(c);
}

/* Says goodbye where it can still be heard, and gives the session back. Closes the socket. */
void conn_tls_end(struct conn *c, bool goodbye)
{
    struct conn_tls *t = c->tls;
    if (goodbye && !SSL_in_init(t->ssl) && !t->broken)
        (void)SSL_shutdown(t->ssl);
    ERR_clear_error();
    SSL_free(t->ssl);
    free(t->client_cert);
    free(t);
    c->tls = NULL;
    close(c->io.fd);
}

void conn_tls_say_last(struct conn *c)
{
    ERR_clear_error();
    (void)SSL_shutdown(c->tls->ssl);
    ERR_clear_error();
}

/* Errors of OpenSSL are the thread's: cleared before, so that they are this connection's. */
enum err conn_tls_recv(struct conn *c, char *room, size_t size, size_t *n)
{
    struct conn_tls *t = c->tls;
    *n = 0;
    ERR_clear_error();
    t->wants_write = false;
    if (SSL_read_ex(t->ssl, room, size, n) == 1) {
        t->drained = *n < size && !SSL_has_pending(t->ssl);
        return ERR_OK;
    }
    int e = SSL_get_error(t->ssl, 0);
    ERR_clear_error();
    if (e == SSL_ERROR_ZERO_RETURN)
        return ERR_OK; /* its end was said */
    t->drained = e == SSL_ERROR_WANT_READ;
    t->wants_write = e == SSL_ERROR_WANT_WRITE;
    t->broken = !t->drained && !t->wants_write;
    return t->broken ? ERR_IO : ERR_AGAIN;
}

enum err conn_tls_send(struct conn *c, const char *p, size_t n, size_t *taken)
{
    struct conn_tls *t = c->tls;
    *taken = 0;
    ERR_clear_error();
    if (SSL_write_ex(t->ssl, p, n, taken) == 1)
        return ERR_OK;
    int e = SSL_get_error(t->ssl, 0);
    ERR_clear_error();
    t->broken = e != SSL_ERROR_WANT_WRITE;
    return t->broken ? ERR_IO : ERR_AGAIN;
}
