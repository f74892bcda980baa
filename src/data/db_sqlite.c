/* SQLite: reading connections per thread, and one writer thread that gathers closures into
 * transactions: one-row commits stop at some 6,000/s on a disk that syncs, grouped ones pass
 * 250,000/s. A closure runs in a savepoint, so that its failure is its own. */
#include "data/db_engine.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/log.h"
#include "base/map.h"

enum { BUSY_MS = 2000, GROUP_MAX = 256 };

static enum err err_of(sqlite3 *h, int rc, const char *sql)
{
    int ext = h ? sqlite3_extended_errcode(h) : rc;
    switch (rc & 0xff) {
    case SQLITE_OK:
    case SQLITE_DONE:
    case SQLITE_ROW:
        return ERR_OK;
    case SQLITE_CONSTRAINT:
        return ext == SQLITE_CONSTRAINT_UNIQUE || ext == SQLITE_CONSTRAINT_PRIMARYKEY ||
                       ext == SQLITE_CONSTRAINT_ROWID
                   ? ERR_EXISTS
                   : ERR_INVALID;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_CANTOPEN:
    case SQLITE_PROTOCOL:
        return ERR_UNAVAILABLE;
    case SQLITE_FULL:
        return ERR_FULL;
    case SQLITE_IOERR:
        return ERR_IO;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return ERR_CORRUPT;
    case SQLITE_READONLY:
        return ERR_IO;
    default:
        log_error("sql_failed", "why", h ? sqlite3_errmsg(h) : "", "sql", sql);
        return ERR_INTERNAL;
    }
}

static enum err run_text(sqlite3 *h, const char *sql)
{
    return err_of(h, sqlite3_exec(h, sql, NULL, NULL, NULL), sql);
}

static enum err sqlite_connect(struct db *db, struct db_conn *c, bool writes)
{
    sqlite3 *h = NULL;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    int rc = sqlite3_open_v2(db->url, &h, flags, NULL);
    if (rc != SQLITE_OK) {
        enum err e = err_of(h, rc, "open");
        sqlite3_close(h);
        return e;
    }
    sqlite3_extended_result_codes(h, 1);
    sqlite3_busy_timeout(h, BUSY_MS);
    enum err e = run_text(h, "PRAGMA journal_mode=WAL");
    if (e == ERR_OK)
        e = run_text(h, "PRAGMA synchronous=FULL");
    if (e == ERR_OK)
        e = run_text(h, writes ? "PRAGMA foreign_keys=ON" : "PRAGMA query_only=ON");
    if (e == ERR_OK)
        e = run_text(h, "PRAGMA cache_size=-2000");
    if (e != ERR_OK) {
        sqlite3_close(h);
        return e;
    }
    struct map *cache = malloc(sizeof *cache);
    if (!cache)
        abort();
    map_init(cache);
    c->handle = h;
    c->statements = cache;
    return ERR_OK;
}

static void sqlite_disconnect(struct db_conn *c)
{
    struct map *cache = c->statements;
    struct str key;
    void *statement;
    size_t at = 0;
    while (map_next(cache, &at, &key, &statement)) {
        sqlite3_finalize(statement);
        free((char *)key.p);
    }
    map_free(cache);
    free(cache);
    sqlite3_close(c->handle);
}

static enum err prepare(struct db_conn *c, const char *sql, sqlite3_stmt **out)
{
    struct map *cache = c->statements;
    *out = map_get(cache, str_from(sql));
    if (*out)
        return ERR_OK;
    int rc = sqlite3_prepare_v3(c->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL);
    if (rc != SQLITE_OK)
        return err_of(c->handle, rc, sql);
    map_set(cache, str_from(strdup(sql)), *out);
    return ERR_OK;
}

static int bind_one(sqlite3_stmt *s, int at, const struct db_param *p)
{
    if (p->type == 'i')
        return sqlite3_bind_int64(s, at, p->i);
    if (!p->s.p)
        return sqlite3_bind_null(s, at);
    if (p->type == 'b')
        return sqlite3_bind_blob64(s, at, p->s.p, p->s.n, SQLITE_STATIC);
    return sqlite3_bind_text64(s, at, p->s.p, p->s.n, SQLITE_STATIC, SQLITE_UTF8);
}

static int bind(sqlite3_stmt *s, const struct db_param *p, size_t n)
{
    int rc = SQLITE_OK;
    for (size_t i = 0; i < n && rc == SQLITE_OK; i++) {
        char name[16];
        snprintf(name, sizeof name, "$%d", (int)i + 1);
        int at = sqlite3_bind_parameter_index(s, name);
        if (at > 0)
            rc = bind_one(s, at, &p[i]);
    }
    return rc;
}

static void read_row(sqlite3_stmt *s, struct db_value *row, int n)
{
    for (int i = 0; i < n; i++) {
        row[i] = (struct db_value){0};
        switch (sqlite3_column_type(s, i)) {
        case SQLITE_NULL:
            row[i].is_null = true;
            break;
        case SQLITE_INTEGER:
            row[i].is_int = true;
            row[i].i = sqlite3_column_int64(s, i);
            break;
        case SQLITE_BLOB:
            row[i].s.p = sqlite3_column_blob(s, i);
            row[i].s.n = (size_t)sqlite3_column_bytes(s, i);
            break;
        default:
            row[i].s.p = (const char *)sqlite3_column_text(s, i);
            row[i].s.n = (size_t)sqlite3_column_bytes(s, i);
        }
        if (!row[i].is_null && !row[i].s.p)
            row[i].s = STR("");
    }
}

