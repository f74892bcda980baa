/* The sandbox: what the platform's processes do goes on working, what an intruder would try does
 * not. Each attempt runs in a process of its own, which says what became of it by its end. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "sys/file.h"
#include "sys/sandbox.h"

enum {
    WEB = SANDBOX_NET | SANDBOX_FILES | SANDBOX_THREADS,
    KEYS = SANDBOX_FILES | SANDBOX_THREADS
};
enum { DONE = 0, NO_SANDBOX = 99, KILLED = 1000 }; /* else: the errno of a refusal */

static char dir[64], outside[80], inside[96];
static unsigned port; /* a listener of the parent's, on the loopback */
static int listener;

static int setup(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/socle-sandbox-XXXXXX");
    if (!mkdtemp(dir))
        return 1;
    snprintf(outside, sizeof outside, "%s/outside", dir);
    snprintf(inside, sizeof inside, "%s/data", dir);
    if (mkdir(inside, 0700) != 0 || file_write_atomic(outside, STR("secret"), 0644) != ERR_OK)
        return 1;
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&a, n) != 0 || listen(listener, 8) != 0 ||
        getsockname(listener, (struct sockaddr *)&a, &n) != 0)
        return 1;
    port = ntohs(a.sin_port);
    log_set_level(LOG_ERROR + 1);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    char cmd[128];
    snprintf(cmd, sizeof cmd, "rm -rf %s", dir);
    return system(cmd);
}

static bool enter(unsigned flags)
{
    const char *read_paths[] = {"/etc/ssl", "/etc/hosts", "/no/such/path", "/proc/self", NULL};
    const char *write_paths[] = {inside, "/dev/null", NULL};
    struct sandbox s = {flags, read_paths, write_paths};
    return sandbox_enter(&s) == ERR_OK;
}

/* The end of fn in a sandbox: what it returned, or KILLED + the signal. */
static int outcome(unsigned flags, int (*fn)(void))
{
    int status = -1;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        _exit(enter(flags) ? fn() : NO_SANDBOX);
    waitpid(pid, &status, 0);
    return WIFSIGNALED(status) ? KILLED + WTERMSIG(status) : WEXITSTATUS(status);
}

static int said(long rc)
{
    return rc < 0 ? errno : DONE;
}

#define CHECK(x)             \
    do {                     \
        if (!(x))            \
            return __LINE__; \
    } while (0)

/* --- what must work --------------------------------------------------------------------------- */

static int use_sqlite(void)
{
    char path[128];
    sqlite3 *h;
    snprintf(path, sizeof path, "%s/t.db", inside);
    CHECK(sqlite3_open(path, &h) == SQLITE_OK);
    CHECK(sqlite3_exec(h,
                       "PRAGMA temp_store=MEMORY; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                       "CREATE TABLE IF NOT EXISTS t(x);"
                       "INSERT INTO t VALUES(randomblob(100000)); DELETE FROM t; VACUUM;"
                       "PRAGMA wal_checkpoint(TRUNCATE)",
                       NULL, NULL, NULL) == SQLITE_OK);
    CHECK(sqlite3_close(h) == SQLITE_OK);
    return DONE;
}

static int use_files(void)
{
    char path[128];
    struct arena a;
    struct str got;
    arena_init(&a);
    snprintf(path, sizeof path, "%s/a/b", inside);
    CHECK(file_make_dirs(path, 0700) == ERR_OK);
    snprintf(path, sizeof path, "%s/a/b/f", inside);
    CHECK(file_write_atomic(path, STR("x"), 0600) == ERR_OK);
    CHECK(file_write_atomic(path, STR("y"), 0600) == ERR_OK);
    CHECK(file_read(&a, path, 10, &got) == ERR_OK && str_eq(got, STR("y")));
    CHECK(file_read(&a, "/etc/hosts", 100000, &got) == ERR_OK);
    int null = open("/dev/null", O_RDWR), f = open(path, O_RDWR | O_TRUNC);
    CHECK(null >= 0 && f >= 0 && ftruncate(f, 4096) == 0 && posix_fallocate(f, 0, 8192) == 0);
    CHECK(sendfile(null, f, NULL, 100) == 100 && fsync(f) == 0);
    int m = memfd_create("spool", MFD_CLOEXEC);
    CHECK(m >= 0 && write(m, "x", 1) == 1);
    CHECK(unlink(path) == 0);
    arena_free(&a);
    return DONE;
}

