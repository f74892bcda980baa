/* SQLite: reading connections per thread, and one writer thread that gathers closures into
 * transactions: one-row commits stop at some 6,000/s on a disk that syncs, grouped ones pass
 * 250,000/s. A closure runs in a savepoint, so that its failure is its own. */
#include "data/db_engine.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/log.h"
#include "base/map.h"
#include "sys/file.h"

enum { GROUP_MAX = 256, MAPPED_BYTES = 256 * 1024 * 1024 };

/* A file at its size limit is a full disk for whoever wants to write. */
static enum err err_of_errno(int e)
{
    return e == EFBIG || file_err_from_errno(e) == ERR_FULL ? ERR_FULL : ERR_IO;
}

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
        return h ? err_of_errno(sqlite3_system_errno(h)) : ERR_IO;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return ERR_CORRUPT;
    case SQLITE_READONLY:
        return ERR_IO;
    default:
        log_error("sql_failed", "why", h ? sqlite3_errmsg(h) : sqlite3_errstr(rc), "sql", sql);
        return ERR_INTERNAL;
    }
}

static enum err run_text(sqlite3 *h, const char *sql)
{
    return err_of(h, sqlite3_exec(h, sql, NULL, NULL, NULL), sql);
}

/* --- connections ------------------------------------------------------------------------------ */

static enum err handle_open(const char *path, bool writes, bool create, sqlite3 **out)
{
    sqlite3 *h = NULL;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (create ? SQLITE_OPEN_CREATE : 0);
    enum err e = err_of(NULL, sqlite3_open_v2(path, &h, flags, NULL), "open");
    if (e == ERR_OK) {
        sqlite3_extended_result_codes(h, 1);
        sqlite3_busy_timeout(h, DB_LOCK_WAIT_MS);
        e = run_text(h, "PRAGMA journal_mode=WAL");
    }
    if (e == ERR_OK)
        e = run_text(h, "PRAGMA synchronous=FULL");
    if (e == ERR_OK)
        e = run_text(h, writes ? "PRAGMA foreign_keys=ON" : "PRAGMA query_only=ON");
    if (e == ERR_OK)
        e = run_text(h, "PRAGMA cache_size=-2000");
    if (e == ERR_OK) {
        sqlite3_int64 size = MAPPED_BYTES; /* pages are read where they are, not copied */
        sqlite3_file_control(h, "main", SQLITE_FCNTL_MMAP_SIZE, &size);
    }
    if (e == ERR_OK)
        *out = h;
    else
        sqlite3_close(h);
    return e;
}

static void handle_close(struct db_conn *c)
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
    map_init(cache);
    sqlite3_close(c->handle);
    c->handle = NULL;
}

static enum err sqlite_connect(struct db *db, struct db_conn *c, bool writes)
{
    sqlite3 *h;
    enum err e = handle_open(db->url, writes, true, &h);
    if (e != ERR_OK)
        return e;
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
    handle_close(c);
    free(c->statements);
}

/* A file that was moved away goes on taking writes that nobody will find again. When it, or another
 * in its place, is back, the connection is opened anew; nothing is created in between. */
static enum err still_there(struct db_conn *c, bool writes)
{
    int moved = 0;
    sqlite3 *fresh;
    if (sqlite3_file_control(c->handle, "main", SQLITE_FCNTL_HAS_MOVED, &moved) != SQLITE_OK ||
        !moved)
        return ERR_OK;
    if (handle_open(c->db->url, writes, false, &fresh) != ERR_OK)
        return ERR_UNAVAILABLE;
    log_warn("db_file_replaced");
    handle_close(c);
    c->handle = fresh;
    return ERR_OK;
}

/* --- statements ------------------------------------------------------------------------------- */

/* *once: not from the cache, to be finalized: the cached one is being stepped by who called us, or
 * the cache is full. */
