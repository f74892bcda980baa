/* Confinement, three nets one behind the other. Landlock says which files and folders exist for the
 * process; the seccomp filter says which parts of the kernel do; without capabilities, being root
 * is being the owner of root's files and nothing more. All three hold for every thread to come and
 * cannot be taken back.
 *
 * The filter is a list of what is allowed, so that what the kernel gains tomorrow is refused today.
 * A call that is not on it kills the process: whoever takes the process over may not go on trying.
 * The few that libraries only probe for get an error instead (`probed`). Debug builds say which
 * call it was before they die. */
#include "sys/sandbox.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"

static char state[48] = "none";

const char *sandbox_state(void)
{
    return state;
}

/* --- Landlock, by its system calls: Debian 12 has no library for it --------------------------- */

/* Rights newer than Debian 12's headers, with the ABI that brought them. */
enum {
    FS_TRUNCATE = 1 << 14,  /* 3 */
    FS_IOCTL_DEV = 1 << 15, /* 5 */
    NET_BIND_TCP = 1 << 0,  /* 4 */
    NET_CONNECT_TCP = 1 << 1,
    SCOPE_ABSTRACT_SOCKET = 1 << 0, /* 6 */
    SCOPE_SIGNAL = 1 << 1,
};
struct ruleset {
    uint64_t fs, net, scoped;
};
enum {
    FS_READ = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR,
    FS_WRITE = FS_READ | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |
               LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR |
               LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REFER | FS_TRUNCATE,
    FS_ON_FILES = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE,
};

static uint64_t fs_known(long abi)
{
    uint64_t all = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1;
    all |= abi >= 2 ? LANDLOCK_ACCESS_FS_REFER : 0;
    all |= abi >= 3 ? FS_TRUNCATE : 0;
    return all | (abi >= 5 ? FS_IOCTL_DEV : 0);
}

