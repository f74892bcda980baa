/* The supervisor: a killed child comes back and its clients notice nothing but time; the stop has
 * an order; a child holds its own descriptors only. Each test runs a supervisor in a process of its
 * own and looks at what its children wrote into shared memory. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "sys/chan.h"
#include "sys/file.h"
#include "sys/proc.h"

enum { OP_ECHO = 16, OP_DIE_ONCE };

static struct shared {
    volatile int ready, calls_good, calls_done, died, starts, open_fds, labels_good;
    volatile int stops, stop_order[4];
    volatile pid_t server_pid, client_pid;
    char title[64], name[17];
} * shared;

static int setup(void **state)
{
    (void)state;
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return shared == MAP_FAILED;
}

static int teardown(void **state)
{
    (void)state;
    return munmap(shared, sizeof *shared);
}

static void on_ready(void *arg)
{
    (void)arg;
    shared->ready++;
}

static bool wait_for(volatile int *what, int at_least)
{
    for (int i = 0; i < 10000 && *what < at_least; i++)
        usleep(1000);
    return *what >= at_least;
}

static pid_t supervise(struct proc_plan *plan)
{
    pid_t sup = fork();
    if (sup == 0) {
        log_set_level(LOG_ERROR + 1);
        _exit(proc_supervise(plan, on_ready, NULL));
    }
    free(plan); /* the child has its own; here only its ends stay open, unused */
    return sup;
}

