/* The compiled allow list, a tree of names: shared by the filters of JSON and of XML. */
#ifndef DATA_JSONFILTER_INNER_H
#define DATA_JSONFILTER_INNER_H

#include "data/jsonfilter.h"

#include <string.h>

struct field_node {
    uint64_t lengths;           /* bit n: a child's name has n bytes, modulo 64 */
    uint16_t first, count;      /* children, one behind the other */
    int16_t path;               /* allowed with all below; -1: on the way */
    uint16_t n;                 /* the name's length */
    struct json_filter_ask ask; /* of a leaf: what is answered in place of its value */
    uint64_t head;              /* its first bytes */
    const char *name;
};
struct json_filter {
    struct field_node *nodes; /* the first is the root */
    size_t n;
    bool asks;   /* some leaf answers a question: answers may be longer than what was there */
    char *names; /* all paths, one behind the other */
};

static inline uint64_t field_head(const char *p, size_t n)
{
    uint64_t head = 0;
    memcpy(&head, p, n < 8 ? n : 8);
    return head;
}

static inline const struct field_node *field_child(const struct json_filter *f,
                                                   const struct field_node *parent,
                                                   const char *name, size_t n)
{
    if (!(parent->lengths >> (n & 63) & 1))
        return NULL;
    uint64_t head = field_head(name, n);
    const struct field_node *c = &f->nodes[parent->first], *last = c + parent->count;
    for (; c < last; c++)
        if (c->head == head && c->n == n && (n <= 8 || memcmp(c->name + 8, name + 8, n - 8) == 0))
            return c;
    return NULL;
}

/* A JSON number and nothing else, of JSON_FILTER_BOUND bytes at most. */
bool field_number(struct str s, double *out);

#endif
