/* The platform's own tables and pages: styles, legal pages, health, what programs look for. */
#include "platform/boot.h"

#include <stdio.h>
#include "base/clock.h"
#include "base/log.h"
#include "platform/ctx.h"
#include "platform/errors.h"
#include "platform/health.h"
#include "platform/hook.h"
#include "platform/hook_pages.h"
#include "platform/kept.h"
#include "platform/metrics.h"
#include "platform/node.h"
#include "platform/openapi.h"
#include "platform/org_cli.h"
#include "platform/render.h"
#include "platform/rp.h"
#include "platform/tls_cli.h"
#include "web/assets.h"
#include "web/pages.h"

static const struct db_migration migrations[] = {
    {"platform", 1,
     "CREATE TABLE organisation("
     " id TEXT PRIMARY KEY, siret TEXT NOT NULL UNIQUE, name_fr TEXT NOT NULL,"
     " name_en TEXT NOT NULL, kind TEXT NOT NULL, created_at BIGINT NOT NULL);"
     "CREATE TABLE site("
     " host TEXT PRIMARY KEY, org_id TEXT NOT NULL REFERENCES organisation(id),"
     " client_id TEXT NOT NULL, client_secret BLOB NOT NULL);"
     "CREATE TABLE session("
     " id TEXT PRIMARY KEY, host TEXT NOT NULL, subject TEXT NOT NULL, role BIGINT NOT NULL,"
     " data BLOB NOT NULL, created_at BIGINT NOT NULL, seen_at BIGINT NOT NULL);"
     "CREATE INDEX session_subject ON session(host, subject);"
     "CREATE INDEX session_seen ON session(seen_at);"
     "CREATE TABLE subject_key("
     " subject TEXT PRIMARY KEY, wrapped BLOB NOT NULL, created_at BIGINT NOT NULL);"
     "CREATE TABLE outbox("
     " id TEXT PRIMARY KEY, entry BLOB NOT NULL, subject TEXT NOT NULL, side BLOB NOT NULL,"
     " created_at BIGINT NOT NULL);"
     "CREATE INDEX outbox_created ON outbox(created_at);"
     "CREATE TABLE change_counter(id BIGINT PRIMARY KEY, seq BIGINT NOT NULL);"
     "INSERT INTO change_counter(id, seq) VALUES(1, 0);"
     "CREATE TABLE change("
     " seq BIGINT PRIMARY KEY, kind TEXT NOT NULL, item TEXT NOT NULL, until_ms BIGINT NOT NULL,"
     " at_ms BIGINT NOT NULL);"
     "CREATE INDEX change_kind ON change(kind, until_ms);"
     "CREATE TABLE setting(name TEXT PRIMARY KEY, value TEXT NOT NULL);"},
    {"platform", 2,
     "CREATE TABLE kept_form("
     " id TEXT PRIMARY KEY, host TEXT NOT NULL, subject TEXT NOT NULL, path TEXT NOT NULL,"
     " data BLOB NOT NULL, created_at BIGINT NOT NULL);"
     "CREATE INDEX kept_form_subject ON kept_form(host, subject);"
     "CREATE INDEX kept_form_created ON kept_form(created_at);"},
    {"platform", 40,
     "CREATE TABLE hook("
     " org TEXT PRIMARY KEY, url TEXT NOT NULL, secret BLOB NOT NULL, at_ms BIGINT NOT NULL);"
     "CREATE TABLE hook_delivery("
     " id TEXT PRIMARY KEY, org TEXT NOT NULL, event TEXT NOT NULL, body TEXT NOT NULL,"
     " state TEXT NOT NULL, tries BIGINT NOT NULL, next_at BIGINT NOT NULL,"
     " status BIGINT NOT NULL, at_ms BIGINT NOT NULL);"
     "CREATE INDEX hook_delivery_next ON hook_delivery(state, next_at);"
     "CREATE INDEX hook_delivery_org ON hook_delivery(org, id);"
     "CREATE INDEX hook_delivery_at ON hook_delivery(at_ms);"},
    {"platform", 41,
     "CREATE TABLE org_mail("
     " org TEXT PRIMARY KEY, address BLOB NOT NULL, at_ms BIGINT NOT NULL);"},
    {"platform", 60,
     "CREATE TABLE act_text("
     " object TEXT NOT NULL, entry TEXT NOT NULL, at BIGINT NOT NULL, text TEXT NOT NULL,"
     " PRIMARY KEY(object, entry));"},
    {"platform", 70,
     "CREATE TABLE node("
     " id TEXT PRIMARY KEY, name TEXT NOT NULL, joined_at BIGINT NOT NULL,"
     " seen_at BIGINT NOT NULL, removed_at BIGINT NOT NULL);"
     "CREATE TABLE node_key("
     " purpose TEXT NOT NULL, kid TEXT NOT NULL, node TEXT NOT NULL, jwk TEXT NOT NULL,"
     " since BIGINT NOT NULL, mark BIGINT NOT NULL, PRIMARY KEY(purpose, kid));"
     "CREATE INDEX node_key_node ON node_key(node);"
     "CREATE TABLE node_invite("
     " id TEXT PRIMARY KEY, sealed BLOB NOT NULL, until_at BIGINT NOT NULL);"
     "CREATE TABLE node_proof(id TEXT PRIMARY KEY, until_at BIGINT NOT NULL);"
     "CREATE INDEX node_proof_until ON node_proof(until_at);"},
};

