/* The journal process as it runs: under the supervisor, with the keys process, asked by clients that
 * are processes of their own. They write down what they saw in shared memory; the test reads it
 * after all of them ended. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/rand.h"
#include "crypto/keys.h"
#include "journal/disk.h"
#include "journal/journal.h"
#include "sys/file.h"

enum { WAIT_MS = 20000, ACKED_MAX = 400000, THREADS = 4 };

struct acked {
    char id[ID_LEN + 1];
    uint64_t index;
};
static struct shared_memory {
    char fault[300]; /* the first thing that was not as it must be */
    _Atomic int journal_pid, starts;
    _Atomic size_t n_acked;
    _Atomic bool disk_full;
    struct acked acked[ACKED_MAX];
} * seen;
static char folder[64], data[96], keys_folder[96];

static void fault(const char *file, int line, const char *what)
{
    if (!seen->fault[0])
        snprintf(seen->fault, sizeof seen->fault, "%s:%d: %s", file, line, what);
}
#define CHECK(cond)  ((cond) ? (void)0 : fault(__FILE__, __LINE__, #cond))
#define CHECK_OK(call)                                                                             \
    do {                                                                                           \
        enum err check_err = (call);                                                               \
        if (check_err != ERR_OK)                                                                   \
            fault(__FILE__, __LINE__, err_name(check_err));                                        \
    } while (0)

/* ---- processes -------------------------------------------------------------------------------- */
static int disk_is_full(const char *path, size_t n)
{
    (void)path;
    (void)n;
    return seen->disk_full ? ENOSPC : 0;
}

static int journal_process(struct proc *self, void *conf)
{
    seen->journal_pid = getpid();
    seen->starts++;
    disk_fault = disk_is_full;
    return journal_main(self, conf);
}

/* Keys, journal and a client with so many journal channels, until the client ends it. */
static int supervise(int (*client)(struct proc *, void *), size_t n_channels)
{
    struct keys_conf keys_conf = {keys_folder};
    struct journal_conf conf = {.folder = data, .origin = "test.example/journal"};
    struct proc_plan *p = proc_plan_new();
    size_t keys = proc_plan_add(p, &(struct proc_spec){"keys", keys_main, &keys_conf});
    size_t journal = proc_plan_add(p, &(struct proc_spec){"journal", journal_process, &conf});
    size_t web = proc_plan_add(p, &(struct proc_spec){"client", client, NULL});
    proc_plan_channel(p, journal, keys, "keys");
    for (size_t i = 0; i < n_channels; i++)
        proc_plan_channel(p, web, journal, "journal");
    return proc_supervise(p, NULL, NULL);
}

static void run_platform(int (*client)(struct proc *, void *), size_t n_channels)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0)
        _exit(supervise(client, n_channels));
    assert_true(pid > 0 && waitpid(pid, &status, 0) == pid);
    assert_string_equal(seen->fault, "");
    assert_int_equal(status, 0);
}

/* The client's last act: everybody stops. */
static int stop_all(void)
{
    kill(getppid(), SIGTERM);
    while (!proc_stopping)
        usleep(1000);
    return 0;
}

static void leaf_make(struct buf *b, const char *id, const char *kind)
{
    struct journal_entry e;
    journal_entry_start(&e, b, id, clock_now_ms(), kind, NULL);
    journal_entry_str(&e, "actor", STR("agent \"x\" of caf\xc3\xa9"));
    journal_entry_field(&e, STR("name"), STR("\"Durand\""));
    CHECK_OK(journal_entry_end(&e));
}

/* ---- appending -------------------------------------------------------------------------------- */
static int client_basic(struct proc *self, void *arg)
{
    char id[ID_LEN + 1], second[ID_LEN + 1];
    uint64_t index = 99, again = 98;
    struct buf b;
    (void)arg;
    struct journal *j = journal_connect(proc_fd(self, "journal"));
    proc_ready(self);
    buf_init(&b, JOURNAL_LEAF_MAX);
    id_new(id);
    leaf_make(&b, id, "test.one");
    struct journal_record r = {.id = str_from(id), .leaf = buf_str(&b), .subject = STR("p1"),
                               .side = STR("told")};
    CHECK_OK(journal_append(j, &r, WAIT_MS, &index));
    CHECK(index == 0);
    CHECK_OK(journal_append(j, &r, WAIT_MS, &again));
    CHECK(again == 0);
    id_new(second);
    r.id = str_from(second);
    CHECK(journal_append(j, &r, WAIT_MS, NULL) == ERR_INVALID);
    leaf_make(&b, second, "test.two");
    r.leaf = buf_str(&b);
    CHECK_OK(journal_append(j, &r, WAIT_MS, &index));
    CHECK(index == 1);
    usleep(400 * 1000); /* written to files by now */
    CHECK_OK(journal_append(j, &r, WAIT_MS, &again));
    CHECK(again == 1);
    journal_close(j);
    buf_free(&b);
    return stop_all();
}

static void an_entry_gets_its_index_once(void **state)
{
    (void)state;
    run_platform(client_basic, 1);
}

/* ---- setup ------------------------------------------------------------------------------------ */
static void remove_all(const char *path)
{
    DIR *d = opendir(path);
    for (struct dirent *f; d && (f = readdir(d)) != NULL;) {
        char sub[512];
        struct stat st;
        if (strcmp(f->d_name, ".") == 0 || strcmp(f->d_name, "..") == 0)
            continue;
        snprintf(sub, sizeof sub, "%s/%s", path, f->d_name);
        if (lstat(sub, &st) == 0 && S_ISDIR(st.st_mode))
            remove_all(sub);
        else
            unlink(sub);
    }
    if (d)
        closedir(d);
    rmdir(path);
}

static int start(void **state)
{
    (void)state;
    seen = mmap(NULL, sizeof *seen, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    snprintf(folder, sizeof folder, "/tmp/journal-XXXXXX");
    if (seen == MAP_FAILED || !mkdtemp(folder))
        return -1;
    snprintf(data, sizeof data, "%s/journal", folder);
    snprintf(keys_folder, sizeof keys_folder, "%s/keys", folder);
    return 0;
}

static int end(void **state)
{
    (void)state;
    remove_all(folder);
    munmap(seen, sizeof *seen);
    return 0;
}

int main(void)
{
#define UNIT(f) cmocka_unit_test_setup_teardown(f, start, end)
    const struct CMUnitTest tests[] = {
        UNIT(an_entry_gets_its_index_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
