/* The console's pages: teams, clients, errors, production. Providers': pages_provider.c. */
#include "core/partners/partners.h"

#include "base/clock.h"
#include "web/pages.h"

enum { RECENT = 3 };

static const char *url(struct ctx *c, const char *what, struct str id, const char *end)
{
    return arena_printf(c->arena, "/partenaires/%s/" STR_FMT "%s", what, STR_ARG(id), end).p;
}

static const char *client_url(struct ctx *c, struct str id, const char *end)
{
    return url(c, "clients", id, end);
}

static json_t *tag(struct ctx *c, const char *part, const char *name)
{
    static const struct {
        const char *name, *kind;
    } kinds[] = {
        {"validated", "success"}, {"open", "success"},    {"active", "success"},
        {"refused", "error"},     {"revoked", "error"},   {"suspended", "warning"},
        {"asked", "info"},        {"submitted", "info"},  {"draft", "info"},
        {"sandbox", "info"},      {"pending", "warning"}, {"changes_requested", "warning"}};
    const char *kind = "info";
    for (size_t i = 0; i < COUNT_OF(kinds); i++)
        if (strcmp(kinds[i].name, name) == 0)
            kind = kinds[i].kind;
    return json_pack("{s:s,s:o}", "kind", kind, "label",
                     partners_text(c, arena_printf(c->arena, "%s.%s", part, name).p));
}

static void row_add(struct ctx *c, json_t *rows, const char *key, json_t *value)
{
    json_array_append_new(rows, json_pack("{s:o,s:o}", "label", partners_text(c, key), "value",
                                          value ? value : json_string("")));
}

static json_t *joined(struct ctx *c, const json_t *list)
{
    struct str all = STR("");
    for (size_t i = 0; i < json_array_size(list); i++)
        all = arena_printf(c->arena, STR_FMT "%s%s", STR_ARG(all), i ? ", " : "",
                           json_string_value(json_array_get(list, i)));
    return json_str(all);
}

static const char *in_lang(struct ctx *c, const json_t *both)
{
    return json_get_z(both, c->lang, json_get_z(both, "fr", ""));
}

/* A page again, with what was wrong beside its field; else the error itself. */
static bool is_field(const struct ctx *c)
{
    return c->fault.code == partners_f_field.code;
}

/* ---- home ---------------------------------------------------------------------------------------
 */
static const struct input team_inputs[] = {{.name = "team_name", .kind = INPUT_TEXT}};

enum err partners_page_home(struct ctx *c)
{
    struct team *all;
    size_t n;
    enum err e = team_list(c, &all, &n);
    if (e != ERR_OK)
        return e;
    if (c->site->kind == SITE_ORG)
        return ctx_redirect(c, str_from(url(c, "equipes", all[0].id, "")));
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_pack("{s:o,s:s}", "name", json_str(all[i].name), "url",
                                              url(c, "equipes", all[i].id, "")));
    json_t *d = json_pack("{s:o}", "fields", partners_fields(c, team_inputs, 1, NULL));
    if (n)
        json_object_set_new(d, "teams", json_pack("{s:O}", "items", list));
    json_decref(list);
    if (is_field(c)) {
        c->rs->status = 422;
        json_object_set_new(d, "error_summary",
                            json_pack("{s:[{s:s,s:o}]}", "items", "id", "team_name", "text",
                                      partners_text(c, "error.team_name")));
    }
    return ctx_page(c, "partners/home", d);
}

enum err partners_page_team_post(struct ctx *c)
{
    struct team t;
    enum err e = team_create(c, ctx_form(c, "team_name"), &t);
    if (e == ERR_OK)
        return ctx_redirect(c, str_from(url(c, "equipes", t.id, "")));
    return is_field(c) ? partners_page_home(c) : e;
}

/* ---- a team -------------------------------------------------------------------------------------
 */
