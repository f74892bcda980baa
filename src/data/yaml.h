/* A document of YAML 1.2 (core schema) or JSON as one tree of JSON values, with the line each value
 * began at, so that a fault found later can still be shown where it stands. */
#ifndef DATA_YAML_H
#define DATA_YAML_H

#include "base/map.h"
#include "data/json.h"

enum { YAML_DEPTH_MAX = 64, YAML_NODES_MAX = 400000, YAML_BYTES_MAX = 6 * 1024 * 1024 };

struct yaml_doc {
    json_t *root;
    struct arena arena;
    struct map lines; /* address of a value -> its line */
};

/* One document, UTF-8, at most YAML_BYTES_MAX bytes, YAML_DEPTH_MAX levels and YAML_NODES_MAX
 * values. Keys are text, and no key comes twice. An alias is copied, and counts as what it copies;
 * merge keys are not known. Tags other than !!str change nothing. ERR_INVALID or ERR_LIMIT tell
 * line and reason in *fault (may be NULL). On ERR_OK the caller ends with yaml_doc_free. */
enum err yaml_doc_read(struct str text, struct yaml_doc *out, struct json_fault *fault) MUST_CHECK;
void yaml_doc_free(struct yaml_doc *doc);

/* The line of a member's key, or of an element; 0 where it is not known: true, false and null have
 * none of their own, ask for what holds them. */
int yaml_doc_line(const struct yaml_doc *doc, const json_t *value);

#endif
