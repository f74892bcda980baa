/* PostgreSQL: a reading connection per thread, a few writing ones lent in turn. A closure runs in a
 * serialisable transaction, which is what SQLite's one writer gives it too, and runs again when the
 * server could not put it in order with the others.
 *
 * Values travel as text, blobs as they are on the way out and in hexadecimal on the way back: one
 * decoder for every type a query can return. */
#include "data/db_pg.h"

#include <ctype.h>
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/codec.h"
#include "base/log.h"
#include "base/rand.h"

enum {
    TYPE_ANY = 0,
    TYPE_BOOL = 16,
    TYPE_BYTEA = 17,
    TYPE_INT8 = 20,
    TYPE_INT2 = 21,
    TYPE_INT4 = 23,
    TYPE_TEXT = 25,
    TYPE_OID = 26,
    TYPE_NUMERIC = 1700
};
enum {
    FETCH_ROWS = 500,
    DRAIN_ROWS = 2000,
    WRITERS_MAX = 16,
    WRITER_WAIT_MS = 5000,
    CONFLICTS_MS = 5000,
    LOSSES_MAX = 3
};

/* --- parameters ------------------------------------------------------------------------------- */

struct params {
    const char *values[DB_PARAMS_MAX];
    int lengths[DB_PARAMS_MAX], formats[DB_PARAMS_MAX];
    uint64_t numbers[DB_PARAMS_MAX];
    char letters[DB_PARAMS_MAX + 1];
};

/* Text takes the type its place has, as on SQLite; but PostgreSQL finds none in `$1 IS NULL`. */
static void types_make(const struct db_statement *st, Oid types[DB_PARAMS_MAX])
{
    for (size_t i = 0; i < st->n; i++) {
        char asked[32];
        snprintf(asked, sizeof asked, "$%zu IS ", i + 1);
        types[i] = st->p[i].type == 'i'         ? TYPE_INT8
                   : st->p[i].type == 'b'       ? TYPE_BYTEA
                   : strcasestr(st->sql, asked) ? TYPE_TEXT
                                                : TYPE_ANY;
    }
}

static void params_make(struct arena *a, const struct db_statement *st, struct params *out)
{
    for (size_t i = 0; i < st->n; i++) {
        const struct db_param *p = &st->p[i];
        bool text = p->type == 's';
        out->letters[i] = p->type;
        out->formats[i] = !text;
        if (p->type == 'i') {
            out->numbers[i] = htobe64((uint64_t)p->i);
            out->values[i] = (const char *)&out->numbers[i];
            out->lengths[i] = sizeof out->numbers[i];
        } else {
            out->values[i] = !p->s.p ? NULL : text ? arena_dupz(a, p->s) : p->s.p;
            out->lengths[i] = (int)p->s.n;
        }
    }
    out->letters[st->n] = '\0';
}

/* --- rows ------------------------------------------------------------------------------------- */

static void value_read(struct arena *a, const PGresult *r, int row, int col, struct db_value *v)
{
    int64_t i;
    *v = (struct db_value){.is_null = PQgetisnull(r, row, col)};
    if (v->is_null)
        return;
    struct str text = str_of(PQgetvalue(r, row, col), (size_t)PQgetlength(r, row, col));
    switch (PQftype(r, col)) {
    case TYPE_BOOL:
        v->is_int = true;
        v->i = text.p[0] == 't';
        break;
    case TYPE_INT2:
    case TYPE_INT4:
    case TYPE_INT8:
    case TYPE_OID:
    case TYPE_NUMERIC: /* a sum of integers is one */
        v->s = text;
        v->is_int = str_to_i64(text, &i);
        v->i = v->is_int ? i : 0;
        break;
    case TYPE_BYTEA:
        if (codec_hex(a, str_after(text, 2), &v->s) != ERR_OK)
            abort(); /* bytea_output is ours: hex */
        break;
    default:
        v->s = text;
    }
}

