/* Technical traces. Read in this order: docs/formats/trace-event.md, event.c, block.c, store.c,
 * search.c, count.c, rules.c, alert.c. */
#include <pthread.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "core/traces/traces.h"
#include "sys/proc.h"

static const struct db_migration migrations[] = {
    {"traces", 1,
     "CREATE TABLE trace_block("
     " id TEXT PRIMARY KEY, source TEXT NOT NULL, from_ms BIGINT NOT NULL, to_ms BIGINT NOT NULL,"
     " n BIGINT NOT NULL, severity BIGINT NOT NULL, words BLOB NOT NULL, data BLOB NOT NULL);"
     "CREATE INDEX trace_block_to ON trace_block(to_ms, id);"
     "CREATE INDEX trace_block_source ON trace_block(source, n, to_ms);"
     "CREATE TABLE trace_count("
     " metric BIGINT NOT NULL, grp TEXT NOT NULL, bucket BIGINT NOT NULL, n BIGINT NOT NULL,"
     " sketch BLOB NOT NULL, touched BIGINT NOT NULL, PRIMARY KEY(metric, grp, bucket));"
     "CREATE INDEX trace_count_touched ON trace_count(touched);"
     "CREATE INDEX trace_count_bucket ON trace_count(bucket);"
     "CREATE TABLE trace_group("
     " grp TEXT PRIMARY KEY, name BLOB NOT NULL, seen_ms BIGINT NOT NULL);"
     "CREATE TABLE trace_alert("
     " id TEXT PRIMARY KEY, rule TEXT NOT NULL, grp TEXT NOT NULL, state TEXT NOT NULL,"
     " closed_by TEXT NOT NULL, first_ms BIGINT NOT NULL, last_ms BIGINT NOT NULL,"
     " n BIGINT NOT NULL, usual BIGINT NOT NULL);"
     "CREATE INDEX trace_alert_group ON trace_alert(rule, grp, last_ms);"
     "CREATE TABLE trace_mark(origin TEXT PRIMARY KEY, entries BIGINT NOT NULL);"},
};

/* In a thread of its own: what it reads may be much, and the outbox must not wait for it. */
static void *watch_run(void *platform)
{
    for (int turn = 0; !proc_stopping; turn++) {
        enum err e = trace_follow_journal(platform);
        if (e == ERR_OK)
            e = trace_rules_run(platform, clock_now_ms());
        if (e == ERR_OK && turn % 60 == 59)
            e = trace_compact(platform, clock_now_ms());
        if (e != ERR_OK && !proc_stopping)
            log_warn("traces_watch_failed", "error", err_name(e));
        for (int i = 0; i < 10 && !proc_stopping; i++)
            usleep(100 * 1000);
    }
    return NULL;
}

static void tick(struct platform *pf, int64_t now_ms)
{
    static bool started;
    pthread_t thread;
    (void)now_ms;
    if (started || proc_stopping)
        return;
    started = pthread_create(&thread, NULL, watch_run, pf) == 0;
    if (started)
        pthread_detach(thread);
}

static const struct route routes[] = {
    ROUTE("POST", "/api/traces", SITE_PORTAL, ROLE_CLIENT, ROUTE_API, traces_api_add,
          "Takes technical events of a service (docs/formats/trace-event.md)."),
    ROUTE("GET", "/api/traces", SITE_PORTAL, ROLE_CLIENT, ROUTE_API, traces_api_list,
          "A service's own events: ?q=, severity, from, to, limit; newest first."),
    ROUTE_TWIN("GET", "/operateur/traces", SITE_PORTAL, ROLE_ADMIN, 0, traces_page_search,
               "Searches technical traces of all services.",
               "-: the operator's commands say the same: socle traces search"),
    ROUTE_TWIN("GET", "/operateur/alertes", SITE_PORTAL, ROLE_ADMIN, 0, traces_page_alerts,
               "Alerts that rules raised.",
               "-: the operator's commands say the same: socle traces alerts"),
    ROUTE_TWIN("POST", "/operateur/alertes/{id}/close", SITE_PORTAL, ROLE_ADMIN, 0,
               traces_page_close, "Closes an alert.",
               "-: the operator's commands do the same: socle traces close"),
};

static const struct nav_item nav[] = {
    NAV(SITE_PORTAL, ROLE_ADMIN, "/operateur/alertes", "traces/nav.alerts"),
    NAV(SITE_PORTAL, ROLE_ADMIN, "/operateur/traces", "traces/nav.traces"),
};

static const struct command commands[] = {
    {"traces", "search technical traces of services, list and close alerts", traces_cli},
};

const struct service service_traces = {
    .name = "traces",
    .routes = routes,
    .n_routes = COUNT_OF(routes),
    .migrations = migrations,
    .n_migrations = COUNT_OF(migrations),
    .commands = commands,
    .n_commands = COUNT_OF(commands),
    .nav = nav,
    .n_nav = COUNT_OF(nav),
    .start = traces_syslog_start,
    .tick = tick,
};
