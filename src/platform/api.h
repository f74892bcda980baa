/* Who calls the API, and with what. */
#ifndef PLATFORM_API_H
#define PLATFORM_API_H

#include "platform/ctx.h"

/* For a route with ROUTE_API and ROLE_USER or ROLE_AGENT: the access token of the Authorization
 * header (docs/formats/access-token.md) becomes c->session, as if its bearer had signed in on this
 * site: on an organisation's site, a token that the issuer gave to that site's own client; on the
 * portal, a token whose scope has "account". A JSON object in the body becomes the form: {"a": "x",
 * "n": 1, "ok": true, "date": {"day": 3}} is a=x, n=1, ok=true, date.day=3. */
enum err api_authenticate(struct ctx *c) MUST_CHECK;

/* The signature and the type of a JWS of this platform's own issuer, and no more: an ID token that
 * has expired still says whose session it was. */
enum err issuer_jws(struct ctx *c, struct str compact, const char *typ /* NULL: any */,
                    json_t **claims, const char **why) MUST_CHECK;

/* An access token of ours (docs/formats/access-token.md): signature, type, issuer, audience, time,
 * not revoked, its client not removed. *identity is what is sealed in it for this platform alone.
 */
enum err access_token_read(struct ctx *c, struct str token, json_t **claims, json_t **identity,
                           const char **why) MUST_CHECK;

/* The issuer made it a moment ago: its signature need not be verified here. Both are kept, shared.
 */
void access_token_made(struct ctx *c, struct str token, json_t *claims, json_t *identity);

/* A JWT of this platform's own issuer: signature (the keys are asked of `keys`, and kept), type,
 * issuer, audience, time. *why says what is wrong (static). *claims is the context's. */
enum err issuer_jwt(struct ctx *c, struct str compact, const char *typ /* NULL: any */,
                    struct str audience, json_t **claims, const char **why) MUST_CHECK;

#endif
