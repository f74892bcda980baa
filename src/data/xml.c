/* XML of older services, read node by node into a small tree. What made XML dangerous is refused
 * before it acts: a document type (and with it every entity), encodings in which one could hide,
 * depth, and tags with attributes by the thousand (libxml2 compares each with each). */
#include "data/xml.h"

#include <limits.h>
#include <pthread.h>
#include <strings.h>
#include <libxml/parser.h>
#include <libxml/xmlreader.h>

#include "base/buf.h"

enum { DEPTH_MAX = 32, ATTRS_MAX = 256 };

/* --- before the parser ------------------------------------------------------------------------ */

static pthread_once_t once = PTHREAD_ONCE_INIT;

static xmlParserInputPtr load_nothing(const char *url, const char *id, xmlParserCtxtPtr context)
{
    (void)url;
    (void)id;
    (void)context;
    return NULL;
}

static void library_start(void)
{
    xmlInitParser();
    xmlSetExternalEntityLoader(load_nothing);
}

/* Counts what can be attributes (= and a quoted value) since the last '<', which cannot stand in
 * one; inside a tag that is exact. */
static bool too_many_attributes(struct str text)
{
    const char *end = text.p + text.n;
    bool equals = false; /* the last character but spaces was '=' */
    size_t n = 0;
    for (const char *p = text.p; p < end; p++) {
        if (equals && (*p == '"' || *p == '\'')) {
            char quote = *p++;
            while (p < end && *p != quote && *p != '<')
                p++;
            if (++n > ATTRS_MAX)
                return true;
        }
        if (p < end && *p == '<')
            n = 0;
        if (p < end && !strchr(" \t\r\n", *p))
            equals = *p == '=';
    }
    return false;
}

/* An encoding whose ASCII is not ASCII has a NUL, or no '<', where a document begins. */
static bool is_readable(struct str text)
{
    if (str_starts(text, STR("\xEF\xBB\xBF")))
        text = str_after(text, 3);
    text = str_trim(text);
    return text.n > 0 && text.p[0] == '<' && !memchr(text.p, '\0', text.n);
}

static bool is_known_encoding(const char *name)
{
    static const char *const known[] = {"UTF-8", "ISO-8859-1", "US-ASCII", "ASCII"};
    for (size_t i = 0; name && i < COUNT_OF(known); i++)
        if (strcasecmp(name, known[i]) == 0)
            return true;
    return !name;
}

/* --- the tree --------------------------------------------------------------------------------- */

struct level {
    struct xml_node *node, *last_child;
    struct buf text;
};
struct reading {
    struct arena *a;
    xmlTextReaderPtr r;
    struct xml_node *root;
    struct level levels[DEPTH_MAX];
    unsigned open; /* levels that have no end yet */
    bool bad;
};

static char *copy(struct reading *x, const xmlChar *z)
{
    return arena_dupz(x->a, str_from(z ? (const char *)z : ""));
}

static void attributes_read(struct reading *x, struct xml_node *node)
{
    struct xml_attr **to = &node->attrs;
    while (xmlTextReaderMoveToNextAttribute(x->r) == 1) {
        if (xmlTextReaderIsNamespaceDecl(x->r) == 1)
            continue;
        struct xml_attr *attr = arena_new(x->a, struct xml_attr);
        attr->name = copy(x, xmlTextReaderConstLocalName(x->r));
        attr->value = copy(x, xmlTextReaderConstValue(x->r));
        *to = attr;
        to = &attr->next;
    }
    xmlTextReaderMoveToElement(x->r);
}

static void element_end(struct reading *x)
{
    struct level *l = &x->levels[--x->open];
    l->node->text = arena_dupz(x->a, str_trim(buf_str(&l->text)));
    buf_free(&l->text);
}

