/* Contracts: how two bodies agree on an access, from the first draft to the archive. */
#include "core/contracts/contracts.h"

static const struct route routes[] = {
    ROUTE_TWIN("GET", "/contrats", SITE_ORG, ROLE_AGENT, 0, contracts_page_list,
               "The body's contracts and requests: ?etat=.", "GET /api/contracts/requests"),
    ROUTE_TWIN("GET", "/contrats/nouveau", SITE_ORG, ROLE_AGENT, 0, contracts_page_new,
               "A new request.", "POST /api/contracts/requests"),
    ROUTE_TWIN("POST", "/contrats/nouveau", SITE_ORG, ROLE_AGENT, 0, contracts_page_create,
               "Keeps a new request as a draft.", "POST /api/contracts/requests"),
    ROUTE_TWIN("GET", "/contrats/{id}", SITE_ORG, ROLE_AGENT, 0, contracts_page_one,
               "One contract or request.", "GET /api/contracts/requests/{id}"),
    ROUTE_TWIN("GET", "/contrats/{id}/modifier", SITE_ORG, ROLE_AGENT, 0, contracts_page_edit,
               "Its terms, to change.", "POST /api/contracts/requests/{id}"),
    ROUTE_TWIN("POST", "/contrats/{id}/modifier", SITE_ORG, ROLE_AGENT, 0, contracts_page_change,
               "Changes its terms.", "POST /api/contracts/requests/{id}"),
    ROUTE_TWIN("GET", "/contrats/{id}/convention", SITE_ORG, ROLE_AGENT, 0,
               contracts_page_agreement, "The agreement, to read and print.",
               "GET /api/contracts/requests/{id}/agreement"),
    ROUTE_TWIN("POST", "/contrats/{id}/{action}", SITE_ORG, ROLE_AGENT, 0, contracts_page_act,
               "An act of one side.", "POST /api/contracts/requests/{id}/{action}"),
    ROUTE_TWIN("GET", "/operateur/contrats", SITE_PORTAL, ROLE_ADMIN, 0, contracts_page_operator,
               "All contracts, for the operator to see.",
               "-: `socle contract requests --json` gives the operator the same"),
    ROUTE_TWIN("GET", "/conventions", SITE_PORTAL, ROLE_PUBLIC, 0, contracts_page_public,
               "Contracts in force and their declared uses.", "GET /api/contracts"),

    ROUTE("GET", "/api/contracts", SITE_PORTAL, ROLE_PUBLIC, ROUTE_API, contracts_api_public,
          "Contracts in force and their declared uses."),
    ROUTE("POST", "/api/contracts/webhook", SITE_PORTAL, ROLE_CLIENT, ROUTE_API,
          contracts_api_webhook, "A signed event of a body's authorisation desk."),
    ROUTE("GET", "/api/contracts/requests", SITE_ORG, ROLE_AGENT, ROUTE_API, contracts_api_list,
          "The body's contracts and requests: ?state=, or review for the yearly list."),
    ROUTE("POST", "/api/contracts/requests", SITE_ORG, ROLE_AGENT, ROUTE_API, contracts_api_create,
          "A draft: the terms of docs/formats/contract.md, \"stage\" sandbox or production."),
    ROUTE("GET", "/api/contracts/requests/{id}", SITE_ORG, ROLE_AGENT, ROUTE_API, contracts_api_one,
          "One: terms, state, messages, reports, signatures, possible actions."),
    ROUTE("POST", "/api/contracts/requests/{id}", SITE_ORG, ROLE_AGENT, ROUTE_API,
          contracts_api_change, "Changes the terms that are sent."),
    ROUTE("GET", "/api/contracts/requests/{id}/agreement", SITE_ORG, ROLE_AGENT, ROUTE_API,
          contracts_api_agreement, "The archived text, its digest, its signatures checked anew."),
    ROUTE(
        "POST", "/api/contracts/requests/{id}/{action}", SITE_ORG, ROLE_AGENT, ROUTE_API,
        contracts_api_act,
        "submit, request_changes, validate, refuse, suspend, resume, review, "
        "renew, revoke, archive, reopen, production, message, sign (\"jws\"), report (\"kind\")."),
    ROUTE("POST", "/api/contracts/keys", SITE_ORG, ROLE_AGENT, ROUTE_API, contracts_api_key,
          "Registers a public key of the body: {\"jwk\": {...}}."),
};

static const struct call calls[] = {
    {"contracts.command", contracts_call_command, "socle contract: requests and agreements."},
    {"contracts.draft", contracts_call_draft, "A draft in a body's name, for it to complete."},
    {"contracts.request", contracts_call_request, "How a request stands."},
};

static const struct nav_item nav[] = {
    {SITE_ORG, ROLE_AGENT, "/contrats", "contracts/nav.list"},
};

const struct service service_contracts = {
    .name = "contracts",
    .routes = routes,
    .n_routes = COUNT_OF(routes),
    .migrations = contracts_migrations,
    .n_migrations = 1,
    .calls = calls,
    .n_calls = COUNT_OF(calls),
    .nav = nav,
    .n_nav = COUNT_OF(nav),
    .tick = contracts_tick,
};
