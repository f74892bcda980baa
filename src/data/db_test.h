/* What the database's tests share: each test runs on SQLite, and on PostgreSQL where SOCLE_TEST_PG
 * names one, in a folder or a schema of its own. */
#ifndef DATA_DB_TEST_H
#define DATA_DB_TEST_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/rand.h"
#include "data/db.h"

enum { BOTH, SQLITE_ONLY, PG_ONLY };
struct db_case {
    const char *name;
    void (*fn)(void **state);
    int where;
};

static struct fix {
    bool pg;
    char dir[64], url[512], schema[40];
    struct db *db;
    struct arena a;
    struct db_result r;
} fix;

static const char *pg_url(void)
{
    const char *url = getenv("SOCLE_TEST_PG");
    return url && *url ? url : NULL;
}

/* Another client of the same server, beside the code under test. */
static inline PGconn *pg_beside(void)
{
    char sql[128];
    PGconn *pg = PQconnectdb(pg_url());
    assert_int_equal(PQstatus(pg), CONNECTION_OK);
    snprintf(sql, sizeof sql, "SET search_path = %s; SET client_min_messages = error", fix.schema);
    PQclear(PQexec(pg, sql));
    return pg;
}

static inline void pg_do(PGconn *pg, const char *sql)
{
    PGresult *r = PQexec(pg, sql);
    ExecStatusType status = PQresultStatus(r);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
        print_error("%s: %s\n", sql, PQerrorMessage(pg));
    assert_true(status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK);
    PQclear(r);
}

static inline void pg_do_once(const char *sql)
{
    PGconn *pg = pg_beside();
    pg_do(pg, sql);
    PQfinish(pg);
}

static int fix_setup(void **state)
{
    bool pg = *(bool *)*state;
    char id[ID_LEN + 1], sql[128];
    fix = (struct fix){.pg = pg};
    arena_init(&fix.a);
    log_set_level(LOG_ERROR + 1);
    snprintf(fix.dir, sizeof fix.dir, "/tmp/socle-db-XXXXXX");
    if (!mkdtemp(fix.dir))
        return 1;
    id_new(id);
    snprintf(fix.schema, sizeof fix.schema, "t_%s", id);
    for (char *c = fix.schema; *c; c++)
        *c = *c >= 'A' && *c <= 'Z' ? (char)(*c + 32) : *c;
    if (pg) {
        snprintf(sql, sizeof sql, "CREATE SCHEMA %s", fix.schema);
        pg_do_once(sql);
        snprintf(fix.url, sizeof fix.url, "%s%sapplication_name=%s&options=-csearch_path%%3D%s",
                 pg_url(), strchr(pg_url(), '?') ? "&" : "?", fix.schema, fix.schema);
    } else {
        snprintf(fix.url, sizeof fix.url, "sqlite:%s/t.db", fix.dir);
    }
    return db_open(fix.url, &fix.db) != ERR_OK;
}

static int fix_teardown(void **state)
{
    char cmd[128];
    (void)state;
    db_close(fix.db);
    if (fix.pg) {
        snprintf(cmd, sizeof cmd, "DROP SCHEMA %s CASCADE", fix.schema);
        pg_do_once(cmd);
    }
    arena_free(&fix.a);
    snprintf(cmd, sizeof cmd, "rm -rf %s", fix.dir);
    return system(cmd);
}

static int fix_run(const char *group, const struct db_case *cases, size_t n)
{
    static bool engines[] = {false, true};
    static char names[128][96];
    struct CMUnitTest tests[128];
    size_t count = 0;
    for (size_t pg = 0; pg < (pg_url() ? 2u : 1u); pg++)
        for (size_t i = 0; i < n; i++) {
            if (cases[i].where == (pg ? SQLITE_ONLY : PG_ONLY))
                continue;
            snprintf(names[count], sizeof names[count], "%s %s", pg ? "postgres" : "sqlite",
                     cases[i].name);
            tests[count] = (struct CMUnitTest){names[count], cases[i].fn, fix_setup, fix_teardown,
                                               &engines[pg]};
            count++;
        }
    return _cmocka_run_group_tests(group, tests, count, NULL, NULL);
}

/* clang-format off */
#define CASE(fn, where) {#fn, fn, where}
/* clang-format on */

/* --- short forms ------------------------------------------------------------------------------ */

struct script {
    const char *sql[8];
};

static inline enum err script_run(struct db_conn *c, void *script)
{
    const struct script *s = script;
    enum err e = ERR_OK;
    for (size_t i = 0; i < COUNT_OF(s->sql) && s->sql[i] && e == ERR_OK; i++)
        e = db_exec(c, s->sql[i], "");
    return e;
}

#define WRITE(...) db_write(fix.db, script_run, &(struct script){{__VA_ARGS__}})

static inline void make_table(void)
{
    static const struct db_migration m = {
        "test", 1,
        "CREATE TABLE t(id TEXT PRIMARY KEY, n BIGINT, s TEXT, b BLOB);"
        "CREATE TABLE counter(id BIGINT PRIMARY KEY, n BIGINT NOT NULL CHECK(n >= 0));"
        "CREATE TABLE child(t_id TEXT NOT NULL REFERENCES t(id), x TEXT UNIQUE)"};
    assert_int_equal(db_migrate(fix.db, &m, 1, NULL), ERR_OK);
}

/* One row read by this thread. */
#define READ(sql, ...) db_query_one(db_read(fix.db), &fix.a, &fix.r, sql, __VA_ARGS__)

static inline int64_t read_i64(const char *sql)
{
    assert_int_equal(READ(sql, ""), ERR_OK);
    return db_i64(&fix.r, 0, 0);
}

#endif
