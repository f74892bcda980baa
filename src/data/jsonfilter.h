/* A JSON document cut down to the fields a contract allows, in one pass, in constant memory.
 * Default deny: a member whose path is not allowed is dropped with all below it. */
#ifndef DATA_JSONFILTER_H
#define DATA_JSONFILTER_H

#include "base/buf.h"
#include "base/err.h"

/* Compiled allow list; immutable, shared by threads. Paths are member names joined by '.'; array
 * elements are transparent ("children.given_name" reaches into an array of children). A path that
 * ends at an object or array allows all below it, and makes longer paths through it say nothing
 * more. Objects and arrays on the way to an allowed path are kept, empty where nothing in them is
 * allowed; anything else in their place is dropped. At most 64 paths of 16 levels, names of 128
 * bytes (ERR_LIMIT); an empty name or one that is not UTF-8 is ERR_INVALID. */
enum { JSON_FILTER_PATHS = 64, JSON_FILTER_LEVELS = 16, JSON_FILTER_NAME = 128 };
struct json_filter;

/* A path may ask a question instead of taking the value (docs/formats/contract.md): "income>=20000"
 * and "income<=20000" answer true or false for a number and say nothing for anything else;
 * "disabled?" answers false for false, null, "", [] and {}, true for the rest. The member keeps its
 * name; a member that is not there is not answered. One question a path: a second, or the value
 * too, is ERR_INVALID. A bound is a JSON number of 32 bytes at most. '<', '>', '?' and '=' stand
 * for nothing else. */
enum json_ask_op { JSON_ASK_VALUE, JSON_ASK_IS, JSON_ASK_LEAST, JSON_ASK_MOST };
enum { JSON_FILTER_BOUND = 32 };
struct json_filter_ask {
    enum json_ask_op op;
    double bound;
    struct str bound_text;
};
/* Takes "path", "path?", "path>=N" or "path<=N" apart; the slices are of text. */
enum err json_filter_ask_read(struct str text, struct str *path,
                              struct json_filter_ask *ask) MUST_CHECK;
enum err json_filter_new(const struct str *paths, size_t n, struct json_filter **out) MUST_CHECK;
void json_filter_free(struct json_filter *f);

/* What was kept, for commitments: called for each allowed path's value with the value's raw JSON
 * bytes (scalars and whole sub-documents; for a question, its answer), in document order, while the
 * rest is not yet read: what it was told is thrown away too when the run fails. NULL when nobody
 * asks. */
typedef void json_filter_seen(void *arg, size_t path_index, struct str raw_value);

/* Filters a whole document, appended to out (its ceiling holds: ERR_LIMIT). ERR_INVALID for
 * anything that is not one strict RFC 8259 document (UTF-8, no half of a surrogate pair, depth 64,
 * no duplicate member in one object among the allowed names, however its name is escaped); then out
 * is to be thrown away. A document that is a text, a number or a literal becomes null. Allowed
 * values are copied as they were written, spaces too. */
enum err json_filter_run(const struct json_filter *f, struct str in, struct buf *out,
                         json_filter_seen *seen, void *arg) MUST_CHECK;

#endif
