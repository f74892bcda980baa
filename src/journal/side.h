/* The erasable side store: rows in one file, an index by subject in sorted runs
 * (docs/formats/journal-folder.md). Private to this folder. */
#ifndef JOURNAL_SIDE_H
#define JOURNAL_SIDE_H

#include "journal/ids.h"
#include "journal/journal.h"

enum { SIDE_RECORD = 48, SIDE_ROW_HEAD = 64, SUBJECT_HASH = 16 };
#define SIDE_ROWS_FILE "side/rows"

struct side_key { /* an index record, read */
    uint64_t place, offset;
    int64_t at_ms;
    uint32_t kind, length; /* kind: side_kind of it */
};
void side_subject(struct str subject, uint8_t out[SUBJECT_HASH]);
uint32_t side_kind(struct str kind);
bool side_key_is_blank(const uint8_t *record);
void side_key_read(const uint8_t *record, struct side_key *out);

/* ---- writing ----------------------------------------------------------------------------------
 */
struct side_writer {
    int fd;          /* of the rows */
    uint64_t length; /* of all rows, those in `rows` included */
    struct buf rows; /* not written yet */
};
enum err side_writer_open(struct side_writer *w, int folder, uint64_t length) MUST_CHECK;
void side_writer_close(struct side_writer *w);
/* key: its index record. */
void side_add(struct side_writer *w, uint64_t place, const struct leaf_head *head,
              struct str subject, struct str data, uint8_t key[SIDE_RECORD]);
/* Writes the rows. */
enum err side_flush(struct side_writer *w) MUST_CHECK;
/* Overwrites rows and their index records; flush before. The set has no tail. Synced when it
 * returns. *n_rows: how many were still there. */
struct side_erasure {
    struct journal_expiry what;
    uint64_t most; /* rows; those that are left stay for another time */
};
enum err side_erase(struct side_writer *w, int folder, const struct runs *runs,
                    const struct side_erasure *x, uint64_t *n_rows) MUST_CHECK;

/* ---- reading ----------------------------------------------------------------------------------
 */
struct side_row {
    uint64_t place;
    int64_t at_ms;
    uint8_t id[ULID_BYTES], subject[SUBJECT_HASH];
    struct str kind, data;
};
/* ERR_NOT_FOUND: erased. ERR_CORRUPT. Slices of `bytes`. */
enum err side_row_read(struct str bytes, struct side_row *out) MUST_CHECK;
/* The index record of a row, out of its head and kind (more bytes are no harm); blank for an erased
 * one. *length: of the row. ERR_CORRUPT. */
enum err side_row_key(struct str bytes, uint64_t offset, uint8_t record[SIDE_RECORD],
                      uint64_t *length) MUST_CHECK;
/* Calls fn for a subject's index records of the sorted runs only, newest first, until it returns
 * false: the tail is looked through once for all subjects of a question. */
void side_each_sorted(const struct runs *runs, const uint8_t subject[SUBJECT_HASH], uint64_t before,
                      bool (*fn)(void *arg, const uint8_t *record), void *arg);
/* The same with the tail first, places under `before`. */
void side_each(const struct runs *runs, const uint8_t subject[SUBJECT_HASH], uint64_t before,
               bool (*fn)(void *arg, const uint8_t *record), void *arg);

#endif
