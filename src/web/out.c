/* What waits to be sent on a connection. Heads and small bodies are gathered in one buffer; a
 * handler's body and a file are sent from where they are. */
#include "web/conn.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/log.h"
#include "sys/file.h"

enum { TLS_RECORD = 16 * 1024 };

void out_init(struct out *o)
{
    *o = (struct out){.file_fd = -1};
    buf_init(&o->head, OUT_MAX);
}

void out_clear(struct out *o)
{
    if (o->head.cap > OUT_HIGH)
        buf_free(&o->head);
    buf_reset(&o->head);
    o->head_at = 0;
    buf_free(&o->body);
    o->body_at = 0;
    if (o->file_fd >= 0)
        close(o->file_fd);
    o->file_fd = -1;
    o->file_left = 0;
}

size_t out_queued(const struct out *o)
{
    return o->head.n - o->head_at + o->body.n - o->body_at;
}

bool out_pending(const struct out *o)
{
    return out_queued(o) > 0 || o->file_left > 0;
}

/* ---- progress -------------------------------------------------------------------------------- */
static uint64_t acknowledged(const struct conn *c)
{
    struct tcp_info info = {0};
    socklen_t n = sizeof info;
    return getsockopt(c->io.fd, IPPROTO_TCP, TCP_INFO, &info, &n) == 0 ? info.tcpi_bytes_acked : 0;
}

void out_mark(struct conn *c)
{
    c->since_ms = loop_now_ms(c->wl->loop);
    c->acknowledged = acknowledged(c);
}

bool out_moved(struct conn *c)
{
    uint64_t before = c->acknowledged;
    out_mark(c);
    return c->acknowledged > before;
}

/* ---- sending --------------------------------------------------------------------------------- */
static void head_sent(struct out *o, size_t n)
{
    o->head_at += n;
    if (o->head_at < o->head.n)
        return;
    o->head_at = 0;
    if (o->head.cap > OUT_HIGH)
        buf_free(&o->head);
    buf_reset(&o->head);
}

/* n bytes went, or n < 0 with errno. */
static enum err sent(struct conn *c, ssize_t n)
{
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return errno == EINTR ? ERR_OK : ERR_AGAIN;
    if (n < 0) {
        c->broken = true;
        return ERR_IO;
    }
    count(c->wl, COUNT_OUT, (uint64_t)n);
    if (c->wait == WAIT_SEND && n > 0)
        out_mark(c);
    return ERR_OK;
}

/* Both buffers' bytes in one record, so that a small answer is one. Asked again after a refusal it
 * gathers the same bytes, and perhaps more behind them: what OpenSSL wants of a second try. */
static enum err send_records(struct conn *c, size_t *n)
{
    struct out *o = &c->w->out;
    char room[TLS_RECORD];
    const char *p = o->head.p + o->head_at;
    size_t head = o->head.n - o->head_at, body = o->body.n - o->body_at;
    size_t size = head + body < sizeof room ? head + body : sizeof room;
    size_t of_head = head < size ? head : size;
    if (of_head < size) {
        if (of_head)
            memcpy(room, p, of_head);
        memcpy(room + of_head, o->body.p + o->body_at, size - of_head);
        p = room;
    }
    enum err e = conn_tls_send(c, p, size, n);
    if (e != ERR_OK)
        return e;
    count(c->wl, COUNT_OUT, (uint64_t)*n);
    if (c->wait == WAIT_SEND)
        out_mark(c);
    of_head = *n < head ? *n : head;
    head_sent(o, of_head);
    o->body_at += *n - of_head;
    return ERR_OK;
}

static enum err send_file_records(struct conn *c, size_t *n)
{
    struct out *o = &c->w->out;
    char room[TLS_RECORD];
    size_t most = o->file_left < sizeof room ? (size_t)o->file_left : sizeof room;
    ssize_t r = pread(o->file_fd, room, most, o->file_at);
    if (r < (ssize_t)most) { /* the file became shorter than was promised */
        c->broken = true;
        return ERR_IO;
    }
    enum err e = conn_tls_send(c, room, most, n);
    if (e != ERR_OK)
        return e;
    count(c->wl, COUNT_OUT, (uint64_t)*n);
    if (c->wait == WAIT_SEND)
        out_mark(c);
    o->file_at += (off_t)*n;
    o->file_left -= *n;
    return ERR_OK;
}

