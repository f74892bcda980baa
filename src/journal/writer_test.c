/* The journal process as it runs: what it acknowledges is there, once, whatever happens to it. */
#include "journal/test_platform.h"

#include <pthread.h>
#include "journal/tiles.h"
#include "journal/wal.h"

enum { KILLS = 20, THREADS = 3, LANE_CALLS = 64, KILL_EVERY_MS = 120 };

/* ---- one entry --------------------------------------------------------------------------------
 */
static int client_one(struct proc *self, void *arg)
{
    char id[ID_LEN + 1], second[ID_LEN + 1];
    uint64_t index = 99;
    struct buf b;
    (void)arg;
    struct journal *j = journal_connect(proc_fd(self, "journal"));
    proc_ready(self);
    buf_init(&b, JOURNAL_LEAF_MAX);
    id_new(id);
    leaf_make(&b, id, 5, "test.one");
    struct journal_record r = {.id = str_from(id), .leaf = buf_str(&b)};
    CHECK_OK(journal_append(j, &r, WAIT_MS, &index));
    CHECK(index == 0);
    CHECK_OK(journal_append(j, &r, WAIT_MS, &index));
    CHECK(index == 0);
    id_new(second);
    r.id = str_from(second);
    CHECK(journal_append(j, &r, WAIT_MS, NULL) == ERR_INVALID);
    leaf_make(&b, second, 6, "test.two");
    r.leaf = buf_str(&b);
    CHECK_OK(journal_append(j, &r, WAIT_MS, &index));
    CHECK(index == 1);
    usleep(400 * 1000); /* in files by now, and forgotten by the process */
    append_n(j, 3, NULL);
    usleep(400 * 1000);
    append_n(j, 3, NULL);
    CHECK_OK(journal_append(j, &r, WAIT_MS, &index));
    CHECK(index == 1);
    journal_close(j);
    buf_free(&b);
    return stop_all();
}

static void an_entry_gets_its_index_once(void **state)
{
    (void)state;
    run_platform(client_one, 1);
}

/* ---- what is refused --------------------------------------------------------------------------
 */
static int client_bad(struct proc *self, void *arg)
{
    static const char *const bad[] = {
        "",
        "{}",
        "{\"v\":2,\"id\":\"01JD0000000000000000000000\",\"at\":1,\"kind\":\"a\"}",
        "{\"v\":1,\"id\":\"01JD000000000000000000000U\",\"at\":1,\"kind\":\"a\"}",
        "{\"v\":1,\"id\":\"01JD0000000000000000000000\",\"at\":-1,\"kind\":\"a\"}",
        "{\"v\":1,\"id\":\"01JD0000000000000000000000\",\"at\":1,\"kind\":\"A\"}",
        "{\"v\":1,\"id\":\"01JD0000000000000000000000\",\"at\":1,\"kind\":\"\"}",
        "{\"v\":1,\"id\":\"01JD0000000000000000000000\",\"at\":1,\"kind\":\"a\"",
        "{\"v\":1,\"id\":\"01JD0000000000000000000000\",\"at\":1,\"kind\":\"a\",\"x\":\"\n\"}",
        "{\"v\":1,\"id\":\"01JD0000000000000000000000\",\"at\":1,\"kind\":\"a\",\"x\":\"\xff\"}",
    };
    static char big[JOURNAL_SIDE_MAX + 1];
    char id[ID_LEN + 1];
    struct buf b;
    uint64_t index = 7;
    (void)arg;
    struct journal *j = journal_connect(proc_fd(self, "journal"));
    proc_ready(self);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct journal_record r = {.leaf = str_from(bad[i])};
        if (journal_append(j, &r, WAIT_MS, NULL) != ERR_INVALID)
            fault(__FILE__, __LINE__, bad[i]);
    }
    buf_init(&b, JOURNAL_LEAF_MAX);
    id_new(id);
    leaf_make(&b, id, 5, "test.one");
    struct journal_record r = {
        .leaf = buf_str(&b), .subject = STR("p"), .side = str_of(big, JOURNAL_SIDE_MAX + 1)};
    CHECK(journal_append(j, &r, WAIT_MS, NULL) == ERR_LIMIT);
    r.side.n--;
    r.subject = str_of(big, JOURNAL_SUBJECT_MAX + 1);
    CHECK(journal_append(j, &r, WAIT_MS, NULL) == ERR_LIMIT);
    r.subject.n--;
    CHECK_OK(journal_append(j, &r, WAIT_MS, &index)); /* the greatest there is; nothing before it */
    CHECK(index == 0);
    CHECK(journal_erase_subject(j, STR(""), WAIT_MS, NULL) == ERR_INVALID);
    journal_close(j);
    buf_free(&b);
    return stop_all();
}

