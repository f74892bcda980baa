/* socle verify-message: a message as it was kept (`curl -i`, a capture, an export), checked against
 * its signature and its body. The reason of a refusal is one sentence: it is what the test of an
 * altered byte reads. */
#include <stdio.h>

#include "base/clock.h"
#include "core/signatures/signatures.h"
#include "data/json.h"
#include "sys/file.h"
#include "web/message.h"

enum { MESSAGE_MAX = 64 << 20, KEYS_FILE_MAX = 256 * 1024 };

static const char help[] =
    "usage: socle verify-message FILE [--request FILE] [--keys FILE] [--url URL] [--json]\n"
    "  FILE            a request or an answer, head and body, as `curl -i` prints it\n"
    "  --request FILE  for an answer: the request it answers\n"
    "  --keys FILE     JWKS of the signer; absent: this platform's own keys\n"
    "  --url URL       scheme and authority of requests; absent: base_url\n"
    "Prints what is signed and by which key, or why it does not hold (exit code 1).\n";

struct options {
    const char *file, *request, *keys, *url;
    bool json;
};

static bool options_read(int argc, char **argv, struct options *o)
{
    const struct {
        const char *name;
        const char **value;
    } known[] = {{"--request", &o->request}, {"--keys", &o->keys}, {"--url", &o->url}};
    for (int i = 1; i < argc; i++) {
        size_t k = 0;
        while (k < COUNT_OF(known) && strcmp(argv[i], known[k].name) != 0)
            k++;
        if (k < COUNT_OF(known) && i + 1 < argc)
            *known[k].value = argv[++i];
        else if (strcmp(argv[i], "--json") == 0)
            o->json = true;
        else if (argv[i][0] == '-' || o->file)
            return false;
        else
            o->file = argv[i];
    }
    return o->file != NULL;
}

struct kept {
    struct http_head head;
    struct httpsig_message message;
    struct str body;
};

static enum err message_read(struct arena *a, const char *path, struct str url, struct kept *out,
                             struct str *why)
{
    struct str text;
    size_t used;
    int status;
    enum err e = file_read(a, path, MESSAGE_MAX, &text);
    *why = arena_printf(a, "%s cannot be read", path);
    if (e != ERR_OK)
        return e;
    *why = arena_printf(a, "%s is no HTTP message", path);
    e = str_starts(text, STR("HTTP/")) ? http_read_response(text, false, &out->head, &used)
                                       : http_read_request(text, &out->head, &used, &status);
    if (e != ERR_OK)
        return ERR_INVALID;
    out->body = str_after(text, used);
    out->message = message_of_head(a, &out->head, url);
    *why = arena_printf(a, "the body is cut short: %zu of %lld bytes", out->body.n,
                        (long long)out->head.content_length);
    if (out->head.content_length > (int64_t)out->body.n)
        return ERR_INVALID;
    if (out->head.content_length >= 0)
        out->body.n = (size_t)out->head.content_length;
    return ERR_OK;
}

static enum err keys_read(struct platform *pf, struct arena *a, const char *path, struct jwks **out,
                          struct str *why)
{
    struct str text;
    enum err e =
        path ? file_read(a, path, KEYS_FILE_MAX, &text) : node_jwks(pf, "message", a, &text);
    *why = STR("the keys cannot be read");
    return e == ERR_OK ? jwks_read(text, out) : e;
}

/* Any of the keys may be the one that a signature without keyid means. */
static enum err signature_check(struct arena *a, const struct httpsig *s, const struct kept *m,
                                const struct jwks *keys, struct str *why)
{
    struct httpsig_policy policy = {.now_s = s->created_s > 0 ? s->created_s : 0};
    enum err e = ERR_NOT_FOUND;
    *why = arena_printf(a, "no key is named " STR_FMT, STR_ARG(s->keyid));
    for (size_t i = 0; i < keys->n && e != ERR_OK; i++) {
        struct httpsig_key key = {.jwk = keys->keys[i]};
        if (!s->keyid.p || str_eq(jwk_kid(key.jwk), s->keyid))
            e = httpsig_verify(a, s, &m->message, &key, &policy, why);
    }
    return e;
}

static enum err body_check(struct arena *a, const struct kept *m, bool covered, struct str *why)
{
    struct str digest = http_header_get(&m->head, "Content-Digest");
    *why = STR("the body is not covered: the signature names no content-digest");
    if (m->body.n && !covered)
        return ERR_DENIED;
    return digest.p ? httpsig_digest_check(a, digest, m->body, why) : ERR_OK;
}

static void print(const struct options *o, struct arena *a, const struct httpsig *s, struct str why)
{
    struct buf b;
    buf_init(&b, 64 * 1024);
    if (s && httpsig_names_write(&b, s) != ERR_OK)
        buf_reset(&b);
    struct str at = s && s->created_s > 0 ? clock_rfc3339(a, s->created_s * 1000, false) : STR("");
    if (o->json) {
        struct buf out;
        struct jw w;
        buf_init(&out, 128 * 1024);
        jw_start(&w, &out);
        jw_obj(&w);
        jw_kbool(&w, "good", s != NULL);
        if (s) {
            jw_kstr(&w, "label", s->label);
            jw_kstr(&w, "keyid", s->keyid);
            jw_kstr(&w, "created", at);
            jw_kstr(&w, "covers", buf_str(&b));
        } else {
            jw_kstr(&w, "why", why);
        }
        jw_end(&w);
        printf(STR_FMT "\n", STR_ARG(buf_str(&out)));
        buf_free(&out);
    } else if (s) {
        printf("good: signature " STR_FMT " of key " STR_FMT ", made " STR_FMT ", covers " STR_FMT
               "\n",
               STR_ARG(s->label), STR_ARG(s->keyid), STR_ARG(at), STR_ARG(buf_str(&b)));
    } else {
        printf("bad: " STR_FMT "\n", STR_ARG(why));
    }
    buf_free(&b);
}

static enum err verify(struct platform *pf, const struct options *o, struct arena *a,
                       struct httpsig_list *list, struct str *why)
{
    struct kept m, asked;
    struct jwks *keys = NULL;
    struct str url = str_from(o->url ? o->url : pf->settings->base_url);
    enum err e = message_read(a, o->file, url, &m, why);
    if (e == ERR_OK && o->request) {
        e = message_read(a, o->request, url, &asked, why);
        m.message.request = &asked.message;
    }
    if (e == ERR_OK)
        e = keys_read(pf, a, o->keys, &keys, why);
    if (e == ERR_OK)
        e = httpsig_read(a, &m.message, list, why);
    for (size_t i = 0; e == ERR_OK && i < list->n; i++) {
        e = signature_check(a, &list->v[i], &m, keys, why);
        if (e == ERR_OK)
            e = body_check(a, &m, httpsig_covers(&list->v[i], "\"content-digest\""), why);
    }
    jwks_free(keys);
    return e;
}

int signatures_cli_verify(struct platform *pf, int argc, char **argv)
{
    struct options o = {0};
    struct httpsig_list list;
    struct arena a;
    struct str why = STR("");
    if (!pf) {
        fputs(help, stdout);
        return 0;
    }
    if (!options_read(argc, argv, &o)) {
        fputs(help, stderr);
        return 2;
    }
    arena_init(&a);
    enum err e = verify(pf, &o, &a, &list, &why);
    for (size_t i = 0; e == ERR_OK && i < list.n; i++)
        print(&o, &a, &list.v[i], why);
    if (e != ERR_OK)
        print(&o, &a, NULL, why);
    arena_free(&a);
    return e == ERR_OK ? 0 : 1;
}
