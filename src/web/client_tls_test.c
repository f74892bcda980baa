/* The client's TLS: only a certificate from a known authority, for the name that was asked. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <netinet/in.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>
#include "web/client.h"

static struct arena arena;
static int listener;
static unsigned port;
static pthread_t thread;
static EVP_PKEY *key;
static X509 *known, *unknown, *old;
static X509 *shown; /* what the server presents */

static X509 *certificate(const char *name, long from_s, long until_s)
{
    X509 *x = X509_new();
    X509_NAME *subject = X509_get_subject_name(x);
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), from_s);
    X509_gmtime_adj(X509_getm_notAfter(x), until_s);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(x, subject);
    X509_set_pubkey(x, key);
    X509_EXTENSION *san = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:localhost");
    X509_add_ext(x, san, -1);
    X509_EXTENSION_free(san);
    assert_true(X509_sign(x, key, EVP_sha256()) > 0);
    return x;
}

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

static int start(void **state)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    char path[] = "/tmp/client-tls-XXXXXX";
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    key = EVP_EC_gen("P-256");
    known = certificate("known", -60, 3600);
    unknown = certificate("unknown", -60, 3600);
    old = certificate("known", -3600, -60);
    int fd = mkstemp(path);
    FILE *f = fdopen(fd, "w");
    PEM_write_X509(f, known);
    PEM_write_X509(f, old);
    fclose(f);
    setenv("SSL_CERT_FILE", path, 1);
    client_global_start();
    unlink(path); /* what was read before the sandbox is enough */
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
