/* A JSON document cut down to the fields a contract allows, in one pass, in constant memory.
 * Default deny: a member whose path is not allowed is dropped with all below it. */
#ifndef DATA_JSONFILTER_H
#define DATA_JSONFILTER_H

#include "base/buf.h"
#include "base/err.h"

/* Compiled allow list; immutable, shared by threads. Paths are member names joined by '.'; array
 * elements are transparent ("children.given_name" reaches into an array of children). A path that
 * ends at an object or array allows all below it. At most 64 paths of 16 levels. */
struct json_filter;
enum err json_filter_new(const struct str *paths, size_t n, struct json_filter **out) MUST_CHECK;
void json_filter_free(struct json_filter *f);

/* What was kept, for commitments: called for each allowed path's value with the value's raw JSON
 * bytes (scalars and whole sub-documents), in document order. NULL when nobody asks. */
typedef void json_filter_seen(void *arg, size_t path_index, struct str raw_value);

/* Filters a whole document into out (its ceiling holds). ERR_INVALID for anything that is not one
 * strict RFC 8259 document (UTF-8, depth 64, no duplicate member in one object among the allowed
 * names); then out is to be thrown away. */
enum err json_filter_run(const struct json_filter *f, struct str in, struct buf *out,
                         json_filter_seen *seen, void *arg) MUST_CHECK;

#endif
