/* TLS keys that stay in the keys process: a private key that OpenSSL may use and nobody can read.
 * A small OpenSSL provider (tlskey_provider.c) asks for each signature over the channel "keys.tls".
 *
 * A signature blocks its thread until the keys process has answered: handshakes run apart from the
 * loops (web/greet.c). */
#ifndef CRYPTO_TLSKEY_H
#define CRYPTO_TLSKEY_H

#include <openssl/types.h>
#include "crypto/keys.h"

/* The private half of a certificate's key, whatever certificate it is of. ERR_NOT_FOUND: the keys
 * process has no such key; ERR_INVALID: of a kind that no TLS key of ours is. `k` must outlive it
 * and every connection. */
enum err tlskey_open(struct keys *k, EVP_PKEY *of_certificate, EVP_PKEY **out) MUST_CHECK;

/* SHA-256 of the SubjectPublicKeyInfo: how the two processes name a key. */
bool tlskey_id(EVP_PKEY *pkey, uint8_t out[KEYS_TLS_ID_LEN]);

#endif
