/* The stages of dispatch, as a table that `socle explain` prints. */
#ifndef PLATFORM_EXPLAIN_H
#define PLATFORM_EXPLAIN_H

#include "platform/ctx.h"

typedef enum err stage(struct ctx *c);
struct stage_row {
    const char *name;
    stage *fn;
    const char *file;
    int line; /* of its row in the table, next to its function's name */
    const char *what;
};
const struct stage_row *dispatch_stage(size_t i); /* NULL at the end */

#endif