static enum err prepare(struct db_conn *c, const char *sql, sqlite3_stmt **out, bool *once)
{
    struct map *cache = c->statements;
    sqlite3_stmt *known = map_get(cache, str_from(sql));
    *once = known ? sqlite3_stmt_busy(known) : cache->n == DB_STATEMENTS_MAX;
    *out = known;
    if (known && !*once)
        return ERR_OK;
    unsigned flags = *once ? 0 : SQLITE_PREPARE_PERSISTENT;
    int rc = sqlite3_prepare_v3(c->handle, sql, -1, flags, out, NULL);
    if (rc != SQLITE_OK)
        return err_of(c->handle, rc, sql);
    if (!*once)
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

/* Parameters are named $1, $2 ...: SQLite numbers names by their order in the text. */
static int bind(sqlite3_stmt *s, const struct db_param *p, size_t n)
{
    int rc = (size_t)sqlite3_bind_parameter_count(s) == n ? SQLITE_OK : SQLITE_RANGE;
    for (size_t i = 0; i < n && rc == SQLITE_OK; i++) {
        char name[16];
        snprintf(name, sizeof name, "$%d", (int)i + 1);
        rc = bind_one(s, sqlite3_bind_parameter_index(s, name), &p[i]);
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

static enum err step_all(struct db_conn *c, sqlite3_stmt *s, const struct db_statement *st,
                         db_row_sink *sink, void *arg)
{
    struct db_value row[DB_COLS_MAX];
    int rc = bind(s, st->p, st->n);
    int n_cols = sqlite3_column_count(s);
    if (n_cols > DB_COLS_MAX)
        abort();
    if (rc != SQLITE_OK)
        return err_of(NULL, rc, st->sql);
    while ((rc = sqlite3_step(s)) == SQLITE_ROW) {
        read_row(s, row, n_cols);
        if (sink && sink(arg, row, (size_t)n_cols) != 0)
            break;
    }
    return err_of(c->handle, rc, st->sql);
}

/* One of a connection's own statements, from the cache. */
static enum err run_own(struct db_conn *c, const char *sql)
{
    sqlite3_stmt *s;
    bool once;
    enum err e = prepare(c, sql, &s, &once);
    if (e != ERR_OK)
        return e;
    e = err_of(c->handle, sqlite3_step(s), sql);
    sqlite3_reset(s);
    if (once)
        sqlite3_finalize(s);
    return e;
}

/* Reads of one snapshot take the file's lock, and look what changed, once. */
static enum err begin_read(struct db_conn *c)
{
    enum err e = still_there(c, false);
    if (e == ERR_OK && c->wants_snapshot) {
        e = run_own(c, "BEGIN");
        c->in_snapshot = e == ERR_OK;
    }
    return e;
}

static void sqlite_snapshot_end(struct db_conn *c)
{
    c->in_snapshot = false;
    if (!sqlite3_get_autocommit(c->handle) && run_own(c, "COMMIT") != ERR_OK)
        sqlite3_exec(c->handle, "ROLLBACK", NULL, NULL, NULL);
}

static enum err sqlite_run(struct db_conn *c, const struct db_statement *st, db_row_sink *sink,
                           void *arg, int64_t *changed)
{
    sqlite3_stmt *s;
    bool once;
    enum err e = c->in_closure || c->running > 1 || c->in_snapshot ? ERR_OK : begin_read(c);
    if (e == ERR_OK)
        e = prepare(c, st->sql, &s, &once);
    if (e != ERR_OK)
        return e;
    e = step_all(c, s, st, sink, arg);
    if (changed)
        *changed = sqlite3_stmt_readonly(s) ? 0 : sqlite3_changes64(c->handle);
    sqlite3_reset(s);
    sqlite3_clear_bindings(s);
    if (once)
        sqlite3_finalize(s);
    return e;
}

static enum err sqlite_script(struct db_conn *c, const char *sql)
{
    return run_text(c->handle, sql);
}

/* ---- the writer ------------------------------------------------------------------------------ */
struct job {
    db_closure *fn;
    void *arg;
    enum err result;
    bool done;
    pthread_cond_t finished; /* its own: one commit wakes those it concerns, and nobody else */
    struct job *next;
};
struct writer {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct job *head, *tail;
    struct db_conn *conn;
    bool stopping, waiting;
};

static enum err run_in_savepoint(struct db_conn *c, struct job *j)
{
    enum err e = run_own(c, "SAVEPOINT closure");
    if (e != ERR_OK)
        return e;
    j->result = db_closure_run(c, j->fn, j->arg);
    /* A full disk or a failed write rolls the whole transaction back by itself. */
    if (sqlite3_get_autocommit(c->handle))
        return j->result != ERR_OK ? j->result : ERR_IO;
    if (j->result != ERR_OK)
        e = run_own(c, "ROLLBACK TO closure");
    return e == ERR_OK ? run_own(c, "RELEASE closure") : e;
}

/* One transaction for the whole list. On failure nothing of it was kept. */
static enum err run_together(struct db_conn *c, struct job *list)
{
    enum err e = still_there(c, true);
    if (e == ERR_OK)
        e = run_own(c, "BEGIN IMMEDIATE");
    for (struct job *j = list; j && e == ERR_OK; j = j->next)
        e = run_in_savepoint(c, j);
    if (e == ERR_OK)
        e = run_own(c, "COMMIT");
    if (e != ERR_OK && !sqlite3_get_autocommit(c->handle))
        sqlite3_exec(c->handle, "ROLLBACK", NULL, NULL, NULL);
    return e;
}

/* What one closure did to all is its own: after a full disk each runs again alone, and those that
 * still fit are kept. A database that is locked or gone is so for all: nobody waits for it twice.
 */
static void run_group(struct db_conn *c, struct job *list)
{
    enum err e = run_together(c, list);
    if (e == ERR_OK)
        return;
    bool apart = list->next && (e == ERR_FULL || e == ERR_IO);
    for (struct job *j = list, *next; j; j = next) {
        next = j->next;
        j->next = NULL;
        enum err mine = apart ? run_together(c, j) : e;
        if (mine != ERR_OK)
            j->result = mine;
        j->next = next;
    }
}

static void *writer_run(void *arg)
{
    struct writer *w = arg;
    pthread_mutex_lock(&w->lock);
    while (!w->stopping || w->head) {
        if (!w->head) {
            w->waiting = true;
            pthread_cond_wait(&w->more, &w->lock);
            w->waiting = false;
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
        run_group(w->conn, list);
        pthread_mutex_lock(&w->lock);
        for (struct job *j = list, *next; j; j = next) {
            next = j->next;
            j->done = true; /* the lock is ours: it is its caller's again when we let go */
            pthread_cond_signal(&j->finished);
        }
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

static enum err sqlite_write(struct db *db, db_closure *fn, void *arg)
{
    struct writer *w = db->writer;
    struct job j = {.fn = fn, .arg = arg, .finished = PTHREAD_COND_INITIALIZER};
    pthread_mutex_lock(&w->lock);
    if (w->tail)
        w->tail->next = &j;
    else
        w->head = &j;
    w->tail = &j;
    if (w->waiting)
        pthread_cond_signal(&w->more);
    while (!j.done)
        pthread_cond_wait(&j.finished, &w->lock);
    pthread_mutex_unlock(&w->lock);
    pthread_cond_destroy(&j.finished);
    return j.result;
}

/* Sorts that do not fit in memory spill beside the database: it is the one folder that a process in
 * its sandbox may write. SQLite has one such folder for the process: its first database's. */
static void spill_folder_set(const char *path)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    const char *slash = strrchr(path, '/');
    pthread_mutex_lock(&lock);
    bool set = sqlite3_temp_directory && access(sqlite3_temp_directory, W_OK) == 0;
    if (!set && slash) {
        sqlite3_free(sqlite3_temp_directory);
        sqlite3_temp_directory = sqlite3_mprintf("%.*s", (int)(slash - path), path);
    }
    pthread_mutex_unlock(&lock);
}

static enum err sqlite_start(struct db *db)
{
    spill_folder_set(db->url);
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
    free(w);
    db->writer = NULL;
}

/* --- backup ----------------------------------------------------------------------------------- */

static enum err copy_all(sqlite3 *from, sqlite3 *to)
{
    sqlite3_backup *b = sqlite3_backup_init(to, "main", from, "main");
    if (!b)
        return err_of(to, sqlite3_errcode(to), "backup");
    int rc = sqlite3_backup_step(b, -1); /* in one step: one state of the database */
    sqlite3_backup_finish(b);
    return err_of(to, rc, "backup");
}

enum err db_backup_file(struct db *db, const char *path)
{
    sqlite3 *to = NULL;
    if (db->engine != DB_SQLITE)
        return ERR_INVALID;
    struct db_conn *from = db_read(db);
    enum err e = from ? still_there(from, false) : ERR_UNAVAILABLE;
    if (e != ERR_OK)
        return e;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno == EEXIST ? ERR_EXISTS : file_err_from_errno(errno);
    close(fd);
    e = err_of(NULL, sqlite3_open_v2(path, &to, SQLITE_OPEN_READWRITE, NULL), "backup");
    if (e == ERR_OK)
        e = copy_all(from->handle, to);
    if (sqlite3_close(to) != SQLITE_OK && e == ERR_OK)
        e = ERR_IO;
    if (e != ERR_OK)
        unlink(path);
    return e;
}

const struct db_engine_ops db_sqlite_ops = {.connect = sqlite_connect,
                                            .disconnect = sqlite_disconnect,
                                            .run = sqlite_run,
                                            .script = sqlite_script,
                                            .snapshot_end = sqlite_snapshot_end,
                                            .write = sqlite_write,
                                            .start = sqlite_start,
                                            .stop = sqlite_stop};
