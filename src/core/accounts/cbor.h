/* Reading CBOR (RFC 8949) as authenticators write it (CTAP2 canonical form): definite lengths, each
 * number in its shortest form, no tags, no floats, nesting of 8 at most. A cursor; nothing is
 * copied. The first fault sticks: a chain of reads is checked once, at its end. */
#ifndef ACCOUNTS_CBOR_H
#define ACCOUNTS_CBOR_H

#include "base/err.h"
#include "base/str.h"

struct cbor {
    const uint8_t *p;
    size_t n, at;
    bool bad;
};

static inline struct cbor cbor_open(struct str s)
{
    return (struct cbor){(const uint8_t *)s.p, s.n, 0, s.p == NULL};
}

/* Number of entries of the map or list that comes next; 0 when it is none. */
size_t cbor_map(struct cbor *c);
size_t cbor_list(struct cbor *c);
struct str cbor_text(struct cbor *c);
struct str cbor_bytes(struct cbor *c);
int64_t cbor_int(struct cbor *c);
bool cbor_next_is_text(const struct cbor *c);
/* Whatever comes next, whole; the slice of it. */
struct str cbor_skip(struct cbor *c);
/* Everything was read, and read well. */
static inline bool cbor_ended(const struct cbor *c)
{
    return !c->bad && c->at == c->n;
}

#endif
