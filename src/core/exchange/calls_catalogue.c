/* What the catalogue asks of the exchange beyond publishing: where providers answer, for its pings,
 * and whom a change of an API concerns. */
#include "core/exchange/schema.h"

static json_t *text(const struct db_result *r, size_t row, size_t col)
{
    struct str s = db_str(r, row, col);
    return json_stringn(s.p ? s.p : "", s.n);
}

/* exchange.origins -> items: [{api, version, org_id, origin, prefix}] of active APIs. Never shown:
 * where a provider answers is its own affair. */
enum err exchange_call_origins(struct ctx *c, const json_t *args, json_t **out)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    (void)args;
    enum err e = db ? db_query(db, c->arena, &r,
                               "SELECT id, version, org_id, origin, prefix FROM api WHERE state = "
                               "'active' ORDER BY id, version",
                               "")
                    : ERR_UNAVAILABLE;
    if (e != ERR_OK)
        return e;
    json_t *items = json_array();
    for (size_t i = 0; i < r.n_rows; i++)
        json_array_append_new(items, json_pack("{s:o, s:o, s:o, s:o, s:o}", "api", text(&r, i, 0),
                                               "version", text(&r, i, 1), "org_id", text(&r, i, 2),
                                               "origin", text(&r, i, 3), "prefix", text(&r, i, 4)));
    *out = json_pack("{s:o}", "items", items);
    return ERR_OK;
}

/* exchange.consumers: {api, version} -> items: organisations with an active contract on it. */
enum err exchange_call_consumers(struct ctx *c, const json_t *args, json_t **out)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    enum err e = db ? db_query(db, c->arena, &r,
                               "SELECT DISTINCT org_id FROM contract WHERE api = $1 AND version = "
                               "$2 AND state = 'active' ORDER BY org_id",
                               "ss", json_get_str(args, "api"), json_get_str(args, "version"))
                    : ERR_UNAVAILABLE;
    if (e != ERR_OK)
        return e;
    json_t *items = json_array();
    for (size_t i = 0; i < r.n_rows; i++)
        json_array_append_new(items, text(&r, i, 0));
    *out = json_pack("{s:o}", "items", items);
    return ERR_OK;
}
