/* Channels: whole messages of every size, no call lost when the server is killed, nobody held up by
 * a side that does not read. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "sys/chan.h"

enum { OP_ECHO = 16, OP_FAIL, OP_FLOOD };

static enum err echo(void *arg, uint16_t op, struct str payload, struct arena *a,
                     struct buf *answer)
{
    (void)arg;
    if (op == OP_FAIL)
        return ERR_CONFLICT;
    if (op == OP_FLOOD) {
        memset(buf_room(answer, CHAN_MAX - CHAN_HEAD), 'f', CHAN_MAX - CHAN_HEAD);
        buf_grew(answer, CHAN_MAX - CHAN_HEAD);
        return ERR_OK;
    }
    buf_add_str(answer, arena_dup(a, payload));
    return ERR_OK;
}

struct server {
    pthread_t thread;
    int fds[4];
    size_t n;
    volatile int stop;
};

static void *server_main(void *arg)
{
    struct server *s = arg;
    chan_serve(s->fds, s->n, echo, NULL, &s->stop);
    return NULL;
}

static void server_start(struct server *s)
{
    s->stop = 0;
    assert_int_equal(pthread_create(&s->thread, NULL, server_main, s), 0);
}

static void server_stop(struct server *s)
{
    s->stop = 1;
    pthread_join(s->thread, NULL);
}

static void pair(int ends[2])
{
    assert_int_equal(chan_pair(ends), ERR_OK);
}

static void every_size_comes_back(void **state)
{
    (void)state;
    int e[2];
    pair(e);
    struct server s = {.fds = {e[1]}, .n = 1};
    server_start(&s);
    struct chan_client *c = chan_client_new(e[0]);
    static char big[CHAN_MAX];
    for (size_t i = 0; i < sizeof big; i++)
        big[i] = (char)(i * 31);
    struct arena a;
    arena_init(&a);
    struct str out;
    const size_t sizes[] = {0, 1, 15, 16, 4096, 65536, CHAN_MAX - CHAN_HEAD};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        struct str in = {big, sizes[i]};
        assert_int_equal(chan_call(c, OP_ECHO, in, 5000, &a, &out), ERR_OK);
        assert_true(str_eq(in, out));
    }
    struct str over = {big, CHAN_MAX - CHAN_HEAD + 1};
    assert_int_equal(chan_call(c, OP_ECHO, over, 5000, &a, &out), ERR_LIMIT);
    assert_int_equal(chan_call(c, OP_FAIL, STR("x"), 5000, &a, &out), ERR_CONFLICT);
    assert_int_equal(out.n, 0);
    server_stop(&s);
    chan_client_free(c);
    close(e[0]);
    close(e[1]);
    arena_free(&a);
}

static void waiting_ends_in_time(void **state)
{
    (void)state;
    int e[2];
    pair(e);
    static char buf[CHAN_MAX];
    struct chan_head h;
    struct str p;
    assert_int_equal(chan_recv(e[1], 0, buf, &h, &p), ERR_AGAIN);
    int64_t at_ms = clock_mono_ms();
    assert_int_equal(chan_recv(e[1], 50, buf, &h, &p), ERR_TIMEOUT);
    struct chan_client *c = chan_client_new(e[0]);
    struct arena a;
    arena_init(&a);
    assert_int_equal(chan_call(c, OP_ECHO, STR("hi"), 50, &a, &p), ERR_TIMEOUT);
    assert_true(clock_mono_ms() - at_ms >= 100);
    /* Late answers, unknown ones and wrong ones harm nobody. */
    assert_int_equal(chan_recv(e[1], 1000, buf, &h, &p), ERR_OK);
    assert_true(str_eq(p, STR("hi")));
    assert_int_equal(chan_send(e[1], &h, STR("late")), ERR_OK);
    assert_int_equal(send(e[1], "short", 5, 0), 5);
    struct server s = {.fds = {e[1]}, .n = 1};
    server_start(&s);
    assert_int_equal(send(e[0], "not a message at all", 20, 0), 20);
    assert_int_equal(chan_call(c, OP_ECHO, STR("two"), 5000, &a, &p), ERR_OK);
    assert_true(str_eq(p, STR("two")));
    server_stop(&s);
    chan_client_free(c);
    arena_free(&a);
    close(e[0]);
    close(e[1]);
}

