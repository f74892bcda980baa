/* Delegations as both sides' agents read them. */
#include "core/contracts/contracts.h"

#include "base/clock.h"
#include "web/pages.h"

static json_t *words_of(struct ctx *c, const char *kind, const char *name)
{
    struct str key = arena_printf(c->arena, "%s.%s", kind, name);
    return json_str(pages_text(c->arena, "contracts", key.p, c->lang, NULL));
}

static json_t *row_of(struct ctx *c, const json_t *v)
{
    const char *state = json_get_z(v, "state", ""), *api = json_get_z(v, "api", "*");
    bool client = strcmp(json_get_z(v, "side", ""), "client") == 0, all = strcmp(api, "*") == 0;
    const json_t *other = json_get(v, client ? "vendor" : "client");
    const char *kind = strcmp(state, "active") == 0     ? "success"
                       : strcmp(state, "declared") == 0 ? "info"
                                                        : "";
    json_t *acts = json_array(), *a;
    size_t i;
    json_array_foreach(json_get(v, "actions"), i, a)
    {
        const char *name = json_string_value(a);
        json_array_append_new(acts, json_pack("{s:s,s:o}", "name", name, "label",
                                              words_of(c, "delegation.act", name)));
    }
    struct str until = clock_in_words(c->arena, json_get_i64(v, "until_at", 0), c->lang, false);
    json_t *label = all ? words_of(c, "delegation", "all") : json_string(api);
    return json_pack("{s:O,s:O,s:O,s:o,s:o,s:o,s:{s:s,s:o},s:o}", "id", json_get(v, "id"), "name",
                     json_get(other, "name"), "siret", json_get(other, "siret"), "side",
                     words_of(c, "delegation.side", client ? "client" : "vendor"), "api", label,
                     "until", json_str(until), "tag", "kind", kind, "label",
                     words_of(c, "delegation.state", state), "acts", acts);
}

static json_t *field(struct ctx *c, const char *name, bool optional, bool wrong)
{
    struct str typed = ctx_form(c, name);
    json_t *f = json_pack("{s:s,s:s,s:s,s:o,s:o,s:b,s:o}", "width", "w20", "id", name, "name", name,
                          "label", words_of(c, "delegation.label", name), "hint",
                          words_of(c, "delegation.hint", name), "text", 1, "value",
                          json_str(typed.p ? typed : STR("")));
    if (optional)
        json_object_set_new(f, "optional", json_true());
    if (wrong)
        json_object_set_new(f, "error", words_of(c, "delegation", "wrong"));
    return f;
}

static enum err page(struct ctx *c, bool wrong)
{
    json_t *list, *v, *rows = json_array();
    size_t i;
    enum err e = delegation_list(c, c->site->org_id, &list);
    json_array_foreach(e == ERR_OK ? list : NULL, i, v)
    {
        json_array_append_new(rows, row_of(c, v));
    }
    json_t *data = json_pack("{s:[o,o,o],s:s}", "fields", field(c, "vendor", false, wrong),
                             field(c, "api", true, false), field(c, "months", true, false),
                             "back_url", "/contrats");
    if (json_array_size(rows))
        json_object_set_new(data, "delegations", json_pack("{s:O}", "items", rows));
    if (wrong)
        json_object_set_new(data, "error_summary",
                            json_pack("{s:[{s:s,s:o}]}", "items", "id", "vendor", "text",
                                      words_of(c, "delegation", "wrong")));
    json_decref(rows);
    return e == ERR_OK ? ctx_page(c, "contracts/delegations", data) : (json_decref(data), e);
}

enum err delegation_page(struct ctx *c)
{
    return page(c, false);
}

enum err delegation_page_declare(struct ctx *c)
{
    struct str id;
    enum err e = delegation_from_form(c, &id);
    if (e == ERR_OK)
        return ctx_redirect(c, STR("/contrats/delegations"));
    if (!c->fault.code || strcmp(c->fault.code, contracts_fault_vendor.code) != 0)
        return e;
    c->rs->status = 422;
    return page(c, true);
}

enum err delegation_page_act(struct ctx *c)
{
    struct contract_party p = party_of(c);
    enum err e = delegation_act(c, &p, ctx_path(c, "id"), ctx_path(c, "action"));
    return e == ERR_OK ? ctx_redirect(c, STR("/contrats/delegations")) : e;
}
