/* Registers: reference rows by key, searchable in plain words. */
#ifndef COMMONS_REGISTERS_H
#define COMMONS_REGISTERS_H

#include "platform/ctx.h"

struct register_row {
    struct str key, label; /* label is what people search; what is in parentheses tells rows of the
                              same name apart and is not searched: "Saint-Denis (93)" */
    struct str words;      /* other words that find it (postal codes), may be empty */
    int64_t weight;        /* higher comes first among equals */
    struct str data;       /* JSON object */
};
/* Fills rows until it returns false. */
typedef bool register_source(void *arg, struct arena *a, struct register_row *row);

/* Replaces a register's rows by those of the source, in transactions of 2,000; `version` names the
 * source's state: a register that has this version already is left alone. */
enum err register_load(struct platform *pf, const char *id, const char *version,
                       register_source *next, void *arg) MUST_CHECK;

/* ---- searching (search.c) ---- */
struct str register_fold(struct arena *a, struct str label); /* the part that is searched */
enum err registers_find(struct ctx *c, const json_t *args, json_t **out);
enum err registers_search(struct ctx *c, const json_t *args, json_t **out);

#endif
