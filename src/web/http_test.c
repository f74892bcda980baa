/* The strict parser: what must be refused, what must be understood, and that bytes coming in any
 * pieces give what they give at once. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "web/http.h"

struct result {
    enum err err;
    int status;
    size_t used;
};

static struct result read_once(struct str in, bool response, struct http_head *h)
{
    struct result r = {0};
    /* A copy of exactly this length: the sanitizer sees a byte read too far. */
    static char *copy;
    free(copy);
    copy = malloc(in.n + 1);
    memcpy(copy, in.p, in.n);
    struct str s = str_of(realloc(copy, in.n ? in.n : 1), in.n);
    copy = (char *)s.p;
    r.err = response ? http_read_response(s, false, h, &r.used)
                     : http_read_request(s, h, &r.used, &r.status);
    return r;
}

/* Reads the whole and every prefix: one may be incomplete, but never judged otherwise. */
static struct result read_pieces(struct str in, bool response, struct http_head *h)
{
    size_t step = in.n > 2000 ? 97 : 1;
    struct result whole = read_once(in, response, h);
    for (size_t n = 0; n < in.n; n += step) {
        struct http_head part;
        struct result r = read_once(str_of(in.p, n), response, &part);
        if (r.err == ERR_AGAIN) {
            assert_true(whole.err != ERR_OK || n < whole.used);
            continue;
        }
        assert_int_equal(r.err, whole.err);
        assert_int_equal(r.status, whole.status);
        assert_int_equal(r.used, whole.used);
    }
    return read_once(in, response, h);
}

static int refused(struct str in)
{
    struct http_head h;
    struct result r = read_pieces(in, false, &h);
    if (r.err == ERR_OK || r.err == ERR_AGAIN)
        fail_msg("%s: " STR_FMT, r.err ? "incomplete" : "accepted", STR_ARG(in));
    return r.status;
}

static struct http_head accepted(struct str in)
{
    struct http_head h;
    struct result r = read_pieces(in, false, &h);
    if (r.err != ERR_OK)
        fail_msg("refused (%d): " STR_FMT, r.status, STR_ARG(in));
    return h;
}

#define REFUSED(text, code) assert_int_equal(refused(STR(text)), code)
#define HEAD(text)          accepted(STR(text))
#define SAME(slice, text)   assert_true(str_eq((slice), STR(text)))
#define POST                "POST / HTTP/1.1\r\nHost: h\r\n"
#define GET                 "GET / HTTP/1.1\r\nHost: h\r\n"

/* ---- requests -------------------------------------------------------------------------------- */
static void a_request_is_understood(void **state)
{
    (void)state;
    struct http_head h =
        HEAD("POST /a/b%20c;v=1?x=[1]&y=%2F HTTP/1.1\r\nHost: api.example:8443\r\n"
             "Content-Length: 12\r\nX-Empty:\r\nX-Text: \t caf\xc3\xa9\t1 \r\n\r\nbody");
    assert_int_equal(h.method, HTTP_POST);
    SAME(h.target, "/a/b%20c;v=1?x=[1]&y=%2F");
    SAME(h.path, "/a/b%20c;v=1");
    SAME(h.query, "x=[1]&y=%2F");
    SAME(h.host, "api.example:8443");
    assert_int_equal(h.content_length, 12);
    assert_int_equal(h.minor, 1);
    assert_int_equal(h.n_headers, 4);
    assert_true(h.keep_alive && !h.chunked && !h.upgrade && !h.expect_continue && !h.is_response);
    SAME(http_header_get(&h, "x-TEXT"), "caf\xc3\xa9\t1");
    assert_non_null(http_header_get(&h, "X-Empty").p);
    assert_int_equal(http_header_get(&h, "X-Empty").n, 0);
    assert_null(http_header_get(&h, "X-Absent").p);
}

