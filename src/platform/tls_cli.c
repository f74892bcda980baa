/* socle tls: an operator's acts on certificates. The key is made in the keys folder, which only the
 * keys process reads when it runs; what comes out is a certificate or a request for one. */
#include "platform/tls_cli.h"

#include <stdio.h>
#include <string.h>
#include "sys/file.h"

enum { FILE_MAX = 256 * 1024, DAYS = 365 };

static const char help[] =
    "usage: socle tls make NAME HOSTS [--rsa]      a certificate signed by itself, for "
    "development\n"
    "       socle tls request NAME HOSTS [--rsa]   prints a request (CSR) for an authority\n"
    "       socle tls install NAME FILE            the authority's certificate and its chain\n"
    "       socle tls import NAME KEY FILE         a key and a certificate made elsewhere\n"
    "  NAME    of the certificate's file; \"default\" is for clients that name no host\n"
    "  NAME    client-API: shown to the provider of that API, when it asks who we are\n"
    "  HOSTS   names and addresses, with commas between\n"
    "The key is made where there is none of that name, and never leaves the keys process.\n"
    "A running platform takes a new certificate within seconds, without losing a request.\n";

struct run {
    struct platform *pf;
    struct arena arena;
    const char *words[5];
    size_t n;
    bool rsa;
};

static int failed(const struct run *r, const char *what, enum err e)
{
    fprintf(stderr, "socle tls %s: %s (%s)\n", r->words[0], what, err_name(e));
    return 1;
}

static int put(struct run *r, const char *name, struct str pem)
{
    const char *folder = r->pf->settings->tls_certificates;
    const char *path = arena_printf(&r->arena, "%s/%s.pem", folder, name).p;
    enum err e = file_make_dirs(folder, 0700);
    if (e == ERR_OK)
        e = file_write_atomic(path, pem, 0600);
    if (e != ERR_OK)
        return failed(r, "the certificate cannot be written", e);
    printf("%s\n", path);
    return 0;
}

static int certify(struct run *r, unsigned days)
{
    struct str pem;
    enum err e = keys_tls_certify(r->pf->keys, str_from(r->words[1]), r->rsa ? "rsa" : "ec",
                                  str_from(r->words[2]), days, &r->arena, &pem);
    if (e != ERR_OK)
        return failed(r, "a name or a host is not acceptable", e);
    if (days)
        return put(r, r->words[1], pem);
    printf(STR_FMT, STR_ARG(pem));
    return 0;
}

static int make(struct run *r)
{
    return certify(r, DAYS);
}

static int request(struct run *r)
{
    return certify(r, 0);
}

static int install(struct run *r)
{
    struct str pem;
    enum err e = file_read(&r->arena, r->words[2], FILE_MAX, &pem);
    return e == ERR_OK ? put(r, r->words[1], pem) : failed(r, "the file cannot be read", e);
}

static int import(struct run *r)
{
    struct str key, pem;
    enum err e = file_read(&r->arena, r->words[2], FILE_MAX, &key);
    if (e == ERR_OK)
        e = file_read(&r->arena, r->words[3], FILE_MAX, &pem);
    if (e != ERR_OK)
        return failed(r, "a file cannot be read", e);
    e = keys_tls_import(r->pf->keys, str_from(r->words[1]), key);
    return e == ERR_OK ? put(r, r->words[1], pem) : failed(r, "the key is not usable", e);
}

static const struct {
    const char *name;
    size_t n_words;
    int (*fn)(struct run *r);
} acts[] = {
    {"make", 3, make}, {"request", 3, request}, {"install", 3, install}, {"import", 4, import}};

int tls_cli(struct platform *pf, int argc, char **argv)
{
    struct run r = {.pf = pf};
    int code = 2;
    if (!pf) {
        fputs(help, stdout);
        return 0;
    }
    for (int i = 1; i < argc && r.n < COUNT_OF(r.words); i++)
        if (strcmp(argv[i], "--rsa") == 0)
            r.rsa = true;
        else
            r.words[r.n++] = argv[i];
    arena_init_secret(&r.arena);
    for (size_t i = 0; r.n && i < COUNT_OF(acts); i++)
        if (strcmp(r.words[0], acts[i].name) == 0 && r.n == acts[i].n_words) {
            code = acts[i].fn(&r);
            r.n = 0;
        }
    if (code == 2)
        fputs(help, stderr);
    arena_free(&r.arena);
    return code;
}