static void *leave(void *arg)
{
    prctl(PR_SET_NAME, "worker");
    pthread_exit(arg);
}

static void *stay(void *arg)
{
    char *p = malloc(1 << 20);
    memset(p, 1, 1 << 20);
    free(p);
    return arg;
}

static int use_threads(void)
{
    pthread_t t[8];
    void *got;
    for (size_t i = 0; i < COUNT_OF(t); i++)
        CHECK(pthread_create(&t[i], NULL, i % 2 ? leave : stay, dir) == 0);
    for (size_t i = 0; i < COUNT_OF(t); i++)
        CHECK(pthread_join(t[i], &got) == 0 && got == dir);
    return DONE;
}

static int use_ordinary(void)
{
    struct tm tm;
    char text[40];
    time_t now = time(NULL);
    localtime_r(&now, &tm);
    CHECK(strftime(text, sizeof text, "%c", &tm) > 0);
    isatty(2);
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    EVP_PKEY *k = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    unsigned char sig[64];
    size_t n = sizeof sig;
    CHECK(c && k && EVP_DigestSignInit(c, NULL, NULL, NULL, k) == 1);
    CHECK(EVP_DigestSign(c, sig, &n, (const unsigned char *)"x", 1) == 1);
    EVP_MD_CTX_free(c);
    EVP_PKEY_free(k);
    return use_threads();
}

static int connect_inet(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                            .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return fd < 0 ? errno : said(connect(fd, (struct sockaddr *)&a, sizeof a));
}

static int use_net(void)
{
    int one = 1, pair[2];
    int ep = epoll_create1(EPOLL_CLOEXEC), ev = eventfd(0, EFD_CLOEXEC);
    struct epoll_event e = {.events = EPOLLIN};
    CHECK(connect_inet() == DONE);
    CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, listener, &e) == 0 && ev >= 0);
    CHECK(epoll_wait(ep, &e, 1, 10000) == 1);
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    CHECK(fd >= 0 && setsockopt(fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &one, sizeof one) == 0);
    CHECK(send(fd, "x", 1, MSG_NOSIGNAL) == 1);
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
    struct sockaddr_in any = {.sin_family = AF_INET};
    int udp = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    CHECK(udp >= 0 && bind(udp, (struct sockaddr *)&any, sizeof any) == 0);
    CHECK(socket(AF_UNIX, SOCK_STREAM, 0) >= 0);
    return DONE;
}

static void what_is_needed_works(void **state)
{
    (void)state;
    static int (*const web[])(void) = {use_sqlite, use_files, use_threads, use_ordinary, use_net};
    static int (*const keys[])(void) = {use_sqlite, use_files, use_threads, use_ordinary};
    for (size_t i = 0; i < COUNT_OF(web); i++)
        assert_int_equal(outcome(WEB, web[i]), DONE);
    for (size_t i = 0; i < COUNT_OF(keys); i++)
        assert_int_equal(outcome(KEYS, keys[i]), DONE);
}

/* --- what must not ---------------------------------------------------------------------------- */

static int run_shell(void)
{
    char *argv[] = {(char *)"/bin/true", NULL};
    return said(execve(argv[0], argv, NULL));
}

static int run_from_memory(void)
{
    char *argv[] = {(char *)"x", NULL};
    return said(syscall(SYS_execveat, memfd_create("x", 0), "", argv, NULL, AT_EMPTY_PATH));
}

static int fork_one(void)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    return said(pid);
}

static int trace_parent(void)
{
    return said(ptrace(PTRACE_ATTACH, getppid(), NULL, NULL));
}

static int read_parent(void)
{
    return said(syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0));
}

