/* The wide lane and the connection: framing, limits, times, bodies, answers. */
#include "web/server_testkit.h"

#include <fcntl.h>
#include <semaphore.h>
#include <sys/resource.h>

/* ---- a handler that shows what it got, or does what the path says ---------------------------- */
static sem_t gate, entered;
static struct str large;
static atomic_int handled;

static void show(struct web_request *rq, struct web_response *rs)
{
    web_header(rs, "Content-Type", STR("text/plain"));
    buf_printf(&rs->body,
               "%s " STR_FMT " ?" STR_FMT " host=" STR_FMT " " STR_FMT " from=" STR_FMT
               " %s body=" STR_FMT,
               http_method_name(rq->method), STR_ARG(rq->path), STR_ARG(rq->query),
               STR_ARG(rq->host), STR_ARG(rq->authority), STR_ARG(rq->remote),
               rq->secure ? "secure" : "plain", STR_ARG(rq->body));
}

/* Sum of the bytes, so that an order or a byte lost shows. */
static uint64_t sum_of(const unsigned char *p, size_t n, uint64_t sum)
{
    for (size_t i = 0; i < n; i++)
        sum = sum * 31 + p[i];
    return sum;
}

static void show_sum(struct web_request *rq, struct web_response *rs)
{
    unsigned char piece[4096];
    uint64_t sum = sum_of((const unsigned char *)rq->body.p, rq->body.n, 0), n = rq->body.n;
    ssize_t got;
    while (rq->body_fd >= 0 && (got = read(rq->body_fd, piece, sizeof piece)) > 0) {
        sum = sum_of(piece, (size_t)got, sum);
        n += (uint64_t)got;
    }
    assert_true(n == rq->body_size);
    buf_printf(&rs->body, "%s %llu %llu", rq->body_fd >= 0 ? "file" : "memory",
               (unsigned long long)n, (unsigned long long)sum);
}

static void give_file(struct web_response *rs)
{
    char path[] = "/tmp/socle-file-XXXXXX";
    rs->file_fd = mkostemp(path, O_CLOEXEC);
    assert_true(rs->file_fd >= 0 && write(rs->file_fd, large.p, large.n) == (ssize_t)large.n);
    unlink(path);
    rs->file_size = large.n;
}

static void handler(struct web_request *rq, struct web_response *rs, void *arg)
{
    (void)arg;
    atomic_fetch_add(&handled, 1);
    if (str_eq_z(rq->path, "/sum")) {
        show_sum(rq, rs);
    } else if (str_eq_z(rq->path, "/large")) {
        buf_add_str(&rs->body, large);
    } else if (str_eq_z(rq->path, "/file")) {
        give_file(rs);
    } else if (str_eq_z(rq->path, "/wait")) {
        sem_post(&entered);
        sem_wait(&gate);
        buf_add_z(&rs->body, "waited ");
        buf_add_str(&rs->body, rq->body);
    } else if (str_eq_z(rq->path, "/none")) {
        rs->status = 204;
    } else if (str_eq_z(rq->path, "/split")) {
        web_header(rs, "Location", STR("/a\r\nSet-Cookie: b=c"));
    } else if (str_eq_z(rq->path, "/many")) {
        for (int i = 0; i < 40; i++)
            web_header(rs, "Set-Cookie", STR("a=b"));
    } else if (str_eq_z(rq->path, "/over")) {
        for (int i = 0; i < 10; i++)
            buf_add(&rs->body, large.p, 1u << 20);
    } else if (str_eq_z(rq->path, "/trace")) {
        buf_add_z(&rs->body, rq->trace_id);
    } else {
        show(rq, rs);
    }
}