static int stop(pid_t sup, int sig)
{
    int status = -1;
    kill(sup, sig);
    waitpid(sup, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* --- a server that dies in the middle of a call ------------------------------------------------
 */

static enum err serve(void *arg, uint16_t op, struct str payload, struct arena *a,
                      struct buf *answer)
{
    (void)arg;
    (void)a;
    if (op == OP_DIE_ONCE && shared->died++ == 0)
        raise(SIGKILL); /* it has taken the request and never answers */
    buf_add_str(answer, payload);
    return ERR_OK;
}

static int server_main(struct proc *self, void *arg)
{
    (void)arg;
    int fds[4];
    size_t n = proc_fds(self, "echo", fds, 4);
    shared->server_pid = getpid();
    shared->starts++;
    proc_ready(self);
    chan_serve(fds, n, serve, NULL, &proc_stopping);
    shared->stop_order[shared->stops++] = 1;
    return 0;
}

static void wait_stop(void)
{
    struct pollfd p = {.fd = proc_stop_fd(), .events = POLLIN};
    while (!proc_stopping)
        (void)poll(&p, 1, -1);
}

static int client_main(struct proc *self, void *arg)
{
    (void)arg;
    struct chan_client *c = chan_client_new(proc_fd(self, "echo"));
    shared->client_pid = getpid();
    proc_ready(self);
    struct arena a;
    arena_init(&a);
    struct str out;
    for (int i = 0; i < 50; i++) {
        enum err e = chan_call(c, i == 10 ? OP_DIE_ONCE : OP_ECHO, STR("x"), 10000, &a, &out);
        shared->calls_good += e == ERR_OK && str_eq(out, STR("x"));
        shared->calls_done++;
    }
    wait_stop();
    /* Those that serve are still there while this one ends. */
    shared->calls_good += chan_call(c, OP_ECHO, STR("y"), 5000, &a, &out) == ERR_OK;
    shared->stop_order[shared->stops++] = 2;
    arena_free(&a);
    chan_client_free(c);
    return 0;
}

static struct proc_plan *echo_plan(void)
{
    struct proc_plan *p = proc_plan_new();
    size_t server = proc_plan_add(p, &(struct proc_spec){.name = "server", .main = server_main});
    size_t client = proc_plan_add(p, &(struct proc_spec){.name = "client", .main = client_main});
    proc_plan_channel(p, client, server, "echo");
    return p;
}

static void a_call_outlives_its_server(void **state)
{
    (void)state;
    pid_t sup = supervise(echo_plan());
    assert_true(wait_for(&shared->calls_done, 50));
    assert_int_equal(shared->calls_good, 50);
    assert_int_equal(shared->starts, 2);
    assert_int_equal(shared->died, 2); /* asked twice: once before its death, once after */
    assert_int_equal(shared->ready, 1);
    /* Ctrl-C goes to the whole group; children leave the order of the stop to the supervisor. */
    kill(shared->server_pid, SIGINT);
    kill(shared->client_pid, SIGINT);
    usleep(20000);
    assert_int_equal(shared->stops, 0);
    assert_int_equal(stop(sup, SIGINT), 0);
    assert_int_equal(shared->stops, 2);
    assert_int_equal(shared->stop_order[0], 2);
    assert_int_equal(shared->stop_order[1], 1);
    assert_int_equal(shared->calls_good, 51);
}

static void children_die_with_the_supervisor(void **state)
{
    (void)state;
    prctl(PR_SET_CHILD_SUBREAPER, 1); /* orphans come to us */
    pid_t sup = supervise(echo_plan());
    assert_true(wait_for(&shared->calls_done, 50));
    assert_int_equal(stop(sup, SIGKILL), -1);
    int64_t until_ms = clock_mono_ms() + 5000;
    int dead = 0;
    while (dead < 2 && clock_mono_ms() < until_ms) {
        if (waitpid(-1, NULL, WNOHANG) > 0)
            dead++;
        usleep(1000);
    }
    assert_int_equal(dead, 2);
    assert_int_equal(kill(shared->server_pid, 0), -1);
}

/* --- what a child holds ----------------------------------------------------------------------- */

static int count_open_fds(void)
{
    int n = 0;
    for (int fd = 3; fd < 1024; fd++)
        n += fcntl(fd, F_GETFD) != -1;
    return n;
}

static int holder_main(struct proc *self, void *arg)
{
    int fds[4], type = 0;
    socklen_t len = sizeof type;
    shared->open_fds = count_open_fds();
    bool good = getsockopt(proc_fd(self, "listen"), SOL_SOCKET, SO_TYPE, &type, &len) == 0;
    shared->labels_good = good && type == SOCK_STREAM && proc_fds(self, "echo", fds, 4) == 2 &&
                          proc_fd(self, "other") == -1 && strcmp(proc_name(self), "holder") == 0 &&
                          strcmp(arg, "argument") == 0;
    prctl(PR_GET_NAME, shared->name);
    struct arena a;
    arena_init(&a);
    struct str line;
    if (file_read(&a, "/proc/self/cmdline", 4096, &line) == ERR_OK)
        memcpy(shared->title, line.p, line.n < 63 ? line.n : 63);
    arena_free(&a);
    proc_ready(self);
    wait_stop();
    return 0;
}

static int idle_main(struct proc *self, void *arg)
{
    (void)arg;
    proc_ready(self);
    wait_stop();
    return 0;
}

static void a_child_holds_only_its_own(void **state)
{
    (void)state;
    struct proc_plan *p = proc_plan_new();
    size_t a = proc_plan_add(
        p, &(struct proc_spec){.name = "holder", .main = holder_main, .arg = "argument"});
    size_t b = proc_plan_add(p, &(struct proc_spec){.name = "b", .main = idle_main});
    size_t c = proc_plan_add(p, &(struct proc_spec){.name = "c", .main = idle_main});
    int other = socket(AF_INET, SOCK_STREAM, 0), listening = socket(AF_INET, SOCK_STREAM, 0);
    proc_plan_socket(p, b, other, "other");
    proc_plan_socket(p, a, listening, "listen");
    proc_plan_channel(p, b, a, "echo");
    proc_plan_channel(p, c, a, "echo");
    proc_plan_channel(p, c, b, "other");
    pid_t sup = supervise(p);
    assert_true(wait_for(&shared->ready, 1));
    assert_int_equal(shared->open_fds, 3 + 2); /* its three; its ready pipe and its stop door */
    assert_true(shared->labels_good);
    assert_string_equal(shared->name, "socle: holder");
    assert_string_equal(shared->title, "socle: holder");
    assert_int_equal(stop(sup, SIGTERM), 0);
    close(other);
    close(listening);
}

/* --- children that fail ----------------------------------------------------------------------- */

static int failing_main(struct proc *self, void *arg)
{
    (void)self;
    (void)arg;
    shared->starts++;
    return 3;
}

static void a_start_that_cannot_work_ends(void **state)
{
    (void)state;
    struct proc_plan *p = proc_plan_new();
    proc_plan_add(p, &(struct proc_spec){.name = "idle", .main = idle_main});
    proc_plan_add(p, &(struct proc_spec){.name = "failing", .main = failing_main});
    pid_t sup = supervise(p);
    int status = -1;
    waitpid(sup, &status, 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
    assert_int_equal(shared->starts, 5);
    assert_int_equal(shared->ready, 0);
}

static int tired_main(struct proc *self, void *arg)
{
    (void)arg;
    shared->starts++;
    proc_ready(self);
    return 3;
}

static void a_child_that_dies_often_is_slowed(void **state)
{
    (void)state;
    struct proc_plan *p = proc_plan_new();
    proc_plan_add(p, &(struct proc_spec){.name = "tired", .main = tired_main});
    pid_t sup = supervise(p);
    usleep(1500000);
    assert_int_equal(stop(sup, SIGTERM), 0);
    assert_true(shared->starts >= 6 && shared->starts <= 7); /* five at once, one each second */
}

int main(int argc, char **argv)
{
    proc_title_init(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_call_outlives_its_server, setup, teardown),
        cmocka_unit_test_setup_teardown(children_die_with_the_supervisor, setup, teardown),
        cmocka_unit_test_setup_teardown(a_child_holds_only_its_own, setup, teardown),
        cmocka_unit_test_setup_teardown(a_start_that_cannot_work_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(a_child_that_dies_often_is_slowed, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