/* True to go on. */
static bool row_give(const PGresult *r, int at, db_row_sink *sink, void *arg)
{
    struct db_value row[DB_COLS_MAX];
    struct arena a;
    int n = PQnfields(r);
    if (n > DB_COLS_MAX)
        abort();
    arena_init(&a);
    for (int i = 0; i < n; i++)
        value_read(&a, r, at, i, &row[i]);
    bool go_on = sink(arg, row, (size_t)n) == 0;
    arena_free(&a);
    return go_on;
}

/* --- one statement ---------------------------------------------------------------------------- */

static enum err prepare(struct pg_conn *c, const struct db_statement *st, const struct params *p,
                        const struct pg_prepared **out)
{
    const char *sql = st->sql;
    struct pg_prepared *known = map_get(&c->prepared, str_from(sql));
    Oid types[DB_PARAMS_MAX];
    *out = known && strcmp(known->types, p->letters) == 0 ? known : NULL;
    if (known || c->prepared.n == DB_STATEMENTS_MAX)
        return ERR_OK; /* without a name where it has none, or other types */
    size_t len = strlen(sql);
    types_make(st, types);
    known = calloc(1, sizeof *known + len + 1);
    if (!known)
        abort();
    memcpy(known->sql, sql, len);
    memcpy(known->types, p->letters, st->n + 1);
    snprintf(known->name, sizeof known->name, "s%u", c->n_prepared++);
    enum err e = PQsendPrepare(c->pg, known->name, sql, (int)st->n, types)
                     ? pg_conn_finish(c, sql, PG_STATEMENT_MS, NULL)
                     : pg_conn_fault(c, NULL, sql);
    if (e != ERR_OK) {
        free(known);
        return e;
    }
    map_set(&c->prepared, str_of(known->sql, len), known);
    *out = known;
    return ERR_OK;
}

static bool send_unnamed(struct pg_conn *c, const struct db_statement *st, const char *sql,
                         const struct params *p)
{
    Oid types[DB_PARAMS_MAX];
    types_make(st, types);
    return PQsendQueryParams(c->pg, sql, (int)st->n, types, p->values, p->lengths, p->formats, 0);
}

static enum err statement_send(struct pg_conn *c, struct arena *a, const struct db_statement *st,
                               bool rows)
{
    struct params p;
    const struct pg_prepared *known;
    params_make(a, st, &p);
    enum err e = prepare(c, st, &p, &known);
    if (e != ERR_OK)
        return e;
    bool sent = known ? PQsendQueryPrepared(c->pg, known->name, (int)st->n, p.values, p.lengths,
                                            p.formats, 0)
                      : send_unnamed(c, st, st->sql, &p);
    if (!sent)
        return pg_conn_fault(c, NULL, st->sql);
    if (rows)
        PQsetSingleRowMode(c->pg);
    return ERR_OK;
}

static void ask_to_stop(struct pg_conn *c)
{
    char why[256];
    PGcancel *cancel = PQgetCancel(c->pg);
    if (cancel)
        PQcancel(cancel, why, sizeof why);
    PQfreeCancel(cancel);
}

struct progress {
    size_t rows; /* given to the sink */
    int64_t changed;
};

/* Reads a statement's results to their end. After the sink had enough, the rest is thrown away; a
 * long rest is cancelled, but for a transaction, which would die of it. */
