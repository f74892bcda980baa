/* The database when things go wrong: locked, full, gone, back again, closures that run twice. */
#include "data/db_test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/clock.h"

enum { BOUND_MS = 60000 }; /* generous: these machines are shared */

/* --- locked ----------------------------------------------------------------------------------- */

static void a_locked_database_is_unavailable_not_for_ever(void **state)
{
    (void)state;
    PGconn *pg = NULL;
    sqlite3 *h = NULL;
    make_table();
    if (fix.pg) {
        pg = pg_beside();
        pg_do(pg, "BEGIN");
        pg_do(pg, "LOCK TABLE t IN ACCESS EXCLUSIVE MODE");
    } else {
        assert_int_equal(sqlite3_open(fix.url + 7, &h), SQLITE_OK);
        assert_int_equal(sqlite3_exec(h, "BEGIN EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);
    }
    int64_t from_ms = clock_mono_ms();
    assert_int_equal(WRITE("INSERT INTO t(id) VALUES('a')"), ERR_UNAVAILABLE);
    assert_true(clock_mono_ms() - from_ms < BOUND_MS);
    if (fix.pg) {
        assert_int_equal(READ("SELECT id FROM t", ""), ERR_UNAVAILABLE);
        PQfinish(pg);
    } else {
        assert_int_equal(READ("SELECT id FROM t", ""), ERR_NOT_FOUND); /* WAL: reads go on */
        sqlite3_close(h);
    }
    assert_int_equal(WRITE("INSERT INTO t(id) VALUES('a')"), ERR_OK);
    assert_int_equal(read_i64("SELECT count(*) FROM t"), 1);
}

/* --- full ------------------------------------------------------------------------------------- */

struct fill {
    pthread_t thread;
    int64_t bytes;
    enum err got;
    char id[16];
};

static enum err fill_run(struct db_conn *c, void *arg)
{
    struct fill *f = arg;
    if (f->bytes < 0) { /* holds the writer, so that the others share the next commit */
        usleep(300 * 1000);
        return ERR_OK;
    }
    return db_exec(c, "INSERT INTO t(id, b) VALUES($1, zeroblob($2))", "zi", f->id, f->bytes);
}

static void *fill_thread(void *arg)
{
    struct fill *f = arg;
    f->got = db_write(fix.db, fill_run, f);
    return NULL;
}

/* Four that do not fit among twelve that do. */
static void fill_together(struct fill f[17])
{
    for (int i = 0; i <= 16; i++) {
        f[i] = (struct fill){.bytes = i == 0 ? -1 : i % 4 == 1 ? 6000000 : 10};
        snprintf(f[i].id, sizeof f[i].id, "%d", i);
        pthread_create(&f[i].thread, NULL, fill_thread, &f[i]);
        if (i == 0)
            usleep(50 * 1000);
    }
    for (int i = 0; i <= 16; i++)
        pthread_join(f[i].thread, NULL);
}

static bool fits_kept(const struct fill f[17])
{
    for (int i = 1; i <= 16; i++)
        if (f[i].got != (i % 4 == 1 ? ERR_FULL : ERR_OK))
            return false;
    return read_i64("SELECT count(*) FROM t") == 12;
}

static void a_full_database_is_said_and_what_fits_is_kept(void **state)
{
    (void)state;
    struct fill f[17];
    make_table();
    assert_int_equal(WRITE("PRAGMA max_page_count = 100"), ERR_OK);
    fill_together(f);
    assert_true(fits_kept(f));
}

/* A disk that takes no more in the middle of a transaction: the file's size is limited, in a
 * process of its own. */
static int meet_the_limit(void)
{
    struct rlimit limit = {1000 * 1024, 1000 * 1024};
    struct fill f[17];
    signal(SIGXFSZ, SIG_IGN);
    if (db_open(fix.url, &fix.db) != ERR_OK || setrlimit(RLIMIT_FSIZE, &limit) != 0)
        return 1;
    fill_together(f);
    if (!fits_kept(f))
        return 2;
    db_close(fix.db);
    return 0;
}

static void a_full_disk_is_said_and_what_fits_is_kept(void **state)
{
    (void)state;
    int status = -1;
    make_table();
    db_close(fix.db);
    pid_t pid = fork();
    if (pid == 0)
        _exit(meet_the_limit());
    waitpid(pid, &status, 0);
    assert_int_equal(db_open(fix.url, &fix.db), ERR_OK);
    assert_int_equal(WIFEXITED(status) ? WEXITSTATUS(status) : status, 0);
    assert_int_equal(read_i64("SELECT count(*) FROM t"), 12);
}

/* --- SQLite's file ---------------------------------------------------------------------------- */

static void move(const char *from, const char *to)
{
    static const char *const parts[] = {"", "-wal", "-shm"};
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        char a[128], b[128];
        snprintf(a, sizeof a, "%s/%s%s", fix.dir, from, parts[i]);
        snprintf(b, sizeof b, "%s/%s%s", fix.dir, to, parts[i]);
        rename(a, b);
    }
}

static void a_file_that_is_gone_takes_no_writes_and_comes_back(void **state)
{
    (void)state;
    struct stat st;
    char path[128];
    snprintf(path, sizeof path, "%s/t.db", fix.dir);
    make_table();
    assert_int_equal(WRITE("INSERT INTO t(id) VALUES('a')"), ERR_OK);
    assert_int_equal(read_i64("SELECT count(*) FROM t"), 1);
    move("t.db", "away.db");
    assert_int_equal(WRITE("INSERT INTO t(id) VALUES('b')"), ERR_UNAVAILABLE);
    assert_int_equal(READ("SELECT id FROM t", ""), ERR_UNAVAILABLE);
    assert_int_not_equal(stat(path, &st), 0); /* no empty one in its place */
    move("away.db", "t.db");
    assert_int_equal(WRITE("INSERT INTO t(id) VALUES('c')"), ERR_OK);
    assert_int_equal(read_i64("SELECT count(*) FROM t"), 2);
}

static void a_file_that_is_replaced_is_opened_anew(void **state)
{
    (void)state;
    char copy[128];
    snprintf(copy, sizeof copy, "%s/copy.db", fix.dir);
    make_table();
    assert_int_equal(WRITE("INSERT INTO t(id) VALUES('a')"), ERR_OK);
    assert_int_equal(db_backup_file(fix.db, copy), ERR_OK);
    assert_int_equal(WRITE("INSERT INTO t(id) VALUES('b')"), ERR_OK);
    assert_int_equal(read_i64("SELECT count(*) FROM t"), 2);
    move("t.db", "old.db");
    move("copy.db", "t.db");
    assert_int_equal(read_i64("SELECT count(*) FROM t"), 1);
    assert_int_equal(WRITE("INSERT INTO t(id) VALUES('c')"), ERR_OK);
    assert_int_equal(read_i64("SELECT count(*) FROM t"), 2);
}

static void a_file_that_is_no_database_is_corrupt(void **state)
{
    (void)state;
    struct db *db = NULL;
    char path[128], url[160];
    snprintf(path, sizeof path, "%s/x.db", fix.dir);
    FILE *f = fopen(path, "w");
    for (int i = 0; i < 1000; i++)
        fputs("this is no database ", f);
    fclose(f);
    snprintf(url, sizeof url, "sqlite:%s", path);
    assert_int_equal(db_open(url, &db), ERR_CORRUPT);
    assert_int_equal(db_open("sqlite:/no/such/folder/x.db", &db), ERR_UNAVAILABLE);
}

/* --- PostgreSQL's connections ----------------------------------------------------------------- */

static void terminate_all(void)
{
    char sql[256];
    snprintf(sql, sizeof sql,
             "SELECT pg_terminate_backend(pid, 20000) FROM pg_stat_activity WHERE application_name "
             "= '%s'",
             fix.schema);
    pg_do_once(sql);
}

static void lost_connections_are_opened_again(void **state)
{
    (void)state;
    make_table();
    for (int i = 0; i < 3; i++) {
        assert_int_equal(WRITE("INSERT INTO t(id) SELECT 'a' || count(*) FROM t"), ERR_OK);
        assert_int_equal(read_i64("SELECT count(*) FROM t"), i + 1);
        terminate_all();
        assert_int_equal(read_i64("SELECT count(*) FROM t"), i + 1); /* nobody notices */
        terminate_all();
    }
}

struct twice {
    int runs, lose; /* the connection is lost in the first `lose` runs */
};

static enum err lose_then_insert(struct db_conn *c, void *arg)
{
    struct twice *t = arg;
    enum err e = db_exec(c, "INSERT INTO t(id) VALUES('x')", "");
    if (e == ERR_OK && t->runs++ < t->lose)
        terminate_all();
    return e == ERR_OK ? db_exec(c, "INSERT INTO t(id) VALUES('y')", "") : e;
}

static void a_closure_whose_connection_is_lost_runs_again(void **state)
{
    (void)state;
    struct twice once = {.lose = 1}, always = {.lose = 1000};
    make_table();
    assert_int_equal(db_write(fix.db, lose_then_insert, &once), ERR_OK);
    assert_int_equal(once.runs, 2);
    assert_int_equal(read_i64("SELECT count(*) FROM t"), 2);
    assert_int_equal(WRITE("DELETE FROM t"), ERR_OK);
    assert_int_equal(db_write(fix.db, lose_then_insert, &always), ERR_UNAVAILABLE);
    assert_true(always.runs < 10);
    assert_int_equal(read_i64("SELECT count(*) FROM t"), 0);
}

static enum err insert_counted(struct db_conn *c, void *arg)
{
    ++*(int *)arg;
    return db_exec(c, "INSERT INTO t(id) VALUES('x')", "");
}

/* The server dies while it commits: whether it did, nobody knows, so nothing runs twice. */
static void a_commit_without_an_answer_is_not_tried_again(void **state)
{
    (void)state;
    int runs = 0;
    make_table();
    pg_do_once(
        "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS "
        "$$BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(20); "
        "RETURN NULL; END$$;"
        "CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION die()");
    assert_int_equal(db_write(fix.db, insert_counted, &runs), ERR_UNAVAILABLE);
    assert_int_equal(runs, 1);
}

/* What the server answers by its codes. */
struct raise {
    const char *state;
    int runs;
};

static enum err raise_run(struct db_conn *c, void *arg)
{
    struct raise *r = arg;
    struct db_result res;
    struct arena a;
    r->runs++;
    arena_init(&a);
    enum err e = db_query_one(c, &a, &res, "SELECT raise($1)", "z", r->state);
    arena_free(&a);
    return e;
}

static void what_the_server_refuses_has_its_name(void **state)
{
    (void)state;
    static const struct {
        const char *state;
        enum err e;
    } cases[] = {
        {"53100", ERR_FULL},        {"53300", ERR_UNAVAILABLE}, {"55P03", ERR_UNAVAILABLE},
        {"57014", ERR_UNAVAILABLE}, {"58030", ERR_IO},          {"XX001", ERR_CORRUPT},
        {"22003", ERR_INVALID},     {"23514", ERR_INVALID},     {"23505", ERR_EXISTS},
        {"42501", ERR_INTERNAL},    {"P0001", ERR_INTERNAL},
    };
    pg_do_once("CREATE FUNCTION raise(code text) RETURNS bigint LANGUAGE plpgsql AS "
               "$$BEGIN RAISE EXCEPTION 'x' USING ERRCODE = code; END$$");
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct raise r = {.state = cases[i].state};
        enum err e = db_write(fix.db, raise_run, &r);
        if (e != cases[i].e)
            fail_msg("%s gave %s", cases[i].state, err_name(e));
        assert_int_equal(r.runs, 1);
    }
    struct raise r = {.state = "40001"}; /* never in order with the others: given up in the end */
    int64_t from_ms = clock_mono_ms();
    assert_int_equal(db_write(fix.db, raise_run, &r), ERR_CONFLICT);
    assert_true(r.runs > 1 && clock_mono_ms() - from_ms < BOUND_MS);
}

