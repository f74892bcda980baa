/* Randomness from the kernel. Aborts when the kernel has none: nothing may go on without. */
#ifndef BASE_RAND_H
#define BASE_RAND_H

#include "base/str.h"

void rand_bytes(void *out, size_t n);

/* A new identifier: ULID text (48 bits of milliseconds, 80 random bits, Crockford base 32), 26
 * characters and a NUL. Sorts by time; unguessable enough for a name, not for a secret. */
enum { ID_LEN = 26 };
void id_new(char out[ID_LEN + 1]);
bool id_is_valid(struct str s);
/* When it was drawn, in milliseconds since 1970; -1: not formed. */
int64_t id_time_ms(struct str s);

/* A secret of 256 bits as 43 characters of base64url and a NUL. */
enum { SECRET_LEN = 43 };
void secret_new(char out[SECRET_LEN + 1]);

#endif