static enum err static_file(struct ctx *c)
{
    static const struct {
        const char *ending, *type;
    } types[] = {{".css", "text/css; charset=utf-8"},
                 {".js", "text/javascript; charset=utf-8"},
                 {".svg", "image/svg+xml"},
                 {".png", "image/png"},
                 {".ico", "image/x-icon"},
                 {".txt", "text/plain; charset=utf-8"}};
    struct str name = ctx_path(c, "file");
    struct str path = arena_printf(c->arena, "src/platform/static/" STR_FMT, STR_ARG(name));
    struct str content = asset_get(path.p);
    for (size_t i = 0; content.p && i < COUNT_OF(types); i++) {
        if (!str_ends(name, str_from(types[i].ending)))
            continue;
        web_header(c->rs, "Cache-Control", STR("public, max-age=3600"));
        web_header(c->rs, "X-Content-Type-Options", STR("nosniff"));
        return ctx_text(c, 200, types[i].type, content);
    }
    return ERR_NOT_FOUND;
}

static enum err legal(struct ctx *c)
{
    return ctx_page(c, "platform/legal", NULL);
}

static enum err accessibility(struct ctx *c)
{
    return ctx_page(c, "platform/accessibility", NULL);
}

static enum err privacy(struct ctx *c)
{
    return ctx_page(c, "platform/privacy", NULL);
}

static enum err security(struct ctx *c)
{
    const char *contact = c->pf->settings->security_contact;
    return ctx_page(c, "platform/security", json_pack("{s:s}", "contact", contact));
}

/* This site's entries of the navigation that anybody may follow, and its procedures. */
static enum err sitemap(struct ctx *c)
{
    json_t *found = NULL, *p, *pages = json_array(), *procedures = json_array();
    json_t *args = json_pack("{s:s,s:s}", "q", "", "lang", c->lang);
    enum err e = platform_call(c, "procedures.search", args, &found);
    size_t i;
    json_decref(args);
    render_nav(c, pages);
    json_array_foreach(e == ERR_OK ? json_get(found, "items") : NULL, i, p)
    {
        bool here =
            c->site->kind == SITE_PORTAL || str_starts(json_get_str(p, "url"), c->site->base_url);
        if (here)
            json_array_append_new(procedures, json_pack("{s:O,s:O}", "label", json_get(p, "title"),
                                                        "url", json_get(p, "url")));
    }
    struct str mine = pages_text(c->arena, "platform", "sitemap.pages", c->lang, NULL);
    struct str all = pages_text(c->arena, "platform", "sitemap.procedures", c->lang, NULL);
    return ctx_page(c, "platform/sitemap",
                    json_pack("{s:[{s:s#,s:o},{s:s#,s:o}]}", "groups", "label", mine.p, (int)mine.n,
                              "links", pages, "label", all.p, (int)all.n, "links", procedures));
}

