/* From a signed-in person to what a client gets: the code, then the tokens. */
#ifndef IDENTITY_ISSUE_H
#define IDENTITY_ISSUE_H

#include "core/identity/client.h"
#include "core/identity/flow.h"
#include "platform/ctx.h"

/* Will this session do for the request? Levels: a low one for eidas1, a high one up to eidas2;
 * eidas3, prompt=login and max_age need a sign-in since the flow began. */
bool session_serves(const struct ctx *c, const struct flow *f, const struct client *k);

/* id_token_hint: is who is signed in the person whom the client means? Yes where it names nobody.
 * ERR_DENIED: it is no ID token of ours for this client. */
enum err hint_fits(struct ctx *c, const struct request *r, const struct client *k,
                   bool *fits) MUST_CHECK;

/* What a session at the issuer holds in its data: realm, provider, provider_name{fr,en}, acr,
 * amr[], auth_time_ms, sid, name, claims{}, id_token (the provider's, for signing out there). */

/* What a request asks for, worked out afresh each time it is needed: contracts come and go. */
struct wanted {
    json_t *items;      /* exchange.scopes: the contracts behind the API scopes */
    struct str scopes;  /* those this client may have */
    struct str claims;  /* what it will know of the person */
    struct str unknown; /* a scope that is neither ours nor a contract's; .p NULL none */
};
enum err wanted_read(struct ctx *c, const struct client *k, const struct request *r,
                     struct wanted *out) MUST_CHECK;

enum err consents_active(struct ctx *c, struct str person, struct str client_id,
                         json_t **consents) MUST_CHECK;
json_t *scope_list(struct str scope); /* a JSON list; caller owns it */

/* From which device and about where: what her history shows beside a sign-in. */
void signin_place(const struct ctx *c, json_t *told);

/* Goes on with a person who is signed in: the page that tells or asks, or the code at once. `f` may
 * be a flow not begun yet (f->id.p NULL): it is begun when a page is needed. */
enum err identity_go_on(struct ctx *c, struct flow *f, const struct client *k,
                        const struct wanted *w) MUST_CHECK;

/* Issues the code and sends the person to the client. */
enum err code_issue(struct ctx *c, struct flow *f, const struct client *k,
                    const struct wanted *w) MUST_CHECK;

/* Sends an OAuth error to the client's redirect address, which was checked. */
enum err redirect_error(struct ctx *c, const struct request *r,
                        const struct oauth_error *why) MUST_CHECK;

#endif
