#include "web/tls.h"

#include <dirent.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <sys/stat.h>
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "base/rand.h"
#include "crypto/digest.h"
#include "crypto/tlskey.h"
#include "sys/file.h"

enum {
    CERTIFICATES_MAX = 64,
    PEM_MAX = 128 * 1024,
    TICKET_KEYS = 3,
    TICKET_KEY_MS = 3600 * 1000,
    SESSION_S = 3600,
    CLIENT_CERT_MAX = 8 * 1024,
};
static const char suites_12[] =
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-CHACHA20-POLY1305";
static const char suites_13[] =
    "TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256";
static const char groups[] = "X25519:P-256:P-384";
static const char algorithms[] =
    "ECDSA+SHA256:ECDSA+SHA384:RSA-PSS+SHA256:RSA-PSS+SHA384:RSA-PSS+SHA512:"
    "RSA+SHA256:RSA+SHA384:RSA+SHA512";

struct ticket_key {
    uint8_t name[16], aes[32], mac[32];
    int64_t made_ms; /* monotonic; 0: none */
};

/* A certificate: a context of each kind. */
struct entry {
    X509 *leaf;
    SSL_CTX *ctx[TLS_KINDS];
};

struct tls {
    struct tls_conf conf;
    char *folder;
    X509_STORE *authorities;
    pthread_mutex_t lock; /* all below */
    struct entry list[CERTIFICATES_MAX];
    size_t n;
    uint64_t seen;                          /* what the folder looked like */
    struct ticket_key tickets[TICKET_KEYS]; /* the newest first */
};

/* ---- tickets --------------------------------------------------------------------------------- */
static void ticket_turn(struct tls *t)
{
    int64_t now_ms = clock_mono_ms();
    if (t->tickets[0].made_ms && now_ms - t->tickets[0].made_ms < TICKET_KEY_MS)
        return;
    memmove(&t->tickets[1], &t->tickets[0], sizeof t->tickets - sizeof t->tickets[0]);
    rand_bytes(&t->tickets[0], sizeof t->tickets[0]);
    t->tickets[0].made_ms = now_ms ? now_ms : 1;
}

/* The key to write with; or the one of that name, and whether it is the newest. */
static bool ticket_key(struct tls *t, const uint8_t *name, struct ticket_key *out, bool *newest)
{
    bool found = false;
    pthread_mutex_lock(&t->lock);
    ticket_turn(t);
    for (size_t i = 0; i < TICKET_KEYS && !found; i++) {
        const struct ticket_key *k = &t->tickets[i];
        found = k->made_ms && (!name || memcmp(k->name, name, sizeof k->name) == 0);
        if (found) {
            *out = *k;
            *newest = i == 0;
        }
    }
    pthread_mutex_unlock(&t->lock);
    return found;
}

static int on_ticket(SSL *ssl, unsigned char name[16], unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int writes)
{
    struct tls *t = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    struct ticket_key k;
    char digest[] = "SHA256";
    bool newest;
    if (!ticket_key(t, writes ? NULL : name, &k, &newest))
        return 0; /* too old: a full handshake, no error */
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, k.mac, sizeof k.mac),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end()};
    if (writes) {
        rand_bytes(iv, 16);
        memcpy(name, k.name, sizeof k.name);
    }
    int good = EVP_MAC_CTX_set_params(mac, params) &&
               EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, k.aes, iv, writes);
    mem_wipe(&k, sizeof k);
    return !good ? -1 : writes || newest ? 1 : 2; /* 2: give a new ticket */
}

/* ---- what a handshake asks ------------------------------------------------------------------- */
static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *n, const unsigned char *in,
                   unsigned in_n, void *arg)
{
    static const unsigned char ours[] = "\x08http/1.1";
    (void)ssl, (void)arg;
    return SSL_select_next_proto((unsigned char **)(uintptr_t)out, n, ours, sizeof ours - 1, in,
                                 in_n) == OPENSSL_NPN_NEGOTIATED
               ? SSL_TLSEXT_ERR_OK
               : SSL_TLSEXT_ERR_ALERT_FATAL;
}

static int on_name(SSL *ssl, int *alert, void *arg)
{
    struct tls *t = arg;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    enum tls_kind kind = (enum tls_kind)(intptr_t)SSL_get_app_data(ssl);
    (void)alert;
    if (!name)
        return SSL_TLSEXT_ERR_OK;
    pthread_mutex_lock(&t->lock);
    for (size_t i = 0; i < t->n; i++)
        if (X509_check_host(t->list[i].leaf, name, 0, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) ==
            1) {
            (void)SSL_set_SSL_CTX(ssl, t->list[i].ctx[kind]);
            break;
        }
    pthread_mutex_unlock(&t->lock);
    return SSL_TLSEXT_ERR_OK; /* an unknown name gets the first certificate */
}

/* A certificate that signed itself proves its key, and that is all who registered its thumbprint
 * asks (RFC 8705 2.2). Its dates count. */
static int on_client(int good, X509_STORE_CTX *store)
{
    int why = X509_STORE_CTX_get_error(store);
    if (good || X509_STORE_CTX_get_error_depth(store) != 0 ||
        why != X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT)
        return good;
    X509_STORE_CTX_set_error(store, X509_V_OK);
    return 1;
}