static void a_bad_record_is_refused_and_leaves_nothing(void **state)
{
    (void)state;
    run_platform(client_bad, 1);
}

/* What a client of ours would never send. */
static int client_raw(struct proc *self, void *arg)
{
    static char in[CHAN_MAX];
    static const char junk[] = "\x01\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff";
    struct chan_head h, ask = {.op = 16, .id = 1};
    struct str payload;
    int fd = proc_fd(self, "journal");
    (void)arg;
    proc_ready(self);
    CHECK_OK(chan_recv(fd, WAIT_MS, in, &h, &payload));
    CHECK(h.op == CHAN_HELLO);
    const struct str sent[] = {STR(""), STR("x"), str_of(junk, 12), str_of(in, 5000)};
    for (size_t i = 0; i < COUNT_OF(sent); i++) {
        CHECK_OK(chan_send(fd, &ask, sent[i]));
        CHECK_OK(chan_recv(fd, WAIT_MS, in, &h, &payload));
        CHECK(h.op == 16 && h.id == 1 && h.status == ERR_INVALID && payload.n == 0);
    }
    ask.op = 99;
    CHECK_OK(chan_send(fd, &ask, STR("?")));
    CHECK_OK(chan_recv(fd, WAIT_MS, in, &h, &payload));
    CHECK(h.op == 99 && h.status == ERR_INVALID);
    return stop_all();
}

static void a_malformed_message_is_answered(void **state)
{
    (void)state;
    run_platform(client_raw, 1);
}

/* ---- killed under load ------------------------------------------------------------------------
 */
struct lane {
    struct journal_async *client;
    struct loop *loop;
    struct loop_timer tick;
    struct buf leaf;
    struct lane_call {
        struct journal_call call;
        struct lane *lane;
        char id[ID_LEN + 1];
        bool free;
    } calls[LANE_CALLS];
};
static _Atomic bool no_more;

static void note_acked(const char *id, uint64_t index)
{
    size_t at = seen->n_acked++;
    CHECK(at < ACKED_MAX);
    if (at >= ACKED_MAX)
        return;
    memcpy(seen->acked[at].id, id, ID_LEN + 1);
    seen->acked[at].index = index;
}

static void lane_done(struct journal_call *call, enum err e, uint64_t index)
{
    struct lane_call *c = (struct lane_call *)call;
    CHECK_OK(e);
    note_acked(c->id, index);
    c->free = true;
}

static void lane_tick(struct loop_timer *t)
{
    struct lane *l = (struct lane *)((char *)t - offsetof(struct lane, tick));
    bool waits = false;
    for (size_t i = 0; i < LANE_CALLS; i++) {
        struct lane_call *c = &l->calls[i];
        waits |= !c->free;
        if (!c->free || no_more)
            continue;
        c->free = false;
        c->call.done = lane_done;
        id_new(c->id);
        leaf_make(&l->leaf, c->id, clock_now_ms(), "test.lane");
        struct journal_record r = {
            .leaf = buf_str(&l->leaf), .subject = STR("p"), .side = STR("side")};
        CHECK_OK(journal_append_async(l->client, &r, &c->call));
        waits = true;
    }
    journal_flush(l->client);
    if (waits && !seen->fault[0])
        loop_timer_set(l->loop, t, 1);
    else
        loop_stop(l->loop);
}

