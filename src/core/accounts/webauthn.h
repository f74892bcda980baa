/* WebAuthn Level 2, the relying party's side: 7.1 (registering a credential) and 7.2 (an
 * assertion). Everything that comes in was chosen by somebody else; nothing is believed before its
 * place in those lists was checked. Attestations: packed (8.2), fido-u2f (8.6), none (8.7).
 *
 * Why not libfido2: Debian 12's reads no attestation object, refuses extensions of the
 * authenticator that were not announced to it (credProtect, which Chromium adds by itself), and
 * leaves the chain of certificates to its caller: what would remain of it is one call that checks
 * a signature. */
#ifndef ACCOUNTS_WEBAUTHN_H
#define ACCOUNTS_WEBAUTHN_H

#include <openssl/x509.h>
#include "base/arena.h"
#include "base/err.h"

enum { WA_UP = 1, WA_UV = 4, WA_BE = 8, WA_BS = 16, WA_AT = 64, WA_ED = 128 };
enum { WA_ES256 = -7, WA_EDDSA = -8, WA_RS256 = -257 };
enum { WA_ID_MAX = 1023, WA_OBJECT_MAX = 16 * 1024, WA_AAGUID_LEN = 16 };

struct wa_expect {
    struct str rp_id, origin, challenge; /* challenge: the bytes */
    bool user_verified;                  /* UV is needed */
    X509_STORE *anchors;                 /* makers that are trusted; NULL: none */
};

struct wa_credential {
    struct str id;
    int64_t alg;
    struct str key;    /* SubjectPublicKeyInfo, DER */
    struct str aaguid; /* 16 bytes */
    unsigned flags;
    uint32_t count;
    bool attested; /* its attestation leads to one of the anchors */
};

/* ERR_INVALID and what is wrong in *why (static). The result lies in the arena or in the inputs. */
enum err wa_register(struct arena *a, const struct wa_expect *x, struct str client_data,
                     struct str attestation_object, struct wa_credential *out,
                     const char **why) MUST_CHECK;

/* Of a known credential: its alg, key, flags and count are read; on success flags and count are
 * those of the assertion. A counter that does not grow, where there is one, is a copy's (6.1.1). */
enum err wa_assert(struct arena *a, const struct wa_expect *x, struct wa_credential *known,
                   struct str client_data, struct str auth_data, struct str signature,
                   const char **why) MUST_CHECK;

/* The certificates of a PEM text. NULL when there is none. */
X509_STORE *wa_anchors(struct str pem);

#endif
