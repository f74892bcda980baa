/* What protects an account beyond its sign-in: the devices it is used from and the mail that tells
 * of a new one, open sessions, blocks, reports of fraud. Identity asks `safety.judge` before it
 * lets somebody in and says `safety.arrived` once she is; safety asks identity to end what is open.
 *
 * device     a browser she signed in with: a hash of its cookie; one browser may be several
 * people's signed_in  an open session: from which device and by which provider; goes with its end
 * block      "never by this provider" ("" for all): obeyed at the sign-in
 * report     what she tells operators of
 * What is said of a person is sealed under her key. */
#ifndef CORE_SAFETY_H
#define CORE_SAFETY_H

#include "platform/ctx.h"

enum { SAFETY_MIGRATIONS = 1 };
extern const struct db_migration safety_migrations[SAFETY_MIGRATIONS];

struct str safety_text(struct ctx *c, const char *key, const json_t *data);
/* A value sealed for a person; NULL: erased. The pool's. */
json_t *safety_open(struct ctx *c, struct str person, struct str sealed);
enum err safety_seal(struct ctx *c, struct str person, json_t *v /* stolen */,
                     struct str *out) MUST_CHECK;

/* ---- devices.c: arriving ---- */
call_handler safety_call_judge, safety_call_arrived;
/* {"items": [{id, label{fr,en}, network, trusted, first_at, last_at, here}]}; the pool's. */
enum err safety_devices(struct ctx *c, json_t **out) MUST_CHECK;
void safety_devices_sweep(struct platform *pf, int64_t now_ms); /* once a day */
/* One of the person's: trusted 1 or 0, or forgotten (-1). ERR_NOT_FOUND. */
enum err safety_device_set(struct ctx *c, struct str id, int trusted) MUST_CHECK;

/* ---- sessions.c ---- */
/* {"items": [{id, label, network, provider_name, acr, at, seen_at, here}]} */
enum err safety_sessions(struct ctx *c, json_t **out) MUST_CHECK;
/* Ends one of hers, or (id.n == 0) all but the one of this request. *n: how many. access: lasting
 * access that was given in them ends too. */
enum err safety_session_end(struct ctx *c, struct str id, bool access, size_t *n) MUST_CHECK;
/* Every session of a person, or those by one provider, and the lasting access given in them; tokens
 * given before. */
enum err safety_cut(struct ctx *c, struct str person, struct str provider) MUST_CHECK;
void safety_expired(struct platform *pf, int64_t now_ms); /* tells the services of those that end */
call_handler safety_call_forget;

/* ---- blocks.c ---- */
struct block {
    struct str person, provider; /* provider "": the whole account */
    struct str through;          /* the provider in question: it cannot lift the block */
    struct str by;               /* "self", "operator", "mail" */
    int64_t at_ms;               /* set when it is made */
};
/* Kinds of acts; their object is PERSON/PROVIDER/THROUGH, so that a database that was restored and
 * is older than the journal can be told (safety_block_again). */
#define SAFETY_ACCOUNT_BLOCKED    "identity.account_blocked"
#define SAFETY_ACCOUNT_UNBLOCKED  "identity.account_unblocked"
#define SAFETY_PROVIDER_BLOCKED   "identity.provider_blocked"
#define SAFETY_PROVIDER_UNBLOCKED "identity.provider_unblocked"
enum err safety_block_again(struct platform *pf, const json_t *leaf);
enum err safety_block(struct ctx *c, const struct block *b) MUST_CHECK;
/* ERR_DENIED: not by this provider or level (operators pass "" and LEVEL of an operator). */
enum err safety_unblock(struct ctx *c, struct str person, struct str provider, struct str by,
                        struct str by_provider, struct str acr) MUST_CHECK;
enum err safety_blocks(struct ctx *c, struct str person, json_t **out) MUST_CHECK;
/* The link of the mail: who, which provider, which sign-in; good for 30 days. */
struct str safety_link(struct ctx *c, struct str person, struct str provider, struct str session);
enum err safety_link_read(struct ctx *c, struct str link, json_t **out) MUST_CHECK;
call_handler safety_call_unblock;

/* ---- reports.c ---- */
struct report {
    struct str person, session, sign_in, service, words;
};
enum err safety_report(struct ctx *c, const struct report *r, struct str *id) MUST_CHECK;
enum err safety_reports(struct ctx *c, struct str person /* "" all */, json_t **out) MUST_CHECK;
enum err safety_report_close(struct ctx *c, struct str id, struct str answer) MUST_CHECK;
call_handler safety_call_command;

/* ---- pages.c ---- */
route_handler safety_page, safety_page_session_end, safety_page_others_end, safety_page_device,
    safety_page_block, safety_page_block_post, safety_page_unblock_post, safety_page_unblocked,
    safety_page_report, safety_page_report_post, safety_page_link, safety_page_link_post,
    safety_page_reports, safety_page_report_close;
route_handler safety_api, safety_api_session_end, safety_api_others_end, safety_api_device,
    safety_api_block, safety_api_unblock, safety_api_report;

/* Her address and language, for mails; address "" when she gave none. */
enum err safety_address(struct ctx *c, struct str person, struct str *address) MUST_CHECK;

#endif