static enum err send_bytes(struct conn *c, size_t *n)
{
    if (c->tls)
        return send_records(c, n);
    struct out *o = &c->w->out;
    struct iovec iov[2] = {{o->head.p + o->head_at, o->head.n - o->head_at},
                           {o->body.p + o->body_at, o->body.n - o->body_at}};
    int flags = MSG_NOSIGNAL | (o->file_left ? MSG_MORE : 0);
    ssize_t r;
    if (iov[1].iov_len == 0)
        r = send(c->io.fd, iov[0].iov_base, iov[0].iov_len, flags);
    else
        r = sendmsg(c->io.fd, &(struct msghdr){.msg_iov = iov, .msg_iovlen = 2}, flags);
    enum err e = sent(c, r);
    if (e != ERR_OK || r < 0)
        return e;
    *n = (size_t)r;
    size_t of_head = *n < iov[0].iov_len ? *n : iov[0].iov_len;
    head_sent(o, of_head);
    o->body_at += *n - of_head;
    return ERR_OK;
}

static enum err send_file(struct conn *c, size_t *n)
{
    if (c->tls)
        return send_file_records(c, n);
    struct out *o = &c->w->out;
    size_t most = o->file_left < OUT_TURN ? (size_t)o->file_left : OUT_TURN;
    ssize_t r = sendfile(c->io.fd, o->file_fd, &o->file_at, most);
    enum err e = sent(c, r);
    if (e != ERR_OK || r < 0)
        return e;
    if (r == 0) { /* the file became shorter than was promised */
        c->broken = true;
        return ERR_IO;
    }
    *n = (size_t)r;
    o->file_left -= *n;
    return ERR_OK;
}

enum err out_flush(struct conn *c)
{
    struct out *o = &c->w->out;
    size_t total = 0;
    while (out_pending(o)) {
        size_t n = 0;
        enum err e = c->broken ? ERR_IO : out_queued(o) ? send_bytes(c, &n) : send_file(c, &n);
        c->broken |= e == ERR_IO;
        if (e != ERR_OK)
            return e;
        total += n;
        if (total >= OUT_TURN)
            return out_pending(o) ? ERR_AGAIN : ERR_OK; /* the others' turn */
    }
    return ERR_OK;
}

/* Tries to send what is queued and the three parts in one call; says how many bytes of the parts
 * went. */
static size_t send_direct(struct conn *c, const struct str part[3])
{
    struct out *o = &c->w->out;
    size_t queued = o->head.n - o->head_at;
    struct iovec iov[4] = {{o->head.p + o->head_at, queued}};
    for (int i = 0; i < 3; i++)
        iov[i + 1] = (struct iovec){(void *)(uintptr_t)part[i].p, part[i].n};
    ssize_t r = sendmsg(c->io.fd, &(struct msghdr){.msg_iov = iov, .msg_iovlen = 4}, MSG_NOSIGNAL);
    if (sent(c, r) != ERR_OK || r < 0)
        return 0;
    size_t n = (size_t)r, of_head = n < queued ? n : queued;
    head_sent(o, of_head);
    return n - of_head;
}

void out_add(struct conn *c, struct str before, struct str piece, struct str after)
{
    struct out *o = &c->w->out;
    const struct str part[3] = {before, piece, after};
    size_t gone = 0;
    if (c->broken)
        return;
    if (piece.n >= OUT_DIRECT && !c->tls && !(c->io.events & LOOP_WRITE))
        gone = send_direct(c, part);
    for (int i = 0; i < 3; i++) {
        size_t skip = gone < part[i].n ? gone : part[i].n;
        gone -= skip;
        buf_add(&o->head, part[i].p + skip, part[i].n - skip);
    }
    if (o->head.err != ERR_OK)
        c->broken = true; /* whoever writes did not wait */
}

/* ---- files without a name -------------------------------------------------------------------- */
int spool_open(const char *folder)
{
    char path[4096];
    int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT))
        return fd;
    int n = snprintf(path, sizeof path, "%s/body-XXXXXX", folder);
    if (n < 0 || (size_t)n >= sizeof path)
        return -1;
    fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0)
        (void)unlink(path);
    return fd;
}

/* Many slow readers of large answers could fill the memory otherwise. */
void out_spool(struct conn *c)
{
    struct out *o = &c->w->out;
    struct str head = str_of(o->head.p + o->head_at, o->head.n - o->head_at);
    struct str body = str_of(o->body.p + o->body_at, o->body.n - o->body_at);
    if (head.n + body.n <= OUT_HIGH || o->file_fd >= 0)
        return;
    int fd = spool_open(c->wl->s->conf.spool_folder);
    if (fd < 0 || file_write_all(fd, head.p, head.n) != ERR_OK ||
        file_write_all(fd, body.p, body.n) != ERR_OK) {
        log_warn("answer_not_spooled", "folder", c->wl->s->conf.spool_folder);
        if (fd >= 0)
            close(fd);
        return; /* it stays in memory */
    }
    out_clear(o);
    o->file_fd = fd;
    o->file_at = 0;
    o->file_left = head.n + body.n;
}
