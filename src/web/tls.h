/* TLS on our side of a connection: certificates and what is agreed with them. The private keys are
 * in the keys process (crypto/tlskey.h); here are certificates, which everybody may read.
 *
 * TLS 1.3, and 1.2 with forward secrecy and authenticated encryption only (ANSSI's guide on TLS,
 * version 1.2). http/1.1 by ALPN. Sessions are resumed from tickets whose keys live in memory and
 * change every hour. */
#ifndef WEB_TLS_H
#define WEB_TLS_H

#include <openssl/types.h>
#include "base/err.h"
#include "base/str.h"
#include "crypto/keys.h"

enum tls_kind {
    TLS_NONE,
    TLS_WEB,     /* nobody is asked for a certificate */
    TLS_CLIENTS, /* everybody is: an authority of ours, or its own signature */
    TLS_KINDS
};

struct tls_conf {
    struct keys *keys;             /* over the channel "keys.tls" */
    const char *folder;            /* NAME.pem: a certificate and its chain; "default.pem" first;
                                    * client-NAME.pem is for us as a client, and no concern here */
    struct str client_authorities; /* PEM; "" none: certificates that signed themselves */
};
struct tls;
/* Certificates that cannot be used are logged; a folder without any is no error: connections are
 * then closed until there is one. */
struct tls *tls_open(const struct tls_conf *conf);
void tls_close(struct tls *t);
/* Looks at the folder; what changed holds for the next connections, those under way go on. True
 * when something did. */
bool tls_reload(struct tls *t);
size_t tls_count(struct tls *t); /* of certificates in use */

/* For an accepted socket; NULL: there is no certificate. */
SSL *tls_new(struct tls *t, enum tls_kind kind, int fd);
/* The client's certificate as a structured field (":base64:", RFC 9440), to be freed, and its
 * thumbprint (x5t#S256, RFC 8705 3.1). NULL: it showed none. */
enum { TLS_X5T_LEN = 43 };
char *tls_client_certificate(SSL *ssl, char x5t[TLS_X5T_LEN + 1]);

struct stack_st_X509;
/* A certificate and its chain out of PEM; false: none. Both are to be freed in any case. */
bool tls_certificates_read(struct str pem, X509 **leaf, struct stack_st_X509 **chain);

#endif
