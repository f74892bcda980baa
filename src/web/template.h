/* Mustache (the official specification's variables, sections, inverted sections, partials,
 * comments, set delimiters, parents and blocks, dynamic names; no lambdas), compiled once, safe by
 * default: {{x}} is HTML-escaped, {{{x}}} and {{&x}} are not and `make lint` lists each use. An
 * empty string and 0 are false, as an empty list is.
 *
 * Additions:
 * {{@key}} is a text of the module's language file (or of the common one), itself a
 * template rendered in the same context: "texts are templates". A text is words, never markup: its
 * own characters are escaped too. {{@*name}} takes the key from the data. A missing key renders the
 * key in brackets and fails the test that walks all templates.
 * {{.name}} is asked of the innermost object only ({{name}} climbs to the page's data): for what a
 * component may be given or not.
 * An object {"fr": ..., "en": ...} written as a value gives the words of env->lang. */
#ifndef WEB_TEMPLATE_H
#define WEB_TEMPLATE_H

#include <jansson.h>
#include "base/buf.h"
#include "base/err.h"

struct template;
/* name is for error messages. ERR_INVALID with the line in *line (may be NULL). */
enum err template_compile(struct str text, const char *name, struct template **out,
                          int *line) MUST_CHECK;
void template_free(struct template *t);

struct template_env {
    /* A partial by name, or NULL. */
    const struct template *(*partial)(void *arg, struct str name);
    /* A text by key, or NULL. */
    const struct template *(*text)(void *arg, struct str key);
    void *arg;
    const char *lang; /* "fr" | "en"; may be NULL */
    bool plain;       /* escape nothing: mails, titles that a page will escape */
    bool is_text;     /* the template given is itself a text */
};
/* Depth of partials and texts at most 16. ERR_LIMIT when out's ceiling or that depth is passed. */
enum err template_render(const struct template *t, const json_t *data,
                         const struct template_env *env, struct buf *out) MUST_CHECK;

/* Walks the tags of a template: kind is one of "=#^>&@!<$"; a dynamic name is "*". For
 * checks. */
void template_walk(const struct template *t, void (*fn)(void *arg, char kind, struct str name),
                   void *arg);

#endif