static enum err status(struct ctx *c)
{
    json_t *d = json_object();
    json_object_set_new(d, "ok", json_boolean(health_is_ready(c)));
    struct str now = clock_in_words(c->arena, clock_now_ms(), c->lang, true);
    json_object_set_new(d, "at", json_string(now.p));
    json_object_set_new(d, "parts", json_pack("{s:o}", "items", health_parts(c)));
    return ctx_page(c, "platform/status", d);
}

static enum err security_txt(struct ctx *c)
{
    struct str until = clock_rfc3339(c->arena, clock_now_ms() + 180LL * 86400 * 1000, false);
    const char *contact = c->pf->settings->security_contact;
    if (!*contact)
        contact = arena_printf(c->arena, "%s/security", c->pf->settings->base_url).p;
    struct str text = arena_printf(c->arena,
                                   "Contact: %s\nExpires: %s\nPreferred-Languages: fr, en\n"
                                   "Canonical: %s/.well-known/security.txt\n",
                                   contact, until.p, c->pf->settings->base_url);
    return ctx_text(c, 200, "text/plain; charset=utf-8", text);
}

/* Where password managers send people (W3C, change-password URL): to her account where there are
 * accounts of our own; else there is no password here, and the page says where there is. */
static enum err change_password(struct ctx *c)
{
    if (c->pf->settings->own_accounts)
        return ctx_redirect(c, portal_url(c, "/compte"));
    return ctx_page(c, "platform/change_password", NULL);
}

static enum err robots(struct ctx *c)
{
    return ctx_text(c, 200, "text/plain; charset=utf-8",
                    STR("User-agent: *\nDisallow: /account\nDisallow: /dossiers/\nDisallow: "
                        "/agent\nDisallow: /api/\n"));
}

