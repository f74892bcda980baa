#include "platform/change.h"

#include <pthread.h>
#include "base/clock.h"
#include "platform/fixture.h"

static bool postgres;

/* What the subscriber heard, in order. */
static struct {
    pthread_mutex_t lock;
    char items[4096][16];
    size_t n, begun;
} heard = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void hear(struct platform *pf, const struct change *list, size_t n, void *arg)
{
    (void)pf;
    (void)arg;
    pthread_mutex_lock(&heard.lock);
    heard.begun += n == 0;
    for (size_t i = 0; i < n && heard.n < COUNT_OF(heard.items); i++)
        snprintf(heard.items[heard.n++], sizeof heard.items[0], STR_FMT, STR_ARG(list[i].key));
    pthread_mutex_unlock(&heard.lock);
}

static size_t heard_n(void)
{
    pthread_mutex_lock(&heard.lock);
    size_t n = heard.n;
    pthread_mutex_unlock(&heard.lock);
    return n;
}

static bool wait_for(size_t n)
{
    for (int64_t until_ms = clock_mono_ms() + 20000; clock_mono_ms() < until_ms; usleep(10000))
        if (heard_n() >= n)
            return true;
    return false;
}

struct addition {
    const char *kind;
    char key[16];
    int64_t until_ms;
    enum err after; /* what the closure ends with */
};

static enum err add(struct db_conn *db, void *arg)
{
    struct addition *a = arg;
    enum err e = change_add(db, a->kind, str_from(a->key), a->until_ms);
    return e == ERR_OK ? a->after : e;
}

static void *add_many(void *arg)
{
    struct fixture *t = arg;
    for (int i = 0; i < 100; i++) {
        struct addition a = {.kind = "config"};
        snprintf(a.key, sizeof a.key, "%08d", i);
        if (db_write(t->pf.db, add, &a) != ERR_OK)
            return NULL;
    }
    return t;
}

/* Denials written before the start are heard at the start when they still count; what is written
 * afterwards by many at once is heard once each; what was rolled back is not heard. */
static void each_change_once(void **state)
{
    enum { WRITERS = 4 };
    struct fixture *t = *state;
    pthread_t writers[WRITERS];
    int64_t now_ms = clock_now_ms();
    struct addition old = {.kind = "deny", .key = "old", .until_ms = now_ms - 1000};
    struct addition counts = {.kind = "deny", .key = "counts", .until_ms = now_ms + 600000};
    struct addition config = {.kind = "config", .key = "before"};
    struct addition undone = {.kind = "config", .key = "undone", .after = ERR_DENIED};
    assert_int_equal(db_write(t->pf.db, add, &old), ERR_OK);
    assert_int_equal(db_write(t->pf.db, add, &counts), ERR_OK);
    assert_int_equal(db_write(t->pf.db, add, &config), ERR_OK);
    change_subscribe(&t->pf, hear, NULL);
    assert_int_equal(change_start(&t->pf), ERR_OK);
    assert_true(wait_for(1));
    assert_int_equal(heard.begun, 1);
    assert_string_equal(heard.items[0], "counts");

    assert_int_equal(db_write(t->pf.db, add, &undone), ERR_DENIED);
    for (int i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_create(&writers[i], NULL, add_many, t), 0);
    for (int i = 0; i < WRITERS; i++) {
        void *ok;
        pthread_join(writers[i], &ok);
        assert_non_null(ok);
    }
    assert_true(wait_for(1 + WRITERS * 100));
    usleep(600 * 1000); /* and not more than that */
    assert_int_equal(heard_n(), 1 + WRITERS * 100);
    int times[100] = {0};
    for (size_t i = 1; i < heard.n; i++) {
        uint64_t at;
        assert_true(str_to_u64(str_from(heard.items[i]), &at));
        times[at]++;
    }
    for (int i = 0; i < 100; i++)
        assert_int_equal(times[i], WRITERS);
    assert_true(clock_mono_ms() - change_confirmed_ms() < 20000);
    change_stop();
}

static int open_platform(void **state)
{
    *state = fixture_open_on(postgres);
    return *state ? 0 : -1;
}

static int close_platform(void **state)
{
    fixture_close(*state);
    return 0;
}

/* One engine a process: the feed belongs to a process, and is started once. */
int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_change_once, open_platform, close_platform),
    };
    postgres = argc > 1 && strcmp(argv[1], "postgres") == 0;
    int failed = cmocka_run_group_tests_name(postgres ? "change, postgres" : "change, sqlite",
                                             tests, NULL, NULL);
    if (!postgres && fixture_has_pg() && failed == 0)
        execl(argv[0], argv[0], "postgres", (char *)NULL);
    return failed;
}
