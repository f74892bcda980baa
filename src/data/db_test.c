/* The database, one suite for both engines: what is written is read, what breaks a rule is refused,
 * closures are whole or nothing, migrations happen once. Faults are in db_fault_test.c. */
#include "data/db_test.h"

#include <pthread.h>
#include <sys/wait.h>

#include "sys/file.h"
#include "sys/sandbox.h"

enum { THREADS = 16 };

/* --- values ----------------------------------------------------------------------------------- */

struct row {
    struct str id, s, b;
    int64_t n;
};

static enum err row_insert(struct db_conn *c, void *row)
{
    const struct row *r = row;
    return db_exec(c, "INSERT INTO t(id, n, s, b) VALUES($1, $2, $3, $4)", "sisb", r->id, r->n,
                   r->s, r->b);
}

static void values_come_back_as_they_went(void **state)
{
    (void)state;
    const struct row rows[] = {
        {STR("low"), STR(""), STR(""), INT64_MIN},
        {STR("high"), STR("L'Haÿ-les-Roses 😀 \"'\\%_"), STR("\0\x01\xff'\\x\0"), INT64_MAX},
        {STR("zero"), STR("\\x41"), STR("\\x41"), 0},
        {STR(""), STR(" "), STR("a"), -1},
    };
    make_table();
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct row r = rows[i];
        assert_int_equal(db_write(fix.db, row_insert, &r), ERR_OK);
        assert_int_equal(READ("SELECT n, s, b, id FROM t WHERE id = $1", "s", r.id), ERR_OK);
        assert_int_equal(fix.r.n_cols, 4);
        assert_true(db_i64(&fix.r, 0, 0) == r.n);
        assert_true(fix.r.v[0].is_int && !fix.r.v[0].is_null && !fix.r.v[1].is_int);
        assert_true(str_eq(db_str(&fix.r, 0, 1), r.s));
        assert_true(str_eq(db_str(&fix.r, 0, 2), r.b));
        assert_false(db_null(&fix.r, 0, 1) || db_null(&fix.r, 0, 2)); /* empty is not NULL */
        assert_int_equal(strlen(db_z(&fix.r, 0, 1)), r.s.n);          /* NUL-terminated */
        assert_true(str_eq(db_str(&fix.r, 0, 3), r.id));
    }
    assert_int_equal(READ("SELECT n FROM t WHERE n = $1 AND b = $2", "ib", INT64_MAX, rows[1].b),
                     ERR_OK);
    assert_true(str_eq_z(db_str(&fix.r, 0, 0), "9223372036854775807")); /* a number is text too */
}

static void null_is_null(void **state)
{
    (void)state;
    struct row r = {.id = STR("x")};
    make_table();
    assert_int_equal(db_write(fix.db, row_insert, &r), ERR_OK);
    assert_int_equal(WRITE("UPDATE t SET n = NULL"), ERR_OK);
    assert_int_equal(READ("SELECT n, s, b FROM t WHERE s IS NULL AND b IS NULL", ""), ERR_OK);
    for (size_t i = 0; i < 3; i++) {
        assert_true(db_null(&fix.r, 0, i));
        assert_int_equal(db_str(&fix.r, 0, i).n, 0);
        assert_string_equal(db_z(&fix.r, 0, i), "");
        assert_true(db_i64(&fix.r, 0, i) == 0);
    }
    /* a parameter that may be absent, the usual way to write a filter */
    static const char sql[] = "SELECT id FROM t WHERE ($1 IS NULL OR id = $1)";
    assert_int_equal(READ(sql, "z", (const char *)NULL), ERR_OK);
    assert_int_equal(READ(sql, "z", "x"), ERR_OK);
    assert_int_equal(READ(sql, "z", "y"), ERR_NOT_FOUND);
}

static enum err null_number_insert(struct db_conn *c, void *arg)
{
    (void)arg;
    return db_exec(c, "INSERT INTO t(id, n) VALUES($1, $2)", "zz", "x", (const char *)NULL);
}

