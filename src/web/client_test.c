/* The client against a server that answers what a test tells it to, on the loopback. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "web/client.h"

static struct arena arena;

/* --- the server: one thread, one connection at a time ----------------------------------------- */

static struct {
    int fd;
    unsigned port;
    pthread_t thread;
    const char *answer; /* NULL: none comes */
    _Atomic int accepted, requests;
    char request[8192];
} server;

static bool request_whole(const char *p, size_t n)
{
    struct str s = str_of(p, n);
    ptrdiff_t end = str_find(s, STR("\r\n\r\n")), len = str_find(s, STR("Content-Length: "));
    uint64_t body = 0;
    if (end < 0)
        return false;
    if (len >= 0) {
        struct str v = str_after(s, (size_t)len + 16);
        assert_true(str_to_u64(str_sub(v, 0, (size_t)str_find_char(v, '\r')), &body));
    }
    return n >= (size_t)end + 4 + body;
}

static void serve_connection(int fd)
{
    for (;;) {
        size_t n = 0;
        while (!request_whole(server.request, n)) {
            ssize_t got = read(fd, server.request + n, sizeof server.request - 1 - n);
            if (got <= 0)
                return;
            n += (size_t)got;
            server.request[n] = '\0';
        }
        server.requests++;
        if (!server.answer) {
            usleep(400 * 1000);
            return;
        }
        if (send(fd, server.answer, strlen(server.answer), MSG_NOSIGNAL) < 0 ||
            strstr(server.answer, "Connection: close"))
            return;
    }
}

static void *serve(void *arg)
{
    (void)arg;
    for (int fd; (fd = accept(server.fd, NULL, NULL)) >= 0;) {
        server.accepted++;
        serve_connection(fd);
        close(fd);
    }
    return NULL;
}

static int start(void **state)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    (void)state;
    client_global_start();
    server.fd = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(server.fd, (struct sockaddr *)&at, len) != 0 || listen(server.fd, 8) != 0 ||
        getsockname(server.fd, (struct sockaddr *)&at, &len) != 0)
        return -1;
    server.port = ntohs(at.sin_port);
    return pthread_create(&server.thread, NULL, serve, NULL);
}

/* --- tests ------------------------------------------------------------------------------------ */

static struct client_call call_to(const char *path)
{
    return (struct client_call){
        .url = arena_printf(&arena, "http://localhost:%u%s", server.port, path),
        .allow_inside = true,
    };
}

/* In a thread of its own, so that each test begins without open connections. */
struct job {
    struct client_call call;
    struct client_answer answer;
    enum err err;
    int times;
};

static void *job_run(void *arg)
{
    struct job *j = arg;
    for (int i = 0; i < j->times; i++)
        j->err = client_send(&arena, &j->call, &j->answer);
    return NULL;
}

static struct job send_times(struct client_call call, int times)
{
    struct job j = {.call = call, .times = times};
    pthread_t t;
    assert_int_equal(pthread_create(&t, NULL, job_run, &j), 0);
    pthread_join(t, NULL);
    return j;
}

#define OK_HI "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: b \r\nX-Empty:\r\n\r\nhi"

static void answers_come_back_whole(void **state)
{
    (void)state;
    server.answer = OK_HI;
    struct job j = send_times(call_to("/a?b=c#d"), 1);
    assert_int_equal(j.err, ERR_OK);
    assert_int_equal(j.answer.status, 200);
    assert_true(str_eq_z(j.answer.body, "hi"));
    assert_true(str_eq_z(client_header(&j.answer, "x-a"), "b"));
    assert_true(client_header(&j.answer, "X-Empty").p != NULL);
    assert_null(client_header(&j.answer, "X-None").p);
    assert_non_null(strstr(server.request, "GET /a?b=c HTTP/1.1\r\n"));
}

