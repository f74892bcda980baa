/* Identity's doors for the demonstration's loader and for tests: providers people sign in with, and
 * clients that ask who they are. */
#ifndef IDENTITY_IDENTITY_H
#define IDENTITY_IDENTITY_H

#include "platform/ctx.h"

/* Where identity providers send people back: base_url + this. */
#define IDENTITY_CALLBACK_PATH "/api/v2/oidc-callback"

struct identity_provider {
    const char *id, *realm, *org_id, *title_fr, *title_en, *issuer, *client_id, *client_secret, *acr;
};
enum err identity_provider_put(struct ctx *c, const struct identity_provider *p) MUST_CHECK;

struct identity_client {
    const char *id, *secret, *org_id, *name_fr, *name_en, *sector;
    const char *redirect_uris, *post_logout_uris, *scopes, *realms;
};
enum err identity_client_put(struct ctx *c, const struct identity_client *k) MUST_CHECK;

#endif
