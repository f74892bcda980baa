/* Authenticated encryption of stored values: AES-256-GCM, random 96-bit nonce.
 * Format (docs/formats/seal.md): byte version 1, nonce 12, ciphertext, tag 16. `context` is bound
 * as additional data: a value moved to another row or column does not open. */
#ifndef CRYPTO_SEAL_H
#define CRYPTO_SEAL_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

enum { SEAL_KEY_LEN = 32, SEAL_OVERHEAD = 1 + 12 + 16 };
struct str seal(struct arena *a, const uint8_t key[SEAL_KEY_LEN], struct str context,
                struct str plain);
enum err unseal(struct arena *a, const uint8_t key[SEAL_KEY_LEN], struct str context,
                struct str sealed, struct str *plain) MUST_CHECK; /* ERR_CORRUPT */

#endif
