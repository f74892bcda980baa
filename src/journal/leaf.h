/* What every leaf of version 1 begins with, and ULIDs as bytes. Private to this folder. */
#ifndef JOURNAL_LEAF_H
#define JOURNAL_LEAF_H

#include <stdbool.h>
#include "base/err.h"
#include "base/str.h"

enum { ULID_LEN = 26, ULID_BYTES = 16, KIND_MAX = 64 };

struct leaf_head {
    uint8_t id[ULID_BYTES];
    struct str id_text, kind; /* slices of the leaf */
    int64_t at_ms;
};
/* ERR_INVALID when the leaf does not begin as docs/formats/journal-entry.md says. */
enum err leaf_head_read(struct str leaf, struct leaf_head *out) MUST_CHECK;
/* The same, and all other rules that a writer can check: it ends as an object does, holds UTF-8
 * without control characters. */
enum err leaf_check(struct str leaf, struct leaf_head *out) MUST_CHECK;

bool ulid_read(struct str text, uint8_t out[ULID_BYTES]);
void ulid_write(const uint8_t id[ULID_BYTES], char out[ULID_LEN + 1]);

#endif
