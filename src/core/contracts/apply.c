/* The exchange's contract follows the request. What takes away is done before the request says so,
 * and what gives is done after: a crash in between leaves less, and jobs does the rest (clock.c).
 */
#include "core/contracts/contracts.h"

/* Gateways and tokens never reach it: for a sandbox, between being made and being marked as one. */
static const int64_t NEVER_MS = (int64_t)1 << 50;

static json_t *declaration(const struct contract_request *r, bool sandbox)
{
    json_t *v = json_copy(r->terms);
    json_object_set_new(v, "id", json_str(r->contract_id));
    json_object_set_new(v, "client_id", json_str(r->client_id));
    json_object_set_new(v, "org_id", json_str(r->consumer));
    json_object_set_new(v, "delegated",
                        json_boolean(json_get_bool(r->terms, "for_clients", false)));
    json_object_set_new(v, "starts_at", json_integer(sandbox ? NEVER_MS : 0));
    json_object_set_new(v, "ends_at", json_integer(r->ends_ms));
    return v;
}

static enum err state_set(struct ctx *c, const struct contract_request *r, const char *state)
{
    json_t *out, *args = json_pack("{s:o,s:s}", "id", json_str(r->contract_id), "state", state);
    return platform_call(c, "exchange.contract_state", json_own(&c->pool, args), &out);
}

static enum err applied(struct db_conn *db, void *arg)
{
    const struct contract_request *r = arg;
    return db_exec(db, "UPDATE contract_request SET applied = 1 WHERE id = $1 AND revision = $2",
                   "si", r->id, r->revision);
}

enum err contract_apply(struct ctx *c, const struct contract_request *r, bool opens)
{
    json_t *out;
    enum err e = ERR_OK;
    bool sandbox = str_eq_z(r->stage, "sandbox");
    if (r->state == CONTRACT_REVOKED)
        e = state_set(c, r, "revoked");
    else if (r->state == CONTRACT_VALIDATED && r->held_by.n)
        e = state_set(c, r, "suspended");
    else if (r->state == CONTRACT_VALIDATED) {
        e = platform_call(c, "exchange.contract_put", json_own(&c->pool, declaration(r, sandbox)),
                          &out);
        if (e == ERR_OK && (sandbox || opens)) /* what the operator holds stays held otherwise */
            e = state_set(c, r, sandbox ? "sandbox" : "active");
    }
    if (e == ERR_NOT_FOUND && r->state == CONTRACT_REVOKED)
        e = ERR_OK; /* it never was one */
    return e == ERR_OK ? db_write(c->pf->db, applied, (void *)r) : e;
}
