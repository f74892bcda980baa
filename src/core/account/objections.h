/* Objections to a use of one's data: docs/formats/objection.md. */
#ifndef ACCOUNT_OBJECTIONS_H
#define ACCOUNT_OBJECTIONS_H

#include "core/account/account.h"

enum { OBJECTION_WORDS_MAX = 2000, ACCOUNT_MIGRATIONS = 1 };
extern const struct db_migration account_migrations[ACCOUNT_MIGRATIONS];

bool objection_words_ok(struct str words);
/* ERR_EXISTS: she objected to this use already. */
enum err objection_open(struct ctx *c, const struct use *use, struct str reason,
                        struct str *id) MUST_CHECK;
/* Newest first of hers; of a site's body, open ones first. The caller owns the list. */
enum err objections_of_person(struct ctx *c, json_t **out) MUST_CHECK;
enum err objections_of_org(struct ctx *c, json_t **out) MUST_CHECK;
/* Is the agent of the session her body's data officer? */
enum err objection_officer(struct ctx *c, bool *is) MUST_CHECK;
/* ERR_NOT_FOUND: none of this body; ERR_CONFLICT: it was answered. */
enum err objection_answer(struct ctx *c, struct str id, struct str words) MUST_CHECK;
int objections_cli(struct platform *pf, int argc, char **argv);

/* objection_pages.c */
route_handler objection_page_form, objection_page_post, objection_page_list, objection_page_cases,
    objection_page_answer;
route_handler objection_api_post, objection_api_list, objection_api_cases, objection_api_answer;

#endif