static void every_method_is_read(void **state)
{
    (void)state;
    for (int m = 0; m < HTTP_METHOD_COUNT; m++) {
        struct buf b;
        buf_init(&b, 100);
        buf_printf(&b, "%s / HTTP/1.1\r\nHost: h\r\n\r\n", http_method_name((enum http_method)m));
        assert_int_equal(accepted(buf_str(&b)).method, m);
        buf_free(&b);
    }
    REFUSED("CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n", 405);
    REFUSED("TRACE / HTTP/1.1\r\nHost: h\r\n\r\n", 405);
    REFUSED("BREW / HTTP/1.1\r\nHost: h\r\n\r\n", 501);
    REFUSED("get / HTTP/1.1\r\nHost: h\r\n\r\n", 501);
    REFUSED("A-METHOD-LONGER-THAN-ANY-WE-EVER-HEARD-OF / HTTP/1.1\r\nHost: h\r\n\r\n", 501);
    REFUSED("\x16\x03\x01\x02", 400); /* TLS on a plain port: at its first byte */
    REFUSED(" GET / HTTP/1.1\r\nHost: h\r\n\r\n", 400);
    REFUSED("\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", 400);
}

static void connections_say_if_they_stay(void **state)
{
    (void)state;
    assert_true(HEAD(GET "\r\n").keep_alive);
    assert_false(HEAD(GET "Connection: Close\r\n\r\n").keep_alive);
    assert_false(HEAD(GET "Connection: foo\r\nConnection: keep-alive, close\r\n\r\n").keep_alive);
    assert_false(HEAD("GET / HTTP/1.0\r\n\r\n").keep_alive);
    assert_true(HEAD("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").keep_alive);
    assert_true(HEAD(GET "Connection: upgrade\r\nUpgrade: websocket\r\n\r\n").upgrade);
    assert_false(HEAD(GET "Upgrade: websocket\r\n\r\n").upgrade);
    assert_true(HEAD(POST "Content-Length: 1\r\nExpect: 100-Continue\r\n\r\n").expect_continue);
    assert_false(HEAD("POST / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n").expect_continue);
    REFUSED(POST "Expect: 200-maybe\r\n\r\n", 417);
}