static void *lane_run(void *arg)
{
    struct lane l = {.tick = {.fn = lane_tick}, .loop = loop_new()};
    for (size_t i = 0; i < LANE_CALLS; i++)
        l.calls[i] = (struct lane_call){.lane = &l, .free = true};
    buf_init(&l.leaf, JOURNAL_LEAF_MAX);
    l.client = journal_async_connect(*(int *)arg, l.loop);
    loop_timer_set(l.loop, &l.tick, 0);
    loop_run(l.loop);
    journal_async_close(l.client);
    loop_free(l.loop);
    buf_free(&l.leaf);
    return NULL;
}

static void *thread_run(void *journal)
{
    char id[ID_LEN + 1];
    struct buf b;
    uint64_t index;
    buf_init(&b, JOURNAL_LEAF_MAX);
    while (!no_more && !seen->fault[0]) {
        id_new(id);
        leaf_make(&b, id, clock_now_ms(), "test.thread");
        struct journal_record r = {.leaf = buf_str(&b)};
        CHECK_OK(journal_append(journal, &r, WAIT_MS, &index));
        note_acked(id, index);
    }
    buf_free(&b);
    return NULL;
}

static void kill_journal(void)
{
    int starts = seen->starts;
    uint16_t more;
    rand_bytes(&more, sizeof more);
    usleep(KILL_EVERY_MS * 1000 + more);
    CHECK(kill(seen->journal_pid, SIGKILL) == 0);
    for (int i = 0; i < WAIT_MS && seen->starts == starts; i++)
        usleep(1000);
    CHECK(seen->starts > starts);
}

static int client_killing(struct proc *self, void *arg)
{
    int fds[3];
    pthread_t threads[THREADS + 2];
    (void)arg;
    CHECK(proc_fds(self, "journal", fds, 3) == 3);
    struct journal *j = journal_connect(fds[0]);
    proc_ready(self);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, thread_run, j) == 0);
    for (int i = 0; i < 2; i++)
        CHECK(pthread_create(&threads[THREADS + i], NULL, lane_run, &fds[1 + i]) == 0);
    for (int i = 0; i < KILLS && !seen->fault[0]; i++)
        kill_journal();
    usleep(200 * 1000);
    no_more = true;
    for (int i = 0; i < THREADS + 2; i++)
        pthread_join(threads[i], NULL);
    journal_close(j);
    return stop_all();
}

static int by_index(const void *a, const void *b)
{
    const struct acked *x = a, *y = b;
    return x->index < y->index ? -1 : x->index > y->index;
}

/* Every acknowledged entry stands where it was said to be, and the journal is whole. */
static void acked_are_there(uint64_t *size)
{
    struct journal_reader *r;
    struct journal_verdict v;
    uint64_t sealed;
    struct arena a;
    arena_init(&a);
    journal_verify_folder(data, STR_NONE, &v);
    assert_string_equal(v.what, "");
    assert_ok(v.err);
    qsort(seen->acked, seen->n_acked, sizeof seen->acked[0], by_index);
    assert_ok(journal_reader_open(data, &r));
    assert_ok(journal_size(r, 0, size, &sealed));
    for (size_t i = 0; i < seen->n_acked; i++) {
        struct journal_at at;
        assert_ok(journal_find(r, str_from(seen->acked[i].id), &at));
        assert_int_equal(at.index, seen->acked[i].index);
        if (i)
            assert_int_not_equal(seen->acked[i - 1].index, at.index);
        if (i % 97 == 0) {
            struct str leaf;
            assert_ok(journal_read(r, at, &a, &leaf));
            assert_true(str_find(leaf, str_from(seen->acked[i].id)) == 13);
            arena_reset(&a);
        }
    }
    assert_int_equal(sealed, *size); /* signed at the stop, if not before */
    journal_reader_close(r);
    arena_free(&a);
}

