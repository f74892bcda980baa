/* PROVISIONAL until the journal floor lands with its own: the least its callers need. */
#ifndef JOURNAL_JOURNAL_H
#define JOURNAL_JOURNAL_H

#include "base/arena.h"
#include "base/err.h"
#include "sys/proc.h"

struct journal;
struct journal_conf {
    const char *folder, *origin;
};
int journal_main(struct proc *self, void *conf);
int journal_cli(int argc, char **argv);

/* A record to append: id (ULID text), leaf (the sealed entry, JSON), subject and side (erasable side
 * store; may be empty), maybe_repeat for replays. */
struct journal_record {
    struct str id, leaf, subject, side;
    bool maybe_repeat;
};
struct journal *journal_connect(int fd);
enum err journal_append(struct journal *j, const struct journal_record *r, int timeout_ms,
                        uint64_t *index) MUST_CHECK;
/* Marks a restored folder: the next start opens a new origin. */
enum err journal_restored(const char *folder) MUST_CHECK;

#endif