static json_t *client_item(struct ctx *c, const json_t *k)
{
    const char *state = json_get_z(k, "state", "active"), *stage = json_get_z(k, "stage", "");
    bool waits = strcmp(state, "pending") == 0;
    return json_pack("{s:s,s:s,s:O,s:o}", "name", in_lang(c, json_get(k, "name")), "url",
                     client_url(c, json_get_str(k, "client_id"), ""), "client_id",
                     json_get(k, "client_id"), "tag", tag(c, "stage", waits ? "pending" : stage));
}

static json_t *clients_list(struct ctx *c, const json_t *all)
{
    json_t *list = json_array();
    for (size_t i = 0; i < json_array_size(all); i++)
        json_array_append_new(list, client_item(c, json_array_get(all, i)));
    return list;
}

static json_t *providers_list(struct ctx *c, const json_t *all)
{
    json_t *list = json_array();
    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *p = json_array_get(all, i);
        json_array_append_new(
            list, json_pack("{s:s,s:s,s:O,s:o}", "name", in_lang(c, json_get(p, "name")), "url",
                            url(c, "fournisseurs", json_get_str(p, "id"), ""), "client_id",
                            json_get(p, "issuer"), "tag",
                            tag(c, "provider.state", json_get_z(p, "state", "sandbox"))));
    }
    return list;
}

static void set_items(json_t *d, const char *name, json_t *items)
{
    if (json_array_size(items))
        json_object_set_new(d, name, json_pack("{s:O}", "items", items));
    json_decref(items);
}

static enum err team_page(struct ctx *c, const struct team *t, struct str invite)
{
    json_t *clients, *providers, *members;
    enum err e = client_all(c, t, &clients);
    if (e == ERR_OK)
        e = provider_all(c, t, &providers);
    if (e == ERR_OK)
        e = team_members(c, t, &members);
    if (e != ERR_OK)
        return e;
    json_t *d = json_pack("{s:o,s:s,s:s,s:s,s:b}", "name", json_str(t->name), "new_client_url",
                          url(c, "equipes", t->id, "/clients/nouveau"), "new_provider_url",
                          url(c, "equipes", t->id, "/fournisseurs/nouveau"), "invite_action",
                          url(c, "equipes", t->id, "/inviter"), "of_org", t->org_id.n > 0);
    set_items(d, "clients", clients_list(c, clients));
    set_items(d, "providers", providers_list(c, providers));
    set_items(d, "members", json_incref(members));
    if (c->site->kind == SITE_PORTAL)
        json_object_set_new(d, "back_url", json_string("/partenaires"));
    if (invite.p)
        json_object_set_new(
            d, "invite_url",
            json_str(arena_printf(c->arena, STR_FMT "/partenaires/rejoindre/" STR_FMT,
                                  STR_ARG(c->site->base_url), STR_ARG(invite))));
    return ctx_page(c, "partners/team", d);
}

enum err partners_page_team(struct ctx *c)
{
    struct team t;
    enum err e = team_get(c, ctx_path(c, "team"), &t);
    return e == ERR_OK ? team_page(c, &t, STR_NONE) : e;
}

enum err partners_page_invite(struct ctx *c)
{
    struct team t;
    struct str code;
    enum err e = team_get(c, ctx_path(c, "team"), &t);
    if (e == ERR_OK)
        e = team_invite(c, &t, &code);
    return e == ERR_OK ? team_page(c, &t, code) : e;
}

enum err partners_page_join(struct ctx *c)
{
    struct team t;
    enum err e = team_of_invite(c, ctx_path(c, "code"), &t);
    if (e != ERR_OK)
        return e;
    return ctx_page(c, "partners/join",
                    json_pack("{s:o,s:s}", "name", json_str(t.name), "action",
                              url(c, "rejoindre", ctx_path(c, "code"), "")));
}

