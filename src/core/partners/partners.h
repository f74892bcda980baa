/* The partners' console: teams register clients and identity providers in the sandbox, try them,
 * read what was refused, rotate keys, ask for production. Clients and providers are identity's,
 * contracts are contracts': here is only whose they are. Read in this order: schema.c, team.c,
 * client.c, production.c, refusal.c, provider.c, identities.c; each has its pages and API beside.
 */
#ifndef PARTNERS_PARTNERS_H
#define PARTNERS_PARTNERS_H

#include "platform/ctx.h"

enum { PARTNERS_MIGRATIONS = 1 };
extern const struct db_migration partners_migrations[PARTNERS_MIGRATIONS];

/* ---- common.c
 * -------------------------------------------------------------------------------------- */
json_t *partners_text(struct ctx *c, const char *key);
/* A call's result, the pool's. args is stolen. */
enum err partners_call(struct ctx *c, const char *name, json_t *args, json_t **out) MUST_CHECK;
/* Who acts, for the journal. */
struct str partners_actor(const struct ctx *c);
/* Runs fn and one journal entry in a transaction. */
enum err partners_act(struct ctx *c, const char *kind, struct str object, db_closure *fn,
                      void *arg) MUST_CHECK;
json_t *partners_when(struct ctx *c, int64_t at_ms);
/* Fails with the field's name; pages show it beside the field, the API as problem+json. */
enum err partners_refuse(struct ctx *c, const char *field);
bool partners_refused(const struct ctx *c, const char *field);

/* A form's field, as platform/field: what was typed last, its label and hint, its error. */
enum input_kind { INPUT_TEXT, INPUT_AREA, INPUT_SELECT };
struct input {
    const char *name;
    enum input_kind kind;
    bool optional;
    const char *const *options; /* values; labels are texts "option.<name>.<value>" */
    size_t n_options;
};
json_t *partners_fields(struct ctx *c, const struct input *in, size_t n, const json_t *values);
/* The page that asks: texts "<name>.title", ".lead", ".send". */
enum err partners_form_page(struct ctx *c, const char *name, const struct input *in, size_t n,
                            const json_t *values, const char *back_url) MUST_CHECK;

/* ---- team.c
 * ------------------------------------------------------------------------------------------ */
struct team {
    struct str id, name, org_id; /* org_id "": of no organisation */
};
/* A team the person signed in belongs to; on an organisation's site, its own. ERR_NOT_FOUND. */
enum err team_get(struct ctx *c, struct str id, struct team *out) MUST_CHECK;
enum err team_list(struct ctx *c, struct team **out, size_t *n) MUST_CHECK;
enum err team_create(struct ctx *c, struct str name, struct team *out) MUST_CHECK;
enum err team_members(struct ctx *c, const struct team *t, json_t **out) MUST_CHECK;
enum err team_invite(struct ctx *c, const struct team *t, struct str *code) MUST_CHECK;
enum err team_join(struct ctx *c, struct str code, struct team *out) MUST_CHECK;
/* The team a code is for. */
enum err team_of_invite(struct ctx *c, struct str code, struct team *out) MUST_CHECK;

/* ---- client.c
 * ---------------------------------------------------------------------------------------- */
struct mine {
    struct team team;
    struct str client_id, stage, request, sandbox; /* sandbox: of a production client, its trial */
    json_t *settings;                              /* identity.client_get; the pool's */
};
/* A client of one of the person's teams. ERR_NOT_FOUND. */
enum err mine_get(struct ctx *c, struct str client_id, struct mine *out) MUST_CHECK;
/* From the form; *out: client_id, client_secret (where there is one), issuer, discovery. */
enum err client_create(struct ctx *c, const struct team *t, json_t **out) MUST_CHECK;
enum err client_row_add(struct ctx *c, const char *kind, struct str client_id, struct str team,
                        const char *stage, struct str request, struct str sandbox) MUST_CHECK;
