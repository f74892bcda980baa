/* One database behind two engines: SQLite embedded, or PostgreSQL through libpq.
 *
 * SQL is the same on both: `$1` parameters only, no engine's own functions, RETURNING and ON
 * CONFLICT allowed. Text is UTF-8, times are INTEGER/BIGINT milliseconds, booleans are 0/1
 * integers, blobs are BLOB/BYTEA (a migration writes BLOB and BIGINT; for PostgreSQL, BLOB becomes
 * BYTEA).
 *
 * Reading: db_read lends this thread's connection. Writing: only inside a closure given to
 * db_write. On SQLite one writer thread runs closures, many to a transaction, each in a savepoint,
 * and returns to the callers after the one commit (FULL: durable). On PostgreSQL the closure runs
 * in the caller's thread in a transaction of its own. A closure does SQL only and may run again (a
 * serialisation failure, a savepoint rolled back): it changes nothing but the database and its arg,
 * and sets all of arg's results anew each time. The first statement that fails in a closure is the
 * closure's result, and no other runs after it (ERR_NOT_FOUND and ERR_LIMIT of a query are no
 * failures): PostgreSQL's transactions end there, so SQLite's do too. */
#ifndef DATA_DB_H
#define DATA_DB_H

#include "base/arena.h"
#include "base/err.h"

struct db;
struct db_conn;
enum db_engine { DB_SQLITE, DB_POSTGRES };

/* url: "sqlite:/path/file.db" or a libpq URL ("postgresql://..."). Starts the writer thread on
 * SQLite. ERR_UNAVAILABLE when it cannot be reached. */
enum err db_open(const char *url, struct db **out) MUST_CHECK;
void db_close(struct db *db);
enum db_engine db_engine(const struct db *db);

/* This thread's read connection (opened at first use, kept). NULL when the database is gone: answer
 * ERR_UNAVAILABLE. Reads see what was committed before they start. */
struct db_conn *db_read(struct db *db);

/* From here to db_snapshot_end, or this thread's next db_write, its reads may be of one moment:
 * what a request reads piece by piece is read at the price of one look. Not around a wait for
 * anybody: a snapshot that stays open keeps the database from tidying up. (PostgreSQL: nothing
 * changes.) */
void db_snapshot_begin(struct db *db);
void db_snapshot_end(struct db *db);

/* Runs fn in a transaction and waits for its commit. Returns fn's error (rolled back) or the
 * commit's: ERR_FULL (disk), ERR_UNAVAILABLE (gone or locked too long), ERR_CONFLICT (gave up). */
typedef enum err db_closure(struct db_conn *c, void *arg);
enum err db_write(struct db *db, db_closure *fn, void *arg) MUST_CHECK;

/* Parameters by a string of letters, one an argument, as many as the statement has:
 *   s struct str (text; .p NULL is SQL NULL)   z const char * (text or NULL)
 *   b struct str (blob; .p NULL is SQL NULL)   i int64_t / long long (cast your ints!)
 * Errors: ERR_EXISTS for a uniqueness or primary key violation, ERR_INVALID for other constraint
 * violations and for text that is not UTF-8 or holds a NUL, ERR_UNAVAILABLE, ERR_FULL,
 * ERR_CONFLICT, ERR_INTERNAL for SQL that does not parse (logged with the statement's text, never
 * its values). */
enum err db_exec(struct db_conn *c, const char *sql, const char *types, ...) MUST_CHECK;
/* The same, and how many rows it changed. */
enum err db_exec_count(struct db_conn *c, int64_t *changed, const char *sql, const char *types,
                       ...) MUST_CHECK;

/* The whole result in the arena; more than `max_rows` rows is ERR_LIMIT. Statements are cached per
 * connection by the address of `sql`'s text: pass literals. */
struct db_value {
    struct str s; /* text or blob; numbers as text on demand through db_str */
    int64_t i;
    bool is_null, is_int;
};
struct db_result {
    size_t n_rows, n_cols;
    struct db_value *v;
};
enum { DB_MAX_ROWS = 10000 };
enum err db_query(struct db_conn *c, struct arena *a, struct db_result *out, const char *sql,
                  const char *types, ...) MUST_CHECK;
/* Exactly one row wanted: ERR_NOT_FOUND when there is none, the first when there are more. */
enum err db_query_one(struct db_conn *c, struct arena *a, struct db_result *out, const char *sql,
                      const char *types, ...) MUST_CHECK;
/* Row by row, for big reads: fn returns non-zero to stop. The row's memory ends with the call. */
typedef int db_row_fn(void *arg, const struct db_value *row, size_t n_cols);
enum err db_each(struct db_conn *c, db_row_fn *fn, void *arg, const char *sql, const char *types,
                 ...) MUST_CHECK;

/* Values of a result; NULL is "" or 0. Text lives in the result's arena, NUL-terminated. */
struct str db_str(const struct db_result *r, size_t row, size_t col);
const char *db_z(const struct db_result *r, size_t row, size_t col);
int64_t db_i64(const struct db_result *r, size_t row, size_t col);
bool db_null(const struct db_result *r, size_t row, size_t col);

/* --- migrations: numbered per module, applied in order, once, each in a transaction ----------- */
struct db_migration {
    const char *module; /* "identity" */
    int number;         /* rising; gaps are allowed */
    const char *sql;    /* several statements; DDL of the common dialect */
};
/* ERR_CONFLICT when the database was made by a newer program. *applied may be NULL. */
enum err db_migrate(struct db *db, const struct db_migration *m, size_t n, int *applied) MUST_CHECK;

/* Copies the whole SQLite database to a new file, readable by its owner alone, while it is in use
 * (sqlite3_backup). ERR_EXISTS when there is such a file; nothing is left after a failure.
 * PostgreSQL: ERR_INVALID, its own tools do that. */
enum err db_backup_file(struct db *db, const char *path) MUST_CHECK;

#endif