static void bodies_and_headers_are_sent_as_given(void **state)
{
    struct http_header h[] = {{STR("Authorization"), STR("Bearer x")}, {STR("X-Empty"), STR("")}};
    (void)state;
    server.answer = "HTTP/1.1 100 Continue\r\nX-Early: 1\r\n\r\n" OK_HI;
    struct client_call c = call_to("/");
    c.method = "POST";
    c.body = str_of("a\0b", 3);
    c.headers = h;
    c.n_headers = 2;
    struct job j = send_times(c, 1);
    assert_int_equal(j.err, ERR_OK);
    assert_null(client_header(&j.answer, "X-Early").p);
    assert_non_null(strstr(server.request, "POST / HTTP/1.1\r\n"));
    assert_non_null(strstr(server.request, "Content-Length: 3\r\n"));
    assert_non_null(strstr(server.request, "Authorization: Bearer x\r\n"));
    assert_non_null(strstr(server.request, "X-Empty:\r\n"));
    assert_null(strstr(server.request, "Content-Type"));
    assert_null(strstr(server.request, "Expect"));
    assert_memory_equal(strstr(server.request, "\r\n\r\n") + 4, "a\0b", 3);
}

static void connections_are_kept(void **state)
{
    (void)state;
    server.answer = OK_HI;
    int before = server.accepted, asked = server.requests;
    assert_int_equal(send_times(call_to("/"), 5).err, ERR_OK);
    assert_int_equal(server.accepted - before, 1);
    assert_int_equal(server.requests - asked, 5);
}

static void redirects_are_the_callers_business(void **state)
{
    (void)state;
    server.answer =
        "HTTP/1.1 302 Found\r\nLocation: http://192.0.2.1/\r\nContent-Length: 0\r\n\r\n";
    struct job j = send_times(call_to("/"), 1);
    assert_int_equal(j.err, ERR_OK);
    assert_int_equal(j.answer.status, 302);
    assert_true(str_eq_z(client_header(&j.answer, "Location"), "http://192.0.2.1/"));
}

static void the_inside_is_refused_unless_allowed(void **state)
{
    static const char *const inside[] = {"http://127.0.0.1:%u/",   "http://localhost:%u/",
                                         "http://a.localhost:%u/", "http://2130706433:%u/",
                                         "http://0x7f.1:%u/",      "http://017700000001:%u/"};
    (void)state;
    server.answer = OK_HI;
    int before = server.accepted;
    for (size_t i = 0; i < COUNT_OF(inside); i++) {
        char url[100];
        /* The list is ours: the formats have one %u each. */
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(url, sizeof url, inside[i], server.port);
        struct client_call c = {.url = str_from(url)};
        assert_int_equal(send_times(c, 1).err, ERR_DENIED);
    }
    assert_int_equal(server.accepted, before);
}

static void urls_that_are_not_http_are_refused(void **state)
{
    static const char *const bad[] = {"",
                                      "localhost",
                                      "/path",
                                      "file:///etc/passwd",
                                      "gopher://localhost/",
                                      "ftp://localhost/",
                                      "http://",
                                      "http://user:pw@localhost/",
                                      "http://localhost:0/",
                                      "http://localhost:99999/",
                                      "http://local host/",
                                      "http://localhost/\r\nX: y",
                                      "http://localhost/\xc3\xa9",
                                      "dict://localhost:1/"};
    struct client_call c = {.allow_inside = true};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        c.url = str_from(bad[i]);
        assert_int_equal(send_times(c, 1).err, ERR_INVALID);
    }
}

static void headers_cannot_be_smuggled(void **state)
{
    struct http_header bad[] = {
        {STR("A"), STR("b\r\nC: d")},
        {STR("A"), STR("b\nc")},
        {STR("A b"), STR("c")},
        {STR(""), STR("c")},
        {STR("A:"), STR("c")},
        {STR("Host"), STR("other")},
        {STR("content-length"), STR("9")},
        {STR("Transfer-Encoding"), STR("chunked")},
        {STR("A"), {"b\0c", 3}},
    };
    (void)state;
    int before = server.requests;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct client_call c = call_to("/");
        c.headers = &bad[i];
        c.n_headers = 1;
        assert_int_equal(send_times(c, 1).err, ERR_INVALID);
    }
    assert_int_equal(server.requests, before);
}

