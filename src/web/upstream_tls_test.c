/* Calls over TLS: nothing is sent but to the right name with a certificate from a known authority.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <netinet/in.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include "base/buf.h"
#include "web/authorities.h"
#include "web/certificate_for_test.h"
#include "web/upstream.h"

/* ---- the origin ------------------------------------------------------------------------------ */
static int listener;
static EVP_PKEY *key;
static X509 *known, *unknown, *old;
static X509 *shown;  /* what it presents */
static int protocol; /* the newest it speaks */
static _Atomic unsigned n_accepted, n_requests;
static char asked_name[100];

static bool answer(SSL *s, const char *in)
{
    static const char hi[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
    static const char open_end[] = "HTTP/1.1 200 OK\r\n\r\nhi";
    static const char part[] = "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n";
    static char big[1000000];
    if (strncmp(in, "GET /big", 8) == 0) {
        memset(big, 'x', sizeof big);
        return SSL_write(s, part, sizeof part - 1) > 0 && SSL_write(s, big, sizeof big) > 0;
    }
    if (strncmp(in, "GET /hi", 7) == 0 || strncmp(in, "POST /hi", 8) == 0)
        return SSL_write(s, hi, sizeof hi - 1) > 0;
    SSL_write(s, open_end, sizeof open_end - 1);
    if (strncmp(in, "GET /cut", 8) == 0)
        SSL_set_quiet_shutdown(s, 1); /* closes without a word: somebody may have cut it */
    return false;
}

static void serve_one(int fd, SSL_CTX *ctx)
{
    char in[70000];
    int n;
    SSL *s = SSL_new(ctx);
    SSL_set_fd(s, fd);
    if (SSL_accept(s) == 1) {
        const char *name = SSL_get_servername(s, TLSEXT_NAMETYPE_host_name);
        snprintf(asked_name, sizeof asked_name, "%s", name ? name : "");
        while ((n = SSL_read(s, in, sizeof in - 1)) > 0) {
            in[n] = 0;
            n_requests++;
            if (!answer(s, in))
                break;
        }
        SSL_shutdown(s);
    }
    SSL_free(s);
    close(fd);
}

static void *serve(void *arg)
{
    (void)arg;
    for (int fd; (fd = accept(listener, NULL, NULL)) >= 0;) {
        SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
        n_accepted++;
        SSL_CTX_set_min_proto_version(ctx, TLS1_VERSION);
        SSL_CTX_set_security_level(ctx, 0);
        SSL_CTX_set_max_proto_version(ctx, protocol);
        SSL_CTX_use_certificate(ctx, shown);
        SSL_CTX_use_PrivateKey(ctx, key);
        serve_one(fd, ctx);
        SSL_CTX_free(ctx);
    }
    return NULL;
}

static struct upstream_origin origin = {.host_header = {"x", 1},
                                        .tls = true,
                                        .body_max = 1 << 20,
                                        .connect_timeout_ms = 20000,
                                        .answer_timeout_ms = 20000};
static pthread_t thread;

static int start(void **state)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    key = EVP_EC_gen("P-256");
    const char *names = "DNS:origin.test,DNS:*.wild.test,IP:127.0.0.1";
    known = certificate_for_test(key, "known", names, -60, 3600);
    unknown = certificate_for_test(key, "unknown", names, -60, 3600);
    old = certificate_for_test(key, "known", names, -3600, -60);
    certificates_for_test_known((X509 *[]){known, old}, 2, authorities_read);
    listener = socket(AF_INET, SOCK_STREAM, 0);
    origin.addr.len = sizeof at;
    if (bind(listener, (struct sockaddr *)&at, sizeof at) != 0 || listen(listener, 8) != 0 ||
        getsockname(listener, (struct sockaddr *)&origin.addr.addr, &origin.addr.len) != 0)
        return -1;
    return pthread_create(&thread, NULL, serve, NULL);
}

static int stop(void **state)
{
    (void)state;
    shutdown(listener, SHUT_RDWR);
    pthread_join(thread, NULL);
    close(listener);
    X509_free(known);
    X509_free(unknown);
    X509_free(old);
    EVP_PKEY_free(key);
    return 0;
}

/* ---- the caller ------------------------------------------------------------------------------ */
static struct loop *L;
static struct upstreams *U;
static struct buf body;
static enum err result;
static bool result_sent, pausing;
static struct loop_timer resume;
static struct upstream_call *paused;

static void on_resume(struct loop_timer *t)
{
    (void)t;
    upstream_pause(paused, false);
}

static void on_head(struct upstream_call *c, const struct http_head *h)
{
    (void)c;
    assert_int_equal(h->status, 200);
}

