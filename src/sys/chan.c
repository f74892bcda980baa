/* One message on a channel, and the serving side. Sequenced packets keep the bounds of messages and
 * their order, so neither side has a parser that a half-sent message could confuse: a process
 * killed in the middle of anything leaves whole messages behind. */
#include "sys/chan.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "sys/chan_wire.h"
#include "sys/proc.h"

/* The kernel counts some 800 bytes for the smallest message: this is room for about 5,000. */
enum { ROOM_BYTES = 4 * 1024 * 1024, TURN_MESSAGES = 64, LOOK_MS = 100 };

/* The "force" options want a privilege; the plain ones give what the system allows, which holds at
 * least one message of the greatest size on every stock kernel (wmem_max 212,992, doubled). */
static void room_set(int fd)
{
    int n = ROOM_BYTES;
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &n, sizeof n) != 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &n, sizeof n);
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &n, sizeof n) != 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &n, sizeof n);
}

enum err chan_pair(int ends[2])
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return errno == EMFILE || errno == ENFILE ? ERR_LIMIT : ERR_IO;
    room_set(ends[0]);
    room_set(ends[1]);
    return ERR_OK;
}

/* --- one message ------------------------------------------------------------------------------ */

void chan_head_write(char out[CHAN_HEAD], const struct chan_head *h, size_t payload_bytes)
{
    uint32_t size = htole32((uint32_t)(CHAN_HEAD + payload_bytes));
    uint16_t op = htole16(h->op), status = htole16(h->status);
    uint64_t id = htole64(h->id);
    memcpy(out, &size, 4);
    memcpy(out + 4, &op, 2);
    memcpy(out + 6, &status, 2);
    memcpy(out + 8, &id, 8);
}

enum err chan_head_read(const char *p, size_t n, bool cut, struct chan_head *h, struct str *payload)
{
    *h = (struct chan_head){0};
    *payload = STR_NONE;
    if (n < CHAN_HEAD || cut)
        return ERR_CORRUPT;
    memcpy(&h->size, p, 4);
    memcpy(&h->op, p + 4, 2);
    memcpy(&h->status, p + 6, 2);
    memcpy(&h->id, p + 8, 8);
    h->size = le32toh(h->size);
    h->op = le16toh(h->op);
    h->status = le16toh(h->status);
    h->id = le64toh(h->id);
    if (h->size != n)
        return ERR_CORRUPT;
    *payload = str_of(p + CHAN_HEAD, n - CHAN_HEAD);
    return ERR_OK;
}

static enum err err_from_errno(int e)
{
    switch (e) {
    case EAGAIN:
    case ENOBUFS:
    case ENOMEM:
        return ERR_AGAIN;
    case EPIPE:
    case ECONNRESET:
    case ENOTCONN:
        return ERR_UNAVAILABLE;
    case EMSGSIZE:
        return ERR_LIMIT;
    default:
        return ERR_IO;
    }
}