static void a_number_can_be_given_as_no_text(void **state)
{
    (void)state;
    make_table();
    assert_int_equal(db_write(fix.db, null_number_insert, NULL), ERR_OK);
    assert_int_equal(read_i64("SELECT count(*) FROM t WHERE n IS NULL"), 1);
}

static void sums_and_counts_are_numbers(void **state)
{
    (void)state;
    make_table();
    assert_int_equal(WRITE("INSERT INTO t(id, n) VALUES('a', 4000000000), ('b', 5000000000)"),
                     ERR_OK);
    assert_true(read_i64("SELECT sum(n) FROM t") == 9000000000);
    assert_int_equal(read_i64("SELECT count(*) FROM t"), 2);
    assert_true(read_i64("SELECT max(n) FROM t") == 5000000000);
    assert_int_equal(read_i64("SELECT coalesce(max(n), 7) FROM t WHERE id = 'c'"), 7);
    assert_int_equal(READ("SELECT max(n) FROM t WHERE id = 'c'", ""), ERR_OK);
    assert_true(db_null(&fix.r, 0, 0));
}

static void large_values_fit(void **state)
{
    (void)state;
    size_t n = 20 * 1000 * 1000;
    char *p = malloc(n);
    for (size_t i = 0; i < n; i++)
        p[i] = (char)(i * 31 >> 3);
    struct row r = {.id = STR("big"), .b = str_of(p, n)};
    make_table();
    assert_int_equal(db_write(fix.db, row_insert, &r), ERR_OK);
    assert_int_equal(READ("SELECT b FROM t WHERE id = 'big'", ""), ERR_OK);
    assert_true(str_eq(db_str(&fix.r, 0, 0), r.b));
    free(p);
}

static void text_that_is_none_is_refused(void **state)
{
    (void)state;
    static const struct str bad[] = {{"a\0b", 3}, {"\xff", 1}, {"\xed\xa0\x80", 3}, {"\xc3", 1}};
    make_table();
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct row r = {.id = STR("x"), .s = bad[i]};
        assert_int_equal(db_write(fix.db, row_insert, &r), ERR_INVALID);
        assert_int_equal(READ("SELECT id FROM t WHERE s = $1", "s", bad[i]), ERR_INVALID);
    }
    assert_int_equal(read_i64("SELECT count(*) FROM t"), 0);
}

/* --- rules ------------------------------------------------------------------------------------ */

static void what_breaks_a_rule_is_refused_by_name(void **state)
{
    (void)state;
    make_table();
    assert_int_equal(WRITE("INSERT INTO t(id) VALUES('a'), ('b')",
                           "INSERT INTO child(t_id, x) VALUES('a', '1')"),
                     ERR_OK);
    assert_int_equal(WRITE("INSERT INTO t(id) VALUES('a')"), ERR_EXISTS);
    assert_int_equal(WRITE("UPDATE t SET id = 'a' WHERE id = 'b'"), ERR_EXISTS);
    assert_int_equal(WRITE("INSERT INTO child(t_id, x) VALUES('b', '1')"), ERR_EXISTS);
    assert_int_equal(WRITE("INSERT INTO child(t_id, x) VALUES(NULL, '2')"), ERR_INVALID);
    assert_int_equal(WRITE("INSERT INTO child(t_id, x) VALUES('none', '3')"), ERR_INVALID);
    assert_int_equal(WRITE("DELETE FROM t WHERE id = 'a'"), ERR_INVALID);
    assert_int_equal(WRITE("INSERT INTO counter(id, n) VALUES(1, -1)"), ERR_INVALID);
    assert_int_equal(read_i64("SELECT count(*) FROM child"), 1);
}

