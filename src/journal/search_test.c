/* What is searched is found, all of it and nothing else: compared with a walk over every entry,
 * across pages, after a restart, and after the index was lost. */
#include "journal/test_platform.h"

#include "journal/leaf.h"

enum { ENTRIES = 20000, AT_ONCE = 200, KINDS = 3, PARTIES = 7, PURPOSES = 5 };

static const int64_t t0_ms = 1700000000000;

/* Clocks jump: most entries are a second after the one before, some an hour early. */
static int64_t at_of(size_t i)
{
    return t0_ms + (int64_t)i * 1000 - (i % 97 == 0 ? 3600000 : 0);
}

static void leaf_of(struct buf *b, const char *id, size_t i)
{
    char text[32];
    struct journal_entry e;
    snprintf(text, sizeof text, "test.k%zu", i % KINDS);
    journal_entry_start(&e, b, id, at_of(i), text, NULL);
    snprintf(text, sizeof text, "client \"%zu\"", i % PARTIES);
    journal_entry_str(&e, "client", str_from(text));
    journal_entry_field(&e, STR("purpose"), STR("\"no purpose: a field\""));
    snprintf(text, sizeof text, "contract-%zu", i % PARTIES + i % KINDS);
    journal_entry_str(&e, "contract", str_from(text));
    snprintf(text, sizeof text, "but n\xc2\xb0 %zu", i / 64 % PURPOSES);
    journal_entry_str(&e, "purpose", str_from(text));
    if (i == ENTRIES / 3)
        journal_entry_str(&e, "actor", STR("the only one"));
    CHECK_OK(journal_entry_end(&e));
}

static int client_filling(struct proc *self, void *arg)
{
    static struct journal_record r[AT_ONCE];
    static char ids[AT_ONCE][ID_LEN + 1];
    struct arena a;
    struct buf b;
    (void)arg;
    struct journal *j = journal_connect(proc_fd(self, "journal"));
    proc_ready(self);
    arena_init(&a);
    buf_init(&b, JOURNAL_LEAF_MAX);
    for (size_t done = 0; done < ENTRIES; done += AT_ONCE) {
        for (size_t k = 0; k < AT_ONCE; k++) {
            id_new(ids[k]);
            leaf_of(&b, ids[k], done + k);
            r[k] =
                (struct journal_record){.id = str_from(ids[k]), .leaf = arena_dup(&a, buf_str(&b))};
        }
        CHECK_OK(journal_append_many(j, r, AT_ONCE, WAIT_MS, NULL));
        if (done % 4000 == 0)
            usleep(150 * 1000); /* several publications */
        arena_reset(&a);
    }
    journal_close(j);
    buf_free(&b);
    arena_free(&a);
    return stop_all();
}

static int client_that_waits(struct proc *self, void *arg)
{
    (void)arg;
    struct journal *j = journal_connect(proc_fd(self, "journal"));
    proc_ready(self);
    CHECK_OK(journal_ping(j, WAIT_MS));
    journal_close(j);
    return stop_all();
}

/* ---- comparing --------------------------------------------------------------------------------
 */
struct wanted {
    int party, contract, purpose, kind; /* -1: any */
    int64_t from_ms, to_ms;
};

static bool is_wanted(const struct wanted *w, size_t i)
{
    return (w->party < 0 || i % PARTIES == (size_t)w->party) &&
           (w->contract < 0 || i % PARTIES + i % KINDS == (size_t)w->contract) &&
           (w->purpose < 0 || i / 64 % PURPOSES == (size_t)w->purpose) &&
           (w->kind < 0 || i % KINDS == (size_t)w->kind) &&
           (!w->from_ms || at_of(i) >= w->from_ms) && (!w->to_ms || at_of(i) < w->to_ms);
}

