/* A growing byte buffer with a ceiling. Going over the ceiling drops the addition and sets the
 * sticky `err`: a chain of additions is checked once, at its end. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>
#include "base/err.h"
#include "base/str.h"

struct buf {
    char *p;
    size_t n, cap, ceiling;
    enum err err; /* ERR_OK or ERR_LIMIT */
};

void buf_init(struct buf *b, size_t ceiling_bytes);
void buf_free(struct buf *b);
void buf_wipe(struct buf *b); /* for secrets: overwrites, then frees */

/* Empties it and clears err; the memory is kept. */
void buf_reset(struct buf *b);

void buf_add(struct buf *b, const void *p, size_t n);
void buf_add_str(struct buf *b, struct str s);
void buf_add_z(struct buf *b, const char *z);
void buf_add_char(struct buf *b, char c);
void buf_add_u64(struct buf *b, uint64_t v);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Room for n more bytes at the end, or NULL when that passes the ceiling; buf_grew says how many
 * of them were written. */
char *buf_room(struct buf *b, size_t n);
void buf_grew(struct buf *b, size_t n);

/* Drops the first n bytes. */
void buf_drop(struct buf *b, size_t n);

static inline struct str buf_str(const struct buf *b)
{
    return (struct str){b->p, b->n};
}

/* Text encodings, appended. */
void buf_add_hex(struct buf *b, const void *p, size_t n);
void buf_add_base64(struct buf *b, const void *p, size_t n);
void buf_add_base64url(struct buf *b, const void *p, size_t n); /* unpadded, RFC 7515 2 */
void buf_add_html(struct buf *b, struct str s);                 /* & < > " ' escaped */
void buf_add_url(struct buf *b, struct str s);                  /* RFC 3986 unreserved kept */
void buf_add_json(struct buf *b, struct str s);                 /* quoted; s is UTF-8 */

#endif