/* ---- contexts -------------------------------------------------------------------------------- */
static void clients_ask(struct tls *t, SSL_CTX *c)
{
    STACK_OF(X509_OBJECT) *all = X509_STORE_get0_objects(t->authorities);
    SSL_CTX_set_verify(c, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, on_client);
    SSL_CTX_set1_cert_store(c, t->authorities);
    for (int i = 0; i < sk_X509_OBJECT_num(all); i++) {
        X509 *x = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(all, i));
        if (x)
            (void)SSL_CTX_add_client_CA(c, x);
    }
}

static SSL_CTX *context(struct tls *t, enum tls_kind kind)
{
    static const char *const ids[TLS_KINDS] = {"", "web", "clients"};
    SSL_CTX *c = SSL_CTX_new(TLS_server_method());
    if (!c || !SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION) ||
        !SSL_CTX_set_cipher_list(c, suites_12) || !SSL_CTX_set_ciphersuites(c, suites_13) ||
        !SSL_CTX_set1_groups_list(c, groups) || !SSL_CTX_set1_sigalgs_list(c, algorithms))
        abort();
    SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                               SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(c, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                            SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(c, 1);
    SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF); /* tickets alone */
    SSL_CTX_set_timeout(c, SESSION_S);
    SSL_CTX_set_num_tickets(c, 1);
    /* A session of one listener is not resumed on the other, where a certificate was not asked. */
    if (!SSL_CTX_set_session_id_context(c, (const unsigned char *)ids[kind],
                                        (unsigned)strlen(ids[kind])))
        abort();
    SSL_CTX_set_app_data(c, t);
    SSL_CTX_set_tlsext_ticket_key_evp_cb(c, on_ticket);
    SSL_CTX_set_tlsext_servername_callback(c, on_name);
    SSL_CTX_set_tlsext_servername_arg(c, t);
    SSL_CTX_set_alpn_select_cb(c, on_alpn, NULL);
    if (kind == TLS_CLIENTS)
        clients_ask(t, c);
    return c;
}

static void entry_free(struct entry *e)
{
    for (int k = TLS_WEB; k < TLS_KINDS; k++)
        SSL_CTX_free(e->ctx[k]);
    X509_free(e->leaf);
}

static bool use(SSL_CTX *c, X509 *leaf, STACK_OF(X509) * chain, EVP_PKEY *key)
{
    return SSL_CTX_use_certificate(c, leaf) == 1 && SSL_CTX_set1_chain(c, chain) == 1 &&
           SSL_CTX_use_PrivateKey(c, key) == 1 && SSL_CTX_check_private_key(c) == 1;
}

