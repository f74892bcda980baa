/* The syslog listener: one thread, few connections, frames into events, events into the store once
 * a second or a thousand at a time. Who sends faster than the store keeps waits in TCP: nothing
 * that was read is dropped, and nothing is read that cannot be kept. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "core/traces/traces.h"
#include "sys/loop.h"
#include "sys/proc.h"

enum { CONNECTIONS_MAX = 256, BUFFER_MAX = 128 * 1024, READ_BYTES = 64 * 1024, FLUSH_MS = 1000 };

struct intake {
    struct platform *pf;
    struct loop *loop;
    struct loop_io listener;
    struct loop_timer flush;
    struct arena arena; /* of the events that wait */
    struct trace_event *events;
    size_t n, n_conns;
};
struct sender {
    struct loop_io io;
    struct intake *in;
    struct buf bytes;
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
        e = trace_store(c, STR("syslog"), in->events, in->n);
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
    if (proc_stopping)
        loop_stop(in->loop);
    else
        loop_timer_set(in->loop, t, FLUSH_MS);
}

static void take(struct intake *in, struct str frame)
{
    struct trace_event *e = &in->events[in->n++];
    trace_event_from_syslog(&in->arena, arena_dup(&in->arena, frame), clock_now_ms(), e);
    if (in->n == BLOCK_EVENTS)
        flush(in);
}

/* ---- connections
 * --------------------------------------------------------------------------------------
 */
static void sender_end(struct sender *s)
{
    loop_io_del(s->in->loop, &s->io);
    close(s->io.fd);
    s->in->n_conns--;
    buf_free(&s->bytes);
    free(s);
}

static void on_bytes(struct loop_io *io, unsigned events)
{
    struct sender *s = (struct sender *)((char *)io - offsetof(struct sender, io));
    struct str frame;
    enum err e;
    (void)events;
    char *room = buf_room(&s->bytes, READ_BYTES);
    ssize_t n = room ? recv(io->fd, room, READ_BYTES, MSG_DONTWAIT) : 0;
    if (n <= 0) {
        if (!room || n == 0 || (errno != EAGAIN && errno != EINTR))
            sender_end(s);
        return;
    }
    buf_grew(&s->bytes, (size_t)n);
    struct str rest = buf_str(&s->bytes);
    while (trace_frame_next(&rest, &frame, &e))
        take(s->in, frame);
    buf_drop(&s->bytes, s->bytes.n - rest.n);
    if (e != ERR_OK) {
        log_warn("syslog_framing", "error", err_name(e));
        sender_end(s);
    }
}

static void on_sender(struct loop_io *io, unsigned events)
{
    struct intake *in = (struct intake *)((char *)io - offsetof(struct intake, listener));
    (void)events;
    int fd = accept4(io->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    struct sender *s = in->n_conns < CONNECTIONS_MAX ? calloc(1, sizeof *s) : NULL;
    if (!s) {
        close(fd);
        return;
    }
    s->in = in;
    buf_init(&s->bytes, BUFFER_MAX);
    s->io = (struct loop_io){.fn = on_bytes, .fd = fd, .events = LOOP_READ};
    in->n_conns++;
    if (loop_io_add(in->loop, &s->io) != ERR_OK) {
        in->n_conns--;
        close(fd);
        free(s);
    }
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
    if (pf->syslog_fd < 0)
        return ERR_OK;
    struct intake *in = calloc(1, sizeof *in);
    if (!in)
        abort();
    in->pf = pf;
    in->loop = loop_new();
    arena_init(&in->arena);
    in->events = arena_array(&in->arena, struct trace_event, BLOCK_EVENTS);
    in->listener = (struct loop_io){.fn = on_sender, .fd = pf->syslog_fd, .events = LOOP_READ};
    in->flush.fn = on_flush;
    loop_timer_set(in->loop, &in->flush, FLUSH_MS);
    enum err e = loop_io_add(in->loop, &in->listener);
    if (e == ERR_OK && pthread_create(&thread, NULL, intake_run, in) != 0)
        e = ERR_UNAVAILABLE;
    if (e == ERR_OK)
        pthread_detach(thread);
    return e;
}
