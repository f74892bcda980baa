/* The folder of private keys and secrets (docs/formats/keys.md): what is in it, made at first
 * start, checked at each start. Private to this folder; only keys.c opens it. Not thread-safe. */
#ifndef CRYPTO_KEYSTORE_H
#define CRYPTO_KEYSTORE_H

#include "crypto/jwk.h"

enum keystore_slot { SLOT_CURRENT, SLOT_NEXT, SLOT_OLD, SLOT_COUNT };
enum { KID_LEN = 43, KEYSTORE_SECRET_LEN = 32 };

struct keystore_key {
    EVP_PKEY *pkey; /* NULL: not there */
    char kid[KID_LEN + 1];
};

struct keystore;
/* ERR_DENIED: others may read the folder or a file. ERR_CORRUPT: a file is damaged, or one that was
 * made is gone; nothing is made in its place. Logged by name. */
enum err keystore_open(const char *folder, struct keystore **out) MUST_CHECK;
void keystore_close(struct keystore *s);

/* The key that signs; made now when it is of the kinds made at first use. ERR_NOT_FOUND. */
enum err keystore_signer(struct keystore *s, struct str purpose, enum jose_alg alg,
                         const struct keystore_key **out) MUST_CHECK;

/* Every key of a purpose, in order; false at the end. Start with *at = 0. */
bool keystore_next(const struct keystore *s, struct str purpose, size_t *at, enum jose_alg *alg,
                   const struct keystore_key **out);

/* What a secret may be used for; one use each. */
enum keystore_use { USE_MAC, USE_WRAP, USE_SHARED };
enum err keystore_secret(const struct keystore *s, struct str name, enum keystore_use use,
                         const uint8_t **out) MUST_CHECK;

/* Another process (an operator's command) made keys in the folder since: open it anew. */
bool keystore_changed(const struct keystore *s);

/* The next keys of a purpose become current, the current ones old, new ones are made. */
enum err keystore_rotate(struct keystore *s, struct str purpose) MUST_CHECK;

#endif