enum err partners_page_join_post(struct ctx *c)
{
    struct team t;
    enum err e = team_join(c, ctx_path(c, "code"), &t);
    return e == ERR_OK ? ctx_redirect(c, str_from(url(c, "equipes", t.id, ""))) : e;
}

/* ---- making a client ----------------------------------------------------------------------------
 */
static const char *const profiles[] = {"modern", "strict", "fapi"};
static const char *const auths[] = {"secret", "key", "mtls"};
static const char *const realms[] = {"citizens", "agents", "any"};
static const struct input client_inputs[] = {
    {.name = "client_name", .kind = INPUT_TEXT},
    {.name = "redirect_uris", .kind = INPUT_AREA, .optional = true},
    {.name = "post_logout_uris", .kind = INPUT_AREA, .optional = true},
    {"profile", INPUT_SELECT, false, profiles, COUNT_OF(profiles)},
    {"auth", INPUT_SELECT, false, auths, COUNT_OF(auths)},
    {.name = "jwks", .kind = INPUT_AREA, .optional = true},
    {"realm", INPUT_SELECT, false, realms, COUNT_OF(realms)},
};

static enum err client_form(struct ctx *c, const struct team *t)
{
    json_t *values = json_own(&c->pool, json_pack("{s:s,s:s,s:s}", "profile", "modern", "auth",
                                                  "secret", "realm", "citizens"));
    return partners_form_page(c, "client_new", client_inputs, COUNT_OF(client_inputs), values,
                              url(c, "equipes", t->id, ""));
}

enum err partners_page_client_new(struct ctx *c)
{
    struct team t;
    enum err e = team_get(c, ctx_path(c, "team"), &t);
    return e == ERR_OK ? client_form(c, &t) : e;
}

/* Shown once: the secret is kept nowhere in clear. */
static enum err keys_page(struct ctx *c, const json_t *v, const char *title)
{
    struct str id = json_get_str(v, "client_id");
    int64_t until_ms = json_get_i64(v, "old_secret_until", 0);
    json_t *d = json_copy((json_t *)v);
    json_object_set_new(d, "title", partners_text(c, title));
    json_object_set_new(d, "client_url", json_string(client_url(c, id, "")));
    if (until_ms > clock_now_ms())
        json_object_set_new(d, "old_until", partners_when(c, until_ms));
    web_header(c->rs, "Cache-Control", STR("no-store"));
    return ctx_page(c, "partners/keys", d);
}

enum err partners_page_client_post(struct ctx *c)
{
    struct team t;
    json_t *v;
    enum err e = team_get(c, ctx_path(c, "team"), &t);
    if (e != ERR_OK)
        return e;
    e = client_create(c, &t, &v);
    if (e != ERR_OK)
        return is_field(c) ? client_form(c, &t) : e;
    return keys_page(c, v, "keys.title");
}

/* ---- one client ---------------------------------------------------------------------------------
 */
static json_t *client_rows(struct ctx *c, const struct mine *k)
{
    json_t *rows = json_array();
    const json_t *s = k->settings;
    row_add(c, rows, "row.client_id", json_str(k->client_id));
    row_add(c, rows, "row.issuer", json_string(c->pf->settings->base_url));
    row_add(c, rows, "row.redirect_uris", joined(c, json_get(s, "redirect_uris")));
    row_add(c, rows, "row.post_logout", joined(c, json_get(s, "post_logout_redirect_uris")));
    row_add(c, rows, "row.profile",
            partners_text(
                c, arena_printf(c->arena, "option.profile.%s", json_get_z(s, "profile", "")).p));
    row_add(c, rows, "row.auth",
            partners_text(c, arena_printf(c->arena, "option.auth.%s", client_auth_of(s)).p));
    row_add(
        c, rows, "row.realm",
        partners_text(c, arena_printf(c->arena, "option.realm.%s", json_get_z(s, "realm", "")).p));
    return rows;
}

