/* Contracts as the bodies that make them know them: a request that is written, discussed, decided,
 * signed, reviewed and ended. What gateways obey is the exchange's contract of the same id; it
 * follows the request's state (apply.c). Read in this order: state.c, terms.c, store.c, act.c,
 * apply.c. */
#ifndef CONTRACTS_CONTRACTS_H
#define CONTRACTS_CONTRACTS_H

#include "platform/ctx.h"

/* ---- states (docs/formats/contract.md) ----------------------------------------------------------
 */
enum contract_state {
    CONTRACT_DRAFT,
    CONTRACT_SUBMITTED,
    CONTRACT_CHANGES_REQUESTED,
    CONTRACT_VALIDATED,
    CONTRACT_REFUSED,
    CONTRACT_REVOKED,
    CONTRACT_ARCHIVED,
    CONTRACT_STATE_COUNT
};
enum { SIDE_CONSUMER = 1, SIDE_PROVIDER = 2, SIDE_OPERATOR = 4 };

struct transition {
    const char *action; /* "submit": in addresses and in the API */
    unsigned from;      /* 1 << enum contract_state ... */
    enum contract_state to;
    unsigned sides;    /* who may */
    bool words_needed; /* a message says why */
    bool held;         /* only while it is (resume), else only while it is not (suspend) */
    const char *kind;  /* of the journal's entry */
};
extern const struct transition transitions[];
extern const size_t transitions_n;
const char *contract_state_name(enum contract_state s);
enum err contract_state_read(struct str name, enum contract_state *out) MUST_CHECK;
/* NULL: there is no such action. */
const struct transition *transition_named(struct str action);
/* Whether it may be done now; held: the contract is suspended. */
bool transition_fits(const struct transition *t, enum contract_state s, unsigned sides, bool held);

/* ---- a request ------------------------------------------------------------------------------- */
struct contract_request {
    struct str id, contract_id; /* the exchange's contract: kept over reopenings */
    struct str replaces;        /* the request it reopens; "" */
    struct str stage;           /* "sandbox" | "production" */
    enum contract_state state;
    struct str held_by; /* "" | "consumer" | "provider" | "operator": suspended */
    struct str consumer, provider, client_id, api, version; /* organisations; API */
    json_t *terms;                                          /* the caller's pool owns it */
    struct str digest; /* of the agreement's text, hex; "" before it was submitted */
    int64_t revision, created_ms, updated_ms, ends_ms, reviewed_ms, report_due_ms;
};

/* terms.c: what a request says. From a form or JSON body over what was there. */
json_t *terms_read(struct ctx *c, const json_t *before);
struct terms_fault {
    const char *field, *key; /* the form's field; the text's key "fault.<key>" */
};
enum { TERMS_FAULTS_MAX = 16 };
/* What is wrong or missing before it can be submitted. `api` is the call exchange.api's result or
 * NULL. */
size_t terms_faults(struct ctx *c, const json_t *terms, const json_t *api,
                    struct terms_fault out[TERMS_FAULTS_MAX]);
/* The highest sensitivity of the fields asked for. A field that is not described counts as 2. */
int terms_sensitivity(const json_t *terms, const json_t *api);
/* [{name, label{fr,en}, sensitivity}] of the fields asked for, questions named so. */
json_t *terms_fields(struct ctx *c, const json_t *terms, const json_t *api);
/* catalogue.terms of the request's API: by number, 0 the newest; NULL: it has none (nobody
 * described it). */
const json_t *terms_of_use(struct ctx *c, const struct contract_request *r, int64_t number);
/* The canonical text that is signed, and its SHA-256 in hex. */
enum err agreement_text(struct ctx *c, const struct contract_request *r, const json_t *api,
                        struct str *text, struct str *digest) MUST_CHECK;

/* ---- store.c ------------------------------------------------------------------------------------
 */
enum { CONTRACTS_MIGRATIONS = 5 };
extern const struct db_migration contracts_migrations[CONTRACTS_MIGRATIONS];
enum err request_get(struct ctx *c, struct str id, struct contract_request *out) MUST_CHECK;
/* Those an organisation has a side in; "" for all. state "" for all. */
enum err request_list(struct ctx *c, struct str org, struct str state,
                      struct contract_request **out, size_t *n) MUST_CHECK;
/* Inside closures. */
enum err request_insert(struct db_conn *db, const struct contract_request *r, struct str terms);
enum err message_add(struct db_conn *db, struct str request, struct str org, struct str who,
                     const char *kind, struct str words, int64_t now_ms);
/* [{at, org, who, kind, text}], oldest first. */
enum err message_list(struct ctx *c, struct str request, json_t **out) MUST_CHECK;
json_t *contracts_one(struct ctx *c, const char *call, json_t *args); /* a call's result or NULL */

/* ---- act.c: whoever acts, and what is done
 * ------------------------------------------------------- */
struct contract_party {
    struct str org, who, name; /* organisation, agent id, name for the other side to read */
    unsigned extra;            /* SIDE_OPERATOR where it is */
    bool substantial;          /* signed in at eidas2 at least, or with a second factor */
};
struct contract_party party_of(struct ctx *c);
unsigned party_sides(const struct contract_party *p, const struct contract_request *r);
/* Finds it for one of its sides; ERR_NOT_FOUND for everybody else. */
enum err request_of_party(struct ctx *c, const struct contract_party *p, struct str id,
                          struct contract_request *out) MUST_CHECK;
enum err request_create(struct ctx *c, const struct contract_party *p, json_t *terms,
                        struct str stage, struct str contract_id /* "": its own */,
                        struct contract_request *out) MUST_CHECK;
