/* The engine's loops: accepting, time limits, counting, starting and stopping. Each loop watches
 * the same listening sockets; the kernel wakes one of them for a connection, and who has clearly
 * more connections than another hands the new one over, so that loops stay even. */
#include "web/conn.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/rand.h"
#include "sys/file.h"

enum {
    ACCEPT_BATCH = 16,
    UNEVEN = 4,         /* connections more than another loop before one is handed over */
    REARM_MS = 100,     /* no descriptors: when to try again */
    SWEEP_MAX_MS = 500, /* how late a time limit may be noticed */
    SWEEP_MIN_MS = 5,
    DATE_MS = 200,         /* how old the cached date may be */
    LAST_REQUEST_MS = 100, /* when stopping */
};

const struct web_limits web_limits_default = {
    .body_max = 10u << 20,
    .connections_max = 10000,
    .head_timeout_ms = 10000,
    .body_timeout_ms = 30000,
    .body_rate_ms = 8000,
    .body_rate_bytes = 4000,
    .idle_timeout_ms = 65000,
    .send_timeout_ms = 30000,
    .queue_max = 1000,
};

/* ---- small services of a loop ---------------------------------------------------------------- */
struct str loop_date(struct web_loop *wl)
{
    int64_t now_ms = loop_now_ms(wl->loop);
    if (wl->date_n == 0 || now_ms - wl->date_at_ms > DATE_MS) {
        char date[30];
        clock_http_date(clock_now_ms(), date);
        wl->date_n = (size_t)snprintf(wl->date, sizeof wl->date, "Date: %s\r\n", date);
        wl->date_at_ms = now_ms;
    }
    return str_of(wl->date, wl->date_n);
}

void loop_trace_id(struct web_loop *wl, char out[33])
{
    static const char hex[] = "0123456789abcdef";
    if (wl->noise_left < 16) { /* one call to the kernel for many ids */
        rand_bytes(wl->noise, sizeof wl->noise);
        wl->noise_left = sizeof wl->noise;
    }
    wl->noise_left -= 16;
    for (size_t i = 0; i < 16; i++) {
        unsigned char b = wl->noise[wl->noise_left + i];
        out[2 * i] = hex[b >> 4];
        out[2 * i + 1] = hex[b & 15];
    }
    out[32] = '\0';
}

/* ---- accepting ------------------------------------------------------------------------------- */
static void listen_set(struct web_loop *wl, bool on)
{
    for (size_t i = 0; i < wl->s->conf.n_listen_fds; i++) {
        struct listener *ln = &wl->listeners[i];
        if (ln->armed == on)
            continue;
        if (!on)
            loop_io_del(wl->loop, &ln->io);
        else if (loop_io_add(wl->loop, &ln->io) != ERR_OK)
            log_error("listen_failed", "fd", LOG_NUM(ln->io.fd));
        ln->armed = on;
    }
}

static void on_rearm(struct loop_timer *t)
{
    struct web_loop *wl = (struct web_loop *)((char *)t - offsetof(struct web_loop, rearm));
    if (!wl->stopping)
        listen_set(wl, true);
}

static void maybe_stopped(struct web_loop *wl)
{
    if (wl->stopping && atomic_load(&wl->open) == 0)
        loop_stop(wl->loop);
}

void loop_closed_one(struct web_loop *wl)
{
    atomic_fetch_sub(&wl->open, 1);
    maybe_stopped(wl);
}

/* A connection on its way to another loop. */
struct parcel {
    struct loop_job job;
    struct web_loop *to;
    int fd;
    enum tls_kind kind;
    struct sockaddr_storage from;
};

static void welcome(struct web_loop *wl, int fd, const struct sockaddr *from, enum tls_kind kind)
{
    bool full = atomic_load(&wl->open) > wl->s->conf.limits.connections_max;
    if (full && wl->idle_first) {
        conn_close(wl->idle_first);
    } else if (full) {
        close(fd);
        count(wl, COUNT_REFUSED, 1);
        loop_closed_one(wl);
        return;
    }
    count(wl, COUNT_ACCEPTED, 1);
    conn_new(wl, fd, from, kind);
}

static void on_parcel(struct loop_job *job)
{
    struct parcel *p = (struct parcel *)job;
    welcome(p->to, p->fd, (const struct sockaddr *)&p->from, p->kind);
    free(p);
}

