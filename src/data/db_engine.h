/* What an engine gives the front: private to the database files. */
#ifndef DATA_DB_ENGINE_H
#define DATA_DB_ENGINE_H

#include <pthread.h>
#include <stdarg.h>
#include "data/db.h"

enum { DB_PARAMS_MAX = 32, DB_COLS_MAX = 64, DB_STATEMENTS_MAX = 512 };
enum { DB_LOCK_WAIT_MS = 2000 }; /* for somebody else's lock, on both engines */
struct db_param {
    char type; /* s b i as in db.h; z arrives as s */
    struct str s;
    int64_t i;
};

struct db_conn {
    struct db *db;
    void *handle;     /* sqlite3 * or struct pg_conn * */
    void *statements; /* the engine's cache */
    bool in_closure;
    bool wants_snapshot, in_snapshot; /* db_snapshot_begin; its transaction is open */
    unsigned running;                 /* statements under way, one inside the other's sink */
    enum err failed; /* in a closure: the first statement's error, which is then its own */
    struct db_conn *next;
};

/* One statement and its values. `nests` when the sink may run others on the same connection before
 * this one has ended. */
struct db_statement {
    const char *sql;
    const struct db_param *p;
    size_t n;
    bool nests;
};

/* row is called for each row with n_cols values; NULL: rows are counted only. */
typedef int db_row_sink(void *arg, const struct db_value *row, size_t n_cols);
struct db_engine_ops {
    enum err (*connect)(struct db *db, struct db_conn *c, bool writes);
    void (*disconnect)(struct db_conn *c);
    enum err (*run)(struct db_conn *c, const struct db_statement *s, db_row_sink *row, void *arg,
                    int64_t *changed);
    enum err (*script)(struct db_conn *c, const char *sql); /* several statements, no time limit */
    void (*snapshot_end)(struct db_conn *c);                /* NULL: this engine has none */
    enum err (*write)(struct db *db, db_closure *fn, void *arg);
    enum err (*start)(struct db *db);
    void (*stop)(struct db *db);
    /* Held by one connection of all nodes, until its disconnect; NULL where a transaction is
     * enough. */
    enum err (*lock)(struct db_conn *c);
};
extern const struct db_engine_ops db_sqlite_ops, db_pg_ops;

struct db {
    enum db_engine engine;
    const struct db_engine_ops *ops;
    char *url;
    pthread_key_t key;    /* this thread's reading connection */
    pthread_mutex_t lock; /* guards `open` */
    struct db_conn *open; /* all of them, for closing */
    void *writer;         /* the engine's own */
};

enum err db_conn_open(struct db *db, bool writes, struct db_conn **out) MUST_CHECK;
void db_conn_close(struct db_conn *c);

/* Runs fn on c between the engine's BEGIN and COMMIT. */
enum err db_closure_run(struct db_conn *c, db_closure *fn, void *arg) MUST_CHECK;

#endif
