/* What every service stands on: the process-wide handles, and the table in which a service declares
 * all it is (routes, migrations, calls, commands). A service's folder has a service.c that defines
 * `const struct service service_<folder>`; the Makefile finds it (tools/services.sh). */
#ifndef PLATFORM_PLATFORM_H
#define PLATFORM_PLATFORM_H

#include "base/err.h"
#include "crypto/keys.h"
#include "data/db.h"
#include "data/json.h"
#include "journal/journal.h"
#include "platform/settings.h"
#include "sys/loop.h"
#include "web/server.h"

struct ctx;
struct platform {
    const struct settings *settings;
    struct db *db;
    struct keys *keys;
    struct keys *tls_keys;       /* signs with TLS keys alone; in web */
    struct journal *journal;     /* blocking client for handlers */
    const int *loop_journal_fds; /* one channel per loop, for the fast lane; NULL elsewhere */
    size_t n_loop_journal_fds;
    int syslog_fd, syslog_tls_fd; /* listening, in web; -1: none */
    uint8_t token_seal[32];       /* shared secrets handed out by keys at start */
    uint8_t cookie_secret[32];
    struct arena arena; /* process lifetime */
};

/* ---- routes -----------------------------------------------------------------------------------
 */
/* Whose page it is. A request's host chooses the site: the portal is settings.base_url's host;
 * other hosts are sites of organisations (table `site`: host -> organisation, its client of the
 * issuer). */
enum site_kind { SITE_PORTAL, SITE_ORG, SITE_ANY };
enum role {
    ROLE_PUBLIC,
    ROLE_USER,    /* signed in as a person on this site; pages redirect to the site's sign-in */
    ROLE_AGENT,   /* signed in as an agent of the site's organisation */
    ROLE_ADMIN,   /* operator */
    ROLE_CLIENT,  /* an API that authenticates its caller itself */
    ROLE_AUDITOR, /* reads the journal, and operates nothing; an operator may too */
    ROLE_COUNT
};
static inline bool role_may(enum role has, enum role wanted)
{
    return has == wanted || (has == ROLE_ADMIN && wanted == ROLE_AUDITOR);
}
enum {
    ROUTE_API = 1, /* errors as problem+json, no cookie, no CSRF; for ROLE_USER and ROLE_AGENT
                      the caller shows an access token (api.c), and a JSON body is its form */
    ROUTE_CROSS_SITE = 2, /* POST allowed from other origins (OpenID authorize) */
    ROUTE_THROTTLED = 8,  /* an address may ask so often (setting throttle_address) */
    ROUTE_CALLS_SELF = 4, /* its handler calls this platform over HTTP: such handlers never take the
                             last half of the pool, so the calls they make find a thread */
};
typedef enum err route_handler(struct ctx *c);
struct route {
    const char *method, *path; /* "/dossiers/{id}": one segment a name; "{rest*}"
                                  at the end: all that follows */
    enum site_kind site;
    enum role role;
    unsigned flags;
    route_handler *handler;
    const char *handler_name, *file;
    int line;
    const char *help; /* one English sentence: --help, explain, OpenAPI */
    /* For a page that acts or shows a person's data: the API operation that does the same, as "POST
     * /api/dossiers/{id}/submit", or "-: why there is none". A test reads this (P5.2.3). */
    const char *api;
};
#define ROUTE(method, path, site, role, flags, fn, help)                         \
    {                                                                            \
        method, path, site, role, flags, fn, #fn, __FILE__, __LINE__, help, NULL \
    }
#define ROUTE_TWIN(method, path, site, role, flags, fn, help, api)              \
    {                                                                           \
        method, path, site, role, flags, fn, #fn, __FILE__, __LINE__, help, api \
    }

/* ---- calls between services: by name, JSON in and out (the list is docs/CALLS.md) --------------
 */
typedef enum err call_handler(struct ctx *c, const json_t *args, json_t **out);
struct call {
    const char *name; /* "registers.find" */
    call_handler *fn;
    const char *help;
};

/* ---- commands ----------------------------------------------------------------------------------
 */
struct command {
    const char *name, *help;
    /* argv[0] is the command's name; the platform is opened for it (database, local or running
     * keys). Returns the exit code: 0, 1 failed, 2 usage. Where the arguments hold --help, pf is
     * NULL: print the usage, return 0. */
    int (*fn)(struct platform *pf, int argc, char **argv);
};

struct site;
/* An entry of the navigation: on which site, for which role (ROLE_PUBLIC: everybody). `where` says
 * no for the sites that have no use for it; NULL: all have. */
struct nav_item {
    enum site_kind site;
    enum role role;
    const char *url, *text_key; /* "<module>/<key>" */
    bool (*where)(const struct platform *pf, const struct site *site);
};
#define NAV(site, role, url, text_key)  \
    {                                   \
        site, role, url, text_key, NULL \
    }
#define NAV_WHERE(site, role, url, text_key, where) \
    {                                               \
        site, role, url, text_key, where            \
    }

enum { REPLAY_KINDS_MAX = 4 };
struct service {
    const char *name;
    const struct route *routes;
    size_t n_routes;
    const struct db_migration *migrations;
    size_t n_migrations;
    const struct call *calls;
    size_t n_calls;
    const struct command *commands;
    size_t n_commands;
    const struct nav_item *nav;
    size_t n_nav;
    enum err (*start)(struct platform *pf);            /* in web, before serving; NULL: none */
    void (*tick)(struct platform *pf, int64_t now_ms); /* in jobs, every second; NULL: none */
    /* The fast lane's owner (one service): see web_server_conf. */
    void *(*loop_start)(struct platform *pf, struct loop *l, unsigned index);
    bool (*fast)(struct platform *pf, struct fast *x);
    /* Called by `socle restore` with each entry of these kinds of the restored journal, oldest
     * first: a database older than the journal never heard of it, and must obey it before it serves
     * again.
     */
    const char *replay_kinds[REPLAY_KINDS_MAX];
    enum err (*replay)(struct platform *pf, const json_t *leaf);
    /* Prints the stages of a fast-lane path for `socle explain`; false: not its path. */
    bool (*explain)(struct str method, struct str path);
};
extern const struct service *const services[];
extern const size_t services_n;

/* Runs a call of another service in this request's context. ERR_NOT_FOUND: no such call (its
 * service is left out): callers go on without it where they can. *out is owned by the context's
 * pool. */
enum err platform_call(struct ctx *c, const char *name, const json_t *args,
                       json_t **out) MUST_CHECK;

/* All migrations of the platform and of every service. */
enum err platform_migrate(struct platform *pf) MUST_CHECK;

#endif
