/* Whole files and folders. A file is replaced by a rename so that a reader, or a process killed in
 * the middle, sees the old content or the new one, never a part. */
#include "sys/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/rand.h"

enum { UNSIZED_MAX = 64 * 1024 }; /* of files that do not tell their size (/proc, pipes) */

enum err file_err_from_errno(int e)
{
    switch (e) {
    case ENOSPC:
    case EDQUOT:
        return ERR_FULL;
    case ENOENT:
    case ENOTDIR:
        return ERR_NOT_FOUND;
    case EACCES:
    case EPERM:
    case EROFS:
        return ERR_DENIED;
    default:
        return ERR_IO;
    }
}

/* Reads until n bytes or the end; -1 with errno. */
static ssize_t read_up_to(int fd, char *p, size_t n)
{
    size_t got = 0;
    while (got < n) {
        ssize_t r = read(fd, p + got, n - got);
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return -1;
        if (r == 0)
            break;
        got += (size_t)r;
    }
    return (ssize_t)got;
}

/* A regular file is read to the size it had when opened; what has no size, to 64 KB at most. */
static enum err read_open(struct arena *a, int fd, size_t max_bytes, struct str *out)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return file_err_from_errno(errno);
    if (S_ISDIR(st.st_mode))
        return ERR_INVALID;
    bool sized = S_ISREG(st.st_mode) && st.st_size > 0;
    size_t most = max_bytes < UNSIZED_MAX ? max_bytes : UNSIZED_MAX;
    if (sized) {
        if ((uint64_t)st.st_size > max_bytes)
            return ERR_LIMIT;
        most = (size_t)st.st_size;
    }
    char *p = arena_alloc(a, most + 1);
    ssize_t got = read_up_to(fd, p, sized ? most : most + 1);
    if (got < 0)
        return file_err_from_errno(errno);
    if ((size_t)got > most)
        return ERR_LIMIT;
    p[got] = '\0';
    *out = str_of(p, (size_t)got);
    return ERR_OK;
}

enum err file_read(struct arena *a, const char *path, size_t max_bytes, struct str *out)
{
    *out = STR_NONE;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return file_err_from_errno(errno);
    enum err e = read_open(a, fd, max_bytes, out);
    close(fd);
    return e;
}

enum err file_write_all(int fd, const void *p, size_t n)
{
    const char *at = p;
    while (n > 0) {
        ssize_t w = write(fd, at, n);
        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0)
            return w < 0 ? file_err_from_errno(errno) : ERR_IO;
        at += w;
        n -= (size_t)w;
    }
    return ERR_OK;
}

enum err file_pwrite_all(int fd, const void *p, size_t n, uint64_t at)
{
    const char *from = p;
    while (n > 0) {
        ssize_t w = pwrite(fd, from, n, (off_t)at);
        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0)
            return w < 0 ? file_err_from_errno(errno) : ERR_IO;
        from += w;
        at += (uint64_t)w;
        n -= (size_t)w;
    }
    return ERR_OK;
}

/* Makes a rename in this file's folder durable. */
static enum err sync_folder_of(const char *path)
{
    char dir[PATH_MAX];
    const char *slash = strrchr(path, '/');
    int n = slash == path ? snprintf(dir, sizeof dir, "/")
            : slash       ? snprintf(dir, sizeof dir, "%.*s", (int)(slash - path), path)
                          : snprintf(dir, sizeof dir, ".");
    if (n < 0 || (size_t)n >= sizeof dir)
        return ERR_LIMIT;
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return file_err_from_errno(errno);
    enum err e = fsync(fd) == 0 ? ERR_OK : file_err_from_errno(errno);
    close(fd);
    return e;
}

enum err file_write_atomic(const char *path, struct str content, unsigned mode)
{
    char beside[PATH_MAX], id[ID_LEN + 1];
    id_new(id);
    int n = snprintf(beside, sizeof beside, "%s.%s.tmp", path, id);
    if (n < 0 || (size_t)n >= sizeof beside)
        return ERR_LIMIT;
    int fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return file_err_from_errno(errno);
    enum err e = file_write_all(fd, content.p, content.n);
    if (e == ERR_OK && (fchmod(fd, mode) != 0 || fsync(fd) != 0))
        e = file_err_from_errno(errno);
    if (close(fd) != 0 && e == ERR_OK)
        e = file_err_from_errno(errno);
    if (e == ERR_OK && rename(beside, path) != 0)
        e = file_err_from_errno(errno);
    if (e != ERR_OK) {
        (void)unlink(beside);
        return e;
    }
    return sync_folder_of(path);
}

static enum err make_dir(const char *path, unsigned mode)
{
    struct stat st;
    if (mkdir(path, mode) == 0)
        return ERR_OK;
    if (errno != EEXIST)
        return file_err_from_errno(errno);
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode) ? ERR_OK : ERR_EXISTS;
}

enum err file_make_dirs(const char *path, unsigned mode)
{
    char part[PATH_MAX];
    size_t n = strlen(path);
    if (n == 0 || n >= sizeof part)
        return n ? ERR_LIMIT : ERR_INVALID;
    for (size_t i = 1; i <= n; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        enum err e = make_dir(part, mode);
        if (e != ERR_OK)
            return e;
    }
    return ERR_OK;
}
