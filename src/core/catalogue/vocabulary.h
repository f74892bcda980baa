/* The common vocabulary (vocabulary.c). */
#ifndef CATALOGUE_VOCABULARY_H
#define CATALOGUE_VOCABULARY_H

#include "platform/ctx.h"

struct concept {
    const char *id, *label_fr, *label_en, *meaning_fr, *meaning_en;
    const char *same_as; /* an IRI of a published vocabulary; "" */
};
enum err concept_get(struct ctx *c, struct str id, struct concept *out) MUST_CHECK;
struct str concept_iri(struct ctx *c, struct str id);
/* data_list, with iri, meaning{fr,en} and same_as where they are known; the context's. */
enum err vocabulary_list(struct ctx *c, json_t **items) MUST_CHECK;

call_handler concept_call_put;
route_handler vocabulary_page, vocabulary_api, vocabulary_jsonld, vocabulary_context,
    vocabulary_read;

#endif
