/* Passwords: Argon2id (RFC 9106), 19 MiB, t=2, p=1, PHC string form. At most one at a time per core
 * in a process; the others queue. */
#ifndef CRYPTO_PASSWORD_H
#define CRYPTO_PASSWORD_H

#include "base/arena.h"
#include "base/err.h"

/* Callers refuse longer ones (asserted); password_matches answers false. */
enum { PASSWORD_BYTES_MAX = 1024 };

struct str password_hash(struct arena *a, struct str password);
/* Same time for a wrong password and for phc.p == NULL (no such account). */
bool password_matches(struct str phc, struct str password);

#endif