static json_t *refusals_page(struct ctx *c, const json_t *items, size_t most)
{
    json_t *list = json_array(), *v;
    size_t i;
    json_array_foreach((json_t *)items, i, v)
    {
        if (i == most)
            break;
        int64_t at_ms = json_get_i64(v, "at", 0);
        json_array_append_new(list, json_pack("{s:O,s:O,s:O,s:O,s:s,s:s,s:o,s:o}", "id",
                                              json_get(v, "id"), "code", json_get(v, "code"), "why",
                                              json_get(v, "why"), "sent", json_get(v, "sent"),
                                              "meaning", in_lang(c, json_get(v, "meaning")),
                                              "action", in_lang(c, json_get(v, "action")), "when",
                                              partners_when(c, at_ms), "datetime",
                                              json_str(clock_rfc3339(c->arena, at_ms, false))));
    }
    return list;
}

static json_t *production_json(struct ctx *c, const struct mine *k, const json_t *state)
{
    const char *name =
        json_get_bool(state, "open", false) ? "open" : json_get_z(state, "state", "");
    json_t *p = json_object();
    if (strcmp(name, "none") == 0)
        return p;
    json_object_set_new(p, "state", tag(c, "production.state", name));
    json_object_set_new(p, "hint",
                        partners_text(c, arena_printf(c->arena, "production.hint.%s", name).p));
    json_object_set_new(p, "consumer",
                        json_string(in_lang(c, json_get(json_get(state, "consumer"), "name"))));
    json_object_set(p, "request", json_get(state, "request"));
    json_object_set(p, "client_id", json_get(state, "client_id"));
    if (json_get_bool(state, "may_open", false))
        json_object_set_new(p, "open_action", json_string(client_url(c, k->client_id, "/ouvrir")));
    if (str_eq_z(k->stage, "sandbox"))
        json_object_set_new(p, "url",
                            json_string(client_url(c, json_get_str(state, "client_id"), "")));
    return p;
}

enum err partners_page_client(struct ctx *c)
{
    struct mine k;
    json_t *refusals, *state;
    enum err e = mine_get(c, ctx_path(c, "id"), &k);
    if (e == ERR_OK)
        e = refusal_list(c, k.client_id, &refusals);
    if (e == ERR_OK)
        e = production_state(c, &k, &state);
    if (e != ERR_OK)
        return e;
    bool waits = str_eq_z(json_get_str(k.settings, "state"), "pending");
    bool secret = strcmp(client_auth_of(k.settings), "secret") == 0;
    int64_t until_ms = json_get_i64(k.settings, "old_secret_until", 0);
    json_t *d = json_pack(
        "{s:s,s:o,s:o,s:s,s:s,s:s}", "name", in_lang(c, json_get(k.settings, "name")), "stage",
        tag(c, "stage", waits ? "pending" : k.stage.p), "rows", client_rows(c, &k), "back_url",
        url(c, "equipes", k.team.id, ""), "errors_url", client_url(c, k.client_id, "/erreurs"),
        "try_url", client_url(c, k.client_id, "/essai"));
    set_items(d, "errors", refusals_page(c, refusals, RECENT));
    json_object_set_new(d, "production", production_json(c, &k, state));
    if (str_eq_z(k.stage, "sandbox"))
        json_object_set_new(d, "ask_url", json_string(client_url(c, k.client_id, "/production")));
    if (secret && !waits)
        json_object_set_new(d, "rotate_action", json_string(client_url(c, k.client_id, "/secret")));
    if (!secret)
        json_object_set_new(d, "keys_action", json_string(client_url(c, k.client_id, "/cles")));
    if (until_ms)
        json_object_set_new(d, "old_until", partners_when(c, until_ms));
    json_object_set_new(d, "waits", json_boolean(waits));
    if (partners_refused(c, "jwks")) {
        c->rs->status = 422;
        json_object_set_new(d, "jwks_error", partners_text(c, "error.jwks"));
    }
    return ctx_page(c, "partners/client", d);
}

