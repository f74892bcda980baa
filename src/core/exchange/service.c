/* The exchange: the catalogue of what bodies publish, the contracts under which others may read it,
 * and the gateway, which lives in the loops and obeys both. */
#include "core/exchange/exchange.h"
#include "core/exchange/feed.h"
#include "core/exchange/gateway.h"
#include "core/exchange/sample.h"
#include "core/exchange/schema.h"
#include "core/exchange/shown.h"
#include "core/exchange/usage.h"

static enum err start(struct platform *pf)
{
    shown_start(pf);
    enum err e = feed_start(pf);
    if (e == ERR_OK)
        e = sample_start(pf);
    return e == ERR_OK ? usage_start(pf) : e;
}

static const struct route routes[] = {
    ROUTE_TWIN("GET", "/agent/suivi", SITE_ORG, ROLE_AGENT, 0, exchange_page_status,
               "How the body's APIs fare: state, consumers, load, errors, refused calls.",
               "GET /api/exchange/status"),
    ROUTE_TWIN("GET", "/agent/suivi/{api}/{version}", SITE_ORG, ROLE_AGENT, 0,
               exchange_page_status_one, "One of the body's APIs, consumer by consumer.",
               "GET /api/exchange/status/{api}/{version}"),
    ROUTE("GET", "/api/federe/{id}", SITE_PORTAL, ROLE_PUBLIC, ROUTE_API, exchange_api_federated,
          "One call to several providers, each under the caller's contract; signed."),
    ROUTE("GET", "/api/exchange/status", SITE_ORG, ROLE_AGENT, ROUTE_API, exchange_api_status,
          "How the body's APIs fare: state, consumers, load, errors, refused calls."),
    ROUTE("GET", "/api/exchange/status/{api}/{version}", SITE_ORG, ROLE_AGENT, ROUTE_API,
          exchange_api_status_one, "One of the body's APIs, consumer by consumer."),
};

static const struct nav_item nav[] = {
    NAV(SITE_ORG, ROLE_AGENT, "/agent/suivi", "exchange/nav.status"),
};

static const struct call calls[] = {
    {"exchange.scopes", exchange_scopes, "The contracts behind the scopes a client asks for."},
    {"exchange.grants", exchange_grants, "The contracts a token of that client may bear now."},
    {"exchange.apis", exchange_apis, "The catalogue."},
    {"exchange.api", exchange_call_api, "One API as agreements name it."},
    {"exchange.contract_put", exchange_call_contract_put, "Makes or replaces a contract."},
    {"exchange.contract_state", exchange_call_contract_state,
     "Holds a contract or lets it go on; gateways obey within a second."},
    {"exchange.contract_usage", exchange_call_contract_usage, "Calls counted under one contract."},
    {"exchange.contract_days", exchange_call_contract_days, "The same, day by day."},
    {"exchange.origins", exchange_call_origins, "Where providers answer, for pings."},
    {"exchange.consumers", exchange_call_consumers, "Bodies with a contract on an API."},
    {"exchange.delegate", exchange_call_delegate,
     "A body lets a software vendor call for it, or no more."},
    {"exchange.api_put", exchange_call_api_put, "Publishes an API from its declaration."},
    {"exchange.fields", exchange_call_fields, "The fields of one version of an API."},
    {"exchange.contract", exchange_call_contract, "One contract."},
    {"exchange.circle_set", exchange_call_circle_set, "Puts an API into another circle."},
    {"exchange.status", exchange_call_status, "How providers fare, and who uses them."},
    {"exchange.usage", exchange_call_usage, "Calls counted by the gateway."},
    {"exchange.subscribers", exchange_call_subscribers, "How many bodies use each API."},
};

static const struct command commands[] = {
    {"contract", "list, show, suspend and resume contracts", exchange_cli_contract},
    {"api", "check, import, list and put APIs", exchange_cli_api},
};

const struct service service_exchange = {
    .name = "exchange",
    .routes = routes,
    .n_routes = COUNT_OF(routes),
    .nav = nav,
    .n_nav = COUNT_OF(nav),
    .migrations = exchange_migrations,
    .n_migrations = EXCHANGE_MIGRATIONS,
    .calls = calls,
    .n_calls = COUNT_OF(calls),
    .commands = commands,
    .n_commands = COUNT_OF(commands),
    .start = start,
    .loop_start = gateway_loop_start,
    .fast = gateway_fast,
    .explain = gateway_explain,
};