/* A server that takes connections and never says a word, and one that is not there. */
static void a_server_that_does_not_answer_is_unavailable(void **state)
{
    (void)state;
    char url[128];
    struct db *db = NULL;
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, n), 0);
    getsockname(fd, (struct sockaddr *)&a, &n);
    snprintf(url, sizeof url, "postgresql://u:p@localhost:%d/x", ntohs(a.sin_port));
    int64_t from_ms = clock_mono_ms();
    assert_int_equal(db_open(url, &db), ERR_UNAVAILABLE);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(db_open(url, &db), ERR_UNAVAILABLE);
    assert_true(clock_mono_ms() - from_ms < BOUND_MS);
    close(fd);
    assert_int_equal(db_open("postgresql://u@no-such-name.invalid/x", &db), ERR_UNAVAILABLE);
    assert_int_equal(db_open("postgresql://u:p@[::1/x", &db), ERR_UNAVAILABLE);
}

static void a_server_that_freezes_is_left(void **state)
{
    (void)state;
    make_table();
    pid_t pid = (pid_t)read_i64("SELECT pg_backend_pid()");
    if (kill(pid, SIGSTOP) != 0)
        return; /* another machine's, or another user's */
    int64_t from_ms = clock_mono_ms();
    enum err frozen = READ("SELECT id FROM t", "");
    int64_t took_ms = clock_mono_ms() - from_ms;
    enum err after = READ("SELECT id FROM t", ""); /* by a new connection */
    kill(pid, SIGCONT);
    assert_int_equal(frozen, ERR_UNAVAILABLE);
    assert_true(took_ms < BOUND_MS);
    assert_int_equal(after, ERR_NOT_FOUND);
}

int main(void)
{
    static const struct db_case cases[] = {
        CASE(a_locked_database_is_unavailable_not_for_ever, BOTH),
        CASE(a_full_database_is_said_and_what_fits_is_kept, SQLITE_ONLY),
        CASE(a_full_disk_is_said_and_what_fits_is_kept, SQLITE_ONLY),
        CASE(a_file_that_is_gone_takes_no_writes_and_comes_back, SQLITE_ONLY),
        CASE(a_file_that_is_replaced_is_opened_anew, SQLITE_ONLY),
        CASE(a_file_that_is_no_database_is_corrupt, SQLITE_ONLY),
        CASE(lost_connections_are_opened_again, PG_ONLY),
        CASE(a_closure_whose_connection_is_lost_runs_again, PG_ONLY),
        CASE(a_commit_without_an_answer_is_not_tried_again, PG_ONLY),
        CASE(what_the_server_refuses_has_its_name, PG_ONLY),
        CASE(a_server_that_does_not_answer_is_unavailable, PG_ONLY),
        CASE(a_server_that_freezes_is_left, PG_ONLY),
    };
    return fix_run("db_fault", cases, COUNT_OF(cases));
}