static enum err results_read(struct pg_conn *c, const struct db_statement *st, db_row_sink *sink,
                             void *arg, bool in_transaction, struct progress *done)
{
    enum err e = ERR_OK;
    bool enough = false;
    size_t drained = 0;
    for (;;) {
        PGresult *r;
        if (pg_conn_wait(c, PG_STATEMENT_MS, &r) != ERR_OK)
            return pg_conn_fault(c, NULL, st->sql);
        if (!r)
            return e;
        switch (PQresultStatus(r)) {
        case PGRES_SINGLE_TUPLE:
            done->rows++;
            if (!enough)
                enough = !row_give(r, 0, sink, arg);
            else if (++drained == DRAIN_ROWS && !in_transaction)
                ask_to_stop(c);
            break;
        case PGRES_COMMAND_OK:
        case PGRES_TUPLES_OK:
            done->changed = strtoll(PQcmdTuples(r), NULL, 10);
            break;
        default:
            if (e == ERR_OK && !enough)
                e = pg_conn_fault(c, r, st->sql);
        }
        PQclear(r);
    }
}

static enum err run_plain(struct db_conn *conn, const struct db_statement *st, db_row_sink *sink,
                          void *arg, struct progress *done)
{
    struct pg_conn *c = conn->handle;
    struct arena a;
    arena_init(&a);
    enum err e = statement_send(c, &a, st, sink != NULL);
    if (e == ERR_OK)
        e = results_read(c, st, sink, arg, conn->in_closure || c->cursors, done);
    arena_free(&a);
    return e;
}

/* --- many rows, by a cursor, so that the sink may run statements meanwhile -------------------- */

static enum err fetch_all(struct pg_conn *c, const char *fetch, db_row_sink *sink, void *arg,
                          struct progress *done)
{
    for (;;) {
        PGresult *r;
        if (!PQsendQuery(c->pg, fetch) || pg_conn_wait(c, PG_STATEMENT_MS, &r) != ERR_OK || !r)
            return pg_conn_fault(c, NULL, fetch);
        enum err e = PQresultStatus(r) == PGRES_TUPLES_OK ? ERR_OK : pg_conn_fault(c, r, fetch);
        enum err rest = pg_conn_finish(c, fetch, PG_STATEMENT_MS, NULL);
        e = e == ERR_OK ? rest : e;
        int n = e == ERR_OK ? PQntuples(r) : 0;
        bool go_on = n == FETCH_ROWS;
        done->rows += (size_t)n;
        for (int i = 0; i < n; i++)
            if (!row_give(r, i, sink, arg)) {
                go_on = false;
                break;
            }
        PQclear(r);
        if (e != ERR_OK || !go_on)
            return e;
    }
}

static bool is_select(const char *sql)
{
    while (isspace((unsigned char)*sql))
        sql++;
    return strncasecmp(sql, "SELECT", 6) == 0 || strncasecmp(sql, "WITH", 4) == 0;
}

static enum err run_cursor(struct db_conn *conn, const struct db_statement *st, db_row_sink *sink,
                           void *arg, struct progress *done)
{
    struct pg_conn *c = conn->handle;
    char fetch[64], end[64];
    struct arena a;
    struct params p;
    bool outermost = !conn->in_closure && c->cursors == 0;
    unsigned name = c->cursors;
    enum err e = outermost ? pg_conn_simple(c, "BEGIN", PG_STATEMENT_MS, NULL) : ERR_OK;
    if (e != ERR_OK)
        return e;
    arena_init(&a);
    c->cursors++;
    snprintf(fetch, sizeof fetch, "FETCH %d FROM each_%u", FETCH_ROWS, name);
    snprintf(end, sizeof end, "CLOSE each_%u%s", name, outermost ? "; COMMIT" : "");
    struct str sql = arena_printf(&a, "DECLARE each_%u NO SCROLL CURSOR FOR %s", name, st->sql);
    params_make(&a, st, &p);
    if (!send_unnamed(c, st, sql.p, &p))
        e = pg_conn_fault(c, NULL, st->sql);
    else
        e = pg_conn_finish(c, st->sql, PG_STATEMENT_MS, NULL);
    if (e == ERR_OK)
        e = fetch_all(c, fetch, sink, arg, done);
    bool again = c->again;
    if (e == ERR_OK)
        e = pg_conn_simple(c, end, PG_STATEMENT_MS, NULL);
    else if (outermost && pg_conn_is_good(c))
        (void)!pg_conn_simple(c, "ROLLBACK", PG_STATEMENT_MS, NULL);
    c->again = e != ERR_OK && (again || c->again);
    c->cursors -= c->cursors > 0; /* a closed connection has none */
    arena_free(&a);
    return e;
}