static void on_body(struct upstream_call *c, struct str piece)
{
    buf_add_str(&body, piece);
    if (pausing) {
        paused = c;
        resume.fn = on_resume;
        upstream_pause(c, true);
        loop_timer_set(L, &resume, 1);
    }
}

static void on_end(struct upstream_call *c, enum err e, bool sent)
{
    (void)c;
    result = e;
    result_sent = sent;
    loop_timer_del(L, &resume);
    loop_stop(L);
}

static enum err call(const char *name, enum http_method m, const char *path, struct str sent)
{
    static const struct upstream_ops ops = {on_head, on_body, on_end};
    origin.tls_name = str_from(name);
    buf_reset(&body);
    assert_non_null(upstream_send(U, &origin, m, str_from(path), NULL, 0, sent, &ops, NULL));
    loop_run(L);
    return result;
}

static int setup(void **state)
{
    (void)state;
    L = loop_new();
    U = upstreams_new(L, 4);
    buf_init(&body, 2 << 20);
    shown = known;
    protocol = TLS1_3_VERSION;
    pausing = false;
    n_accepted = n_requests = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    upstreams_free(U);
    loop_free(L);
    buf_free(&body);
    return 0;
}

static void refused(const char *name)
{
    unsigned before = n_requests;
    assert_int_equal(call(name, HTTP_GET, "/hi", STR_NONE), ERR_UNAVAILABLE);
    assert_false(result_sent);
    assert_int_equal(n_requests, before);
}

static void only_known_authorities_and_right_names_pass(void **state)
{
    (void)state;
    assert_int_equal(call("origin.test", HTTP_GET, "/hi", STR_NONE), ERR_OK);
    assert_true(str_eq_z(buf_str(&body), "hi"));
    assert_string_equal(asked_name, "origin.test");
    upstreams_free(U); /* the origin serves one connection at a time */
    U = upstreams_new(L, 0);
    assert_int_equal(call("a.wild.test", HTTP_GET, "/hi", STR_NONE), ERR_OK);
    assert_int_equal(call("127.0.0.1", HTTP_GET, "/hi", STR_NONE), ERR_OK);
    assert_string_equal(asked_name, ""); /* RFC 6066 3: not for addresses */
    refused("other.test");
    refused("a.b.wild.test");
    refused("wild.test");
    refused("127.0.0.2");
    refused("");
    shown = unknown;
    refused("origin.test");
    shown = old;
    refused("origin.test");
}

static void old_protocols_are_refused(void **state)
{
    (void)state;
    upstreams_free(U);
    U = upstreams_new(L, 0);
    protocol = TLS1_1_VERSION;
    refused("origin.test");
    protocol = TLS1_2_VERSION;
    assert_int_equal(call("origin.test", HTTP_GET, "/hi", STR_NONE), ERR_OK);
}

static void one_connection_serves_many_calls(void **state)
{
    (void)state;
    static char big[60000];
    memset(big, 'y', sizeof big);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(call("origin.test", HTTP_GET, "/hi", STR_NONE), ERR_OK);
        assert_int_equal(call("origin.test", HTTP_POST, "/hi", STR("x")), ERR_OK);
        assert_int_equal(call("origin.test", HTTP_GET, "/big", STR_NONE), ERR_OK);
        assert_int_equal(body.n, 1000000);
    }
    assert_int_equal(n_accepted, 1);
}

static void a_pause_loses_nothing(void **state)
{
    (void)state;
    pausing = true;
    assert_int_equal(call("origin.test", HTTP_GET, "/big", STR_NONE), ERR_OK);
    assert_int_equal(body.n, 1000000);
}

static void a_silent_end_is_not_an_end(void **state)
{
    (void)state;
    assert_int_equal(call("origin.test", HTTP_GET, "/whole", STR_NONE), ERR_OK);
    assert_true(str_eq_z(buf_str(&body), "hi"));
    assert_int_equal(call("origin.test", HTTP_GET, "/cut", STR_NONE), ERR_IO);
}

static void plain_http_there_is_no_tls(void **state)
{
    struct upstream_origin plain = origin;
    static const struct upstream_ops ops = {on_head, on_body, on_end};
    (void)state;
    plain.tls = false; /* our plain words are no greeting: the origin hangs up */
    assert_non_null(upstream_send(U, &plain, HTTP_GET, STR("/hi"), NULL, 0, STR_NONE, &ops, NULL));
    loop_run(L);
    assert_true(result != ERR_OK);
    assert_int_equal(call("origin.test", HTTP_GET, "/hi", STR_NONE), ERR_OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(only_known_authorities_and_right_names_pass),
        TEST(old_protocols_are_refused),
        TEST(one_connection_serves_many_calls),
        TEST(a_pause_loses_nothing),
        TEST(a_silent_end_is_not_an_end),
        TEST(plain_http_there_is_no_tls),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