static void conflicts_can_be_settled_in_sql(void **state)
{
    (void)state;
    static const char sql[] = "INSERT INTO t(id, n) VALUES('a', 1) "
                              "ON CONFLICT(id) DO UPDATE SET n = t.n + excluded.n";
    make_table();
    assert_int_equal(WRITE(sql, sql, sql), ERR_OK);
    assert_int_equal(read_i64("SELECT n FROM t"), 3);
    assert_int_equal(WRITE("INSERT INTO t(id) VALUES('a') ON CONFLICT DO NOTHING"), ERR_OK);
}

struct counts {
    int64_t updated, none, deleted, returned;
    char id[8];
};

static enum err count_changes(struct db_conn *c, void *arg)
{
    struct counts *n = arg;
    struct db_result r;
    struct arena a;
    arena_init(&a);
    enum err e =
        db_exec_count(c, &n->updated, "UPDATE t SET n = n + 1 WHERE n < $1", "i", (int64_t)3);
    if (e == ERR_OK)
        e = db_exec_count(c, &n->none, "UPDATE t SET n = 0 WHERE id = 'none'", "");
    if (e == ERR_OK)
        e = db_query_one(c, &a, &r, "INSERT INTO t(id, n) VALUES($1, $2) RETURNING n, id", "zi",
                         "new", (int64_t)9);
    if (e == ERR_OK) {
        n->returned = db_i64(&r, 0, 0);
        snprintf(n->id, sizeof n->id, "%s", db_z(&r, 0, 1));
        e = db_exec_count(c, &n->deleted, "DELETE FROM t", "");
    }
    arena_free(&a);
    return e;
}

static void changes_are_counted_and_returned(void **state)
{
    (void)state;
    struct counts n = {0};
    make_table();
    assert_int_equal(WRITE("INSERT INTO t(id, n) VALUES('a', 1), ('b', 2), ('c', 3)"), ERR_OK);
    assert_int_equal(db_write(fix.db, count_changes, &n), ERR_OK);
    assert_true(n.updated == 2 && n.none == 0 && n.deleted == 4 && n.returned == 9);
    assert_string_equal(n.id, "new");
}

static void wrong_sql_is_a_fault_of_ours_and_values_stay_out_of_the_log(void **state)
{
    (void)state;
    char log[4096];
    int pipe_fds[2], err = dup(2);
    make_table();
    assert_int_equal(pipe(pipe_fds), 0);
    dup2(pipe_fds[1], 2);
    log_set_level(LOG_ERROR);
    enum err parse = READ("SELEC id FROM t WHERE id = $1", "z", "canary");
    enum err column = READ("SELECT nothing FROM t WHERE id = $1", "z", "canary");
    enum err few = READ("SELECT id FROM t WHERE id = $1 AND s = $2", "z", "canary");
    enum err many = READ("SELECT id FROM t WHERE id = $1", "zz", "canary", "canary");
    enum err good = READ("SELECT count(*) FROM t WHERE id = $1", "z", "canary");
    log_set_level(LOG_ERROR + 1);
    dup2(err, 2);
    close(err);
    close(pipe_fds[1]);
    ssize_t n = read(pipe_fds[0], log, sizeof log - 1);
    close(pipe_fds[0]);
    log[n > 0 ? n : 0] = '\0';
    assert_int_equal(parse, ERR_INTERNAL);
    assert_int_equal(column, ERR_INTERNAL);
    assert_int_equal(few, ERR_INTERNAL);
    assert_int_equal(many, ERR_INTERNAL);
    assert_int_equal(good, ERR_OK); /* the connection is none the worse */
    assert_non_null(strstr(log, "SELEC id FROM t"));
    assert_null(strstr(log, "canary"));
}

static void a_reading_connection_does_not_write(void **state)
{
    (void)state;
    make_table();
    assert_int_not_equal(db_exec(db_read(fix.db), "INSERT INTO t(id) VALUES('a')", ""), ERR_OK);
    assert_int_equal(read_i64("SELECT count(*) FROM t"), 0);
}

