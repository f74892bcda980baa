/* The catalogue: what bodies publish, described, checked against the doctrine, tried in a sandbox,
 * and found in plain words. The gateway and its contracts are the exchange's (core/exchange). */
#include "core/catalogue/catalogue.h"
#include "core/catalogue/status.h"
#include "core/catalogue/vocabulary.h"

static const struct route routes[] = {
    ROUTE("GET", "/catalogue", SITE_PORTAL, ROLE_PUBLIC, 0, page_catalogue,
          "The catalogue of published APIs; ?q= searches APIs, data and procedures."),
    ROUTE("GET", "/catalogue.jsonld", SITE_PORTAL, ROLE_PUBLIC, ROUTE_API, dcat_jsonld,
          "The catalogue in DCAT-AP, for other catalogues to harvest."),
    ROUTE("GET", "/catalogue/{api}", SITE_PORTAL, ROLE_PUBLIC, 0, page_api,
          "The newest version of an API: operations, fields and their meaning, samples."),
    ROUTE("GET", "/catalogue/{api}/{version}", SITE_PORTAL, ROLE_PUBLIC, 0, page_version,
          "One version of an API."),
    ROUTE("GET", "/catalogue/{api}/{version}/context.jsonld", SITE_PORTAL, ROLE_PUBLIC, ROUTE_API,
          vocabulary_context, "The JSON-LD context that gives an API's names their concepts."),
    ROUTE("GET", "/catalogue/{api}/{version}/description", SITE_PORTAL, ROLE_PUBLIC, ROUTE_API,
          api_description, "An API's OpenAPI description as it was imported."),
    ROUTE("GET", "/donnees", SITE_PORTAL, ROLE_PUBLIC, 0, page_data,
          "The catalogue of data; ?q= searches."),
    ROUTE("GET", "/donnees/{datum}", SITE_PORTAL, ROLE_PUBLIC, 0, page_datum,
          "One datum: meaning, format, producers, ways to read and write, use."),
    ROUTE("GET", "/doctrine", SITE_PORTAL, ROLE_PUBLIC, 0, page_rules,
          "The rules that APIs are checked against."),
    ROUTE_TWIN("POST", "/doctrine", SITE_PORTAL, ROLE_PUBLIC, 0, page_rules_post,
               "Checks a description against the rules.", "POST /api/catalogue/check"),
    ROUTE("GET", "/doctrine/{rule}", SITE_PORTAL, ROLE_PUBLIC, 0, page_rule, "One rule."),
    ROUTE("GET", "/taux-api", SITE_PORTAL, ROLE_PUBLIC, 0, page_rates,
          "How many of each body's systems have an API."),
    ROUTE("GET", "/vocabulaire", SITE_PORTAL, ROLE_PUBLIC, 0, vocabulary_page,
          "The common vocabulary; ?champ= finds a concept by the name a source uses."),
    ROUTE("GET", "/vocabulaire.jsonld", SITE_PORTAL, ROLE_PUBLIC, ROUTE_API, vocabulary_jsonld,
          "The common vocabulary in SKOS, with the mapping of each source."),
    ROUTE("GET", "/etat", SITE_PORTAL, ROLE_PUBLIC, 0, page_status,
          "How each provider is doing: state, availability over 90 days, incidents."),
    ROUTE("GET", "/referentiels", SITE_PORTAL, ROLE_PUBLIC, 0, page_references,
          "Reference sets: measured availability and freshness beside the commitment."),
    ROUTE_TWIN("GET", "/operateur/catalogue", SITE_PORTAL, ROLE_ADMIN, 0, page_operator,
               "Routes without documentation, and APIs proposed to the commons.",
               "-: the operator's commands say the same: socle api list, socle api circle"),
    /* a body's own */
    ROUTE_TWIN("GET", "/agent/interfaces", SITE_ORG, ROLE_AGENT, 0, page_publish,
               "Publishes an API of this body; new sources it follows.", "GET /api/catalogue/news"),
    ROUTE_TWIN("POST", "/agent/interfaces", SITE_ORG, ROLE_AGENT, 0, page_publish_post,
               "Publishes an API from its description.", "POST /api/catalogue/apis"),
    /* programs */
    ROUTE(
        "POST", "/api/catalogue/apis", SITE_ORG, ROLE_AGENT, ROUTE_API, api_publish,
        "Publishes the OpenAPI description of the body as this body's API; ?origin= says where it "
        "answers (422: the report)."),
    ROUTE("GET", "/api/catalogue/news", SITE_ORG, ROLE_AGENT, ROUTE_API, api_news,
          "New sources on the topics this body follows."),
    ROUTE("POST", "/api/catalogue/follow", SITE_ORG, ROLE_AGENT, ROUTE_API, api_follow,
          "Follows \"topic\" (empty: all new sources), or stops."),
    ROUTE("GET", "/api/catalogue/apis", SITE_PORTAL, ROLE_PUBLIC, ROUTE_API, api_list,
          "The published APIs."),
    ROUTE("GET", "/api/catalogue/apis/{api}/{version}", SITE_PORTAL, ROLE_PUBLIC, ROUTE_API,
          api_one, "One version of an API."),
    ROUTE("GET", "/api/catalogue/data", SITE_PORTAL, ROLE_PUBLIC, ROUTE_API, api_data,
          "Each datum: meaning, format, producers, ways to read and write, use."),
    ROUTE("GET", "/api/catalogue/search", SITE_PORTAL, ROLE_PUBLIC, ROUTE_API, api_search,
          "Searches APIs, data and procedures for ?q=."),
    ROUTE("GET", "/api/catalogue/rules", SITE_PORTAL, ROLE_PUBLIC, ROUTE_API, api_rules,
          "The doctrine's rules."),
    ROUTE("GET", "/api/catalogue/rates", SITE_PORTAL, ROLE_PUBLIC, ROUTE_API, api_rates,
          "The rate of systems with an API, by body."),
    ROUTE("GET", "/api/vocabulary", SITE_PORTAL, ROLE_PUBLIC, ROUTE_API, vocabulary_api,
          "Each concept: meaning, the vocabulary it is the same as, its name at each source."),
    ROUTE("GET", "/api/vocabulary/{api}/{version}/{rest*}", SITE_PORTAL, ROLE_CLIENT,
          ROUTE_API | ROUTE_CALLS_SELF, vocabulary_read,
          "What the gateway answers the bearer, under the common names."),
    ROUTE("GET", "/api/status", SITE_PORTAL, ROLE_PUBLIC, ROUTE_API, api_status,
          "How each provider is doing."),
    ROUTE("GET", "/api/catalogue/references", SITE_PORTAL, ROLE_PUBLIC, ROUTE_API, api_references,
          "Reference sets against their commitments."),
    ROUTE("POST", "/api/catalogue/check", SITE_PORTAL, ROLE_PUBLIC, ROUTE_API, api_check,
          "Checks the OpenAPI description of the body against the rules."),
    /* the sandbox */
    ROUTE("GET", "/sandbox/{api}/{version}/{rest*}", SITE_PORTAL, ROLE_PUBLIC, ROUTE_API,
          sandbox_answer, "What the API would answer, from its description's examples."),
    ROUTE("POST", "/sandbox/{api}/{version}/{rest*}", SITE_PORTAL, ROLE_PUBLIC, ROUTE_API,
          sandbox_answer, "The same."),
    ROUTE("PUT", "/sandbox/{api}/{version}/{rest*}", SITE_PORTAL, ROLE_PUBLIC, ROUTE_API,
          sandbox_answer, "The same."),
    ROUTE("PATCH", "/sandbox/{api}/{version}/{rest*}", SITE_PORTAL, ROLE_PUBLIC, ROUTE_API,
          sandbox_answer, "The same."),
    ROUTE("DELETE", "/sandbox/{api}/{version}/{rest*}", SITE_PORTAL, ROLE_PUBLIC, ROUTE_API,
          sandbox_answer, "The same."),
};