static void no_id_is_there_twice(void)
{
    struct arena a;
    struct str bundle, leaf;
    int fd = open(data, O_RDONLY | O_DIRECTORY);
    struct map ids;
    uint64_t n = 0;
    unsigned width = 256;
    arena_init(&a);
    map_init(&ids);
    for (; width == 256; n++) {
        if (tile_read(fd, TILE_ENTRIES, n, 256, &a, &bundle) != ERR_OK) {
            for (width = 255; width > 0; width--)
                if (tile_read(fd, TILE_ENTRIES, n, width, &a, &bundle) == ERR_OK)
                    break;
        }
        for (unsigned i = 0; i < width && bundle_next(&bundle, &leaf); i++)
            assert_null(map_set(&ids, str_sub(leaf, 13, ID_LEN), &ids));
    }
    close(fd);
    map_free(&ids);
    arena_free(&a);
}

static void killed_under_load_it_loses_nothing(void **state)
{
    uint64_t size;
    (void)state;
    run_platform(client_killing, 3);
    acked_are_there(&size);
    no_id_is_there_twice();
    print_message("%zu acknowledged, %llu entries, %d starts\n", (size_t)seen->n_acked,
                  (unsigned long long)size, (int)seen->starts);
    assert_int_equal(seen->starts, KILLS + 1);
    assert_true(size >= seen->n_acked); /* more: an answer may have died on its way */
}

/* ---- a journal that does not answer -------------------------------------------------------------
 */
struct slow {
    struct journal_call call;
    size_t *n_done;
};
static size_t n_forgotten;

static void slow_done(struct journal_call *call, enum err e, uint64_t index)
{
    (void)index;
    CHECK_OK(e);
    ++*((struct slow *)call)->n_done;
}

static void slow_forgotten(struct journal_call *call, enum err e, uint64_t index)
{
    (void)call;
    (void)e;
    (void)index;
    n_forgotten++;
}

struct slow_wait {
    struct loop_timer timer;
    struct loop *loop;
    size_t *n_done, wanted;
    int turns;
};

static void slow_end(struct loop_timer *t)
{
    struct slow_wait *w = (struct slow_wait *)t;
    if (*w->n_done >= w->wanted || ++w->turns > WAIT_MS / 10)
        loop_stop(w->loop);
    else
        loop_timer_set(w->loop, t, 10);
}

static int client_slow(struct proc *self, void *arg)
{
    enum { CALLS = 400 };
    static struct slow calls[CALLS];
    static char side[JOURNAL_SIDE_MAX];
    size_t n = 0, n_done = 0;
    char id[ID_LEN + 1];
    struct buf b;
    struct loop *l = loop_new();
    (void)arg;
    struct journal_async *j = journal_async_connect(proc_fd(self, "journal"), l);
    proc_ready(self);
    CHECK(kill(seen->journal_pid, SIGSTOP) == 0);
    buf_init(&b, JOURNAL_LEAF_MAX);
    enum err e = ERR_OK;
    while (e == ERR_OK && n < CALLS) { /* until all its messages are full */
        id_new(id);
        leaf_make(&b, id, 1, "test.slow");
        calls[n] = (struct slow){{slow_done}, &n_done};
        struct journal_record r = {
            .leaf = buf_str(&b), .subject = STR("p"), .side = str_of(side, sizeof side)};
        e = journal_append_async(j, &r, &calls[n].call);
        n += e == ERR_OK;
    }
    CHECK(e == ERR_UNAVAILABLE);
    CHECK(n > 60);
    calls[3].call.done = slow_forgotten;
    calls[4].call.done = NULL;
    journal_flush(j);
    CHECK(kill(seen->journal_pid, SIGCONT) == 0);
    struct slow_wait w = {.timer = {.fn = slow_end}, .loop = l, .n_done = &n_done, .wanted = n - 2};
    loop_timer_set(l, &w.timer, 0);
    loop_run(l);
    CHECK(n_done == n - 2);
    CHECK(n_forgotten == 1);
    journal_async_close(j);
    loop_free(l);
    buf_free(&b);
    return stop_all();
}

