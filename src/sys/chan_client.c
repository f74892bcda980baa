/* The asking side of a channel, for many threads. Calls under way are a list in the order of their
 * ids, threaded through the callers' own structs: sent ones first, then those that did not fit yet.
 * So "send everything again", after a server came back, is one pointer moved to the head of the
 * list, and a full channel makes nobody wait: whoever finds it full leaves the call in the list,
 * and the reader thread sends it when there is room. */
#include "sys/chan.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/rand.h"
#include "sys/chan_wire.h"
#include "sys/file.h"

enum { TABLE = 4096, BATCH = 16, LATE_LOOK_MS = 1000 };

struct chan_client {
    int fd, door;
    pthread_t reader;
    pthread_mutex_t lock; /* guards all down to the blank line */
    struct chan_async *first, *last, *unsent;
    struct chan_async *table[TABLE]; /* by id, chained */
    uint64_t next_id;
    bool stop, closed;
    bool reader_sends; /* the reader waits for room: nobody else needs to try */
    bool timed;        /* some call was given a time, so the reader looks at the clock */

    struct mmsghdr msgs[BATCH]; /* the reader's own */
    struct iovec iov[BATCH];
    char *bufs;
};

/* --- the list of calls (lock held) ------------------------------------------------------------ */

static void call_link(struct chan_client *c, struct chan_async *call)
{
    call->id = c->next_id++;
    call->next = NULL;
    call->prev = c->last;
    *(c->last ? &c->last->next : &c->first) = call;
    c->last = call;
    struct chan_async **head = &c->table[call->id % TABLE];
    call->chain = *head;
    *head = call;
    if (!c->unsent)
        c->unsent = call;
}

static void call_unlink(struct chan_client *c, struct chan_async *call)
{
    struct chan_async **at = &c->table[call->id % TABLE];
    while (*at != call)
        at = &(*at)->chain;
    *at = call->chain;
    if (c->unsent == call)
        c->unsent = call->next;
    *(call->prev ? &call->prev->next : &c->first) = call->next;
    *(call->next ? &call->next->prev : &c->last) = call->prev;
}

static struct chan_async *call_find(const struct chan_client *c, uint64_t id)
{
    struct chan_async *call = c->table[id % TABLE];
    while (call && call->id != id)
        call = call->chain;
    return call;
}

/* Sends what is unsent as far as it fits. */
static void calls_flush(struct chan_client *c)
{
    while (c->unsent && !c->closed) {
        struct chan_head h = {.op = c->unsent->op, .id = c->unsent->id};
        enum err e = chan_try_send(c->fd, &h, c->unsent->payload);
        if (e == ERR_AGAIN)
            return;
        if (e == ERR_OK) {
            c->unsent = c->unsent->next;
            continue;
        }
        c->closed = true;
        if (e != ERR_UNAVAILABLE)
            log_error("chan_send_failed", "why", err_name(e));
    }
}

static void ring(struct chan_client *c)
{
    uint64_t one = 1;
    enum err e = file_write_all(c->door, &one, sizeof one);
    assert(e == ERR_OK);
    (void)e;
}

static void call_start(struct chan_client *c, struct chan_async *call)
{
    call_link(c, call);
    if (c->reader_sends)
        return;
    calls_flush(c);
    if (c->unsent) { /* no room, or closed: the reader's work from here */
        c->reader_sends = true;
        ring(c);
    }
}

void chan_call_async(struct chan_client *c, struct chan_async *call)
{
    assert(call->done && call->payload.n <= CHAN_MAX - CHAN_HEAD);
    pthread_mutex_lock(&c->lock);
    bool first_timed = call->until_ms && !c->timed;
    c->timed |= first_timed;
    call_start(c, call);
    pthread_mutex_unlock(&c->lock);
    if (first_timed)
        ring(c); /* it sleeps without a limit until now */
}

/* --- the call that waits ---------------------------------------------------------------------- */

struct waiting {
    struct chan_async call;
    pthread_cond_t answered;
    struct arena *a;
    struct str out;
    enum err status;
    bool done;
};

