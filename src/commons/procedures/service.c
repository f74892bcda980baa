/* Procedures: what the engine keeps, the addresses it answers, what others may ask of it. */
#include "commons/procedures/procedures.h"

/* Of a dossier, the table shows what lists need; what was typed is in `data`, sealed under the
 * person's key. dossier_word holds blind indexes of the applicant's names. */
static const struct db_migration migrations[] = {
    {"procedures", 1,
     "CREATE TABLE dossier("
     " id TEXT PRIMARY KEY, number TEXT NOT NULL UNIQUE, host TEXT NOT NULL, sub TEXT NOT NULL,"
     " digest TEXT NOT NULL, agent_name TEXT NOT NULL, procedure TEXT NOT NULL,"
     " version BIGINT NOT NULL, state TEXT NOT NULL, created_at BIGINT NOT NULL,"
     " submitted_at BIGINT NOT NULL, updated_at BIGINT NOT NULL, deadline_at BIGINT NOT NULL,"
     " decided_at BIGINT NOT NULL, revision BIGINT NOT NULL, data BLOB NOT NULL);"
     "CREATE UNIQUE INDEX dossier_one_draft ON dossier(host, sub, procedure)"
     " WHERE state = 'draft';"
     "CREATE INDEX dossier_sub ON dossier(host, sub, updated_at);"
     "CREATE INDEX dossier_state ON dossier(host, state, submitted_at);"
     "CREATE INDEX dossier_deadline ON dossier(host, state, deadline_at);"
     "CREATE TABLE dossier_event("
     " id TEXT PRIMARY KEY, dossier_id TEXT NOT NULL REFERENCES dossier(id),"
     " at_ms BIGINT NOT NULL, kind TEXT NOT NULL, who TEXT NOT NULL, detail BLOB NOT NULL);"
     "CREATE INDEX dossier_event_dossier ON dossier_event(dossier_id, at_ms);"
     "CREATE TABLE dossier_word("
     " host TEXT NOT NULL, word TEXT NOT NULL, dossier_id TEXT NOT NULL REFERENCES dossier(id),"
     " PRIMARY KEY(host, word, dossier_id));"
     "CREATE TABLE dossier_read("
     " dossier_id TEXT NOT NULL REFERENCES dossier(id), agent TEXT NOT NULL, at_ms BIGINT NOT NULL,"
     " PRIMARY KEY(dossier_id, agent));"},
};

static enum err start(struct platform *pf)
{
    (void)pf;
    return definitions_load();
}

