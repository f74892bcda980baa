/* The journal's files, from the folder's descriptor. Private to this folder. */
#ifndef JOURNAL_DISK_H
#define JOURNAL_DISK_H

#include <stdbool.h>
#include "base/arena.h"
#include "base/err.h"

/* Writes a whole file, making folders on the way; the same content may be there already (after a
 * crash), so readers of it never see it shorter. *fd_out: open, for a later sync; NULL closes it.
 */
enum err disk_put(int folder, const char *path, const struct str *parts, size_t n,
                  int *fd_out) MUST_CHECK;
/* Opens a file to write it piece by piece, making it and its folders. */
enum err disk_open(int folder, const char *path, int *fd) MUST_CHECK;
/* disk_fault's answer, for those who write by themselves. */
enum err disk_space(const char *path, size_t n) MUST_CHECK;
/* Replaces a file whole. `sync`: durable when it returns; else only never seen half, and the
 * version before stays beside, as <path>.new, to be written over: to make and remove a file ten
 * times a second costs a file system more than all that is written into it. */
enum err disk_replace(int folder, const char *path, struct str content, bool sync) MUST_CHECK;
enum err disk_read(int folder, const char *path, struct arena *a, size_t max_bytes,
                   struct str *out) MUST_CHECK;
/* Reads exactly n bytes at a place; ERR_CORRUPT when there are fewer. */
enum err disk_pread(int fd, void *p, size_t n, uint64_t at) MUST_CHECK;
enum err disk_make_dirs(int folder, const char *path) MUST_CHECK;
enum err disk_sync_dir(int folder, const char *path) MUST_CHECK;
/* Removes a folder's files that `keep` does not want (NULL: all, and the folder). False: there is
 * no such folder. */
bool disk_sweep(int folder, const char *path, bool (*keep)(void *arg, const char *name), void *arg);

/* Tests: asked before what takes space on the disk; an errno fails it. */
extern int (*disk_fault)(const char *path, size_t n);

#endif