static void a_journal_that_does_not_answer_is_waited_for_then_refused(void **state)
{
    (void)state;
    run_platform(client_slow, 1);
}

/* ---- a torn tail ------------------------------------------------------------------------------
 */
static int client_some(struct proc *self, void *arg)
{
    (void)arg;
    struct journal *j = journal_connect(proc_fd(self, "journal"));
    proc_ready(self);
    append_n(j, 300, "p1");
    kill(seen->journal_pid, SIGKILL); /* before the sealer has done its work */
    append_n(j, 10, "p2");
    journal_close(j);
    return stop_all();
}

/* What a write that a power cut stopped leaves: half a batch at the end of the log. */
static void torn_batch_write(void)
{
    static char room[2 * WAL_BLOCK + 512];
    char name[32], path[256];
    struct wal_reader r;
    struct wal_batch b;
    int folder_fd = open(data, O_RDONLY | O_DIRECTORY);
    struct wal w;
    wal_open(&w, folder_fd, 0, 0);
    assert_ok(wal_reserve(&w));
    memset(room, 'x', sizeof room);
    b = (struct wal_batch){.first_index = 1000,
                           .n_records = 1,
                           .epoch = 1,
                           .records = str_of(room + WAL_HEAD, WAL_BLOCK + 100)};
    assert_ok(wal_commit(&w, room, &b, false));
    wal_close(&w);
    snprintf(path, sizeof path, "%s/%s", data, wal_segment_name(0, name));
    int fd = open(path, O_RDWR);
    assert_int_equal(pwrite(fd, "\0\0\0\0", 4, WAL_BLOCK + 20), 4);
    close(fd);
    wal_reader_init(&r, folder_fd, 0);
    assert_int_equal(wal_reader_next(&r, &b), ERR_NOT_FOUND);
    assert_false(wal_reader_looks_cut(&r));
    wal_reader_free(&r);
    close(folder_fd);
}

static void a_torn_tail_is_cut(void **state)
{
    uint64_t size;
    (void)state;
    assert_int_equal(mkdir(data, 0700), 0);
    torn_batch_write();
    run_platform(client_some, 1);
    acked_are_there(&size);
    assert_int_equal(size, 310);
    assert_int_equal(seen->starts, 2); /* it did not end by itself, too */
}

/* ---- a full disk ------------------------------------------------------------------------------
 */
static int client_full(struct proc *self, void *arg)
{
    char id[ID_LEN + 1];
    struct buf b;
    (void)arg;
    struct journal *j = journal_connect(proc_fd(self, "journal"));
    proc_ready(self);
    buf_init(&b, JOURNAL_LEAF_MAX);
    append_n(j, 1000, "p1");
    seen->disk_full = true;
    /* Reserved space is used up first; then it says so. */
    enum err e = ERR_OK;
    static char side[JOURNAL_SIDE_MAX];
    for (int i = 0; i < 4000 && e == ERR_OK; i++) {
        id_new(id);
        leaf_make(&b, id, clock_now_ms(), "test.full");
        struct journal_record r = {
            .leaf = buf_str(&b), .subject = STR("p2"), .side = str_of(side, sizeof side)};
        uint64_t index;
        e = journal_append(j, &r, WAIT_MS, &index);
        if (e == ERR_OK)
            note_acked(id, index);
    }
    CHECK(e == ERR_FULL);
    struct journal_record again = {.leaf = buf_str(&b)};
    CHECK(journal_append(j, &again, WAIT_MS, NULL) == ERR_FULL);
    CHECK(journal_erase_subject(j, STR("p1"), WAIT_MS, NULL) == ERR_FULL);
    seen->disk_full = false;
    for (int i = 0; i < 100 && (e = journal_append(j, &again, WAIT_MS, NULL)) == ERR_FULL; i++)
        usleep(100 * 1000);
    CHECK_OK(e);
    append_n(j, 1000, "p3");
    journal_close(j);
    buf_free(&b);
    return stop_all();
}

