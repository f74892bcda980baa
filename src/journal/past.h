/* Logs that ended (docs/formats/journal-folder.md, Past logs). Private to this folder. */
#ifndef JOURNAL_PAST_H
#define JOURNAL_PAST_H

#include "base/arena.h"
#include "base/err.h"

/* The highest epoch under past/; 0: none. */
uint32_t past_last(int folder);
const char *past_path(uint32_t epoch, const char *name, char out[64]);

/* Puts the log under way beside and makes `durable` that of an empty log of the next epoch, which
 * has no key yet. Cut short, past_move_finish does the rest. with_wal: the write-ahead log was not
 * applied and goes along. */
enum err past_move(int folder, uint32_t epoch, const char *reason, bool with_wal) MUST_CHECK;
enum err past_move_finish(int folder) MUST_CHECK;
/* The leaf that opens the log behind this one. */
enum err past_opening(int folder, uint32_t epoch, struct arena *a, struct str *leaf) MUST_CHECK;

#endif