/* --- many rows -------------------------------------------------------------------------------- */

static enum err many_insert(struct db_conn *c, void *arg)
{
    const size_t *n = arg;
    enum err e = ERR_OK;
    for (size_t i = 0; i < *n && e == ERR_OK; i++) {
        char id[24];
        snprintf(id, sizeof id, "%06zu", i);
        e = db_exec(c, "INSERT INTO t(id, n) VALUES($1, $2)", "zi", id, (int64_t)i);
    }
    return e;
}

static enum err too_many_in_closure(struct db_conn *c, void *arg)
{
    struct arena a;
    struct db_result r;
    arena_init(&a);
    *(enum err *)arg = db_query(c, &a, &r, "SELECT id FROM t", "");
    arena_free(&a);
    return db_exec(c, "DELETE FROM t WHERE n = 0", ""); /* the transaction lives on */
}

static void results_have_a_ceiling(void **state)
{
    (void)state;
    size_t n = DB_MAX_ROWS + 1;
    enum err inside;
    make_table();
    assert_int_equal(db_write(fix.db, many_insert, &n), ERR_OK);
    struct db_conn *c = db_read(fix.db);
    assert_int_equal(db_query(c, &fix.a, &fix.r, "SELECT id FROM t", ""), ERR_LIMIT);
    /* far beyond it, too: the rest is not waited for */
    assert_int_equal(db_query(c, &fix.a, &fix.r, "SELECT a.id FROM t a, t b", ""), ERR_LIMIT);
    assert_int_equal(READ("SELECT a.id FROM t a, t b ORDER BY a.id", ""), ERR_OK);
    assert_int_equal(db_write(fix.db, too_many_in_closure, &inside), ERR_OK);
    assert_int_equal(inside, ERR_LIMIT);
    assert_int_equal(db_query(c, &fix.a, &fix.r, "SELECT id, n FROM t ORDER BY id", ""), ERR_OK);
    assert_int_equal(fix.r.n_rows, DB_MAX_ROWS);
    for (size_t i = 0; i < fix.r.n_rows; i++)
        assert_int_equal(db_i64(&fix.r, i, 1), i + 1);
}

struct walk {
    size_t n, stop_at;
    int64_t sum, nested;
};

static int count_row(void *arg, const struct db_value *row, size_t n_cols)
{
    struct walk *w = arg;
    w->sum += n_cols == 1 ? row[0].i : 0;
    return ++w->n == w->stop_at;
}

static int nested_row(void *arg, const struct db_value *row, size_t n_cols)
{
    struct walk *w = arg, inner = {0};
    (void)n_cols;
    enum err e = READ("SELECT n + 1 FROM t WHERE n = $1", "i", row[0].i);
    if (e == ERR_OK) /* the statement that is under way, once more */
        e = db_each(db_read(fix.db), count_row, &inner, "SELECT n FROM t WHERE n >= $1 ORDER BY n",
                    "i", row[0].i);
    w->nested += e == ERR_OK && db_i64(&fix.r, 0, 0) == row[0].i + 1 ? (int64_t)inner.n : -1000000;
    return ++w->n == w->stop_at;
}

static enum err each_in_closure(struct db_conn *c, void *arg)
{
    struct walk *w = arg;
    *w = (struct walk){0};
    enum err e = db_exec(c, "INSERT INTO t(id, n) VALUES('x', 100000)", "");
    return e == ERR_OK ? db_each(c, count_row, w, "SELECT n FROM t", "") : e;
}

