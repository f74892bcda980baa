/* Who calls the API, and with what. */
#ifndef PLATFORM_API_H
#define PLATFORM_API_H

#include "platform/ctx.h"

/* For a route with ROUTE_API and ROLE_USER or ROLE_AGENT: the access token of the Authorization header
 * (docs/formats/access-token.md) becomes c->session, as if its bearer had signed in on this site:
 *   on an organisation's site, a token that the issuer gave to that site's own client;
 *   on the portal, a token whose scope has "account".
 * A JSON object in the body becomes the form: {"a": "x", "n": 1, "ok": true, "date": {"day": 3}} is
 * a=x, n=1, ok=true, date.day=3. */
enum err api_authenticate(struct ctx *c) MUST_CHECK;

/* A JWT of this platform's own issuer: signature (the keys are asked of `keys`, and kept), type,
 * issuer, audience, time. *why says what is wrong (static). *claims is the context's. */
enum err issuer_jwt(struct ctx *c, struct str compact, const char *typ /* NULL: any */,
                    struct str audience, json_t **claims, const char **why) MUST_CHECK;

#endif
