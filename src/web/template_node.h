/* What template_compile.c makes and template.c renders. Private to the two. */
#ifndef WEB_TEMPLATE_NODE_H
#define WEB_TEMPLATE_NODE_H

#include "base/str.h"

struct node {
    /* 't' literal text; '=' '&' values; '#' '^' sections; '>' partial; '<' parent; '$' block;
     * '@' text; '!' comment; '/' the end of a section, parent or block */
    char kind;
    bool dynamic;      /* the name is to be looked up: {{>*name}}, {{@*key}} */
    struct str s;      /* literal, or name */
    struct str indent; /* white space before a tag that stands alone on its line */
    size_t end;        /* index of the '/' that closes it; 0: closes nothing */
};

struct template
{
    char *source; /* every slice above points into it */
    struct node *nodes;
    size_t n_nodes, cap;
};

#endif
