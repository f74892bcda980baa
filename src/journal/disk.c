#include "journal/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
#include "sys/file.h"

enum { PARTS_MAX = 4 };

int (*disk_fault)(const char *path, size_t n);

static enum err err_of(int e)
{
    return e == EFBIG ? ERR_FULL : file_err_from_errno(e); /* EFBIG: a limit of the process */
}

enum err disk_space(const char *path, size_t n)
{
    int e = disk_fault ? disk_fault(path, n) : 0;
    return e ? err_of(e) : ERR_OK;
}

enum err disk_make_dirs(int folder, const char *path)
{
    char part[PATH_MAX];
    size_t n = strlen(path);
    if (n >= sizeof part)
        return ERR_LIMIT;
    for (size_t i = 1; i <= n; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdirat(folder, part, 0700) != 0 && errno != EEXIST)
            return err_of(errno);
    }
    return ERR_OK;
}

enum err disk_open(int folder, const char *path, int *fd)
{
    char dir[PATH_MAX];
    *fd = openat(folder, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    const char *slash = strrchr(path, '/');
    if (*fd < 0 && errno == ENOENT && slash) {
        snprintf(dir, sizeof dir, "%.*s", (int)(slash - path), path);
        enum err e = disk_make_dirs(folder, dir);
        if (e != ERR_OK)
            return e;
        *fd = openat(folder, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    }
    return *fd < 0 ? err_of(errno) : ERR_OK;
}

static enum err write_parts(int fd, const struct str *parts, size_t n)
{
    struct iovec iov[PARTS_MAX];
    size_t total = 0;
    for (size_t i = 0; i < n; i++) {
        iov[i] = (struct iovec){(void *)(uintptr_t)parts[i].p, parts[i].n};
        total += parts[i].n;
    }
    ssize_t done;
    do
        done = pwritev(fd, iov, (int)n, 0);
    while (done < 0 && errno == EINTR);
    if (done < 0)
        return err_of(errno);
    uint64_t at = (uint64_t)done;
    for (size_t i = 0; (size_t)done < total && i < n; i++) { /* rare: written in part */
        size_t before = 0;
        for (size_t k = 0; k < i; k++)
            before += parts[k].n;
        if (before + parts[i].n <= at)
            continue;
        struct str rest = str_after(parts[i], at > before ? at - before : 0);
        enum err e = file_pwrite_all(fd, rest.p, rest.n, before + parts[i].n - rest.n);
        if (e != ERR_OK)
            return e;
    }
    struct stat st;
    if (fstat(fd, &st) != 0 || (st.st_size != (off_t)total && ftruncate(fd, (off_t)total) != 0))
        return err_of(errno);
    return ERR_OK;
}

enum err disk_put(int folder, const char *path, const struct str *parts, size_t n, int *fd_out)
{
    int fd = -1;
    size_t total = 0;
    for (size_t i = 0; i < n; i++)
        total += parts[i].n;
    enum err e = disk_space(path, total);
    if (e == ERR_OK)
        e = disk_open(folder, path, &fd);
    if (e == ERR_OK)
        e = write_parts(fd, parts, n);
    if (fd_out && e == ERR_OK)
        *fd_out = fd;
    else if (fd >= 0 && close(fd) != 0 && e == ERR_OK)
        e = err_of(errno);
    return e;
}

enum err disk_replace(int folder, const char *path, struct str content, bool sync)
{
    char beside[PATH_MAX];
    int fd = -1;
    snprintf(beside, sizeof beside, "%s.new", path);
    enum err e = disk_put(folder, beside, &content, 1, &fd);
    if (e == ERR_OK && sync && fsync(fd) != 0)
        e = err_of(errno);
    if (fd >= 0 && close(fd) != 0 && e == ERR_OK)
        e = err_of(errno);
    bool swapped =
        e == ERR_OK && !sync && renameat2(folder, beside, folder, path, RENAME_EXCHANGE) == 0;
    if (e == ERR_OK && !swapped && renameat(folder, beside, folder, path) != 0)
        e = err_of(errno);
    if (e == ERR_OK && sync && fsync(folder) != 0) /* names without a slash only */
        e = err_of(errno);
    return e;
}

enum err disk_pread(int fd, void *p, size_t n, uint64_t at)
{
    char *to = p;
    while (n > 0) {
        ssize_t r = pread(fd, to, n, (off_t)at);
        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            return r < 0 ? err_of(errno) : ERR_CORRUPT;
        to += r;
        n -= (size_t)r;
        at += (uint64_t)r;
    }
    return ERR_OK;
}

enum err disk_read(int folder, const char *path, struct arena *a, size_t max_bytes, struct str *out)
{
    struct stat st;
    *out = STR_NONE;
    int fd = openat(folder, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return err_of(errno);
    enum err e = fstat(fd, &st) != 0              ? err_of(errno)
                 : !S_ISREG(st.st_mode)           ? ERR_CORRUPT
                 : (size_t)st.st_size > max_bytes ? ERR_LIMIT
                                                  : ERR_OK;
    if (e == ERR_OK) {
        char *p = arena_alloc(a, (size_t)st.st_size + 1);
        *out = str_of(p, (size_t)st.st_size);
        e = disk_pread(fd, p, out->n, 0);
    }
    close(fd);
    return e;
}

enum err disk_sync_dir(int folder, const char *path)
{
    int fd = openat(folder, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_of(errno);
    enum err e = fsync(fd) == 0 ? ERR_OK : err_of(errno);
    close(fd);
    return e;
}

bool disk_sweep(int folder, const char *path, bool (*keep)(void *arg, const char *name), void *arg)
{
    int fd = openat(folder, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    if (!d) {
        if (fd >= 0)
            close(fd);
        return false;
    }
    for (struct dirent *f; (f = readdir(d)) != NULL;)
        if (strcmp(f->d_name, ".") != 0 && strcmp(f->d_name, "..") != 0 &&
            !(keep && keep(arg, f->d_name)))
            unlinkat(fd, f->d_name, 0);
    closedir(d);
    if (!keep)
        unlinkat(folder, path, AT_REMOVEDIR);
    return true;
}
