/* Signed messages (RFC 9421): the platform's public keys, the command that verifies a kept message,
 * and which contracts ask for signatures. The gateway itself signs and verifies (core/exchange). */
#include "core/signatures/signatures.h"

static enum err jwks(struct ctx *c)
{
    struct str json;
    enum err e = node_jwks(c->pf, "message", c->arena, &json);
    if (e != ERR_OK)
        return e;
    web_header(c->rs, "Cache-Control", STR("public, max-age=300"));
    return ctx_text(c, 200, "application/jwk-set+json", json);
}

/* asks: 1 requests, 2 answers. */
static const struct db_migration migrations[] = {
    {"signatures", 1,
     "CREATE TABLE message_signing(contract TEXT PRIMARY KEY, asks BIGINT NOT NULL);"},
};

static const struct route routes[] = {
    ROUTE("GET", "/api/v2/messages/jwks", SITE_PORTAL, ROLE_CLIENT, ROUTE_API, jwks,
          "The public keys that sign the gateway's answers (RFC 9421)."),
};

static const struct command commands[] = {
    {"verify-message", "verify a kept message: its signature and its body's digest",
     signatures_cli_verify},
};

const struct service service_signatures = {
    .name = "signatures",
    .routes = routes,
    .n_routes = COUNT_OF(routes),
    .migrations = migrations,
    .n_migrations = COUNT_OF(migrations),
    .commands = commands,
    .n_commands = COUNT_OF(commands),
};