/* A path that is not there is nothing to allow. */
static enum err path_allow(int ruleset_fd, const char *path, uint64_t rights)
{
    struct stat st;
    int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return ERR_OK;
    if (fstat(fd, &st) == 0 && !S_ISDIR(st.st_mode))
        rights &= FS_ON_FILES;
    struct landlock_path_beneath_attr rule = {.allowed_access = rights, .parent_fd = fd};
    long rc = syscall(SYS_landlock_add_rule, ruleset_fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    if (rc != 0)
        log_error("sandbox_path_refused", "path", path, "errno", LOG_NUM(errno));
    close(fd);
    return rc == 0 ? ERR_OK : ERR_INTERNAL;
}

static enum err paths_allow(int ruleset_fd, const char *const *paths, uint64_t rights)
{
    enum err e = ERR_OK;
    for (; paths && *paths && e == ERR_OK; paths++)
        e = path_allow(ruleset_fd, *paths, rights);
    return e;
}

static enum err landlock_enter(const struct sandbox *s, long abi)
{
    static const char *const debug_paths[] = {"/proc/self", "/proc/self/exe", "/usr/lib", NULL};
    /* Listening sockets are inherited: nobody here makes one. */
    struct ruleset set = {.fs = fs_known(abi),
                          .net = abi < 4 ? 0 : NET_BIND_TCP,
                          .scoped = abi < 6 ? 0 : SCOPE_ABSTRACT_SOCKET | SCOPE_SIGNAL};
    if (abi >= 4 && !(s->flags & SANDBOX_NET))
        set.net |= NET_CONNECT_TCP;
    int fd = (int)syscall(SYS_landlock_create_ruleset, &set, sizeof set, 0);
    if (fd < 0)
        return ERR_INTERNAL;
    enum err e = ERR_OK;
    if (s->flags & SANDBOX_FILES) {
        e = paths_allow(fd, s->read_paths, FS_READ);
        if (e == ERR_OK)
            e = paths_allow(fd, s->write_paths, FS_WRITE & set.fs);
    }
#ifdef SOCLE_DEBUG /* the sanitizers' reports read these */
    if (e == ERR_OK)
        e = paths_allow(fd, debug_paths, FS_READ);
#else
    (void)debug_paths;
#endif
    if (e == ERR_OK && syscall(SYS_landlock_restrict_self, fd, 0) != 0)
        e = ERR_INTERNAL;
    close(fd);
    return e;
}

/* --- privileges ------------------------------------------------------------------------------- */

static bool capabilities_drop(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {{0}};
    for (int cap = 0; prctl(PR_CAPBSET_READ, cap) >= 0; cap++)
        prctl(PR_CAPBSET_DROP, cap); /* refused to who has none to drop */
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    return syscall(SYS_capset, &head, none) == 0;
}

/* Landlock holds for the calling thread and those it starts: there must be no other yet. */
static bool alone(void)
{
    struct stat st;
    return stat("/proc/self/task", &st) != 0 || st.st_nlink <= 3; /* ".", ".." and one */
}

static bool privileges_drop(void)
{
    struct rlimit no_core = {0, 0};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 &&
           setrlimit(RLIMIT_CORE, &no_core) == 0 && capabilities_drop();
}

/* --- the filter ------------------------------------------------------------------------------- */

enum { ALWAYS = 8 }; /* beside the flags of sandbox.h */

#define CALL(name) SCMP_SYS(name)

/* clang-format off */
static const int always[] = {
    /* what is open */
    CALL(read), CALL(readv), CALL(pread64), CALL(preadv), CALL(preadv2), CALL(write), CALL(writev),
    CALL(pwrite64), CALL(pwritev), CALL(pwritev2), CALL(lseek), CALL(close), CALL(close_range),
    CALL(dup), CALL(dup2), CALL(dup3), CALL(pipe), CALL(pipe2), CALL(sendfile), CALL(splice),
    CALL(tee), CALL(memfd_create), CALL(ftruncate), CALL(fallocate), CALL(fsync), CALL(fdatasync),
    CALL(sync_file_range), CALL(fadvise64), CALL(readahead), CALL(copy_file_range),
    /* sockets and channels that are open */
    CALL(sendto), CALL(sendmsg), CALL(sendmmsg), CALL(recvfrom), CALL(recvmsg), CALL(recvmmsg),
    CALL(shutdown), CALL(getsockname), CALL(getpeername), CALL(getsockopt),
    /* what things are, never what is in them */
    CALL(fstat), CALL(stat), CALL(lstat), CALL(newfstatat), CALL(statx), CALL(access),
    CALL(faccessat), CALL(faccessat2), CALL(readlink), CALL(readlinkat), CALL(getcwd),
    /* memory */
    CALL(munmap), CALL(mremap), CALL(madvise), CALL(brk), CALL(msync), CALL(mincore), CALL(mlock),
    CALL(mlock2), CALL(munlock), CALL(membarrier),
    /* waiting */
    CALL(futex), CALL(poll), CALL(ppoll), CALL(select), CALL(pselect6), CALL(epoll_create1),
    CALL(epoll_ctl), CALL(epoll_wait), CALL(epoll_pwait), CALL(epoll_pwait2), CALL(eventfd2),
    CALL(timerfd_create), CALL(timerfd_settime), CALL(timerfd_gettime), CALL(signalfd4),
    CALL(nanosleep), CALL(clock_nanosleep), CALL(sched_yield), CALL(pause), CALL(restart_syscall),
    /* time */
    CALL(clock_gettime), CALL(clock_getres), CALL(gettimeofday), CALL(time), CALL(times),
    /* signals to itself; kill and tgkill are below */
    CALL(rt_sigaction), CALL(rt_sigprocmask), CALL(rt_sigreturn), CALL(rt_sigsuspend),
    CALL(rt_sigtimedwait), CALL(rt_sigpending), CALL(sigaltstack),
    /* itself */
    CALL(getpid), CALL(gettid), CALL(getppid), CALL(getuid), CALL(geteuid), CALL(getgid),
    CALL(getegid), CALL(getresuid), CALL(getresgid), CALL(getgroups), CALL(getpgid), CALL(getpgrp),
    CALL(getsid), CALL(getrlimit), CALL(getrusage), CALL(uname), CALL(sysinfo), CALL(getcpu),
    CALL(sched_getaffinity), CALL(getrandom), CALL(set_robust_list), CALL(get_robust_list),
    CALL(rseq), CALL(set_tid_address), CALL(umask), CALL(exit), CALL(exit_group),
};

static const int with_files[] = {
    CALL(open), CALL(openat), CALL(creat), CALL(getdents64), CALL(mkdir), CALL(mkdirat),
    CALL(rmdir), CALL(unlink), CALL(unlinkat), CALL(rename), CALL(renameat), CALL(renameat2),
    CALL(link), CALL(linkat), CALL(truncate), CALL(flock), CALL(chmod), CALL(fchmod),
    CALL(fchmodat), CALL(fchown), CALL(utimensat), CALL(statfs), CALL(fstatfs), CALL(syncfs),
};

static const int with_net[] = {
    CALL(connect), CALL(bind), CALL(listen), CALL(accept), CALL(accept4),
};

/* Libraries ask for these and do without. */
static const struct {
    int nr, error;
    unsigned unless; /* with this flag it is judged elsewhere */
} probed[] = {
    {CALL(clone3), ENOSYS, 0}, /* its flags are out of sight; glibc then uses clone */
    {CALL(keyctl), EPERM, 0},
    {CALL(add_key), EPERM, 0},
    {CALL(request_key), EPERM, 0},
    {CALL(io_uring_setup), EPERM, 0},
    {CALL(get_mempolicy), EPERM, 0},
    {CALL(set_mempolicy), EPERM, 0},
    {CALL(mbind), EPERM, 0},
    {CALL(setpriority), EPERM, 0},
    {CALL(sched_setaffinity), EPERM, 0},
    {CALL(sched_setscheduler), EPERM, 0},
    {CALL(sched_getscheduler), EPERM, 0},
    {CALL(sched_getparam), EPERM, 0},
    {CALL(openat2), EPERM, 0},
    {CALL(open), EPERM, SANDBOX_FILES},
    {CALL(openat), EPERM, SANDBOX_FILES},
};

/* Calls whose arguments decide: allowed (or refused with an error) when (arg & mask) == value. */
enum {
    NEW_NAMESPACES = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |
                     CLONE_NEWNET | CLONE_NEWCGROUP
};
enum { SOCK_TYPE = 0xf }; /* without SOCK_NONBLOCK and SOCK_CLOEXEC */
enum { PR_SET_VMA_NAME = 0x53564d41 };
#define AN_INT  0xffffffffu /* the kernel does not look at the upper half */
#define POINTER (~(uint64_t)0)
static const struct judged {
    int nr, error;
    unsigned flag, arg;
    uint64_t mask, value;
    unsigned arg2;
    uint64_t mask2, value2; /* mask2 0: one test only */
} judged[] = {
    /* memory is written or run, not both; nothing new is run at all */
    {CALL(mmap), 0, ALWAYS, 2, PROT_EXEC, 0, 0, 0, 0},
    {CALL(mmap), EPERM, ALWAYS, 2, PROT_EXEC, PROT_EXEC, 0, 0, 0},
    {CALL(mprotect), 0, ALWAYS, 2, PROT_EXEC, 0, 0, 0, 0},
    {CALL(mprotect), EPERM, ALWAYS, 2, PROT_EXEC, PROT_EXEC, 0, 0, 0},
    {CALL(clone), 0, SANDBOX_THREADS, 0, CLONE_THREAD | NEW_NAMESPACES, CLONE_THREAD, 0, 0, 0},
    {CALL(socket), 0, SANDBOX_NET, 0, AN_INT, AF_INET, 1, SOCK_TYPE, SOCK_STREAM},
    {CALL(socket), 0, SANDBOX_NET, 0, AN_INT, AF_INET, 1, SOCK_TYPE, SOCK_DGRAM},
    {CALL(socket), 0, SANDBOX_NET, 0, AN_INT, AF_INET6, 1, SOCK_TYPE, SOCK_STREAM},
    {CALL(socket), 0, SANDBOX_NET, 0, AN_INT, AF_INET6, 1, SOCK_TYPE, SOCK_DGRAM},
    {CALL(socket), 0, SANDBOX_NET, 0, AN_INT, AF_UNIX, 0, 0, 0},
    {CALL(socket), EAFNOSUPPORT, SANDBOX_NET, 0, AN_INT, AF_NETLINK, 0, 0, 0}, /* getaddrinfo's */
    {CALL(socketpair), 0, SANDBOX_NET, 0, AN_INT, AF_UNIX, 0, 0, 0},
    {CALL(setsockopt), 0, ALWAYS, 1, AN_INT, SOL_SOCKET, 0, 0, 0},
    {CALL(setsockopt), 0, SANDBOX_NET, 1, AN_INT, IPPROTO_TCP, 0, 0, 0},
    {CALL(setsockopt), 0, SANDBOX_NET, 1, AN_INT, IPPROTO_IP, 0, 0, 0},
    {CALL(setsockopt), 0, SANDBOX_NET, 1, AN_INT, IPPROTO_IPV6, 0, 0, 0},
    {CALL(ioctl), 0, ALWAYS, 1, AN_INT, FIONBIO, 0, 0, 0},
    {CALL(ioctl), 0, ALWAYS, 1, AN_INT, FIONREAD, 0, 0, 0},
    {CALL(ioctl), ENOTTY, ALWAYS, 1, AN_INT, 0x5401 /* TCGETS: isatty */, 0, 0, 0},
    {CALL(prctl), 0, ALWAYS, 0, AN_INT, PR_SET_NAME, 0, 0, 0},
    {CALL(prctl), 0, ALWAYS, 0, AN_INT, PR_GET_NAME, 0, 0, 0},
    {CALL(prctl), EPERM, ALWAYS, 0, AN_INT, PR_SET_VMA_NAME, 0, 0, 0},
    {CALL(sched_setattr), 0, ALWAYS, 0, AN_INT, 0, 0, 0, 0}, /* of itself: sys/turn.h */
    {CALL(prlimit64), 0, ALWAYS, 2, POINTER, 0, 0, 0, 0},    /* reading */
    /* not F_SETOWN and F_SETSIG, which send signals */
    {CALL(fcntl), 0, ALWAYS, 1, AN_INT, F_DUPFD, 0, 0, 0},
    {CALL(fcntl), 0, ALWAYS, 1, AN_INT, F_DUPFD_CLOEXEC, 0, 0, 0},
    {CALL(fcntl), 0, ALWAYS, 1, AN_INT, F_GETFD, 0, 0, 0},
    {CALL(fcntl), 0, ALWAYS, 1, AN_INT, F_SETFD, 0, 0, 0},
    {CALL(fcntl), 0, ALWAYS, 1, AN_INT, F_GETFL, 0, 0, 0},
    {CALL(fcntl), 0, ALWAYS, 1, AN_INT, F_SETFL, 0, 0, 0},
    {CALL(fcntl), 0, ALWAYS, 1, AN_INT, F_GETLK, 0, 0, 0},
    {CALL(fcntl), 0, ALWAYS, 1, AN_INT, F_SETLK, 0, 0, 0},
    {CALL(fcntl), 0, ALWAYS, 1, AN_INT, F_SETLKW, 0, 0, 0},
    {CALL(fcntl), 0, ALWAYS, 1, AN_INT, F_OFD_GETLK, 0, 0, 0},
    {CALL(fcntl), 0, ALWAYS, 1, AN_INT, F_OFD_SETLK, 0, 0, 0},
    {CALL(fcntl), 0, ALWAYS, 1, AN_INT, F_OFD_SETLKW, 0, 0, 0},
    {CALL(fcntl), 0, ALWAYS, 1, AN_INT, F_SETPIPE_SZ, 0, 0, 0},
    {CALL(fcntl), 0, ALWAYS, 1, AN_INT, F_GETPIPE_SZ, 0, 0, 0},
    {CALL(fcntl), 0, ALWAYS, 1, AN_INT, F_ADD_SEALS, 0, 0, 0},
    {CALL(fcntl), 0, ALWAYS, 1, AN_INT, F_GET_SEALS, 0, 0, 0},
};
/* clang-format on */

static int calls_allow(scmp_filter_ctx f, const int *calls, size_t n)
{
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, calls[i], 0);
    return rc;
}

