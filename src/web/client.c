/* Outgoing HTTP for handlers and jobs, by libcurl. The addresses come from people's settings and
 * from partners' documents, so the rule against request forgery stands twice: the name is resolved
 * and checked by us and pinned, and the address is checked again when the socket is made, whatever
 * libcurl found by itself. */
#include "web/client.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <unistd.h>
#include "base/log.h"
#include "sys/resolve.h"
#include "web/authorities.h"

enum {
    TIMEOUT_MS = 5000,
    ANSWER_MAX = 1024 * 1024,
    ADDRESSES_MAX = 4,
    CONNECTIONS_MAX = 8, /* kept by each thread */
};

static pthread_key_t handles_key;
static pthread_once_t handles_once = PTHREAD_ONCE_INIT;

/* A thread's handles, whose connections stay open from call to call. Calls that may go inside have
 * one of their own: a connection made for them is never another call's. */
struct handles {
    CURL *outside, *inside;
};
static _Thread_local struct handles *thread_handles;

static void handles_end(void *p)
{
    struct handles *h = p;
    curl_easy_cleanup(h->outside);
    curl_easy_cleanup(h->inside);
    free(h);
    thread_handles = NULL;
}

static void handles_start(void)
{
    if (pthread_key_create(&handles_key, handles_end) != 0)
        abort();
}

void client_global_start(void)
{
    const char *file = getenv("SSL_CERT_FILE");
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        abort();
    if (!file)
        file = curl_version_info(CURLVERSION_NOW)->cainfo;
    authorities_read(file);
}

static CURL *handle_of_thread(bool inside)
{
    pthread_once(&handles_once, handles_start);
    if (!thread_handles) {
        thread_handles = calloc(1, sizeof *thread_handles);
        if (!thread_handles || pthread_setspecific(handles_key, thread_handles) != 0)
            abort();
    }
    CURL **h = inside ? &thread_handles->inside : &thread_handles->outside;
    if (!*h)
        *h = curl_easy_init();
    if (!*h)
        abort();
    return *h;
}

/* --- where to ----------------------------------------------------------------------------- */

struct target {
    const char *url, *host; /* host without brackets */
    unsigned port;
    struct resolved addrs[ADDRESSES_MAX];
    size_t n;
};

static enum err url_part(struct arena *a, CURLU *u, CURLUPart part, const char **out)
{
    char *z;
    if (curl_url_get(u, part, &z, CURLU_DEFAULT_PORT) != CURLUE_OK)
        return ERR_INVALID;
    *out = arena_dupz(a, str_from(z));
    curl_free(z);
    return ERR_OK;
}

static enum err url_read(struct arena *a, struct str url, struct target *t)
{
    const char *scheme, *port;
    uint64_t n;
    if (url.n == 0 || url.n > HTTP_TARGET_MAX)
        return ERR_INVALID;
    for (size_t i = 0; i < url.n; i++)
        if (url.p[i] <= ' ' || url.p[i] >= 127)
            return ERR_INVALID;
    CURLU *u = curl_url();
    if (!u)
        abort();
    t->url = arena_dupz(a, url);
    enum err e = curl_url_set(u, CURLUPART_URL, t->url, CURLU_DISALLOW_USER) ? ERR_INVALID : ERR_OK;
    if (!e)
        e = url_part(a, u, CURLUPART_SCHEME, &scheme);
    if (!e)
        e = url_part(a, u, CURLUPART_HOST, &t->host);
    if (!e)
        e = url_part(a, u, CURLUPART_PORT, &port);
    curl_url_cleanup(u);
    if (e || (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0))
        return ERR_INVALID;
    if (!str_to_u64(str_from(port), &n) || n == 0 || n > 65535)
        return ERR_INVALID;
    t->port = (unsigned)n;
    size_t len = strlen(t->host);
    if (len > 2 && t->host[0] == '[')
        t->host = arena_dupz(a, str_of(t->host + 1, len - 2));
    return ERR_OK;
}

