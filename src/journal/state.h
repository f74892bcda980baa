/* The files `state` and `durable`: what the journal's other files hold
 * (docs/formats/journal-folder.md). Private to this folder. */
#ifndef JOURNAL_STATE_H
#define JOURNAL_STATE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "journal/merkle.h"
#include "journal/runs.h"

enum { STATE_MAX = 2 * 1024 * 1024 };

struct state {
    uint32_t epoch;
    uint64_t wal, size, sealed, rows;
    uint8_t root[HASH_LEN]; /* of the checkpoint */
    struct run_names ids, side, find;
    bool no_find; /* of version 1, without that index */
};

/* ERR_CORRUPT. */
enum err state_parse(struct arena *a, struct str text, struct state *out) MUST_CHECK;
void state_print(const struct state *s, struct buf *out);
enum err state_read(int folder, const char *path, struct arena *a, struct state *out) MUST_CHECK;

#endif