/* Runs under the lock, unlike other `done` functions: the caller may give up at any moment, so the
 * answer must reach its arena while it is held here. */
static void waiting_done(struct chan_async *call, enum err status, struct str answer)
{
    struct waiting *w = (struct waiting *)call;
    w->out = answer.n ? arena_dup(w->a, answer) : STR_NONE;
    w->status = status;
    w->done = true;
    pthread_cond_signal(&w->answered);
}

static void waiting_init(struct waiting *w, uint16_t op, struct str payload, struct arena *a)
{
    *w = (struct waiting){.call = {.done = waiting_done, .op = op, .payload = payload}, .a = a};
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&w->answered, &attr);
    pthread_condattr_destroy(&attr);
}

static struct timespec deadline_in(int timeout_ms)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += timeout_ms / 1000;
    t.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000;
    }
    return t;
}

enum err chan_call(struct chan_client *c, uint16_t op, struct str payload, int timeout_ms,
                   struct arena *a, struct str *out)
{
    assert(!pthread_equal(pthread_self(), c->reader));
    *out = STR_NONE;
    if (payload.n > CHAN_MAX - CHAN_HEAD)
        return ERR_LIMIT;
    struct waiting w;
    waiting_init(&w, op, payload, a);
    struct timespec until = deadline_in(timeout_ms > 0 ? timeout_ms : 0);
    pthread_mutex_lock(&c->lock);
    call_start(c, &w.call);
    int rc = 0;
    while (!w.done && rc != ETIMEDOUT)
        rc = timeout_ms < 0 ? pthread_cond_wait(&w.answered, &c->lock)
                            : pthread_cond_timedwait(&w.answered, &c->lock, &until);
    if (!w.done) {
        call_unlink(c, &w.call);
        w.status = ERR_TIMEOUT;
    }
    pthread_mutex_unlock(&c->lock);
    pthread_cond_destroy(&w.answered);
    *out = w.out;
    return w.status;
}

/* --- the reader thread ------------------------------------------------------------------------ */

static void fail_all(struct chan_client *c)
{
    pthread_mutex_lock(&c->lock);
    while (c->first) {
        struct chan_async *call = c->first;
        call_unlink(c, call);
        if (call->done == waiting_done) {
            waiting_done(call, ERR_UNAVAILABLE, STR_NONE);
            continue;
        }
        pthread_mutex_unlock(&c->lock);
        call->done(call, ERR_UNAVAILABLE, STR_NONE);
        pthread_mutex_lock(&c->lock);
    }
    c->reader_sends = false;
    pthread_mutex_unlock(&c->lock);
}

static struct chan_async *find_late(const struct chan_client *c, int64_t now_ms)
{
    struct chan_async *call = c->first;
    while (call && !(call->until_ms && call->until_ms <= now_ms))
        call = call->next;
    return call;
}

static void fail_late(struct chan_client *c)
{
    struct chan_async *call;
    int64_t now_ms = clock_mono_ms();
    pthread_mutex_lock(&c->lock);
    while ((call = find_late(c, now_ms)) != NULL) {
        call_unlink(c, call);
        pthread_mutex_unlock(&c->lock);
        call->done(call, ERR_TIMEOUT, STR_NONE);
        pthread_mutex_lock(&c->lock);
    }
    pthread_mutex_unlock(&c->lock);
}

struct answer {
    struct chan_async *call;
    enum err status;
    struct str payload;
};

