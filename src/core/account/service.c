/* The account: one place where people find services, follow what they started, see who used their
 * data, and take back what they agreed to. */
#include "core/account/objections.h"

struct journal_reader *account_reader;

static enum err start(struct platform *pf)
{
    return journal_reader_open(arena_printf(&pf->arena, "%s/journal", pf->settings->data).p,
                               &account_reader);
}

static const struct route routes[] = {
    ROUTE_TWIN("GET", "/", SITE_PORTAL, ROLE_PUBLIC, 0, account_page_home,
               "Find a procedure in plain words.", "GET /api/search"),
    ROUTE_TWIN("GET", "/account", SITE_PORTAL, ROLE_USER, 0, account_page_account,
               "My procedures, recent uses of my data, my consents.", "GET /api/account"),
    ROUTE_TWIN("GET", "/account/spaces", SITE_PORTAL, ROLE_USER, 0, account_page_spaces,
               "The spaces of bodies I reach without another password; ?q= searches.",
               "GET /api/account/spaces"),
    ROUTE_TWIN("POST", "/account/spaces/{id}", SITE_PORTAL, ROLE_USER, 0, account_page_space_open,
               "Opens one for the first time, having read what it receives.",
               "-: only the person herself is told, and on this page"),
    ROUTE_TWIN("GET", "/account/uses", SITE_PORTAL, ROLE_USER, 0, account_page_uses,
               "Who used my data; ?q= searches, ?format=csv exports.", "GET /api/account/uses"),
    ROUTE_TWIN("GET", "/account/uses/{id}", SITE_PORTAL, ROLE_USER, 0, account_page_proof,
               "The proof that one use is in the journal.", "GET /api/account/uses/{id}"),
    ROUTE_TWIN("GET", "/account/uses/{id}/preuve", SITE_PORTAL, ROLE_USER, 0,
               account_page_proof_file, "The same proof as a file to check elsewhere.",
               "GET /api/account/uses/{id}/proof"),
    ROUTE_TWIN("GET", "/account/uses/{id}/objection", SITE_PORTAL, ROLE_USER, 0,
               objection_page_form, "Asks why the person objects to a use.",
               "GET /api/account/uses/{id}"),
    ROUTE_TWIN("POST", "/account/uses/{id}/objection", SITE_PORTAL, ROLE_USER, 0,
               objection_page_post, "Objects to a use: a case opens with the data officer.",
               "POST /api/account/uses/{id}/objection"),
    ROUTE_TWIN("GET", "/account/objections", SITE_PORTAL, ROLE_USER, 0, objection_page_list,
               "My objections and their answers.", "GET /api/account/objections"),
    ROUTE_TWIN("GET", "/oppositions", SITE_ORG, ROLE_AGENT, 0, objection_page_cases,
               "Objections to this body's uses, for its data officer.", "GET /api/objections"),
    ROUTE_TWIN("POST", "/oppositions/{id}", SITE_ORG, ROLE_AGENT, 0, objection_page_answer,
               "Answers an objection.", "POST /api/objections/{id}"),
    ROUTE("POST", "/api/account/uses/{id}/objection", SITE_PORTAL, ROLE_USER, ROUTE_API,
          objection_api_post, "Objects to a use: {reason}."),
    ROUTE("GET", "/api/account/objections", SITE_PORTAL, ROLE_USER, ROUTE_API, objection_api_list,
          "The person's objections and their answers."),
    ROUTE("GET", "/api/objections", SITE_ORG, ROLE_AGENT, ROUTE_API, objection_api_cases,
          "Objections to this body's uses, open ones first."),
    ROUTE("POST", "/api/objections/{id}", SITE_ORG, ROLE_AGENT, ROUTE_API, objection_api_answer,
          "Answers one: {answer}."),
    ROUTE_TWIN("GET", "/account/sign-ins", SITE_PORTAL, ROLE_USER, 0, account_page_signins,
               "Sign-ins of six months, or of 36 (?months=36), each with its proof.",
               "GET /api/account/sign-ins"),
    ROUTE_TWIN("GET", "/account/consents", SITE_PORTAL, ROLE_USER, 0, account_page_consents,
               "What I agreed to.", "GET /api/account/consents"),
    ROUTE_TWIN("GET", "/account/consents/{id}/withdraw", SITE_PORTAL, ROLE_USER, 0,
               account_page_withdraw, "Asks before a consent is withdrawn.",
               "GET /api/account/consents"),
    ROUTE_TWIN("POST", "/account/consents/{id}/withdraw", SITE_PORTAL, ROLE_USER, 0,
               account_page_withdraw_post, "Withdraws a consent.",
               "POST /api/account/consents/{id}/withdraw"),

    ROUTE("GET", "/api/tracker/findUsage", SITE_PORTAL, ROLE_USER, ROUTE_API, account_tracker_find,
          "Uses of the person's data, as Estonia's data tracker asks: ?offset=, ?limit=."),
    ROUTE("GET", "/api/tracker/usagePeriod", SITE_PORTAL, ROLE_USER, ROUTE_API,
          account_tracker_period, "From when on uses are kept."),
    ROUTE("GET", "/api/tracker/heartbeat", SITE_PORTAL, ROLE_PUBLIC, ROUTE_API,
          account_tracker_heartbeat, "Whether the tracker answers."),

    ROUTE("GET", "/api/search", SITE_PORTAL, ROLE_PUBLIC, ROUTE_API, account_api_search,
          "Procedures in plain words: ?q=, all without it."),
    ROUTE("GET", "/api/account", SITE_PORTAL, ROLE_USER, ROUTE_API, account_api_account,
          "The person's name and dossiers at every service."),
    ROUTE("GET", "/api/account/spaces", SITE_PORTAL, ROLE_USER, ROUTE_API, account_api_spaces,
          "The spaces of bodies the person reaches: ?q= searches."),
    ROUTE(
        "GET", "/api/account/uses", SITE_PORTAL, ROLE_USER, ROUTE_API, account_api_uses,
        "Uses of the person's data, newest first: ?limit= (500), ?before= the page before's next."),
    ROUTE("GET", "/api/account/uses/{id}", SITE_PORTAL, ROLE_USER, ROUTE_API, account_api_use,
          "One use, and whether its proof holds."),
    ROUTE("GET", "/api/account/uses/{id}/proof", SITE_PORTAL, ROLE_USER, ROUTE_API,
          account_page_proof_file, "The proof file of one use."),
    ROUTE("GET", "/api/account/sign-ins", SITE_PORTAL, ROLE_USER, ROUTE_API, account_api_signins,
          "Sign-ins of six months, or of 36 (?months=36), 25 a page."),
    ROUTE("GET", "/api/account/consents", SITE_PORTAL, ROLE_USER, ROUTE_API, account_api_consents,
          "All consents of the person, ended ones too."),
    ROUTE("POST", "/api/account/consents/{id}/withdraw", SITE_PORTAL, ROLE_USER, ROUTE_API,
          account_api_withdraw, "Withdraws a consent."),
};

static const struct nav_item nav[] = {
    NAV(SITE_PORTAL, ROLE_USER, "/", "account/nav.home"),
    NAV(SITE_PORTAL, ROLE_USER, "/account", "account/nav.account"),
    NAV(SITE_PORTAL, ROLE_USER, "/account/spaces", "account/nav.spaces"),
    NAV(SITE_PORTAL, ROLE_USER, "/account/uses", "account/nav.uses"),
    NAV(SITE_PORTAL, ROLE_USER, "/account/consents", "account/nav.consents"),
    NAV(SITE_ORG, ROLE_AGENT, "/oppositions", "account/nav.cases"),
};

static const struct command commands[] = {
    {"officer", "name a body's data officer", objections_cli},
};

const struct service service_account = {
    .name = "account",
    .routes = routes,
    .n_routes = COUNT_OF(routes),
    .migrations = account_migrations,
    .n_migrations = ACCOUNT_MIGRATIONS,
    .commands = commands,
    .n_commands = COUNT_OF(commands),
    .nav = nav,
    .n_nav = COUNT_OF(nav),
    .start = start,
};