static void rows_can_be_walked_one_by_one(void **state)
{
    (void)state;
    size_t n = 3000;
    static const char sql[] = "SELECT n FROM t WHERE n >= $1 ORDER BY n";
    struct db_conn *c = db_read(fix.db);
    make_table();
    assert_int_equal(db_write(fix.db, many_insert, &n), ERR_OK);
    struct walk all = {0}, some = {.stop_at = 10}, nested = {0}, none = {0};
    assert_int_equal(db_each(c, count_row, &all, sql, "i", (int64_t)0), ERR_OK);
    assert_true(all.n == n && all.sum == (int64_t)(n * (n - 1) / 2));
    assert_int_equal(db_each(c, count_row, &some, sql, "i", (int64_t)5), ERR_OK);
    assert_true(some.n == 10 && some.sum == 95);
    assert_int_equal(db_each(c, nested_row, &nested, sql, "i", (int64_t)2990), ERR_OK);
    assert_true(nested.n == 10 && nested.nested == 55);
    assert_int_equal(db_each(c, count_row, &none, sql, "i", (int64_t)90000), ERR_OK);
    assert_int_equal(none.n, 0);
    assert_int_equal(db_each(c, count_row, &none, "SELECT x FROM none", ""), ERR_INTERNAL);
    assert_int_equal(db_write(fix.db, each_in_closure, &all), ERR_OK);
    assert_int_equal(all.n, n + 1);
    assert_int_equal(read_i64("SELECT count(*) FROM t"), n + 1);
}

static void one_row_wanted(void **state)
{
    (void)state;
    make_table();
    assert_int_equal(READ("SELECT id FROM t", ""), ERR_NOT_FOUND);
    assert_int_equal(WRITE("INSERT INTO t(id) VALUES('b'), ('a'), ('c')"), ERR_OK);
    assert_int_equal(READ("SELECT id FROM t ORDER BY id", ""), ERR_OK);
    assert_string_equal(db_z(&fix.r, 0, 0), "a");
    assert_int_equal(fix.r.n_rows, 1);
    assert_int_equal(
        db_query(db_read(fix.db), &fix.a, &fix.r, "SELECT id FROM t WHERE id = 'z'", ""), ERR_OK);
    assert_int_equal(fix.r.n_rows, 0);
}

/* --- closures --------------------------------------------------------------------------------- */

static enum err goes_on_after_an_error(struct db_conn *c, void *arg)
{
    int *seen = arg;
    *seen = 0;
    enum err e = db_exec(c, "INSERT INTO t(id) VALUES('new')", "");
    *seen += e == ERR_OK;
    e = db_exec(c, "INSERT INTO t(id) VALUES('a')", "");
    *seen += e == ERR_EXISTS;
    e = db_exec(c, "INSERT INTO t(id) VALUES('b')", ""); /* refused: the first error stands */
    *seen += e == ERR_EXISTS;
    return ERR_OK;
}

static void a_closures_first_error_is_its_result(void **state)
{
    (void)state;
    int seen;
    make_table();
    assert_int_equal(WRITE("INSERT INTO t(id) VALUES('a')"), ERR_OK);
    assert_int_equal(db_write(fix.db, goes_on_after_an_error, &seen), ERR_EXISTS);
    assert_int_equal(seen, 3);
    assert_int_equal(read_i64("SELECT count(*) FROM t"), 1);
}

struct worker {
    pthread_t thread;
    int number, rounds, good, bad;
};

struct insert {
    char id[32];
    bool fails;
};

static enum err insert_run(struct db_conn *c, void *arg)
{
    const struct insert *i = arg;
    enum err e = db_exec(c, "INSERT INTO t(id, n) VALUES($1, 1)", "z", i->id);
    return e == ERR_OK && i->fails ? ERR_DENIED : e;
}

/* Every third closure fails after it wrote. */
static void *write_many(void *arg)
{
    struct worker *w = arg;
    for (int i = 0; i < w->rounds; i++) {
        struct insert in = {.fails = i % 3 == 2};
        snprintf(in.id, sizeof in.id, "%02d-%05d", w->number, i);
        enum err e = db_write(fix.db, insert_run, &in);
        w->good += e == ERR_OK;
        w->bad += e == ERR_DENIED;
        if (e == ERR_OK) { /* read by the same thread at once */
            struct arena a;
            struct db_result r;
            arena_init(&a);
            struct db_conn *c = db_read(fix.db);
            if (!c ||
                db_query_one(c, &a, &r, "SELECT id FROM t WHERE id = $1", "z", in.id) != ERR_OK)
                w->good -= 1000000;
            arena_free(&a);
        }
    }
    return NULL;
}