bool tls_certificates_read(struct str pem, X509 **leaf, struct stack_st_X509 **chain)
{
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
    *chain = sk_X509_new_null();
    if (!bio || !*chain)
        abort();
    *leaf = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    for (X509 *x; *leaf && (x = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL;)
        if (!sk_X509_push(*chain, x))
            X509_free(x);
    BIO_free(bio);
    ERR_clear_error(); /* the end of the file is one */
    return *leaf != NULL;
}

static const char *entry_make(struct tls *t, struct str pem, struct entry *e)
{
    STACK_OF(X509) * chain;
    EVP_PKEY *key = NULL;
    const char *why = NULL;
    *e = (struct entry){0};
    if (!tls_certificates_read(pem, &e->leaf, &chain))
        why = "no certificate in it";
    else if (X509_cmp_current_time(X509_get0_notAfter(e->leaf)) <= 0)
        why = "expired";
    else if (tlskey_open(t->conf.keys, X509_get0_pubkey(e->leaf), &key) != ERR_OK)
        why = "its key is not in the keys process";
    for (int k = TLS_WEB; !why && k < TLS_KINDS; k++) {
        e->ctx[k] = context(t, (enum tls_kind)k);
        if (!use(e->ctx[k], e->leaf, chain, key))
            why = "refused by OpenSSL";
    }
    sk_X509_pop_free(chain, X509_free);
    EVP_PKEY_free(key);
    ERR_clear_error();
    if (why)
        entry_free(e);
    return why;
}

/* ---- the folder ------------------------------------------------------------------------------ */
static bool is_certificate(const struct dirent *d)
{
    return d->d_name[0] != '.' && !str_starts(str_from(d->d_name), STR("client-")) &&
           str_ends(str_from(d->d_name), STR(".pem"));
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    bool x = strcmp((*a)->d_name, "default.pem") == 0, y = strcmp((*b)->d_name, "default.pem") == 0;
    return x != y ? y - x : strcmp((*a)->d_name, (*b)->d_name);
}

static int certificate_filter(const struct dirent *d)
{
    return is_certificate(d);
}

/* Names, sizes and times, folded. */
static uint64_t look(const struct tls *t)
{
    struct dirent **names;
    struct buf b;
    buf_init(&b, 64 * 1024);
    int n = scandir(t->folder, &names, certificate_filter, by_name);
    for (int i = 0; i < n; i++) {
        struct stat st = {0};
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", t->folder, names[i]->d_name);
        (void)stat(path, &st);
        buf_printf(&b, "%s %lld %lld.%ld;", names[i]->d_name, (long long)st.st_size,
                   (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
        free(names[i]);
    }
    if (n >= 0)
        free(names);
    uint64_t sum = map_hash(buf_str(&b)) | 1;
    buf_free(&b);
    return sum;
}

static size_t folder_read(struct tls *t, struct entry *out)
{
    struct dirent **names;
    struct arena a;
    size_t made = 0;
    int n = scandir(t->folder, &names, certificate_filter, by_name);
    arena_init(&a);
    for (int i = 0; i < n; i++) {
        struct str pem;
        const char *path = arena_printf(&a, "%s/%s", t->folder, names[i]->d_name).p;
        const char *why = made == CERTIFICATES_MAX                       ? "too many"
                          : file_read(&a, path, PEM_MAX, &pem) != ERR_OK ? "not readable"
                                                                         : NULL;
        if (!why)
            why = entry_make(t, pem, &out[made]);
        if (why)
            log_error("certificate_refused", "file", names[i]->d_name, "why", why);
        else
            made++;
        free(names[i]);
    }
    if (n >= 0)
        free(names);
    arena_free(&a);
    return made;
}

bool tls_reload(struct tls *t)
{
    struct entry fresh[CERTIFICATES_MAX], old[CERTIFICATES_MAX];
    uint64_t now = look(t);
    if (now == t->seen)
        return false;
    t->seen = now;
    size_t n = folder_read(t, fresh), n_old = t->n;
    if (n == 0 && n_old > 0) {
        log_error("certificates_kept", "why", "none of the folder's can be used");
        return false;
    }
    pthread_mutex_lock(&t->lock);
    memcpy(old, t->list, n_old * sizeof *old);
    memcpy(t->list, fresh, n * sizeof *fresh);
    t->n = n;
    pthread_mutex_unlock(&t->lock);
    for (size_t i = 0; i < n_old; i++)
        entry_free(&old[i]); /* connections under way have their own reference */
    log_info("certificates_read", "n", LOG_NUM(n));
    return true;
}

static X509_STORE *authorities_of(struct str pem)
{
    X509_STORE *store = X509_STORE_new();
    BIO *bio = BIO_new_mem_buf(pem.p ? pem.p : "", (int)pem.n);
    if (!store || !bio)
        abort();
    for (X509 *x; (x = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL; X509_free(x))
        X509_STORE_add_cert(store, x);
    BIO_free(bio);
    ERR_clear_error();
    return store;
}

struct tls *tls_open(const struct tls_conf *conf)
{
    struct tls *t = calloc(1, sizeof *t);
    if (!t || !(t->folder = strdup(conf->folder)))
        abort();
    t->conf = *conf;
    t->authorities = authorities_of(conf->client_authorities);
    pthread_mutex_init(&t->lock, NULL);
    (void)tls_reload(t);
    return t;
}

void tls_close(struct tls *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->n; i++)
        entry_free(&t->list[i]);
    X509_STORE_free(t->authorities);
    pthread_mutex_destroy(&t->lock);
    free(t->folder);
    mem_wipe(t, sizeof *t);
    free(t);
}

size_t tls_count(struct tls *t)
{
    pthread_mutex_lock(&t->lock);
    size_t n = t->n;
    pthread_mutex_unlock(&t->lock);
    return n;
}

/* ---- connections ----------------------------------------------------------------------------- */
SSL *tls_new(struct tls *t, enum tls_kind kind, int fd)
{
    pthread_mutex_lock(&t->lock);
    SSL *ssl = t->n ? SSL_new(t->list[0].ctx[kind]) : NULL;
    pthread_mutex_unlock(&t->lock);
    if (!ssl)
        return NULL;
    SSL_set_app_data(ssl, (char *)(intptr_t)kind);
    SSL_set_accept_state(ssl);
    if (SSL_set_fd(ssl, fd) == 1)
        return ssl;
    SSL_free(ssl);
    return NULL;
}

char *tls_client_certificate(SSL *ssl, char x5t[TLS_X5T_LEN + 1])
{
    X509 *x = SSL_get0_peer_certificate(ssl);
    unsigned char *der = NULL;
    uint8_t hash[SHA256_LEN];
    struct buf b;
    int n = x ? i2d_X509(x, &der) : 0;
    if (n <= 0)
        return NULL;
    sha256(der, (size_t)n, hash);
    buf_init(&b, TLS_X5T_LEN + 1);
    buf_add_base64url(&b, hash, sizeof hash);
    memcpy(x5t, b.p, TLS_X5T_LEN);
    x5t[TLS_X5T_LEN] = '\0';
    buf_free(&b);
    buf_init(&b, CLIENT_CERT_MAX);
    buf_add_char(&b, ':');
    buf_add_base64(&b, der, (size_t)n);
    buf_add_char(&b, ':');
    buf_add_char(&b, '\0');
    OPENSSL_free(der);
    if (b.err == ERR_OK)
        return b.p;
    buf_free(&b);
    return NULL;
}
