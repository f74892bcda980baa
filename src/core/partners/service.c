/* The partners' console: on the portal for anybody who builds a service, on an organisation's site
 * for its agents. */
#include "core/partners/partners.h"

#define AT  "/partenaires"
#define API "/api/partners"
/* The same page on the portal and on an organisation's site. */
#define BOTH(method, path, fn, help, twin)                               \
    ROUTE_TWIN(method, path, SITE_PORTAL, ROLE_USER, 0, fn, help, twin), \
        ROUTE_TWIN(method, path, SITE_ORG, ROLE_AGENT, 0, fn, help, twin)
#define BOTH_API(method, path, fn, help)                              \
    ROUTE(method, path, SITE_PORTAL, ROLE_USER, ROUTE_API, fn, help), \
        ROUTE(method, path, SITE_ORG, ROLE_AGENT, ROUTE_API, fn, help)
#define BOTH_CALLING(method, path, fn, help, twin)                                      \
    ROUTE_TWIN(method, path, SITE_PORTAL, ROLE_USER, ROUTE_CALLS_SELF, fn, help, twin), \
        ROUTE_TWIN(method, path, SITE_ORG, ROLE_AGENT, ROUTE_CALLS_SELF, fn, help, twin)

static const struct route routes[] = {
    BOTH("GET", AT, partners_page_home, "My teams.", "GET " API "/teams"),
    ROUTE_TWIN("POST", AT, SITE_PORTAL, ROLE_USER, 0, partners_page_team_post, "Makes a team.",
               "POST " API "/teams"),
    BOTH("GET", AT "/equipes/{team}", partners_page_team, "A team's clients, providers, members.",
         "GET " API "/teams/{team}"),
    ROUTE_TWIN("POST", AT "/equipes/{team}/inviter", SITE_PORTAL, ROLE_USER, 0,
               partners_page_invite, "A link that makes somebody a member, once.",
               "POST " API "/teams/{team}/invite"),
    ROUTE_TWIN("GET", AT "/rejoindre/{code}", SITE_PORTAL, ROLE_USER, 0, partners_page_join,
               "Which team an invitation is for.", "POST " API "/join"),
    ROUTE_TWIN("POST", AT "/rejoindre/{code}", SITE_PORTAL, ROLE_USER, 0, partners_page_join_post,
               "Joins it.", "POST " API "/join"),
    BOTH("GET", AT "/equipes/{team}/clients/nouveau", partners_page_client_new, "A new client.",
         "POST " API "/teams/{team}/clients"),
    BOTH("POST", AT "/equipes/{team}/clients/nouveau", partners_page_client_post,
         "Makes a sandbox client and shows its keys once.", "POST " API "/teams/{team}/clients"),
    BOTH("GET", AT "/clients/{id}", partners_page_client, "One client.",
         "GET " API "/clients/{id}"),
    BOTH("POST", AT "/clients/{id}/secret", partners_page_rotate,
         "Draws another secret; the old one lives on a while.", "POST " API "/clients/{id}/secret"),
    BOTH("POST", AT "/clients/{id}/cles", partners_page_keys, "Replaces its public keys.",
         "POST " API "/clients/{id}/keys"),
    BOTH("GET", AT "/clients/{id}/essai", partners_page_try, "Ready commands to try it.",
         "GET " API "/clients/{id}/try"),
    BOTH("GET", AT "/clients/{id}/erreurs", partners_page_errors,
         "What was refused it in 30 days, in plain words.", "GET " API "/clients/{id}/errors"),
    BOTH("GET", AT "/clients/{id}/production", partners_page_production,
         "What production asks for.", "POST " API "/clients/{id}/production"),
    BOTH("POST", AT "/clients/{id}/production", partners_page_production_post,
         "Asks for production: drafts the contract.", "POST " API "/clients/{id}/production"),
    BOTH("POST", AT "/clients/{id}/ouvrir", partners_page_open,
         "Production keys, once the contract is in force.", "POST " API "/clients/{id}/open"),
    BOTH("GET", AT "/identites", partners_page_identities, "Test identities of every shape.",
         "GET " API "/identities"),
    ROUTE("GET", AT "/retour", SITE_PORTAL, ROLE_PUBLIC, 0, partners_page_back,
          "Where a client without a server is sent back: shows what it would receive."),
    BOTH("GET", AT "/equipes/{team}/fournisseurs/nouveau", partners_page_provider_new,
         "A new identity provider.", "POST " API "/teams/{team}/providers"),
    BOTH("POST", AT "/equipes/{team}/fournisseurs/nouveau", partners_page_provider_post,
         "Declares it in the sandbox.", "POST " API "/teams/{team}/providers"),
    BOTH("GET", AT "/fournisseurs/{id}", partners_page_provider, "Its checklist.",
         "GET " API "/providers/{id}"),
    BOTH_CALLING("POST", AT "/fournisseurs/{id}/verifier", partners_page_check,
                 "Looks at its metadata and keys.", "POST " API "/providers/{id}/check"),
    BOTH_CALLING("GET", AT "/fournisseurs/{id}/essai", partners_page_trial, "Begins a trial.",
                 "-: a sign-in needs a person and a browser"),
    BOTH_CALLING("GET", AT "/fournisseurs/{id}/retour", partners_page_trial_back,
                 "The trial comes back.", "-: a sign-in needs a person and a browser"),
    BOTH("GET", AT "/fournisseurs/{id}/fin", partners_page_trial_out,
         "Back from signing out there.", "-: a sign-out needs a person and a browser"),
    BOTH("POST", AT "/fournisseurs/{id}/production", partners_page_provider_ask,
         "Asks for production.", "POST " API "/providers/{id}/production"),

    BOTH_API("GET", API "/teams", partners_api_teams, "My teams."),
    ROUTE("POST", API "/teams", SITE_PORTAL, ROLE_USER, ROUTE_API, partners_api_team_post,
          "Makes a team: \"team_name\"."),
    BOTH_API("GET", API "/teams/{team}", partners_api_team,
             "A team's clients, providers, members."),
    ROUTE("POST", API "/teams/{team}/invite", SITE_PORTAL, ROLE_USER, ROUTE_API,
          partners_api_invite, "A code that makes somebody a member, once."),
    ROUTE("POST", API "/join", SITE_PORTAL, ROLE_USER, ROUTE_API, partners_api_join,
          "Joins the team of a \"code\"."),
    BOTH_API("POST", API "/teams/{team}/clients", partners_api_client_post,
             "A sandbox client: \"client_name\", \"redirect_uris\" (blanks between), \"profile\", "
             "\"auth\" (secret, key, mtls), \"jwks\", \"realm\"."),
    BOTH_API("GET", API "/clients/{id}", partners_api_client, "One client, and its production."),
    BOTH_API("POST", API "/clients/{id}/secret", partners_api_rotate,
             "Another secret; the old one lives \"overlap_hours\" more."),
    BOTH_API("POST", API "/clients/{id}/keys", partners_api_keys, "Its new public keys: \"jwks\"."),
    BOTH_API("GET", API "/clients/{id}/try", partners_api_try, "Ready commands to try it."),
    BOTH_API("GET", API "/clients/{id}/errors", partners_api_errors,
             "What was refused it in 30 days, in plain words."),
    BOTH_API("POST", API "/clients/{id}/production", partners_api_production,
             "Asks for production: \"org\", \"api_version\", \"fields\", \"purpose\", \"basis\", "
             "\"redirect_uris\", \"login_uri\" (its space in people's accounts)."),
    BOTH_API("POST", API "/clients/{id}/open", partners_api_open,
             "Production keys, once the contract is in force."),
    BOTH_API("GET", API "/identities", partners_api_identities, "Test identities."),
    BOTH_API("POST", API "/teams/{team}/providers", partners_api_provider_post,
             "Declares an identity provider: \"provider_name\", \"issuer\", \"client_id\", "
             "\"secret\", \"provider_auth\", \"realm\", \"min_acr\", \"conf\" (JSON text)."),
    BOTH_API("GET", API "/providers/{id}", partners_api_provider, "A provider and its checklist."),
    ROUTE("POST", API "/providers/{id}/check", SITE_PORTAL, ROLE_USER, ROUTE_API | ROUTE_CALLS_SELF,
          partners_api_check, "Looks at its metadata and keys."),
    ROUTE("POST", API "/providers/{id}/check", SITE_ORG, ROLE_AGENT, ROUTE_API | ROUTE_CALLS_SELF,
          partners_api_check, "Looks at its metadata and keys."),
    BOTH_API("POST", API "/providers/{id}/production", partners_api_provider_ask,
             "Asks for production."),
};

static const struct call calls[] = {
    {"partners.refusal", partners_call_refusal, "Notes what was refused a client."},
    {"partners.refusals", partners_call_refusals, "What was refused a client, in plain words."},
};

static const struct nav_item nav[] = {
    NAV(SITE_ORG, ROLE_AGENT, AT, "partners/nav.partners"),
};

const struct service service_partners = {
    .name = "partners",
    .routes = routes,
    .n_routes = COUNT_OF(routes),
    .migrations = partners_migrations,
    .n_migrations = PARTNERS_MIGRATIONS,
    .calls = calls,
    .n_calls = COUNT_OF(calls),
    .nav = nav,
    .n_nav = COUNT_OF(nav),
    .tick = refusal_tick,
};
