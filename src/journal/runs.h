/* Sorted runs: an index as a few files of sorted records of one size, looked at from the newest to
 * the oldest, and a tail: the newest records, in the order they came (docs/formats/
 * journal-folder.md). A set is immutable and shared: the writer makes a new one out of an old one
 * (index.h). Private to this folder. */
#ifndef JOURNAL_RUNS_H
#define JOURNAL_RUNS_H

#include <stdbool.h>
#include "base/err.h"
#include "base/str.h"

enum { RUN_HEAD = 32, RUN_RECORDS_MAX = 1024 * 1024, RUNS_MAX = 16384, TAIL_RECORDS = 16384 };

struct run_name {
    uint64_t name, n; /* n: records */
};
/* The files of a set, as `state` lists them. */
struct run_names {
    struct run_name *list; /* oldest first */
    size_t n;
    struct run_name tail; /* n 0: none */
};
struct run {
    uint64_t name, n;
    const uint8_t *records; /* mapped */
    _Atomic int refs;
};
struct runs {
    size_t record_size, n;
    _Atomic int refs;
    struct run *tail;   /* NULL: none. It has room for TAIL_RECORDS, of which */
    size_t tail_n;      /* so many are there */
    struct run *list[]; /* oldest first */
};

struct runs *runs_none(size_t record_size);
struct runs *runs_ref(struct runs *r);
void runs_unref(struct runs *r);
/* The set of these files. What `old` (may be NULL) has mapped already is shared. *out is NULL after
 * an error: ERR_CORRUPT, ERR_NOT_FOUND. */
enum err runs_open(int folder, const char *dir, const struct run_names *names, size_t record_size,
                   const struct runs *old, struct runs **out) MUST_CHECK;
/* The first record that is not under `key`, in one run. */
uint64_t run_lower_bound(const struct run *r, size_t record_size, struct str key);
static inline const uint8_t *run_record(const struct run *r, size_t record_size, uint64_t i)
{
    return r->records + i * record_size;
}

/* A set with a tail of n records in the file of that name; `r` stays as it is. */
enum err runs_with_tail(const struct runs *r, int folder, const char *dir, uint64_t name, size_t n,
                        struct runs **out) MUST_CHECK;
/* Makes the file of a tail; *fd: to write records from RUN_HEAD on. */
enum err tail_make(int folder, const char *dir, uint64_t name, size_t record_size,
                   int *fd) MUST_CHECK;

/* Writes n records (sorted here) as a new run, merged with the newest ones when these are not much
 * longer, and leaves the tail out. Records that `drop` takes (may be NULL) are left out of a merge.
 * `name`: of the new file. `r` stays as it is. */
struct runs_new {
    int folder;
    const char *dir;
    uint64_t name;
    uint8_t *records;
    size_t n;
    bool (*drop)(const uint8_t *record);
    void (*sort)(uint8_t *records, size_t n); /* NULL: by comparing them */
};
enum err runs_add(const struct runs *r, const struct runs_new *new, struct runs **out) MUST_CHECK;
/* Overwrites all but the first `keep` bytes of records [from, to) of a run, those that `take`
 * takes, in its file; synced. */
struct run_blanks {
    uint64_t from, to;
    size_t keep;
    bool (*take)(void *arg, const uint8_t *record);
    void *arg;
};
enum err runs_blank(int folder, const char *dir, const struct run *run, size_t record_size,
                    const struct run_blanks *b) MUST_CHECK;
const char *run_path(const char *dir, uint64_t name, char out[32]);

#endif