static void a_full_disk_is_said_and_survived(void **state)
{
    uint64_t size;
    (void)state;
    run_platform(client_full, 1);
    acked_are_there(&size);
    assert_int_equal(size, seen->n_acked + 1);
    assert_int_equal(seen->starts, 1);
}

/* ---- erasure ----------------------------------------------------------------------------------
 */
/* Is a byte sequence anywhere in the folder's files? */
static bool folder_has(const char *path, struct str needle)
{
    DIR *d = opendir(path);
    bool found = false;
    for (struct dirent *f; d && !found && (f = readdir(d)) != NULL;) {
        char sub[512];
        struct stat st;
        struct str text;
        if (strcmp(f->d_name, ".") == 0 || strcmp(f->d_name, "..") == 0 ||
            snprintf(sub, sizeof sub, "%s/%s", path, f->d_name) >= (int)sizeof sub)
            continue;
        if (lstat(sub, &st) == 0 && S_ISDIR(st.st_mode))
            found = folder_has(sub, needle);
        else if (file_read(&arena, sub, 64 << 20, &text) == ERR_OK)
            found = memmem(text.p, text.n, needle.p, needle.n) != NULL;
        arena_reset(&arena);
    }
    if (d)
        closedir(d);
    return found;
}

/* A row of a kind and of an age. */
static void append_old(struct journal *j, const char *subject, const char *kind, const char *told,
                       int64_t at_ms)
{
    struct buf b;
    char id[ID_LEN + 1];
    buf_init(&b, JOURNAL_LEAF_MAX);
    id_new(id);
    leaf_make(&b, id, at_ms, kind);
    struct journal_record r = {
        .leaf = buf_str(&b), .subject = str_from(subject), .side = str_from(told)};
    CHECK_OK(journal_append(j, &r, WAIT_MS, NULL));
    buf_free(&b);
}

static void append_told(struct journal *j, const char *subject, const char *told)
{
    append_old(j, subject, "test.told", told, clock_now_ms());
}

static int client_erasing(struct proc *self, void *arg)
{
    uint64_t n = 0;
    (void)arg;
    struct journal *j = journal_connect(proc_fd(self, "journal"));
    proc_ready(self);
    append_told(j, "person-1", "canary-of-one-early");
    append_n(j, 500, "p3");
    usleep(500 * 1000); /* some in files, some in the log only */
    append_told(j, "person-1", "canary-of-one-late");
    append_told(j, "person-2", "canary-of-two");
    CHECK(folder_has(data, STR("canary-of-one-early")));
    CHECK(folder_has(data, STR("canary-of-one-late")));
    CHECK_OK(journal_erase_subject(j, STR("person-1"), WAIT_MS, &n));
    CHECK(n == 2);
    CHECK(!folder_has(data, STR("canary-of-one")));
    CHECK(folder_has(data, STR("canary-of-two")));
    CHECK_OK(journal_erase_subject(j, STR("person-1"), WAIT_MS, &n));
    CHECK(n == 0);
    CHECK_OK(journal_erase_subject(j, STR("nobody"), WAIT_MS, &n));
    CHECK(n == 0);
    append_told(j, "person-1", "she came back");
    append_n(j, 500, "p3");
    journal_close(j);
    return stop_all();
}

