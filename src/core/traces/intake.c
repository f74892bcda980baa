/* The syslog listeners: one thread, few connections, frames into events, events into the store once
 * a second or a thousand at a time. Who sends faster than the store keeps waits in TCP: nothing
 * that was read is dropped, and nothing is read that cannot be kept. */
#include <errno.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/codec.h"
#include "core/traces/traces.h"
#include "sys/loop.h"
#include "sys/proc.h"
#include "web/tls.h"

enum { CONNECTIONS_MAX = 256, BUFFER_MAX = 128 * 1024, READ_BYTES = 64 * 1024, FLUSH_MS = 1000 };
enum { NAME_MAX_BYTES = 64 };

struct intake {
    struct platform *pf;
    struct loop *loop;
    struct loop_io clear, secure;
    struct tls *tls; /* NULL: no listener over TLS */
    struct loop_timer flush;
    char source[NAME_MAX_BYTES + 8]; /* of the events that wait */
    struct arena arena;              /* theirs */
    struct trace_event *events;
    size_t n, n_conns;
};
struct sender {
    struct loop_io io;
    struct intake *in;
    struct buf bytes;
    SSL *ssl; /* NULL: in clear */
    bool known;
    char source[NAME_MAX_BYTES + 8];
};

/* ---- to the store
 * -----------------------------------------------------------------------------------
 */
static void flush(struct intake *in)
{
    struct arena a;
    enum err e = ERR_OK;
    if (in->n == 0)
        return;
    arena_init(&a);
    /* While the database is away nobody is read: what came stays here and in TCP. */
    do {
        struct ctx *c = ctx_make(in->pf, &a);
        e = trace_store(c, str_from(in->source), in->events, in->n);
        ctx_free(c);
        arena_reset(&a);
        if (e != ERR_OK) {
            log_warn("syslog_store_failed", "error", err_name(e));
            proc_wait_stop(1000);
        }
    } while (e != ERR_OK && !proc_stopping);
    arena_free(&a);
    in->n = 0;
    arena_reset(&in->arena);
    in->events = arena_array(&in->arena, struct trace_event, BLOCK_EVENTS);
}

static void on_flush(struct loop_timer *t)
{
    struct intake *in = (struct intake *)((char *)t - offsetof(struct intake, flush));
    flush(in);
    if (in->tls)
        tls_reload(in->tls);
    if (proc_stopping)
        loop_stop(in->loop);
    else
        loop_timer_set(in->loop, t, FLUSH_MS);
}

/* What waits is of one source: a block has one. */
static void take(struct intake *in, const char *source, struct str frame)
{
    if (in->n && strcmp(in->source, source) != 0)
        flush(in);
    snprintf(in->source, sizeof in->source, "%s", source);
    struct trace_event *e = &in->events[in->n++];
    trace_event_from_syslog(&in->arena, arena_dup(&in->arena, frame), clock_now_ms(), e);
    if (in->n == BLOCK_EVENTS)
        flush(in);
}

/* ---- who sends over TLS
 * -------------------------------------------------------------------------------
 */
/* A line of the setting's file: NAME, blanks, the SHA-256 of the certificate in hex. */
static bool sender_find(struct sender *s, struct str hex)
{
    struct str rest = s->in->pf->settings->syslog_senders_text, line;
    while (rest.n && str_split(&rest, '\n', &line)) {
        line = str_trim(line);
        ptrdiff_t blank = str_find_char(line, ' ');
        if (blank <= 0 || blank > NAME_MAX_BYTES || line.p[0] == '#')
            continue;
        if (!str_eq_nocase(str_trim(str_after(line, (size_t)blank)), hex))
            continue;
        snprintf(s->source, sizeof s->source, "syslog:%.*s", (int)blank, line.p);
        return true;
    }
    return false;
}

static bool sender_is_listed(struct sender *s)
{
    struct arena a;
    char x5t[TLS_X5T_LEN + 1];
    struct str digest;
    char *shown = tls_client_certificate(s->ssl, x5t);
    arena_init(&a);
    bool good = shown && codec_base64url(&a, str_of(x5t, TLS_X5T_LEN), &digest) == ERR_OK;
    if (good) {
        struct str hex = codec_to_hex(&a, digest.p, digest.n);
        good = sender_find(s, hex);
        if (!good)
            log_warn("syslog_sender_unknown", "certificate_sha256", hex.p);
    }
    arena_free(&a);
    free(shown);
    return good;
}

/* ---- connections
 * --------------------------------------------------------------------------------------
 */
static void sender_end(struct sender *s)
{
    loop_io_del(s->in->loop, &s->io);
    SSL_free(s->ssl);
    close(s->io.fd);
    s->in->n_conns--;
    buf_free(&s->bytes);
    free(s);
}

