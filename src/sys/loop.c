/* The event loop. Level-triggered epoll: a handler may leave bytes unread and is simply called
 * again, which makes limits per turn easy to write. Timers are a binary heap of pointers into their
 * owners. Other threads come in by one door: a lock-free list of jobs and an eventfd that is
 * written only when the list was empty, so that a burst costs one wake-up. */
#include "sys/loop.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "sys/file.h"

enum { BATCH = 256, HEAP_FIRST = 64 };

struct loop {
    int epoll, door;
    struct epoll_event batch[BATCH];
    int batch_at, batch_n; /* what loop_io_del must look through */

    struct loop_timer **heap; /* 1-based: heap[1] is due first */
    uint32_t timers, heap_cap;

    void (*after_turn)(void *arg);
    void *after_turn_arg;
    int64_t now_ms;
    _Atomic uint64_t turn;
    _Atomic(struct loop_job *) jobs; /* newest first */
    atomic_bool stop;
};

static bool in_turn(const struct loop *l)
{
    return atomic_load_explicit(&l->turn, memory_order_relaxed) & 1;
}

struct loop *loop_new(void)
{
    struct loop *l = calloc(1, sizeof *l);
    if (!l)
        abort();
    l->heap_cap = HEAP_FIRST;
    l->heap = calloc(l->heap_cap, sizeof *l->heap);
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    l->door = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = NULL};
    if (!l->heap || l->epoll < 0 || l->door < 0 ||
        epoll_ctl(l->epoll, EPOLL_CTL_ADD, l->door, &ev) != 0)
        abort(); /* a process that has no descriptor left at its start cannot go on */
    l->now_ms = clock_mono_ms();
    return l;
}

void loop_free(struct loop *l)
{
    if (!l)
        return;
    close(l->epoll);
    close(l->door);
    free(l->heap);
    free(l);
}

/* --- descriptors ------------------------------------------------------------------------------ */

static uint32_t events_to_epoll(unsigned events)
{
    return (events & LOOP_READ ? EPOLLIN : 0u) | (events & LOOP_WRITE ? EPOLLOUT : 0u) |
           (events & LOOP_HUP ? EPOLLRDHUP : 0u) |
           (events & LOOP_EXCLUSIVE ? (uint32_t)EPOLLEXCLUSIVE : 0u);
}

/* An error or a full close is told as LOOP_HUP and as whatever the owner waits for: its ordinary
 * read or write then meets the error where it is handled anyway. */
static unsigned events_from_epoll(uint32_t got, unsigned wanted)
{
    unsigned events = (got & EPOLLIN ? LOOP_READ : 0u) | (got & EPOLLOUT ? LOOP_WRITE : 0u) |
                      (got & EPOLLRDHUP ? LOOP_HUP : 0u);
    if (got & (EPOLLHUP | EPOLLERR))
        events |= LOOP_HUP | (wanted & (LOOP_READ | LOOP_WRITE));
    return events;
}

enum err loop_io_add(struct loop *l, struct loop_io *io)
{
    assert(io->fn && io->fd >= 0);
    struct epoll_event ev = {.events = events_to_epoll(io->events), .data.ptr = io};
    if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, io->fd, &ev) != 0)
        return errno == EEXIST ? ERR_EXISTS : errno == ENOSPC ? ERR_LIMIT : ERR_IO;
    return ERR_OK;
}

void loop_io_set(struct loop *l, struct loop_io *io, unsigned events)
{
    if (events == io->events)
        return;
    io->events = events;
    struct epoll_event ev = {.events = events_to_epoll(events), .data.ptr = io};
    int rc = epoll_ctl(l->epoll, EPOLL_CTL_MOD, io->fd, &ev);
    assert(rc == 0); /* only a descriptor that was never added fails here */
    (void)rc;
}

void loop_io_del(struct loop *l, struct loop_io *io)
{
    struct epoll_event ev = {0};
    (void)epoll_ctl(l->epoll, EPOLL_CTL_DEL, io->fd, &ev);
    for (int i = l->batch_at; i < l->batch_n; i++)
        if (l->batch[i].data.ptr == io)
            l->batch[i].events = 0; /* already fetched, and its owner may be gone */
}

/* --- timers ----------------------------------------------------------------------------------- */

static void heap_put(struct loop *l, uint32_t at, struct loop_timer *t)
{
    l->heap[at] = t;
    t->heap_at = at;
}

/* Moves t from the hole `at` to where it belongs. */
static void heap_sift(struct loop *l, uint32_t at, struct loop_timer *t)
{
    while (at > 1 && l->heap[at / 2]->at_ms > t->at_ms) {
        heap_put(l, at, l->heap[at / 2]);
        at /= 2;
    }
    for (;;) {
        uint32_t child = at * 2;
        if (child > l->timers)
            break;
        if (child < l->timers && l->heap[child + 1]->at_ms < l->heap[child]->at_ms)
            child++;
        if (l->heap[child]->at_ms >= t->at_ms)
            break;
        heap_put(l, at, l->heap[child]);
        at = child;
    }
    heap_put(l, at, t);
}

