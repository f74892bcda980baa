/* JWE compact (RFC 7516) with what FranceConnect+ and its clients use: ECDH-ES on P-256 or
 * RSA-OAEP-256, and A256GCM (RFC 7518). Encrypting needs the reader's public key only; opening asks
 * the keys process for the content key (keys_cek) and does the rest here. */
#ifndef CRYPTO_JWE_H
#define CRYPTO_JWE_H

#include <jansson.h>
#include "base/arena.h"
#include "base/err.h"

enum jwe_alg { JWE_NONE, JWE_ECDH_ES, JWE_RSA_OAEP_256 };
const char *jwe_alg_name(enum jwe_alg alg); /* "ECDH-ES"; JWE_NONE: "none" */
enum err jwe_alg_from_name(struct str name, enum jwe_alg *out) MUST_CHECK;

enum { JWE_CEK_LEN = 32, JWE_POINT_LEN = 64, JWE_MAX = 128 * 1024 };

/* Of the key set, the first key for encryption that fits: "use": "enc", or none said. "cty" may be
 * NULL; "JWT" for a signed token inside. ERR_NOT_FOUND: there is no such key. */
enum err jwe_encrypt(struct arena *a, struct str jwks_json, enum jwe_alg alg, const char *cty,
                     struct str plain, struct str *compact) MUST_CHECK;
bool jwe_key_is_in(struct str jwks_json, enum jwe_alg alg);

/* Five parts, split and decoded; nothing is believed yet. ERR_INVALID: another alg or enc, zip,
 * crit, a member given twice, lengths that cannot be; ERR_LIMIT. Slices live with the arena and
 * `compact`. */
struct jwe {
    enum jwe_alg alg;
    struct str kid;           /* "" absent */
    struct str aad;           /* the first part, as sent */
    struct str encrypted_key; /* RSA: the wrapped key. ECDH-ES: x and y of the sender's point */
    struct str party_info;    /* ECDH-ES: RFC 7518 4.6.2's OtherInfo, whole */
    struct str iv, ciphertext, tag;
};
bool jwe_is(struct str compact); /* five parts: worth a try */
enum err jwe_split(struct arena *a, struct str compact, struct jwe *out) MUST_CHECK;
/* ERR_CORRUPT: not what was encrypted under this key. */
enum err jwe_open(struct arena *a, const struct jwe *j, const uint8_t cek[JWE_CEK_LEN],
                  struct str *plain) MUST_CHECK;

/* RFC 7518 4.6.2, for one block of SHA-256. */
struct str jwe_party_info(struct arena *a, const char *enc, struct str apu, struct str apv,
                          unsigned bits);
void jwe_concat_kdf(struct str shared, struct str party_info, uint8_t out[32]);

#endif
