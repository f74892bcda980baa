/* The registers engine, thin: load, find by key, search. A register's rows are JSON objects; what a
 * row means is its service's affair. */
#include "commons/registers/registers.h"

#include "base/clock.h"

enum { LOAD_BATCH = 2000 };

static const struct db_migration migrations[] = {
    {"registers", 1,
     "CREATE TABLE register(id TEXT PRIMARY KEY, version TEXT NOT NULL, n_rows BIGINT NOT NULL,"
     " loaded_at BIGINT NOT NULL);"
     "CREATE TABLE register_row("
     " register TEXT NOT NULL, item TEXT NOT NULL, label TEXT NOT NULL, folded TEXT NOT NULL,"
     " words TEXT NOT NULL, weight BIGINT NOT NULL, data TEXT NOT NULL,"
     " PRIMARY KEY(register, item));"
     "CREATE INDEX register_row_folded ON register_row(register, folded);"},
};

struct batch {
    struct arena *arena;
    const char *id;
    struct register_row rows[LOAD_BATCH];
    size_t n;
    bool first, last;
    const char *version;
    int64_t total;
};

static enum err batch_write(struct db_conn *db, void *arg)
{
    struct batch *b = arg;
    enum err e = ERR_OK;
    if (b->first)
        e = db_exec(db, "DELETE FROM register_row WHERE register = $1", "z", b->id);
    for (size_t i = 0; i < b->n && e == ERR_OK; i++) {
        const struct register_row *r = &b->rows[i];
        e = db_exec(db,
                    "INSERT INTO register_row(register, item, label, folded, words, weight, data) "
                    "VALUES($1, $2, $3, $4, $5, $6, $7)",
                    "zssssis", b->id, r->key, r->label, register_fold(b->arena, r->label), r->words,
                    r->weight, r->data);
    }
    if (b->last && e == ERR_OK)
        e = db_exec(db,
                    "INSERT INTO register(id, version, n_rows, loaded_at) VALUES($1, $2, $3, $4) "
                    "ON CONFLICT (id) DO UPDATE SET version = $2, n_rows = $3, loaded_at = $4",
                    "zzii", b->id, b->version, b->total, clock_now_ms());
    return e;
}

enum err register_load(struct platform *pf, const char *id, const char *version,
                       register_source *next, void *arg)
{
    struct arena a;
    struct db_result r;
    struct db_conn *db = db_read(pf->db);
    if (!db)
        return ERR_UNAVAILABLE;
    arena_init(&a);
    enum err e = db_query_one(db, &a, &r, "SELECT version FROM register WHERE id = $1", "z", id);
    bool current = e == ERR_OK && str_eq_z(db_str(&r, 0, 0), version);
    if (current || (e != ERR_OK && e != ERR_NOT_FOUND)) {
        arena_free(&a);
        return current ? ERR_OK : e;
    }
    struct batch *b = arena_new(&a, struct batch);
    *b = (struct batch){.arena = &a, .id = id, .version = version, .first = true};
    struct arena rows;
    arena_init(&rows);
    b->arena = &rows;
    do {
        b->n = 0;
        while (b->n < LOAD_BATCH && next(arg, &rows, &b->rows[b->n]))
            b->n++;
        b->last = b->n < LOAD_BATCH;
        b->total += (int64_t)b->n;
        e = db_write(pf->db, batch_write, b);
        b->first = false;
        arena_reset(&rows);
    } while (e == ERR_OK && !b->last);
    arena_free(&rows);
    arena_free(&a);
    return e;
}

static const struct call calls[] = {
    {"registers.find", registers_find, "One row by key."},
    {"registers.search", registers_search,
     "Rows in plain words: accents, case and small slips do not count."},
};

const struct service service_registers = {
    .name = "registers",
    .migrations = migrations,
    .n_migrations = COUNT_OF(migrations),
    .calls = calls,
    .n_calls = COUNT_OF(calls),
};
