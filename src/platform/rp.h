/* An organisation's site as a client of the issuer (OpenID Connect Core 1.0, code flow, PKCE). */
#ifndef PLATFORM_RP_H
#define PLATFORM_RP_H

#include "platform/ctx.h"

enum err rp_sign_in(struct ctx *c);
enum err rp_sign_in_agent(struct ctx *c);
enum err rp_callback(struct ctx *c);
enum err rp_sign_out(struct ctx *c);

/* Registers a site: its host, organisation and client of the issuer (secret stored wrapped). */
enum err site_put(struct ctx *c, struct str host, struct str org_id, struct str client_id,
                  struct str client_secret) MUST_CHECK;
enum err org_put(struct ctx *c, struct str id, struct str siret, const char *kind,
                 const char *name_fr, const char *name_en) MUST_CHECK;

/* After sign-in, session->data holds: name, claims {userinfo}, access_token, id_token, expires_at,
 * sub, org (agents: siret). */
#endif