static const struct route routes[] = {
    ROUTE("GET", "/static/{file}", SITE_ANY, ROLE_PUBLIC, ROUTE_API, static_file,
          "Styles and pictures."),
    ROUTE("GET", "/legal", SITE_ANY, ROLE_PUBLIC, 0, legal, "Legal mentions."),
    ROUTE("GET", "/accessibility", SITE_ANY, ROLE_PUBLIC, 0, accessibility,
          "Accessibility statement."),
    ROUTE("GET", "/privacy", SITE_ANY, ROLE_PUBLIC, 0, privacy, "Personal data and cookies."),
    ROUTE("GET", "/security", SITE_ANY, ROLE_PUBLIC, 0, security, "How to report a weakness."),
    ROUTE("GET", "/sitemap", SITE_ANY, ROLE_PUBLIC, 0, sitemap, "Site map."),
    ROUTE("GET", "/status", SITE_ANY, ROLE_PUBLIC, 0, status, "Status of the service."),
    ROUTE("GET", "/erreurs", SITE_ANY, ROLE_PUBLIC, 0, error_list, "Every code of a refusal."),
    ROUTE("GET", "/erreurs/{code}", SITE_ANY, ROLE_PUBLIC, 0, error_page,
          "What one code means, and what to do."),
    ROUTE("GET", "/healthz", SITE_ANY, ROLE_PUBLIC, ROUTE_API, health_live,
          "200 as long as the process serves."),
    ROUTE("GET", "/readyz", SITE_ANY, ROLE_PUBLIC, ROUTE_API, health_ready,
          "200 when database, keys and journal answer, else 503."),
    ROUTE("GET", "/openapi.json", SITE_ANY, ROLE_PUBLIC, ROUTE_API, openapi_page,
          "This description: every operation of this site."),
    ROUTE("GET", "/metrics", SITE_ANY, ROLE_CLIENT, ROUTE_API, metrics_page,
          "Counters in Prometheus text format; loopback and private addresses only."),
    ROUTE("GET", "/robots.txt", SITE_ANY, ROLE_PUBLIC, ROUTE_API, robots, "Robots exclusion."),
    ROUTE("GET", "/.well-known/security.txt", SITE_ANY, ROLE_PUBLIC, ROUTE_API, security_txt,
          "Security contact (RFC 9116)."),
    ROUTE("GET", "/.well-known/change-password", SITE_ANY, ROLE_PUBLIC, 0, change_password,
          "Where passwords are changed."),
    ROUTE("GET", "/connexion", SITE_ORG, ROLE_PUBLIC, 0, rp_sign_in,
          "Sends a person to the issuer to sign in for this site."),
    ROUTE("GET", "/agent/connexion", SITE_ORG, ROLE_PUBLIC, 0, rp_sign_in_agent,
          "Sends an agent to the issuer."),
    ROUTE("GET", "/oidc/retour", SITE_ORG, ROLE_PUBLIC, ROUTE_CALLS_SELF, rp_callback,
          "Where the issuer sends people back."),
    ROUTE_TWIN("POST", "/deconnexion", SITE_ORG, ROLE_PUBLIC, 0, rp_sign_out,
               "Ends the session here and at the issuer.",
               "-: ends a browser's session; a program forgets its token or has it revoked"),
    ROUTE_TWIN("GET", "/agent/evenements", SITE_ORG, ROLE_AGENT, 0, hook_page,
               "Where this body is told of events, and what it was told.", "GET /api/hooks"),
    ROUTE_TWIN("POST", "/agent/evenements", SITE_ORG, ROLE_AGENT, 0, hook_page_post,
               "Sets that address.", "POST /api/hooks"),
    ROUTE_TWIN("POST", "/agent/evenements/courriel", SITE_ORG, ROLE_AGENT, 0, hook_page_mail,
               "Sets where this body is written to.", "POST /api/hooks/mail"),
    ROUTE_TWIN("POST", "/agent/evenements/{id}/rejouer", SITE_ORG, ROLE_AGENT, 0, hook_page_replay,
               "Sends an event again.", "POST /api/hooks/deliveries/{id}/replay"),
    ROUTE("GET", "/api/hooks", SITE_ORG, ROLE_AGENT, ROUTE_API, hook_api_get,
          "Where this body is told of events."),
    ROUTE("POST", "/api/hooks", SITE_ORG, ROLE_AGENT, ROUTE_API, hook_api_set,
          "Sets that \"url\" (empty: none); the secret comes back once."),
    ROUTE("GET", "/api/hooks/mail", SITE_ORG, ROLE_AGENT, ROUTE_API, hook_api_mail,
          "Where this body is written to."),
    ROUTE("POST", "/api/hooks/mail", SITE_ORG, ROLE_AGENT, ROUTE_API, hook_api_mail_set,
          "Sets that \"address\" (empty: none)."),
    ROUTE("GET", "/api/hooks/deliveries", SITE_ORG, ROLE_AGENT, ROUTE_API, hook_api_deliveries,
          "What this body was told, newest first."),
    ROUTE("POST", "/api/hooks/deliveries/{id}/replay", SITE_ORG, ROLE_AGENT, ROUTE_API,
          hook_api_replay, "Sends an event again."),
    ROUTE_TWIN("GET", "/reprendre/{id}", SITE_ANY, ROLE_PUBLIC, 0, kept_page,
               "What was typed before the session ended, to be sent again.",
               "-: a program still has what it sent"),
};

static const struct command commands[] = {
    {"tls", "certificates: make, request, install, import", tls_cli},
    {"org", "list and put organisations, give one its site", org_cli},
};

static void tick(struct platform *pf, int64_t now_ms)
{
    hook_tick(pf, now_ms);
    node_tick(pf, now_ms);
}

const struct service service_platform = {
    .name = "platform",
    .routes = routes,
    .n_routes = COUNT_OF(routes),
    .migrations = migrations,
    .n_migrations = COUNT_OF(migrations),
    .commands = commands,
    .n_commands = COUNT_OF(commands),
    .start = node_start,
    .tick = tick,
};