static struct web_loop *least_loaded(struct web_loop *wl)
{
    struct web_loop *best = wl;
    unsigned least = atomic_load(&wl->open);
    for (unsigned i = 0; i < wl->s->conf.n_loops; i++) {
        unsigned open = atomic_load(&wl->s->loops[i].open);
        if (open + UNEVEN <= least) {
            least = open;
            best = &wl->s->loops[i];
        }
    }
    return best;
}

static void accepted(struct web_loop *wl, int fd, const struct sockaddr_storage *from,
                     enum tls_kind kind)
{
    struct web_loop *to = wl->stopping ? wl : least_loaded(wl);
    atomic_fetch_add(&to->open, 1);
    if (to == wl) {
        welcome(wl, fd, (const struct sockaddr *)from, kind);
        return;
    }
    struct parcel *p = malloc(sizeof *p);
    if (!p)
        abort();
    *p = (struct parcel){.job = {.fn = on_parcel}, .to = to, .fd = fd, .kind = kind, .from = *from};
    loop_post(to->loop, &p->job);
}

/* No descriptor or no memory for one more: the oldest idle connection makes room. Without any, who
 * waits is left in the kernel's queue for a moment; asking again at once would be a spin. */
static void no_room(struct web_loop *wl, int why)
{
    bool files = why == EMFILE || why == ENFILE;
    log_warn("accept_failed", "why", files ? "descriptors" : "memory");
    if (wl->idle_first)
        conn_close(wl->idle_first);
    listen_set(wl, false);
    loop_timer_set(wl->loop, &wl->rearm, REARM_MS);
}

/* accept4 looks for a descriptor before it looks for a connection. */
static bool is_waited_for(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 0) == 1;
}

static void on_listen(struct loop_io *io, unsigned events)
{
    struct web_loop *wl = ((struct listener *)io)->wl;
    (void)events;
    for (int i = 0; i < ACCEPT_BATCH; i++) {
        struct sockaddr_storage from = {0};
        socklen_t len = sizeof from;
        int fd = accept4(io->fd, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            accepted(wl, fd, &from, ((struct listener *)io)->kind);
            continue;
        }
        int why = errno;
        if (why == EMFILE || why == ENFILE || why == ENOBUFS || why == ENOMEM) {
            if (is_waited_for(io->fd))
                no_room(wl, why);
            return;
        }
        if (why == EAGAIN)
            return;
        /* Otherwise that connection failed before it was taken: the next one. */
    }
}

/* ---- time limits ----------------------------------------------------------------------------- */
/* A body that comes drop by drop holds its place as long as one that does not come at all. */
static bool drips(struct conn *c, const struct web_limits *l, int64_t now_ms)
{
    if (c->wait != WAIT_BODY || !l->body_rate_bytes || now_ms - c->body_from_ms < l->body_rate_ms)
        return false;
    bool too_slow = c->body_got < l->body_rate_bytes;
    c->body_from_ms = now_ms;
    c->body_got = 0;
    return too_slow;
}

/* One look at all connections now and then costs less than a timer moved with every request. */
static void on_sweep(struct loop_timer *t)
{
    struct web_loop *wl = (struct web_loop *)((char *)t - offsetof(struct web_loop, sweep));
    const struct web_limits *l = &wl->s->conf.limits;
    const int64_t limit_ms[WAIT_COUNT] = {
        [WAIT_NONE] = INT64_MAX,          [WAIT_IDLE] = l->idle_timeout_ms,
        [WAIT_HEAD] = l->head_timeout_ms, [WAIT_BODY] = l->body_timeout_ms,
        [WAIT_SEND] = l->send_timeout_ms, [WAIT_LINGER] = LINGER_MS};
    int64_t now_ms = loop_now_ms(wl->loop);
    for (struct conn *c = wl->all, *next; c; c = next) {
        next = c->next;
        if (c->state == CONN_CLOSED)
            continue;
        if (now_ms - c->since_ms >= limit_ms[c->wait] || drips(c, l, now_ms))
            conn_expire(c);
        else if (c->state == CONN_SEND && c->seen_sending)
            out_spool(c);
        else
            c->seen_sending = c->state == CONN_SEND;
    }
    loop_timer_set(wl->loop, &wl->sweep, wl->s->sweep_ms);
}

