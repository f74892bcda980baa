/* What the demonstration's files share: the tables of who is in its world. One place says each
 * thing once; load.c writes it into the platform, describe.c tells it, idp.c plays its part. */
#ifndef DEMO_WORLD_H
#define DEMO_WORLD_H

#include "platform/ctx.h"

/* An identity provider of the demonstration, one issuer of the process demo/idp.c. */
struct demo_provider {
    const char *id;    /* in the platform */
    const char *path;  /* "/citoyens": issuer is http://127.0.0.1:PORT + path */
    const char *realm; /* "citizens" | "agents" */
    const char *title_fr, *title_en, *hint_fr, *hint_en;
};
const struct demo_provider *demo_provider_at(size_t i); /* NULL at the end */
struct str demo_provider_issuer(struct arena *a, const struct settings *s,
                                const struct demo_provider *p);

struct demo_client {
    const char *id, *org_id, *name_fr, *name_en, *scopes, *realm;
    const char *host; /* of its site; NULL: a client outside of the platform */
    const char *redirect_uris, *post_logout_uris; /* NULL: those of its site */
};
const struct demo_client *demo_client_at(size_t i);
/* Blank-separated. */
struct str demo_client_uris(struct arena *a, const struct settings *s, const struct demo_client *k);
struct str demo_client_logout_uris(struct arena *a, const struct settings *s,
                                   const struct demo_client *k);
/* "http://HOST:PORT" as base_url has scheme and port. */
struct str demo_site_url(struct arena *a, const struct settings *s, const char *host);

struct demo_org {
    const char *id, *siret, *kind, *name_fr, *name_en;
};
const struct demo_org *demo_org_at(size_t i);

/* A secret of the world by name ("client.socle-essai"): made at first use, kept wrapped in the
 * table `setting`, so that it is the same at each start. demo_secret_get: ERR_NOT_FOUND before. */
enum err demo_secret(struct ctx *c, const char *name, struct str *out) MUST_CHECK;
enum err demo_secret_get(struct ctx *c, const char *name, struct str *out) MUST_CHECK;

/* Rows of the table `setting`. */
enum err demo_setting_get(struct ctx *c, struct str name, struct str *out) MUST_CHECK;
enum err demo_setting_put(struct ctx *c, struct str name, struct str value) MUST_CHECK;

/* demo/data/accounts.json, read once: {"accounts": [{login, password, argon2id, realm, note,
 * claims}]} */
const json_t *demo_accounts(void);

/* demo/data/identities.json: test identities of every shape, for whoever builds a service. The same
 * members, and `refused` where the provider lets nobody in. */
const json_t *demo_identities(void);

/* Where the identity provider keeps which clients it knows: docs/formats/demo-registrations.md. */
struct str demo_registrations_path(struct arena *a, const struct settings *s);

#endif
