/* The front of the database floor: what both engines share. */
#include "data/db.h"

#include <stdio.h>
#include <stdlib.h>
#include "base/log.h"
#include "data/db_engine.h"

static void conn_release(void *p)
{
    struct db_conn *c = p, **at;
    struct db *db = c->db;
    pthread_mutex_lock(&db->lock);
    for (at = &db->open; *at; at = &(*at)->next)
        if (*at == c) {
            *at = c->next;
            break;
        }
    pthread_mutex_unlock(&db->lock);
    db_conn_close(c);
}

void db_conn_close(struct db_conn *c)
{
    c->db->ops->disconnect(c);
    free(c);
}

enum err db_conn_open(struct db *db, bool writes, struct db_conn **out)
{
    struct db_conn *c = calloc(1, sizeof *c);
    if (!c)
        abort();
    c->db = db;
    enum err e = db->ops->connect(db, c, writes);
    if (e != ERR_OK) {
        free(c);
        return e;
    }
    *out = c;
    return ERR_OK;
}

enum err db_open(const char *url, struct db **out)
{
    struct db *db = calloc(1, sizeof *db);
    if (!db)
        abort();
    bool sqlite = strncmp(url, "sqlite:", 7) == 0;
    db->engine = sqlite ? DB_SQLITE : DB_POSTGRES;
    db->ops = sqlite ? &db_sqlite_ops : &db_pg_ops;
    db->url = strdup(sqlite ? url + 7 : url);
    pthread_mutex_init(&db->lock, NULL);
    pthread_key_create(&db->key, conn_release);
    enum err e = db->ops->start(db);
    if (e != ERR_OK) {
        log_error("db_open_failed", "error", err_name(e));
        db_close(db);
        return e;
    }
    *out = db;
    return ERR_OK;
}

void db_close(struct db *db)
{
    db->ops->stop(db);
    pthread_key_delete(db->key); /* destructors do not run any more: we close */
    while (db->open) {
        struct db_conn *c = db->open;
        db->open = c->next;
        db_conn_close(c);
    }
    pthread_mutex_destroy(&db->lock);
    free(db->url);
    free(db);
}

enum db_engine db_engine(const struct db *db)
{
    return db->engine;
}

struct db_conn *db_read(struct db *db)
{
    struct db_conn *c = pthread_getspecific(db->key);
    if (c)
        return c;
    if (db_conn_open(db, false, &c) != ERR_OK)
        return NULL;
    pthread_mutex_lock(&db->lock);
    c->next = db->open;
    db->open = c;
    pthread_mutex_unlock(&db->lock);
    pthread_setspecific(db->key, c);
    return c;
}

static void snapshot_close(struct db *db, bool wants)
{
    struct db_conn *c = db->ops->snapshot_end ? pthread_getspecific(db->key) : NULL;
    if (!c)
        return;
    c->wants_snapshot = wants;
    if (c->in_snapshot)
        db->ops->snapshot_end(c);
}

void db_snapshot_begin(struct db *db)
{
    struct db_conn *c = db->ops->snapshot_end ? db_read(db) : NULL;
    if (c)
        c->wants_snapshot = true;
}

void db_snapshot_end(struct db *db)
{
    snapshot_close(db, false);
}

enum err db_write(struct db *db, db_closure *fn, void *arg)
{
    struct db_conn *mine = pthread_getspecific(db->key);
    if (mine && mine->in_snapshot)
        snapshot_close(db, true);
    return db->ops->write(db, fn, arg);
}

/* A closure that goes on after an error would find its transaction dead on PostgreSQL and alive on
 * SQLite: on both, its first error is its result and nothing runs any more. */
enum err db_closure_run(struct db_conn *c, db_closure *fn, void *arg)
{
    c->in_closure = true;
    c->failed = ERR_OK;
    enum err e = fn(c, arg);
    c->in_closure = false;
    return c->failed != ERR_OK ? c->failed : e;
}

/* ---- statements ------------------------------------------------------------------------------ */
static enum err run(struct db_conn *c, const struct db_statement *s, db_row_sink *row, void *arg,
                    int64_t *changed)
{
    if (c->in_closure && c->failed != ERR_OK)
        return c->failed;
    enum err e = ERR_OK;
    for (size_t i = 0; i < s->n && e == ERR_OK; i++)
        if (s->p[i].type == 's' && s->p[i].s.n &&
            (memchr(s->p[i].s.p, '\0', s->p[i].s.n) || !str_is_utf8(s->p[i].s)))
            e = ERR_INVALID; /* PostgreSQL would refuse it, SQLite keep it */
    c->running++;
    if (e == ERR_OK)
        e = c->db->ops->run(c, s, row, arg, changed);
    c->running--;
    if (e != ERR_OK && c->in_closure)
        c->failed = e;
    return e;
}

