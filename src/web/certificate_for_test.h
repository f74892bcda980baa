/* Self-signed certificates for the tests of TLS, each an authority of its own. */
#ifndef WEB_CERTIFICATE_FOR_TEST_H
#define WEB_CERTIFICATE_FOR_TEST_H

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <unistd.h>

/* `names` as OpenSSL writes them: "DNS:localhost,IP:127.0.0.1". Aborts where it fails. */
static inline X509 *certificate_for_test(EVP_PKEY *key, const char *subject, const char *names,
                                         long from_s, long until_s)
{
    X509 *x = X509_new();
    X509_NAME *name = X509_get_subject_name(x);
    X509_EXTENSION *san = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, names);
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), from_s);
    X509_gmtime_adj(X509_getm_notAfter(x), until_s);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)subject, -1, -1, 0);
    X509_set_issuer_name(x, name);
    X509_set_pubkey(x, key);
    if (!san || X509_add_ext(x, san, -1) != 1 || X509_sign(x, key, EVP_sha256()) <= 0)
        abort();
    X509_EXTENSION_free(san);
    return x;
}

/* Gives a file of these to `read_them`; it is gone afterwards, as if behind a sandbox. */
static inline void certificates_for_test_known(X509 *const *list, size_t n,
                                               void (*read_them)(const char *file))
{
    char path[] = "/tmp/authorities-XXXXXX";
    int fd = mkstemp(path);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
    if (!f)
        abort();
    for (size_t i = 0; i < n; i++)
        PEM_write_X509(f, list[i]);
    fclose(f);
    read_them(path);
    unlink(path);
}

#endif