static int kill_parent(void)
{
    return said(kill(getppid(), 0));
}

static int own_parent(void)
{
    return said(fcntl(listener, F_SETOWN, getppid()));
}

static int open_raw(void)
{
    return said(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
}

static int open_packet(void)
{
    return said(socket(AF_PACKET, SOCK_DGRAM, 0));
}

static int open_netlink(void)
{
    return said(socket(AF_NETLINK, SOCK_RAW, 0));
}

static int new_namespace(void)
{
    return said(syscall(SYS_unshare, 0x10000000 /* CLONE_NEWUSER */));
}

static int type_on_terminal(void)
{
    return said(syscall(SYS_ioctl, 0, 0x5412 /* TIOCSTI */, "x"));
}

static int run_memory(void)
{
    return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED
               ? errno
               : DONE;
}

static int make_code(void)
{
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return said(mprotect(p, 4096, PROT_READ | PROT_EXEC));
}

static int ask_keyring(void)
{
    return said(syscall(SYS_keyctl, 0, -3, 1));
}

static int load_bpf(void)
{
    return said(syscall(SYS_bpf, 0, NULL, 0));
}

static int mount_one(void)
{
    return said(syscall(SYS_mount, "none", inside, "tmpfs", 0, NULL));
}

static int old_abi(void)
{
#ifdef __x86_64__
    return said(syscall(0x40000000 | SYS_getpid)); /* x32: the same calls by other numbers */
#else
    raise(SIGSYS);
    return DONE;
#endif
}

static void forbidden_calls_end_it(void **state)
{
    (void)state;
    static const struct {
        int (*fn)(void);
        unsigned flags;
    } deadly[] = {
        {run_shell, WEB},        {run_from_memory, WEB}, {fork_one, WEB},
        {trace_parent, WEB},     {read_parent, WEB},     {kill_parent, WEB},
        {own_parent, WEB},       {open_raw, WEB},        {open_packet, WEB},
        {new_namespace, WEB},    {load_bpf, WEB},        {mount_one, WEB},
        {type_on_terminal, WEB}, {old_abi, WEB},         {run_shell, KEYS},
        {fork_one, KEYS},        {connect_inet, KEYS},   {use_threads, SANDBOX_FILES},
    };
    for (size_t i = 0; i < COUNT_OF(deadly); i++) {
        int got = outcome(deadly[i].flags, deadly[i].fn);
        if (got != KILLED + SIGSYS)
            fail_msg("attempt %zu ended with %d", i, got);
    }
}

static void probes_are_refused_and_survived(void **state)
{
    (void)state;
    assert_int_equal(outcome(WEB, ask_keyring), EPERM);
    assert_int_equal(outcome(WEB, open_netlink), EAFNOSUPPORT);
    assert_int_equal(outcome(WEB, run_memory), EPERM);
    assert_int_equal(outcome(WEB, make_code), EPERM);
}

/* --- files outside ---------------------------------------------------------------------------- */

static int read_outside(void)
{
    return said(open(outside, O_RDONLY));
}

static int read_shadow(void)
{
    return said(open("/etc/shadow", O_RDONLY));
}

static int climb_outside(void)
{
    char path[128];
    snprintf(path, sizeof path, "%s/../outside", inside);
    return said(open(path, O_RDONLY));
}

static int follow_link(void)
{
    char path[128];
    snprintf(path, sizeof path, "%s/link", inside);
    return said(open(path, O_RDONLY));
}

static int write_read_only(void)
{
    return said(open("/etc/hosts", O_WRONLY));
}

static int create_outside(void)
{
    char path[128];
    snprintf(path, sizeof path, "%s/new", dir);
    return said(open(path, O_WRONLY | O_CREAT, 0600));
}

static int move_outside(void)
{
    char from[128], to[128];
    snprintf(from, sizeof from, "%s/mine", inside);
    snprintf(to, sizeof to, "%s/moved", dir);
    int fd = open(from, O_WRONLY | O_CREAT, 0600);
    CHECK(fd >= 0);
    return said(rename(from, to));
}

static int read_parent_memory(void)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/environ", getppid());
    return said(open(path, O_RDONLY));
}

