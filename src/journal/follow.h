/* Following a log from outside, out of what it publishes (C2SP tlog-tiles): what was seen once must
 * stay. Kept between two looks: the last signed note, and the hashes of its perfect subtrees, from
 * which the next root must grow with nothing but the new entries. */
#ifndef JOURNAL_FOLLOW_H
#define JOURNAL_FOLLOW_H

#include "journal/note.h"

struct follow {
    struct note_key key;
    struct str note; /* last one seen; .n 0: none yet */
    uint64_t size;
    uint8_t root[HASH_LEN];
    uint8_t peaks[64]
                 [HASH_LEN]; /* hash of the perfect subtree of 2^i leaves, where size has bit i */
};
/* Its file, version 1 (docs/formats/witness.md). ERR_INVALID. */
enum err follow_read(struct arena *a, struct str text, struct follow *out) MUST_CHECK;
struct str follow_print(struct arena *a, const struct follow *f);

/* Reads "checkpoint", "tile/0/000" ... ERR_NOT_FOUND where there is none. */
typedef enum err follow_fetch(void *arg, const char *path, struct arena *a, struct str *out);

struct follow_report {
    /* "good", "fork", "rollback", "altered", "signature", "unavailable" */
    const char *state;
    uint64_t from, to; /* sizes: before this look, now */
    char file[128], what[256];
};
/* One look; *f goes on only when all is good. */
void follow_look(struct follow *f, struct arena *keep, follow_fetch *fetch, void *arg,
                 struct follow_report *out);

#endif
