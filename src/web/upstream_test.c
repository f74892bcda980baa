/* Calls to an origin that misbehaves: what the caller is told, once, and what is never sent twice.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "web/origin_for_test.h"

enum { GIVE_UP_MS = 60000, SHORT_MS = 150, LONG_MS = 20000, BIG = 20 << 20 };

/* ---- the caller ------------------------------------------------------------------------------ */
static struct loop *L;
static struct upstreams *U;

struct seen {
    struct upstream_call *call;
    int status, heads, ends;
    enum err err;
    bool sent;
    struct buf body;
    /* What its callbacks do. */
    bool cancel_at_head, cancel_at_body, cancel_at_end, pause_at_head, pause_at_body;
    unsigned again; /* calls made from inside on_end */
    bool gone;      /* cancelled: nothing may come any more */
    struct loop_timer resume;
};
static unsigned waiting; /* calls whose end stops the loop, with the last */
static const struct upstream_ops ops;

static void done_one(void)
{
    if (--waiting == 0)
        loop_stop(L);
}

static void cancel(struct seen *s)
{
    upstream_cancel(s->call);
    s->gone = true;
    done_one();
}

static void on_resume(struct loop_timer *t)
{
    struct seen *s = (struct seen *)((char *)t - offsetof(struct seen, resume));
    size_t before = s->body.n;
    upstream_pause(s->call, false);
    assert_int_equal(s->body.n, before); /* never from inside */
    assert_int_equal(s->ends, 0);
}

static void pause_a_little(struct seen *s)
{
    upstream_pause(s->call, true);
    s->resume.fn = on_resume;
    loop_timer_set(L, &s->resume, 30);
}

static void on_head(struct upstream_call *c, const struct http_head *h)
{
    struct seen *s = upstream_state(c);
    assert_true(c == s->call && !s->gone && s->heads++ == 0 && s->ends == 0);
    s->status = h->status;
    if (s->cancel_at_head)
        cancel(s);
    else if (s->pause_at_head)
        pause_a_little(s);
}

static void on_body(struct upstream_call *c, struct str piece)
{
    struct seen *s = upstream_state(c);
    assert_true(c == s->call && !s->gone && s->heads == 1 && s->ends == 0 && piece.n > 0);
    buf_add_str(&s->body, piece);
    if (s->cancel_at_body)
        cancel(s);
    else if (s->pause_at_body)
        pause_a_little(s);
}

static struct upstream_call *send_to(const struct upstream_origin *o, struct seen *s,
                                     enum http_method m, const char *path, struct str body)
{
    static const struct http_header headers[] = {{{"Accept", 6}, {"*/*", 3}}};
    if (!s->body.ceiling)
        buf_init(&s->body, 8 << 20);
    waiting++;
    int before = s->ends;
    s->call = upstream_send(U, o, m, str_from(path), headers, 1, body, &ops, s);
    assert_non_null(s->call);
    assert_int_equal(s->ends, before);
    return s->call;
}

static void on_end(struct upstream_call *c, enum err e, bool sent)
{
    struct seen *s = upstream_state(c);
    assert_true(c == s->call && !s->gone && s->ends++ == 0);
    assert_true(e != ERR_OK || s->heads == 1);
    s->err = e;
    s->sent = sent;
    if (s->cancel_at_end)
        upstream_cancel(c);
    upstream_pause(c, true); /* over: nothing happens */
    if (s->again) {
        s->again--;
        s->ends = s->heads = 0;
        buf_reset(&s->body);
        send_to(&origin, s, HTTP_GET, "/length", STR_NONE);
    }
    done_one();
}
static const struct upstream_ops ops = {on_head, on_body, on_end};

static void on_give_up(struct loop_timer *t)
{
    (void)t;
    fail_msg("nothing ended the call");
}

static void run(void)
{
    struct loop_timer give_up = {.fn = on_give_up};
    loop_timer_set(L, &give_up, GIVE_UP_MS);
    if (waiting)
        loop_run(L);
    loop_timer_del(L, &give_up);
}