static void a_new_client_gets_no_old_answer(void **state)
{
    (void)state;
    int e[2];
    pair(e);
    struct arena a;
    arena_init(&a);
    struct str out;
    for (int i = 0; i < 2; i++) {
        struct chan_client *c = chan_client_new(e[0]);
        struct server s = {.fds = {e[1]}, .n = 1};
        if (i == 1)
            server_start(&s); /* answers the first client's question too */
        enum err got = chan_call(c, OP_ECHO, i ? STR("new") : STR("old"), i ? 5000 : 10, &a, &out);
        assert_int_equal(got, i ? ERR_OK : ERR_TIMEOUT);
        if (i == 1) {
            assert_true(str_eq(out, STR("new")));
            server_stop(&s);
        }
        chan_client_free(c);
    }
    arena_free(&a);
    close(e[0]);
    close(e[1]);
}

static void a_closed_channel_is_unavailable(void **state)
{
    (void)state;
    int e[2];
    pair(e);
    struct chan_client *c = chan_client_new(e[0]);
    struct arena a;
    arena_init(&a);
    struct str out;
    close(e[1]);
    for (int i = 0; i < 3; i++)
        assert_int_equal(chan_call(c, OP_ECHO, STR("x"), 5000, &a, &out), ERR_UNAVAILABLE);
    chan_client_free(c);
    close(e[0]);
    arena_free(&a);
}

/* --- many calls ------------------------------------------------------------------------------- */

enum { MANY = 60000 };
static atomic_int answered, wrong;
struct many {
    struct chan_async call;
    uint64_t value;
};

static void on_answer(struct chan_async *call, enum err status, struct str answer)
{
    struct many *m = (struct many *)call;
    if (status != ERR_OK || !str_eq(answer, str_of(&m->value, sizeof m->value)))
        atomic_fetch_add(&wrong, 1);
    atomic_fetch_add(&answered, 1);
}

static struct many *many_start(struct chan_client *c, int n)
{
    struct many *m = calloc((size_t)n, sizeof *m);
    answered = wrong = 0;
    for (int i = 0; i < n; i++) {
        m[i].value = (uint64_t)i * 0x9e3779b97f4a7c15u;
        m[i].call = (struct chan_async){
            .done = on_answer, .op = OP_ECHO, .payload = str_of(&m[i].value, sizeof m[i].value)};
        chan_call_async(c, &m[i].call);
    }
    return m;
}

static bool many_wait(int n, int timeout_ms)
{
    int64_t until_ms = clock_mono_ms() + timeout_ms;
    while (atomic_load(&answered) < n && clock_mono_ms() < until_ms)
        usleep(1000);
    return atomic_load(&answered) == n && atomic_load(&wrong) == 0;
}

static void a_full_channel_blocks_nobody(void **state)
{
    (void)state;
    int e[2];
    pair(e);
    struct chan_client *c = chan_client_new(e[0]);
    int64_t at_ms = clock_mono_ms();
    struct many *m = many_start(c, MANY); /* nobody reads: most of them do not fit */
    assert_true(clock_mono_ms() - at_ms < 3000);
    assert_int_equal(answered, 0);
    struct server s = {.fds = {e[1]}, .n = 1};
    server_start(&s);
    assert_true(many_wait(MANY, 20000));
    server_stop(&s);
    chan_client_free(c);
    free(m);
    close(e[0]);
    close(e[1]);
}

static void freeing_ends_every_call(void **state)
{
    (void)state;
    int e[2];
    pair(e);
    struct chan_client *c = chan_client_new(e[0]);
    struct many *m = many_start(c, 100);
    chan_client_free(c);
    assert_int_equal(answered, 100);
    assert_int_equal(wrong, 100);
    free(m);
    close(e[0]);
    close(e[1]);
}

