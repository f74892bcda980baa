/* JSON Schema (2020-12, and the form of it that OpenAPI 3.0 has), as far as it can be held against
 * an answer: type, nullable, enum, const, required, properties, additionalProperties, items, the
 * bounds of numbers, texts and arrays, allOf, anyOf, oneOf, not, and $ref by whoever holds the
 * document, `pattern` by whoever compiled it. Unknown keywords say nothing. Ends on any schema:
 * steps and levels are counted. */
#ifndef DATA_SCHEMA_H
#define DATA_SCHEMA_H

#include "data/json.h"

enum { SCHEMA_PATH_MAX = 200 };

struct schema_judge {
    /* The schema itself, or what its $ref leads to; NULL: nowhere. */
    const json_t *(*ref)(void *arg, const json_t *schema);
    void *ref_arg;
    /* Each departure: "dossier.personnes.nom" (arrays are transparent) and the keyword. NULL: only
     * the count matters. */
    void (*departs)(void *arg, const char *path, const char *keyword);
    void *departs_arg;
    /* NULL: patterns say nothing. */
    bool (*pattern)(void *arg, struct str pattern, struct str value);
    void *pattern_arg;
    unsigned steps_max; /* beyond, a value is not looked at; 0: 200,000 */
};

/* How many departures were found. */
size_t schema_check(const struct schema_judge *j, const json_t *schema, const json_t *value);

#endif