/* --- what the front calls --------------------------------------------------------------------- */

/* A reading connection that was lost since its last use is opened again; a statement that then gave
 * no row yet runs a second time. */
static enum err pg_run(struct db_conn *conn, const struct db_statement *st, db_row_sink *sink,
                       void *arg, int64_t *changed)
{
    struct pg_conn *c = conn->handle;
    struct progress done = {0};
    bool alone = !conn->in_closure && conn->running == 1;
    enum err e = ERR_OK;
    for (int attempt = 0; attempt < 2; attempt++) {
        if (alone && !pg_conn_is_good(c))
            e = pg_conn_open(conn->db, c);
        else
            e = c->pg ? ERR_OK : ERR_UNAVAILABLE;
        if (e != ERR_OK)
            break;
        c->again = false;
        e = st->nests && sink && is_select(st->sql) ? run_cursor(conn, st, sink, arg, &done)
                                                    : run_plain(conn, st, sink, arg, &done);
        if (e == ERR_OK || !alone || !c->again || done.rows)
            break;
        pg_conn_close(c);
    }
    if (changed)
        *changed = done.changed;
    return e;
}

static enum err pg_script(struct db_conn *conn, const char *sql)
{
    struct pg_conn *c = conn->handle;
    enum err e =
        pg_conn_simple(c, "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 30000",
                       PG_STATEMENT_MS, NULL);
    return e == ERR_OK ? pg_conn_simple(c, sql, PG_NO_LIMIT, NULL) : e;
}

static enum err pg_connect(struct db *db, struct db_conn *conn, bool writes)
{
    struct pg_conn *c = calloc(1, sizeof *c);
    if (!c)
        abort();
    c->writes = writes;
    enum err e = pg_conn_open(db, c);
    if (e != ERR_OK)
        free(c);
    else
        conn->handle = c;
    return e;
}

static void pg_disconnect(struct db_conn *conn)
{
    pg_conn_close(conn->handle);
    free(conn->handle);
}

/* Named after nobody: "socle" in ASCII. Tests in schemas of one database take turns too. */
static enum err pg_lock(struct db_conn *conn)
{
    return pg_conn_simple(conn->handle,
                          "SET statement_timeout = 120000; SET lock_timeout = 120000;"
                          "SELECT pg_advisory_lock(x'736f636c65'::bigint)",
                          120000, NULL);
}

/* --- writing ---------------------------------------------------------------------------------- */

struct pool {
    pthread_mutex_t lock;
    pthread_cond_t returned;
    struct db_conn *idle;
    unsigned lent;
};

static enum err writer_take(struct db *db, struct db_conn **out)
{
    struct pool *pool = db->writer;
    struct timespec until;
    int rc = 0;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += WRITER_WAIT_MS / 1000;
    pthread_mutex_lock(&pool->lock);
    while (pool->lent == WRITERS_MAX && rc == 0)
        rc = pthread_cond_timedwait(&pool->returned, &pool->lock, &until);
    bool mine = pool->lent < WRITERS_MAX;
    pool->lent += mine;
    *out = mine ? pool->idle : NULL;
    if (*out)
        pool->idle = (*out)->next;
    pthread_mutex_unlock(&pool->lock);
    enum err e = !mine ? ERR_UNAVAILABLE : *out ? ERR_OK : db_conn_open(db, true, out);
    if (mine && e != ERR_OK) {
        pthread_mutex_lock(&pool->lock);
        pool->lent--;
        pthread_cond_signal(&pool->returned);
        pthread_mutex_unlock(&pool->lock);
    }
    return e;
}