/* "host:port:address,address": libcurl then looks nothing up. */
static const char *pin_of(struct arena *a, const struct target *t)
{
    char text[INET6_ADDRSTRLEN];
    struct buf b;
    buf_init(&b, 1024);
    buf_printf(&b, "%s:%u", t->host, t->port);
    for (size_t i = 0; i < t->n; i++) {
        const struct sockaddr_storage *s = &t->addrs[i].addr;
        bool six = s->ss_family == AF_INET6;
        const void *raw = six ? (const void *)&((const struct sockaddr_in6 *)s)->sin6_addr
                              : (const void *)&((const struct sockaddr_in *)s)->sin_addr;
        if (!inet_ntop(s->ss_family, raw, text, sizeof text))
            continue;
        buf_printf(&b, six ? "%c[%s]" : "%c%s", i ? ',' : ':', text);
    }
    const char *z = b.err ? NULL : arena_dupz(a, buf_str(&b));
    buf_free(&b);
    return z;
}

/* --- one call ----------------------------------------------------------------------------- */

struct exchange {
    struct arena *a;
    const struct client_call *call;
    struct client_answer *answer;
    struct buf body;
    size_t head_bytes;
    enum err err; /* why a callback stopped the call */
};

static curl_socket_t on_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *addr)
{
    struct exchange *x = arg;
    (void)purpose;
    if (!x->call->allow_inside && resolve_is_inside(&addr->addr)) {
        x->err = ERR_DENIED;
        return CURL_SOCKET_BAD;
    }
    return socket(addr->family, addr->socktype | SOCK_CLOEXEC, addr->protocol);
}

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
    struct exchange *x = arg;
    buf_add(&x->body, p, size * n);
    if (!x->body.err)
        return size * n;
    x->err = ERR_LIMIT;
    return 0;
}

static size_t on_header(char *p, size_t size, size_t n, void *arg)
{
    struct exchange *x = arg;
    struct str line = str_trim(str_of(p, size * n));
    struct client_answer *r = x->answer;
    ptrdiff_t colon = str_find_char(line, ':');
    x->head_bytes += size * n;
    if (x->head_bytes > HTTP_HEAD_MAX || r->n_headers == HTTP_HEADERS_MAX) {
        x->err = ERR_LIMIT;
        return 0;
    }
    if (str_starts(line, STR("HTTP/"))) {
        r->n_headers = 0; /* what came before was a 1xx */
    } else if (colon > 0) {
        r->headers[r->n_headers++] = (struct http_header){
            arena_dup(x->a, str_sub(line, 0, (size_t)colon)),
            arena_dup(x->a, str_trim(str_after(line, (size_t)colon + 1))),
        };
    }
    return size * n;
}

static CURLcode on_tls(CURL *h, void *ctx, void *arg)
{
    (void)h, (void)arg;
    SSL_CTX_set1_cert_store(ctx, authorities_store());
    return CURLE_OK;
}

/* Names that frame the message are libcurl's to write. */
static bool header_ok(const struct http_header *h)
{
    static const char *const framing[] = {"Host", "Content-Length", "Transfer-Encoding",
                                          "Connection", "Expect"};
    if (h->name.n == 0 || h->name.n + h->value.n > HTTP_TARGET_MAX * 2)
        return false;
    for (size_t i = 0; i < h->name.n; i++) {
        unsigned char c = (unsigned char)h->name.p[i];
        if (c <= ' ' || c >= 127 || strchr("()<>@,;:\\\"/[]?={}", c))
            return false;
    }
    for (size_t i = 0; i < h->value.n; i++) {
        unsigned char c = (unsigned char)h->value.p[i];
        if ((c < ' ' && c != '\t') || c == 127)
            return false;
    }
    for (size_t i = 0; i < COUNT_OF(framing); i++)
        if (str_eq_nocase(h->name, str_from(framing[i])))
            return false;
    return true;
}

static enum err headers_of(struct arena *a, const struct client_call *call, struct curl_slist **out)
{
    bool typed = false;
    struct curl_slist *list = curl_slist_append(NULL, "Expect:"); /* no 100-continue */
    for (size_t i = 0; i < call->n_headers; i++) {
        const struct http_header *h = &call->headers[i];
        if (!header_ok(h)) {
            curl_slist_free_all(list);
            return ERR_INVALID;
        }
        typed = typed || str_eq_nocase(h->name, STR("Content-Type"));
        struct str line =
            h->value.n ? arena_printf(a, STR_FMT ": " STR_FMT, STR_ARG(h->name), STR_ARG(h->value))
                       : arena_printf(a, STR_FMT ";", STR_ARG(h->name));
        list = curl_slist_append(list, line.p);
    }
    if (!typed)
        list = curl_slist_append(list, "Content-Type:"); /* libcurl would write a form's */
    *out = list;
    return ERR_OK;
}

