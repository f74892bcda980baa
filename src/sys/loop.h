/* The event loop: epoll, timers, and a door for other threads. One loop, one thread. */
#ifndef SYS_LOOP_H
#define SYS_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"

struct loop;

enum {
    LOOP_READ = 1,
    LOOP_WRITE = 2,
    LOOP_HUP = 4,
    /* Of the loops that watch the same listening socket, wake one (EPOLLEXCLUSIVE). Only in
     * loop_io_add: the descriptor's events cannot be changed afterwards. */
    LOOP_EXCLUSIVE = 8,
};

/* A watched descriptor. Lives in its owner's struct; `fn` gets the events that are ready. The owner
 * must loop_io_del before it closes the descriptor or frees the struct (also from inside fn). */
struct loop_io {
    void (*fn)(struct loop_io *io, unsigned events);
    int fd;
    unsigned events;
};

/* A one-shot timer, in its owner's struct. Setting a set timer moves it. */
struct loop_timer {
    void (*fn)(struct loop_timer *t);
    int64_t at_ms;    /* monotonic */
    uint32_t heap_at; /* 0: not set */
};

struct loop *loop_new(void);
void loop_free(struct loop *l);
void loop_run(struct loop *l);  /* returns after loop_stop */
void loop_stop(struct loop *l); /* from any thread */

enum err loop_io_add(struct loop *l, struct loop_io *io) MUST_CHECK;
void loop_io_set(struct loop *l, struct loop_io *io, unsigned events);
void loop_io_del(struct loop *l, struct loop_io *io);

void loop_timer_set(struct loop *l, struct loop_timer *t, int64_t in_ms);
void loop_timer_del(struct loop *l, struct loop_timer *t);

/* Monotonic time at the start of this turn: cheap. */
int64_t loop_now_ms(const struct loop *l);
/* Counts turns; odd inside a turn. Lets others know when a loop has let go of what it read. */
uint64_t loop_turn(const struct loop *l);

/* Runs job->fn in the loop's thread. From any thread; the job is the caller's memory until fn is
 * called. */
struct loop_job {
    void (*fn)(struct loop_job *job);
    struct loop_job *next;
};
void loop_post(struct loop *l, struct loop_job *job);

/* A hook run at the end of each turn, before waiting: flushes what the turn gathered. */
void loop_set_after_turn(struct loop *l, void (*fn)(void *arg), void *arg);

#endif
