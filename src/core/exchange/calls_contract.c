/* What the service of contracts asks of the exchange (docs/CALLS.md): an API as agreements name it,
 * a contract made, changed, and held. Each change is the same act as the operator's command. */
#include <stdio.h>

#include "core/exchange/exchange.h"
#include "core/exchange/schema.h"

static const char *two(const json_t *v, const char *key, const char *lang)
{
    return json_get_z(json_get(v, key), lang, NULL);
}

static json_t *text(const struct db_result *r, size_t row, size_t col)
{
    struct str s = db_str(r, row, col);
    return json_stringn(s.p ? s.p : "", s.n);
}

enum err exchange_call_api(struct ctx *c, const json_t *args, json_t **out)
{
    struct db_result r, f;
    struct db_conn *db = db_read(c->pf->db);
    struct str api = json_get_str(args, "api"), version = json_get_str(args, "version");
    if (!db)
        return ERR_UNAVAILABLE;
    enum err e = db_query_one(db, c->arena, &r,
                              "SELECT a.org_id, a.title_fr, a.title_en, a.scope, a.state, "
                              "COALESCE(o.name_fr, a.org_id), COALESCE(o.name_en, a.org_id) "
                              "FROM api a LEFT JOIN organisation o ON o.id = a.org_id "
                              "WHERE a.id = $1 AND a.version = $2",
                              "ss", api, version);
    if (e == ERR_OK)
        e = db_query(db, c->arena, &f,
                     "SELECT path, label_fr, label_en, sensitivity FROM api_field WHERE api = $1 "
                     "AND version = $2 ORDER BY position",
                     "ss", api, version);
    if (e != ERR_OK)
        return e;
    json_t *fields = json_array();
    for (size_t i = 0; i < f.n_rows; i++)
        json_array_append_new(fields, json_pack("{s:o, s:{s:o, s:o}, s:I}", "name", text(&f, i, 0),
                                                "label", "fr", text(&f, i, 1), "en", text(&f, i, 2),
                                                "sensitivity", (json_int_t)db_i64(&f, i, 3)));
    *out = json_pack("{s:s%, s:s%, s:o, s:{s:o, s:o}, s:o, s:o, s:{s:o, s:o}, s:o}", "api", api.p,
                     api.n, "version", version.p, version.n, "org_id", text(&r, 0, 0), "title",
                     "fr", text(&r, 0, 1), "en", text(&r, 0, 2), "scope", text(&r, 0, 3), "state",
                     text(&r, 0, 4), "provider", "fr", text(&r, 0, 5), "en", text(&r, 0, 6),
                     "fields", fields);
    return ERR_OK;
}

enum err exchange_call_contract_put(struct ctx *c, const json_t *v, json_t **out)
{
    struct str id;
    const char *recipients = json_get_z(v, "recipients", "");
    struct exchange_contract_terms t = {.id = json_get_z(v, "id", NULL),
                                        .client_id = json_get_z(v, "client_id", ""),
                                        .org_id = json_get_z(v, "org_id", ""),
                                        .api = json_get_z(v, "api", ""),
                                        .version = json_get_z(v, "version", ""),
                                        .fields = json_get_z(v, "fields", ""),
                                        .purpose_fr = two(v, "purpose", "fr"),
                                        .purpose_en = two(v, "purpose", "en"),
                                        .basis_fr = two(v, "legal_basis", "fr"),
                                        .basis_en = two(v, "legal_basis", "en"),
                                        .recipients = *recipients ? recipients : NULL,
                                        .consent_needed = json_get_bool(v, "consent_needed", false),
                                        .purpose_needed = json_get_bool(v, "purpose_needed", false),
                                        .delegated = json_get_bool(v, "delegated", false),
                                        .duration_days = (int)json_get_i64(v, "duration_days", 0),
                                        .quota_per_minute =
                                            (int)json_get_i64(v, "quota_per_minute", 0),
                                        .signatures = json_get_z(v, "signatures", NULL),
                                        .starts_ms = json_get_i64(v, "starts_at", 0),
                                        .ends_ms = json_get_i64(v, "ends_at", 0)};
    enum err e = exchange_contract_put(c, &t, &id);
    if (e == ERR_OK)
        *out = json_pack("{s:s%}", "id", id.p, id.n);
    return e;
}

enum err exchange_call_contract_state(struct ctx *c, const json_t *args, json_t **out)
{
    enum err e =
        exchange_contract_state(c, json_get_str(args, "id"), json_get_z(args, "state", ""));
    if (e == ERR_OK)
        *out = json_pack("{s:O}", "state", json_get(args, "state"));
    return e;
}

/* How a question in place of a value is named to people. */
void exchange_field_label(struct arena *a, struct str name, const char *lang, struct str *label)
{
    struct str path;
    struct json_filter_ask ask;
    bool en = strcmp(lang, "en") == 0;
    if (json_filter_ask_read(name, &path, &ask) != ERR_OK)
        return;
    const char *least = en ? "at least" : "au moins", *most = en ? "at most" : "au plus";
    if (ask.op == JSON_ASK_IS)
        *label = arena_printf(a, STR_FMT "%s", STR_ARG(*label),
                              en ? ": yes or no only" : " : oui ou non seulement");
    else if (ask.op != JSON_ASK_VALUE)
        *label = arena_printf(a, STR_FMT "%s %s " STR_FMT "%s", STR_ARG(*label), en ? ":" : " :",
                              ask.op == JSON_ASK_LEAST ? least : most, STR_ARG(ask.bound_text),
                              en ? ", yes or no only" : ", oui ou non seulement");
}
