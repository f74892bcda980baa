/* Sorted runs: an index as a few files of sorted records of one size, looked at from the newest to
 * the oldest (docs/formats/journal-folder.md). A set of runs is immutable and shared: the writer
 * makes a new set out of an old one and a few records more. Private to this folder. */
#ifndef JOURNAL_RUNS_H
#define JOURNAL_RUNS_H

#include <stdbool.h>
#include "base/err.h"
#include "base/str.h"

enum { RUN_HEAD = 32, RUN_RECORDS_MAX = 1024 * 1024, RUNS_MAX = 16384 };

struct run_name {
    uint64_t name, n; /* n: records */
};
struct run {
    uint64_t name, n;
    const uint8_t *records; /* mapped */
    _Atomic int refs;
};
struct runs {
    size_t record_size, n;
    _Atomic int refs;
    struct run *list[]; /* oldest first */
};

struct runs *runs_none(size_t record_size);
struct runs *runs_ref(struct runs *r);
void runs_unref(struct runs *r);
/* The set of these files, oldest first. What `old` (may be NULL) has mapped already is shared. *out
 * is NULL after an error: ERR_CORRUPT, ERR_NOT_FOUND. */
enum err runs_open(int folder, const char *dir, const struct run_name *list, size_t n,
                   size_t record_size, const struct runs *old, struct runs **out) MUST_CHECK;
/* The first record that is not under `key`, in one run. */
uint64_t run_lower_bound(const struct run *r, size_t record_size, struct str key);
static inline const uint8_t *run_record(const struct run *r, size_t record_size, uint64_t i)
{
    return r->records + i * record_size;
}

/* Writes n records (sorted here) as a new run, merged with the newest ones when these are not much
 * longer. Records that `drop` takes (may be NULL) are left out of a merge. `name`: of the new file.
 * fd_out: open, to be synced. `r` stays as it is. */
struct runs_new {
    int folder;
    const char *dir;
    uint64_t name;
    uint8_t *records;
    size_t n;
    bool (*drop)(const uint8_t *record);
};
enum err runs_add(const struct runs *r, const struct runs_new *new, int *fd_out,
                  struct runs **out) MUST_CHECK;
/* Overwrites all but the first `keep` bytes of records [from, to) of a run, in its file; synced. */
enum err runs_blank(int folder, const char *dir, const struct run *run, size_t record_size,
                    uint64_t from, uint64_t to, size_t keep) MUST_CHECK;
const char *run_path(const char *dir, uint64_t name, char out[32]);

#endif
