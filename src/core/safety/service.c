#include "core/safety/safety.h"

const struct db_migration safety_migrations[SAFETY_MIGRATIONS] = {
    {"safety", 1,
     "CREATE TABLE device("
     " id TEXT NOT NULL, person TEXT NOT NULL, data BLOB NOT NULL, trusted BIGINT NOT NULL,"
     " first_at BIGINT NOT NULL, last_at BIGINT NOT NULL, PRIMARY KEY(id, person));"
     "CREATE INDEX device_person ON device(person, last_at);"
     "CREATE TABLE signed_in("
     " session TEXT PRIMARY KEY, person TEXT NOT NULL, sid TEXT NOT NULL, provider TEXT NOT NULL,"
     " device TEXT NOT NULL, data BLOB NOT NULL, at BIGINT NOT NULL);"
     "CREATE INDEX signed_in_person ON signed_in(person);"
     "CREATE TABLE block("
     " person TEXT NOT NULL, provider TEXT NOT NULL, through TEXT NOT NULL, by_whom TEXT NOT NULL,"
     " at BIGINT NOT NULL, PRIMARY KEY(person, provider));"
     "CREATE TABLE report("
     " id TEXT PRIMARY KEY, person TEXT NOT NULL, data BLOB NOT NULL, state TEXT NOT NULL,"
     " at BIGINT NOT NULL, closed_at BIGINT NOT NULL);"
     "CREATE INDEX report_state ON report(state, at);"
     "CREATE INDEX report_person ON report(person);"},
};

enum { EXPIRED_EVERY_S = 10, STALE_EVERY_S = 86400 };

static void tick(struct platform *pf, int64_t now_ms)
{
    static int turn;
    if (turn++ % EXPIRED_EVERY_S == 0)
        safety_expired(pf, now_ms);
    if (turn % STALE_EVERY_S == 1)
        safety_devices_sweep(pf, now_ms);
}