static size_t params_read(struct db_param *p, const char *types, va_list ap)
{
    size_t n = 0;
    for (; types[n]; n++) {
        if (n == DB_PARAMS_MAX)
            abort();
        p[n] = (struct db_param){.type = types[n]};
        switch (types[n]) {
        case 's':
        case 'b':
            p[n].s = va_arg(ap, struct str);
            break;
        case 'z':
            p[n].type = 's';
            p[n].s = str_from(va_arg(ap, const char *));
            break;
        case 'i':
            p[n].i = va_arg(ap, int64_t);
            break;
        default:
            abort();
        }
    }
    return n;
}

enum err db_exec(struct db_conn *c, const char *sql, const char *types, ...)
{
    struct db_param p[DB_PARAMS_MAX];
    va_list ap;
    va_start(ap, types);
    size_t n = params_read(p, types, ap);
    va_end(ap);
    return run(c, &(struct db_statement){sql, p, n, false}, NULL, NULL, NULL);
}

enum err db_exec_count(struct db_conn *c, int64_t *changed, const char *sql, const char *types, ...)
{
    struct db_param p[DB_PARAMS_MAX];
    va_list ap;
    va_start(ap, types);
    size_t n = params_read(p, types, ap);
    va_end(ap);
    return run(c, &(struct db_statement){sql, p, n, false}, NULL, NULL, changed);
}

struct gather {
    struct arena *a;
    struct db_result *out;
    size_t cap, max_rows;
    bool over;
};

static int gather_row(void *arg, const struct db_value *row, size_t n_cols)
{
    struct gather *g = arg;
    struct db_result *r = g->out;
    if (r->n_rows == g->max_rows) {
        g->over = true;
        return 1;
    }
    r->n_cols = n_cols;
    if (r->n_rows == g->cap) {
        size_t cap = g->cap ? g->cap * 2 : 8;
        struct db_value *v = arena_array(g->a, struct db_value, cap * n_cols);
        if (r->n_rows)
            memcpy(v, r->v, r->n_rows * n_cols * sizeof *v);
        r->v = v;
        g->cap = cap;
    }
    for (size_t i = 0; i < n_cols; i++) {
        struct db_value *v = &r->v[r->n_rows * n_cols + i];
        *v = row[i];
        if (!v->is_null && !v->is_int)
            v->s = arena_dup(g->a, v->s);
        else if (v->is_int)
            v->s = arena_printf(g->a, "%lld", (long long)v->i);
    }
    r->n_rows++;
    return 0;
}

static enum err query(struct db_conn *c, struct arena *a, struct db_result *out, const char *sql,
                      const struct db_param *p, size_t n, size_t max_rows)
{
    struct gather g = {a, out, 0, max_rows, false};
    *out = (struct db_result){0};
    enum err e = run(c, &(struct db_statement){sql, p, n, false}, gather_row, &g, NULL);
    return e == ERR_OK && g.over && max_rows > 1 ? ERR_LIMIT : e;
}

enum err db_query(struct db_conn *c, struct arena *a, struct db_result *out, const char *sql,
                  const char *types, ...)
{
    struct db_param p[DB_PARAMS_MAX];
    va_list ap;
    va_start(ap, types);
    size_t n = params_read(p, types, ap);
    va_end(ap);
    return query(c, a, out, sql, p, n, DB_MAX_ROWS);
}

enum err db_query_one(struct db_conn *c, struct arena *a, struct db_result *out, const char *sql,
                      const char *types, ...)
{
    struct db_param p[DB_PARAMS_MAX];
    va_list ap;
    va_start(ap, types);
    size_t n = params_read(p, types, ap);
    va_end(ap);
    enum err e = query(c, a, out, sql, p, n, 1);
    return e == ERR_OK && out->n_rows == 0 ? ERR_NOT_FOUND : e;
}

enum err db_each(struct db_conn *c, db_row_fn *fn, void *arg, const char *sql, const char *types,
                 ...)
{
    struct db_param p[DB_PARAMS_MAX];
    va_list ap;
    va_start(ap, types);
    size_t n = params_read(p, types, ap);
    va_end(ap);
    return run(c, &(struct db_statement){sql, p, n, true}, fn, arg, NULL);
}

/* ---- values ---------------------------------------------------------------------------------- */
static const struct db_value *value(const struct db_result *r, size_t row, size_t col)
{
    if (row >= r->n_rows || col >= r->n_cols)
        abort();
    return &r->v[row * r->n_cols + col];
}

struct str db_str(const struct db_result *r, size_t row, size_t col)
{
    const struct db_value *v = value(r, row, col);
    return v->is_null ? STR("") : v->s;
}

const char *db_z(const struct db_result *r, size_t row, size_t col)
{
    return db_str(r, row, col).p;
}

int64_t db_i64(const struct db_result *r, size_t row, size_t col)
{
    const struct db_value *v = value(r, row, col);
    return v->is_null ? 0 : v->i;
}

bool db_null(const struct db_result *r, size_t row, size_t col)
{
    return value(r, row, col)->is_null;
}
