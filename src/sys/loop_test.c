/* The loop: order of timers, jobs from many threads, and descriptors taken out under its feet. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "sys/loop.h"

static struct loop *L;

/* --- timers ----------------------------------------------------------------------------------- */

enum { TIMERS = 500 };
static struct test_timer {
    struct loop_timer t;
    int want_ms;
} timers[TIMERS];
static int fired, last_ms;

static void on_timer(struct loop_timer *t)
{
    struct test_timer *tt = (struct test_timer *)t;
    assert_int_equal(t->heap_at, 0);
    assert_true(tt->want_ms >= last_ms);
    assert_true(loop_now_ms(L) >= t->at_ms);
    last_ms = tt->want_ms;
    fired++;
}

static void on_last(struct loop_timer *t)
{
    (void)t;
    loop_stop(L);
}

static void timers_fire_in_order(void **state)
{
    (void)state;
    L = loop_new();
    fired = last_ms = 0;
    unsigned seed = 7;
    for (int i = 0; i < TIMERS; i++) {
        seed = seed * 1103515245u + 12345u;
        timers[i] = (struct test_timer){.t.fn = on_timer, .want_ms = (int)(seed >> 16) % 50};
        /* Set twice: the second place counts. */
        loop_timer_set(L, &timers[i].t, 1000 - i);
    }
    for (int i = 0; i < TIMERS; i++)
        loop_timer_set(L, &timers[i].t, timers[i].want_ms * 2);
    for (int i = 0; i < TIMERS; i += 5)
        loop_timer_del(L, &timers[i].t);
    loop_timer_del(L, &timers[0].t); /* unset: nothing */
    struct loop_timer end = {.fn = on_last};
    int64_t before_ms = clock_mono_ms();
    loop_timer_set(L, &end, 130);
    loop_run(L);
    int64_t took_ms = clock_mono_ms() - before_ms;
    assert_int_equal(fired, TIMERS - TIMERS / 5);
    assert_true(took_ms >= 130 && took_ms < 1500);
    loop_free(L);
}

static int again_count;
static void on_again(struct loop_timer *t)
{
    if (++again_count == 3)
        loop_stop(L);
    else
        loop_timer_set(L, t, 0);
}

static void a_timer_may_set_itself_again(void **state)
{
    (void)state;
    L = loop_new();
    again_count = 0;
    struct loop_timer t = {.fn = on_again};
    loop_timer_set(L, &t, 0);
    loop_run(L);
    assert_int_equal(again_count, 3);
    loop_free(L);
}

/* --- jobs ------------------------------------------------------------------------------------- */

enum { POSTERS = 8, POSTS = 20000 };
struct test_job {
    struct loop_job job;
    int poster, no;
};
static int next_of[POSTERS], jobs_done;

static void on_job(struct loop_job *job)
{
    struct test_job *j = (struct test_job *)job;
    assert_int_equal(next_of[j->poster], j->no); /* one thread's jobs keep their order */
    next_of[j->poster]++;
    assert_true(loop_turn(L) & 1);
    free(j);
    if (++jobs_done == POSTERS * POSTS)
        loop_stop(L);
}

static void *poster(void *arg)
{
    for (int i = 0; i < POSTS; i++) {
        struct test_job *j = malloc(sizeof *j);
        *j = (struct test_job){.job.fn = on_job, .poster = (int)(intptr_t)arg, .no = i};
        loop_post(L, &j->job);
    }
    return NULL;
}

static void jobs_of_many_threads_all_run(void **state)
{
    (void)state;
    L = loop_new();
    pthread_t t[POSTERS];
    for (intptr_t i = 0; i < POSTERS; i++)
        assert_int_equal(pthread_create(&t[i], NULL, poster, (void *)i), 0);
    loop_run(L);
    for (int i = 0; i < POSTERS; i++)
        pthread_join(t[i], NULL);
    assert_int_equal(jobs_done, POSTERS * POSTS);
    assert_false(loop_turn(L) & 1);
    loop_free(L);
}

/* --- descriptors ------------------------------------------------------------------------------ */

static struct loop_io *pair[2];
static int pair_calls;

/* Whichever comes first frees the other, which is ready in the same batch. */
static void on_pair(struct loop_io *io, unsigned events)
{
    assert_true(events & LOOP_READ);
    pair_calls++;
    int other = pair[0] == io ? 1 : 0;
    for (int i = 0; i < 2; i++) {
        int at = i == 0 ? other : 1 - other;
        loop_io_del(L, pair[at]);
        close(pair[at]->fd);
        free(pair[at]);
    }
    loop_stop(L);
}

static void a_deleted_descriptor_is_not_called(void **state)
{
    (void)state;
    L = loop_new();
    int out[2];
    for (int i = 0; i < 2; i++) {
        int p[2];
        assert_int_equal(pipe(p), 0);
        pair[i] = malloc(sizeof *pair[i]);
        *pair[i] = (struct loop_io){.fn = on_pair, .fd = p[0], .events = LOOP_READ};
        assert_int_equal(loop_io_add(L, pair[i]), ERR_OK);
        out[i] = p[1];
        assert_int_equal(write(p[1], "x", 1), 1);
    }
    pair_calls = 0;
    loop_run(L);
    assert_int_equal(pair_calls, 1);
    close(out[0]);
    close(out[1]);
    loop_free(L);
}

static unsigned seen;
static void on_seen(struct loop_io *io, unsigned events)
{
    seen = events;
    loop_io_del(L, io);
    loop_stop(L);
}

static unsigned events_of(int fd, unsigned wanted)
{
    struct loop_io io = {.fn = on_seen, .fd = fd, .events = 0};
    assert_int_equal(loop_io_add(L, &io), ERR_OK);
    loop_io_set(L, &io, wanted);
    seen = 0;
    loop_run(L);
    return seen;
}

static void events_are_told(void **state)
{
    (void)state;
    L = loop_new();
    int s[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
    assert_int_equal(events_of(s[0], LOOP_WRITE), LOOP_WRITE);
    assert_int_equal(write(s[1], "x", 1), 1);
    assert_int_equal(events_of(s[0], LOOP_READ), LOOP_READ);
    shutdown(s[1], SHUT_WR);
    assert_int_equal(events_of(s[0], LOOP_HUP), LOOP_HUP);
    close(s[1]);
    /* A full close reaches whoever waits for anything. */
    assert_true(events_of(s[0], LOOP_WRITE) & LOOP_HUP);
    close(s[0]);
    loop_free(L);
}

static int turns;
static void on_turn(void *arg)
{
    (void)arg;
    turns++;
}

static void the_hook_runs_each_turn(void **state)
{
    (void)state;
    L = loop_new();
    turns = again_count = 0;
    loop_set_after_turn(L, on_turn, NULL);
    struct loop_timer t = {.fn = on_again};
    loop_timer_set(L, &t, 0);
    loop_run(L);
    assert_int_equal(turns, (int)(loop_turn(L) / 2));
    assert_true(turns >= 3);
    loop_free(L);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_fire_in_order),
        cmocka_unit_test(a_timer_may_set_itself_again),
        cmocka_unit_test(jobs_of_many_threads_all_run),
        cmocka_unit_test(a_deleted_descriptor_is_not_called),
        cmocka_unit_test(events_are_told),
        cmocka_unit_test(the_hook_runs_each_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