/* The loop goes on for a while: what should not come would come. */
static void on_later(struct loop_timer *t)
{
    (void)t;
    loop_stop(L);
}

static void linger(int64_t ms)
{
    struct loop_timer later = {.fn = on_later};
    loop_timer_set(L, &later, ms);
    loop_run(L); /* shorter when a call ends */
    loop_timer_del(L, &later);
}

static void seen_free(struct seen *s)
{
    loop_timer_del(L, &s->resume);
    buf_free(&s->body);
}

static int setup(void **state)
{
    (void)state;
    L = loop_new();
    U = upstreams_new(L, 8);
    origin.connect_timeout_ms = LONG_MS;
    origin.answer_timeout_ms = LONG_MS;
    waiting = 0;
    n_accepted = n_requests = most_open = 0;
    released = false;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    upstreams_free(U);
    loop_free(L);
    released = true;
    for (int i = 0; i < 5000 && n_lives; i++)
        poll(NULL, 0, 2);
    return n_lives != 0;
}

/* One call to its end. */
static struct seen get_with(enum http_method m, const char *path, struct str body)
{
    struct seen s = {.err = ERR_COUNT};
    send_to(&origin, &s, m, path, body);
    run();
    assert_int_equal(s.ends, 1);
    return s;
}

static void expect(enum http_method m, const char *path, enum err want, const char *body)
{
    struct seen s = get_with(m, path, STR_NONE);
    if (s.err != want)
        fail_msg("%s: %s, not %s", path, err_name(s.err), err_name(want));
    if (body && !str_eq_z(buf_str(&s.body), body))
        fail_msg("%s: body " STR_FMT, path, STR_ARG(buf_str(&s.body)));
    assert_true(s.sent);
    seen_free(&s);
}

/* ---- good answers ---------------------------------------------------------------------------- */
static void every_kind_of_answer_is_read(void **state)
{
    static const char *const hello[] = {"/length",   "/chunked", "/close",       "/said-close",
                                        "/one-zero", "/interim", "/drip-length", "/drip-chunked"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(hello); i++)
        expect(HTTP_GET, hello[i], ERR_OK, "hello");
    expect(HTTP_GET, "/empty", ERR_OK, "");
    expect(HTTP_GET, "/unchanged", ERR_OK, "");
    expect(HTTP_HEAD, "/head", ERR_OK, "");
}

static void one_connection_serves_many_calls(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        expect(HTTP_GET, "/length", ERR_OK, "hello");
        expect(HTTP_POST, "/chunked", ERR_OK, "hello");
        expect(HTTP_HEAD, "/head", ERR_OK, "");
        expect(HTTP_GET, "/empty", ERR_OK, "");
    }
    assert_int_equal(n_accepted, 1);
    expect(HTTP_GET, "/said-close", ERR_OK, "hello");
    expect(HTTP_GET, "/length", ERR_OK, "hello");
    assert_int_equal(n_accepted, 2);
}

static void bodies_go_out_whole(void **state)
{
    struct buf big;
    (void)state;
    buf_init(&big, BIG);
    memset(buf_room(&big, BIG), 'x', BIG);
    buf_grew(&big, BIG);
    struct seen s = get_with(HTTP_POST, "/length", buf_str(&big));
    assert_int_equal(s.err, ERR_OK);
    assert_int_equal(last_body, BIG);
    seen_free(&s);
    /* An answer that comes first is an answer, and that connection is over. */
    s = get_with(HTTP_POST, "/deaf", buf_str(&big));
    assert_true(s.err == ERR_OK || s.err == ERR_IO); /* the system may lose it with the reset */
    assert_true(s.sent);
    seen_free(&s);
    s = get_with(HTTP_POST, "/hasty", buf_str(&big));
    assert_true(s.err == ERR_OK && str_eq_z(buf_str(&s.body), "hello"));
    seen_free(&s);
    unsigned before = n_accepted;
    expect(HTTP_GET, "/length", ERR_OK, "hello");
    assert_int_equal(n_accepted, before + 1);
    buf_free(&big);
}

