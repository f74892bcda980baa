/* Migrations: forward only, each in a transaction of its own, recorded with it. Nodes that start
 * together take turns: on SQLite by the transaction's lock, on PostgreSQL by one that is held for
 * the whole run, because a transaction there may not see what was committed while it waited. */
#include <pthread.h>
#include <stdio.h>
#include "base/clock.h"
#include "base/log.h"
#include "data/db_engine.h"

struct step {
    const struct db_migration *m;
    const char *sql;
    int64_t now_ms;
    bool done;
};

static enum err step_run(struct db_conn *c, void *arg)
{
    struct step *s = arg;
    struct db_result r;
    struct arena a;
    s->done = false;
    arena_init(&a);
    enum err e = db_query_one(c, &a, &r,
                              "SELECT applied_at FROM migration WHERE module = $1 AND number = $2",
                              "zi", s->m->module, (int64_t)s->m->number);
    arena_free(&a);
    if (e != ERR_NOT_FOUND)
        return e; /* another process was quicker */
    e = c->db->ops->script(c, s->sql);
    if (e == ERR_OK)
        e = db_exec(c, "INSERT INTO migration(module, number, applied_at) VALUES($1, $2, $3)",
                    "zii", s->m->module, (int64_t)s->m->number, s->now_ms);
    s->done = e == ERR_OK;
    return e;
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

/* Numbers rise and may leave gaps: parts that are written at the same time have ranges of their
 * own.
 */
static enum err numbers_check(const struct db_migration *m, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (m[i].number <= (i ? m[i - 1].number : 0) || strcmp(m[i].module, m[0].module) != 0) {
            log_error("migrations_out_of_order", "module", m[i].module, "at", LOG_NUM(i + 1));
            return ERR_INVALID;
        }
    return ERR_OK;
}

static bool is_among(const struct db_result *applied, int64_t number)
{
    for (size_t i = 0; i < applied->n_rows; i++)
        if (db_i64(applied, i, 0) == number)
            return true;
    return false;
}

static bool is_known(const struct db_migration *m, size_t n, int64_t number)
{
    for (size_t i = 0; i < n; i++)
        if (m[i].number == number)
            return true;
    return false;
}

/* Those of the module's migrations that the database has. */
static enum err applied_read(struct db *db, struct arena *a, const struct db_migration *m, size_t n,
                             struct db_result *out)
{
    struct db_conn *c = db_read(db);
    enum err e =
        c ? db_query(c, a, out, "SELECT number FROM migration WHERE module = $1", "z", m[0].module)
          : ERR_UNAVAILABLE;
    for (size_t i = 0; e == ERR_OK && i < out->n_rows; i++)
        if (!is_known(m, n, db_i64(out, i, 0))) {
            log_error("database_is_newer", "module", m[0].module);
            return ERR_CONFLICT;
        }
    return e;
}

static enum err apply(struct db *db, struct arena *a, const struct db_migration *m, size_t n,
                      int *applied)
{
    struct db_result there;
    enum err e = db_write(db, table_make, NULL);
    if (e == ERR_OK)
        e = applied_read(db, a, m, n, &there);
    for (size_t i = 0; i < n && e == ERR_OK; i++) {
        struct step s = {
            .m = &m[i], .sql = translate(a, db->engine, m[i].sql), .now_ms = clock_now_ms()};
        if (is_among(&there, m[i].number))
            continue;
        e = db_write(db, step_run, &s);
        *applied += e == ERR_OK && s.done;
    }
    if (e != ERR_OK)
        log_error("migration_failed", "module", m[0].module, "error", err_name(e));
    return e;
}

enum err db_migrate(struct db *db, const struct db_migration *m, size_t n, int *applied)
{
    struct arena a;
    struct db_conn *held = NULL;
    int count = 0;
    enum err e = numbers_check(m, n);
    arena_init(&a);
    if (e == ERR_OK && n && db->ops->lock) {
        e = db_conn_open(db, true, &held);
        if (e == ERR_OK)
            e = db->ops->lock(held);
    }
    if (e == ERR_OK && n)
        e = apply(db, &a, m, n, &count);
    if (held)
        db_conn_close(held);
    arena_free(&a);
    if (applied)
        *applied = count;
    return e;
}