static enum err sqlite_run(struct db_conn *c, const char *sql, const struct db_param *p, size_t n,
                           db_row_sink *sink, void *arg, int64_t *changed)
{
    sqlite3_stmt *s;
    struct db_value row[64];
    enum err e = prepare(c, sql, &s);
    if (e != ERR_OK)
        return e;
    int rc = bind(s, p, n);
    int n_cols = sqlite3_column_count(s);
    if (n_cols > (int)COUNT_OF(row))
        abort();
    while (rc == SQLITE_OK || rc == SQLITE_ROW) {
        rc = sqlite3_step(s);
        if (rc != SQLITE_ROW)
            break;
        read_row(s, row, n_cols);
        if (sink && sink(arg, row, (size_t)n_cols) != 0)
            break;
    }
    e = err_of(c->handle, rc, sql);
    if (changed)
        *changed = sqlite3_changes64(c->handle);
    sqlite3_reset(s);
    sqlite3_clear_bindings(s);
    return e;
}

static enum err sqlite_script(struct db_conn *c, const char *sql)
{
    return run_text(c->handle, sql);
}

/* ---- the writer -------------------------------------------------------------------------------- */
struct job {
    db_closure *fn;
    void *arg;
    enum err result;
    bool done;
    struct job *next;
};
struct writer {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t more, finished;
    struct job *head, *tail;
    struct db_conn *conn;
    bool stopping;
};

static enum err run_in_savepoint(struct db_conn *c, struct job *j)
{
    enum err e = run_text(c->handle, "SAVEPOINT closure");
    if (e != ERR_OK)
        return e;
    j->result = j->fn(c, j->arg);
    if (j->result != ERR_OK) {
        e = run_text(c->handle, "ROLLBACK TO closure");
        if (e != ERR_OK)
            return e;
    }
    return run_text(c->handle, "RELEASE closure");
}

/* One transaction for the whole list. On failure every closure that had succeeded gets the error. */
static enum err run_group(struct db_conn *c, struct job *list)
{
    enum err e = run_text(c->handle, "BEGIN IMMEDIATE");
    for (struct job *j = list; j && e == ERR_OK; j = j->next) {
        e = run_in_savepoint(c, j);
        /* A full disk rolls the whole transaction back by itself. */
        if (e == ERR_OK && sqlite3_get_autocommit(c->handle))
            e = j->result != ERR_OK ? j->result : ERR_FULL;
    }
    if (e == ERR_OK)
        e = run_text(c->handle, "COMMIT");
    if (e != ERR_OK && !sqlite3_get_autocommit(c->handle))
        sqlite3_exec(c->handle, "ROLLBACK", NULL, NULL, NULL);
    return e;
}

static void *writer_run(void *arg)
{
    struct writer *w = arg;
    pthread_mutex_lock(&w->lock);
    while (!w->stopping || w->head) {
        if (!w->head) {
            pthread_cond_wait(&w->more, &w->lock);
            continue;
        }
        struct job *list = w->head, *last = list;
        for (size_t n = 1; last->next && n < GROUP_MAX; n++)
            last = last->next;
        w->head = last->next;
        if (!w->head)
            w->tail = NULL;
        last->next = NULL;
        pthread_mutex_unlock(&w->lock);
        enum err e = run_group(w->conn, list);
        pthread_mutex_lock(&w->lock);
        for (struct job *j = list, *next; j; j = next) {
            next = j->next;
            if (e != ERR_OK)
                j->result = e;
            j->done = true;
        }
        pthread_cond_broadcast(&w->finished);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

static enum err sqlite_write(struct db *db, db_closure *fn, void *arg)
{
    struct writer *w = db->writer;
    struct job j = {.fn = fn, .arg = arg};
    pthread_mutex_lock(&w->lock);
    if (w->tail)
        w->tail->next = &j;
    else
        w->head = &j;
    w->tail = &j;
    pthread_cond_signal(&w->more);
    while (!j.done)
        pthread_cond_wait(&w->finished, &w->lock);
    pthread_mutex_unlock(&w->lock);
    return j.result;
}

static enum err sqlite_start(struct db *db)
{
    struct writer *w = calloc(1, sizeof *w);
    if (!w)
        abort();
    enum err e = db_conn_open(db, true, &w->conn);
    if (e != ERR_OK) {
        free(w);
        return e;
    }
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->more, NULL);
    pthread_cond_init(&w->finished, NULL);
    if (pthread_create(&w->thread, NULL, writer_run, w) != 0)
        abort();
    db->writer = w;
    return ERR_OK;
}

static void sqlite_stop(struct db *db)
{
    struct writer *w = db->writer;
    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    w->stopping = true;
    pthread_cond_signal(&w->more);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    sqlite_disconnect(w->conn);
    free(w->conn);
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->more);
    pthread_cond_destroy(&w->finished);
    free(w);
    db->writer = NULL;
}

enum err db_backup_file(struct db *db, const char *path)
{
    sqlite3 *to = NULL;
    if (db->engine != DB_SQLITE)
        return ERR_INVALID;
    struct db_conn *from = db_read(db);
    if (!from)
        return ERR_UNAVAILABLE;
    int rc = sqlite3_open_v2(path, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);
    sqlite3_backup *b = rc == SQLITE_OK ? sqlite3_backup_init(to, "main", from->handle, "main")
                                        : NULL;
    if (b) {
        rc = sqlite3_backup_step(b, -1);
        sqlite3_backup_finish(b);
    }
    enum err e = b ? err_of(NULL, rc, "backup") : ERR_IO;
    sqlite3_close(to);
    return e;
}

const struct db_engine_ops db_sqlite_ops = {
    .connect = sqlite_connect, .disconnect = sqlite_disconnect, .run = sqlite_run,
    .script = sqlite_script, .write = sqlite_write, .start = sqlite_start, .stop = sqlite_stop};
