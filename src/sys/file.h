/* Whole files and folders, with errors that say what the caller can do. */
#ifndef SYS_FILE_H
#define SYS_FILE_H

#include "base/arena.h"
#include "base/err.h"

/* Reads a file of at most max_bytes into the arena. */
enum err file_read(struct arena *a, const char *path, size_t max_bytes, struct str *out) MUST_CHECK;
/* Replaces a file whole: written beside, synced, renamed, folder synced. mode as chmod. */
enum err file_write_atomic(const char *path, struct str content, unsigned mode) MUST_CHECK;
/* mkdir -p. */
enum err file_make_dirs(const char *path, unsigned mode) MUST_CHECK;
/* ERR_FULL for ENOSPC/EDQUOT, ERR_NOT_FOUND, ERR_DENIED, else ERR_IO. */
enum err file_err_from_errno(int e);
/* pwrite/write until all is written. */
enum err file_write_all(int fd, const void *p, size_t n) MUST_CHECK;
enum err file_pwrite_all(int fd, const void *p, size_t n, uint64_t at) MUST_CHECK;

#endif