static enum err send_one(int fd, const struct chan_head *h, struct str payload, int flags)
{
    if (payload.n > CHAN_MAX - CHAN_HEAD)
        return ERR_LIMIT;
    char head[CHAN_HEAD];
    chan_head_write(head, h, payload.n);
    struct iovec iov[2] = {{head, CHAN_HEAD}, {(void *)(uintptr_t)payload.p, payload.n}};
    struct msghdr m = {.msg_iov = iov, .msg_iovlen = payload.n ? 2 : 1};
    ssize_t n;
    do
        n = sendmsg(fd, &m, flags | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n < 0 ? err_from_errno(errno) : ERR_OK;
}

enum err chan_send(int fd, const struct chan_head *h, struct str payload)
{
    return send_one(fd, h, payload, 0);
}

enum err chan_try_send(int fd, const struct chan_head *h, struct str payload)
{
    return send_one(fd, h, payload, MSG_DONTWAIT);
}

static enum err wait_readable(int fd, int timeout_ms)
{
    int64_t until_ms = clock_mono_ms() + timeout_ms;
    for (;;) {
        int64_t left_ms = until_ms - clock_mono_ms();
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int n = poll(&p, 1, left_ms > 0 ? (int)left_ms : 0);
        if (n > 0)
            return ERR_OK;
        if (n < 0 && errno != EINTR)
            return ERR_IO;
        if (left_ms <= 0)
            return ERR_TIMEOUT;
    }
}

enum err chan_recv(int fd, int timeout_ms, char buf[CHAN_MAX], struct chan_head *h,
                   struct str *payload)
{
    *payload = STR_NONE;
    if (timeout_ms > 0) {
        enum err e = wait_readable(fd, timeout_ms);
        if (e != ERR_OK)
            return e;
    }
    struct iovec iov = {buf, CHAN_MAX};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    ssize_t n;
    do
        n = recvmsg(fd, &m, timeout_ms < 0 ? 0 : MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return err_from_errno(errno);
    if (n == 0)
        return ERR_UNAVAILABLE;
    return chan_head_read(buf, (size_t)n, m.msg_flags & MSG_TRUNC, h, payload);
}

/* --- the serving side ------------------------------------------------------------------------- */

struct served {
    int fd; /* -1: closed */
    bool held;
    struct chan_head held_head;
    struct buf answer; /* the payload of the answer under way */
};

struct server {
    chan_handler *fn;
    void *arg;
    struct arena a;
    char buf[CHAN_MAX];
    size_t open;
};

static void answer_send(struct server *s, struct served *ch)
{
    enum err e = chan_try_send(ch->fd, &ch->held_head, buf_str(&ch->answer));
    ch->held = e == ERR_AGAIN;
    if (ch->held)
        return;
    if (e == ERR_UNAVAILABLE) {
        ch->fd = -1;
        s->open--;
    } else if (e != ERR_OK) {
        log_error("chan_answer_lost", "why", err_name(e));
    }
    if (ch->answer.p)
        mem_wipe(ch->answer.p, ch->answer.n);
    buf_reset(&ch->answer);
}

static void serve_message(struct server *s, struct served *ch, const struct chan_head *h,
                          struct str payload)
{
    enum err status = s->fn(s->arg, h->op, payload, &s->a, &ch->answer);
    if (ch->answer.err != ERR_OK) {
        log_error("chan_answer_too_long", "op", LOG_NUM(h->op));
        status = ch->answer.err;
        buf_reset(&ch->answer);
    }
    arena_reset(&s->a);
    ch->held_head = (struct chan_head){.op = h->op, .status = (uint16_t)status, .id = h->id};
    answer_send(s, ch);
}

/* At most so many messages, so that no channel starves the others. */
static void serve_channel(struct server *s, struct served *ch)
{
    if (ch->held)
        answer_send(s, ch);
    for (int i = 0; i < TURN_MESSAGES && ch->fd >= 0 && !ch->held; i++) {
        struct chan_head h;
        struct str payload;
        enum err e = chan_recv(ch->fd, 0, s->buf, &h, &payload);
        if (e == ERR_AGAIN)
            return;
        if (e == ERR_OK) {
            serve_message(s, ch, &h, payload);
        } else if (e == ERR_CORRUPT) {
            log_error("chan_message_corrupt", "fd", LOG_NUM(ch->fd));
        } else {
            ch->fd = -1;
            s->open--;
        }
    }
}

static void serve_until(struct server *s, struct served *chs, struct pollfd *polls, size_t n,
                        volatile int *stop)
{
    int stop_fd = stop == &proc_stopping ? proc_stop_fd() : -1;
    polls[n] = (struct pollfd){.fd = stop_fd, .events = POLLIN};
    while (!*stop && s->open > 0) {
        for (size_t i = 0; i < n; i++)
            polls[i] = (struct pollfd){.fd = chs[i].fd, .events = chs[i].held ? POLLOUT : POLLIN};
        if (poll(polls, n + 1, stop_fd >= 0 ? -1 : LOOK_MS) <= 0)
            continue;
        for (size_t i = 0; i < n && !*stop; i++)
            if (polls[i].revents)
                serve_channel(s, &chs[i]);
    }
}

void chan_serve(const int *fds, size_t n, chan_handler *fn, void *arg, volatile int *stop)
{
    struct server *s = calloc(1, sizeof *s);
    struct served *chs = calloc(n ? n : 1, sizeof *chs);
    struct pollfd *polls = calloc(n + 1, sizeof *polls);
    if (!s || !chs || !polls)
        abort();
    *s = (struct server){.fn = fn, .arg = arg, .open = n};
    arena_init_secret(&s->a);
    for (size_t i = 0; i < n; i++) {
        chs[i] = (struct served){.fd = fds[i], .held_head = {.op = CHAN_HELLO}};
        buf_init(&chs[i].answer, CHAN_MAX - CHAN_HEAD);
        answer_send(s, &chs[i]);
    }
    serve_until(s, chs, polls, n, stop);
    for (size_t i = 0; i < n; i++)
        buf_wipe(&chs[i].answer);
    arena_free(&s->a);
    mem_wipe(s->buf, sizeof s->buf);
    free(polls);
    free(chs);
    free(s);
}
