/* Calls with a time: the one that is never answered ends in it, with its error, once; what is said
 * after that is nobody's; the others wait on. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdatomic.h>
#include <unistd.h>

#include "base/clock.h"
#include "sys/chan.h"

enum { OP = 16, TIME_MS = 40, PATIENCE_MS = 30000 };

static int ends[2]; /* the client's, the server's: a server is what the test does with it */
static struct chan_client *client;
static char buf[CHAN_MAX];

struct late {
    struct chan_async call;
    atomic_int ended;
    enum err status;
    int64_t at_ms;
    char answer[16];
};

static void on_done(struct chan_async *call, enum err status, struct str answer)
{
    struct late *l = (struct late *)call;
    l->status = status;
    l->at_ms = clock_mono_ms();
    memcpy(l->answer, answer.p ? answer.p : "", answer.n < 15 ? answer.n : 15);
    atomic_fetch_add(&l->ended, 1);
}

/* time_ms 0: it may wait for ever. */
static int64_t start(struct late *l, const char *payload, int time_ms)
{
    int64_t until_ms = clock_mono_ms() + time_ms;
    *l = (struct late){.call = {.done = on_done,
                                .op = OP,
                                .payload = str_from(payload),
                                .until_ms = time_ms ? until_ms : 0}};
    chan_call_async(client, &l->call);
    return until_ms;
}

static void wait_end(struct late *l)
{
    for (int64_t until_ms = clock_mono_ms() + PATIENCE_MS;
         !atomic_load(&l->ended) && clock_mono_ms() < until_ms;)
        usleep(1000);
    assert_int_equal(atomic_load(&l->ended), 1);
}

/* The next request, as a server reads it. */
static struct chan_head take(const char *expected)
{
    struct chan_head h;
    struct str p;
    assert_int_equal(chan_recv(ends[1], PATIENCE_MS, buf, &h, &p), ERR_OK);
    assert_true(str_eq_z(p, expected));
    return h;
}

static void say(struct chan_head h, const char *answer)
{
    assert_int_equal(chan_send(ends[1], &h, str_from(answer)), ERR_OK);
}

static int up(void **state)
{
    (void)state;
    if (chan_pair(ends) != ERR_OK)
        return -1;
    client = chan_client_new(ends[0]);
    return 0;
}

static int down(void **state)
{
    (void)state;
    chan_client_free(client);
    close(ends[0]);
    close(ends[1]);
    return 0;
}

static void it_ends_in_its_time(void **state)
{
    (void)state;
    struct late l;
    int64_t until_ms = start(&l, "silence", TIME_MS); /* the first with a time: wakes the reader */
    take("silence");
    wait_end(&l);
    assert_int_equal(l.status, ERR_TIMEOUT);
    assert_true(l.at_ms >= until_ms);
    assert_string_equal(l.answer, "");
}

static void a_late_answer_is_nobodys(void **state)
{
    (void)state;
    struct late l, next;
    start(&l, "slow", TIME_MS);
    struct chan_head h = take("slow");
    wait_end(&l);
    say(h, "late");
    say(h, "later");
    start(&next, "next", 0);
    say(take("next"), "its own");
    wait_end(&next);
    assert_int_equal(next.status, ERR_OK);
    assert_string_equal(next.answer, "its own");
    assert_int_equal(atomic_load(&l.ended), 1);
    assert_int_equal(l.status, ERR_TIMEOUT);
}

/* The same for who waits in chan_call: its arena and stack are gone when the answer comes. */
static void a_late_answer_finds_no_waiting_caller(void **state)
{
    (void)state;
    struct arena a;
    struct str out;
    struct late next;
    arena_init(&a);
    assert_int_equal(chan_call(client, OP, STR("slow"), TIME_MS, &a, &out), ERR_TIMEOUT);
    assert_null(out.p);
    arena_free(&a);
    say(take("slow"), "late");
    start(&next, "next", 0);
    say(take("next"), "its own");
    wait_end(&next);
    assert_string_equal(next.answer, "its own");
}

static void the_others_wait_on(void **state)
{
    (void)state;
    struct late patient, hasty, last;
    start(&patient, "patient", 0);
    start(&hasty, "hasty", TIME_MS);
    start(&last, "last", PATIENCE_MS);
    struct chan_head first = take("patient");
    wait_end(&hasty);
    assert_int_equal(hasty.status, ERR_TIMEOUT);
    assert_int_equal(atomic_load(&patient.ended) + atomic_load(&last.ended), 0);
    take("hasty");
    say(take("last"), "2");
    say(first, "1");
    wait_end(&patient);
    wait_end(&last);
    assert_int_equal(patient.status, ERR_OK);
    assert_string_equal(patient.answer, "1");
    assert_int_equal(last.status, ERR_OK);
    assert_string_equal(last.answer, "2");
}

/* A server that was started again is not asked what nobody waits for any more. */
static void a_server_that_is_back_hears_what_is_still_wanted(void **state)
{
    (void)state;
    struct late wanted, late;
    start(&wanted, "wanted", 0);
    start(&late, "late", TIME_MS);
    take("wanted");
    take("late");
    wait_end(&late);
    say((struct chan_head){.op = CHAN_HELLO}, "");
    say(take("wanted"), "yes");
    wait_end(&wanted);
    assert_string_equal(wanted.answer, "yes");
    struct chan_head h;
    struct str p;
    assert_int_equal(chan_recv(ends[1], 0, buf, &h, &p), ERR_AGAIN);
}

/* What found no room ends in its time too, and is not sent after it. */
static void what_did_not_fit_is_not_sent_late(void **state)
{
    (void)state;
    struct chan_head h = {.op = OP};
    struct str p;
    int full = 0;
    while (chan_try_send(ends[0], &h, STR("filler")) == ERR_OK)
        full++;
    struct late l, next;
    start(&l, "too late", TIME_MS);
    wait_end(&l);
    assert_int_equal(l.status, ERR_TIMEOUT);
    for (int i = 0; i < full; i++)
        take("filler");
    start(&next, "next", 0);
    say(take("next"), "its own");
    wait_end(&next);
    assert_int_equal(chan_recv(ends[1], 0, buf, &h, &p), ERR_AGAIN);
}

#define T(name) cmocka_unit_test_setup_teardown(name, up, down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(it_ends_in_its_time),
        T(a_late_answer_is_nobodys),
        T(a_late_answer_finds_no_waiting_caller),
        T(the_others_wait_on),
        T(a_server_that_is_back_hears_what_is_still_wanted),
        T(what_did_not_fit_is_not_sent_late),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
