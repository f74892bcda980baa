/* For the tests of the engine: a server in this process and clients on real sockets. */
#ifndef WEB_SERVER_TESTKIT_H
#define WEB_SERVER_TESTKIT_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "web/server.h"

enum { PATIENCE_MS = 30000 }; /* how long a slow machine may take; a good run never waits it out */

static struct web_server *server;
static struct web_server_conf conf;
static int listen_fd;
static unsigned port;
static char spool[64];

static void listen_anew(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(listen_fd >= 0);
    assert_int_equal(bind(listen_fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(listen_fd, 1024), 0);
    assert_int_equal(getsockname(listen_fd, (struct sockaddr *)&a, &len), 0);
    port = ntohs(a.sin_port);
}

/* A configuration to change before server_up. */
static void server_conf(web_handler *handler)
{
    snprintf(spool, sizeof spool, "/tmp/socle-spool-%d", (int)getpid());
    listen_anew();
    conf = (struct web_server_conf){.listen_fds = &listen_fd,
                                    .n_listen_fds = 1,
                                    .n_loops = 2,
                                    .n_handlers = 2,
                                    .limits = web_limits_default,
                                    .spool_folder = spool,
                                    .handler = handler};
}

static void server_up(void)
{
    server = web_server_start(&conf);
}

static void server_down(void)
{
    web_server_stop(server, 2000);
    server = NULL;
    close(listen_fd);
    assert_int_equal(rmdir(spool), 0); /* nothing is left in it */
}

/* Waits until it is true. */
#define EVENTUALLY(what)                                   \
    do {                                                   \
        int64_t until_ms_ = clock_mono_ms() + PATIENCE_MS; \
        while (!(what) && clock_mono_ms() < until_ms_)     \
            usleep(1000);                                  \
        assert_true(what);                                 \
    } while (0)

/* ---- a client -------------------------------------------------------------------------------- */
struct peer {
    int fd;
    struct buf in;         /* what came and is not read yet */
    struct http_head head; /* of the last answer; points into in_head */
    struct buf in_head, body;
    bool closed, reset;
};

static void peer_open(struct peer *p)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval patience = {.tv_sec = PATIENCE_MS / 1000};
    *p = (struct peer){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    assert_true(p->fd >= 0);
    buf_init(&p->in, 64u << 20);
    buf_init(&p->in_head, 1u << 20);
    buf_init(&p->body, 64u << 20);
    setsockopt(p->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(p->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    assert_int_equal(connect(p->fd, (struct sockaddr *)&a, sizeof a), 0);
}

static void peer_close(struct peer *p)
{
    close(p->fd);
    buf_free(&p->in);
    buf_free(&p->in_head);
    buf_free(&p->body);
}

/* false: the server does not take it any more. */
static bool peer_say_n(struct peer *p, const void *bytes, size_t n)
{
    for (size_t at = 0; at < n;) {
        ssize_t r = send(p->fd, (const char *)bytes + at, n - at, MSG_NOSIGNAL);
        if (r <= 0)
            return false;
        at += (size_t)r;
    }
    return true;
}

static bool peer_say(struct peer *p, const char *text)
{
    return peer_say_n(p, text, strlen(text));
}

static bool peer_more(struct peer *p)
{
    char piece[65536];
    ssize_t n = recv(p->fd, piece, sizeof piece, 0);
    assert_true(n >= 0 || errno == ECONNRESET); /* else: waited for in vain */
    p->reset |= n < 0;
    if (n <= 0)
        p->closed = true;
    else
        buf_add(&p->in, piece, (size_t)n);
    return n > 0;
}

static void peer_read_chunks(struct peer *p)
{
    struct http_chunked chunks = {0};
    bool last = false;
    while (!last) {
        struct str in = buf_str(&p->in), data;
        enum err e = http_chunked_read(&chunks, &in, &data, &last);
        buf_add_str(&p->body, data);
        buf_drop(&p->in, p->in.n - in.n);
        assert_true(e == ERR_OK || (e == ERR_AGAIN && peer_more(p)));
    }
}

/* Reads one answer. Its status, or 0 when the connection closed instead. */
static int peer_answer_to(struct peer *p, bool to_head)
{
    struct http_head h;
    size_t used;
    enum err e;
    buf_reset(&p->body);
    while ((e = http_read_response(buf_str(&p->in), to_head, &h, &used)) == ERR_AGAIN)
        if (!peer_more(p)) {
            assert_int_equal(p->in.n, 0); /* a piece of an answer is worse than none */
            return 0;
        }
    assert_int_equal(e, ERR_OK);
    buf_reset(&p->in_head);
    buf_add(&p->in_head, p->in.p, used);
    assert_int_equal(http_read_response(buf_str(&p->in_head), to_head, &p->head, &used), ERR_OK);
    buf_drop(&p->in, used);
    if (h.chunked) {
        peer_read_chunks(p);
        return h.status;
    }
    while (h.content_length < 0 ? peer_more(p) : p->in.n < (size_t)h.content_length && peer_more(p))
        ;
    size_t n = h.content_length < 0 ? p->in.n : (size_t)h.content_length;
    assert_true(p->in.n >= n);
    buf_add(&p->body, p->in.p, n);
    buf_drop(&p->in, n);
    return h.status;
}

static int peer_answer(struct peer *p)
{
    return peer_answer_to(p, false);
}

static int peer_ask(struct peer *p, const char *text)
{
    return peer_say(p, text) ? peer_answer(p) : 0;
}

static bool peer_body_is(const struct peer *p, const char *text)
{
    return str_eq_z(buf_str(&p->body), text);
}

static bool peer_header_is(const struct peer *p, const char *name, const char *value)
{
    return str_eq_z(http_header_get(&p->head, name), value);
}

/* The server closes, without another byte, and not by a reset: that can take from the client what
 * it has not read yet. */
static bool peer_sees_end(struct peer *p)
{
    while (!p->closed && peer_more(p))
        ;
    return p->in.n == 0 && !p->reset;
}

/* One request on a connection of its own; 0: closed without an answer. */
static int ask_once(const char *text)
{
    struct peer p;
    peer_open(&p);
    int status = peer_ask(&p, text);
    peer_close(&p);
    return status;
}

#endif
