/* From a signed-in person to what a client gets: the code, then the tokens. */
#ifndef IDENTITY_ISSUE_H
#define IDENTITY_ISSUE_H

#include "core/identity/client.h"
#include "core/identity/flow.h"
#include "platform/ctx.h"

/* Will this session do for the request? Levels: a low one for eidas1, a high one up to eidas2;
 * eidas3, prompt=login and max_age need a sign-in since the flow began. */
bool session_serves(const struct ctx *c, const struct flow *f, const struct client *k);

/* Goes on with a person who is signed in: the page that tells or asks, or the code at once. `f` may
 * be a flow not begun yet (f->id.p NULL): it is begun when a page is needed. */
enum err identity_go_on(struct ctx *c, struct flow *f, struct client *k) MUST_CHECK;

/* What a session at the issuer holds in its data: realm, provider, provider_name{fr,en}, acr, amr[],
 * auth_time_ms, sid, name, claims{}, id_token (the provider's, for signing out there). */

/* The contracts behind the API scopes of a request (exchange.scopes), and the consents that hold. */
enum err contracts_asked(struct ctx *c, const struct client *k, struct str scope, json_t **items) MUST_CHECK;
enum err consents_active(struct ctx *c, struct str person, struct str client_id,
                         json_t **consents) MUST_CHECK;
json_t *scope_list(struct str scope); /* a JSON list; caller owns it */

/* Issues the code and sends the person to the client. claims: what she is told it receives. */
enum err code_issue(struct ctx *c, struct flow *f, const struct client *k, struct str scopes,
                    struct str claims) MUST_CHECK;

/* Sends an OAuth error to the client's redirect address, which was checked. */
enum err redirect_error(struct ctx *c, const struct request *r, const struct oauth_error *why) MUST_CHECK;

/* An access token of ours, checked (signature, issuer, audience, expiry, not revoked). */
struct access {
    struct str jti, client_id, sub, person, claims, scope;
    int64_t exp_s;
};
enum err access_read(struct ctx *c, struct str token, struct access *out) MUST_CHECK;
/* Any JWS we signed; claims are the caller's pool's. typ: wanted; NULL any. */
enum err own_jws_read(struct ctx *c, struct str compact, const char *typ, json_t **claims) MUST_CHECK;

/* Scopes of a request this client may have; of `items`, those a contract stands behind. *unknown:
 * one that is neither, .p NULL none. */
struct str scopes_allowed(struct ctx *c, const struct client *k, struct str scope,
                          const json_t *items, struct str *unknown);
/* Claims the client will receive for them. */
struct str claims_of_request(struct ctx *c, const struct request *r, struct str scopes);

#endif