/* Bytes read; 0: none now; -1: it ended. */
static ssize_t sender_read(struct sender *s, char *room)
{
    if (!s->ssl) {
        ssize_t n = recv(s->io.fd, room, READ_BYTES, MSG_DONTWAIT);
        return n > 0 ? n : n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
    }
    int n = s->known ? SSL_read(s->ssl, room, READ_BYTES) : SSL_do_handshake(s->ssl);
    if (n > 0 && !s->known) {
        s->known = sender_is_listed(s);
        return s->known ? sender_read(s, room) : -1;
    }
    if (n > 0)
        return n;
    int why = SSL_get_error(s->ssl, n);
    loop_io_set(s->in->loop, &s->io, why == SSL_ERROR_WANT_WRITE ? LOOP_WRITE : LOOP_READ);
    return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

/* false: the framing is broken. */
static bool frames_take(struct sender *s)
{
    struct str rest = buf_str(&s->bytes), frame;
    enum err e;
    while (trace_frame_next(&rest, &frame, &e))
        take(s->in, s->source, frame);
    buf_drop(&s->bytes, s->bytes.n - rest.n);
    if (e != ERR_OK)
        log_warn("syslog_framing", "error", err_name(e));
    return e == ERR_OK;
}

static void on_bytes(struct loop_io *io, unsigned events)
{
    struct sender *s = (struct sender *)((char *)io - offsetof(struct sender, io));
    ssize_t n;
    (void)events;
    do { /* TLS may hold more than its socket shows */
        char *room = buf_room(&s->bytes, READ_BYTES);
        n = room ? sender_read(s, room) : -1;
        if (n > 0)
            buf_grew(&s->bytes, (size_t)n);
        if (n < 0 || (n > 0 && !frames_take(s))) {
            sender_end(s);
            return;
        }
    } while (n > 0 && s->ssl && SSL_has_pending(s->ssl));
}

static void sender_begin(struct intake *in, int fd, bool secure)
{
    struct sender *s = in->n_conns < CONNECTIONS_MAX ? calloc(1, sizeof *s) : NULL;
    if (s && secure)
        s->ssl = tls_new(in->tls, TLS_CLIENTS, fd);
    if (!s || (secure && !s->ssl)) {
        free(s);
        close(fd);
        return;
    }
    s->in = in;
    snprintf(s->source, sizeof s->source, "syslog");
    buf_init(&s->bytes, BUFFER_MAX);
    s->io = (struct loop_io){.fn = on_bytes, .fd = fd, .events = LOOP_READ};
    in->n_conns++;
    if (loop_io_add(in->loop, &s->io) != ERR_OK) {
        in->n_conns--;
        SSL_free(s->ssl);
        close(fd);
        free(s);
    }
}

static void on_clear(struct loop_io *io, unsigned events)
{
    (void)events;
    int fd = accept4(io->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0)
        sender_begin((struct intake *)((char *)io - offsetof(struct intake, clear)), fd, false);
}

static void on_secure(struct loop_io *io, unsigned events)
{
    (void)events;
    int fd = accept4(io->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0)
        sender_begin((struct intake *)((char *)io - offsetof(struct intake, secure)), fd, true);
}

static void *intake_run(void *arg)
{
    struct intake *in = arg;
    pthread_setname_np(pthread_self(), "syslog");
    loop_run(in->loop);
    return NULL;
}

enum err traces_syslog_start(struct platform *pf)
{
    pthread_t thread;
    enum err e = ERR_OK;
    if (pf->syslog_fd < 0 && pf->syslog_tls_fd < 0)
        return ERR_OK;
    struct intake *in = calloc(1, sizeof *in);
    if (!in)
        abort();
    in->pf = pf;
    in->loop = loop_new();
    arena_init(&in->arena);
    in->events = arena_array(&in->arena, struct trace_event, BLOCK_EVENTS);
    in->clear = (struct loop_io){.fn = on_clear, .fd = pf->syslog_fd, .events = LOOP_READ};
    in->secure = (struct loop_io){.fn = on_secure, .fd = pf->syslog_tls_fd, .events = LOOP_READ};
    in->flush.fn = on_flush;
    loop_timer_set(in->loop, &in->flush, FLUSH_MS);
    if (pf->syslog_tls_fd >= 0) {
        struct tls_conf conf = {.keys = pf->tls_keys,
                                .folder = pf->settings->tls_certificates,
                                .client_authorities = pf->settings->mtls_authorities_text};
        in->tls = tls_open(&conf);
        e = loop_io_add(in->loop, &in->secure);
    }
    if (e == ERR_OK && pf->syslog_fd >= 0)
        e = loop_io_add(in->loop, &in->clear);
    if (e == ERR_OK && pthread_create(&thread, NULL, intake_run, in) != 0)
        e = ERR_UNAVAILABLE;
    if (e == ERR_OK)
        pthread_detach(thread);
    return e;
}