static void bad_requests_are_not_made(void **state)
{
    struct seen s = {0};
    struct http_header cr = {STR("A"), STR("b\r\nC: d")}, name = {STR("A b"), STR("c")};
    struct upstream_origin bad = origin;
    (void)state;
    assert_null(upstream_send(U, &origin, HTTP_GET, STR("/a b"), NULL, 0, STR_NONE, &ops, &s));
    assert_null(upstream_send(U, &origin, HTTP_GET, STR("a"), NULL, 0, STR_NONE, &ops, &s));
    assert_null(upstream_send(U, &origin, HTTP_GET, STR("/\r\n"), NULL, 0, STR_NONE, &ops, &s));
    assert_null(upstream_send(U, &origin, HTTP_GET, STR("/"), &cr, 1, STR_NONE, &ops, &s));
    assert_null(upstream_send(U, &origin, HTTP_GET, STR("/"), &name, 1, STR_NONE, &ops, &s));
    bad.host_header = STR("a\r\nb");
    assert_null(upstream_send(U, &bad, HTTP_GET, STR("/"), NULL, 0, STR_NONE, &ops, &s));
    bad.host_header = STR_NONE;
    assert_null(upstream_send(U, &bad, HTTP_GET, STR("/"), NULL, 0, STR_NONE, &ops, &s));
    bad = origin;
    bad.addr = (struct resolved){0};
    assert_null(upstream_send(U, &bad, HTTP_GET, STR("/"), NULL, 0, STR_NONE, &ops, &s));
}

