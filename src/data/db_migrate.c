/* Migrations: forward only, each in a transaction of its own, recorded with it. */
#include <pthread.h>
#include <stdio.h>
#include "base/clock.h"
#include "base/log.h"
#include "data/db_engine.h"

struct step {
    const struct db_migration *m;
    const char *sql;
    int64_t now_ms;
};

static enum err step_run(struct db_conn *c, void *arg)
{
    struct step *s = arg;
    enum err e = c->db->ops->script(c, s->sql);
    return e != ERR_OK ? e
                       : db_exec(c,
                                 "INSERT INTO migration(module, number, applied_at) "
                                 "VALUES($1, $2, $3)",
                                 "zii", s->m->module, (int64_t)s->m->number, s->now_ms);
}

static enum err table_make(struct db_conn *c, void *arg)
{
    (void)arg;
    return c->db->ops->script(c, "CREATE TABLE IF NOT EXISTS migration("
                                 " module TEXT NOT NULL, number BIGINT NOT NULL,"
                                 " applied_at BIGINT NOT NULL, PRIMARY KEY(module, number))");
}

static bool is_word(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

/* The common dialect's BLOB is PostgreSQL's BYTEA. */
static const char *translate(struct arena *a, enum db_engine engine, const char *sql)
{
    if (engine == DB_SQLITE)
        return sql;
    struct str s = str_from(sql);
    char *out = arena_alloc(a, s.n * 2 + 1);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        bool blob = str_starts(str_after(s, i), STR("BLOB")) && (i == 0 || !is_word(s.p[i - 1])) &&
                    !is_word(s.p[i + 4]);
        if (blob) {
            memcpy(out + n, "BYTEA", 5);
            n += 5;
            i += 3;
        } else {
            out[n++] = s.p[i];
        }
    }
    return out;
}

enum err db_migrate(struct db *db, const struct db_migration *m, size_t n, int *applied)
{
    struct arena a;
    struct db_result r;
    if (applied)
        *applied = 0;
    arena_init(&a);
    enum err e = db_write(db, table_make, NULL);
    struct db_conn *c = e == ERR_OK ? db_read(db) : NULL;
    if (e == ERR_OK && !c)
        e = ERR_UNAVAILABLE;
    int64_t newest = 0;
    if (e == ERR_OK && n)
        e = db_query(c, &a, &r, "SELECT max(number) FROM migration WHERE module = $1", "z",
                     m[0].module);
    if (e == ERR_OK && n && r.n_rows)
        newest = db_i64(&r, 0, 0);
    if (e == ERR_OK && n && newest > m[n - 1].number) {
        log_error("database_is_newer", "module", m[0].module);
        e = ERR_CONFLICT;
    }
    for (size_t i = 0; i < n && e == ERR_OK; i++) {
        if (m[i].number <= newest)
            continue;
        struct step s = {&m[i], translate(&a, db->engine, m[i].sql), clock_now_ms()};
        e = db_write(db, step_run, &s);
        if (e == ERR_EXISTS) /* another node was quicker */
            e = ERR_OK;
        if (e == ERR_OK && applied)
            (*applied)++;
        if (e != ERR_OK)
            log_error("migration_failed", "module", m[i].module, "error", err_name(e));
    }
    arena_free(&a);
    return e;
}
