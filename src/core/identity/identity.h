/* Identity's doors for the demonstration's loader, the commands and tests: register a client, a
 * provider, an operator. Other services meet identity through platform_call (docs/CALLS.md). */
#ifndef IDENTITY_IDENTITY_H
#define IDENTITY_IDENTITY_H

#include "platform/ctx.h"

/* What NULL means is said beside each member. */
struct identity_client {
    const char *id;                /* NULL: a new one is drawn */
    const char *org_id;            /* NULL: of no organisation (a sandbox) */
    const char *name_fr, *name_en; /* name_en NULL: as in French */
    const char *profile;           /* "strict" as FranceConnect answers, "modern" (NULL), "fapi" */
    const char *realm; /* "citizens" (NULL), "agents", "any": the request's realm=agents chooses */
    const char *entity_id; /* clients of one entity see the same sub; NULL: the client's id */
    const char *const *redirect_uris;
    size_t n_redirect_uris;
    const char *const *post_logout_uris;
    size_t n_post_logout_uris;
    const char *login_uri; /* where people begin there (OpenID Connect Core 4); NULL: not a space */
    const char *scopes;    /* blank-separated; NULL: any */
    const char *providers; /* identity providers it accepts, blank-separated; NULL: all */
    const char *auth_methods; /* NULL: client_secret_basic client_secret_post */
    const char *jwks;         /* for private_key_jwt; NULL: none */
    /* "ES256" (NULL) or "RS256"; then " ECDH-ES" or " RSA-OAEP-256": encrypted (A256GCM) for its
     * key of "use": "enc". */
    const char *id_token_alg;
    const char *userinfo_alg; /* as that, or "none"; NULL: none, and ES256 where strict */
    bool pkce;                /* required, whatever the profile */
    bool par;                 /* pushed requests only (RFC 9126); always so with fapi */
    const char *bound;        /* tokens bound by "dpop" or "mtls"; NULL: as the client sends */
    const char *logout_uri;   /* back-channel logout; NULL: none */
    bool data_provider;       /* may ask whom a token is about (checktoken, RFC 7662) */
    const char *consent;      /* of her identity: "inform" (NULL) tells her, "ask" asks her */
    const char *secret;       /* NULL: drawn when new, kept when known */
    const char *state;        /* "pending": it may do nothing yet; NULL: active */
    const char *actor;        /* who registers it, for the journal; NULL: no entry (the loader) */
};
/* Creates or replaces. id and secret (either NULL) are in the context's arena; the secret is
 * STR_NONE when it was kept: it is shown once only. ERR_INVALID: *why names the member. */
enum err identity_client_put(struct ctx *c, const struct identity_client *in, struct str *id,
                             struct str *secret, const char **why) MUST_CHECK;

struct identity_provider {
    const char *id;                                    /* "impots": stands in addresses */
    const char *realm;                                 /* "citizens" (NULL) or "agents" */
    const char *name_fr, *name_en, *hint_fr, *hint_en; /* hints may be NULL */
    const char *issuer; /* discovery is read below it unless `conf` names the endpoints */
    const char *client_id;
    const char *secret; /* NULL: private_key_jwt with this platform's key */
    /* JSON object, members all optional: authorization_endpoint, token_endpoint, userinfo_endpoint,
     * jwks_uri, end_session_endpoint; scope; acr {"eidas1": "what it calls it"}; acr_assumed
     * "eidas1": where it says no level; algs ["ES256"]; auth ("basic", "post", "private_key_jwt");
     * pkce (true), nonce (true), prompt (true), acr_values (true), login_hint (false), siret_hint
     * (false), ui_locales (true): what it may be sent; encrypted (false), userinfo_signed (false):
     * what it must send. */
    const char *conf;
    const char *min_acr; /* NULL: eidas1 */
    int position;
    const char *state; /* "sandbox": nobody is sent there but by its own test; NULL: active */
    const char *actor; /* who registers it, for the journal; NULL: no entry (the loader) */
};
enum err identity_provider_put(struct ctx *c, const struct identity_provider *in,
                               const char **why) MUST_CHECK;

/* An operator. password NULL: one is drawn and given in *password_out. ERR_EXISTS. */
enum err identity_operator_add(struct ctx *c, const char *role, const char *login, const char *name,
                               const char *password, struct str *id,
                               struct str *password_out) MUST_CHECK;

#endif