static int judged_add(scmp_filter_ctx f, const struct judged *j)
{
    struct scmp_arg_cmp tests[2] = {SCMP_CMP(j->arg, SCMP_CMP_MASKED_EQ, j->mask, j->value),
                                    SCMP_CMP(j->arg2, SCMP_CMP_MASKED_EQ, j->mask2, j->value2)};
    uint32_t act = j->error ? SCMP_ACT_ERRNO((uint16_t)j->error) : SCMP_ACT_ALLOW;
    return seccomp_rule_add_array(f, act, j->nr, j->mask2 ? 2 : 1, tests);
}

static int rules_add(scmp_filter_ctx f, unsigned flags)
{
    int rc = calls_allow(f, always, sizeof always / sizeof always[0]);
    if (rc == 0 && flags & SANDBOX_FILES)
        rc = calls_allow(f, with_files, sizeof with_files / sizeof with_files[0]);
    if (rc == 0 && flags & SANDBOX_NET)
        rc = calls_allow(f, with_net, sizeof with_net / sizeof with_net[0]);
    for (size_t i = 0; i < sizeof judged / sizeof judged[0] && rc == 0; i++)
        if ((flags | ALWAYS) & judged[i].flag)
            rc = judged_add(f, &judged[i]);
    for (size_t i = 0; i < sizeof probed / sizeof probed[0] && rc == 0; i++)
        if (!(flags & probed[i].unless))
            rc = seccomp_rule_add(f, SCMP_ACT_ERRNO((uint16_t)probed[i].error), probed[i].nr, 0);
    struct judged self[] = {{CALL(tgkill), 0, ALWAYS, 0, AN_INT, (uint64_t)getpid(), 0, 0, 0},
                            {CALL(kill), 0, ALWAYS, 0, AN_INT, (uint64_t)getpid(), 0, 0, 0}};
    for (size_t i = 0; i < 2 && rc == 0; i++) /* abort, raise, pthread_kill */
        rc = judged_add(f, &self[i]);
    return rc;
}

