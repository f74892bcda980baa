/* Sets of public keys of others (clients, providers), read once: reading a key costs more than
 * verifying with it. */
#ifndef IDENTITY_KEYSET_H
#define IDENTITY_KEYSET_H

#include "crypto/jose.h"

/* As jwks_read; the caller ends it with jwks_free. */
enum err keyset_read(struct str json, struct jwks **out) MUST_CHECK;

#endif
