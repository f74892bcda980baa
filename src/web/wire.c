#include "web/wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>
#include "crypto/tlskey.h"
#include "sys/file.h"
#include "web/authorities.h"
#include "web/tls.h"

/* ---- TLS ------------------------------------------------------------------------------------- */
static SSL_CTX *tls;
static pthread_once_t tls_made = PTHREAD_ONCE_INIT;

struct wire_identity {
    X509 *leaf;
    STACK_OF(X509) * chain;
    EVP_PKEY *key;
};

/* A session to resume: TLS 1.3 gives it after the handshake, between answers. */
static int on_session(SSL *ssl, SSL_SESSION *session)
{
    struct wire *w = SSL_get_app_data(ssl);
    if (!w || !w->session)
        return 0;
    SSL_SESSION_free(*w->session);
    *w->session = session;
    return 1; /* it is ours now */
}

static void tls_make(void)
{
    static const unsigned char protocols[] = "\x08http/1.1";
    tls = SSL_CTX_new(TLS_client_method());
    if (!tls || !SSL_CTX_set_min_proto_version(tls, TLS1_2_VERSION))
        abort();
    SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set1_cert_store(tls, authorities_store());
    SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(tls, on_session);
    SSL_CTX_set_options(tls, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_alpn_protos(tls, protocols, sizeof protocols - 1);
}

/* RFC 9110 4.3.4: the name that was asked for is the one that counts, as a name or as an address.
 */
static bool tls_start(struct wire *w, const char *name)
{
    unsigned char raw[sizeof(struct in6_addr)];
    bool is_address = inet_pton(AF_INET, name, raw) == 1 || inet_pton(AF_INET6, name, raw) == 1;
    pthread_once(&tls_made, tls_make);
    w->ssl = SSL_new(tls);
    if (!w->ssl || !name[0] || SSL_set_fd(w->ssl, w->io.fd) != 1)
        return false;
    SSL_set_app_data(w->ssl, (char *)w);
    if (w->session && *w->session)
        (void)SSL_set_session(w->ssl, *w->session);
    if (w->identity && SSL_use_cert_and_key(w->ssl, w->identity->leaf, w->identity->key,
                                            w->identity->chain, 1) != 1)
        return false;
    SSL_set_hostflags(w->ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (is_address)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(w->ssl), name) == 1;
    return SSL_set1_host(w->ssl, name) == 1 && SSL_set_tlsext_host_name(w->ssl, name) == 1;
}

static enum err tls_failed(struct wire *w, int result, bool *other_way, int other)
{
    int e = SSL_get_error(w->ssl, result);
    *other_way = e == other;
    if (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE)
        return ERR_AGAIN;
    long verified = SSL_get_verify_result(w->ssl);
    w->why = verified != X509_V_OK ? X509_verify_cert_error_string(verified)
                                   : ERR_reason_error_string(ERR_peek_error());
    if (!w->why)
        w->why = "closed";
    ERR_clear_error();
    return e == SSL_ERROR_ZERO_RETURN ? ERR_NOT_FOUND : ERR_IO;
}

static enum err tls_go_on(struct wire *w)
{
    bool write;
    ERR_clear_error();
    int result = SSL_connect(w->ssl);
    if (result == 1) {
        w->state = WIRE_OPEN;
        return ERR_OK;
    }
    if (tls_failed(w, result, &write, SSL_ERROR_WANT_WRITE) != ERR_AGAIN)
        return ERR_UNAVAILABLE;
    loop_io_set(w->loop, &w->io, write ? LOOP_WRITE : LOOP_READ);
    return ERR_AGAIN;
}

enum err wire_identity_open(struct keys *k, const char *path, struct wire_identity **out)
{
    enum { PEM_MAX = 128 * 1024 };
    struct arena a;
    struct str pem;
    struct wire_identity *id = calloc(1, sizeof *id);
    *out = NULL;
    if (!id)
        abort();
    arena_init(&a);
    enum err e = file_read(&a, path, PEM_MAX, &pem);
    if (e == ERR_OK && !tls_certificates_read(pem, &id->leaf, &id->chain))
        e = ERR_INVALID;
    if (e == ERR_OK)
        e = tlskey_open(k, X509_get0_pubkey(id->leaf), &id->key);
    arena_free(&a);
    if (e == ERR_OK) {
        *out = id;
        return e;
    }
    X509_free(id->leaf);
    sk_X509_pop_free(id->chain, X509_free);
    free(id);
    return e;
}

/* ---- opening and closing --------------------------------------------------------------------- */
static enum err unavailable(struct wire *w, int error)
{
    w->why = strerrordesc_np(error);
    return ERR_UNAVAILABLE;
}

enum err wire_start(struct wire *w, struct loop *l, const struct resolved *to, const char *tls_name)
{
    const struct sockaddr *addr = (const struct sockaddr *)&to->addr;
    int one = 1;
    w->loop = l;
    w->ssl = NULL;
    w->state = WIRE_CONNECTING;
    w->read_wants_write = w->write_wants_read = w->unwatched = false;
    w->io.fd = socket(addr->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (w->io.fd < 0)
        return unavailable(w, errno);
    (void)setsockopt(w->io.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    w->io.events = LOOP_WRITE;
    if (connect(w->io.fd, addr, to->len) != 0 && errno != EINPROGRESS) {
        enum err e = unavailable(w, errno);
        close(w->io.fd);
        return e;
    }
    if ((tls_name && !tls_start(w, tls_name)) || loop_io_add(l, &w->io) != ERR_OK) {
        SSL_free(w->ssl);
        close(w->io.fd);
        return unavailable(w, EINVAL);
    }
    return ERR_OK;
}

enum err wire_go_on(struct wire *w)
{
    int error = 0;
    socklen_t len = sizeof error;
    if (w->state == WIRE_CONNECTING) {
        if (getsockopt(w->io.fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0 || error != 0)
            return unavailable(w, error);
        w->state = w->ssl ? WIRE_GREETING : WIRE_OPEN;
    }
    return w->state == WIRE_GREETING ? tls_go_on(w) : ERR_OK;
}

void wire_close(struct wire *w)
{
    loop_io_del(w->loop, &w->io);
    if (w->ssl) {
        if (w->state == WIRE_OPEN && !SSL_in_init(w->ssl))
            (void)SSL_shutdown(w->ssl); /* says goodbye, waits for none */
        ERR_clear_error();
        SSL_free(w->ssl);
    }
    close(w->io.fd);
}

/* ---- bytes ----------------------------------------------------------------------------------- */
enum err wire_recv(struct wire *w, char *room, size_t size, size_t *n)
{
    *n = 0;
    if (w->ssl) {
        ERR_clear_error();
        w->read_wants_write = false;
        if (SSL_read_ex(w->ssl, room, size, n) == 1)
            return ERR_OK;
        enum err e = tls_failed(w, 0, &w->read_wants_write, SSL_ERROR_WANT_WRITE);
        return e == ERR_NOT_FOUND ? ERR_OK : e;
    }
    ssize_t got = recv(w->io.fd, room, size, 0);
    if (got >= 0) {
        *n = (size_t)got;
        return ERR_OK;
    }
    if (errno == EAGAIN || errno == EINTR)
        return ERR_AGAIN;
    w->why = strerrordesc_np(errno);
    return ERR_IO;
}

enum err wire_send(struct wire *w, const char *p, size_t n, size_t *taken)
{
    *taken = 0;
    if (w->ssl) {
        ERR_clear_error();
        w->write_wants_read = false;
        if (SSL_write_ex(w->ssl, p, n, taken) == 1)
            return ERR_OK;
        if (tls_failed(w, 0, &w->write_wants_read, SSL_ERROR_WANT_READ) == ERR_AGAIN)
            return ERR_AGAIN;
        (void)shutdown(w->io.fd, SHUT_RDWR); /* so that reading meets the end */
        return ERR_IO;
    }
    ssize_t put = send(w->io.fd, p, n, MSG_NOSIGNAL);
    if (put >= 0) {
        *taken = (size_t)put;
        return ERR_OK;
    }
    if (errno == EAGAIN || errno == EINTR)
        return ERR_AGAIN;
    w->why = strerrordesc_np(errno);
    return ERR_IO;
}

void wire_want(struct wire *w, bool read, bool write)
{
    unsigned events = 0;
    if (read)
        events |= w->read_wants_write ? LOOP_WRITE : LOOP_READ;
    if (write)
        events |= w->write_wants_read ? LOOP_READ : LOOP_WRITE;
    if (w->unwatched && events) {
        w->io.events = events;
        w->unwatched = loop_io_add(w->loop, &w->io) != ERR_OK;
    } else if (!w->unwatched) {
        loop_io_set(w->loop, &w->io, events);
    }
}

void wire_unwatch(struct wire *w)
{
    if (!w->unwatched)
        loop_io_del(w->loop, &w->io);
    w->unwatched = true;
}

enum wire_quiet wire_quiet(const struct wire *w)
{
    char byte;
    ssize_t got = recv(w->io.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN)
        return WIRE_QUIET;
    if (got <= 0 || !w->ssl)
        return got > 0 ? WIRE_SPOKE : WIRE_GONE;
    /* TLS has words of its own: a ticket is nothing. */
    ERR_clear_error();
    int n = SSL_peek(w->ssl, &byte, 1);
    bool nothing = n <= 0 && SSL_get_error(w->ssl, n) == SSL_ERROR_WANT_READ;
    ERR_clear_error();
    return nothing ? WIRE_QUIET : n > 0 ? WIRE_SPOKE : WIRE_GONE;
}