/* One message, lock held. True when *out has an answer to hand over once the lock is free. */
static bool take_message(struct chan_client *c, int i, struct answer *out)
{
    struct chan_head h;
    enum err e = chan_head_read(c->iov[i].iov_base, c->msgs[i].msg_len,
                                c->msgs[i].msg_hdr.msg_flags & MSG_TRUNC, &h, &out->payload);
    if (e != ERR_OK) {
        log_error("chan_message_corrupt", "fd", LOG_NUM(c->fd));
        return false;
    }
    if (h.op == CHAN_HELLO) {
        c->unsent = c->first;
        return false;
    }
    out->call = call_find(c, h.id);
    if (!out->call) /* given up on, answered twice, or asked by a process before this one */
        return false;
    out->status = h.status < ERR_COUNT ? (enum err)h.status : ERR_INTERNAL;
    call_unlink(c, out->call);
    if (out->call->done != waiting_done)
        return true;
    waiting_done(out->call, out->status, out->payload);
    return false;
}

static void read_messages(struct chan_client *c)
{
    int n = recvmmsg(c->fd, c->msgs, BATCH, MSG_DONTWAIT, NULL);
    struct answer ready[BATCH];
    int count = 0;
    pthread_mutex_lock(&c->lock);
    if (n < 0 && errno != EAGAIN && errno != EINTR)
        c->closed = true;
    for (int i = 0; i < n && !c->closed; i++) {
        if (c->msgs[i].msg_len == 0)
            c->closed = true; /* end of file: every other end is closed */
        else if (take_message(c, i, &ready[count]))
            count++;
    }
    pthread_mutex_unlock(&c->lock);
    for (int i = 0; i < count; i++)
        ready[i].call->done(ready[i].call, ready[i].status, ready[i].payload);
}

static void *reader_main(void *arg)
{
    struct chan_client *c = arg;
    int64_t looked_ms = 0;
    for (;;) {
        pthread_mutex_lock(&c->lock);
        calls_flush(c);
        c->reader_sends = c->unsent != NULL;
        bool stop = c->stop, closed = c->closed, sends = c->reader_sends;
        int wait_ms = c->timed ? LATE_LOOK_MS : -1;
        pthread_mutex_unlock(&c->lock);
        if (stop)
            break;
        if (closed)
            fail_all(c);
        struct pollfd p[2] = {
            {.fd = closed ? -1 : c->fd, .events = (short)(POLLIN | (sends ? POLLOUT : 0))},
            {.fd = c->door, .events = POLLIN}};
        int n = poll(p, 2, wait_ms);
        if (wait_ms > 0 && clock_mono_ms() >= looked_ms + LATE_LOOK_MS) {
            looked_ms = clock_mono_ms();
            fail_late(c);
        }
        if (n <= 0)
            continue;
        uint64_t count;
        if (p[1].revents && read(c->door, &count, sizeof count) < 0)
            continue;
        if (p[0].revents & (POLLIN | POLLHUP | POLLERR))
            read_messages(c);
    }
    return NULL;
}

struct chan_client *chan_client_new(int fd)
{
    struct chan_client *c = calloc(1, sizeof *c);
    char *bufs = malloc((size_t)BATCH * CHAN_MAX);
    if (!c || !bufs)
        abort();
    c->fd = fd;
    c->door = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    c->bufs = bufs;
    pthread_mutex_init(&c->lock, NULL);
    /* Answers to a process that had this end before must not be taken for ours. */
    rand_bytes(&c->next_id, sizeof c->next_id);
    for (int i = 0; i < BATCH; i++) {
        c->iov[i] = (struct iovec){bufs + (size_t)i * CHAN_MAX, CHAN_MAX};
        c->msgs[i].msg_hdr = (struct msghdr){.msg_iov = &c->iov[i], .msg_iovlen = 1};
    }
    if (c->door < 0 || pthread_create(&c->reader, NULL, reader_main, c) != 0)
        abort(); /* a process that cannot start its few threads cannot go on */
    return c;
}

void chan_client_free(struct chan_client *c)
{
    if (!c)
        return;
    pthread_mutex_lock(&c->lock);
    c->stop = true;
    pthread_mutex_unlock(&c->lock);
    ring(c);
    pthread_join(c->reader, NULL);
    fail_all(c);
    close(c->door);
    pthread_mutex_destroy(&c->lock);
    mem_wipe(c->bufs, (size_t)BATCH * CHAN_MAX);
    free(c->bufs);
    free(c);
}
