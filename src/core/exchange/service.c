/* The exchange: the catalogue of what bodies publish, the contracts under which others may read it,
 * and the gateway, which lives in the loops and obeys both. */
#include "core/exchange/exchange.h"
#include "core/exchange/feed.h"
#include "core/exchange/gateway.h"
#include "core/exchange/schema.h"

static const struct route routes[] = {
    ROUTE("GET", "/catalogue", SITE_PORTAL, ROLE_PUBLIC, 0, exchange_page_catalogue,
          "The catalogue of published APIs."),
    ROUTE("GET", "/catalogue/{api}", SITE_PORTAL, ROLE_PUBLIC, 0, exchange_page_api,
          "One API: versions, fields and their meaning, how to get access."),
};

static const struct call calls[] = {
    {"exchange.scopes", exchange_scopes, "The contracts behind the scopes a client asks for."},
    {"exchange.grants", exchange_grants, "The contracts a token of that client may bear now."},
    {"exchange.apis", exchange_apis, "The catalogue."},
    {"exchange.api", exchange_call_api, "One API as agreements name it."},
    {"exchange.contract_put", exchange_call_contract_put, "Makes or replaces a contract."},
    {"exchange.contract_state", exchange_call_contract_state,
     "Holds a contract or lets it go on; gateways obey within a second."},
};

static const struct command commands[] = {
    {"contract", "list, show, suspend and resume contracts", exchange_cli_contract},
    {"api", "list the published APIs", exchange_cli_api},
};

const struct service service_exchange = {
    .name = "exchange",
    .routes = routes,
    .n_routes = COUNT_OF(routes),
    .migrations = exchange_migrations,
    .n_migrations = EXCHANGE_MIGRATIONS,
    .calls = calls,
    .n_calls = COUNT_OF(calls),
    .commands = commands,
    .n_commands = COUNT_OF(commands),
    .start = feed_start,
    .loop_start = gateway_loop_start,
    .fast = gateway_fast,
    .explain = gateway_explain,
};
