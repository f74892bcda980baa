/* A sign-in under way, from the request to the code: a row whose name is a hash of the id and whose
 * data opens with the id alone. It belongs to one browser, by a cookie: an address sent to somebody
 * else is worth nothing. */
#ifndef IDENTITY_FLOW_H
#define IDENTITY_FLOW_H

#include "core/identity/request.h"
#include "platform/ctx.h"

enum flow_kind { FLOW_CLIENT, FLOW_PORTAL, FLOW_LOGOUT };
enum flow_stage { FLOW_BEGUN, FLOW_SIGNED_IN };

struct flow {
    struct str id;  /* stands in addresses */
    struct str key; /* names the row */
    enum flow_kind kind;
    enum flow_stage stage;
    int64_t begun_ms;
    struct request request; /* FLOW_CLIENT; of others the level alone */
    struct str client_name_fr, client_name_en;
    struct str to;      /* FLOW_PORTAL: path to go on to; FLOW_LOGOUT: address */
    struct str state;   /* FLOW_LOGOUT */
    struct str realm;   /* "citizens" or "agents" */
    struct str wallet;  /* what names the requests to a wallet; "" none: wallet.c */
    bool browser_known; /* the cookie of this browser fits */
    struct str browser; /* its hash */
};

/* Stores it, sets the browser's cookie when it has none; f->id is set. */
enum err flow_begin(struct ctx *c, struct flow *f) MUST_CHECK;
/* Stores what changed in a flow that was begun. */
enum err flow_save(struct ctx *c, const struct flow *f) MUST_CHECK;
/* By the id in the query or form parameter "flow" (or given). ERR_NOT_FOUND: gone or expired;
 * ERR_DENIED: another browser's. */
enum err flow_load(struct ctx *c, struct str id, struct flow **out) MUST_CHECK;

/* Inside closures: ERR_CONFLICT when another request was first. */
enum err flow_mark_signed_in(struct db_conn *db, struct str key) MUST_CHECK;
enum err flow_end(struct db_conn *db, struct str key) MUST_CHECK;

/* "/connexion/choix?flow=..." */
struct str flow_url(struct ctx *c, const struct flow *f, const char *path);

/* Values bound to a flow and a provider, computed instead of stored: the state, nonce and verifier
 * of the request upstream. The state begins with the flow's id. */
struct flow_secrets {
    struct str state, nonce, verifier;
};
void flow_secrets(struct ctx *c, struct str flow_id, struct str provider, struct flow_secrets *out);
struct str flow_id_of_state(struct str state); /* .p NULL: not formed */

#endif
