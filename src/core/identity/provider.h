/* The identity providers we ask, and what was last seen of them. */
#ifndef IDENTITY_PROVIDER_H
#define IDENTITY_PROVIDER_H

#include "core/identity/request.h"
#include "crypto/jose.h"
#include "platform/ctx.h"

struct provider {
    struct str id, realm, name_fr, name_en, hint_fr, hint_en, issuer, client_id;
    struct str secret;   /* opened; .p NULL: private_key_jwt */
    json_t *conf, *meta; /* owned by the context */
    struct str jwks;     /* JSON; .n 0: not read yet */
    enum level min_level;
    struct str state;    /* "active", "sandbox", "asked", "disabled" */
    struct str redirect; /* where a trial comes back; .p NULL: where everybody does */
    bool up;             /* false: the last look found it down */
    int64_t checked_ms;  /* when that was; 0 never */
};
/* Of a realm, active, in order. `secret` is not opened. */
enum err provider_list(struct ctx *c, struct str realm, struct provider **out,
                       size_t *n) MUST_CHECK;
/* Active, with its secret; ERR_NOT_FOUND. */
enum err provider_get(struct ctx *c, struct str id, struct provider **out) MUST_CHECK;

/* In whatever state: for its trials, and for those who look after it. */
enum err provider_get_any(struct ctx *c, struct str id, struct provider **out) MUST_CHECK;
/* Its metadata as it answers now; *problem names what is wrong (static). The pool owns *out. */
enum err provider_meta_now(struct ctx *c, const struct provider *p, json_t **out,
                           const char **problem) MUST_CHECK;
enum err provider_fetch(struct ctx *c, struct str url, struct str *body) MUST_CHECK;
/* One was registered or changed, here or elsewhere. */
void provider_cache_clear(void);

/* An endpoint: of the settings, else of the metadata (read now when it never was). .p NULL. */
struct str provider_endpoint(struct ctx *c, struct provider *p, const char *name);
/* Its keys; again: they were read before, and lack what a token names. */
enum err provider_keys(struct ctx *c, struct provider *p, bool again, struct jwks **out) MUST_CHECK;

bool provider_flag(const struct provider *p, const char *name, bool absent);
/* Our name of a level in its words, and back (LEVEL_NONE: not a level of ours). */
struct str provider_acr(const struct provider *p, enum level l);
/* What an ID token of its says, else what its sign-ins are taken for (acr_assumed). *acr: in its
 * words. */
enum level provider_level(const struct provider *p, const json_t *id_claims, struct str *acr);
unsigned provider_algs(const struct provider *p);
json_t *provider_name(const struct provider *p); /* {"fr","en"} */

/* Looks at the metadata and keys of each provider whose turn it is; from a thread of `jobs`. */
void provider_health(struct platform *pf);

#endif
