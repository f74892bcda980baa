/* An identity wallet as a source of identity (OpenID4VP 1.0, docs/decisions/0009): who may use it,
 * and the rows that tie a wallet's answer to the browser that asked. */
#ifndef IDENTITY_WALLET_H
#define IDENTITY_WALLET_H

#include "core/identity/flow.h"
#include "platform/ctx.h"

#define WALLET_PROVIDER "portefeuille"

/* In web, before serving, when the setting is on: a wrong file of issuers, no certificate or a
 * level that is none stops the start. */
enum err wallet_start(struct platform *pf) MUST_CHECK;
json_t *wallet_name(void); /* {"fr", "en"}; the caller owns it */
bool wallet_is_offered(struct ctx *c, const struct flow *f);

/* ---- requests -----------------------------------------------------------------------------------
 * A flow has two at a time. The answer to the one that a wallet on the same device got is taken
 * only with the code that this wallet was given to come back with, so that nobody is signed in by
 * the answer of somebody he sent an address to; the answer to the one in the QR code is waited for.
 */
enum wallet_kind { WALLET_SAME, WALLET_CROSS, WALLET_KINDS };
enum wallet_stage { WALLET_OPEN, WALLET_ANSWERED, WALLET_REFUSED };

struct wallet_request {
    struct str id;  /* stands in addresses, and is the `state` */
    struct str key; /* names the row */
    enum wallet_kind kind;
    enum wallet_stage stage;
    int64_t begun_ms;
    struct str flow;      /* the flow's id */
    struct str client_id; /* under which name the wallet was asked */
    json_t *claims;       /* WALLET_ANSWERED: the checked pivot; the context owns it */
    struct str subject;   /* the issuer's name of the person: see wallet.c */
    struct str code_hash; /* WALLET_SAME */
    struct str why;       /* WALLET_REFUSED: "person", "pivot" or "proof" */
};
/* Makes both of a flow, in place of those it had; f->wallet is set and stored. */
enum err wallet_begin(struct ctx *c, struct flow *f, struct str client_id) MUST_CHECK;
/* The requests of a flow; ERR_NOT_FOUND: none, or they are over. */
enum err wallet_of_flow(struct ctx *c, const struct flow *f, enum wallet_kind kind,
                        struct wallet_request *out) MUST_CHECK;
enum err wallet_load(struct ctx *c, struct str id, struct wallet_request *out) MUST_CHECK;
/* Stores what came, once: ERR_CONFLICT when something came before. */
enum err wallet_close(struct ctx *c, const struct wallet_request *r) MUST_CHECK;
/* Both are forgotten. */
enum err wallet_forget(struct ctx *c, const struct flow *f) MUST_CHECK;

/* Computed instead of stored. */
struct str wallet_nonce(struct ctx *c, struct str id);
struct str wallet_code_hash(struct ctx *c, struct str code);

#endif