static const struct route routes[] = {
    /* people */
    ROUTE_TWIN("GET", "/", SITE_ORG, ROLE_PUBLIC, 0, procedures_home,
               "The site's procedures, and a person's dossiers.", "GET /api/dossiers"),
    ROUTE_TWIN("GET", "/demarches/{procedure}", SITE_ORG, ROLE_PUBLIC, 0, procedures_start,
               "What a procedure is, for whom, how long, what is asked.",
               "GET /api/procedures/{procedure}"),
    ROUTE_TWIN("POST", "/demarches/{procedure}", SITE_ORG, ROLE_USER, ROUTE_CALLS_SELF,
               procedures_start_post, "Begins a draft, prefilled, or goes on with it.",
               "POST /api/dossiers"),
    ROUTE_TWIN("GET", "/dossiers/{id}/etape/{step}", SITE_ORG, ROLE_USER, 0, procedures_step,
               "One step of the form.", "GET /api/dossiers/{id}"),
    ROUTE_TWIN("POST", "/dossiers/{id}/etape/{step}", SITE_ORG, ROLE_USER, 0, procedures_step_post,
               "Keeps the answers of one step.", "POST /api/dossiers/{id}/steps/{step}"),
    ROUTE_TWIN("GET", "/dossiers/{id}/verifier", SITE_ORG, ROLE_USER, 0, procedures_check,
               "All answers, to be read over.", "GET /api/dossiers/{id}"),
    ROUTE_TWIN("POST", "/dossiers/{id}/envoyer", SITE_ORG, ROLE_USER, 0, procedures_check_post,
               "Sends the request.", "POST /api/dossiers/{id}/submit"),
    ROUTE_TWIN("GET", "/dossiers/{id}/recu", SITE_ORG, ROLE_USER, 0, procedures_receipt,
               "The receipt: number, time, digest.", "GET /api/dossiers/{id}"),
    ROUTE_TWIN("GET", "/dossiers/{id}/depot.json", SITE_ORG, ROLE_USER, 0, procedures_deposit_file,
               "What was sent, as the digest covers it.", "GET /api/dossiers/{id}/deposit"),
    ROUTE_TWIN("GET", "/dossiers/{id}", SITE_ORG, ROLE_USER, 0, procedures_dossier,
               "A person's dossier, with its decision.", "GET /api/dossiers/{id}"),
    /* agents */
    ROUTE_TWIN("GET", "/agent", SITE_ORG, ROLE_AGENT, 0, procedures_agent_list,
               "The agents' list: ?etat= ?tri= ?q= ?page=, ?format=csv exports.",
               "GET /api/agent/dossiers"),
    ROUTE_TWIN("GET", "/agent/dossiers/{id}", SITE_ORG, ROLE_AGENT, 0, procedures_agent_dossier,
               "A dossier to instruct.", "GET /api/agent/dossiers/{id}"),
    ROUTE_TWIN("POST", "/agent/dossiers/{id}/relire", SITE_ORG, ROLE_AGENT, 0,
               procedures_agent_preview, "The decision as the person will read it.",
               "-: shows words before they are sent and changes nothing"),
    ROUTE_TWIN("POST", "/agent/dossiers/{id}/decision", SITE_ORG, ROLE_AGENT, 0,
               procedures_agent_decide, "Accepts or refuses.",
               "POST /api/agent/dossiers/{id}/decision"),
    /* programs */
    ROUTE("GET", "/api/procedures", SITE_ORG, ROLE_PUBLIC, ROUTE_API, procedures_api_list,
          "The procedures of this site."),
    ROUTE("GET", "/api/procedures/{procedure}", SITE_ORG, ROLE_PUBLIC, ROUTE_API,
          procedures_api_one, "A procedure's definition: what it asks, from whom data comes."),
    ROUTE("GET", "/api/dossiers", SITE_ORG, ROLE_USER, ROUTE_API, procedures_api_mine,
          "The person's dossiers, newest first."),
    ROUTE("POST", "/api/dossiers", SITE_ORG, ROLE_USER, ROUTE_API | ROUTE_CALLS_SELF,
          procedures_api_begin,
          "Begins a draft of \"procedure\", prefilled, or gives the one there is."),
    ROUTE("GET", "/api/dossiers/{id}", SITE_ORG, ROLE_USER, ROUTE_API, procedures_api_dossier,
          "One of the person's dossiers: state, values with their sources, events, decision."),
    ROUTE("GET", "/api/dossiers/{id}/deposit", SITE_ORG, ROLE_USER, ROUTE_API,
          procedures_deposit_file, "What was sent, byte for byte as the digest covers it."),
    ROUTE("POST", "/api/dossiers/{id}/steps/{step}", SITE_ORG, ROLE_USER, ROUTE_API,
          procedures_api_step, "Keeps the answers of one step (422: errors by field)."),
    ROUTE("POST", "/api/dossiers/{id}/submit", SITE_ORG, ROLE_USER, ROUTE_API, procedures_api_send,
          "Sends a complete draft; sending again gives the same receipt."),
    ROUTE("GET", "/api/agent/dossiers", SITE_ORG, ROLE_AGENT, ROUTE_API, procedures_api_agent_list,
          "Dossiers of this site: ?state= submitted, late, done, accepted or refused, ?sort= "
          "received, oldest or deadline, ?q= a number or a name, ?page=."),
    ROUTE("GET", "/api/agent/dossiers/{id}", SITE_ORG, ROLE_AGENT, ROUTE_API,
          procedures_api_agent_dossier, "A dossier as an agent reads it."),
    ROUTE("POST", "/api/agent/dossiers/{id}/decision", SITE_ORG, ROLE_AGENT, ROUTE_API,
          procedures_api_agent_decide, "Decides: \"outcome\" accept or refuse, \"reason\"."),
};

static const struct call calls[] = {
    {"procedures.of_sub", call_of_sub, "Dossiers of a person at one service."},
    {"procedures.search", call_search, "Procedures in plain words."},
};

static const struct nav_item nav[] = {
    NAV(SITE_ORG, ROLE_USER, "/", "procedures/nav.home"),
    NAV(SITE_ORG, ROLE_AGENT, "/agent", "procedures/nav.agent"),
};

const struct service service_procedures = {
    .name = "procedures",
    .routes = routes,
    .n_routes = COUNT_OF(routes),
    .migrations = migrations,
    .n_migrations = COUNT_OF(migrations),
    .calls = calls,
    .n_calls = COUNT_OF(calls),
    .nav = nav,
    .n_nav = COUNT_OF(nav),
    .start = start,
};
