/* What the pages of citizens and agents show alike of a dossier. */
#ifndef COMMONS_PROCEDURES_VIEW_H
#define COMMONS_PROCEDURES_VIEW_H

#include "commons/procedures/procedures.h"

json_t *view_text(struct ctx *c, const char *key, const json_t *data /* may be NULL */);
json_t *view_date(struct ctx *c, int64_t at_ms);      /* in words, without the hour */
json_t *view_date_time(struct ctx *c, int64_t at_ms); /* in words */
json_t *view_datetime(struct ctx *c, int64_t at_ms);  /* RFC 3339, for <time> */
json_t *view_path(struct ctx *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* {kind, label} for the component platform/tag. */
json_t *view_state(struct ctx *c, enum dossier_state s);
/* For the component platform/timeline. agent: names who did it; else the organisation. */
enum err view_events(struct ctx *c, const struct dossier *d, bool agent, json_t **out) MUST_CHECK;
/* {accepted | refused, title, text, reason, when, by, appeal, proof_url}. */
enum err view_decision(struct ctx *c, const struct dossier *d, json_t **out) MUST_CHECK;
/* The same before it is made: {title, text, reason, appeal}. */
json_t *view_preview(struct ctx *c, const struct dossier *d, bool accept, struct str reason);
/* A notice above the page (docs/PAGES.md); kind "success" or "warning". */
void view_flash(struct ctx *c, json_t *page, const char *kind, const char *key);

#endif