static int open_anything(void)
{
    return said(open("/dev/null", O_RDONLY));
}

static int listen_anew(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    return said(bind(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&a, sizeof a));
}

static long landlock_abi(void)
{
    return syscall(444, NULL, 0, 1);
}

static void files_outside_are_out_of_reach(void **state)
{
    (void)state;
    char link[128];
    assert_int_equal(outcome(0, open_anything), EPERM);
    if (landlock_abi() < 3)
        return; /* an older kernel: the filter stands alone, as sandbox_state says */
    snprintf(link, sizeof link, "%s/link", inside);
    assert_int_equal(symlink(outside, link), 0);
    static int (*const attempts[])(void) = {read_outside,      read_shadow,     climb_outside,
                                            follow_link,       write_read_only, create_outside,
                                            read_parent_memory};
    for (size_t i = 0; i < COUNT_OF(attempts); i++) {
        int got = outcome(WEB, attempts[i]);
        if (got != EACCES)
            fail_msg("attempt %zu ended with %d", i, got);
    }
    assert_int_not_equal(outcome(WEB, move_outside), DONE);
    if (landlock_abi() >= 4)
        assert_int_equal(outcome(WEB, listen_anew), EACCES);
}

/* --- privileges ------------------------------------------------------------------------------- */

static int has_privileges(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct caps[2];
    syscall(SYS_capget, &head, caps);
    return caps[0].effective | caps[0].permitted | caps[1].effective | caps[1].permitted ? 1 : 0;
}

static void no_privilege_is_kept(void **state)
{
    (void)state;
    int status = -1;
    pid_t pid = fork();
    if (pid == 0) {
        int fd = open("/proc/self/status", O_RDONLY);
        char text[4096] = "";
        if (!enter(WEB) || pread(fd, text, sizeof text - 1, 0) <= 0)
            _exit(NO_SANDBOX);
        bool good = strstr(text, "CapEff:\t0000000000000000") &&
                    strstr(text, "CapPrm:\t0000000000000000") && strstr(text, "NoNewPrivs:\t1") &&
                    strstr(text, "Seccomp:\t2");
        if (geteuid() == 0) /* others have no right to drop it, and nothing to gain from it */
            good = good && strstr(text, "CapBnd:\t0000000000000000");
        _exit(good ? 0 : 1);
    }
    waitpid(pid, &status, 0);
    assert_int_equal(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 0);
    assert_true(geteuid() != 0 || has_privileges()); /* the test itself is outside */
}

static void *wait_long(void *arg)
{
    pause();
    return arg;
}

static void threads_before_it_are_refused(void **state)
{
    (void)state;
    int status = -1;
    pid_t pid = fork();
    if (pid == 0) {
        pthread_t t;
        pthread_create(&t, NULL, wait_long, NULL);
        _exit(enter(WEB) ? 0 : 1);
    }
    waitpid(pid, &status, 0);
    assert_int_equal(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 1);
}

static long abi;

static int say_state(void)
{
    return strncmp(sandbox_state(), "seccomp", 7) == 0 &&
                   (abi < 0 || strstr(sandbox_state(), "landlock-"))
               ? DONE
               : 1;
}

static void it_says_how_far_it_went(void **state)
{
    (void)state;
    abi = landlock_abi();
    assert_string_equal(sandbox_state(), "none");
    assert_int_equal(outcome(KEYS, say_state), DONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_needed_works),
        cmocka_unit_test(forbidden_calls_end_it),
        cmocka_unit_test(probes_are_refused_and_survived),
        cmocka_unit_test(files_outside_are_out_of_reach),
        cmocka_unit_test(no_privilege_is_kept),
        cmocka_unit_test(threads_before_it_are_refused),
        cmocka_unit_test(it_says_how_far_it_went),
    };
    return cmocka_run_group_tests_name("sandbox", tests, setup, teardown);
}
