/* An origin that misbehaves as the path of a request says, each connection in a thread, for the
 * tests of upstream. */
#ifndef WEB_ORIGIN_FOR_TEST_H
#define WEB_ORIGIN_FOR_TEST_H

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/buf.h"
#include "web/upstream.h"

#pragma GCC diagnostic ignored "-Wmissing-field-initializers" /* most scripts have no flood */

enum { ORIGIN_BODY_MAX = 21 << 20 };

/* What it does for a path. An answer is sent whole, or byte by byte, or in a loop. */
enum what {
    KEEP,       /* and reads the next request */
    CLOSE,      /* closes, after the answer */
    RESET,      /* breaks the connection */
    HANG,       /* says no more, until the other side closes */
    WAIT,       /* answers once `released` */
    DRIP,       /* byte by byte, then keeps */
    SECOND_CUT, /* answers the first request of a connection; closes at the second */
    DEAF,       /* answers without reading the body, and closes */
    HASTY,      /* answers before it reads the body, and goes on */
    TWICE,      /* and a little later once more, which nobody asked for */
    TRICKLE,    /* then a byte now and again */
    FLOOD,      /* then `flood` again and again, until the other side closes */
};
#define OK_HEAD "HTTP/1.1 200 OK\r\n"
/* clang-format off */
static const struct script {
    const char *path;
    enum what what;
    const char *answer, *flood;
} scripts[] = {
    {"/length", KEEP, OK_HEAD "Content-Length: 5\r\n\r\nhello"},
    {"/chunked", KEEP, OK_HEAD "Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"},
    {"/close", CLOSE, OK_HEAD "\r\nhello"},
    {"/said-close", KEEP, OK_HEAD "Connection: close\r\nContent-Length: 5\r\n\r\nhello"},
    {"/one-zero", CLOSE, "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello"},
    {"/empty", KEEP, "HTTP/1.1 204 No Content\r\n\r\n"},
    {"/unchanged", KEEP, "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"},
    {"/head", KEEP, OK_HEAD "Content-Length: 5\r\n\r\n"},
    {"/interim", KEEP, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
                       OK_HEAD "Content-Length: 5\r\n\r\nhello"},
    {"/drip-length", DRIP, OK_HEAD "Content-Length: 5\r\n\r\nhello"},
    {"/drip-chunked", DRIP, OK_HEAD "Transfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nA: b\r\n\r\n"},
    {"/only-interim", FLOOD, "", "HTTP/1.1 100 Continue\r\n\r\n"},
    {"/switch", KEEP, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"},
    {"/two-lengths", KEEP, OK_HEAD "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"},
    {"/both", KEEP, OK_HEAD "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
    {"/bare-lf", KEEP, "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello"},
    {"/garbage", KEEP, "<html>hello</html>"},
    {"/ssh", HANG, "SSH-2.0-OpenSSH\r\n"},
    {"/endless-head", FLOOD, OK_HEAD, "X: y\r\nX: y\r\nX: y\r\n"},
    {"/bad-chunk", HANG, OK_HEAD "Transfer-Encoding: chunked\r\n\r\n5\r\nhelloX"},
    {"/huge-chunk", HANG, OK_HEAD "Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF\r\n"},
    {"/early", CLOSE, ""},
    {"/early-head", CLOSE, "HTTP/1.1 200 OK\r\nContent-Le"},
    {"/early-length", CLOSE, OK_HEAD "Content-Length: 50\r\n\r\nhello"},
    {"/early-chunk", CLOSE, OK_HEAD "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"},
    {"/reset", RESET, OK_HEAD "Content-Length: 50\r\n\r\nhello"},
    {"/reset-close", RESET, OK_HEAD "\r\nhello"},
    {"/long-length", HANG, OK_HEAD "Content-Length: 100001\r\n\r\n"},
    {"/long-chunked", FLOOD, OK_HEAD "Transfer-Encoding: chunked\r\n\r\n", "a\r\n0123456789\r\n"},
    {"/long-close", FLOOD, OK_HEAD "\r\n", "0123456789abcdefghijklmnopqrstuvwxyz"},
    {"/hang", HANG, ""},
    {"/hang-head", HANG, "HTTP/1.1 200 OK\r\n"},
    {"/hang-body", HANG, OK_HEAD "Content-Length: 50\r\n\r\nhello"},
    {"/extra", HANG, OK_HEAD "Content-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
    {"/twice", TWICE, OK_HEAD "Content-Length: 5\r\n\r\nhello"},
    {"/trickle", TRICKLE, OK_HEAD "Content-Length: 5000\r\n\r\n", " "},
    {"/silent-close", CLOSE, OK_HEAD "Content-Length: 5\r\n\r\nhello"},
    {"/cut", SECOND_CUT, OK_HEAD "Content-Length: 5\r\n\r\nhello"},
    {"/deaf", DEAF, "HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig"},
    {"/hasty", HASTY, OK_HEAD "Content-Length: 5\r\n\r\nhello"},
    {"/wait", WAIT, OK_HEAD "Content-Length: 5\r\n\r\nhello"},
};
/* clang-format on */

static int listener;
static _Atomic unsigned n_accepted, n_open, most_open, n_requests, n_lives;
static _Atomic bool released;
static _Atomic size_t last_body;

static const struct script *script_of(struct str head)
{
    ptrdiff_t a = str_find_char(head, ' ');
    struct str rest = str_after(head, (size_t)a + 1);
    struct str path = str_sub(rest, 0, (size_t)str_find_char(rest, ' '));
    for (size_t i = 0; i < COUNT_OF(scripts); i++)
        if (str_eq_z(path, scripts[i].path))
            return &scripts[i];
    abort();
}

static bool send_all(int fd, const char *p, size_t n)
{
    while (n) {
        ssize_t put = send(fd, p, n, MSG_NOSIGNAL);
        if (put <= 0)
            return false;
        p += put, n -= (size_t)put;
    }
    return true;
}

/* One request into b; *used is its length. */
static bool request_read(int fd, struct buf *b, size_t *used, bool head_only)
{
    for (;;) {
        struct http_head h;
        int status;
        enum err e = http_read_request(buf_str(b), &h, used, &status);
        assert_true(e == ERR_OK || e == ERR_AGAIN); /* what we send, we would accept */
        size_t body = e == ERR_OK && h.content_length > 0 ? (size_t)h.content_length : 0;
        if (e == ERR_OK && (head_only || b->n >= *used + body)) {
            last_body = body;
            *used += head_only ? 0 : body;
            return true;
        }
        char *room = buf_room(b, 65536);
        ssize_t got = recv(fd, room, 65536, 0);
        if (got <= 0)
            return false;
        buf_grew(b, (size_t)got);
    }
}

static void until_closed(int fd)
{
    char in[4096];
    while (recv(fd, in, sizeof in, 0) > 0) {
    }
}

/* True when another request may follow. */
static bool script_run(int fd, const struct script *s, unsigned nth)
{
    size_t n = strlen(s->answer);
    struct linger hard = {.l_onoff = 1};
    switch (s->what) {
    case KEEP:
        return send_all(fd, s->answer, n);
    case DRIP:
        for (size_t i = 0; i < n; i++, poll(NULL, 0, 1))
            if (!send_all(fd, s->answer + i, 1))
                return false;
        return true;
    case RESET:
        send_all(fd, s->answer, n);
        poll(NULL, 0, 50);
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
        return false;
    case HANG:
        send_all(fd, s->answer, n);
        until_closed(fd);
        return false;
    case WAIT:
        while (!released)
            poll(NULL, 0, 2);
        return send_all(fd, s->answer, n);
    case TWICE:
        send_all(fd, s->answer, n);
        poll(NULL, 0, 20);
        return send_all(fd, s->answer, n);
    case TRICKLE:
        for (bool up = send_all(fd, s->answer, n); up; poll(NULL, 0, 5))
            up = send_all(fd, s->flood, 1);
        return false;
    case FLOOD:
        for (bool up = send_all(fd, s->answer, n); up;)
            up = send_all(fd, s->flood, strlen(s->flood));
        return false;
    case HASTY:
        send_all(fd, s->answer, n);
        poll(NULL, 0, 200);
        until_closed(fd);
        return false;
    case SECOND_CUT:
        return nth == 0 && send_all(fd, s->answer, n);
    case CLOSE:
    case DEAF:
        send_all(fd, s->answer, n);
        return false;
    }
    return false;
}

static void *connection_run(void *arg)
{
    int fd = (int)(intptr_t)arg;
    struct buf b;
    size_t used = 0;
    buf_init(&b, ORIGIN_BODY_MAX);
    for (unsigned nth = 0; request_read(fd, &b, &used, true); nth++) {
        const struct script *s = script_of(buf_str(&b));
        n_requests++;
        if (s->what != DEAF && s->what != HASTY && !request_read(fd, &b, &used, false))
            break;
        buf_drop(&b, used);
        if (!script_run(fd, s, nth))
            break;
    }
    buf_free(&b);
    n_open--;
    close(fd);
    n_lives--;
    return NULL;
}

static void *accept_run(void *arg)
{
    pthread_attr_t small;
    (void)arg;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 256 * 1024);
    pthread_attr_setdetachstate(&small, PTHREAD_CREATE_DETACHED);
    for (int fd; (fd = accept(listener, NULL, NULL)) >= 0;) {
        pthread_t t;
        n_accepted++;
        n_lives++;
        unsigned open = ++n_open;
        if (open > most_open)
            most_open = open;
        if (pthread_create(&t, &small, connection_run, (void *)(intptr_t)fd) != 0)
            abort();
    }
    pthread_attr_destroy(&small);
    return NULL;
}

static struct upstream_origin origin = {.host_header = {"origin.test", 11}, .body_max = 100000};
static pthread_t accept_thread;

static int listen_on(struct upstream_origin *o, int backlog)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    o->addr.len = sizeof at;
    if (bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, backlog) != 0 ||
        getsockname(fd, (struct sockaddr *)&o->addr.addr, &o->addr.len) != 0)
        abort();
    return fd;
}

static int origin_start(void **state)
{
    (void)state;
    listener = listen_on(&origin, 2048);
    return pthread_create(&accept_thread, NULL, accept_run, NULL);
}

static int origin_stop(void **state)
{
    (void)state;
    shutdown(listener, SHUT_RDWR);
    pthread_join(accept_thread, NULL);
    close(listener);
    for (int i = 0; i < 5000 && n_lives; i++)
        poll(NULL, 0, 2);
    return 0;
}

#endif