static void run_workers(struct worker *w, int rounds, void *(*fn)(void *))
{
    for (int i = 0; i < THREADS; i++) {
        w[i] = (struct worker){.number = i, .rounds = rounds};
        assert_int_equal(pthread_create(&w[i].thread, NULL, fn, &w[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(w[i].thread, NULL);
}

static void each_closure_is_whole_or_nothing_whoever_shares_its_commit(void **state)
{
    (void)state;
    struct worker w[THREADS];
    int good = 0, bad = 0;
    make_table();
    run_workers(w, 60, write_many);
    for (int i = 0; i < THREADS; i++) {
        good += w[i].good;
        bad += w[i].bad;
    }
    assert_int_equal(good, THREADS * 40);
    assert_int_equal(bad, THREADS * 20);
    assert_int_equal(read_i64("SELECT count(*) FROM t"), THREADS * 40);
    assert_int_equal(read_i64("SELECT count(*) FROM t WHERE id LIKE '%5'"), THREADS * 4);
}

/* Reads, then writes what it read plus one: right only when closures are in some order. */
static enum err add_one(struct db_conn *c, void *arg)
{
    struct arena a;
    struct db_result r;
    int64_t *got = arg;
    arena_init(&a);
    enum err e = db_query_one(c, &a, &r, "SELECT n FROM counter WHERE id = 1", "");
    *got = e == ERR_OK ? db_i64(&r, 0, 0) + 1 : 0;
    arena_free(&a);
    return e == ERR_OK ? db_exec(c, "UPDATE counter SET n = $1 WHERE id = 1", "i", *got) : e;
}

static void *count_up(void *arg)
{
    struct worker *w = arg;
    for (int i = 0; i < w->rounds; i++) {
        int64_t got;
        enum err e = db_write(fix.db, add_one, &got);
        w->good += e == ERR_OK;
        w->bad += e != ERR_OK && e != ERR_CONFLICT;
    }
    return NULL;
}

static void closures_happen_one_after_the_other(void **state)
{
    (void)state;
    struct worker w[THREADS];
    int good = 0;
    make_table();
    assert_int_equal(WRITE("INSERT INTO counter(id, n) VALUES(1, 0)"), ERR_OK);
    run_workers(w, 20, count_up);
    for (int i = 0; i < THREADS; i++) {
        good += w[i].good;
        assert_int_equal(w[i].bad, 0);
    }
    assert_true(good > 0);
    assert_int_equal(read_i64("SELECT n FROM counter"), good);
}

/* --- migrations ------------------------------------------------------------------------------- */

static const struct db_migration steps[] = {
    {"m", 1,
     "CREATE TABLE a(id TEXT PRIMARY KEY, blob_n BIGINT, x BLOB); INSERT INTO a VALUES('1', 2, "
     "NULL);"},
    {"m", 2, "ALTER TABLE a ADD COLUMN y TEXT NOT NULL DEFAULT 'BLOBs'; CREATE INDEX a_y ON a(y);"},
    {"m", 3, "CREATE TABLE b(id BIGINT PRIMARY KEY); -- the last\n"},
};

static void migrations_happen_once_in_order(void **state)
{
    (void)state;
    int applied;
    assert_int_equal(db_migrate(fix.db, steps, 2, &applied), ERR_OK);
    assert_int_equal(applied, 2);
    assert_int_equal(db_migrate(fix.db, steps, 2, &applied), ERR_OK);
    assert_int_equal(applied, 0);
    assert_int_equal(db_migrate(fix.db, steps, 3, &applied), ERR_OK);
    assert_int_equal(applied, 1);
    assert_int_equal(read_i64("SELECT blob_n FROM a WHERE y = 'BLOBs'"), 2);
    assert_int_equal(read_i64("SELECT count(*) FROM b"), 0);
    assert_int_equal(db_migrate(fix.db, NULL, 0, NULL), ERR_OK);
    make_table(); /* another module */
}

static void a_database_of_a_newer_program_is_left_alone(void **state)
{
    (void)state;
    assert_int_equal(db_migrate(fix.db, steps, 3, NULL), ERR_OK);
    assert_int_equal(db_migrate(fix.db, steps, 2, NULL), ERR_CONFLICT);
}

/* Parts that are written at the same time have ranges of numbers of their own. */
static void a_gap_is_filled_later(void **state)
{
    (void)state;
    int applied;
    const struct db_migration gap[] = {steps[0], steps[2]}, falls[] = {steps[1], steps[0]};
    assert_int_equal(db_migrate(fix.db, falls, 2, NULL), ERR_INVALID);
    assert_int_equal(db_migrate(fix.db, gap, 2, &applied), ERR_OK);
    assert_int_equal(applied, 2);
    assert_int_equal(db_migrate(fix.db, steps, 3, &applied), ERR_OK);
    assert_int_equal(applied, 1);
    assert_int_equal(db_migrate(fix.db, gap, 2, NULL), ERR_CONFLICT); /* one it does not know */
}

static void a_migration_that_fails_leaves_nothing(void **state)
{
    (void)state;
    const struct db_migration bad[] = {
        steps[0],
        {"m", 2, "CREATE TABLE half(x TEXT); INSERT INTO half VALUES('x'); CREATE TABL c"}};
    int applied;
    assert_int_equal(db_migrate(fix.db, bad, 2, &applied), ERR_INTERNAL);
    assert_int_equal(applied, 1);
    assert_int_equal(READ("SELECT x FROM half", ""), ERR_INTERNAL); /* no such table */
    assert_int_equal(db_migrate(fix.db, steps, 3, &applied), ERR_OK);
    assert_int_equal(applied, 2);
}

static void *migrate_beside(void *arg)
{
    struct worker *w = arg;
    struct db *mine;
    int applied = 0;
    if (db_open(fix.url, &mine) != ERR_OK)
        return NULL;
    w->bad = db_migrate(mine, steps, 3, &applied) != ERR_OK;
    w->good = applied;
    db_close(mine);
    return NULL;
}

static void nodes_that_start_together_take_turns(void **state)
{
    (void)state;
    struct worker w[THREADS];
    int applied = 0;
    run_workers(w, 1, migrate_beside);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(w[i].bad, 0);
        applied += w[i].good;
    }
    assert_int_equal(applied, 3);
}

/* --- in the sandbox, and copies --------------------------------------------------------------- */

static int use_in_sandbox(void)
{
    const char *read_paths[] = {"/etc/hosts", "/etc/resolv.conf", "/proc/self", NULL};
    const char *write_paths[] = {fix.dir, NULL};
    const struct sandbox s = {SANDBOX_NET | SANDBOX_FILES | SANDBOX_THREADS, read_paths,
                              write_paths};
    size_t n = 5000;
    if (sandbox_enter(&s) != ERR_OK || db_open(fix.url, &fix.db) != ERR_OK)
        return 1;
    make_table();
    if (db_write(fix.db, many_insert, &n) != ERR_OK)
        return 2;
    /* a sort that spills */
    if (fix.pg ? false : READ("PRAGMA cache_size = 10", "") != ERR_NOT_FOUND)
        return 3;
    if (READ("SELECT a.id FROM t a, t b WHERE b.n < 100 ORDER BY a.id || b.id", "") != ERR_OK)
        return 4;
    db_close(fix.db);
    return 0;
}

static void it_works_in_the_sandbox(void **state)
{
    (void)state;
    int status = -1;
    db_close(fix.db); /* a process of its own, with connections of its own */
    pid_t pid = fork();
    if (pid == 0)
        _exit(use_in_sandbox());
    waitpid(pid, &status, 0);
    assert_int_equal(db_open(fix.url, &fix.db), ERR_OK);
    assert_int_equal(status, 0);
    assert_int_equal(read_i64("SELECT count(*) FROM t"), 5000);
}

static volatile bool writing;

static void *write_on(void *arg)
{
    struct worker *w = arg;
    for (int i = 0; writing; i++) {
        struct insert in = {.fails = false};
        snprintf(in.id, sizeof in.id, "w%08d", i);
        w->good += db_write(fix.db, insert_run, &in) == ERR_OK;
    }
    return NULL;
}

static void a_copy_is_whole_while_others_write(void **state)
{
    (void)state;
    char path[128], url[160];
    struct worker w = {0};
    struct stat st;
    size_t n = 2000;
    make_table();
    assert_int_equal(db_write(fix.db, many_insert, &n), ERR_OK);
    snprintf(path, sizeof path, "%s/copy.db", fix.dir);
    writing = true;
    pthread_create(&w.thread, NULL, write_on, &w);
    while (read_i64("SELECT count(*) FROM t") < (int64_t)n + 5)
        usleep(1000);
    enum err e = db_backup_file(fix.db, path);
    writing = false;
    pthread_join(w.thread, NULL);
    assert_int_equal(e, fix.pg ? ERR_INVALID : ERR_OK);
    if (fix.pg)
        return;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(db_backup_file(fix.db, path), ERR_EXISTS);
    snprintf(url, sizeof url, "sqlite:%s", path);
    db_close(fix.db);
    assert_int_equal(db_open(url, &fix.db), ERR_OK);
    assert_true(read_i64("SELECT count(*) FROM t") >= (int64_t)n + 5);
    assert_int_equal(READ("PRAGMA integrity_check", ""), ERR_OK);
    assert_string_equal(db_z(&fix.r, 0, 0), "ok");
    assert_int_equal(db_backup_file(fix.db, "/no/such/folder/copy.db"), ERR_NOT_FOUND);
}

int main(void)
{
    static const struct db_case cases[] = {
        CASE(values_come_back_as_they_went, BOTH),
        CASE(null_is_null, BOTH),
        CASE(a_number_can_be_given_as_no_text, BOTH),
        CASE(sums_and_counts_are_numbers, BOTH),
        CASE(large_values_fit, BOTH),
        CASE(text_that_is_none_is_refused, BOTH),
        CASE(what_breaks_a_rule_is_refused_by_name, BOTH),
        CASE(conflicts_can_be_settled_in_sql, BOTH),
        CASE(changes_are_counted_and_returned, BOTH),
        CASE(wrong_sql_is_a_fault_of_ours_and_values_stay_out_of_the_log, BOTH),
        CASE(a_reading_connection_does_not_write, BOTH),
        CASE(results_have_a_ceiling, BOTH),
        CASE(rows_can_be_walked_one_by_one, BOTH),
        CASE(one_row_wanted, BOTH),
        CASE(a_closures_first_error_is_its_result, BOTH),
        CASE(each_closure_is_whole_or_nothing_whoever_shares_its_commit, BOTH),
        CASE(closures_happen_one_after_the_other, BOTH),
        CASE(migrations_happen_once_in_order, BOTH),
        CASE(a_database_of_a_newer_program_is_left_alone, BOTH),
        CASE(a_gap_is_filled_later, BOTH),
        CASE(a_migration_that_fails_leaves_nothing, BOTH),
        CASE(nodes_that_start_together_take_turns, BOTH),
        CASE(it_works_in_the_sandbox, BOTH),
        CASE(a_copy_is_whole_while_others_write, BOTH),
    };
    return fix_run("db", cases, COUNT_OF(cases));
}
