/* For unit tests: a platform on a database of its own in a temporary folder, with keys and tables
 * and no running journal (acts wait in the outbox), and two organisations with their sites. On
 * SQLite; where SOCLE_TEST_PG names a server, also on PostgreSQL. */
#ifndef PLATFORM_FIXTURE_H
#define PLATFORM_FIXTURE_H

#include <libpq-fe.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/rand.h"
#include "platform/boot.h"
#include "platform/ctx.h"
#include "platform/rp.h"
#include "web/pages.h"

struct fixture {
    char folder[64];
    char database[40]; /* on PostgreSQL; "" */
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
    *c->session = (struct session){.id = STR("test"),
                                   .subject = str_from(subject),
                                   .role = role,
                                   .data = data ? data : json_object(),
                                   .csrf = STR("csrf"),
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

static inline void fixture_pg(const char *sql)
{
    PGconn *c = PQconnectdb(getenv("SOCLE_TEST_PG"));
    PGresult *r = PQexec(c, sql);
    if (PQresultStatus(r) != PGRES_COMMAND_OK)
        fail_msg("%s: %s", sql, PQerrorMessage(c));
    PQclear(r);
    PQfinish(c);
}

/* ".../postgres?x" with another database. */
static inline const char *fixture_pg_url(struct arena *a, const char *name)
{
    struct str url = str_from(getenv("SOCLE_TEST_PG"));
    ptrdiff_t query = str_find_char(url, '?');
    struct str head = query < 0 ? url : str_sub(url, 0, (size_t)query);
    size_t end = head.n;
    while (end > 0 && head.p[end - 1] != '/')
        end--;
    return arena_printf(a, STR_FMT "%s" STR_FMT, STR_ARG(str_sub(head, 0, end)), name,
                        STR_ARG(str_after(url, head.n)))
        .p;
}

static inline bool fixture_settings(struct fixture *f, bool postgres)
{
    char *argv[] = {(char *)"test", (char *)"--data", f->folder, NULL, NULL, NULL};
    int argc = 3;
    if (postgres) {
        char id[ID_LEN + 1];
        id_new(id);
        snprintf(f->database, sizeof f->database, "unit_%s", id);
        fixture_pg(arena_printf(&f->arena, "CREATE DATABASE \"%s\"", f->database).p);
        argv[argc++] = (char *)"--database";
        argv[argc++] = (char *)fixture_pg_url(&f->arena, f->database);
    }
    return settings_load(&f->arena, &argc, argv, &f->settings) == ERR_OK;
}

static inline struct fixture *fixture_open_on(bool postgres)
{
    struct fixture *f = calloc(1, sizeof *f);
    snprintf(f->folder, sizeof f->folder, "/tmp/socle-unit-XXXXXX");
    if (!mkdtemp(f->folder))
        return NULL;
    arena_init(&f->arena);
    log_set_level(LOG_ERROR);
    bool ok = fixture_settings(f, postgres) && pages_load() == ERR_OK &&
              boot_open_local(&f->settings, &f->pf) == ERR_OK &&
              platform_migrate(&f->pf) == ERR_OK &&
              fixture_site(f, "mairie.localhost", "ville-de-nantes-demo", "99900000300015") &&
              fixture_site(f, "autre.localhost", "autre", "99900000300023") &&
              route_table_start(&f->pf.arena) == ERR_OK && site_table_start(&f->pf) == ERR_OK;
    return ok ? f : NULL;
}

static inline struct fixture *fixture_open(void)
{
    return fixture_open_on(false);
}

static inline void fixture_close(struct fixture *f)
{
    char command[128];
    boot_close(&f->pf);
    if (f->database[0])
        fixture_pg(arena_printf(&f->arena, "DROP DATABASE \"%s\" WITH (FORCE)", f->database).p);
    arena_free(&f->arena);
    snprintf(command, sizeof command, "rm -rf '%s'", f->folder);
    if (system(command) != 0)
        fprintf(stderr, "%s is left\n", f->folder);
    free(f);
}

static inline bool fixture_has_pg(void)
{
    const char *url = getenv("SOCLE_TEST_PG");
    return url && *url;
}

/* One SQL value, as text; "" for NULL or no row. */
static inline struct str fixture_value(struct fixture *t, const char *sql)
{
    struct db_result r;
    struct db_conn *db = db_read(t->pf.db);
    assert_non_null(db);
    enum err e = db_query_one(db, &t->arena, &r, sql, "");
    assert_true(e == ERR_OK || e == ERR_NOT_FOUND);
    return e == ERR_OK ? db_str(&r, 0, 0) : STR("");
}

static inline int64_t fixture_count(struct fixture *t, const char *sql)
{
    struct db_result r;
    struct db_conn *db = db_read(t->pf.db);
    assert_non_null(db);
    assert_int_equal(db_query_one(db, &t->arena, &r, sql, ""), ERR_OK);
    return db_i64(&r, 0, 0);
}

/* A request of a browser as the engine would hand it over: a head of HTTP, nothing behind it. */
struct fixture_request {
    struct http_head head;
    struct web_request rq;
    struct web_response rs;
    struct ctx *c;
};

static inline void fixture_request(struct fixture *t, struct fixture_request *x, const char *head)
{
    size_t used;
    int status;
    memset(x, 0, sizeof *x);
    assert_int_equal(http_read_request(str_from(head), &x->head, &used, &status), ERR_OK);
    x->rq = (struct web_request){.arena = &t->arena,
                                 .head = &x->head,
                                 .method = x->head.method,
                                 .path = x->head.path,
                                 .query = x->head.query,
                                 .body_fd = -1};
    ptrdiff_t colon = str_find_char(x->head.host, ':');
    x->rq.host = str_sub(x->head.host, 0, colon < 0 ? x->head.host.n : (size_t)colon);
    x->rs = (struct web_response){.arena = &t->arena, .status = 200, .file_fd = -1};
    buf_init(&x->rs.body, 1 << 20);
    x->c = ctx_make(&t->pf, &t->arena);
    x->c->rq = &x->rq;
    x->c->rs = &x->rs;
    x->c->site = site_find(&t->pf, &t->arena, x->rq.host);
    assert_non_null(x->c->site);
}

static inline void fixture_request_end(struct fixture_request *x)
{
    ctx_free(x->c);
    buf_free(&x->rs.body);
}

/* The value of the n-th Set-Cookie, up to the first ';'. */
static inline struct str fixture_cookie(const struct fixture_request *x)
{
    for (size_t i = 0; i < x->rs.n_headers; i++)
        if (str_eq_z(x->rs.headers[i].name, "Set-Cookie")) {
            struct str v = x->rs.headers[i].value;
            return str_sub(v, 0, (size_t)str_find_char(v, ';'));
        }
    return STR_NONE;
}

#endif
