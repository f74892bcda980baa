/* A connection to PostgreSQL: private to the engine's two files. */
#ifndef DATA_DB_PG_H
#define DATA_DB_PG_H

#include <libpq-fe.h>
#include "base/map.h"
#include "data/db_engine.h"

enum { PG_STATEMENT_MS = 10000, PG_NO_LIMIT = -1 };

struct pg_prepared {
    char name[16], types[DB_PARAMS_MAX + 1];
    char sql[];
};
struct pg_conn {
    PGconn *pg;
    struct map prepared; /* SQL -> struct pg_prepared * */
    unsigned n_prepared; /* names given */
    unsigned cursors;    /* open now, one inside the other */
    bool writes;
    bool again;  /* the last error is one that a new try may not meet */
    bool silent; /* closed because the server did not answer: no new try, the time is used up */
};

/* Opens, or opens again. ERR_UNAVAILABLE, logged. */
enum err pg_conn_open(struct db *db, struct pg_conn *c) MUST_CHECK;
void pg_conn_close(struct pg_conn *c);
bool pg_conn_is_good(const struct pg_conn *c);

/* The next result of what was sent; NULL in *out after the last. ERR_UNAVAILABLE, and the
 * connection is closed, when nothing comes within timeout_ms. */
enum err pg_conn_wait(struct pg_conn *c, int timeout_ms, PGresult **out) MUST_CHECK;

/* Reads what was sent to its end; its first error. `tag` (may be NULL) gets the last command's
 * name. pg_conn_simple sends it too, without parameters. */
enum err pg_conn_finish(struct pg_conn *c, const char *sql, int timeout_ms,
                        char tag[16]) MUST_CHECK;
enum err pg_conn_simple(struct pg_conn *c, const char *sql, int timeout_ms,
                        char tag[16]) MUST_CHECK;

/* What a failed result means (db.h); sets c->again. NULL stands for a lost connection. */
enum err pg_conn_fault(struct pg_conn *c, const PGresult *r, const char *sql);

#endif
