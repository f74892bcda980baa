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
#include "web/client_target.h"

enum {
    TIMEOUT_MS = 5000,
    ANSWER_MAX = 1024 * 1024,
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

static void options_set(CURL *h, const struct client_target *t, struct exchange *x)
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

static enum err exchange_run(struct exchange *x, const struct client_target *t)
{
    struct curl_slist *headers = NULL, *pins = NULL;
    const char *pin = client_target_pin(x->a, t);
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
    struct client_target t = {0};
    struct exchange x = {.a = a, .call = call, .answer = out};
    *out = (struct client_answer){0};
    enum err e = client_target_read(a, call->url, "http https", &t);
    if (!e)
        e = client_target_resolve(&t, call->allow_inside);
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
