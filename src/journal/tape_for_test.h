/* For tests: a tape of what the journal process asks of its disk. A test program that includes this
 * file defines the calls themselves (pwrite, fsync, renameat ...), so the program under test needs
 * no change and no preloaded library: in the process that is watched each call is done and written
 * down, in shared memory; in all others it is only done. It can also refuse them, as a disk does
 * that turned read-only. powercut_test.c builds disks out of the tape. */
#ifndef JOURNAL_TAPE_FOR_TEST_H
#define JOURNAL_TAPE_FOR_TEST_H

#include <limits.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include "journal/test_platform.h"

enum { TAPE_BYTES = 256 * 1024 * 1024, TAPE_FDS = 1024, TAPE_PATH = 128, SYNC_US = 500 };

enum tape_what {
    TAPE_END,
    TAPE_CREATE,   /* path, ino */
    TAPE_MKDIR,    /* path */
    TAPE_WRITE,    /* ino, at, n bytes behind */
    TAPE_ZEROS,    /* ino, at, n */
    TAPE_CUT,      /* ino, n: its length from now on */
    TAPE_RESERVE,  /* ino, n: at least so long */
    TAPE_RENAME,   /* path, to, ino */
    TAPE_EXCHANGE, /* path, to */
    TAPE_REMOVE,   /* path */
    TAPE_SYNC,     /* ino; `from`: ops before that one are covered */
    TAPE_SYNC_DIR, /* path; from */
    TAPE_SYNC_ALL, /* from */
    TAPE_ACKED,    /* n: so many of seen->acked */
    TAPE_ERASED,   /* path: of that subject nothing is left */
    TAPE_SHOWN,    /* n: size; bytes: root. A checkpoint that somebody read */
};

struct tape_op {
    enum tape_what what;
    uint64_t ino, at, n, from, next; /* next: place of the next op */
    char path[TAPE_PATH], to[TAPE_PATH];
};

static struct tape {
    pthread_mutex_t lock;
    _Atomic bool on, read_only;
    uint64_t n_ops, used;
    char bytes[TAPE_BYTES];
} * tape;

static inline void tape_new(void)
{
    pthread_mutexattr_t attr;
    tape = mmap(NULL, sizeof *tape, PROT_READ | PROT_WRITE,
                MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_true(tape != MAP_FAILED);
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(&tape->lock, &attr);
    pthread_mutexattr_destroy(&attr);
}

static inline void tape_free(void)
{
    munmap(tape, sizeof *tape);
    tape = NULL;
}

static inline struct tape_op *tape_at(uint64_t place)
{
    return (struct tape_op *)(void *)(tape->bytes + place);
}

/* Lock held. */
static inline void tape_add(const struct tape_op *op, const void *bytes, size_t n)
{
    uint64_t size = sizeof *op + (n + 15) / 16 * 16;
    if (tape->used + size + sizeof *op > TAPE_BYTES) {
        fault(__FILE__, __LINE__, "the tape is full");
        return;
    }
    struct tape_op *to = tape_at(tape->used);
    *to = *op;
    to->next = tape->used + size;
    if (n)
        memcpy(to + 1, bytes, n);
    tape->used += size;
    tape->n_ops++;
}

static inline void tape_note(const struct tape_op *op, const void *bytes, size_t n)
{
    pthread_mutex_lock(&tape->lock);
    tape_add(op, bytes, n);
    pthread_mutex_unlock(&tape->lock);
}

/* ---- the process that is watched ----------------------------------------------------------------
 */
static inline bool tape_runs(void)
{
    return tape && tape->on && seen->journal_pid == getpid();
}

static inline bool tape_refuses(void)
{
    bool refuses = tape && tape->read_only && seen->journal_pid == getpid();
    if (refuses)
        errno = EROFS;
    return refuses;
}

static char tape_fds[TAPE_FDS][TAPE_PATH]; /* names that folders were opened by */

static inline const char *tape_path(int dir, const char *path, char out[TAPE_PATH])
{
    const char *base = dir >= 0 && dir < TAPE_FDS ? tape_fds[dir] : "";
    snprintf(out, TAPE_PATH, "%s%s%s", base, *base ? "/" : "", path);
    return out;
}

static inline uint64_t tape_ino(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 ? st.st_ino : 0;
}

static inline bool tape_is_zeros(const char *p, size_t n)
{
    return n >= 4096 && p[0] == '\0' && memcmp(p, p + 1, n - 1) == 0;
}

static inline void tape_write(int fd, const void *p, ssize_t n, off_t at)
{
    if (n <= 0)
        return;
    bool zeros = tape_is_zeros(p, (size_t)n);
    struct tape_op op = {.what = zeros ? TAPE_ZEROS : TAPE_WRITE,
                         .ino = tape_ino(fd),
                         .at = (uint64_t)at,
                         .n = (uint64_t)n};
    tape_add(&op, p, zeros ? 0 : (size_t)n);
}

/* ---- the calls ----------------------------------------------------------------------------------
 * Done and written down under one lock: the tape's order is the disk's. Syncs wait outside of it,
 * and cover what came before they began. */
ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
    if (tape_refuses())
        return -1;
    if (!tape_runs())
        return syscall(SYS_pwrite64, fd, p, n, at);
    pthread_mutex_lock(&tape->lock);
    ssize_t done = syscall(SYS_pwrite64, fd, p, n, at);
    tape_write(fd, p, done, at);
    pthread_mutex_unlock(&tape->lock);
    return done;
}