static int setup(void **state)
{
    (void)state;
    atomic_store(&handled, 0);
    sem_init(&gate, 0, 0);
    sem_init(&entered, 0, 0);
    server_conf(handler);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    server_down();
    return 0;
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a.example:8080\r\n\r\n"

/* ---- framing --------------------------------------------------------------------------------- */
static const struct {
    const char *what, *bytes;
    int status;
} probes[] = {
    {"two Content-Lengths",
     "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcde", 400},
    {"two equal Content-Lengths",
     "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\nabcd", 400},
    {"Content-Length with Transfer-Encoding",
     "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: "
     "chunked\r\n\r\n0\r\n\r\n",
     400},
    {"signed Content-Length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +4\r\n\r\nabcd", 400},
    {"space before the colon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400},
    {"two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
    {"no Host", "GET / HTTP/1.1\r\n\r\n", 400},
    {"bare LF", "GET / HTTP/1.1\nHost: a\n\n", 400},
    {"bare LF in a header", "GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", 400},
    {"bare CR", "GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", 400},
    {"folded header", "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n", 400},
    {"chunked twice",
     "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 0},
    {"chunk size with a sign",
     "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n+1\r\na\r\n0\r\n\r\n", 400},
    {"chunk too long for its size",
     "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n", 400},
    {"chunk size over 64 bits",
     "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n11111111111111111\r\na", 400},
    {"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 0},
    {"another version", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", 0},
    {"CONNECT", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 405},
    {"TRACE", "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 405},
    {"TLS where there is none", "\x16\x03\x01\x02\n\x01", 400},
    {"dot-dot", "GET /a/../b HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"encoded dot-dot", "GET /a/%2e%2E/b HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"encoded slash", "GET /a%2fb HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"NUL in the path", "GET /a%00b HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"control character in the path", "GET /a%0ab HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"path that is not UTF-8", "GET /%ff HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"overlong UTF-8", "GET /%c0%af HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"empty segment", "GET /a//b HTTP/1.1\r\nHost: a\r\n\r\n", 400},
};

/* After a refusal nothing that followed on the connection may be read as a request. */
static void refused_framing_closes(void **state)
{
    (void)state;
    server_up();
    for (size_t i = 0; i < COUNT_OF(probes); i++) {
        struct peer p;
        peer_open(&p);
        assert_true(peer_say(&p, probes[i].bytes));
        bool path_only = strstr(probes[i].bytes, "HTTP/1.1\r\nHost: a\r\n\r\n") != NULL;
        int status = peer_answer(&p);
        if (status < 400 || (probes[i].status && status != probes[i].status))
            fail_msg("%s: %d", probes[i].what, status);
        assert_true(peer_header_is(&p, "Content-Type", "application/problem+json"));
        if (!path_only || status != 400) {
            (void)peer_say(&p, GET("/next"));
            if (!peer_sees_end(&p))
                fail_msg("%s: went on", probes[i].what);
        }
        peer_close(&p);
    }
    struct peer p;
    static const char nul[] = "GET / HTTP/1.1\r\nHost: a\r\nX: b\0c\r\n\r\n";
    peer_open(&p);
    assert_true(peer_say_n(&p, nul, sizeof nul - 1));
    assert_int_equal(peer_answer(&p), 400);
    assert_true(peer_sees_end(&p));
    peer_close(&p);
    assert_int_equal(atomic_load(&handled), 0);
}

static void good_requests_arrive_as_sent(void **state)
{
    (void)state;
    struct peer p;
    server_up();
    peer_open(&p);
    assert_int_equal(
        peer_ask(&p, "GET /d%C3%A9m%20a/?q=%20&r HTTP/1.1\r\nHost: A.Example:80\r\n\r\n"), 200);
    assert_true(peer_body_is(&p, "GET /d\xc3\xa9m a/ ?q=%20&r host=a.example A.Example:80 "
                                 "from=127.0.0.1 plain body="));
    assert_true(http_header_get(&p.head, "Date").n == 29);
    assert_int_equal(
        peer_ask(&p, "POST /p HTTP/1.1\r\nHost: [::1]:80\r\nContent-Length: 3\r\n\r\nabc"), 200);
    assert_true(peer_body_is(&p, "POST /p ? host=[::1] [::1]:80 from=127.0.0.1 plain body=abc"));
    assert_int_equal(peer_ask(&p, "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"), 200);
    assert_true(peer_body_is(&p, "OPTIONS * ? host=a a from=127.0.0.1 plain body="));
    peer_close(&p);
}

static void a_head_may_come_byte_by_byte(void **state)
{
    (void)state;
    struct peer p;
    static const char text[] = "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
    server_up();
    peer_open(&p);
    for (size_t i = 0; i + 1 < sizeof text; i++)
        assert_true(peer_say_n(&p, text + i, 1));
    assert_int_equal(peer_answer(&p), 200);
    assert_true(peer_body_is(&p, "POST /p ? host=a a from=127.0.0.1 plain body=abc"));
    peer_close(&p);
}

static void a_pipeline_is_answered_in_order(void **state)
{
    (void)state;
    struct peer p;
    enum { N = 200 };
    server_up();
    peer_open(&p);
    for (int i = 0; i < N; i++) {
        char text[128], body[8];
        int n = snprintf(body, sizeof body, "%d", i);
        snprintf(text, sizeof text,
                 i % 2 ? "GET /%d HTTP/1.1\r\nHost: a\r\n\r\n"
                       : "POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s",
                 i, n, body);
        assert_true(peer_say(&p, text));
    }
    for (int i = 0; i < N; i++) {
        char want[32];
        assert_int_equal(peer_answer(&p), 200);
        snprintf(want, sizeof want, "%s /%d ?", i % 2 ? "GET" : "POST", i);
        assert_true(str_starts(buf_str(&p.body), str_from(want)));
    }
    peer_close(&p);
}

/* What comes while a handler works may not reach what the handler reads. */
static void a_pipeline_leaves_the_handler_alone(void **state)
{
    (void)state;
    struct peer p;
    struct web_counts n;
    char next[2000];
    server_up();
    peer_open(&p);
    assert_true(
        peer_say(&p, "POST /wait HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nuntouched"));
    sem_wait(&entered);
    memset(next, 'x', sizeof next);
    memcpy(next, "GET /", 5);
    assert_true(peer_say_n(&p, next, sizeof next));
    EVENTUALLY((web_server_counts(server, &n), n.bytes_in > sizeof next));
    sem_post(&gate);
    assert_int_equal(peer_answer(&p), 200);
    assert_true(peer_body_is(&p, "waited untouched"));
    assert_int_equal(peer_ask(&p, " HTTP/1.1\r\nHost: a\r\n\r\n"), 200);
    peer_close(&p);
}

static void keep_alive_and_close(void **state)
{
    (void)state;
    struct peer p;
    server_up();
    peer_open(&p);
    assert_int_equal(peer_ask(&p, GET("/1")), 200);
    assert_false(http_header_get(&p.head, "Connection").p);
    assert_int_equal(peer_ask(&p, "GET /2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), 200);
    assert_true(peer_header_is(&p, "Connection", "close"));
    assert_true(peer_sees_end(&p));
    peer_close(&p);

    peer_open(&p);
    assert_int_equal(peer_ask(&p, "GET /1 HTTP/1.0\r\n\r\n"), 200);
    assert_true(peer_sees_end(&p));
    peer_close(&p);

    peer_open(&p);
    assert_int_equal(peer_ask(&p, "GET /1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"), 200);
    assert_true(peer_header_is(&p, "Connection", "keep-alive"));
    assert_int_equal(peer_ask(&p, "GET /2 HTTP/1.0\r\n\r\n"), 200);
    assert_true(peer_sees_end(&p));
    peer_close(&p);
}

/* Who says all it has to say and shuts its half still gets its answers. */
static void a_half_closed_client_is_answered(void **state)
{
    (void)state;
    struct peer p;
    server_up();
    peer_open(&p);
    assert_true(peer_say(&p, GET("/1") GET("/2")));
    shutdown(p.fd, SHUT_WR);
    assert_int_equal(peer_answer(&p), 200);
    assert_int_equal(peer_answer(&p), 200);
    assert_true(peer_sees_end(&p));
    peer_close(&p);
}

/* ---- bodies ---------------------------------------------------------------------------------- */
static void say_chunked(struct peer *p, struct str body, size_t piece)
{
    char line[64];
    while (body.n) {
        struct str s = str_sub(body, 0, piece);
        int n = snprintf(line, sizeof line, "%zx;ext=1\r\n", s.n);
        assert_true(peer_say_n(p, line, (size_t)n) && peer_say_n(p, s.p, s.n) &&
                    peer_say(p, "\r\n"));
        body = str_after(body, s.n);
    }
    assert_true(peer_say(p, "0\r\nTrailer: x\r\n\r\n"));
}

static void bodies_of_all_sizes(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 4096, 40000, 65535, 65536, 65537, 200000, 5u << 20};
    struct peer p;
    server_up();
    peer_open(&p);
    for (size_t i = 0; i < 2 * COUNT_OF(sizes); i++) {
        struct str body = str_sub(large, 0, sizes[i / 2]);
        char text[128], want[96];
        snprintf(text, sizeof text,
                 i % 2 ? "POST /sum HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                       : "POST /sum HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n",
                 body.n);
        assert_true(peer_say(&p, text));
        if (i % 2)
            say_chunked(&p, body, body.n / 7 + 1);
        else
            assert_true(peer_say_n(&p, body.p, body.n));
        assert_int_equal(peer_answer(&p), 200);
        snprintf(want, sizeof want, "%s %zu %llu", body.n > 65536 ? "file" : "memory", body.n,
                 (unsigned long long)sum_of((const unsigned char *)body.p, body.n, 0));
        assert_true(peer_body_is(&p, want));
    }
    peer_close(&p);
}

static void expectation_is_met_once_and_only_when_wanted(void **state)
{
    (void)state;
    struct peer p;
    conf.limits.body_max = 1000;
    server_up();
    peer_open(&p);
    assert_int_equal(peer_ask(&p, "POST /e HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n"
                                  "Expect: 100-continue\r\n\r\n"),
                     100);
    assert_int_equal(peer_ask(&p, "abc"), 200);
    assert_true(str_ends(buf_str(&p.body), STR("body=abc")));
    /* The body is there already: no leave is asked for. */
    assert_int_equal(peer_ask(&p, "POST /e HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n"
                                  "Expect: 100-continue\r\n\r\ndef"),
                     200);
    assert_true(peer_say(&p, "POST /e HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n"
                             "Expect: 100-continue\r\n\r\nabc"));
    usleep(50 * 1000);
    assert_int_equal(peer_ask(&p, "def"), 200);
    /* Too large: refused before a byte of it is sent. */
    assert_int_equal(peer_ask(&p, "POST /e HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n"
                                  "Expect: 100-continue\r\n\r\n"),
                     413);
    assert_true(peer_sees_end(&p));
    peer_close(&p);
    peer_open(&p); /* 1.0 knows no 100 */
    assert_int_equal(peer_ask(&p, "POST /e HTTP/1.0\r\nContent-Length: 3\r\n"
                                  "Expect: 100-continue\r\n\r\nabc"),
                     200);
    peer_close(&p);
}

static void too_large_is_refused_and_the_refusal_arrives(void **state)
{
    (void)state;
    struct peer p;
    char head[256], *huge;
    conf.limits.body_max = 1u << 20;
    server_up();
    peer_open(&p);
    snprintf(head, sizeof head, "POST /sum HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n",
             large.n);
    assert_true(peer_say(&p, head));
    (void)peer_say_n(&p, large.p, 600000); /* sent against a closing door */
    assert_int_equal(peer_answer(&p), 413);
    assert_true(peer_sees_end(&p));
    peer_close(&p);

    peer_open(&p);
    assert_true(peer_say(&p, "POST /sum HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                             "110000\r\n"));
    (void)peer_say_n(&p, large.p, 0x110000);
    assert_int_equal(peer_answer(&p), 413);
    assert_true(peer_sees_end(&p));
    peer_close(&p);

    huge = malloc(70000);
    assert_non_null(huge);
    memset(huge, 'a', 70000);
    peer_open(&p);
    assert_true(peer_say(&p, "GET /"));
    (void)peer_say_n(&p, huge, 9000);
    (void)peer_say(&p, " HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_int_equal(peer_answer(&p), 414);
    peer_close(&p);
    peer_open(&p);
    assert_true(peer_say(&p, "GET / HTTP/1.1\r\nHost: a\r\nX: "));
    (void)peer_say_n(&p, huge, 70000);
    assert_int_equal(peer_answer(&p), 431);
    peer_close(&p);
    peer_open(&p);
    assert_true(peer_say(&p, "GET / HTTP/1.1\r\nHost: a\r\n"));
    for (int i = 0; i < 70; i++)
        (void)peer_say(&p, "X: y\r\n");
    assert_int_equal(peer_answer(&p), 431);
    peer_close(&p);
    free(huge);
    assert_int_equal(atomic_load(&handled), 0);
}

/* ---- answers --------------------------------------------------------------------------------- */
static void large_answers_and_files(void **state)
{
    (void)state;
    static const char *const paths[] = {"/large", "/file"};
    struct peer p;
    server_up();
    peer_open(&p);
    for (size_t i = 0; i < 4; i++) {
        char text[64];
        snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", paths[i % 2]);
        assert_int_equal(peer_ask(&p, text), 200);
        assert_true(str_eq(buf_str(&p.body), large));
        text[0] = '\0';
        snprintf(text, sizeof text, "HEAD %s HTTP/1.1\r\nHost: a\r\n\r\n", paths[i % 2]);
        assert_true(peer_say(&p, text));
        assert_int_equal(peer_answer_to(&p, true), 200);
        snprintf(text, sizeof text, "%zu", large.n);
        assert_true(peer_header_is(&p, "Content-Length", text));
    }
    assert_int_equal(peer_ask(&p, GET("/none")), 204);
    assert_false(http_header_get(&p.head, "Content-Length").p);
    assert_int_equal(peer_ask(&p, GET("/ok")), 200); /* and nothing of a body came before it */
    peer_close(&p);
}

static void a_bad_answer_becomes_a_500(void **state)
{
    (void)state;
    struct peer p;
    server_up();
    peer_open(&p);
    assert_int_equal(peer_ask(&p, GET("/split")), 500);
    assert_false(http_header_get(&p.head, "Set-Cookie").p);
    assert_int_equal(peer_ask(&p, GET("/many")), 500);
    assert_int_equal(peer_ask(&p, GET("/over")), 500);
    assert_int_equal(peer_ask(&p, GET("/ok")), 200);
    peer_close(&p);
}

/* One handler; a client that reads nothing of its answer does not keep it from others. */
static void a_slow_reader_holds_no_handler(void **state)
{
    (void)state;
    struct peer slow[3], p;
    int small = 64 * 1024;
    conf.n_handlers = 1;
    server_up();
    for (size_t i = 0; i < COUNT_OF(slow); i++) {
        peer_open(&slow[i]);
        setsockopt(slow[i].fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
        assert_true(peer_say(&slow[i], i == 1 ? GET("/file") : GET("/large")));
    }
    peer_open(&p);
    assert_int_equal(peer_ask(&p, GET("/ok")), 200);
    peer_close(&p);
    usleep(1200 * 1000); /* long enough for the rest of an answer to have gone to a file */
    for (size_t i = 0; i < COUNT_OF(slow); i++) {
        assert_int_equal(peer_answer(&slow[i]), 200);
        assert_true(str_eq(buf_str(&slow[i].body), large));
        assert_int_equal(peer_ask(&slow[i], GET("/ok")), 200);
        peer_close(&slow[i]);
    }
}

static void a_slow_sender_holds_no_handler(void **state)
{
    (void)state;
    struct peer slow;
    conf.n_handlers = 1;
    server_up();
    peer_open(&slow);
    assert_true(peer_say(&slow, "POST /s HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na"));
    assert_int_equal(ask_once(GET("/ok")), 200);
    assert_int_equal(peer_ask(&slow, "bc"), 200);
    assert_true(str_ends(buf_str(&slow.body), STR("body=abc")));
    peer_close(&slow);
}

/* ---- times ----------------------------------------------------------------------------------- */
static void what_never_ends_is_ended(void **state)
{
    (void)state;
    struct peer head, body, chunk, idle, reader, fresh;
    int small = 4096;
    conf.limits.head_timeout_ms = conf.limits.body_timeout_ms = 200;
    conf.limits.idle_timeout_ms = conf.limits.send_timeout_ms = 200;
    server_up();
    peer_open(&head);
    peer_open(&body);
    peer_open(&chunk);
    peer_open(&idle);
    peer_open(&reader);
    peer_open(&fresh);
    setsockopt(reader.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    assert_true(peer_say(&head, "GET / HTTP/1.1\r\nHost: a\r\n"));
    assert_true(peer_say(&body, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc"));
    assert_true(
        peer_say(&chunk, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n"));
    assert_true(peer_say(&reader, GET("/large")));
    assert_int_equal(peer_ask(&idle, GET("/ok")), 200);
    assert_int_equal(peer_answer(&head), 408);
    assert_int_equal(peer_answer(&body), 408);
    assert_int_equal(peer_answer(&chunk), 408);
    assert_true(peer_sees_end(&head) && peer_sees_end(&body) && peer_sees_end(&chunk));
    assert_true(peer_sees_end(&idle) && peer_sees_end(&fresh)); /* silently */
    struct web_counts n;
    EVENTUALLY((web_server_counts(server, &n), n.connections_open == 0));
    while (peer_more(&reader))
        ;
    assert_true(reader.in.n < large.n);
    peer_close(&head);
    peer_close(&body);
    peer_close(&chunk);
    peer_close(&idle);
    peer_close(&reader);
    peer_close(&fresh);
}

/* The kernel's queue stays full for longer than the limit, and yet the client reads all the time.
 */
static void a_slow_line_is_not_a_stuck_one(void **state)
{
    (void)state;
    struct peer p;
    char piece[2048];
    int small = 4096;
    conf.limits.send_timeout_ms = 1000;
    server_up();
    peer_open(&p);
    setsockopt(p.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    assert_true(peer_say(&p, GET("/file")));
    int64_t until_ms = clock_mono_ms() + 3500;
    while (clock_mono_ms() < until_ms) {
        assert_true(recv(p.fd, piece, sizeof piece, 0) > 0);
        usleep(10 * 1000);
    }
    peer_close(&p);
}

/* A head that drips does not move its own limit; a body that drips does. */
static void dripping(void **state)
{
    (void)state;
    struct peer head, body;
    char byte;
    int64_t until_ms = clock_mono_ms() + PATIENCE_MS;
    conf.limits.head_timeout_ms = 300;
    conf.limits.body_timeout_ms = 1500;
    server_up();
    peer_open(&head);
    assert_true(peer_say(&head, "GET / HTTP/1.1\r\nHost: a\r\nX: "));
    while (recv(head.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && clock_mono_ms() < until_ms) {
        (void)peer_say(&head, "x");
        usleep(20 * 1000);
    }
    assert_int_equal(recv(head.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT), 1);
    assert_int_equal(peer_answer(&head), 408);
    peer_close(&head);
    peer_open(&body);
    assert_true(peer_say(&body, "POST /sum HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n\r\n"));
    for (int i = 0; i < 50; i++) {
        usleep(40 * 1000);
        assert_true(peer_say(&body, "b"));
    }
    assert_int_equal(peer_answer(&body), 200);
    peer_close(&body);
}

/* ---- load ------------------------------------------------------------------------------------ */
static void over_the_queue_503(void **state)
{
    (void)state;
    struct peer p[4];
    struct web_counts n;
    conf.n_handlers = 1;
    conf.limits.queue_max = 2;
    server_up();
    peer_open(&p[0]);
    assert_true(peer_say(&p[0], GET("/wait")));
    sem_wait(&entered);
    for (int i = 1; i < 3; i++) {
        peer_open(&p[i]);
        assert_true(peer_say(&p[i], GET("/ok")));
    }
    EVENTUALLY((web_server_counts(server, &n), n.queue_length == 2));
    peer_open(&p[3]);
    assert_int_equal(peer_ask(&p[3], GET("/ok")), 503);
    assert_true(http_header_get(&p[3].head, "Retry-After").n > 0);
    sem_post(&gate);
    for (int i = 0; i < 3; i++)
        assert_int_equal(peer_answer(&p[i]), 200);
    assert_int_equal(peer_ask(&p[3], GET("/ok")), 200); /* the connection was kept */
    for (int i = 0; i < 4; i++)
        peer_close(&p[i]);
    web_server_counts(server, &n);
    assert_int_equal(n.by_status[5], 1);
    assert_int_equal(n.by_status[2], 4);
    assert_int_equal(n.refused, 1);
}

static void a_client_that_leaves_a_handler(void **state)
{
    (void)state;
    struct peer p;
    struct web_counts n;
    struct linger reset = {.l_onoff = 1};
    conf.n_handlers = 1;
    server_up();
    for (int i = 0; i < 3; i++) {
        peer_open(&p);
        assert_true(peer_say(&p, GET("/wait")));
        sem_wait(&entered);
        if (i)
            setsockopt(p.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        peer_close(&p);
        if (i)
            EVENTUALLY((web_server_counts(server, &n), n.connections_open == 0));
        sem_post(&gate);
    }
    assert_int_equal(ask_once(GET("/ok")), 200);
    EVENTUALLY((web_server_counts(server, &n), n.connections_open == 0));
}

static void the_oldest_idle_makes_room(void **state)
{
    (void)state;
    struct peer p[4];
    conf.n_loops = 1;
    conf.limits.connections_max = 3;
    server_up();
    for (int i = 0; i < 3; i++) {
        peer_open(&p[i]);
        assert_int_equal(peer_ask(&p[i], GET("/ok")), 200);
    }
    assert_int_equal(peer_ask(&p[0], GET("/ok")), 200); /* now p[1] is the oldest */
    peer_open(&p[3]);
    assert_int_equal(peer_ask(&p[3], GET("/ok")), 200);
    assert_true(peer_sees_end(&p[1]));
    assert_int_equal(peer_ask(&p[0], GET("/ok")), 200);
    assert_int_equal(peer_ask(&p[2], GET("/ok")), 200);
    for (int i = 0; i < 4; i++)
        peer_close(&p[i]);
}

static void survives_having_no_descriptor(void **state)
{
    (void)state;
    struct rlimit before, low;
    struct peer p, q;
    server_up();
    assert_int_equal(ask_once(GET("/ok")), 200);
    peer_open(&p);
    assert_int_equal(peer_ask(&p, GET("/ok")), 200);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    peer_open(&q);
    assert_int_equal(peer_ask(&q, GET("/ok")), 200);
    struct peer late = {.fd = socket(AF_INET, SOCK_STREAM, 0)};
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    low = before;
    low.rlim_cur = (rlim_t)late.fd;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    assert_int_equal(connect(late.fd, (struct sockaddr *)&a, sizeof a), 0);
    usleep(50 * 1000);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    buf_init(&late.in, 1u << 20);
    buf_init(&late.in_head, 1u << 20);
    buf_init(&late.body, 1u << 20);
    assert_int_equal(peer_ask(&late, GET("/ok")), 200);
    peer_close(&late);
    peer_close(&p);
    peer_close(&q);
}

/* ---- who asks -------------------------------------------------------------------------------- */
static const char forwarded[] = "GET / HTTP/1.1\r\nHost: a\r\n"
                                "Forwarded: for=192.0.2.7;proto=https\r\n\r\n";

static void proxies_count_when_trusted(void **state)
{
    (void)state;
    struct peer p;
    conf.trusted_proxies = STR("127.0.0.0/8");
    server_up();
    peer_open(&p);
    assert_int_equal(peer_ask(&p, forwarded), 200);
    assert_true(str_find(buf_str(&p.body), STR("from=192.0.2.7 secure")) > 0);
    assert_int_equal(peer_ask(&p, GET("/")), 200); /* the next request has a sender of its own */
    assert_true(str_find(buf_str(&p.body), STR("from=127.0.0.1 plain")) > 0);
    peer_close(&p);
}

static void proxies_do_not_count_otherwise(void **state)
{
    (void)state;
    struct peer p;
    server_up();
    peer_open(&p);
    assert_int_equal(peer_ask(&p, forwarded), 200);
    assert_true(str_find(buf_str(&p.body), STR("from=127.0.0.1 plain")) > 0);
    peer_close(&p);
}

static void a_trace_goes_on(void **state)
{
    (void)state;
    struct peer p;
    char first[33];
    server_up();
    peer_open(&p);
    assert_int_equal(peer_ask(&p,
                              "GET /trace HTTP/1.1\r\nHost: a\r\ntraceparent: "
                              "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\r\n"),
                     200);
    assert_true(peer_body_is(&p, "4bf92f3577b34da6a3ce929d0e0e4736"));
    assert_int_equal(peer_ask(&p, GET("/trace")), 200);
    assert_int_equal(p.body.n, 32);
    memcpy(first, p.body.p, 32);
    first[32] = '\0';
    assert_int_equal(peer_ask(&p, GET("/trace")), 200);
    assert_false(peer_body_is(&p, first));
    peer_close(&p);
}

int main(void)
{
    char *p = malloc(6u << 20);
    uint64_t seed = 7;
    if (!p)
        abort();
    for (size_t i = 0; i < 6u << 20; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        p[i] = (char)(seed >> 56);
    }
    large = str_of(p, 6u << 20);
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(refused_framing_closes),
        T(good_requests_arrive_as_sent),
        T(a_head_may_come_byte_by_byte),
        T(a_pipeline_is_answered_in_order),
        T(a_pipeline_leaves_the_handler_alone),
        T(keep_alive_and_close),
        T(a_half_closed_client_is_answered),
        T(bodies_of_all_sizes),
        T(expectation_is_met_once_and_only_when_wanted),
        T(too_large_is_refused_and_the_refusal_arrives),
        T(large_answers_and_files),
        T(a_bad_answer_becomes_a_500),
        T(a_slow_reader_holds_no_handler),
        T(a_slow_sender_holds_no_handler),
        T(what_never_ends_is_ended),
        T(a_slow_line_is_not_a_stuck_one),
        T(dripping),
        T(over_the_queue_503),
        T(a_client_that_leaves_a_handler),
        T(the_oldest_idle_makes_room),
        T(survives_having_no_descriptor),
        T(proxies_count_when_trusted),
        T(proxies_do_not_count_otherwise),
        T(a_trace_goes_on),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    free(p);
    return rc;
}
