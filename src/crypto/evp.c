/* The shared state that OpenSSL needs to be fast: see evp.h. */
#include "crypto/evp.h"

#include <openssl/core_names.h>
#include <openssl/params.h>
#include <pthread.h>
#include "base/log.h"

static struct evp shared;
static pthread_once_t shared_once = PTHREAD_ONCE_INIT;
static pthread_key_t thread_key;
static _Thread_local struct evp_thread *mine;

void evp_must(int ok, const char *what)
{
    if (ok > 0)
        return;
    log_error("crypto_failed", "what", what);
    abort();
}

static void thread_end(void *p)
{
    struct evp_thread *t = p;
    EVP_MD_CTX_free(t->digest);
    EVP_MAC_CTX_free(t->hmac);
    EVP_CIPHER_CTX_free(t->cipher);
    EVP_PKEY_CTX_free(t->sign);
    free(t);
    mine = NULL;
}

static void shared_start(void)
{
    char name[] = "SHA256";
    OSSL_PARAM digest[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
        OSSL_PARAM_construct_end(),
    };
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    shared.sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    shared.sha512 = EVP_MD_fetch(NULL, "SHA512", NULL);
    shared.aes_256_gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    evp_must(hmac && shared.sha256 && shared.sha512 && shared.aes_256_gcm, "fetch");
    shared.hmac_sha256 = EVP_MAC_CTX_new(hmac);
    EVP_MAC_free(hmac);
    evp_must(shared.hmac_sha256 && EVP_MAC_CTX_set_params(shared.hmac_sha256, digest), "hmac");
    evp_must(pthread_key_create(&thread_key, thread_end) == 0, "thread key");
}

const struct evp *evp(void)
{
    pthread_once(&shared_once, shared_start);
    return &shared;
}

struct evp_thread *evp_thread(void)
{
    if (mine)
        return mine;
    const struct evp *e = evp();
    struct evp_thread *t = calloc(1, sizeof *t);
    evp_must(t != NULL, "memory");
    t->digest = EVP_MD_CTX_new();
    t->hmac = EVP_MAC_CTX_dup(e->hmac_sha256);
    t->cipher = EVP_CIPHER_CTX_new();
    evp_must(t->digest && t->hmac && t->cipher, "contexts");
    evp_must(pthread_setspecific(thread_key, t) == 0, "thread key");
    mine = t;
    return t;
}
