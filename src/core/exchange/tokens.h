/* Access tokens the loop has already believed. Verifying a signature costs some 65 us, so it is
 * done once per token and loop; afterwards a token is found by its signature part and compared
 * whole. What the call needs (grants, the identity header for the provider, the subject's key) is
 * ready-made. */
#ifndef EXCHANGE_TOKENS_H
#define EXCHANGE_TOKENS_H

#include "base/arena.h"
#include "base/err.h"
#include "base/map.h"
#include "core/exchange/faults.h"
#include "core/exchange/quota.h"
#include "core/exchange/snapshot.h"
#include "crypto/dpop.h"

enum { TOKEN_TEXT_MAX = 8 * 1024, TOKEN_GRANTS_MAX = 64 };

struct token_grant {
    struct str api, contract, consent; /* consent "" when none */
    /* Found anew when the snapshot or the deny list changes (decide.h). */
    const struct exchange_contract *k;
    enum gw_code verdict;
    int64_t denied_at_ms;
    int64_t refusal_kept_ms; /* monotonic: when a refusal was last recorded */
    struct quota *quota;
};

struct token {
    struct arena arena; /* wiped: holds the subject's key */
    struct str text, signature;
    struct str jti, client_id, family; /* family: of a refresh token; "" none */
    struct str jkt, x5t;               /* what it is bound to (cnf); "" none */
    struct dpop_key proof_key;         /* read once: later proofs cost their signature alone */
    int64_t issued_ms, expires_ms;
    bool has_subject;
    struct str person;   /* names the side rows; never sent anywhere */
    struct str identity; /* Socle-Subject: base64url of the pivot identity's JSON */
    const uint8_t *subject_key;
    uint8_t subject_hash[32]; /* SHA-256 of the person id: what commitments are made of */
    struct token_grant *grants;
    size_t n_grants;
    uint64_t snapshot_seen, deny_seen; /* of which the grants' verdicts are; 0 never */
    bool revoked;
    unsigned refs;
    struct token *newer, *older;
};

struct token_rules {
    const struct jwks *keys;
    struct str issuer, audience;
    const uint8_t *seal_key;
    int64_t now_ms;
};
/* GW_OK and a token of one reference, or why not (GW_TOKEN_*). */
enum gw_code token_verify(struct str text, const struct token_rules *r,
                          struct token **out) MUST_CHECK;
/* Cheap look at the form, before any cryptography: three base64url parts of bounded length. */
bool token_is_formed(struct str text, struct str *signature);
void token_unref(struct token *t);

/* One per loop, bounded; the least recently used leaves first. */
struct token_cache {
    struct map by_signature;
    struct token *newest, *oldest;
    size_t max;
};
void token_cache_init(struct token_cache *c, size_t max);
void token_cache_free(struct token_cache *c);
/* Borrowed; NULL when unknown. */
struct token *token_cache_get(struct token_cache *c, struct str text, struct str signature);
/* Takes a reference of its own. */
void token_cache_put(struct token_cache *c, struct token *t);
void token_cache_clear(struct token_cache *c);
void token_cache_drop(struct token_cache *c, struct token *t);

#endif
