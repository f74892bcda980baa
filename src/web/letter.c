#include "web/letter.h"

#include <curl/curl.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include "base/log.h"
#include "web/authorities.h"
#include "web/client_target.h"

enum { TIMEOUT_MS = 20 * 1000, REFUSED_FOR_GOOD = 550 };

static bool on_this_machine(const struct client_target *t)
{
    for (size_t i = 0; i < t->n; i++) {
        const struct sockaddr *s = (const struct sockaddr *)&t->addrs[i].addr;
        bool v4 = s->sa_family == AF_INET &&
                  (ntohl(((const struct sockaddr_in *)s)->sin_addr.s_addr) >> 24) == 127;
        bool v6 = s->sa_family == AF_INET6 &&
                  IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)s)->sin6_addr);
        if (!v4 && !v6)
            return false;
    }
    return t->n > 0;
}

static size_t on_read(char *out, size_t size, size_t n, void *arg)
{
    struct str *rest = arg;
    size_t take = rest->n < size * n ? rest->n : size * n;
    memcpy(out, rest->p, take);
    *rest = str_after(*rest, take);
    return take;
}

static CURLcode on_tls(CURL *h, void *ctx, void *arg)
{
    (void)h, (void)arg;
    SSL_CTX_set1_cert_store(ctx, authorities_store());
    return CURLE_OK;
}

static void options_set(CURL *h, struct arena *a, const struct letter *l,
                        const struct client_target *t)
{
    long tls = on_this_machine(t) ? CURLUSESSL_NONE : CURLUSESSL_ALL;
    curl_easy_setopt(h, CURLOPT_URL, t->url);
    curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    curl_easy_setopt(h, CURLOPT_PROXY, "");
    curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, (long)TIMEOUT_MS);
    curl_easy_setopt(h, CURLOPT_USE_SSL, tls);
    curl_easy_setopt(h, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(h, CURLOPT_CAINFO, NULL);
    curl_easy_setopt(h, CURLOPT_CAPATH, NULL);
    curl_easy_setopt(h, CURLOPT_SSL_CTX_FUNCTION, on_tls);
    curl_easy_setopt(h, CURLOPT_MAIL_FROM, arena_printf(a, "<" STR_FMT ">", STR_ARG(l->from)).p);
    curl_easy_setopt(h, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(h, CURLOPT_READFUNCTION, on_read);
    curl_easy_setopt(h, CURLOPT_INFILESIZE_LARGE, (curl_off_t)l->message.n);
    if (l->login.n) {
        curl_easy_setopt(h, CURLOPT_USERNAME, arena_dupz(a, l->login));
        curl_easy_setopt(h, CURLOPT_PASSWORD, arena_dupz(a, l->password));
    }
}

/* A 5xx to the sender, the recipient or the text is this mail's; one to the login is ours to mend.
 */
static enum err err_of(CURLcode c, long status)
{
    if (c == CURLE_OK)
        return ERR_OK;
    if (c == CURLE_OPERATION_TIMEDOUT)
        return ERR_TIMEOUT;
    bool about_the_mail = c == CURLE_SEND_ERROR || c == CURLE_WEIRD_SERVER_REPLY;
    return about_the_mail && status >= REFUSED_FOR_GOOD ? ERR_DENIED : ERR_UNAVAILABLE;
}

static enum err perform(struct arena *a, const struct letter *l, const struct client_target *t,
                        const char *pin)
{
    struct str rest = l->message;
    long status = 0;
    CURL *h = curl_easy_init();
    if (!h)
        abort();
    struct curl_slist *pins = curl_slist_append(NULL, pin);
    struct curl_slist *to =
        curl_slist_append(NULL, arena_printf(a, "<" STR_FMT ">", STR_ARG(l->to)).p);
    options_set(h, a, l, t);
    curl_easy_setopt(h, CURLOPT_RESOLVE, pins);
    curl_easy_setopt(h, CURLOPT_MAIL_RCPT, to);
    curl_easy_setopt(h, CURLOPT_READDATA, &rest);
    CURLcode c = curl_easy_perform(h);
    curl_easy_getinfo(h, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_cleanup(h);
    curl_slist_free_all(to);
    curl_slist_free_all(pins);
    if (c != CURLE_OK)
        log_info("letter_not_taken", "relay", t->host, "status", LOG_NUM(status), "why",
                 curl_easy_strerror(c));
    return err_of(c, status);
}

enum err letter_send(struct arena *a, const struct letter *l)
{
    struct client_target t = {0};
    enum err e = client_target_read(a, l->relay, "smtp smtps", &t);
    if (e == ERR_OK)
        e = client_target_resolve(&t, true);
    if (e != ERR_OK)
        return e == ERR_NOT_FOUND ? ERR_UNAVAILABLE : e;
    const char *pin = client_target_pin(a, &t);
    return pin ? perform(a, l, &t, pin) : ERR_INVALID;
}