static void tick(struct platform *pf, int64_t now_ms)
{
    circle_tick(pf, now_ms);
    ping_tick(pf);
}

static const struct call calls[] = {
    {"catalogue.import", catalogue_call_import, "Publishes an API from its description."},
    {"catalogue.check", catalogue_call_check, "Checks a description against the rules."},
    {"catalogue.apis", catalogue_call_apis, "All APIs, also those that nobody documented."},
    {"catalogue.search", catalogue_call_search, "Searches APIs, data and procedures."},
    {"catalogue.data", data_call_list, "The catalogue of data."},
    {"catalogue.circle", circle_call_decide, "The operator's decision on an API's circle."},
    {"catalogue.proposals", circle_call_proposals, "Partners' APIs with enough subscribers."},
    {"catalogue.follow", news_call_follow, "A body asks to be told of new sources."},
    {"catalogue.news", news_call_list, "New sources a body was told of."},
    {"catalogue.system_put", system_call_put, "Notes one of a body's systems."},
    {"catalogue.concept_put", concept_call_put, "Defines a concept of the vocabulary."},
    {"catalogue.rates", rates_call, "The rate of systems with an API, by body."},
};

static const struct nav_item nav[] = {
    {SITE_PORTAL, ROLE_PUBLIC, "/catalogue", "catalogue/nav.catalogue"},
    {SITE_ORG, ROLE_AGENT, "/agent/interfaces", "catalogue/nav.publish"},
};

const struct service service_catalogue = {
    .name = "catalogue",
    .routes = routes,
    .n_routes = COUNT_OF(routes),
    .migrations = catalogue_migrations,
    .n_migrations = CATALOGUE_MIGRATIONS,
    .calls = calls,
    .n_calls = COUNT_OF(calls),
    .nav = nav,
    .n_nav = COUNT_OF(nav),
    .tick = tick,
};
