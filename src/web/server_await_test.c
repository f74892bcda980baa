/* Answers that wait without a thread (web_await): whoever brings the rest has a time, and when it
 * is over the person gets an error, once; what comes later reaches no other request. */
#include "web/server_testkit.h"

#include "sys/chan.h"

enum { OP = 16, TIME_MS = 40 };

/* The process that is asked: the test reads and answers for it, or does not. */
static int ends[2];
static struct chan_client *client;
static char buf[CHAN_MAX];
static atomic_int began, finished, time_ms;

struct wait {
    struct chan_async call;
    struct web_response *rs;
};

static void brought(struct chan_async *call, enum err status, struct str answer)
{
    struct wait *w = (struct wait *)call;
    w->rs->status = status == ERR_OK ? 200 : 503;
    buf_add_str(&w->rs->body, status == ERR_OK ? answer : str_from(err_name(status)));
    atomic_fetch_add(&finished, 1);
    web_finish(w->rs);
}

static void handler(struct web_request *rq, struct web_response *rs, void *arg)
{
    (void)arg;
    if (str_eq_z(rq->path, "/now")) {
        buf_add_z(&rs->body, "now");
        return;
    }
    struct wait *w = arena_new(rs->arena, struct wait);
    *w = (struct wait){.call = {.done = brought,
                                .op = OP,
                                .payload = arena_dup(rs->arena, rq->path),
                                .until_ms = clock_mono_ms() + atomic_load(&time_ms)},
                       .rs = rs};
    web_await(rs);
    atomic_fetch_add(&began, 1);
    chan_call_async(client, &w->call);
}

static int up(void **state)
{
    (void)state;
    began = finished = 0;
    time_ms = TIME_MS;
    if (chan_pair(ends) != ERR_OK)
        return -1;
    client = chan_client_new(ends[0]);
    server_conf(handler);
    server_up();
    return 0;
}

static int down(void **state)
{
    (void)state;
    if (server)
        server_down();
    chan_client_free(client);
    close(ends[0]);
    close(ends[1]);
    return 0;
}

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

#define GET(path) "GET " path " HTTP/1.1\r\nHost: h\r\n\r\n"

static void what_is_brought_is_the_answer(void **state)
{
    (void)state;
    struct peer p;
    time_ms = PATIENCE_MS;
    peer_open(&p);
    assert_true(peer_say(&p, GET("/a")));
    say(take("/a"), "brought");
    assert_int_equal(peer_answer(&p), 200);
    assert_true(peer_body_is(&p, "brought") && peer_header_is(&p, "Content-Length", "7"));
    peer_close(&p);
}

static void what_never_comes_ends_in_its_time(void **state)
{
    (void)state;
    struct peer p;
    peer_open(&p);
    int64_t at_ms = clock_mono_ms();
    assert_int_equal(peer_ask(&p, GET("/never")), 503);
    assert_true(clock_mono_ms() - at_ms >= TIME_MS);
    assert_true(peer_body_is(&p, err_name(ERR_TIMEOUT)));
    /* The connection lives on, and its next request is answered with its own answer. */
    struct chan_head late = take("/never");
    time_ms = PATIENCE_MS;
    assert_true(peer_say(&p, GET("/next")));
    struct chan_head next = take("/next");
    say(late, "late");
    say(next, "next");
    assert_int_equal(peer_answer(&p), 200);
    assert_true(peer_body_is(&p, "next"));
    say(late, "later still");
    assert_int_equal(peer_ask(&p, GET("/now")), 200);
    assert_true(peer_body_is(&p, "now"));
    assert_int_equal(finished, 2);
    peer_close(&p);
}

/* Two handlers, and twenty requests that wait: the next one is served at once. */
static void who_waits_holds_no_handler(void **state)
{
    (void)state;
    enum { WAITING = 20 };
    struct peer p[WAITING];
    time_ms = 2000;
    for (int i = 0; i < WAITING; i++) {
        peer_open(&p[i]);
        assert_true(peer_say(&p[i], GET("/never")));
    }
    EVENTUALLY(began == WAITING);
    assert_int_equal(ask_once(GET("/now")), 200);
    for (int i = 0; i < WAITING; i++) {
        assert_int_equal(peer_answer(&p[i]), 503);
        peer_close(&p[i]);
    }
    assert_int_equal(finished, WAITING);
}

static void a_client_that_left_is_no_harm(void **state)
{
    (void)state;
    struct peer p;
    peer_open(&p);
    assert_true(peer_say(&p, GET("/never")));
    EVENTUALLY(began == 1);
    peer_close(&p);
    EVENTUALLY(finished == 1);
    say(take("/never"), "late");
    assert_int_equal(ask_once(GET("/now")), 200);
}

/* Stopping waits for what is awaited, and that has its time. */
static void stopping_waits_no_longer_than_that(void **state)
{
    (void)state;
    struct peer p;
    peer_open(&p);
    assert_true(peer_say(&p, GET("/never")));
    EVENTUALLY(began == 1);
    server_down();
    assert_int_equal(finished, 1);
    int status = peer_answer(&p);
    assert_true((status == 503 || status == 0) && peer_sees_end(&p));
    peer_close(&p);
}

#define T(name) cmocka_unit_test_setup_teardown(name, up, down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(what_is_brought_is_the_answer),      T(what_never_comes_ends_in_its_time),
        T(who_waits_holds_no_handler),         T(a_client_that_left_is_no_harm),
        T(stopping_waits_no_longer_than_that),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
