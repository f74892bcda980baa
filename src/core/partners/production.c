/* From the sandbox to people's real data: a production client exists only under a contract. Asking
 * makes the client, which may do nothing yet, and a draft of the contract that the body it is for
 * completes and submits; its secret is drawn once the contract is in force. */
#include "core/partners/partners.h"

#include "base/clock.h"

static enum err org_find(struct ctx *c, struct str named, struct str *out)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    named = str_trim(named);
    enum err e =
        !named.n ? ERR_NOT_FOUND
        : db     ? db_query_one(db, c->arena, &r,
                                "SELECT id FROM organisation WHERE id = $1 OR siret = $1", "s", named)
                 : ERR_UNAVAILABLE;
    if (e == ERR_NOT_FOUND)
        return partners_refuse(c, "org");
    if (e == ERR_OK)
        *out = db_str(&r, 0, 0);
    return e;
}

/* The production client of a trial. */
static enum err asked_get(struct ctx *c, const struct mine *k, struct str *client_id,
                          struct str *request)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    if (!db)
        return ERR_UNAVAILABLE;
    if (str_eq_z(k->stage, "production")) {
        *client_id = k->client_id;
        *request = k->request;
        return ERR_OK;
    }
    enum err e = db_query_one(db, c->arena, &r,
                              "SELECT client_id, request FROM partner_client WHERE sandbox = $1 "
                              "AND team = $2 ORDER BY created_at DESC LIMIT 1",
                              "ss", k->client_id, k->team.id);
    if (e == ERR_OK) {
        *client_id = db_str(&r, 0, 0);
        *request = db_str(&r, 0, 1);
    }
    return e;
}

static enum err contract_of(struct ctx *c, struct str request, json_t **out)
{
    return partners_call(c, "contracts.request", json_pack("{s:o}", "id", json_str(request)), out);
}

enum err production_state(struct ctx *c, const struct mine *k, json_t **out)
{
    struct str client_id, request;
    json_t *r, *prod = NULL;
    *out = json_own(&c->pool, json_object());
    enum err e = asked_get(c, k, &client_id, &request);
    if (e == ERR_NOT_FOUND) {
        json_object_set_new(*out, "state", json_string("none"));
        return ERR_OK;
    }
    if (e == ERR_OK)
        e = contract_of(c, request, &r);
    if (e != ERR_OK)
        return e;
    json_t *args = json_pack("{s:o}", "client_id", json_str(client_id));
    if (partners_call(c, "identity.client_get", args, &prod) != ERR_OK)
        prod = NULL;
    bool held = json_get_str(r, "held_by").n > 0;
    bool validated = str_eq_z(json_get_str(r, "state"), "validated") && !held;
    bool open = str_eq_z(json_get_str(prod, "state"), "active");
    json_object_set_new(*out, "state",
                        held ? json_string("suspended") : json_incref(json_get(r, "state")));
    json_object_set_new(*out, "client_id", json_str(client_id));
    json_object_set_new(*out, "request", json_str(request));
    json_object_set(*out, "consumer", json_get(r, "consumer"));
    json_object_set(*out, "provider", json_get(r, "provider"));
    json_object_set_new(*out, "open", json_boolean(open));
    json_object_set_new(*out, "may_open", json_boolean(validated && !open));
    return ERR_OK;
}

/* ---- asking -------------------------------------------------------------------------------------
 */
static enum err api_read(struct ctx *c, struct str *api, struct str *version)
{
    json_t *found;
    struct str both = str_trim(ctx_form(c, "api_version"));
    if (!str_split(&both, '/', api) || !both.n)
        return partners_refuse(c, "api_version");
    *version = both;
    json_t *args = json_pack("{s:o,s:o}", "api", json_str(*api), "version", json_str(*version));
    enum err e = partners_call(c, "exchange.api", args, &found);
    return e == ERR_NOT_FOUND ? partners_refuse(c, "api_version") : e;
}

static json_t *terms_of(struct ctx *c, struct str client_id, struct str org, struct str api,
                        struct str version)
{
    struct str purpose = str_trim(ctx_form(c, "purpose")), basis = str_trim(ctx_form(c, "basis")),
               fields = str_trim(ctx_form(c, "fields"));
    return json_pack(
        "{s:o,s:o,s:o,s:o,s:{s:o,s:o},s:{s:o,s:o},s:o,s:s,s:s,s:i,s:i,s:i,s:i,s:b,s:b}",
        "client_id", json_str(client_id), "api", json_str(api), "version", json_str(version),
        "fields", json_str(fields.n ? fields : STR("*")), "purpose", "fr", json_str(purpose), "en",
        json_str(purpose), "legal_basis", "fr", json_str(basis), "en", json_str(basis),
        "recipients", json_str(org), "impact_assessment", "", "officer_opinion", "", "months", 12,
        "duration_days", 90, "quota_per_minute", 0, "report_days", 0, "consent_needed", 1,
        "purpose_needed", 0);
}

