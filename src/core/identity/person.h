/* Persons: who somebody is to us, and by which name a client knows her. */
#ifndef IDENTITY_PERSON_H
#define IDENTITY_PERSON_H

#include "core/identity/client.h"
#include "platform/ctx.h"

/* What a provider said, checked; and what we make of it. */
struct sign_in {
    struct str provider, provider_sub, realm;
    json_t *claims;    /* pivot or agent claims, checked */
    struct str person; /* out: a ULID, or "agent:<ULID>" */
    bool is_new;       /* out */
};
/* Finds the person by her pivot identity or by the provider's identifier, or makes her. ERR_DENIED:
 * her account is blocked. */
enum err person_signed_in(struct ctx *c, struct sign_in *s) MUST_CHECK;

/* All that is known of her (caller's pool owns it; shared: not to be changed). ERR_NOT_FOUND:
 * erased or unknown. */
enum err person_claims(struct ctx *c, struct str person, json_t **out) MUST_CHECK;

/* Her identifier for a client: the stored one, else computed and stored. Agents: their id. */
enum err person_sub(struct ctx *c, struct str person, const json_t *claims, const struct client *k,
                    struct str *sub) MUST_CHECK;

/* Claims she was told this client receives, blank-separated; "" when none. */
enum err person_told(struct ctx *c, struct str person, struct str client_id,
                     struct str *claims) MUST_CHECK;
/* Inside a closure; once it is committed, person_told_changed. */
enum err person_tell(struct db_conn *db, struct str person, struct str client_id, struct str claims,
                     int64_t now_ms) MUST_CHECK;
void person_told_changed(struct ctx *c, struct str person, struct str client_id);

/* Somebody was erased, here or elsewhere: nothing of anybody is kept. */
void person_cache_clear(void);

#endif