enum err partners_page_rotate(struct ctx *c)
{
    struct mine k;
    json_t *v;
    enum err e = mine_get(c, ctx_path(c, "id"), &k);
    if (e == ERR_OK)
        e = client_rotate(c, &k, &v);
    return e == ERR_OK ? keys_page(c, v, "keys.rotated") : e;
}

enum err partners_page_keys(struct ctx *c)
{
    struct mine k;
    json_t *v;
    enum err e = mine_get(c, ctx_path(c, "id"), &k);
    if (e == ERR_OK)
        e = client_keys(c, &k, &v);
    if (e == ERR_OK)
        return ctx_redirect(c, str_from(client_url(c, k.client_id, "")));
    return is_field(c) ? partners_page_client(c) : e;
}

enum err partners_page_try(struct ctx *c)
{
    struct mine k;
    enum err e = mine_get(c, ctx_path(c, "id"), &k);
    if (e != ERR_OK)
        return e;
    json_t *d = client_try(c, &k);
    json_object_set_new(d, "name", json_string(in_lang(c, json_get(k.settings, "name"))));
    json_object_set_new(d, "back_url", json_string(client_url(c, k.client_id, "")));
    json_object_set_new(d, "secret",
                        json_boolean(strcmp(client_auth_of(k.settings), "secret") == 0));
    return ctx_page(c, "partners/try", d);
}

/* Where a client without a server of its own is sent back: shows what a server would receive. */
enum err partners_page_back(struct ctx *c)
{
    static const char *const shown[] = {"code", "state", "iss", "error", "error_description"};
    json_t *rows = json_array();
    for (size_t i = 0; i < COUNT_OF(shown); i++) {
        struct str v = ctx_query(c, shown[i]);
        if (v.n)
            json_array_append_new(rows,
                                  json_pack("{s:s,s:o}", "label", shown[i], "value", json_str(v)));
    }
    json_t *d = json_pack("{s:o,s:b}", "rows", rows, "ok", ctx_query(c, "code").n > 0);
    web_header(c->rs, "Cache-Control", STR("no-store"));
    return ctx_page(c, "partners/back", d);
}

enum err partners_page_errors(struct ctx *c)
{
    struct mine k;
    json_t *refusals;
    enum err e = mine_get(c, ctx_path(c, "id"), &k);
    if (e == ERR_OK)
        e = refusal_list(c, k.client_id, &refusals);
    if (e != ERR_OK)
        return e;
    json_t *d = json_pack("{s:s,s:s}", "name", in_lang(c, json_get(k.settings, "name")), "back_url",
                          client_url(c, k.client_id, ""));
    set_items(d, "errors", refusals_page(c, refusals, json_array_size(refusals)));
    return ctx_page(c, "partners/errors", d);
}

/* ---- production ---------------------------------------------------------------------------------
 */
static const struct input production_inputs[] = {
    {.name = "org", .kind = INPUT_TEXT},
    {.name = "api_version", .kind = INPUT_SELECT},
    {.name = "fields", .kind = INPUT_AREA, .optional = true},
    {.name = "purpose", .kind = INPUT_AREA},
    {.name = "basis", .kind = INPUT_AREA, .optional = true},
    {.name = "redirect_uris", .kind = INPUT_AREA},
    {.name = "post_logout_uris", .kind = INPUT_AREA, .optional = true},
    {.name = "login_uri", .kind = INPUT_TEXT, .optional = true},
    {.name = "jwks", .kind = INPUT_AREA, .optional = true},
};

