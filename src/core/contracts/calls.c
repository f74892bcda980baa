/* What other services ask of contracts: a draft in a body's name, and how a request stands. */
#include "core/contracts/contracts.h"

/* args: org, who, stage, terms (docs/formats/contract.md). The draft is that body's to complete and
 * submit: whoever makes it commits nobody. */
enum err contracts_call_draft(struct ctx *c, const json_t *args, json_t **out)
{
    struct contract_request r;
    struct contract_party p = {.org = json_get_str(args, "org"),
                               .who = json_get_str(args, "who"),
                               .name = json_get_str(args, "who")};
    json_t *terms = json_own(&c->pool, json_deep_copy(json_get(args, "terms")));
    enum err e = request_create(c, &p, terms, json_get_str(args, "stage"), STR_NONE, &r);
    if (e == ERR_OK)
        *out = json_pack("{s:o,s:s}", "id", json_str(r.id), "state", contract_state_name(r.state));
    return e;
}

/* args: id. */
enum err contracts_call_request(struct ctx *c, const json_t *args, json_t **out)
{
    struct contract_request r;
    enum err e = request_get(c, json_get_str(args, "id"), &r);
    if (e == ERR_OK)
        *out = request_json(c, &r, SIDE_OPERATOR);
    return e;
}
