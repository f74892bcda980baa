/* PostgreSQL through libpq: being written. */
#include "data/db_engine.h"

static enum err pg_start(struct db *db)
{
    (void)db;
    return ERR_UNAVAILABLE;
}

static void pg_stop(struct db *db)
{
    (void)db;
}

const struct db_engine_ops db_pg_ops = {.start = pg_start, .stop = pg_stop};
