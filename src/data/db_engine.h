/* What an engine gives the front: private to the database files. */
#ifndef DATA_DB_ENGINE_H
#define DATA_DB_ENGINE_H

#include <pthread.h>
#include <stdarg.h>
#include "data/db.h"

enum { DB_PARAMS_MAX = 32 };
struct db_param {
    char type; /* s z b i as in db.h; z arrives as s */
    struct str s;
    int64_t i;
};

struct db_conn {
    struct db *db;
    void *handle;     /* sqlite3 * or PGconn * */
    void *statements; /* the engine's cache */
    struct db_conn *next;
};

/* row is called for each row with n_cols values; NULL: rows are counted only. */
typedef int db_row_sink(void *arg, const struct db_value *row, size_t n_cols);
struct db_engine_ops {
    enum err (*connect)(struct db *db, struct db_conn *c, bool writes);
    void (*disconnect)(struct db_conn *c);
    enum err (*run)(struct db_conn *c, const char *sql, const struct db_param *p, size_t n,
                    db_row_sink *row, void *arg, int64_t *changed);
    enum err (*script)(struct db_conn *c, const char *sql); /* several statements */
    enum err (*write)(struct db *db, db_closure *fn, void *arg);
    enum err (*start)(struct db *db);
    void (*stop)(struct db *db);
};
extern const struct db_engine_ops db_sqlite_ops, db_pg_ops;

struct db {
    enum db_engine engine;
    const struct db_engine_ops *ops;
    char *url;
    pthread_key_t key;      /* this thread's reading connection */
    pthread_mutex_t lock;   /* guards `open` */
    struct db_conn *open;   /* all of them, for closing */
    void *writer;           /* the engine's own */
};

enum err db_conn_open(struct db *db, bool writes, struct db_conn **out) MUST_CHECK;

#endif
