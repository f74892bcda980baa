/* XML reading with libxml2's reader: no network, no external entity, no DTD, limits on size and
 * depth. */
#ifndef DATA_XML_H
#define DATA_XML_H

#include "base/arena.h"
#include "base/err.h"

/* A small tree in the arena: elements and attributes by their names without namespaces' prefixes
 * (of two attributes that then have one name, the first), trimmed text. */
struct xml_node {
    const char *name;
    const char *text; /* own text, trimmed; "" when none */
    struct xml_attr {
        const char *name, *value;
        struct xml_attr *next;
    } * attrs;
    struct xml_node *child, *next;
};
/* UTF-8, ISO-8859-1 or US-ASCII; the tree is UTF-8. ERR_INVALID: not well-formed (namespaces too),
 * a DTD, another encoding, deeper than 32, an element of more than 256 attributes; ERR_LIMIT: over
 * max_bytes. */
enum err xml_read(struct arena *a, struct str text, size_t max_bytes,
                  struct xml_node **root) MUST_CHECK;
/* First child of that name, or NULL; n may be NULL. */
const struct xml_node *xml_child(const struct xml_node *n, const char *name);
const char *xml_text(const struct xml_node *n, const char *child);    /* "" when absent */
const char *xml_attr_get(const struct xml_node *n, const char *name); /* NULL when absent */

#endif
