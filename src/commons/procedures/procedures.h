/* The procedures engine: definitions (data, in services' folders), dossiers (a person's case, from
 * draft to decision), and what citizens, agents and programs do with them. A page and its twin of
 * the API call the same function of "acting" below, and differ only in what they answer. */
#ifndef COMMONS_PROCEDURES_H
#define COMMONS_PROCEDURES_H

#include "platform/ctx.h"

/* ---- definitions: immutable once loaded; docs/formats/procedure.md -----------------------------
 */
struct procedure {
    const char *id, *folder, *org;
    int version;
    json_t *def;  /* service.json */
    json_t *form; /* forms/<form>.json */
    size_t n_steps;
    struct search_index *index; /* search.c */
};
enum err definitions_load(void) MUST_CHECK; /* from the assets, once */
/* One definition out of its two texts. ERR_INVALID: `why` says where and which rule. */
enum err definition_read(struct str service, struct str form, struct procedure *out,
                         char why[256]) MUST_CHECK;
const struct procedure *procedure_find(struct str id);
const struct procedure *procedure_at(size_t i); /* NULL at the end */
/* A text in the request's language out of {"fr","en"}; "" when absent. */
const char *def_text(const struct ctx *c, const json_t *two);
json_t *procedure_step(const struct procedure *p, size_t step); /* borrowed; NULL: no such */
int64_t procedure_deadline_ms(const struct procedure *p, int64_t submitted_ms); /* 0: none said */

/* ---- dossiers ----------------------------------------------------------------------------------
 */
enum dossier_state { DOSSIER_DRAFT, DOSSIER_SUBMITTED, DOSSIER_ACCEPTED, DOSSIER_REFUSED };
const char *
dossier_state_name(enum dossier_state s); /* "draft" ...: as stored and in texts' keys */

struct dossier {
    struct str id, number, host, sub, digest, agent_name;
    const struct procedure *procedure;
    enum dossier_state state;
    int64_t created_ms, submitted_ms, updated_ms, deadline_ms, decided_ms;
    int version;      /* of the definition: the current one while a draft, then pinned */
    int64_t revision; /* of the data: a change made elsewhere meanwhile is noticed */
    json_t *data; /* {"values": {name: {v, label?, source?, date?, corrected?, wrong?}}, "sources":
                     {}, "reason"?} */
};

/* The person's draft of a procedure, or a new one. */
enum err dossier_draft(struct ctx *c, const struct procedure *p, struct dossier *out) MUST_CHECK;
/* By id, on this site. owner: only the session's own (ERR_NOT_FOUND otherwise). */
enum err dossier_get(struct ctx *c, struct str id, bool owner, struct dossier *out) MUST_CHECK;
/* Drafts only. ERR_CONFLICT: sent, or changed by another tab since it was read. */
enum err dossier_save(struct ctx *c, struct dossier *d) MUST_CHECK;
/* Gives number, digest and time, and seals the act. ERR_CONFLICT as above. */
enum err dossier_submit(struct ctx *c, struct dossier *d) MUST_CHECK;
/* ERR_CONFLICT: decided already. */
enum err dossier_decide(struct ctx *c, struct dossier *d, bool accept,
                        struct str reason) MUST_CHECK;
/* An agent opens it: sealed in the journal, for the person to read, at the first look of each agent
 * each day. Nothing is to be shown when it fails. */
enum err dossier_note_read(struct ctx *c, const struct dossier *d) MUST_CHECK;
/* What was sent, as the digest (SHA-256) covers it: docs/formats/deposit.md. */
struct str dossier_deposit(struct ctx *c, const struct dossier *d);

struct dossier_event {
    struct str id; /* of the journal's entry too */
    int64_t at_ms;
    struct str kind, who, text;
};
enum err dossier_events(struct ctx *c, const struct dossier *d, struct dossier_event **out,
                        size_t *n) MUST_CHECK;
json_t *dossier_value(const struct dossier *d, const char *name); /* borrowed or NULL */
void dossier_set(struct dossier *d, const char *name, json_t *value /* stolen */);
struct str dossier_subject(struct ctx *c, const struct dossier *d);   /* whose vault key */
struct str dossier_applicant(struct ctx *c, const struct dossier *d); /* her name, from identity */

/* Rows of lists: nothing of what was typed. */
struct dossier_row {
    struct str id, number;
    const struct procedure *procedure;
    enum dossier_state state;
    int64_t submitted_ms, updated_ms, deadline_ms;
};
/* The session's own, newest first. */
enum err dossiers_mine(struct ctx *c, struct str host, struct str sub, struct dossier_row **out,
                       size_t *n) MUST_CHECK;

