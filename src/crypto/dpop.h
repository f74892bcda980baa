/* DPoP (RFC 9449): a proof that whoever sends a request holds the key its token is bound to. Pure
 * checks, and a bounded memory of the proofs that were seen. */
#ifndef CRYPTO_DPOP_H
#define CRYPTO_DPOP_H

#include "crypto/jose.h"

enum {
    DPOP_TEXT_MAX = 8 * 1024,
    DPOP_PAST_MS = 60 * 1000,  /* how old a proof may be ... */
    DPOP_AHEAD_MS = 10 * 1000, /* ... and how far ahead its clock */
    DPOP_JKT_LEN = 43,
};
#define DPOP_ALGS "ES256 PS256 RS256 EdDSA" /* in the order we prefer */

/* A key that was read before: the header of its proofs, which hold it, and the key. */
struct dpop_key {
    struct str header; /* its owner's memory; .p NULL: none yet */
    struct jwk *key;
    char jkt[DPOP_JKT_LEN + 1];
};
void dpop_key_free(struct dpop_key *k);

struct dpop_wanted {
    struct str method, url; /* url without query and fragment */
    struct str token;       /* the access token that came with it; .p NULL: none (token endpoint) */
    struct str jkt;         /* the thumbprint the token is bound to; .p NULL: any */
    int64_t now_ms;
};
struct dpop_proof {
    struct str jkt, jti;
    uint64_t seen; /* what dpop_seen_add takes: the proof's identity under its key */
};
/* RFC 9449 4.3 but for the replay. `kept` may be NULL; else its key spares reading the same header
 * again, and is filled from `kept_arena` when it is empty. ERR_DENIED: *why says what (static). */
enum err dpop_check(struct arena *a, struct str compact, const struct dpop_wanted *w,
                    struct dpop_key *kept, struct arena *kept_arena, struct dpop_proof *out,
                    const char **why) MUST_CHECK;

/* Proofs seen within their life, two generations of it: each is kept for one life at least.
 * Bounded: when a generation is full nothing more is believed until it has passed. Not thread-safe.
 */
struct dpop_seen {
    uint64_t *slots[2];
    size_t cap[2], n[2];
    int64_t began_ms; /* of generation 0, monotonic */
    size_t max;
};
void dpop_seen_init(struct dpop_seen *s, size_t max);
void dpop_seen_free(struct dpop_seen *s);
/* ERR_EXISTS: replayed; ERR_LIMIT: full. */
enum err dpop_seen_add(struct dpop_seen *s, uint64_t proof, int64_t mono_ms) MUST_CHECK;

#endif