static enum err element_begin(struct reading *x, size_t max_bytes)
{
    if (x->open == DEPTH_MAX)
        return ERR_INVALID;
    struct xml_node *node = arena_new(x->a, struct xml_node);
    struct level *up = x->open ? &x->levels[x->open - 1] : NULL;
    bool empty = xmlTextReaderIsEmptyElement(x->r) == 1;
    node->name = copy(x, xmlTextReaderConstLocalName(x->r));
    attributes_read(x, node);
    if (!up)
        x->root = node;
    else if (up->last_child)
        up->last_child->next = node;
    else
        up->node->child = node;
    if (up)
        up->last_child = node;
    struct level *l = &x->levels[x->open++];
    *l = (struct level){.node = node};
    buf_init(&l->text, max_bytes * 2); /* ISO-8859-1 grows in UTF-8 */
    if (empty)
        element_end(x);
    return ERR_OK;
}

static enum err node_take(struct reading *x, size_t max_bytes)
{
    const xmlChar *text;
    switch (xmlTextReaderNodeType(x->r)) {
    case XML_READER_TYPE_ELEMENT:
        return element_begin(x, max_bytes);
    case XML_READER_TYPE_END_ELEMENT:
        element_end(x);
        return ERR_OK;
    case XML_READER_TYPE_TEXT:
    case XML_READER_TYPE_CDATA:
    case XML_READER_TYPE_SIGNIFICANT_WHITESPACE:
    case XML_READER_TYPE_WHITESPACE:
        text = xmlTextReaderConstValue(x->r);
        if (x->open && text)
            buf_add_z(&x->levels[x->open - 1].text, (const char *)text);
        return ERR_OK;
    case XML_READER_TYPE_COMMENT:
    case XML_READER_TYPE_PROCESSING_INSTRUCTION:
    case XML_READER_TYPE_XML_DECLARATION:
        return ERR_OK;
    default: /* a document type, an entity */
        return ERR_INVALID;
    }
}

static void on_error(void *reading, xmlErrorPtr error)
{
    struct reading *x = reading;
    x->bad |= error->level >= XML_ERR_ERROR;
}

static enum err document_read(struct reading *x, size_t max_bytes)
{
    enum err e = ERR_OK;
    int rc;
    while (e == ERR_OK && !x->bad && (rc = xmlTextReaderRead(x->r)) == 1) {
        e = node_take(x, max_bytes);
        if (!is_known_encoding((const char *)xmlTextReaderConstEncoding(x->r)))
            e = ERR_INVALID;
    }
    return e == ERR_OK && (x->bad || rc != 0 || !x->root || x->open) ? ERR_INVALID : e;
}

enum err xml_read(struct arena *a, struct str text, size_t max_bytes, struct xml_node **root)
{
    struct reading x = {.a = a};
    *root = NULL;
    if (text.n > max_bytes || text.n > INT_MAX)
        return ERR_LIMIT;
    if (!is_readable(text) || too_many_attributes(text))
        return ERR_INVALID;
    pthread_once(&once, library_start);
    x.r = xmlReaderForMemory(text.p, (int)text.n, NULL, NULL,
                             XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
    if (!x.r)
        return ERR_INVALID;
    xmlTextReaderSetStructuredErrorHandler(x.r, on_error, &x);
    enum err e = document_read(&x, max_bytes);
    while (x.open)
        buf_free(&x.levels[--x.open].text);
    xmlFreeTextReader(x.r);
    *root = e == ERR_OK ? x.root : NULL;
    return e;
}

/* --- reading the tree ------------------------------------------------------------------------- */

const struct xml_node *xml_child(const struct xml_node *n, const char *name)
{
    for (const struct xml_node *c = n ? n->child : NULL; c; c = c->next)
        if (strcmp(c->name, name) == 0)
            return c;
    return NULL;
}

const char *xml_text(const struct xml_node *n, const char *child)
{
    const struct xml_node *c = xml_child(n, child);
    return c ? c->text : "";
}

const char *xml_attr_get(const struct xml_node *n, const char *name)
{
    for (const struct xml_attr *a = n ? n->attrs : NULL; a; a = a->next)
        if (strcmp(a->name, name) == 0)
            return a->value;
    return NULL;
}