/* ---- bad answers ----------------------------------------------------------------------------- */
static void what_is_not_http_is_refused(void **state)
{
    static const char *const bad[] = {
        "/switch", "/two-lengths",  "/both",         "/bare-lf",   "/garbage",
        "/ssh",    "/endless-head", "/only-interim", "/bad-chunk", "/huge-chunk"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        expect(HTTP_GET, bad[i], ERR_INVALID, NULL);
    assert_int_equal(n_accepted, COUNT_OF(bad)); /* none of these connections was used again */
}

static void cut_answers_are_told(void **state)
{
    (void)state;
    expect(HTTP_GET, "/early", ERR_IO, "");
    expect(HTTP_GET, "/early-head", ERR_IO, "");
    expect(HTTP_GET, "/early-length", ERR_IO, "hello");
    expect(HTTP_GET, "/early-chunk", ERR_IO, "hello");
    expect(HTTP_GET, "/reset", ERR_IO, "hello");
    expect(HTTP_GET, "/reset-close", ERR_IO, "hello");
    assert_int_equal(n_requests, 6); /* fresh connections: nothing is asked twice */
}

static void bodies_have_a_limit(void **state)
{
    struct seen s;
    (void)state;
    s = get_with(HTTP_GET, "/long-length", STR_NONE);
    assert_true(s.err == ERR_LIMIT && s.heads == 0);
    seen_free(&s);
    static const char *const endless[] = {"/long-chunked", "/long-close"};
    for (size_t i = 0; i < COUNT_OF(endless); i++) {
        s = get_with(HTTP_GET, endless[i], STR_NONE);
        assert_true(s.err == ERR_LIMIT && s.body.n <= origin.body_max && s.body.n > 20000);
        seen_free(&s);
    }
}

static void silence_has_a_limit(void **state)
{
    (void)state;
    origin.answer_timeout_ms = SHORT_MS;
    int64_t began_ms = clock_mono_ms();
    expect(HTTP_GET, "/hang", ERR_TIMEOUT, "");
    expect(HTTP_GET, "/hang-head", ERR_TIMEOUT, "");
    expect(HTTP_GET, "/hang-body", ERR_TIMEOUT, "hello");
    assert_true(clock_mono_ms() - began_ms >= 3 * SHORT_MS);
    struct seen s = {0}; /* bytes come, and lead nowhere */
    send_to(&origin, &s, HTTP_GET, "/trickle", STR_NONE);
    run();
    assert_true(s.err == ERR_TIMEOUT && s.body.n > 0 && s.body.n < 4000);
    seen_free(&s);
}

static void nobody_there_is_told_apart(void **state)
{
    struct upstream_origin closed = origin, full = origin;
    struct seen s = {0}, t = {0};
    int fillers[8];
    (void)state;
    close(listen_on(&closed, 1));
    send_to(&closed, &s, HTTP_GET, "/", STR_NONE);
    run();
    assert_true(s.err == ERR_UNAVAILABLE && !s.sent && s.ends == 1);
    /* A queue of connections that is full answers nothing at all. */
    int fd = listen_on(&full, 0);
    full.connect_timeout_ms = SHORT_MS;
    for (size_t i = 0; i < COUNT_OF(fillers); i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        int rc = connect(fillers[i], (struct sockaddr *)&full.addr.addr, full.addr.len);
        (void)rc;
    }
    send_to(&full, &t, HTTP_GET, "/", STR_NONE);
    run();
    assert_true(t.err == ERR_UNAVAILABLE && !t.sent && t.ends == 1);
    for (size_t i = 0; i < COUNT_OF(fillers); i++)
        close(fillers[i]);
    close(fd);
    seen_free(&s);
    seen_free(&t);
}

/* ---- kept connections that close ------------------------------------------------------------- */
static void a_lost_kept_connection_is_tried_once_more(void **state)
{
    (void)state;
    expect(HTTP_GET, "/cut", ERR_OK, "hello");
    assert_int_equal(n_requests, 1);
    expect(HTTP_GET, "/cut", ERR_OK, "hello"); /* asked on the kept one, cut, asked again */
    assert_int_equal(n_requests, 3);
    assert_int_equal(n_accepted, 2);
    expect(HTTP_PUT, "/cut", ERR_OK, "hello");
    assert_int_equal(n_requests, 5);
    /* A kept one that closes twice is not the network's fault. */
    expect(HTTP_GET, "/early", ERR_IO, "");
    assert_int_equal(n_requests, 7);
}

static void a_post_is_never_asked_twice(void **state)
{
    (void)state;
    expect(HTTP_GET, "/cut", ERR_OK, "hello");
    expect(HTTP_POST, "/cut", ERR_IO, "");
    assert_int_equal(n_requests, 2);
    /* But one that was closed before is not used, whether or not the loop knows it already. */
    expect(HTTP_GET, "/silent-close", ERR_OK, "hello");
    for (int i = 0; i < 5000 && n_open; i++)
        poll(NULL, 0, 2);
    expect(HTTP_POST, "/length", ERR_OK, "hello");
    expect(HTTP_GET, "/silent-close", ERR_OK, "hello");
    linger(50);
    expect(HTTP_POST, "/length", ERR_OK, "hello");
}

static void a_kept_connection_that_closes_is_let_go(void **state)
{
    (void)state;
    expect(HTTP_GET, "/silent-close", ERR_OK, "hello");
    linger(100);
    uint64_t turns = loop_turn(L);
    linger(100);
    assert_true(loop_turn(L) - turns < 20);
}

static void bytes_behind_an_answer_are_nobodys(void **state)
{
    (void)state;
    expect(HTTP_GET, "/extra", ERR_OK, "hello");
    expect(HTTP_GET, "/length", ERR_OK, "hello");
    assert_int_equal(n_accepted, 2);
    expect(HTTP_GET, "/length", ERR_OK, "hello");
    assert_int_equal(n_accepted, 3); /* who does that has a connection a call, for a while */
}

static void an_answer_that_came_before_its_question_is_nobodys(void **state)
{
    (void)state;
    expect(HTTP_GET, "/twice", ERR_OK, "hello");
    poll(NULL, 0, 200); /* the loop is busy with something else */
    expect(HTTP_HEAD, "/head", ERR_OK, "");
    assert_int_equal(n_accepted, 2);
}

/* ---- many ------------------------------------------------------------------------------------ */
enum { AT_ONCE = 256, QUEUE = 1024, TOO_MANY = 7 };

static bool was_refused(const struct seen *s)
{
    return s->ends == 1 && s->err == ERR_UNAVAILABLE && !s->sent;
}

static void calls_queue_and_then_fail(void **state)
{
    static struct seen s[AT_ONCE + QUEUE + TOO_MANY], more[3];
    (void)state;
    memset(s, 0, sizeof s);
    memset(more, 0, sizeof more);
    for (size_t i = 0; i < COUNT_OF(s); i++)
        send_to(&origin, &s[i], HTTP_GET, "/wait", STR_NONE);
    upstream_cancel(s[5].call);           /* connecting */
    upstream_cancel(s[AT_ONCE + 5].call); /* queued */
    s[5].gone = s[AT_ONCE + 5].gone = true;
    waiting -= 2;
    for (size_t i = 0; i < COUNT_OF(more); i++) /* two of them take the places */
        send_to(&origin, &more[i], HTTP_GET, "/wait", STR_NONE);
    linger(300);
    for (size_t i = 0; i < COUNT_OF(s); i++)
        assert_int_equal(was_refused(&s[i]), i >= AT_ONCE + QUEUE);
    for (size_t i = 0; i < COUNT_OF(more); i++)
        assert_int_equal(was_refused(&more[i]), i == 2);
    released = true;
    run();
    for (size_t i = 0; i < COUNT_OF(s); i++) {
        assert_true(s[i].gone || s[i].ends == 1);
        assert_true(s[i].gone || i >= AT_ONCE + QUEUE || s[i].err == ERR_OK);
        seen_free(&s[i]);
    }
    for (size_t i = 0; i < COUNT_OF(more); i++)
        seen_free(&more[i]);
    assert_true(most_open <= AT_ONCE + 1); /* the one that was cancelled closes when it closes */
    for (int i = 0; i < 5000 && n_open > 8; i++)
        poll(NULL, 0, 2);
    assert_int_equal(n_open, 8); /* no more are kept than was said */
}

static void a_queue_waits_no_longer_than_for_a_connection(void **state)
{
    static struct seen s[AT_ONCE + 3];
    (void)state;
    memset(s, 0, sizeof s);
    for (size_t i = 0; i < AT_ONCE; i++)
        send_to(&origin, &s[i], HTTP_GET, "/wait", STR_NONE);
    linger(200);
    origin.connect_timeout_ms = SHORT_MS;
    for (size_t i = AT_ONCE; i < COUNT_OF(s); i++)
        send_to(&origin, &s[i], HTTP_GET, "/wait", STR_NONE);
    linger(2 * SHORT_MS + 100);
    for (size_t i = AT_ONCE; i < COUNT_OF(s); i++)
        assert_true(was_refused(&s[i]));
    released = true;
    run();
    for (size_t i = 0; i < COUNT_OF(s); i++)
        seen_free(&s[i]);
}

static void a_callback_may_call_again(void **state)
{
    struct seen s = {.again = 50};
    (void)state;
    send_to(&origin, &s, HTTP_GET, "/length", STR_NONE);
    run();
    assert_true(s.err == ERR_OK && s.ends == 1 && s.again == 0);
    assert_int_equal(n_requests, 51);
    assert_int_equal(n_accepted, 1);
    seen_free(&s);
}

/* ---- cancel and pause ------------------------------------------------------------------------ */
static void nothing_comes_after_a_cancel(void **state)
{
    static const char *const paths[] = {"/length", "/chunked", "/close", "/long-close",
                                        "/hang-body"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(paths); i++)
        for (int how = 0; how < 4; how++) {
            struct seen s = {
                .cancel_at_head = how == 0, .cancel_at_body = how == 1, .pause_at_body = how == 3};
            send_to(&origin, &s, HTTP_GET, paths[i], STR_NONE);
            if (how == 2) { /* before anything */
                cancel(&s);
                linger(5);
            } else if (how == 3) { /* paused */
                for (int turn = 0; turn < 1000 && !s.resume.heap_at; turn++)
                    linger(2);
                loop_timer_del(L, &s.resume);
                if (!s.ends)
                    cancel(&s);
                linger(5);
            } else {
                run();
            }
            assert_true(s.gone || how == 3);
            linger(5);
            seen_free(&s);
        }
    struct seen s = {.cancel_at_end = true};
    send_to(&origin, &s, HTTP_GET, "/length", STR_NONE);
    run();
    assert_true(s.err == ERR_OK && s.ends == 1);
    seen_free(&s);
    expect(HTTP_GET, "/said-close", ERR_OK, "hello"); /* nothing was let go of twice */
}

static void a_pause_loses_nothing(void **state)
{
    static const char *const paths[] = {"/length", "/chunked", "/close", "/interim",
                                        "/drip-chunked"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(paths); i++)
        for (int how = 1; how < 4; how++) {
            struct seen s = {.pause_at_head = how & 1, .pause_at_body = how & 2};
            send_to(&origin, &s, HTTP_GET, paths[i], STR_NONE);
            run();
            assert_true(s.err == ERR_OK && str_eq_z(buf_str(&s.body), "hello"));
            seen_free(&s);
        }
    /* A pause may last longer than a silence may. */
    origin.answer_timeout_ms = SHORT_MS;
    struct seen s = {0};
    send_to(&origin, &s, HTTP_GET, "/close", STR_NONE);
    upstream_pause(s.call, true);
    linger(3 * SHORT_MS);
    assert_true(s.heads == 0 && s.ends == 0);
    upstream_pause(s.call, false);
    run();
    assert_true(s.err == ERR_OK && str_eq_z(buf_str(&s.body), "hello"));
    seen_free(&s);
}

static void a_break_during_a_pause_does_not_spin(void **state)
{
    struct seen s = {0};
    (void)state;
    send_to(&origin, &s, HTTP_GET, "/reset", STR_NONE);
    upstream_pause(s.call, true);
    linger(300);
    uint64_t turns = loop_turn(L);
    linger(200);
    assert_true(loop_turn(L) - turns < 20);
    assert_int_equal(s.ends, 0);
    upstream_pause(s.call, false);
    run();
    assert_true(s.err == ERR_IO && s.ends == 1);
    seen_free(&s);
}

static void calls_under_way_end_with_their_loop(void **state)
{
    static struct seen s[20];
    (void)state;
    memset(s, 0, sizeof s);
    for (size_t i = 0; i < COUNT_OF(s); i++) {
        send_to(&origin, &s[i], HTTP_GET, i % 2 ? "/hang-body" : "/wait", STR_NONE);
        if (i == 10)
            linger(50);
    }
    upstreams_free(U);
    U = NULL;
    for (size_t i = 0; i < COUNT_OF(s); i++) {
        assert_int_equal(s[i].ends, 0);
        seen_free(&s[i]);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_kind_of_answer_is_read),
        TEST(one_connection_serves_many_calls),
        TEST(bodies_go_out_whole),
        TEST(bad_requests_are_not_made),
        TEST(what_is_not_http_is_refused),
        TEST(cut_answers_are_told),
        TEST(bodies_have_a_limit),
        TEST(silence_has_a_limit),
        TEST(nobody_there_is_told_apart),
        TEST(a_lost_kept_connection_is_tried_once_more),
        TEST(a_post_is_never_asked_twice),
        TEST(a_kept_connection_that_closes_is_let_go),
        TEST(bytes_behind_an_answer_are_nobodys),
        TEST(an_answer_that_came_before_its_question_is_nobodys),
        TEST(calls_queue_and_then_fail),
        TEST(a_queue_waits_no_longer_than_for_a_connection),
        TEST(a_callback_may_call_again),
        TEST(nothing_comes_after_a_cancel),
        TEST(a_pause_loses_nothing),
        TEST(a_break_during_a_pause_does_not_spin),
        TEST(calls_under_way_end_with_their_loop),
    };
    return cmocka_run_group_tests(tests, origin_start, origin_stop);
}
