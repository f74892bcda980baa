/* The certificate authorities that outgoing TLS trusts, one set for the process. */
#ifndef WEB_AUTHORITIES_H
#define WEB_AUTHORITIES_H

#include <openssl/types.h>

/* Once, before threads and before the sandbox, which lets nobody read files: keeps the file's text.
 * Without it nobody is trusted. */
void authorities_read(const char *file);

/* Parsed at the first use, because that takes longer than the rest of a start, and once, because a
 * connection each would cost as much. From any thread; the store is the process's. */
X509_STORE *authorities_store(void);

#endif