void loop_timer_set(struct loop *l, struct loop_timer *t, int64_t in_ms)
{
    assert(t->fn);
    int64_t now_ms = in_turn(l) ? l->now_ms : clock_mono_ms();
    t->at_ms = now_ms + (in_ms > 0 ? in_ms : 0);
    if (t->heap_at == 0) {
        if (l->timers + 2 > l->heap_cap) {
            l->heap_cap *= 2;
            l->heap = realloc(l->heap, l->heap_cap * sizeof *l->heap);
            if (!l->heap)
                abort();
        }
        t->heap_at = ++l->timers;
    }
    heap_sift(l, t->heap_at, t);
}

void loop_timer_del(struct loop *l, struct loop_timer *t)
{
    uint32_t at = t->heap_at;
    if (at == 0)
        return;
    assert(at <= l->timers && l->heap[at] == t);
    t->heap_at = 0;
    struct loop_timer *last = l->heap[l->timers--];
    if (last != t)
        heap_sift(l, at, last);
}

/* A timer set for now by a timer waits for the next turn, so that descriptors get theirs. */
static void run_timers(struct loop *l)
{
    uint32_t most = l->timers;
    while (most-- > 0 && l->timers > 0 && l->heap[1]->at_ms <= l->now_ms) {
        struct loop_timer *t = l->heap[1];
        loop_timer_del(l, t);
        t->fn(t);
    }
}

static int wait_ms(const struct loop *l)
{
    if (l->timers == 0)
        return -1;
    int64_t ms = l->heap[1]->at_ms - clock_mono_ms();
    return ms < 0 ? 0 : ms > 60000 ? 60000 : (int)ms;
}

/* --- other threads ---------------------------------------------------------------------------- */

static void ring(struct loop *l)
{
    uint64_t one = 1;
    if (file_write_all(l->door, &one, sizeof one) != ERR_OK)
        return; /* EAGAIN: the counter is full, so the loop is awake already */
}

void loop_post(struct loop *l, struct loop_job *job)
{
    struct loop_job *head = atomic_load_explicit(&l->jobs, memory_order_relaxed);
    do
        job->next = head;
    while (!atomic_compare_exchange_weak_explicit(&l->jobs, &head, job, memory_order_release,
                                                  memory_order_relaxed));
    if (!head)
        ring(l);
}

static void run_jobs(struct loop *l)
{
    if (!atomic_load_explicit(&l->jobs, memory_order_relaxed))
        return;
    struct loop_job *job = atomic_exchange_explicit(&l->jobs, NULL, memory_order_acquire);
    struct loop_job *first = NULL;
    while (job) { /* back into the order they were posted in */
        struct loop_job *next = job->next;
        job->next = first;
        first = job;
        job = next;
    }
    while (first) {
        struct loop_job *next = first->next;
        first->fn(first);
        first = next;
    }
}

void loop_stop(struct loop *l)
{
    atomic_store(&l->stop, true);
    ring(l);
}

/* --- the turn --------------------------------------------------------------------------------- */

static void run_events(struct loop *l)
{
    for (l->batch_at = 0; l->batch_at < l->batch_n;) {
        struct epoll_event *ev = &l->batch[l->batch_at++];
        struct loop_io *io = ev->data.ptr;
        if (!io) {
            uint64_t count;
            ssize_t n = read(l->door, &count, sizeof count);
            (void)n; /* jobs run in every turn, rung or not */
        } else if (ev->events) {
            unsigned events = events_from_epoll(ev->events, io->events);
            if (events)
                io->fn(io, events);
        }
    }
    l->batch_at = l->batch_n = 0;
}

void loop_run(struct loop *l)
{
    while (!atomic_load_explicit(&l->stop, memory_order_relaxed)) {
        int n = epoll_wait(l->epoll, l->batch, BATCH, wait_ms(l));
        if (n < 0 && errno != EINTR)
            abort(); /* the epoll descriptor itself is wrong: a fault of ours */
        l->batch_n = n < 0 ? 0 : n;
        l->now_ms = clock_mono_ms();
        atomic_fetch_add(&l->turn, 1);
        run_events(l);
        run_jobs(l);
        run_timers(l);
        if (l->after_turn)
            l->after_turn(l->after_turn_arg);
        atomic_fetch_add(&l->turn, 1);
    }
    atomic_store(&l->stop, false);
}

int64_t loop_now_ms(const struct loop *l)
{
    return l->now_ms;
}

uint64_t loop_turn(const struct loop *l)
{
    return atomic_load(&l->turn);
}

void loop_set_after_turn(struct loop *l, void (*fn)(void *arg), void *arg)
{
    l->after_turn = fn;
    l->after_turn_arg = arg;
}