ssize_t pwritev(int fd, const struct iovec *iov, int n, off_t at)
{
    size_t done = 0;
    for (int i = 0; i < n; i++) {
        ssize_t w = pwrite(fd, iov[i].iov_base, iov[i].iov_len, at + (off_t)done);
        if (w < 0)
            return done ? (ssize_t)done : w;
        done += (size_t)w;
        if ((size_t)w < iov[i].iov_len)
            break;
    }
    return (ssize_t)done;
}

int openat(int dir, const char *path, int flags, ...)
{
    va_list args;
    struct stat st;
    va_start(args, flags);
    unsigned mode = flags & O_CREAT ? va_arg(args, unsigned) : 0;
    va_end(args);
    if ((flags & (O_WRONLY | O_RDWR | O_CREAT)) && tape_refuses())
        return -1;
    if (!tape_runs())
        return (int)syscall(SYS_openat, dir, path, flags, mode);
    pthread_mutex_lock(&tape->lock);
    bool makes = (flags & O_CREAT) && fstatat(dir, path, &st, 0) != 0;
    int fd = (int)syscall(SYS_openat, dir, path, flags, mode);
    struct tape_op op = {.what = TAPE_CREATE};
    tape_path(dir, path, op.path);
    if (fd >= 0 && fd < TAPE_FDS)
        memcpy(tape_fds[fd], op.path, TAPE_PATH);
    op.ino = fd >= 0 && makes ? tape_ino(fd) : 0;
    if (op.ino)
        tape_add(&op, NULL, 0);
    pthread_mutex_unlock(&tape->lock);
    return fd;
}

static inline int tape_done(int rc, struct tape_op *op)
{
    if (rc == 0)
        tape_add(op, NULL, 0);
    pthread_mutex_unlock(&tape->lock);
    return rc;
}

int ftruncate(int fd, off_t n)
{
    if (tape_refuses())
        return -1;
    if (!tape_runs())
        return (int)syscall(SYS_ftruncate, fd, n);
    struct tape_op op = {.what = TAPE_CUT, .ino = tape_ino(fd), .n = (uint64_t)n};
    pthread_mutex_lock(&tape->lock);
    return tape_done((int)syscall(SYS_ftruncate, fd, n), &op);
}

int posix_fallocate(int fd, off_t at, off_t n)
{
    if (tape_refuses())
        return EROFS;
    if (!tape_runs())
        return syscall(SYS_fallocate, fd, 0, at, n) == 0 ? 0 : errno;
    struct tape_op op = {.what = TAPE_RESERVE, .ino = tape_ino(fd), .n = (uint64_t)(at + n)};
    pthread_mutex_lock(&tape->lock);
    return tape_done(syscall(SYS_fallocate, fd, 0, at, n) == 0 ? 0 : errno, &op);
}

int mkdirat(int dir, const char *path, mode_t mode)
{
    if (tape_refuses() && faccessat(dir, path, F_OK, 0) != 0) {
        errno = EROFS;
        return -1;
    }
    if (!tape_runs())
        return (int)syscall(SYS_mkdirat, dir, path, mode);
    struct tape_op op = {.what = TAPE_MKDIR};
    pthread_mutex_lock(&tape->lock);
    tape_path(dir, path, op.path);
    return tape_done((int)syscall(SYS_mkdirat, dir, path, mode), &op);
}

int unlinkat(int dir, const char *path, int flags)
{
    if (tape_refuses())
        return -1;
    if (!tape_runs())
        return (int)syscall(SYS_unlinkat, dir, path, flags);
    struct tape_op op = {.what = TAPE_REMOVE};
    pthread_mutex_lock(&tape->lock);
    tape_path(dir, path, op.path);
    return tape_done((int)syscall(SYS_unlinkat, dir, path, flags), &op);
}

int renameat2(int dir, const char *path, int to_dir, const char *to, unsigned flags)
{
    struct stat st = {0};
    if (tape_refuses())
        return -1;
    if (!tape_runs())
        return (int)syscall(SYS_renameat2, dir, path, to_dir, to, flags);
    struct tape_op op = {.what = flags & RENAME_EXCHANGE ? TAPE_EXCHANGE : TAPE_RENAME};
    pthread_mutex_lock(&tape->lock);
    tape_path(dir, path, op.path);
    tape_path(to_dir, to, op.to);
    if (fstatat(dir, path, &st, 0) == 0 && S_ISREG(st.st_mode))
        op.ino = st.st_ino;
    return tape_done((int)syscall(SYS_renameat2, dir, path, to_dir, to, flags), &op);
}

int renameat(int dir, const char *path, int to_dir, const char *to)
{
    return renameat2(dir, path, to_dir, to, 0);
}

/* What is durable is what the tape says: the disk below is not waited for. */
static inline int tape_sync(int fd, enum tape_what what)
{
    struct stat st;
    if (tape_refuses() && what != TAPE_SYNC_ALL)
        return -1;
    if (!tape_runs() || fstat(fd, &st) != 0)
        return 0;
    struct tape_op op = {.what = what, .ino = st.st_ino};
    if (what == TAPE_SYNC && S_ISDIR(st.st_mode)) {
        op.what = TAPE_SYNC_DIR;
        memcpy(op.path, tape_fds[fd < TAPE_FDS ? fd : 0], TAPE_PATH);
    }
    pthread_mutex_lock(&tape->lock);
    op.from = tape->n_ops;
    pthread_mutex_unlock(&tape->lock);
    usleep(SYNC_US);
    pthread_mutex_lock(&tape->lock);
    return tape_done(0, &op);
}

int fsync(int fd)
{
    return tape_sync(fd, TAPE_SYNC);
}

int fdatasync(int fd)
{
    return tape_sync(fd, TAPE_SYNC);
}

int syncfs(int fd)
{
    return tape_sync(fd, TAPE_SYNC_ALL);
}

#endif