static struct journal_search question(struct arena *a, const struct wanted *w)
{
    struct journal_search q = {.from_ms = w->from_ms, .to_ms = w->to_ms, .limit = 333};
    if (w->party >= 0)
        q.party = arena_printf(a, "client \"%d\"", w->party);
    if (w->contract >= 0)
        q.party = arena_printf(a, "contract-%d", w->contract);
    if (w->purpose >= 0)
        q.purpose = arena_printf(a, "but n\xc2\xb0 %d", w->purpose);
    if (w->kind >= 0)
        q.kind = arena_printf(a, "test.k%d", w->kind);
    return q;
}

static void compare(struct journal_reader *r, const struct wanted *w)
{
    struct arena a;
    struct journal_finds f;
    struct journal_at next;
    size_t i = ENTRIES;
    arena_init(&a);
    struct journal_search q = question(&a, w);
    do {
        assert_ok(journal_search(r, &q, &a, &f));
        for (size_t k = 0; k < f.n; k++) {
            do
                assert_true(i-- > 0);
            while (!is_wanted(w, i));
            assert_int_equal(f.list[k].at.index, i);
            assert_int_equal(f.list[k].at_ms, at_of(i));
        }
        next = f.next;
        q.before = &next;
    } while (f.more);
    while (i-- > 0)
        assert_false(is_wanted(w, i));
    arena_free(&a);
}

static void compare_all(void)
{
    const int64_t mid = t0_ms + ENTRIES / 2 * 1000;
    const struct wanted wanted[] = {
        {3, -1, -1, -1, 0, 0},
        {-1, 4, -1, -1, 0, 0},
        {-1, -1, 2, -1, 0, 0},
        {-1, -1, -1, 1, 0, 0},
        {1, -1, 4, 2, 0, 0},
        {-1, 99, -1, -1, 0, 0},
        {-1, 0, -1, 2, 0, 0},
        {-1, -1, -1, -1, mid, mid + 60000},
        {-1, -1, -1, -1, 1, t0_ms},
        {5, -1, -1, -1, mid, mid + 600000},
        {5, -1, 0, -1, 0, mid - 7200000},
        {-1, -1, -1, -1, mid + ENTRIES * 1000, 0},
        {-1, -1, -1, -1, 0, 0},
    };
    struct journal_reader *r;
    assert_ok(journal_reader_open(data, &r));
    for (size_t i = 0; i < COUNT_OF(wanted); i++)
        compare(r, &wanted[i]);
    struct journal_finds f;
    struct journal_search q = {.party = STR("the only one"), .limit = 10};
    assert_ok(journal_search(r, &q, &arena, &f));
    assert_int_equal(f.n, 1);
    assert_int_equal(f.list[0].at.index, ENTRIES / 3);
    assert_false(f.more);
    q.party = STR("no purpose: a field");
    assert_ok(journal_search(r, &q, &arena, &f));
    assert_int_equal(f.n, 0);
    journal_reader_close(r);
}

static void what_is_searched_is_found(void **state)
{
    (void)state;
    run_platform(client_filling, 1);
    compare_all();
    run_platform(client_that_waits, 1); /* started again: the same */
    compare_all();
    const char *find = arena_printf(&arena, "%s/find", data).p;
    remove_all(find);
    run_platform(client_that_waits, 1); /* made again, out of the entries */
    compare_all();
}

static void an_empty_journal_holds_nothing(void **state)
{
    struct journal_reader *r;
    struct journal_finds f;
    struct journal_search q = {.kind = STR("test.k0"), .limit = 10};
    (void)state;
    assert_ok(journal_reader_open(data, &r));
    assert_ok(journal_search(r, &q, &arena, &f));
    assert_true(f.n == 0 && !f.more);
    q.limit = 100000;
    assert_string_equal(err_name(journal_search(r, &q, &arena, &f)), "limit");
    journal_reader_close(r);
}

int main(void)
{
#define UNIT(f) cmocka_unit_test_setup_teardown(f, start, end)
    const struct CMUnitTest tests[] = {
        UNIT(an_empty_journal_holds_nothing),
        UNIT(what_is_searched_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
