/* How many ES256 signatures one thread makes in a second, and nothing else: what bounds an issuer
 * that signs. One context, used again; the message is an access token's length. */
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now_s(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? strtod(argv[1], NULL) : 2, began_s;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    EVP_MD *sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    unsigned char text[900], digest[32], sig[80];
    uint64_t n = 0;
    if (!key || !ctx || !md || !sha256 || EVP_PKEY_sign_init(ctx) != 1)
        return 1;
    memset(text, 'x', sizeof text);
    for (began_s = now_s(); now_s() - began_s < seconds; n++) {
        size_t sig_n = sizeof sig;
        memcpy(text, &n, sizeof n);
        if (EVP_DigestInit_ex(md, sha256, NULL) != 1 ||
            EVP_DigestUpdate(md, text, sizeof text) != 1 ||
            EVP_DigestFinal_ex(md, digest, NULL) != 1 ||
            EVP_PKEY_sign(ctx, sig, &sig_n, digest, sizeof digest) != 1)
            return 1;
    }
    printf("{\"signatures\":%llu,\"rate\":%.0f}\n", (unsigned long long)n,
           (double)n / (now_s() - began_s));
    return 0;
}
