/* The procedures engine: definitions (data, in services' folders), dossiers (a person's case, from
 * draft to decision), and the pages for citizens and agents. */
#ifndef COMMONS_PROCEDURES_H
#define COMMONS_PROCEDURES_H

#include "platform/ctx.h"

/* ---- definitions: immutable once loaded; docs/formats/procedure.md ----------------------------- */
struct procedure {
    const char *id, *folder, *org;
    int version;
    json_t *def;  /* service.json */
    json_t *form; /* forms/<form>.json */
    size_t n_steps;
};
enum err definitions_load(void) MUST_CHECK; /* from the assets, once */
const struct procedure *procedure_find(struct str id);
const struct procedure *procedure_at(size_t i); /* NULL at the end */
/* A text in the request's language out of {"fr","en"}; "" when absent. */
const char *def_text(const struct ctx *c, const json_t *two);
json_t *procedure_step(const struct procedure *p, size_t step); /* borrowed; NULL: no such */

/* ---- dossiers ---------------------------------------------------------------------------------- */
enum dossier_state { DOSSIER_DRAFT, DOSSIER_SUBMITTED, DOSSIER_ACCEPTED, DOSSIER_REFUSED };
const char *dossier_state_name(enum dossier_state s); /* "draft" ...: as stored and in texts' keys */

struct dossier {
    struct str id, number, host, sub, digest, agent_name;
    const struct procedure *procedure;
    enum dossier_state state;
    int64_t created_ms, submitted_ms, updated_ms;
    json_t *data; /* {"values": {name: {v, label?, source?, date?, corrected?}}, "reason"?} */
};

/* The person's draft of a procedure, or a new one. */
enum err dossier_draft(struct ctx *c, const struct procedure *p, struct dossier *out) MUST_CHECK;
/* By id, on this site. owner: only the session's own (ERR_NOT_FOUND otherwise). */
enum err dossier_get(struct ctx *c, struct str id, bool owner, struct dossier *out) MUST_CHECK;
enum err dossier_save(struct ctx *c, struct dossier *d) MUST_CHECK; /* drafts only */
/* Gives number, digest and time, and seals the act. ERR_CONFLICT: not a draft any more. */
enum err dossier_submit(struct ctx *c, struct dossier *d) MUST_CHECK;
/* ERR_CONFLICT: decided already. */
enum err dossier_decide(struct ctx *c, struct dossier *d, bool accept, struct str reason) MUST_CHECK;

struct dossier_event {
    int64_t at_ms;
    struct str kind, who, text;
};
enum err dossier_events(struct ctx *c, const struct dossier *d, struct dossier_event **out,
                        size_t *n) MUST_CHECK;
json_t *dossier_value(const struct dossier *d, const char *name); /* borrowed or NULL */
void dossier_set(struct dossier *d, const char *name, json_t *value /* stolen */);
struct str dossier_subject(struct ctx *c, const struct dossier *d); /* whose vault key */

/* ---- prefill ----------------------------------------------------------------------------------- */
/* Fills the draft from the session's claims and from the sources through the gateway, with the
 * person's own token. A source that refuses or is down leaves its fields to be typed, and is noted in
 * data.sources {id: {"ok", "status", "title"}}. */
void prefill(struct ctx *c, struct dossier *d);

/* ---- pages ------------------------------------------------------------------------------------- */
enum err page_home(struct ctx *c);
enum err page_start(struct ctx *c);
enum err page_begin(struct ctx *c);
enum err page_step(struct ctx *c);
enum err page_step_post(struct ctx *c);
enum err page_check(struct ctx *c);
enum err page_submit(struct ctx *c);
enum err page_receipt(struct ctx *c);
enum err page_dossier(struct ctx *c);
enum err page_agent_list(struct ctx *c);
enum err page_agent_dossier(struct ctx *c);
enum err page_agent_decide(struct ctx *c);
enum err call_of_sub(struct ctx *c, const json_t *args, json_t **out);
enum err call_search(struct ctx *c, const json_t *args, json_t **out);

#endif
