/* An authorization request (OpenID Connect Core 3.1.2.1), read and judged without asking anybody:
 * pure functions, so that they can be fuzzed and tested alone. */
#ifndef IDENTITY_REQUEST_H
#define IDENTITY_REQUEST_H

#include <jansson.h>
#include "base/arena.h"
#include "base/err.h"
#include "web/form.h"

enum profile { PROFILE_STRICT, PROFILE_MODERN, PROFILE_FAPI };
enum err profile_from_name(struct str name, enum profile *out) MUST_CHECK;

enum { PROMPT_NONE = 1, PROMPT_LOGIN = 2, PROMPT_CONSENT = 4, PROMPT_SELECT = 8 };
enum level { LEVEL_NONE, LEVEL_EIDAS1, LEVEL_EIDAS2, LEVEL_EIDAS3 };
enum level level_from_name(struct str name); /* LEVEL_NONE: unknown */
const char *level_name(enum level l);

struct request {
    /* As sent; .p NULL when absent. */
    struct str client_id, redirect_uri, response_type, response_mode, scope, state, nonce,
        acr_values, prompt, max_age, login_hint, idp_hint, ui_locales, claims, code_challenge,
        code_challenge_method, realm, request, request_uri, dpop_jkt, id_token_hint, siret_hint,
        registration;
    /* What request_check made of them. */
    unsigned prompts;
    int64_t max_age_s; /* -1: none */
    enum level level;  /* the lowest that will do; LEVEL_EIDAS1 when none was asked */
    bool level_asked;
    struct str claims_wanted; /* of the claims parameter: known names, blank-separated */
    struct str id_claims;     /* those of them that the ID token is to hold */
    bool pushed;              /* it came by the back channel */
    const char *repeated;     /* a parameter sent twice */
    struct str unknown;       /* a parameter nobody knows; .p NULL none */
};

/* What an OAuth error answer says. */
struct oauth_error {
    const char *error;       /* NULL: none */
    const char *description; /* English, ASCII */
};

/* Takes the parameters out of a query or a form. Never fails: what is wrong is found by
 * request_check, once it is known whom to tell. */
void request_read(const struct form *in, struct request *out);

/* The standard's checks and the profile's; pkce: this client must use it. Returns false with
 * *why set. Client and redirect_uri are not looked at: that comes before. */
bool request_check(struct arena *a, struct request *r, enum profile p, bool pkce,
                   struct oauth_error *why) MUST_CHECK;

/* To keep it across pages, and back. request_from_json needs no second check. */
json_t *request_to_json(const struct request *r);
void request_from_json(struct arena *a, const json_t *v, struct request *out);

/* Blank-separated lists. */
bool list_has(struct str list, struct str name);
struct str list_add(struct arena *a, struct str list, struct str name);  /* once */
struct str list_less(struct arena *a, struct str list, struct str name); /* without it */

/* RFC 7636 4.6: does the verifier fit the challenge (S256)? */
bool pkce_matches(struct arena *a, struct str challenge, struct str verifier);

/* Registered addresses: absolute, https or http (loopback names only unless `any_http`), no
 * fragment, no user, no blank. */
bool redirect_is_registrable(struct str uri, bool any_http);

#endif
