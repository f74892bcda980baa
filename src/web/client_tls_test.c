/* The client's TLS: only a certificate from a known authority, for the name that was asked. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <netinet/in.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>
#include "web/certificate_for_test.h"
#include "web/client.h"

static struct arena arena;
static int listener;
static unsigned port;
static pthread_t thread;
static EVP_PKEY *key;
static X509 *known, *unknown, *old;
static X509 *shown; /* what the server presents */

static void *serve(void *arg)
{
    char in[4096];
    static const char answer[] =
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi";
    (void)arg;
    for (int fd; (fd = accept(listener, NULL, NULL)) >= 0;) {
        SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
        SSL_CTX_use_certificate(ctx, shown);
        SSL_CTX_use_PrivateKey(ctx, key);
        SSL *s = SSL_new(ctx);
        SSL_set_fd(s, fd);
        if (SSL_accept(s) == 1 && SSL_read(s, in, sizeof in) > 0) {
            SSL_write(s, answer, sizeof answer - 1);
            SSL_shutdown(s);
        }
        SSL_free(s);
        SSL_CTX_free(ctx);
        close(fd);
    }
    return NULL;
}

static void read_authorities(const char *file)
{
    setenv("SSL_CERT_FILE", file, 1);
    client_global_start();
}

static int start(void **state)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    key = EVP_EC_gen("P-256");
    known = certificate_for_test(key, "known", "DNS:localhost", -60, 3600);
    unknown = certificate_for_test(key, "unknown", "DNS:localhost", -60, 3600);
    old = certificate_for_test(key, "known", "DNS:localhost", -3600, -60);
    certificates_for_test_known((X509 *[]){known, old}, 2, read_authorities);
    listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&at, len) != 0 || listen(listener, 8) != 0 ||
        getsockname(listener, (struct sockaddr *)&at, &len) != 0)
        return -1;
    port = ntohs(at.sin_port);
    return pthread_create(&thread, NULL, serve, NULL);
}

static enum err get_from(const char *host)
{
    struct client_answer answer;
    struct client_call call = {.url = arena_printf(&arena, "https://%s:%u/", host, port),
                               .allow_inside = true};
    enum err e = client_send(&arena, &call, &answer);
    if (!e)
        assert_true(str_eq_z(answer.body, "hi"));
    return e;
}

static void only_known_authorities_and_right_names_pass(void **state)
{
    (void)state;
    shown = known;
    assert_int_equal(get_from("localhost"), ERR_OK);
    assert_int_equal(get_from("127.0.0.1"), ERR_UNAVAILABLE); /* not its name */
    assert_int_equal(get_from("a.localhost"), ERR_UNAVAILABLE);
    shown = unknown;
    assert_int_equal(get_from("localhost"), ERR_UNAVAILABLE);
    shown = old;
    assert_int_equal(get_from("localhost"), ERR_UNAVAILABLE);
    shown = known;
    assert_int_equal(get_from("localhost"), ERR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_known_authorities_and_right_names_pass),
    };
    arena_init(&arena);
    int failed = cmocka_run_group_tests(tests, start, NULL);
    arena_free(&arena);
    return failed;
}