enum { DOSSIERS_PER_PAGE = 25 };
struct dossier_query {
    struct str q;     /* a number or a name */
    struct str state; /* "", "submitted", "done", "accepted", "refused", "late" */
    struct str sort;  /* "received" (newest first), "oldest", "deadline" */
    size_t page;      /* from 1 */
    size_t per_page;
};
struct dossier_counts {
    int64_t all, submitted, done, late;
};
/* Of this site, drafts left out. *total counts what the query finds. */
enum err dossiers_of_site(struct ctx *c, const struct dossier_query *q, struct dossier_row **out,
                          size_t *n, int64_t *total) MUST_CHECK;
enum err dossiers_count(struct ctx *c, struct dossier_counts *out) MUST_CHECK;
/* The neighbours of a dossier among those to handle, by time of reception; "" none. */
enum err dossier_neighbours(struct ctx *c, const struct dossier *d, struct str *previous,
                            struct str *next) MUST_CHECK;

/* ---- prefill -----------------------------------------------------------------------------------
 */
/* Fills the draft from the session's claims and from the sources through the gateway, with the
 * person's own token. What she corrected stays. A source that refuses or is down leaves its fields
 * to be typed, and is noted in data.sources {id: {"ok", "status", "code"?, "entry"?}}. */
void prefill(struct ctx *c, struct dossier *d);

/* ---- acting: shared by pages and the API --------------------------------------------------------
 */
extern const struct fault procedures_no_procedure, procedures_fields, procedures_missing,
    procedures_changed, procedures_decided, procedures_sent;
/* A procedure of this site by the path's {procedure}; fails with procedures_no_procedure. */
enum err procedures_here(struct ctx *c, struct str id, const struct procedure **out) MUST_CHECK;
enum err procedures_begin(struct ctx *c, const struct procedure *p, struct dossier *out) MUST_CHECK;
/* Takes the form of a step. *errors {name: text} or NULL. ERR_CONFLICT: sent already. */
enum err procedures_take(struct ctx *c, struct str id, size_t step, struct dossier *d,
                         json_t **errors) MUST_CHECK;
/* Sends a complete draft; one that was sent already is given back as it is. revision (of the
 * answers the person read over): 0 when not said. ERR_CONFLICT: the answers changed since;
 * ERR_INVALID: some are missing. */
enum err procedures_send(struct ctx *c, struct str id, int64_t revision,
                         struct dossier *d) MUST_CHECK;
/* Reads "outcome" and "reason" of the form. */
void procedures_outcome(struct ctx *c, bool *accept, struct str *reason, json_t **errors);
/* The agent's decision, from the form. *errors: nothing was decided. ERR_CONFLICT: decided already.
 */
enum err procedures_decide(struct ctx *c, struct str id, struct dossier *d,
                           json_t **errors) MUST_CHECK;

/* ---- routes ------------------------------------------------------------------------------------
 */
enum err procedures_home(struct ctx *c);
enum err procedures_start(struct ctx *c);
enum err procedures_start_post(struct ctx *c);
enum err procedures_step(struct ctx *c);
enum err procedures_step_post(struct ctx *c);
enum err procedures_check(struct ctx *c);
enum err procedures_check_post(struct ctx *c);
enum err procedures_receipt(struct ctx *c);
enum err procedures_dossier(struct ctx *c);
enum err procedures_deposit_file(struct ctx *c);

enum err procedures_agent_list(struct ctx *c);
enum err procedures_agent_dossier(struct ctx *c);
enum err procedures_agent_preview(struct ctx *c);
enum err procedures_agent_decide(struct ctx *c);

enum err procedures_api_list(struct ctx *c);
enum err procedures_api_one(struct ctx *c);
enum err procedures_api_mine(struct ctx *c);
enum err procedures_api_begin(struct ctx *c);
enum err procedures_api_dossier(struct ctx *c);
enum err procedures_api_step(struct ctx *c);
enum err procedures_api_send(struct ctx *c);
enum err procedures_api_agent_list(struct ctx *c);
enum err procedures_api_agent_dossier(struct ctx *c);
enum err procedures_api_agent_decide(struct ctx *c);

/* ---- calls -------------------------------------------------------------------------------------
 */
enum err call_of_sub(struct ctx *c, const json_t *args, json_t **out);
enum err call_search(struct ctx *c, const json_t *args, json_t **out);
struct search_index *search_index_new(const struct procedure *p);
/* How well words (folded) find a procedure: 0 not at all. */
int search_score(const struct search_index *index, struct str folded);

#endif