static int client_expiring(struct proc *self, void *arg)
{
    uint64_t n = 0;
    (void)arg;
    struct journal *j = journal_connect(proc_fd(self, "journal"));
    proc_ready(self);
    append_old(j, "p1", "test.signin", "canary-old-one", 1000);
    append_old(j, "p2", "test.signin", "canary-old-two", 1999);
    append_old(j, "p1", "test.other", "canary-other", 1000);
    append_old(j, "p1", "test.signin", "canary-edge", 2000);
    append_n(j, 500, "p3");
    usleep(500 * 1000);
    append_old(j, "p1", "test.signin", "canary-old-late", 1500); /* in the log only */
    struct journal_expiry x = {STR_NONE, STR("test.signin"), 2000};
    CHECK_OK(journal_expire(j, &x, WAIT_MS, &n));
    CHECK(n == 3);
    CHECK(!folder_has(data, STR("canary-old")));
    CHECK(folder_has(data, STR("canary-other")));
    CHECK(folder_has(data, STR("canary-edge")));
    CHECK_OK(journal_expire(j, &x, WAIT_MS, &n));
    CHECK(n == 0);
    x = (struct journal_expiry){STR("p2"), STR_NONE, INT64_MAX};
    append_old(j, "p2", "test.other", "canary-two", 3000);
    CHECK_OK(journal_expire(j, &x, WAIT_MS, &n));
    CHECK(n == 1);
    CHECK(!folder_has(data, STR("canary-two")));
    CHECK(folder_has(data, STR("canary-other")));
    x.before_ms = 0;
    CHECK(journal_expire(j, &x, WAIT_MS, &n) == ERR_INVALID);
    /* More than one call takes: it is told, and goes on where it stopped. */
    for (int i = 0; i < 21; i++)
        append_n(j, 1000, "p4");
    x = (struct journal_expiry){STR("p4"), STR_NONE, INT64_MAX};
    CHECK_OK(journal_expire(j, &x, WAIT_MS, &n));
    CHECK(n == JOURNAL_EXPIRE_ROWS);
    CHECK_OK(journal_expire(j, &x, WAIT_MS, &n));
    CHECK(n == 1000);
    journal_close(j);
    return stop_all();
}

static size_t rows_of(const char *subject, struct journal_side_row **rows)
{
    struct journal_reader *r;
    size_t n;
    struct journal_side_query q = {.subject = str_from(subject), .limit = 1000};
    assert_ok(journal_reader_open(data, &r));
    assert_ok(journal_side_list(r, &q, &arena, rows, &n));
    journal_reader_close(r);
    return n;
}

static void what_is_erased_is_nowhere(void **state)
{
    struct journal_side_row *rows;
    struct journal_verdict v;
    (void)state;
    run_platform(client_erasing, 1);
    assert_int_equal(rows_of("person-1", &rows), 1);
    assert_true(str_eq_z(rows[0].data, "she came back"));
    assert_int_equal(rows_of("person-2", &rows), 1);
    assert_int_equal(rows_of("p3", &rows), 1000);
    journal_verify_folder(data, STR_NONE, &v);
    assert_string_equal(v.what, "");
    assert_int_equal(v.entries, 1004); /* proofs stay whole */
}

static void what_was_kept_long_enough_is_nowhere(void **state)
{
    struct journal_side_row *rows;
    struct journal_verdict v;
    (void)state;
    run_platform(client_expiring, 1);
    assert_int_equal(rows_of("p1", &rows), 2);
    assert_true(str_eq_z(rows[0].data, "canary-edge"));
    assert_int_equal(rows_of("p2", &rows), 0);
    assert_int_equal(rows_of("p3", &rows), 500);
    assert_int_equal(rows_of("p4", &rows), 0);
    journal_verify_folder(data, STR_NONE, &v);
    assert_string_equal(v.what, "");
    assert_int_equal(v.entries, 506 + 21000); /* proofs stay whole */
}

int main(void)
{
#define UNIT(f) cmocka_unit_test_setup_teardown(f, start, end)
    const struct CMUnitTest tests[] = {
        UNIT(an_entry_gets_its_index_once),
        UNIT(a_bad_record_is_refused_and_leaves_nothing),
        UNIT(a_malformed_message_is_answered),
        UNIT(killed_under_load_it_loses_nothing),
        UNIT(a_journal_that_does_not_answer_is_waited_for_then_refused),
        UNIT(a_torn_tail_is_cut),
        UNIT(a_full_disk_is_said_and_survived),
        UNIT(what_is_erased_is_nowhere),
        UNIT(what_was_kept_long_enough_is_nowhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
