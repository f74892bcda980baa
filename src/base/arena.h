/* An arena: memory with one lifetime (the process, a connection, a request), freed at once.
 * Allocation never returns NULL: inputs are bounded before they get here, so running out is a
 * fault of ours and aborts. Not thread-safe: one owner at a time. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stdarg.h>
#include "base/str.h"

struct arena_block;
struct arena {
    struct arena_block *head;
    size_t used_bytes; /* handed out since the last reset */
    bool secret;       /* wipe blocks before they are freed */
};

void arena_init(struct arena *a);
void arena_init_secret(struct arena *a);

/* Gives everything back; a reset arena keeps its first block for the next use. */
void arena_reset(struct arena *a);
void arena_free(struct arena *a);

/* Zeroed, aligned for any type. */
void *arena_alloc(struct arena *a, size_t size_bytes);
#define arena_new(a, type)      ((type *)arena_alloc((a), sizeof(type)))
#define arena_array(a, type, n) ((type *)arena_alloc_array((a), (n), sizeof(type)))
void *arena_alloc_array(struct arena *a, size_t n, size_t size_bytes);

/* Copies; the results are NUL-terminated one byte behind their length. */
struct str arena_dup(struct arena *a, struct str s);
char *arena_dupz(struct arena *a, struct str s);
struct str arena_printf(struct arena *a, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
struct str arena_vprintf(struct arena *a, const char *fmt, va_list ap);

#endif
