/* SD-JWT with key binding (RFC 9901), in its compact form: a JWT whose issuer hid claims behind
 * digests, the disclosures its holder chose to show, and the holder's own signature over both.
 * The order of use is the point: split and believe nothing; verify `jwt` with a key of an issuer
 * that is trusted (jws_verify); only then take the claims out, and check the holder's key. */
#ifndef CRYPTO_SDJWT_H
#define CRYPTO_SDJWT_H

#include "crypto/jose.h"

enum { SDJWT_MAX = 128 * 1024, SDJWT_DISCLOSURES_MAX = 256 };

struct sdjwt {
    struct jws jwt;          /* the issuer's */
    struct str bound;        /* what the key binding covers: up to the last tilde, included */
    struct str key_binding;  /* compact; .n 0: none came */
    struct str *disclosures; /* as sent, base64url */
    size_t n_disclosures;
};
/* ERR_INVALID; ERR_LIMIT: too long, or too many disclosures. Slices live as long as the arena and
 * `text`; free with sdjwt_free, after ERR_OK only. */
enum err sdjwt_split(struct arena *a, struct str text, struct sdjwt *out) MUST_CHECK;
void sdjwt_free(struct sdjwt *s);

/* RFC 9901 7.1: the claims with what was disclosed in its place and without a digest left; caller
 * owns them. ERR_DENIED with *why (static): a digest twice, a disclosure that nothing refers to, a
 * name that is there already, a claim that checks rely on (iss, exp, cnf, vct ...) hidden;
 * ERR_LIMIT over 16 levels. */
enum err sdjwt_claims(struct arena *a, const struct sdjwt *s, json_t **out,
                      const char **why) MUST_CHECK;

/* RFC 9901 7.3: made by the holder of the key that `claims` names (cnf.jwk), for this audience and
 * nonce, over exactly what came, not before `since_ms` and not in the future (60 s of leeway). */
struct sdjwt_wanted {
    struct str audience, nonce;
    int64_t since_ms, now_ms;
};
enum err sdjwt_check_binding(struct arena *a, const struct sdjwt *s, const json_t *claims,
                             const struct sdjwt_wanted *w, const char **why) MUST_CHECK;

#endif