static void method_set(CURL *h, const struct client_call *call)
{
    const char *method = call->method ? call->method : "GET";
    if (call->body.n || strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0 ||
        strcmp(method, "PATCH") == 0) {
        curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body.n);
        curl_easy_setopt(h, CURLOPT_POSTFIELDS, call->body.n ? call->body.p : "");
    } else if (strcmp(method, "HEAD") == 0) {
        curl_easy_setopt(h, CURLOPT_NOBODY, 1L);
    }
    curl_easy_setopt(h, CURLOPT_CUSTOMREQUEST, method);
}

static void options_set(CURL *h, const struct target *t, struct exchange *x)
{
    long timeout_ms = x->call->timeout_ms > 0 ? x->call->timeout_ms : TIMEOUT_MS;
    curl_easy_setopt(h, CURLOPT_URL, t->url);
    curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(h, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(h, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(h, CURLOPT_PROXY, ""); /* not the environment's */
    curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, timeout_ms);
    curl_easy_setopt(h, CURLOPT_MAXCONNECTS, (long)CONNECTIONS_MAX);
    curl_easy_setopt(h, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(h, CURLOPT_CAINFO, NULL);
    curl_easy_setopt(h, CURLOPT_CAPATH, NULL);
    curl_easy_setopt(h, CURLOPT_SSL_CTX_FUNCTION, on_tls);
    curl_easy_setopt(h, CURLOPT_OPENSOCKETFUNCTION, on_socket);
    curl_easy_setopt(h, CURLOPT_OPENSOCKETDATA, x);
    curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(h, CURLOPT_WRITEDATA, x);
    curl_easy_setopt(h, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(h, CURLOPT_HEADERDATA, x);
    method_set(h, x->call);
}

/* The URL was read before: whatever else fails lies on the other side. */
static enum err err_of(CURLcode c, const struct exchange *x)
{
    if (x->err)
        return x->err;
    return c == CURLE_OK ? ERR_OK : c == CURLE_OPERATION_TIMEDOUT ? ERR_TIMEOUT : ERR_UNAVAILABLE;
}

static enum err exchange_run(struct exchange *x, const struct target *t)
{
    struct curl_slist *headers = NULL, *pins = NULL;
    const char *pin = pin_of(x->a, t);
    CURL *h = handle_of_thread(x->call->allow_inside);
    long status = 0;
    enum err e = pin ? headers_of(x->a, x->call, &headers) : ERR_INVALID;
    if (e)
        return e;
    pins = curl_slist_append(NULL, pin);
    options_set(h, t, x);
    curl_easy_setopt(h, CURLOPT_RESOLVE, pins);
    curl_easy_setopt(h, CURLOPT_HTTPHEADER, headers);
    CURLcode c = curl_easy_perform(h);
    e = err_of(c, x);
    if (e)
        log_info("client_failed", "host", t->host, "error", err_name(e), "why",
                 curl_easy_strerror(c));
    curl_easy_getinfo(h, CURLINFO_RESPONSE_CODE, &status);
    x->answer->status = (int)status;
    curl_easy_reset(h); /* no pointer of this call stays; connections do */
    curl_slist_free_all(pins);
    curl_slist_free_all(headers);
    return e;
}

enum err client_send(struct arena *a, const struct client_call *call, struct client_answer *out)
{
    struct target t = {0};
    struct exchange x = {.a = a, .call = call, .answer = out};
    *out = (struct client_answer){0};
    enum err e = url_read(a, call->url, &t);
    if (!e)
        e = resolve_host(str_from(t.host), t.port, call->allow_inside, t.addrs, ADDRESSES_MAX,
                         &t.n);
    if (e)
        return e == ERR_NOT_FOUND ? ERR_UNAVAILABLE : e;
    buf_init(&x.body, call->answer_max ? call->answer_max : ANSWER_MAX);
    e = exchange_run(&x, &t);
    if (!e)
        out->body = arena_dup(a, buf_str(&x.body));
    buf_wipe(&x.body);
    return e;
}

struct str client_header(const struct client_answer *r, const char *name)
{
    for (size_t i = 0; i < r->n_headers; i++)
        if (str_eq_nocase(r->headers[i].name, str_from(name)))
            return r->headers[i].value;
    return STR_NONE;
}