static void a_slow_or_mute_server_costs_the_timeout_only(void **state)
{
    (void)state;
    server.answer = NULL;
    struct client_call c = call_to("/");
    c.timeout_ms = 150;
    int64_t from = clock_mono_ms();
    assert_int_equal(send_times(c, 1).err, ERR_TIMEOUT);
    assert_true(clock_mono_ms() - from < 1000);
    c.timeout_ms = 3000;
    assert_int_equal(send_times(c, 1).err, ERR_UNAVAILABLE); /* it closes without a word */
}

static void an_answer_over_its_ceiling_is_dropped(void **state)
{
    (void)state;
    server.answer = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: close\r\n\r\n0123456789";
    struct client_call c = call_to("/");
    c.answer_max = 10;
    assert_int_equal(send_times(c, 1).err, ERR_OK);
    c.answer_max = 9;
    struct job j = send_times(c, 1);
    assert_int_equal(j.err, ERR_LIMIT);
    assert_int_equal(j.answer.body.n, 0);
}

static void too_many_headers_are_refused(void **state)
{
    static char many[8192];
    size_t n = (size_t)snprintf(many, sizeof many, "HTTP/1.1 200 OK\r\nConnection: close\r\n");
    (void)state;
    for (int i = 0; i < HTTP_HEADERS_MAX; i++)
        n += (size_t)snprintf(many + n, sizeof many - n, "X-%d: y\r\n", i);
    snprintf(many + n, sizeof many - n, "Content-Length: 0\r\n\r\n");
    server.answer = many;
    assert_int_equal(send_times(call_to("/"), 1).err, ERR_LIMIT);
}

static void garbage_is_no_answer(void **state)
{
    static const char *const bad[] = {
        "garbage\r\nConnection: close\r\n\r\n", "HTTP/9.9 200\r\nConnection: close\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhi",
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close"
         "\r\n\r\nzz\r\n")};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        server.answer = bad[i];
        assert_int_equal(send_times(call_to("/"), 1).err, ERR_UNAVAILABLE);
    }
}

static void nobody_there(void **state)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    (void)state;
    assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0); /* held, and not listening */
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    struct client_call c = {.url = arena_printf(&arena, "http://127.0.0.1:%u/", ntohs(at.sin_port)),
                            .allow_inside = true};
    assert_int_equal(send_times(c, 1).err, ERR_UNAVAILABLE);
    close(fd);
    /* TLS towards one who does not speak it. */
    server.answer = OK_HI;
    c.url = arena_printf(&arena, "https://localhost:%u/", server.port);
    c.timeout_ms = 300;
    assert_int_not_equal(send_times(c, 1).err, ERR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_come_back_whole),
        cmocka_unit_test(bodies_and_headers_are_sent_as_given),
        cmocka_unit_test(connections_are_kept),
        cmocka_unit_test(redirects_are_the_callers_business),
        cmocka_unit_test(the_inside_is_refused_unless_allowed),
        cmocka_unit_test(urls_that_are_not_http_are_refused),
        cmocka_unit_test(headers_cannot_be_smuggled),
        cmocka_unit_test(a_slow_or_mute_server_costs_the_timeout_only),
        cmocka_unit_test(an_answer_over_its_ceiling_is_dropped),
        cmocka_unit_test(too_many_headers_are_refused),
        cmocka_unit_test(garbage_is_no_answer),
        cmocka_unit_test(nobody_there),
    };
    arena_init(&arena);
    int failed = cmocka_run_group_tests(tests, start, NULL);
    arena_free(&arena);
    return failed;
}