/* The catalogue's APIs as options: their names come with them. */
static void apis_put(struct ctx *c, json_t *fields)
{
    json_t *found, *api, *f, *list = json_array();
    size_t i;
    struct str chosen = ctx_form(c, "api_version");
    if (partners_call(c, "exchange.apis", json_object(), &found) == ERR_OK)
        json_array_foreach(json_get(found, "items"), i, api)
        {
            struct str value = arena_printf(c->arena, "%s/%s", json_get_z(api, "id", ""),
                                            json_get_z(api, "version", ""));
            json_array_append_new(list, json_pack("{s:o,s:s,s:b}", "value", json_str(value),
                                                  "label", in_lang(c, json_get(api, "title")),
                                                  "selected", str_eq(chosen, value)));
        }
    json_array_foreach(fields, i, f)
    {
        if (strcmp(json_get_z(f, "name", ""), "api_version") == 0)
            json_object_set(f, "options", list);
    }
    json_decref(list);
}

/* Without the fields that do not apply: an organisation's team needs no body named, and a client
 * with a secret no keys. */
static enum err production_form(struct ctx *c, const struct mine *k)
{
    struct input in[COUNT_OF(production_inputs)];
    bool keys = strcmp(client_auth_of(k->settings), "secret") != 0;
    size_t n = 0;
    for (size_t i = 0; i < COUNT_OF(production_inputs); i++) {
        const char *name = production_inputs[i].name;
        if ((strcmp(name, "org") == 0 && k->team.org_id.n) || (strcmp(name, "jwks") == 0 && !keys))
            continue;
        in[n++] = production_inputs[i];
    }
    enum err e = partners_form_page(c, "production", in, n, NULL, client_url(c, k->client_id, ""));
    if (e == ERR_OK)
        apis_put(c, json_get(c->page_data, "fields"));
    return e;
}

enum err partners_page_production(struct ctx *c)
{
    struct mine k;
    enum err e = mine_get(c, ctx_path(c, "id"), &k);
    return e == ERR_OK ? production_form(c, &k) : e;
}

enum err partners_page_production_post(struct ctx *c)
{
    struct mine k;
    json_t *v;
    enum err e = mine_get(c, ctx_path(c, "id"), &k);
    if (e != ERR_OK)
        return e;
    e = production_ask(c, &k, &v);
    if (e == ERR_OK)
        return ctx_redirect(c, str_from(client_url(c, k.client_id, "")));
    return is_field(c) ? production_form(c, &k) : e;
}

enum err partners_page_open(struct ctx *c)
{
    struct mine k;
    json_t *v;
    enum err e = mine_get(c, ctx_path(c, "id"), &k);
    if (e == ERR_OK)
        e = production_open(c, &k, &v);
    return e == ERR_OK ? keys_page(c, v, "keys.production") : e;
}

/* ---- test identities ----------------------------------------------------------------------------
 */
static json_t *identity_rows(struct ctx *c, const json_t *claims)
{
    static const char *const shown[] = {"given_name", "family_name",  "preferred_username",
                                        "usual_name", "birthdate",    "gender",
                                        "birthplace", "birthcountry", "siret"};
    json_t *rows = json_array();
    for (size_t i = 0; i < COUNT_OF(shown); i++) {
        json_t *v = json_get(claims, shown[i]);
        if (json_is_string(v))
            json_array_append_new(
                rows, json_pack("{s:o,s:O}", "label",
                                partners_text(c, arena_printf(c->arena, "claim.%s", shown[i]).p),
                                "value", v));
    }
    return rows;
}

enum err partners_page_identities(struct ctx *c)
{
    json_t *a, *list = json_array();
    size_t i;
    json_array_foreach(identities_list(c), i, a)
    {
        json_t *one = json_pack("{s:O,s:O,s:s,s:o}", "login", json_get(a, "login"), "password",
                                json_get(a, "password"), "note", in_lang(c, json_get(a, "note")),
                                "rows", identity_rows(c, json_get(a, "claims")));
        if (json_get(a, "refused"))
            json_object_set_new(one, "refused", json_true());
        json_array_append_new(list, one);
    }
    json_t *d = json_pack("{s:s}", "back_url", "/partenaires");
    set_items(d, "identities", list);
    return ctx_page(c, "partners/identities", d);
}
