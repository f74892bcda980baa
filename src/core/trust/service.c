/* Trust: the journal is open to whoever wants to check it, and watched by others. */
#include "core/trust/trust.h"

#include <pthread.h>
#include <unistd.h>
#include "base/clock.h"
#include "sys/proc.h"

struct journal_reader *trust_reader;

static const struct db_migration migrations[] = {
    {"trust", 1,
     "CREATE TABLE trust_watched("
     " origin TEXT PRIMARY KEY, size BIGINT NOT NULL, root BLOB NOT NULL, seen_at BIGINT NOT NULL);"
     "CREATE TABLE trust_refused("
     " origin TEXT NOT NULL, digest TEXT NOT NULL, reason TEXT NOT NULL, size BIGINT NOT NULL,"
     " at BIGINT NOT NULL, note TEXT NOT NULL, PRIMARY KEY(origin, digest));"
     "CREATE TABLE trust_cosigned("
     " origin TEXT PRIMARY KEY, size BIGINT NOT NULL, note TEXT NOT NULL, at BIGINT NOT NULL);"},
    {"trust", 60,
     "CREATE TABLE trust_quorum("
     " origin TEXT PRIMARY KEY, size BIGINT NOT NULL, note TEXT NOT NULL, at BIGINT NOT NULL);"
     "CREATE TABLE trust_stamp("
     " origin TEXT NOT NULL, size BIGINT NOT NULL, note TEXT NOT NULL, answer BLOB NOT NULL,"
     " at BIGINT NOT NULL, PRIMARY KEY(origin, size));"
     "CREATE TABLE trust_node("
     " url TEXT PRIMARY KEY, origin TEXT NOT NULL, kept TEXT NOT NULL, state TEXT NOT NULL,"
     " size BIGINT NOT NULL, file TEXT NOT NULL, what TEXT NOT NULL, at BIGINT NOT NULL);"},
};

static enum err start(struct platform *pf)
{
    return journal_reader_open(arena_printf(&pf->arena, "%s/journal", pf->settings->data).p,
                               &trust_reader);
}

/* In a thread of its own: a witness that does not answer must hold up no delivery. */
static void *watch_run(void *platform)
{
    struct platform *pf = platform;
    while (!proc_stopping) {
        int64_t now_ms = clock_now_ms();
        if (trust_reader || start(pf) == ERR_OK) { /* jobs starts no services */
            trust_cosign(pf, now_ms);
            trust_stamp(pf, now_ms);
            trust_follow(pf, now_ms);
        }
        for (int i = 0; i < 10 && !proc_stopping; i++)
            usleep(100 * 1000);
    }
    return NULL;
}

static void tick(struct platform *pf, int64_t now_ms)
{
    static bool started;
    const struct settings *s = pf->settings;
    pthread_t thread;
    (void)now_ms;
    if (started || proc_stopping ||
        !(s->witnesses_text.n || *s->tsa_url || s->journal_nodes_text.n))
        return;
    started = pthread_create(&thread, NULL, watch_run, pf) == 0;
    if (started)
        pthread_detach(thread);
}

#define TILE(path)                                                                               \
    ROUTE("GET", "/journal/tile/{level}/" path, SITE_PORTAL, ROLE_PUBLIC, ROUTE_API, trust_tile, \
          "A tile of the public log (C2SP tlog-tiles).")
#define LOG_TILE(path)                                                                            \
    ROUTE("GET", "/journal/logs/{epoch}/tile/{level}/" path, SITE_PORTAL, ROLE_PUBLIC, ROUTE_API, \
          trust_log_tile, "A tile of one of the logs, at an address it keeps.")

static const struct route routes[] = {
    ROUTE_TWIN("GET", "/journal", SITE_PORTAL, ROLE_PUBLIC, 0, trust_page,
               "The journal's state, its witnesses, the other nodes' journals.",
               "GET /api/journal"),
    ROUTE("GET", "/api/journal", SITE_PORTAL, ROLE_PUBLIC, ROUTE_API, trust_api,
          "The same: origin, entries, witnesses, nodes."),
    ROUTE("GET", "/journal/checkpoint", SITE_PORTAL, ROLE_PUBLIC, ROUTE_API, trust_checkpoint,
          "The journal's signed checkpoint, with its witnesses' signatures."),
    ROUTE("GET", "/journal/key", SITE_PORTAL, ROLE_PUBLIC, ROUTE_API, trust_key,
          "The journal's verifier key."),
    ROUTE("GET", "/journal/receipts/{entry}", SITE_PORTAL, ROLE_PUBLIC, ROUTE_API, trust_receipt,
          "The proof that a signed checkpoint covers an entry."),
    TILE("{a}"),
    TILE("{a}/{b}"),
    TILE("{a}/{b}/{c}"),
    TILE("{a}/{b}/{c}/{d}"),
    TILE("{a}/{b}/{c}/{d}/{e}"),
    ROUTE("GET", "/journal/logs", SITE_PORTAL, ROLE_PUBLIC, ROUTE_API, trust_logs,
          "The logs there were, the one under way last: number and origin, a line each."),
    ROUTE("GET", "/journal/logs/{epoch}/checkpoint", SITE_PORTAL, ROLE_PUBLIC, ROUTE_API,
          trust_log_checkpoint, "A log's last checkpoint."),
    ROUTE("GET", "/journal/logs/{epoch}/key", SITE_PORTAL, ROLE_PUBLIC, ROUTE_API, trust_log_key,
          "A log's verifier key."),
    LOG_TILE("{a}"),
    LOG_TILE("{a}/{b}"),
    LOG_TILE("{a}/{b}/{c}"),
    LOG_TILE("{a}/{b}/{c}/{d}"),
    ROUTE_TWIN("GET", "/operateur/journal", SITE_PORTAL, ROLE_AUDITOR, 0, trust_search_page,
               "Searches the journal's entries; each search is an entry itself.",
               "GET /api/operator/journal"),
    ROUTE("GET", "/api/operator/journal", SITE_PORTAL, ROLE_AUDITOR, ROUTE_API, trust_search_api,
          "The same search, with the session's cookie: ?party=, ?purpose=, ?kind=, ?person=, ?id=, "
          "?from=, ?to=, ?before= the page before's next."),
    ROUTE("POST", "/witness/add-checkpoint", SITE_PORTAL, ROLE_PUBLIC, ROUTE_API,
          trust_add_checkpoint, "Cosigns a checkpoint of a watched log (C2SP tlog-witness)."),
    ROUTE("GET", "/witness/key", SITE_PORTAL, ROLE_PUBLIC, ROUTE_API, trust_witness_key,
          "This platform's verifier key as a witness."),
};

static const struct nav_item nav[] = {
    NAV(SITE_PORTAL, ROLE_AUDITOR, "/operateur/journal", "trust/nav.search"),
};

static const struct call calls[] = {
    {"trust.state", trust_call_state, "The journal, its witnesses and the logs it follows."},
};

const struct service service_trust = {
    .name = "trust",
    .routes = routes,
    .n_routes = COUNT_OF(routes),
    .calls = calls,
    .n_calls = COUNT_OF(calls),
    .migrations = migrations,
    .n_migrations = COUNT_OF(migrations),
    .nav = nav,
    .n_nav = COUNT_OF(nav),
    .start = start,
    .tick = tick,
};