static void a_deaf_client_holds_up_nobody_else(void **state)
{
    (void)state;
    int deaf[2], e[2];
    pair(deaf);
    pair(e);
    struct server s = {.fds = {deaf[1], e[1]}, .n = 2};
    struct chan_head h = {.op = OP_FLOOD};
    int asked = 0;
    while (asked < 1000 && chan_try_send(deaf[0], &h, STR("")) == ERR_OK)
        h.id = (uint64_t)++asked; /* 128 KB of answer each: far more than there is room for */
    server_start(&s);
    struct chan_client *c = chan_client_new(e[0]);
    struct arena a;
    arena_init(&a);
    struct str out;
    for (int i = 0; i < 100; i++)
        assert_int_equal(chan_call(c, OP_ECHO, STR("x"), 5000, &a, &out), ERR_OK);
    static char buf[CHAN_MAX];
    int got = -1; /* the hello */
    while (got < asked && chan_recv(deaf[0], 5000, buf, &h, &out) == ERR_OK)
        got++;
    assert_int_equal(got, asked); /* and the deaf one loses nothing */
    server_stop(&s);
    chan_client_free(c);
    arena_free(&a);
    for (int i = 0; i < 2; i++) {
        close(deaf[i]);
        close(e[i]);
    }
}

/* --- a server killed under load --------------------------------------------------------------- */

enum { KILLS = 20, CALLERS = 4, CALLS = 1500 };
static volatile int *progress; /* shared: calls that ended well */

static void *caller(void *arg)
{
    struct chan_client *c = arg;
    struct arena a;
    arena_init(&a);
    intptr_t bad = 0;
    for (int i = 0; i < CALLS; i++) {
        char text[3000];
        size_t n = (size_t)(i * 7) % sizeof text;
        memset(text, 'a' + i % 26, sizeof text);
        struct str out;
        bad += chan_call(c, OP_ECHO, (struct str){text, n}, 30000, &a, &out) != ERR_OK ||
               !str_eq(out, (struct str){text, n});
        arena_reset(&a);
        __atomic_fetch_add(progress, 1, __ATOMIC_RELAXED);
    }
    arena_free(&a);
    return (void *)bad;
}

static _Noreturn void client_process(int fd)
{
    struct chan_client *c = chan_client_new(fd);
    pthread_t t[CALLERS];
    intptr_t bad = 0;
    for (int i = 0; i < CALLERS; i++)
        bad += pthread_create(&t[i], NULL, caller, c) != 0;
    struct many *m = many_start(c, MANY);
    for (int i = 0; i < CALLERS; i++) {
        void *r;
        pthread_join(t[i], &r);
        bad += (intptr_t)r;
    }
    bad += !many_wait(MANY, 30000);
    chan_client_free(c);
    free(m);
    _exit(bad ? 1 : 0);
}

static pid_t server_fork(int fd)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    volatile int never = 0;
    chan_serve(&fd, 1, echo, NULL, &never);
    _exit(0);
}

static void no_call_is_lost_when_the_server_is_killed(void **state)
{
    (void)state;
    int e[2];
    pair(e); /* this process keeps both ends, as the supervisor does */
    progress = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal((void *)progress, MAP_FAILED);
    pid_t client = fork();
    if (client == 0)
        client_process(e[0]);
    pid_t server = server_fork(e[1]);
    int killed = 0, before = -1;
    for (; killed < KILLS && *progress < CALLERS * CALLS; killed++) {
        for (int i = 0; i < 5000 && *progress < before + 20; i++)
            usleep(1000); /* each server does some work first */
        before = *progress;
        kill(server, SIGKILL);
        waitpid(server, NULL, 0);
        server = server_fork(e[1]);
    }
    int status = -1;
    waitpid(client, &status, 0);
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(*progress, CALLERS * CALLS);
    assert_true(killed >= KILLS);
    munmap((void *)(uintptr_t)progress, 4096);
    close(e[0]);
    close(e[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_size_comes_back),
        cmocka_unit_test(waiting_ends_in_time),
        cmocka_unit_test(a_new_client_gets_no_old_answer),
        cmocka_unit_test(a_closed_channel_is_unavailable),
        cmocka_unit_test(a_full_channel_blocks_nobody),
        cmocka_unit_test(freeing_ends_every_call),
        cmocka_unit_test(a_deaf_client_holds_up_nobody_else),
        cmocka_unit_test(no_call_is_lost_when_the_server_is_killed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
