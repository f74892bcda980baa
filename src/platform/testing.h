/* A platform for unit tests: a folder and a database of its own, on SQLite and, where
 * SOCLE_TEST_PG names a server, on PostgreSQL. Included by tests only. */
#ifndef PLATFORM_TESTING_H
#define PLATFORM_TESTING_H

#include <libpq-fe.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>
#include "base/log.h"
#include "base/rand.h"
#include "platform/boot.h"
#include "platform/ctx.h"

struct testing {
    struct arena arena;
    struct settings settings;
    struct platform pf;
    char folder[64];
    char database[32]; /* on PostgreSQL; "" */
};

static inline void testing_pg(const char *sql)
{
    PGconn *c = PQconnectdb(getenv("SOCLE_TEST_PG"));
    PGresult *r = PQexec(c, sql);
    if (PQresultStatus(r) != PGRES_COMMAND_OK)
        fail_msg("%s: %s", sql, PQerrorMessage(c));
    PQclear(r);
    PQfinish(c);
}

/* ".../postgres?x" with another database. */
static inline const char *testing_pg_url(struct arena *a, const char *name)
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

static inline void testing_open(struct testing *t, bool postgres)
{
    char *argv[] = {(char *)"test", (char *)"--data", t->folder, NULL, NULL, NULL};
    int argc = 3;
    arena_init(&t->arena);
    snprintf(t->folder, sizeof t->folder, "/tmp/socle-unit-XXXXXX");
    assert_non_null(mkdtemp(t->folder));
    t->database[0] = '\0';
    if (postgres) {
        snprintf(t->database, sizeof t->database, "unit_%d_%d", (int)getpid(), (int)clock());
        testing_pg(arena_printf(&t->arena, "CREATE DATABASE %s", t->database).p);
        argv[3] = (char *)"--database";
        argv[4] = (char *)testing_pg_url(&t->arena, t->database);
        argc = 5;
    }
    log_set_level(LOG_ERROR);
    assert_int_equal(settings_load(&t->arena, &argc, argv, &t->settings), ERR_OK);
    assert_int_equal(boot_open_local(&t->settings, &t->pf), ERR_OK);
    assert_int_equal(platform_migrate(&t->pf), ERR_OK);
}

static inline void testing_close(struct testing *t)
{
    boot_close(&t->pf);
    if (t->database[0])
        testing_pg(arena_printf(&t->arena, "DROP DATABASE %s WITH (FORCE)", t->database).p);
    assert_int_equal(system(arena_printf(&t->arena, "rm -rf '%s'", t->folder).p), 0);
    arena_free(&t->arena);
}

static inline bool testing_has_pg(void)
{
    const char *url = getenv("SOCLE_TEST_PG");
    return url && *url;
}

/* One SQL value, as text; "" for NULL or no row. */
static inline struct str testing_value(struct testing *t, const char *sql)
{
    struct db_result r;
    struct db_conn *db = db_read(t->pf.db);
    assert_non_null(db);
    enum err e = db_query_one(db, &t->arena, &r, sql, "");
    assert_true(e == ERR_OK || e == ERR_NOT_FOUND);
    return e == ERR_OK ? db_str(&r, 0, 0) : STR("");
}

static inline int64_t testing_count(struct testing *t, const char *sql)
{
    struct db_result r;
    struct db_conn *db = db_read(t->pf.db);
    assert_non_null(db);
    assert_int_equal(db_query_one(db, &t->arena, &r, sql, ""), ERR_OK);
    return db_i64(&r, 0, 0);
}

/* A request of a browser as the engine would hand it over: a head of HTTP, nothing behind it. */
struct testing_request {
    struct http_head head;
    struct web_request rq;
    struct web_response rs;
    struct ctx *c;
};

static inline void testing_request(struct testing *t, struct testing_request *x, const char *head)
{
    size_t used;
    int status;
    memset(x, 0, sizeof *x);
    assert_int_equal(http_read_request(str_from(head), &x->head, &used, &status), ERR_OK);
    x->rq = (struct web_request){.arena = &t->arena, .head = &x->head, .method = x->head.method,
                                 .path = x->head.path, .query = x->head.query, .body_fd = -1};
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

static inline void testing_request_end(struct testing_request *x)
{
    ctx_free(x->c);
    buf_free(&x->rs.body);
}

/* The value of the n-th Set-Cookie, up to the first ';'. */
static inline struct str testing_cookie(const struct testing_request *x)
{
    for (size_t i = 0; i < x->rs.n_headers; i++)
        if (str_eq_z(x->rs.headers[i].name, "Set-Cookie")) {
            struct str v = x->rs.headers[i].value;
            return str_sub(v, 0, (size_t)str_find_char(v, ';'));
        }
    return STR_NONE;
}

#endif