static void writer_return(struct db_conn *conn)
{
    struct pool *pool = conn->db->writer;
    bool good = pg_conn_is_good(conn->handle);
    pthread_mutex_lock(&pool->lock);
    pool->lent--;
    if (good) {
        conn->next = pool->idle;
        pool->idle = conn;
    }
    pthread_cond_signal(&pool->returned);
    pthread_mutex_unlock(&pool->lock);
    if (!good)
        db_conn_close(conn);
}

/* One try. c->again afterwards says whether a new one makes sense: never once COMMIT was sent and
 * its answer is lost, for nobody knows whether it happened. */
static enum err closure_try(struct db_conn *conn, db_closure *fn, void *arg)
{
    struct pg_conn *c = conn->handle;
    char tag[16] = "";
    enum err e = pg_conn_is_good(c) ? ERR_OK : pg_conn_open(conn->db, c);
    c->again = false;
    if (e == ERR_OK)
        e = pg_conn_simple(c, "BEGIN ISOLATION LEVEL SERIALIZABLE READ WRITE", PG_STATEMENT_MS,
                           NULL);
    if (e != ERR_OK)
        return e;
    e = db_closure_run(conn, fn, arg);
    if (e != ERR_OK) {
        bool again = c->again;
        if (pg_conn_is_good(c))
            (void)!pg_conn_simple(c, "ROLLBACK", PG_STATEMENT_MS, NULL);
        c->again = again;
        return e;
    }
    e = pg_conn_simple(c, "COMMIT", PG_STATEMENT_MS, tag);
    if (e == ERR_UNAVAILABLE) {
        log_error("db_commit_unknown");
        c->again = false;
    }
    return e == ERR_OK && strcmp(tag, "COMMIT") != 0 ? ERR_INTERNAL : e;
}

static void pause_before(unsigned conflict)
{
    uint16_t random;
    rand_bytes(&random, sizeof random);
    unsigned most_us = 1000u << (conflict < 6 ? conflict : 6);
    usleep(random % most_us);
}

static enum err pg_write(struct db *db, db_closure *fn, void *arg)
{
    struct db_conn *conn;
    unsigned conflicts = 0, losses = 0;
    enum err e = writer_take(db, &conn);
    if (e != ERR_OK)
        return e;
    struct pg_conn *c = conn->handle;
    int64_t until_ms = clock_mono_ms() + CONFLICTS_MS;
    for (;;) {
        e = closure_try(conn, fn, arg);
        if (e == ERR_OK || !c->again)
            break;
        bool lost = !pg_conn_is_good(c);
        if (lost ? ++losses == LOSSES_MAX : clock_mono_ms() > until_ms)
            break;
        if (!lost)
            pause_before(conflicts++);
    }
    writer_return(conn);
    return e;
}

static enum err pg_start(struct db *db)
{
    pthread_condattr_t monotonic;
    struct db_conn *first;
    struct pool *pool = calloc(1, sizeof *pool);
    if (!pool)
        abort();
    pthread_mutex_init(&pool->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&pool->returned, &monotonic);
    pthread_condattr_destroy(&monotonic);
    db->writer = pool;
    enum err e = writer_take(db, &first); /* to know now whether it can be reached */
    if (e == ERR_OK)
        writer_return(first);
    return e;
}

static void pg_stop(struct db *db)
{
    struct pool *pool = db->writer;
    while (pool->idle) {
        struct db_conn *conn = pool->idle;
        pool->idle = conn->next;
        db_conn_close(conn);
    }
    pthread_cond_destroy(&pool->returned);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

const struct db_engine_ops db_pg_ops = {.connect = pg_connect,
                                        .disconnect = pg_disconnect,
                                        .run = pg_run,
                                        .script = pg_script,
                                        .write = pg_write,
                                        .start = pg_start,
                                        .stop = pg_stop,
                                        .lock = pg_lock};
