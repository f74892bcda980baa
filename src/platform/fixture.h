/* For unit tests: a platform on a database of its own in a temporary folder, with keys and tables and
 * no running journal (acts wait in the outbox), and two organisations with their sites. */
#ifndef PLATFORM_FIXTURE_H
#define PLATFORM_FIXTURE_H

#include <stdlib.h>
#include <unistd.h>
#include "base/clock.h"
#include "platform/boot.h"
#include "platform/ctx.h"
#include "platform/rp.h"
#include "web/pages.h"

struct fixture {
    char folder[64];
    struct settings settings;
    struct platform pf;
    struct arena arena; /* of the requests under way */
    struct web_response rs;
};

static inline struct ctx *fixture_ctx(struct fixture *f, const char *host)
{
    struct ctx *c = ctx_make(&f->pf, &f->arena);
    c->site = site_find(&f->pf, &f->arena, str_from(host));
    c->rs = arena_new(&f->arena, struct web_response);
    c->rs->arena = &f->arena;
    buf_init(&c->rs->body, 8 << 20);
    return c;
}

static inline void fixture_ctx_free(struct ctx *c)
{
    buf_free(&c->rs->body);
    ctx_free(c);
}

/* Somebody signed in; data is stolen and may be NULL. */
static inline void fixture_session(struct ctx *c, const char *subject, enum role role, json_t *data)
{
    c->session = arena_new(c->arena, struct session);
    *c->session = (struct session){.id = STR("test"), .subject = str_from(subject), .role = role,
                                   .data = data ? data : json_object(), .csrf = STR("csrf"),
                                   .created_ms = clock_now_ms()};
}

static inline bool fixture_site(struct fixture *f, const char *host, const char *org,
                                const char *siret)
{
    struct ctx *c = ctx_make(&f->pf, &f->arena);
    struct str client = arena_printf(&f->arena, "client-%s", org);
    bool ok = org_put(c, str_from(org), str_from(siret), "town", "Ville d’essai", "Test town") ==
                  ERR_OK &&
              site_put(c, str_from(host), str_from(org), client, STR("secret")) == ERR_OK;
    ctx_free(c);
    return ok;
}

static inline struct fixture *fixture_open(void)
{
    struct fixture *f = calloc(1, sizeof *f);
    memcpy(f->folder, "/tmp/socle-unit-XXXXXX", 23);
    if (!mkdtemp(f->folder))
        return NULL;
    arena_init(&f->arena);
    f->settings = (struct settings){
        .data = f->folder, .database = arena_printf(&f->arena, "sqlite:%s/socle.db", f->folder).p,
        .base_url = "http://localhost:8080", .journal_origin = "localhost/test", .handlers = 4,
        .brand_name = "Socle", .brand_note = "", .help_line = "", .publisher = "",
        .publication_director = "", .site_host = "", .security_contact = "", .session_idle_s = 1800,
        .session_max_s = 36000, .body_max = 1 << 20, .trusted_proxies = ""};
    bool ok = pages_load() == ERR_OK && boot_open_local(&f->settings, &f->pf) == ERR_OK &&
              platform_migrate(&f->pf) == ERR_OK &&
              fixture_site(f, "mairie.localhost", "ville-de-nantes-demo", "99900000300015") &&
              fixture_site(f, "autre.localhost", "autre", "99900000300023") &&
              route_table_start(&f->pf.arena) == ERR_OK && site_table_start(&f->pf) == ERR_OK;
    return ok ? f : NULL;
}

static inline void fixture_close(struct fixture *f)
{
    char command[128];
    boot_close(&f->pf);
    arena_free(&f->arena);
    snprintf(command, sizeof command, "rm -rf '%s'", f->folder);
    if (system(command) != 0)
        fprintf(stderr, "%s is left\n", f->folder);
    free(f);
}

#endif
