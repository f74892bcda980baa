/* One step of a form: its fields as the page draws them, and what was posted back. */
#ifndef COMMONS_PROCEDURES_FORM_H
#define COMMONS_PROCEDURES_FORM_H

#include "commons/procedures/procedures.h"

/* The fields of a step for the `field` component (docs/PAGES.md); errors {name: text} may be NULL.
 */
json_t *form_fields(struct ctx *c, const struct dossier *d, size_t step, const json_t *errors);

/* Takes the posted values of a step into the draft, which is not saved yet. *errors gets {name:
 * text} of what is wrong, in the person's language (NULL: nothing). What is wrong is kept too,
 * marked so: nothing typed is lost, and nothing wrong can be sent. */
void form_take(struct ctx *c, struct dossier *d, size_t step, json_t **errors);

/* For the layout's error_summary, out of fields with errors; NULL: none has. */
json_t *form_error_summary(const json_t *fields);

/* Rows for the summary-list of "check your answers", receipts and agents: label, value, source,
 * change_url when with_links. */
json_t *form_summary(struct ctx *c, const struct dossier *d, bool with_links);

/* First step with a missing or wrong answer, or n_steps. */
size_t form_first_missing(const struct dossier *d);

#endif