/* It has the trial's settings, addresses and keys of its own, and waits. */
static enum err client_prepare(struct ctx *c, const struct mine *k, struct str org, json_t **made)
{
    const json_t *s = k->settings;
    struct str jwks = str_trim(ctx_form(c, "jwks"));
    json_t *args = json_pack("{s:O,s:o,s:O,s:O,s:O,s:o,s:s,s:o}", "name", json_get(s, "name"),
                             "org", json_str(org), "profile", json_get(s, "profile"), "realm",
                             json_get(s, "realm"), "auth_methods", json_get(s, "auth_methods"),
                             "redirect_uris", lines_of(c, ctx_form(c, "redirect_uris")), "state",
                             "pending", "actor", json_str(partners_actor(c)));
    json_object_set_new(args, "post_logout_redirect_uris",
                        lines_of(c, ctx_form(c, "post_logout_uris")));
    if (jwks.n)
        json_object_set_new(args, "jwks", json_str(jwks));
    struct str login = str_trim(ctx_form(c, "login_uri"));
    if (login.n)
        json_object_set_new(args, "initiate_login_uri", json_str(login));
    if (strcmp(client_auth_of(s), "secret") != 0 && !jwks.n) {
        json_decref(args);
        return partners_refuse(c, "jwks");
    }
    enum err e = partners_call(c, "identity.client_put", args, made);
    struct str refused = e == ERR_OK ? json_get_str(*made, "refused") : STR("");
    if (!refused.n)
        return e;
    return partners_refuse(c, str_eq_z(refused, "jwks")                 ? "jwks"
                              : str_eq_z(refused, "initiate_login_uri") ? "login_uri"
                                                                        : "redirect_uris");
}

static enum err client_drop(struct ctx *c, struct str client_id, enum err why)
{
    json_t *gone, *args = json_pack("{s:o,s:o}", "client_id", json_str(client_id), "actor",
                                    json_str(partners_actor(c)));
    return partners_call(c, "identity.client_remove", args, &gone) == ERR_OK ? why : ERR_INTERNAL;
}

static bool may_ask_again(const json_t *state)
{
    static const char *const over[] = {"none", "refused", "archived", "revoked"};
    for (size_t i = 0; i < COUNT_OF(over); i++)
        if (str_eq_z(json_get_str(state, "state"), over[i]))
            return true;
    return false;
}

enum err production_ask(struct ctx *c, const struct mine *k, json_t **out)
{
    struct str api, version, org = k->team.org_id;
    json_t *made, *draft, *state;
    enum err e = production_state(c, k, &state);
    if (e == ERR_OK && (!str_eq_z(k->stage, "sandbox") || !may_ask_again(state)))
        return ctx_fail(c, &partners_f_state, ERR_CONFLICT, STR_NONE);
    if (e == ERR_OK && !org.n)
        e = org_find(c, ctx_form(c, "org"), &org);
    if (e == ERR_OK)
        e = api_read(c, &api, &version);
    if (e == ERR_OK && !str_trim(ctx_form(c, "purpose")).n)
        return partners_refuse(c, "purpose");
    if (e == ERR_OK)
        e = client_prepare(c, k, org, &made);
    if (e != ERR_OK)
        return e;
    struct str id = json_get_str(made, "client_id");
    json_t *args =
        json_pack("{s:o,s:o,s:s,s:o}", "org", json_str(org), "who", json_str(partners_actor(c)),
                  "stage", "production", "terms", terms_of(c, id, org, api, version));
    e = partners_call(c, "contracts.draft", args, &draft);
    if (e != ERR_OK)
        return client_drop(c, id, e);
    e = client_row_add(c, "partners.production_asked", id, k->team.id, "production",
                       json_get_str(draft, "id"), k->client_id);
    return e == ERR_OK ? production_state(c, k, out) : e;
}

/* ---- opening ------------------------------------------------------------------------------------
 */
enum err production_open(struct ctx *c, const struct mine *k, json_t **out)
{
    json_t *state, *made;
    enum err e = production_state(c, k, &state);
    if (e != ERR_OK)
        return e;
    if (!json_get_bool(state, "may_open", false))
        return ctx_fail(
            c, json_get_bool(state, "open", false) ? &partners_f_state : &partners_f_contract,
            ERR_CONFLICT, json_get_str(state, "state"));
    struct str id = json_get_str(state, "client_id");
    json_t *args =
        json_pack("{s:o,s:o}", "client_id", json_str(id), "actor", json_str(partners_actor(c)));
    e = partners_call(c, "identity.client_activate", args, &made);
    if (e == ERR_CONFLICT)
        return ctx_fail(c, &partners_f_state, e, STR_NONE);
    if (e != ERR_OK)
        return e;
    const char *issuer = c->pf->settings->base_url;
    *out = json_own(
        &c->pool,
        json_pack("{s:o,s:s,s:o}", "client_id", json_str(id), "issuer", issuer, "discovery",
                  json_str(arena_printf(c->arena, "%s/.well-known/openid-configuration", issuer))));
    if (strcmp(client_auth_of(k->settings), "secret") == 0)
        json_object_set(*out, "client_secret", json_get(made, "client_secret"));
    return ERR_OK;
}