static const struct route routes[] = {
    ROUTE_TWIN("GET", "/account/security", SITE_PORTAL, ROLE_USER, 0, safety_page,
               "Sessions, devices, blocks: who may use the account, and from where.",
               "GET /api/account/security"),
    ROUTE_TWIN("POST", "/account/sessions/{id}", SITE_PORTAL, ROLE_USER, 0, safety_page_session_end,
               "Signs one session out, wherever it is.", "POST /api/account/sessions/{id}/end"),
    ROUTE_TWIN("POST", "/account/sessions", SITE_PORTAL, ROLE_USER, 0, safety_page_others_end,
               "Signs all other sessions out.", "POST /api/account/sessions/end-others"),
    ROUTE_TWIN("POST", "/account/devices/{id}", SITE_PORTAL, ROLE_USER, 0, safety_page_device,
               "Trusts a device, or forgets it.", "POST /api/account/devices/{id}"),
    ROUTE_TWIN("GET", "/account/security/block", SITE_PORTAL, ROLE_USER, 0, safety_page_block,
               "Asks before a provider or the account is blocked.", "GET /api/account/security"),
    ROUTE_TWIN("POST", "/account/security/block", SITE_PORTAL, ROLE_USER, 0, safety_page_block_post,
               "Blocks a provider, or the whole account.", "POST /api/account/blocks"),
    ROUTE_TWIN("GET", "/account/security/unblock", SITE_PORTAL, ROLE_USER, 0, safety_page_unblocked,
               "Where the sign-in that lifted a block leads.", "-: only a browser comes here"),
    ROUTE_TWIN("POST", "/account/security/unblock", SITE_PORTAL, ROLE_USER, 0,
               safety_page_unblock_post, "Lifts a block; needs a strong sign-in.",
               "POST /api/account/blocks/lift"),
    ROUTE_TWIN("GET", "/account/security/report", SITE_PORTAL, ROLE_USER, 0, safety_page_report,
               "Reports a use that was not hers.", "POST /api/account/reports"),
    ROUTE_TWIN("POST", "/account/security/report", SITE_PORTAL, ROLE_USER, 0,
               safety_page_report_post, "The same, posted.", "POST /api/account/reports"),
    ROUTE("GET", "/securite/alerte", SITE_PORTAL, ROLE_PUBLIC, ROUTE_THROTTLED, safety_page_link,
          "Where the mail of a new device leads: block, without signing in."),
    ROUTE_TWIN("POST", "/securite/alerte", SITE_PORTAL, ROLE_PUBLIC, ROUTE_THROTTLED,
               safety_page_link_post, "Blocks what the mail is about.",
               "-: the link of a mail, for who has lost her sign-in"),
    ROUTE_TWIN("GET", "/operateur/signalements", SITE_PORTAL, ROLE_ADMIN, 0, safety_page_reports,
               "Reports of fraud.", "-: socle person reports --json"),
    ROUTE_TWIN("POST", "/operateur/signalements/{id}", SITE_PORTAL, ROLE_ADMIN, 0,
               safety_page_report_close, "Answers one.", "-: socle person answer"),

    ROUTE("GET", "/api/account/security", SITE_PORTAL, ROLE_USER, ROUTE_API, safety_api,
          "Sessions, devices, blocks and reports of the person."),
    ROUTE("POST", "/api/account/sessions/end-others", SITE_PORTAL, ROLE_USER, ROUTE_API,
          safety_api_others_end, "Signs all sessions out; a token is none of them."),
    ROUTE("POST", "/api/account/sessions/{id}/end", SITE_PORTAL, ROLE_USER, ROUTE_API,
          safety_api_session_end, "Signs one session out."),
    ROUTE("POST", "/api/account/devices/{id}", SITE_PORTAL, ROLE_USER, ROUTE_API, safety_api_device,
          "action: trust, untrust or forget."),
    ROUTE("POST", "/api/account/blocks", SITE_PORTAL, ROLE_USER, ROUTE_API, safety_api_block,
          "Blocks `provider`; without it, the whole account."),
    ROUTE("POST", "/api/account/blocks/lift", SITE_PORTAL, ROLE_USER, ROUTE_API, safety_api_unblock,
          "Lifts a block; needs a strong sign-in by another provider."),
    ROUTE("POST", "/api/account/reports", SITE_PORTAL, ROLE_USER, ROUTE_API, safety_api_report,
          "Reports a fraud: words, and sign_in (entry), session, service."),
};

static const struct call calls[] = {
    {"safety.judge", safety_call_judge, "May she come in by this provider; is it strange."},
    {"safety.arrived", safety_call_arrived, "She is in: notes the device, writes to her."},
    {"safety.unblock", safety_call_unblock, "She came by a strong means to unblock her account."},
    {"safety.forget", safety_call_forget, "Ends all that is open before she is erased."},
    {"safety.command", safety_call_command, "socle person reports, answer, block, unblock."},
};

static const struct nav_item nav[] = {
    NAV(SITE_PORTAL, ROLE_USER, "/account/security", "safety/nav.security"),
    NAV(SITE_PORTAL, ROLE_ADMIN, "/operateur/signalements", "safety/nav.reports"),
};

const struct service service_safety = {
    .replay_kinds = {SAFETY_ACCOUNT_BLOCKED, SAFETY_PROVIDER_BLOCKED, SAFETY_ACCOUNT_UNBLOCKED,
                     SAFETY_PROVIDER_UNBLOCKED},
    .replay = safety_block_again,
    .name = "safety",
    .routes = routes,
    .n_routes = COUNT_OF(routes),
    .migrations = safety_migrations,
    .n_migrations = SAFETY_MIGRATIONS,
    .calls = calls,
    .n_calls = COUNT_OF(calls),
    .nav = nav,
    .n_nav = COUNT_OF(nav),
    .tick = tick,
};