enum err client_rotate(struct ctx *c, const struct mine *k, json_t **out) MUST_CHECK;
enum err client_keys(struct ctx *c, const struct mine *k, json_t **out) MUST_CHECK;
/* {client_id, name, stage, production {...}, redirect_uris ...} of a team. */
enum err client_all(struct ctx *c, const struct team *t, json_t **out) MUST_CHECK;
/* Ready commands and the link that begins a sign-in. */
json_t *client_try(struct ctx *c, const struct mine *k);
const char *client_auth_of(const json_t *settings); /* "secret", "key", "mtls" */
json_t *lines_of(struct ctx *c, struct str text);   /* a list of its words */

/* ---- production.c
 * ------------------------------------------------------------------------------------ */
enum err production_ask(struct ctx *c, const struct mine *k, json_t **out) MUST_CHECK;
/* {state: "none" | "draft" ... "validated", open, request, client_id} */
enum err production_state(struct ctx *c, const struct mine *k, json_t **out) MUST_CHECK;
/* Gives the production client its secret, once its contract is in force. */
enum err production_open(struct ctx *c, const struct mine *k, json_t **out) MUST_CHECK;

/* ---- refusal.c
 * --------------------------------------------------------------------------------------- */
/* [{id, at, code, why, sent, meaning{fr,en}, action{fr,en}}], newest first, of 30 days. */
enum err refusal_list(struct ctx *c, struct str client_id, json_t **out) MUST_CHECK;
void refusal_tick(struct platform *pf, int64_t now_ms);
call_handler partners_call_refusal, partners_call_refusals;

/* ---- provider.c
 * -------------------------------------------------------------------------------------- */
struct tried {
    struct team team;
    struct str id;
    json_t *settings, *looked, *trial; /* lists of checks; empty: not done yet */
    int64_t looked_ms, tried_ms;
};
enum err tried_get(struct ctx *c, struct str id, struct tried *out) MUST_CHECK;
enum err provider_declare(struct ctx *c, const struct team *t, json_t **out) MUST_CHECK;
enum err provider_change(struct ctx *c, const struct tried *p) MUST_CHECK;
enum err provider_check(struct ctx *c, struct tried *p) MUST_CHECK;
enum err provider_trial_end(struct ctx *c, struct tried *p, json_t **out) MUST_CHECK;
enum err provider_logout_end(struct ctx *c, struct tried *p) MUST_CHECK;
enum err provider_ask(struct ctx *c, struct tried *p) MUST_CHECK;
enum err provider_all(struct ctx *c, const struct team *t, json_t **out) MUST_CHECK;
/* The lists as one, each with its words; and what keeps it from production. */
json_t *provider_checklist(struct ctx *c, const struct tried *p, bool *ready);
struct str provider_trial_url(struct ctx *c, const struct tried *p, const char *end);

/* identities.c: [{login, password, shape, note{fr,en}, claims, refused}] */
json_t *identities_list(struct ctx *c);

/* ---- pages and API
 * ----------------------------------------------------------------------------------- */
route_handler partners_page_home, partners_page_team_post, partners_page_team, partners_page_invite,
    partners_page_join, partners_page_join_post, partners_page_client_new,
    partners_page_client_post, partners_page_client, partners_page_rotate, partners_page_keys,
    partners_page_try, partners_page_errors, partners_page_production,
    partners_page_production_post, partners_page_open, partners_page_identities, partners_page_back,
    partners_page_provider_new, partners_page_provider_post, partners_page_provider,
    partners_page_check, partners_page_trial, partners_page_trial_back, partners_page_trial_out,
    partners_page_provider_ask;
route_handler partners_api_teams, partners_api_team_post, partners_api_team, partners_api_invite,
    partners_api_join, partners_api_client_post, partners_api_client, partners_api_rotate,
    partners_api_keys, partners_api_try, partners_api_errors, partners_api_production,
    partners_api_open, partners_api_identities, partners_api_provider_post, partners_api_provider,
    partners_api_check, partners_api_provider_ask;

/* ---- faults
 * ------------------------------------------------------------------------------------------ */
extern const struct fault partners_f_none, partners_f_field, partners_f_limit, partners_f_contract,
    partners_f_state, partners_f_checks, partners_f_invite;

#endif
