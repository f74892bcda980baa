/* The demonstration's identity provider: an OpenID provider of its own (OpenID Connect Core 1.0,
 * code flow, PKCE), three issuers in one process. It knows of Socle its registration, nothing else:
 * what works with it works with any provider of the standard. Nothing is stored: sessions, codes
 * and access tokens are sealed under a key drawn at start, and codes are remembered until they
 * expire. */
#ifndef DEMO_IDP_H
#define DEMO_IDP_H

#include "crypto/keys.h"
#include "data/json.h"
#include "demo/world.h"
#include "web/form.h"
#include "web/server.h"

struct idp {
    const struct settings *settings;
    struct keys *keys;     /* its own, in <data>/demo/idp-keys */
    json_t *registrations; /* by path: {client_id, secret_sha256, redirect_uris, after_logout} */
    uint8_t seal_key[32];
};

/* One request, of one issuer. */
struct idp_call {
    struct idp *idp;
    const struct demo_provider *provider;
    const json_t *client; /* its registration */
    struct str issuer;
    struct web_request *rq;
    struct web_response *rs;
    struct form query, form;
    const char *lang;
    struct json_pool pool;
};

/* Endpoints. */
void idp_authorize(struct idp_call *x); /* GET and POST: the sign-in page, then the code */
void idp_token(struct idp_call *x);
void idp_userinfo(struct idp_call *x);
void idp_end_session(struct idp_call *x);

/* A JSON object sealed for one use ("code", "token", "session"); it holds "until" in milliseconds.
 * idp_open: NULL for what is not ours, or too old; else owned by the call. */
struct str idp_seal(struct idp_call *x, const char *use, json_t *content /* stolen */);
json_t *idp_open(struct idp_call *x, const char *use, struct str text);

const json_t *idp_account(struct str login, const char *realm);
/* {"sub", and the claims that the scopes give}; a new reference. */
json_t *idp_claims(struct idp_call *x, const json_t *account, struct str scope);

void idp_json(struct idp_call *x, int status, json_t *body /* stolen */);
void idp_oauth_error(struct idp_call *x, int status, const char *error, const char *description);
void idp_redirect(struct idp_call *x, struct str to);
bool idp_list_has(const json_t *list, struct str value);

#endif
