/* The person's own place: what she started, who used her data, what she agreed to. */
#ifndef CORE_ACCOUNT_H
#define CORE_ACCOUNT_H

#include "platform/ctx.h"

/* Whose rows of the journal's side store are hers: her person id, and one reference per service she
 * uses ("sub:<client_id>/<sub>"). */
enum err account_subjects(struct ctx *c, struct str **subjects, size_t *n) MUST_CHECK;

/* One thing done with her data or her file, opened from the side store. */
struct use {
    struct str entry, subject, kind;
    int64_t at_ms;
    json_t *told; /* owned by the context */
};
/* The kinds that are a use of data: a call, allowed or refused; a sign-in; an agent at a dossier;
 * the journal's lines about her.
 */
enum { ACCOUNT_USE_KINDS = 5 };
extern const struct str account_use_kinds[ACCOUNT_USE_KINDS];
/* Where her uses of these kinds (NULL: all) are, newest first: counted and paged without being
 * opened.
 */
struct use_list {
    struct str *subjects;
    struct journal_side_key *keys;
    size_t n;
};
enum err account_use_list(struct ctx *c, const struct str *kinds, size_t n_kinds,
                          struct use_list *out) MUST_CHECK;
/* The same in the journal's order, the newest `limit` behind a place (NULL: from the newest on):
 * the whole list is had by asking again behind its last key, while it is full. */
enum err account_use_list_behind(struct ctx *c, const struct str *kinds, size_t n_kinds,
                                 const struct journal_at *before, size_t limit,
                                 struct use_list *out) MUST_CHECK;
/* Those of list->keys[from..to), less what was erased. */
enum err account_uses_open(struct ctx *c, const struct use_list *list, size_t from, size_t to,
                           struct use **out, size_t *n) MUST_CHECK;
/* Newest first, at most `limit`, of these kinds (NULL: all). */
enum err account_uses(struct ctx *c, const struct str *kinds, size_t n_kinds, size_t limit,
                      struct use **out, size_t *n) MUST_CHECK;
/* For the component platform/use. */
json_t *account_use_json(struct ctx *c, const struct use *u);

/* A text out of "x", {"fr","en"} or {"name": ...}; "" when absent. */
const char *account_text(const struct ctx *c, const json_t *v);
/* Labels of a list of fields, joined by commas. */
struct str account_fields(struct ctx *c, const json_t *fields);

extern struct journal_reader *account_reader;

/* ---- what pages and API have in common ---- */
json_t *account_person_args(struct ctx *c); /* {"person": ...}, for calls */
/* Her dossiers at every service, newest first: as procedures.of_sub gives them. */
json_t *account_dossiers(struct ctx *c);
/* The use of the path's {id}, when it is hers; fails with ACC-404-USE. */
enum err account_use_find(struct ctx *c, struct use *out) MUST_CHECK;
/* Checks a proof and adds what it shows: checked, origin, index, tree_size, leaf_hash ... */
void account_proof_details(struct ctx *c, json_t *d, struct journal_at at, struct str proof);

enum err account_page_home(struct ctx *c);
enum err account_page_account(struct ctx *c);
enum err account_page_uses(struct ctx *c);
enum err account_page_proof(struct ctx *c);
enum err account_page_proof_file(struct ctx *c);
enum err account_page_signins(struct ctx *c);
enum err account_page_consents(struct ctx *c);
enum err account_page_withdraw(struct ctx *c);
enum err account_page_withdraw_post(struct ctx *c);

/* spaces.c */
route_handler account_page_spaces, account_page_space_open, account_api_spaces;
/* ?from=CLIENT: the button of a body's space led here, and the page leads back. */
void account_from(struct ctx *c, json_t *d);

enum err account_api_search(struct ctx *c);
enum err account_api_account(struct ctx *c);
enum err account_api_uses(struct ctx *c);
enum err account_api_use(struct ctx *c);
enum err account_api_signins(struct ctx *c);
enum err account_api_consents(struct ctx *c);
enum err account_api_withdraw(struct ctx *c);

/* tracker.c */
route_handler account_tracker_find, account_tracker_period, account_tracker_heartbeat;

#endif
