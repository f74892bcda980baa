/* One step of a form: its fields as the page draws them, and what was posted back. */
#ifndef COMMONS_PROCEDURES_FORM_H
#define COMMONS_PROCEDURES_FORM_H

#include "commons/procedures/procedures.h"

/* The fields of a step for the `field` component (docs/PAGES.md); errors {name: text} may be NULL. */
json_t *form_fields(struct ctx *c, const struct dossier *d, size_t step, const json_t *errors);

/* Takes the posted values of a step into the draft. *errors gets {name: text} of what is wrong, in
 * the person's language (NULL: nothing); right values are kept even then: nothing typed is lost. */
enum err form_take(struct ctx *c, struct dossier *d, size_t step, json_t **errors) MUST_CHECK;

/* Rows for the summary-list of "check your answers", receipts and agents: label, value, source,
 * change_url when with_links. */
json_t *form_summary(struct ctx *c, const struct dossier *d, bool with_links);

/* First step with a missing answer, or n_steps. */
size_t form_first_missing(const struct dossier *d);

#endif