#ifdef SOCLE_DEBUG
static void say_which(int sig, siginfo_t *info, void *context)
{
    (void)context;
    log_error("sandbox_refused", "system_call", LOG_NUM(info->si_syscall));
    signal(sig, SIG_DFL);
    raise(sig);
}
#endif

static uint32_t refusal(void)
{
#ifdef SOCLE_DEBUG
    struct sigaction say = {.sa_sigaction = say_which, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigaction(SIGSYS, &say, NULL);
    return SCMP_ACT_TRAP;
#else
    return SCMP_ACT_KILL_PROCESS;
#endif
}

static enum err seccomp_enter(unsigned flags)
{
    uint32_t refuse = refusal();
    scmp_filter_ctx f = seccomp_init(refuse);
    if (!f)
        return ERR_UNAVAILABLE;
    int rc = seccomp_attr_set(f, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    if (rc == 0)
        rc = seccomp_attr_set(f, SCMP_FLTATR_CTL_TSYNC, 1);
    if (rc == 0)
        rc = seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree, not a list */
    if (rc == 0)
        rc = rules_add(f, flags);
    if (rc == 0)
        rc = seccomp_load(f);
    seccomp_release(f);
    if (rc != 0)
        log_error("sandbox_filter_failed", "errno", LOG_NUM(-rc));
    return rc == 0 ? ERR_OK : ERR_UNAVAILABLE;
}

enum err sandbox_enter(const struct sandbox *s)
{
    if (!alone()) {
        log_error("sandbox_too_late", "why", "there are threads already");
        return ERR_INTERNAL;
    }
    /* pthread_exit loads it by name; then it must be there already. */
    if (!dlopen("libgcc_s.so.1", RTLD_NOW | RTLD_NODELETE))
        log_debug("sandbox_no_libgcc");
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (!privileges_drop())
        return ERR_UNAVAILABLE;
    enum err e = abi > 0 ? landlock_enter(s, abi) : ERR_OK;
    if (e == ERR_OK)
        e = seccomp_enter(s->flags);
    if (e != ERR_OK)
        return e;
    if (abi > 0)
        snprintf(state, sizeof state, "seccomp,landlock-%ld", abi);
    else
        snprintf(state, sizeof state, "seccomp");
    if (abi <= 0)
        log_info("sandbox_without_landlock", "state", state);
    return ERR_OK;
}
