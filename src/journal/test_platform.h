/* For tests of the journal as it runs: keys, journal and a client under the supervisor, in
 * processes of their own. The client writes down in shared memory what it saw. Included once per
 * test. */
#ifndef JOURNAL_TEST_PLATFORM_H
#define JOURNAL_TEST_PLATFORM_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "base/rand.h"
#include "crypto/keys.h"
#include "journal/disk.h"
#include "journal/journal.h"
#include "sys/file.h"

enum { WAIT_MS = 60000, ACKED_MAX = 400000 };

struct acked {
    char id[ID_LEN + 1];
    uint64_t index;
};
static struct shared_memory {
    char fault[800]; /* the first thing that was not as it must be */
    _Atomic int journal_pid, starts;
    _Atomic size_t n_acked, at_backup; /* so many of `acked`; and when the last backup began */
    _Atomic bool disk_full;
    struct acked acked[ACKED_MAX];
} * seen;
static char folder[64], data[160], keys_folder[96];
static struct arena arena;

static inline void fault(const char *file, int line, const char *what)
{
    if (!seen->fault[0])
        snprintf(seen->fault, sizeof seen->fault, "%s:%d: %s", file, line, what);
}
#define CHECK(cond) ((cond) ? (void)0 : fault(__FILE__, __LINE__, #cond))
#define CHECK_OK(call)                                      \
    do {                                                    \
        enum err check_err = (call);                        \
        if (check_err != ERR_OK)                            \
            fault(__FILE__, __LINE__, err_name(check_err)); \
    } while (0)
#define assert_ok(call) assert_string_equal(err_name(call), "ok")

/* ---- processes --------------------------------------------------------------------------------
 */
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

static int supervise(int (*client)(struct proc *, void *), size_t n_channels)
{
    struct keys_conf keys_conf = {keys_folder};
    struct journal_conf conf = {.folder = data, .origin = "test.example/journal"};
    struct proc_plan *p = proc_plan_new();
    log_set_level(LOG_ERROR);
    size_t keys = proc_plan_add(p, &(struct proc_spec){"keys", keys_main, &keys_conf});
    size_t journal = proc_plan_add(p, &(struct proc_spec){"journal", journal_process, &conf});
    size_t web = proc_plan_add(p, &(struct proc_spec){"client", client, NULL});
    proc_plan_channel(p, journal, keys, "keys");
    for (size_t i = 0; i < n_channels; i++)
        proc_plan_channel(p, web, journal, "journal");
    return proc_supervise(p, NULL, NULL);
}

/* Runs until the client calls stop_all. */
static inline void run_platform(int (*client)(struct proc *, void *), size_t n_channels)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0)
        _exit(supervise(client, n_channels));
    assert_true(pid > 0 && waitpid(pid, &status, 0) == pid);
    assert_string_equal(seen->fault, "");
    assert_int_equal(status, 0);
}

/* The client's last act. */
static inline int stop_all(void)
{
    kill(getppid(), SIGTERM);
    while (!proc_stopping)
        usleep(1000);
    return 0;
}

static inline void leaf_make(struct buf *b, const char *id, int64_t at_ms, const char *kind)
{
    struct journal_entry e;
    journal_entry_start(&e, b, id, at_ms, kind, NULL);
    journal_entry_str(&e, "actor", STR("agent \"x\" of caf\xc3\xa9"));
    journal_entry_field(&e, STR("name"), STR("\"Durand\""));
    CHECK_OK(journal_entry_end(&e));
}

/* Appends n entries in messages of many. */
static inline void append_n(struct journal *j, size_t n, const char *subject)
{
    enum { AT_ONCE = 200 };
    struct journal_record r[AT_ONCE];
    uint64_t indexes[AT_ONCE];
    char ids[AT_ONCE][ID_LEN + 1];
    struct arena a;
    struct buf b;
    arena_init(&a);
    buf_init(&b, JOURNAL_LEAF_MAX);
    for (size_t done = 0; done < n && !seen->fault[0];) {
        size_t k = 0;
        for (; k < AT_ONCE && done + k < n; k++) {
            id_new(ids[k]);
            leaf_make(&b, ids[k], clock_now_ms(), k % 2 ? "test.odd" : "test.even");
            r[k] = (struct journal_record){.id = str_from(ids[k]),
                                           .leaf = arena_dup(&a, buf_str(&b)),
                                           .subject = str_from(subject),
                                           .side = subject ? STR("told to her") : STR_NONE};
        }
        CHECK_OK(journal_append_many(j, r, k, WAIT_MS, indexes));
        for (size_t i = 0; i < k && seen->n_acked < ACKED_MAX; i++) {
            struct acked *x = &seen->acked[seen->n_acked++];
            memcpy(x->id, ids[i], sizeof x->id);
            x->index = indexes[i];
        }
        done += k;
        arena_reset(&a);
    }
    buf_free(&b);
    arena_free(&a);
}

/* ---- setup ------------------------------------------------------------------------------------
 */
static inline void remove_all(const char *path)
{
    DIR *d = opendir(path);
    for (struct dirent *f; d && (f = readdir(d)) != NULL;) {
        char sub[512];
        struct stat st;
        if (strcmp(f->d_name, ".") == 0 || strcmp(f->d_name, "..") == 0 ||
            snprintf(sub, sizeof sub, "%s/%s", path, f->d_name) >= (int)sizeof sub)
            continue;
        if (lstat(sub, &st) == 0 && S_ISDIR(st.st_mode))
            remove_all(sub);
        else
            unlink(sub);
    }
    if (d)
        closedir(d);
    rmdir(path);
}

static inline int start(void **state)
{
    (void)state;
    log_set_level(LOG_ERROR);
    arena_init(&arena);
    seen = mmap(NULL, sizeof *seen, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    snprintf(folder, sizeof folder, "/tmp/journal-XXXXXX");
    if (seen == MAP_FAILED || !mkdtemp(folder))
        return -1;
    snprintf(data, sizeof data, "%s/journal", folder);
    snprintf(keys_folder, sizeof keys_folder, "%s/keys", folder);
    return 0;
}

static inline int end(void **state)
{
    (void)state;
    remove_all(folder);
    munmap(seen, sizeof *seen);
    arena_free(&arena);
    return 0;
}

#endif