/* The table of framing probes, and their kin. */
static void ambiguous_framing_is_refused(void **state)
{
    (void)state;
    REFUSED(POST "Content-Length: 4\r\nContent-Length: 5\r\n\r\n", 400);
    REFUSED(POST "Content-Length: 4\r\nContent-Length: 4\r\n\r\n", 400);
    REFUSED(POST "Content-Length: 4, 4\r\n\r\n", 400);
    REFUSED(POST "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n", 400);
    REFUSED(POST "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n", 400);
    REFUSED(POST "Content-Length: +4\r\n\r\n", 400);
    REFUSED(POST "Content-Length: -4\r\n\r\n", 400);
    REFUSED(POST "Content-Length: 0x4\r\n\r\n", 400);
    REFUSED(POST "Content-Length: 4 4\r\n\r\n", 400);
    REFUSED(POST "Content-Length:\r\n\r\n", 400);
    REFUSED(POST "Content-Length: 9223372036854775808\r\n\r\n", 400);
    REFUSED(POST "Content-Length: 18446744073709551617\r\n\r\n", 400);
    assert_true(HEAD(POST "Content-Length: 9223372036854775807\r\n\r\n").content_length ==
                INT64_MAX);
    assert_int_equal(HEAD(POST "\r\n").content_length, -1);
    REFUSED(POST "Content-Length : 4\r\n\r\n", 400);
    REFUSED(POST "X: a\0b\r\n\r\n", 400);
    REFUSED(POST "X\0: a\r\n\r\n", 400);
    REFUSED("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400);
    REFUSED("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400);
}

static void only_one_final_chunked_is_known(void **state)
{
    (void)state;
    assert_true(HEAD(POST "Transfer-Encoding: Chunked\r\n\r\n").chunked);
    REFUSED(POST "Transfer-Encoding: gzip, chunked\r\n\r\n", 501);
    REFUSED(POST "Transfer-Encoding: chunked, gzip\r\n\r\n", 400);
    REFUSED(POST "Transfer-Encoding: chunked, chunked\r\n\r\n", 400);
    REFUSED(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400);
    REFUSED(POST "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n", 400);
    REFUSED(POST "Transfer-Encoding: , chunked\r\n\r\n", 400);
    REFUSED(POST "Transfer-Encoding: chunked,\r\n\r\n", 400);
    REFUSED(POST "Transfer-Encoding: chunked;q=1\r\n\r\n", 400);
    REFUSED(POST "Transfer-Encoding: xchunked\r\n\r\n", 400);
    REFUSED(POST "Transfer-Encoding: identity\r\n\r\n", 400);
    REFUSED(POST "Transfer-Encoding: \x0b"
                 "chunked\r\n\r\n",
            400);
    REFUSED(POST "Transfer-Encoding:\r\n\r\n", 400);
    REFUSED(POST "Transfer-Encoding\r\n\r\n", 400);
    REFUSED("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400);
}

static void line_ends_are_crlf(void **state)
{
    (void)state;
    REFUSED("GET / HTTP/1.1\nHost: h\r\n\r\n", 400);
    REFUSED("GET / HTTP/1.1\r\nHost: h\n\r\n", 400);
    REFUSED(GET "\n", 400);
    REFUSED("GET / HTTP/1.1\n\n", 400); /* without waiting for an end that never comes */
    REFUSED("GET / HTTP/1.1\rHost: h\r\n\r\n", 400);
    REFUSED(GET "X: a\rb\r\n\r\n", 400);
    REFUSED(GET "X: a\r\r\n\r\n", 400);
    REFUSED(GET "X: a\r\n b\r\n\r\n", 400);
    REFUSED(GET "X: a\r\n\tb\r\n\r\n", 400);
    REFUSED(GET " X: a\r\n\r\n", 400);
    REFUSED(GET ": a\r\n\r\n", 400);
    REFUSED(GET "X(: a\r\n\r\n", 400);
    REFUSED(GET "X a\r\n\r\n", 400);
    REFUSED(GET "X\xc3\xa9: a\r\n\r\n", 400);
}

static void control_characters_are_refused_at_every_place(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++)
        for (int at = 0; at < 20; at++) {
            char text[] = GET "X: abcdefghijklmnopqrst\r\n\r\n";
            struct http_head h;
            size_t used;
            int status;
            text[sizeof GET - 1 + 3 + at] = (char)c;
            enum err e = http_read_request(str_of(text, sizeof text - 1), &h, &used, &status);
            bool bad = (c < ' ' && c != '\t') || c == 127;
            assert_int_equal(e, bad ? ERR_INVALID : ERR_OK);
        }
}

static void hosts_are_names_and_ports(void **state)
{
    (void)state;
    SAME(HEAD("GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n").host, "[::1]:8080");
    assert_null(HEAD("GET / HTTP/1.0\r\n\r\n").host.p);
    REFUSED("GET / HTTP/1.1\r\n\r\n", 400);
    REFUSED("GET / HTTP/1.1\r\nHost:\r\n\r\n", 400);
    REFUSED("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400);
    REFUSED("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400);
    REFUSED("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400);
    REFUSED("GET / HTTP/1.1\r\nHost: a:80:80\r\n\r\n", 400);
    REFUSED("GET / HTTP/1.1\r\nHost: a:123456\r\n\r\n", 400);
    REFUSED("GET / HTTP/1.1\r\nHost: :80\r\n\r\n", 400);
    REFUSED("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400);
    REFUSED("GET / HTTP/1.1\r\nHost: []\r\n\r\n", 400);
    REFUSED("GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", 400);
}

static void targets_are_origin_form(void **state)
{
    (void)state;
    struct http_head h = HEAD("GET http://H.example:80/p?q HTTP/1.1\r\nHost: h.example:80\r\n\r\n");
    SAME(h.path, "/p");
    SAME(h.query, "q");
    SAME(h.host, "H.example:80");
    h = HEAD("GET https://h?q HTTP/1.1\r\nHost: h\r\n\r\n");
    SAME(h.path, "/");
    SAME(h.query, "q");
    SAME(HEAD("GET http://h HTTP/1.0\r\n\r\n").host, "h");
    SAME(HEAD("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n").path, "*");
    REFUSED("GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n", 400);
    REFUSED("GET http://a HTTP/1.1\r\nHost: a:80\r\n\r\n", 400);
    REFUSED("GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400);
    REFUSED("GET http:///p HTTP/1.1\r\nHost: a\r\n\r\n", 400);
    REFUSED("GET http:// HTTP/1.1\r\nHost: a\r\n\r\n", 400);
    REFUSED("GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400);
    REFUSED("GET * HTTP/1.1\r\nHost: h\r\n\r\n", 400);
    REFUSED("OPTIONS ** HTTP/1.1\r\nHost: h\r\n\r\n", 400);
    REFUSED("GET p HTTP/1.1\r\nHost: h\r\n\r\n", 400);
    REFUSED("GET h:80 HTTP/1.1\r\nHost: h:80\r\n\r\n", 400);
    REFUSED("GET /a b HTTP/1.1\r\nHost: h\r\n\r\n", 400);
    REFUSED("GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n", 400);
    REFUSED("GET /a\\b HTTP/1.1\r\nHost: h\r\n\r\n", 400);
    REFUSED("GET /caf\xc3\xa9 HTTP/1.1\r\nHost: h\r\n\r\n", 400);
    REFUSED("GET /a\0b HTTP/1.1\r\nHost: h\r\n\r\n", 400);
    REFUSED("GET /%4 HTTP/1.1\r\nHost: h\r\n\r\n", 400);
    REFUSED("GET /%g0 HTTP/1.1\r\nHost: h\r\n\r\n", 400);
    REFUSED("GET /?a=% HTTP/1.1\r\nHost: h\r\n\r\n", 400);
    REFUSED("GET /?a=\"b\" HTTP/1.1\r\nHost: h\r\n\r\n", 400);
    REFUSED("GET /?<a> HTTP/1.1\r\nHost: h\r\n\r\n", 400);
}

static void request_lines_are_exact(void **state)
{
    (void)state;
    REFUSED("GET /\r\n\r\n", 400);
    REFUSED("GET  HTTP/1.1\r\nHost: h\r\n\r\n", 400);
    REFUSED("GET  / HTTP/1.1\r\nHost: h\r\n\r\n", 400);
    REFUSED("GET /  HTTP/1.1\r\nHost: h\r\n\r\n", 400);
    REFUSED("GET / HTTP/1.1 \r\nHost: h\r\n\r\n", 400);
    REFUSED("GET\t/ HTTP/1.1\r\nHost: h\r\n\r\n", 400);
    REFUSED("GET / http/1.1\r\nHost: h\r\n\r\n", 400);
    REFUSED("GET / HTTP/11\r\nHost: h\r\n\r\n", 400);
    REFUSED("GET / HTTP/1.11\r\nHost: h\r\n\r\n", 400);
    REFUSED("GET / HTTP/1.2\r\nHost: h\r\n\r\n", 505);
    REFUSED("GET / HTTP/2.0\r\nHost: h\r\n\r\n", 505);
    REFUSED("GET / HTTP/0.9\r\nHost: h\r\n\r\n", 505);
}

/* `before`, n times `unit`, `after`. */
static struct str repeated(struct buf *b, const char *before, size_t n, const char *unit,
                           const char *after)
{
    buf_reset(b);
    buf_add_z(b, before);
    for (size_t i = 0; i < n; i++)
        buf_add_z(b, unit);
    buf_add_z(b, after);
    assert_int_equal(b->err, ERR_OK);
    return buf_str(b);
}

static void sizes_have_limits(void **state)
{
    struct buf b;
    const char *end = " HTTP/1.1\r\nHost: h\r\n\r\n";
    (void)state;
    buf_init(&b, 100000);
    accepted(repeated(&b, "GET /", HTTP_TARGET_MAX - 1, "a", end));
    accepted(repeated(&b, "OPTIONS /", HTTP_TARGET_MAX - 1, "a", end));
    assert_int_equal(refused(repeated(&b, "GET /", HTTP_TARGET_MAX, "a", end)), 414);
    assert_int_equal(refused(repeated(&b, "GET /", HTTP_TARGET_MAX + 50, "a", end)), 414);
    assert_int_equal(refused(repeated(&b, "GET /", HTTP_TARGET_MAX + 50, "a", "")), 414);

    struct str most = repeated(&b, GET, HTTP_HEADERS_MAX - 1, "X: y\r\n", "\r\n");
    assert_int_equal(accepted(most).n_headers, HTTP_HEADERS_MAX);
    assert_int_equal(refused(repeated(&b, GET, HTTP_HEADERS_MAX, "X: y\r\n", "\r\n")), 431);

    size_t room = HTTP_HEAD_MAX - (sizeof GET "X: \r\n\r\n" - 1);
    accepted(repeated(&b, GET "X: ", room, "a", "\r\n\r\n"));
    assert_int_equal(refused(repeated(&b, GET "X: ", room + 1, "a", "\r\n\r\n")), 431);
    assert_int_equal(refused(repeated(&b, GET "X: ", room + 90, "a", "")), 431);
    buf_free(&b);
}

static void what_follows_a_head_is_left(void **state)
{
    struct http_head h;
    size_t used;
    int status;
    const struct str two = STR(GET "\r\nPOST /b HTTP/1.1\r\nHost: h\r\n\r\n");
    (void)state;
    assert_int_equal(http_read_request(two, &h, &used, &status), ERR_OK);
    assert_int_equal(used, sizeof GET "\r\n" - 1);
    assert_int_equal(http_read_request(str_after(two, used), &h, &used, &status), ERR_OK);
    SAME(h.path, "/b");
    assert_int_equal(http_read_request(STR_NONE, &h, &used, &status), ERR_AGAIN);
}

/* ---- responses ------------------------------------------------------------------------------- */
static struct http_head answer(struct str in)
{
    struct http_head h;
    if (read_pieces(in, true, &h).err != ERR_OK)
        fail_msg("refused: " STR_FMT, STR_ARG(in));
    return h;
}

static void no_answer(struct str in)
{
    struct http_head h;
    enum err e = read_pieces(in, true, &h).err;
    if (e != ERR_INVALID && e != ERR_LIMIT)
        fail_msg("%s: " STR_FMT, err_name(e), STR_ARG(in));
}
#define ANSWER(text)    answer(STR(text))
#define NO_ANSWER(text) no_answer(STR(text))

static void a_response_is_understood(void **state)
{
    (void)state;
    struct http_head h =
        ANSWER("HTTP/1.1 200 Tr\xc3\xa8s bien\r\nContent-Length: 5\r\nHost: x\r\n\r\n");
    assert_true(h.is_response && h.keep_alive && !h.chunked);
    assert_int_equal(h.status, 200);
    assert_int_equal(h.content_length, 5);
    assert_true(ANSWER("HTTP/1.1 503 \r\nTransfer-Encoding: chunked\r\n\r\n").chunked);
    h = ANSWER("HTTP/1.1 200 OK\r\n\r\n"); /* until close */
    assert_true(h.content_length == -1 && !h.chunked && !h.keep_alive);
    assert_false(ANSWER("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n").keep_alive);
    assert_false(
        ANSWER("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\n").keep_alive);
}

static void some_responses_have_no_body(void **state)
{
    struct http_head h;
    size_t used;
    (void)state;
    assert_int_equal(ANSWER("HTTP/1.1 100 Continue\r\n\r\n").content_length, 0);
    assert_int_equal(ANSWER("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n").content_length,
                     0);
    h = ANSWER("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n");
    assert_true(h.content_length == 0 && h.keep_alive);
    NO_ANSWER("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n");
    NO_ANSWER("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n");
    NO_ANSWER("HTTP/1.1 103 Early\r\nTransfer-Encoding: chunked\r\n\r\n");
    struct str long_one = STR("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n");
    assert_int_equal(http_read_response(long_one, true, &h, &used), ERR_OK);
    assert_int_equal(h.content_length, 0);
    SAME(http_header_get(&h, "content-length"), "9");
    struct str chunked = STR("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_int_equal(http_read_response(chunked, true, &h, &used), ERR_OK);
    assert_true(!h.chunked && h.content_length == 0 && h.keep_alive);
}

static void bad_responses_are_refused(void **state)
{
    struct buf b;
    (void)state;
    NO_ANSWER("HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\n");
    NO_ANSWER("HTTP/1.1 200 OK\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n");
    NO_ANSWER("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n");
    NO_ANSWER("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    NO_ANSWER("HTTP/1.1 200 OK\nContent-Length: 4\r\n\r\n");
    NO_ANSWER("HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n");
    NO_ANSWER("HTTP/1.1 200\r\n\r\n");
    NO_ANSWER("HTTP/1.1 20 OK\r\n\r\n");
    NO_ANSWER("HTTP/1.1 2000 OK\r\n\r\n");
    NO_ANSWER("HTTP/1.1 099 OK\r\n\r\n");
    NO_ANSWER("HTTP/1.1 600 OK\r\n\r\n");
    NO_ANSWER("HTTP/2.0 200 OK\r\n\r\n");
    NO_ANSWER("HTTP/1.1  200 OK\r\n\r\n");
    NO_ANSWER("SSH-2.0-x");
    NO_ANSWER("<html>");
    NO_ANSWER("HTTP/1.1 200 a\0b\r\n\r\n");
    buf_init(&b, 100000);
    no_answer(repeated(&b, "HTTP/1.1 200 OK\r\n", HTTP_HEADERS_MAX + 1, "X: y\r\n", "\r\n"));
    no_answer(repeated(&b, "HTTP/1.1 200 OK\r\nX: ", HTTP_HEAD_MAX, "a", ""));
    buf_free(&b);
}

/* ---- chunked --------------------------------------------------------------------------------- */
/* Feeds `in` in pieces of `step` bytes; *out gets the content. */
static enum err chunks_read(struct str in, size_t step, struct buf *out, size_t *left)
{
    struct http_chunked c = {0};
    bool last = false;
    buf_reset(out);
    for (size_t at = 0; at < in.n; at += step) {
        struct str piece = str_sub(in, at, step), data;
        enum err e;
        while ((e = http_chunked_read(&c, &piece, &data, &last)) == ERR_OK && !last) {
            assert_true(data.n > 0);
            buf_add_str(out, data);
        }
        assert_int_equal(data.n, 0);
        *left = piece.n + (at + step < in.n ? in.n - at - step : 0);
        if (e != ERR_AGAIN)
            return e;
        assert_int_equal(piece.n, 0);
    }
    return ERR_AGAIN;
}

static enum err chunks(struct str in, struct str content, size_t behind)
{
    struct buf out;
    size_t left;
    enum err whole = ERR_OK;
    buf_init(&out, 100000);
    for (size_t step = in.n; step > 0; step--) {
        enum err e = chunks_read(in, step, &out, &left);
        if (step == in.n)
            whole = e;
        assert_int_equal(e, whole);
        assert_true(e == ERR_INVALID || str_eq(buf_str(&out), content));
        assert_true(e != ERR_OK || left == behind);
    }
    buf_free(&out);
    return whole;
}
#define CHUNKS(text, content) chunks(STR(text), STR(content), 0)

static void chunks_are_joined(void **state)
{
    (void)state;
    assert_int_equal(CHUNKS("0\r\n\r\n", ""), ERR_OK);
    assert_int_equal(CHUNKS("4\r\nWiki\r\nA\r\n0123456789\r\n0\r\n\r\n", "Wiki0123456789"), ERR_OK);
    assert_int_equal(CHUNKS("4;a=b;c=\"d\te\"\r\nWiki\r\n000;x\r\n\r\n", "Wiki"), ERR_OK);
    assert_int_equal(CHUNKS("1\r\na\r\n0\r\nA: b\r\nC-d: \xc3\xa9 f\r\n\r\n", "a"), ERR_OK);
    assert_int_equal(CHUNKS("aB\r\n", ""), ERR_AGAIN);
    assert_int_equal(CHUNKS("5\r\nab", "ab"), ERR_AGAIN);
    assert_int_equal(CHUNKS("1\r\na\r\n0\r\n", "a"), ERR_AGAIN);
    assert_int_equal(chunks(STR("1\r\na\r\n0\r\n\r\nGET /"), STR("a"), 5), ERR_OK);
}

static void bad_chunks_are_refused(void **state)
{
    static const struct str bad[] = {
        STR("\r\n"),
        STR("g\r\n"),
        STR("+1\r\na"),
        STR("-1\r\na"),
        STR("0x1\r\na"),
        STR(" 1\r\na"),
        STR("1 \r\na"),
        STR("1 ;a\r\na"),
        STR("1\na\r\n"),
        STR("1\r\na\n0\r\n"),
        STR("1\r\nab\r\n"),
        STR("1\r\na0\r\n\r\n"),
        STR("1\rXa"),
        STR("1\r\na\rX"),
        STR(";a\r\n"),
        STR("1;a\nb\r\n"),
        STR("1;a\0b\r\n"),
        STR("1;\x7f\r\n"),
        STR("FFFFFFFFFFFFFFFF\r\na"),
        STR("8000000000000000\r\na"),
        STR("10000000000000001\r\na"),
        STR("00000000000000001\r\na"),
        STR("0\r\nA b: c\r\n\r\n"),
        STR("0\r\n: c\r\n\r\n"),
        STR("0\r\n A: c\r\n\r\n"),
        STR("0\r\nA\r\n\r\n"),
        STR("0\r\nA: b\n\r\n"),
        STR("0\r\nA: b\rc\r\n\r\n"),
        STR("0\r\nA: b\0\r\n\r\n"),
        STR("0\r\n\n"),
        STR("0\r\n\rX"),
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        if (chunks(bad[i], STR_NONE, 0) != ERR_INVALID)
            fail_msg("accepted: " STR_FMT, STR_ARG(bad[i]));
    /* Sizes that a 64-bit sum can hold are announced, whoever counts them then. */
    assert_int_equal(CHUNKS("7FFFFFFFFFFFFFFF\r\na", "a"), ERR_AGAIN);
}

static void extensions_and_trailers_have_limits(void **state)
{
    struct buf b;
    (void)state;
    buf_init(&b, 100000);
    assert_int_equal(chunks(repeated(&b, "1;", 256, "x", "\r\na"), STR("a"), 0), ERR_AGAIN);
    assert_int_equal(chunks(repeated(&b, "1;", 257, "x", "\r\na"), STR("a"), 0), ERR_INVALID);
    /* Many chunks may each have one: it is the line that is bounded. */
    struct str many =
        repeated(&b, "", 20, "1;extension=of-thirty-characters\r\na\r\n", "0\r\n\r\n");
    assert_int_equal(chunks(many, STR("aaaaaaaaaaaaaaaaaaaa"), 0), ERR_OK);
    struct buf out;
    size_t left;
    buf_init(&out, 10);
    struct str in = repeated(&b, "0\r\n", 900, "Name: x\r\n", "\r\n");
    assert_int_equal(chunks_read(in, in.n, &out, &left), ERR_OK);
    in = repeated(&b, "0\r\n", 1200, "Name: x\r\n", "\r\n");
    assert_int_equal(chunks_read(in, in.n, &out, &left), ERR_INVALID);
    in = repeated(&b, "0\r\nA: ", 9000, "x", "");
    assert_int_equal(chunks_read(in, 7, &out, &left), ERR_INVALID);
    buf_free(&out);
    buf_free(&b);
}

static void a_broken_or_ended_decoder_stays_so(void **state)
{
    struct http_chunked c = {0};
    struct str in = STR("zz"), data;
    bool last;
    (void)state;
    assert_int_equal(http_chunked_read(&c, &in, &data, &last), ERR_INVALID);
    in = STR("1\r\na\r\n0\r\n\r\n");
    assert_int_equal(http_chunked_read(&c, &in, &data, &last), ERR_INVALID);
    c = (struct http_chunked){0};
    in = STR("0\r\n\r\nrest");
    assert_int_equal(http_chunked_read(&c, &in, &data, &last), ERR_OK);
    assert_true(last && in.n == 4);
    assert_int_equal(http_chunked_read(&c, &in, &data, &last), ERR_OK);
    assert_true(last && in.n == 4);
}

static void tables_answer_for_all(void **state)
{
    (void)state;
    assert_string_equal(http_status_text(200), "OK");
    assert_string_equal(http_status_text(431), "Request Header Fields Too Large");
    assert_string_equal(http_status_text(599), "Unknown");
    assert_string_equal(http_status_text(-1), "Unknown");
    assert_string_equal(http_status_text(1000), "Unknown");
    assert_string_equal(http_method_name(HTTP_METHOD_COUNT), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_understood),
        cmocka_unit_test(every_method_is_read),
        cmocka_unit_test(connections_say_if_they_stay),
        cmocka_unit_test(ambiguous_framing_is_refused),
        cmocka_unit_test(only_one_final_chunked_is_known),
        cmocka_unit_test(line_ends_are_crlf),
        cmocka_unit_test(control_characters_are_refused_at_every_place),
        cmocka_unit_test(hosts_are_names_and_ports),
        cmocka_unit_test(targets_are_origin_form),
        cmocka_unit_test(request_lines_are_exact),
        cmocka_unit_test(sizes_have_limits),
        cmocka_unit_test(what_follows_a_head_is_left),
        cmocka_unit_test(a_response_is_understood),
        cmocka_unit_test(some_responses_have_no_body),
        cmocka_unit_test(bad_responses_are_refused),
        cmocka_unit_test(chunks_are_joined),
        cmocka_unit_test(bad_chunks_are_refused),
        cmocka_unit_test(extensions_and_trailers_have_limits),
        cmocka_unit_test(a_broken_or_ended_decoder_stays_so),
        cmocka_unit_test(tables_answer_for_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
