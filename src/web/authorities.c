#include "web/authorities.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <pthread.h>
#include "base/arena.h"
#include "base/log.h"
#include "sys/file.h"

enum { FILE_MAX = 4 * 1024 * 1024 };

static struct arena arena;
static struct str pem;
static X509_STORE *store;
static pthread_once_t parsed = PTHREAD_ONCE_INIT;

static void parse(void)
{
    BIO *bio = BIO_new_mem_buf(pem.p ? pem.p : "", (int)pem.n);
    store = X509_STORE_new();
    if (!bio || !store)
        abort();
    for (X509 *x; (x = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL; X509_free(x))
        X509_STORE_add_cert(store, x);
    ERR_clear_error(); /* the end of the file is one */
    BIO_free(bio);
}

void authorities_read(const char *file)
{
    arena_reset(&arena);
    pem = STR_NONE;
    if (!file || file_read(&arena, file, FILE_MAX, &pem) != ERR_OK)
        log_warn("without_authorities", "file", file);
}

X509_STORE *authorities_store(void)
{
    pthread_once(&parsed, parse);
    return store;
}