static int sweep_every_ms(const struct web_limits *l)
{
    const int limits[] = {l->head_timeout_ms, l->body_timeout_ms, l->idle_timeout_ms,
                          l->send_timeout_ms};
    int ms = SWEEP_MAX_MS * 8;
    for (size_t i = 0; i < COUNT_OF(limits); i++)
        if (limits[i] < ms)
            ms = limits[i];
    return ms / 8 > SWEEP_MIN_MS ? ms / 8 : SWEEP_MIN_MS;
}

/* ---- a loop's thread ------------------------------------------------------------------------- */
static void *loop_main(void *arg)
{
    struct web_loop *wl = arg;
    const struct web_server_conf *conf = &wl->s->conf;
    pthread_setname_np(pthread_self(), "loop");
    if (conf->loop_start)
        wl->state = conf->loop_start(wl->loop, wl->index, conf->arg);
    loop_timer_set(wl->loop, &wl->sweep, wl->s->sweep_ms);
    listen_set(wl, true);
    loop_run(wl->loop);
    for (struct conn *c = wl->all; c; c = c->next)
        conn_reset(c); /* the grace is over; also ends what is left of the fast lane, here */
    return NULL;
}

static void loop_prepare(struct web_server *s, unsigned index)
{
    struct web_loop *wl = &s->loops[index];
    wl->s = s;
    wl->index = index;
    wl->loop = loop_new();
    wl->soon.fn = conn_soon_run;
    wl->sweep.fn = on_sweep;
    wl->rearm.fn = on_rearm;
    wl->listeners = calloc(s->conf.n_listen_fds, sizeof *wl->listeners);
    if (!wl->listeners && s->conf.n_listen_fds)
        abort();
    for (size_t i = 0; i < s->conf.n_listen_fds; i++)
        wl->listeners[i] =
            (struct listener){.io = {.fn = on_listen,
                                     .fd = s->conf.listen_fds[i],
                                     .events = LOOP_READ | LOOP_EXCLUSIVE},
                              .kind = s->conf.listen_kinds ? s->conf.listen_kinds[i] : TLS_NONE,
                              .wl = wl};
}

static void loop_discard(struct web_loop *wl)
{
    while (wl->all)
        conn_free(wl->all);
    conn_spare_free(wl);
    free(wl->listeners);
    loop_free(wl->loop);
}

/* Connections inherit both from the socket they come from (Linux). */
static void listener_prepare(int fd)
{
    int flags = fcntl(fd, F_GETFL), on = 1;
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0)
        log_error("listen_failed", "fd", LOG_NUM(fd));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

struct web_server *web_server_start(const struct web_server_conf *conf)
{
    struct web_server *s = calloc(1, sizeof *s);
    struct web_loop *loops = aligned_alloc(64, conf->n_loops * sizeof *loops);
    assert(conf->n_loops > 0 && conf->n_handlers > 0 && conf->handler);
    if (!s || !loops)
        abort();
    memset(loops, 0, conf->n_loops * sizeof *loops);
    s->conf = *conf;
    s->loops = loops;
    s->sweep_ms = sweep_every_ms(&conf->limits);
    trusted_read(conf->trusted_proxies, &s->trusted);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->stopped, NULL);
    if (file_make_dirs(conf->spool_folder, 0700) != ERR_OK)
        log_error("spool_folder_failed", "folder", conf->spool_folder);
    for (size_t i = 0; i < conf->n_listen_fds; i++)
        listener_prepare(conf->listen_fds[i]);
    for (unsigned i = 0; i < conf->n_loops; i++)
        loop_prepare(s, i);

    /* Signals are the first thread's. sendfile has no flag against SIGPIPE. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    s->pool = pool_start(s);
    s->greeters = conf->tls ? greeters_start(conf->n_loops) : NULL;
    for (unsigned i = 0; i < conf->n_loops; i++)
        if (pthread_create(&loops[i].thread, NULL, loop_main, &loops[i]) != 0)
            abort();
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return s;
}

/* ---- stopping -------------------------------------------------------------------------------- */
/* In two steps: when every loop has stopped accepting, no connection is on its way from one to
 * another any more, and each may end when its own are through. */
