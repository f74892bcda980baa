/* The registers engine, thin: load, find by key, search. A register's rows are JSON objects; what a
 * row means is its service's affair. */
#include "commons/registers/registers.h"

#include "base/clock.h"
#include "data/fold.h"

enum { LOAD_BATCH = 2000, SEARCH_MAX = 50 };

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
                    "zssssis", b->id, r->key, r->label, text_fold(b->arena, r->label), r->words,
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

/* ---- calls ------------------------------------------------------------------------------------- */
static json_t *row_json(const struct db_result *r, size_t i)
{
    json_t *row = NULL;
    if (json_read(db_str(r, i, 2), &row, NULL) != ERR_OK)
        row = json_object();
    json_object_set_new(row, "key", json_string(db_z(r, i, 0)));
    json_object_set_new(row, "label", json_string(db_z(r, i, 1)));
    return row;
}

static enum err call_find(struct ctx *c, const json_t *args, json_t **out)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    if (!db)
        return ERR_UNAVAILABLE;
    enum err e = db_query_one(db, c->arena, &r,
                              "SELECT item, label, data FROM register_row WHERE register = $1 "
                              "AND item = $2",
                              "ss", json_get_str(args, "register"), json_get_str(args, "key"));
    if (e == ERR_OK)
        *out = row_json(&r, 0);
    return e;
}

/* Names that start with the words first, then those that have them inside. LIKE's wildcards cannot
 * come from the caller: folding leaves letters, digits and spaces. */
static enum err call_search(struct ctx *c, const json_t *args, json_t **out)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    if (!db)
        return ERR_UNAVAILABLE;
    struct str q = text_fold(c->arena, json_get_str(args, "q"));
    int64_t limit = json_get_i64(args, "limit", 10);
    if (limit < 1 || limit > SEARCH_MAX)
        limit = SEARCH_MAX;
    struct str head = arena_printf(c->arena, STR_FMT "%%", STR_ARG(q));
    struct str inside = arena_printf(c->arena, "%% " STR_FMT "%%", STR_ARG(q));
    *out = json_pack("{s:[]}", "items");
    if (q.n == 0)
        return ERR_OK;
    enum err e = db_query(db, c->arena, &r,
                          "SELECT item, label, data FROM register_row WHERE register = $1 AND "
                          "(folded LIKE $2 OR folded LIKE $3 OR words LIKE $3) "
                          "ORDER BY CASE WHEN folded = $4 THEN 0 WHEN folded LIKE $2 THEN 1 "
                          "ELSE 2 END, weight DESC, folded LIMIT $5",
                          "ssssi", json_get_str(args, "register"), head, inside, q, limit);
    for (size_t i = 0; e == ERR_OK && i < r.n_rows; i++)
        json_array_append_new(json_get(*out, "items"), row_json(&r, i));
    return e;
}

static const struct call calls[] = {
    {"registers.find", call_find, "One row by key."},
    {"registers.search", call_search, "Rows in plain words, accents and case do not count."},
};

const struct service service_registers = {
    .name = "registers",
    .migrations = migrations,
    .n_migrations = COUNT_OF(migrations),
    .calls = calls,
    .n_calls = COUNT_OF(calls),
};