enum err request_change(struct ctx *c, const struct contract_party *p, struct contract_request *r,
                        json_t *terms) MUST_CHECK;
/* One of the table, or "message". *r becomes what it is afterwards. The fault is noted in c. */
enum err request_act(struct ctx *c, const struct contract_party *p, struct contract_request *r,
                     struct str action, struct str words) MUST_CHECK;
/* A new draft beside the active one, on the same contract; or the production one of a sandbox. */
enum err request_reopen(struct ctx *c, const struct contract_party *p,
                        const struct contract_request *r, bool production,
                        struct contract_request *out) MUST_CHECK;

/* apply.c: the exchange's contract made to follow the request. opens: a contract that is held is
 * let go on (validated, resumed); a renewal does not. */
enum err contract_apply(struct ctx *c, const struct contract_request *r, bool opens) MUST_CHECK;

/* ---- sign.c
 * ---------------------------------------------------------------------------------------- */
enum err org_key_put(struct ctx *c, struct str org, struct str actor, const json_t *jwk,
                     struct str *kid) MUST_CHECK;
/* A compact JWS whose payload is the agreement's text. */
enum err agreement_sign(struct ctx *c, const struct contract_party *p,
                        const struct contract_request *r, struct str jws) MUST_CHECK;
/* {text, digest, signatures: [{org, kid, at, valid}], missing: [org]}: bodies that have a key and
 * have not signed this text. */
enum err agreement_read(struct ctx *c, const struct contract_request *r, json_t **out) MUST_CHECK;

/* ---- report.c: uses and quality
 * ------------------------------------------------------------------- */
/* kind: "usage" (consumer), "quality" (consumer), "answer" (provider). */
enum err report_add(struct ctx *c, const struct contract_party *p, struct contract_request *r,
                    struct str kind, struct str words, struct str fields, int64_t calls) MUST_CHECK;
enum err report_list(struct ctx *c, struct str request, json_t **out) MUST_CHECK;
/* Whether the body is a private operator: its uses are compared with what the gateway counts. */
bool org_is_private(struct ctx *c, struct str org);
/* exchange.contract_usage of the request's contract, or NULL; the context's. */
const json_t *contract_counted(struct ctx *c, const struct contract_request *r);
bool report_is_overdue(const struct contract_request *r, int64_t now_ms);

/* ---- delegation.c, delegation_page.c
 * ---------------------------------------------------------- */
struct delegation {
    struct str id, client, vendor, api; /* api "*": all */
    struct str state;                   /* "declared", "active", "ended" */
    int64_t until_ms;
};
/* By the client's side. months 12 at most 60; the fault is noted. */
enum err delegation_declare(struct ctx *c, const struct contract_party *p, struct str vendor,
                            struct str api, int64_t months, struct str *id) MUST_CHECK;
enum err delegation_from_form(struct ctx *c, struct str *id) MUST_CHECK;
/* "accept" (the vendor), "end" (either). */
enum err delegation_act(struct ctx *c, const struct contract_party *p, struct str id,
                        struct str action) MUST_CHECK;
/* Those an organisation has a side in: docs/formats/contract.md. */
enum err delegation_list(struct ctx *c, struct str org, json_t **out) MUST_CHECK;
route_handler delegation_api_list, delegation_api_declare, delegation_api_act;
route_handler delegation_page, delegation_page_declare, delegation_page_act;

/* ---- statement.c */
route_handler contracts_api_statement, contracts_page_statement;

/* ---- desk.c: the webhook of a body's own authorisation desk
 * ---------------------------------------------------------- */
/* Its secret, shown once. */
enum err desk_secret_put(struct ctx *c, struct str org, struct str *secret) MUST_CHECK;
/* Events older than a day cannot come again: their ids are dropped. */
enum err desk_sweep(struct platform *pf, int64_t now_ms) MUST_CHECK;

/* told.c. Inside a closure: an event for both sides' webhooks. */
enum err contract_tell(struct db_conn *db, const struct contract_request *r, const char *event,
                       int64_t now_ms);

/* clock.c */
void contracts_tick(struct platform *pf, int64_t now_ms);

/* ---- faults (faults.c)
 * ------------------------------------------------------------------------------- */
extern const struct fault contracts_fault_state, contracts_fault_fields, contracts_fault_words,
    contracts_fault_level, contracts_fault_signature, contracts_fault_key, contracts_fault_jws,
    contracts_fault_api, contracts_fault_report, contracts_fault_hook, contracts_fault_role,
    contracts_fault_revision, contracts_fault_vendor;

/* ---- view.c, pages.c, api.c, cli.c
 * -------------------------------------------------------------------- */
json_t *request_json(struct ctx *c, const struct contract_request *r, unsigned sides);
enum err request_json_full(struct ctx *c, const struct contract_party *p,
                           const struct contract_request *r, json_t **out) MUST_CHECK;
/* The action of the route's {action}, with the form's "message", "jws", "kind" ... */
enum err contracts_act(struct ctx *c, const struct contract_party *p,
                       struct contract_request *r) MUST_CHECK;
enum err contracts_public(struct ctx *c, json_t **out) MUST_CHECK;
route_handler contracts_page_list, contracts_page_new, contracts_page_create, contracts_page_one,
    contracts_page_edit, contracts_page_change, contracts_page_act, contracts_page_agreement,
    contracts_page_public, contracts_page_operator;
route_handler contracts_api_list, contracts_api_create, contracts_api_one, contracts_api_change,
    contracts_api_act, contracts_api_agreement, contracts_api_key, contracts_api_public,
    contracts_api_webhook;
call_handler contracts_call_command, contracts_call_draft, contracts_call_request;

#endif