static void on_stop_accepting(struct loop_job *job)
{
    struct web_loop *wl =
        (struct web_loop *)((char *)job - offsetof(struct web_loop, stop_accepting));
    loop_timer_del(wl->loop, &wl->rearm);
    listen_set(wl, false);
    pthread_mutex_lock(&wl->s->lock);
    wl->s->n_stopped++;
    pthread_cond_signal(&wl->s->stopped);
    pthread_mutex_unlock(&wl->s->lock);
}

static void on_grace_over(struct loop_timer *t)
{
    struct web_loop *wl = (struct web_loop *)((char *)t - offsetof(struct web_loop, grace));
    loop_stop(wl->loop);
}

/* Closing a connection whose request is on its way would lose it: those with something to read are
 * served, and those that moved a moment ago may still send one. */
static void idle_close(struct web_loop *wl, int64_t since_ms)
{
    char byte;
    int64_t now_ms = loop_now_ms(wl->loop);
    for (struct conn *c = wl->all; c; c = c->next) {
        bool idle = c->state == CONN_GREET || (c->state == CONN_HEAD && !c->w);
        if (idle && now_ms - c->since_ms >= since_ms &&
            recv(c->io.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0)
            conn_close(c);
    }
}

static void on_idle_end(struct loop_timer *t)
{
    struct web_loop *wl = (struct web_loop *)((char *)t - offsetof(struct web_loop, idle_end));
    idle_close(wl, 0);
    maybe_stopped(wl);
}

static void on_stop(struct loop_job *job)
{
    struct web_loop *wl = (struct web_loop *)((char *)job - offsetof(struct web_loop, stop));
    wl->stopping = true;
    wl->grace.fn = on_grace_over;
    loop_timer_set(wl->loop, &wl->grace, wl->s->grace_ms);
    wl->idle_end.fn = on_idle_end;
    idle_close(wl, LAST_REQUEST_MS);
    loop_timer_set(wl->loop, &wl->idle_end, LAST_REQUEST_MS);
    maybe_stopped(wl);
}

void web_server_stop(struct web_server *s, int grace_ms)
{
    if (!s)
        return;
    s->grace_ms = grace_ms;
    for (unsigned i = 0; i < s->conf.n_loops; i++) {
        s->loops[i].stop_accepting.fn = on_stop_accepting;
        loop_post(s->loops[i].loop, &s->loops[i].stop_accepting);
    }
    pthread_mutex_lock(&s->lock);
    while (s->n_stopped < s->conf.n_loops)
        pthread_cond_wait(&s->stopped, &s->lock);
    pthread_mutex_unlock(&s->lock);
    for (unsigned i = 0; i < s->conf.n_loops; i++) {
        s->loops[i].stop.fn = on_stop;
        loop_post(s->loops[i].loop, &s->loops[i].stop);
    }
    for (unsigned i = 0; i < s->conf.n_loops; i++)
        pthread_join(s->loops[i].thread, NULL);
    greeters_stop(s->greeters);
    pool_stop(s->pool); /* its threads may still hold requests of connections that are gone */
    for (unsigned i = 0; i < s->conf.n_loops; i++)
        loop_discard(&s->loops[i]);
    pthread_cond_destroy(&s->stopped);
    pthread_mutex_destroy(&s->lock);
    free(s->loops);
    free(s);
}

/* ---- counting -------------------------------------------------------------------------------- */
static uint64_t total(const struct web_server *s, size_t counter)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < s->conf.n_loops; i++)
        sum += atomic_load_explicit(&s->loops[i].counts[counter], memory_order_relaxed);
    return sum;
}

void web_server_counts(const struct web_server *s, struct web_counts *out)
{
    *out = (struct web_counts){.accepted = total(s, COUNT_ACCEPTED),
                               .requests = total(s, COUNT_REQUESTS),
                               .fast = total(s, COUNT_FAST),
                               .refused = total(s, COUNT_REFUSED),
                               .bytes_in = total(s, COUNT_IN),
                               .bytes_out = total(s, COUNT_OUT),
                               .queue_length = pool_queued(s->pool)};
    for (unsigned i = 0; i < s->conf.n_loops; i++)
        out->connections_open += atomic_load_explicit(&s->loops[i].open, memory_order_relaxed);
    for (size_t i = 0; i < COUNT_OF(out->by_status); i++)
        out->by_status[i] = total(s, COUNT_STATUS + i);
}
