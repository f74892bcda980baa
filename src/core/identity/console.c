/* Calls by which the partners' console (and whoever else) registers clients and identity providers:
 * the same functions as the command line's. A setting that breaks a rule is an answer, {"refused":
 * "redirect_uri"}, not an error: the console shows it beside the field. */
#include "core/identity/schema.h"

#include "core/identity/client.h"
#include "core/identity/identity.h"
#include "core/identity/provider.h"
#include "platform/change.h"

enum { LIST_MAX = 50 };

/* ---- clients ------------------------------------------------------------------------------------
 */
static size_t list_read(const json_t *args, const char *name, const char *out[LIST_MAX])
{
    const json_t *list = json_get(args, name);
    size_t n = 0;
    for (size_t i = 0; i < json_array_size(list) && n < LIST_MAX; i++)
        if (json_is_string(json_array_get(list, i)))
            out[n++] = json_string_value(json_array_get(list, i));
    return n;
}

enum err identity_call_client_put(struct ctx *c, const json_t *args, json_t **out)
{
    const char *redirects[LIST_MAX], *logouts[LIST_MAX], *why = NULL;
    struct str id, secret;
    struct identity_client in = {.id = json_get_z(args, "client_id", NULL),
                                 .org_id = json_get_z(args, "org", NULL),
                                 .name_fr = json_get_z(json_get(args, "name"), "fr", NULL),
                                 .name_en = json_get_z(json_get(args, "name"), "en", NULL),
                                 .profile = json_get_z(args, "profile", NULL),
                                 .realm = json_get_z(args, "realm", NULL),
                                 .entity_id = json_get_z(args, "entity", NULL),
                                 .redirect_uris = redirects,
                                 .n_redirect_uris = list_read(args, "redirect_uris", redirects),
                                 .post_logout_uris = logouts,
                                 .n_post_logout_uris =
                                     list_read(args, "post_logout_redirect_uris", logouts),
                                 .login_uri = json_get_z(args, "initiate_login_uri", NULL),
                                 .scopes = json_get_z(args, "scopes", NULL),
                                 .providers = json_get_z(args, "providers", NULL),
                                 .auth_methods = json_get_z(args, "auth_methods", NULL),
                                 .jwks = json_get_z(args, "jwks", NULL),
                                 .bound = json_get_z(args, "bound", NULL),
                                 .logout_uri = json_get_z(args, "backchannel_logout_uri", NULL),
                                 .pkce = json_get_bool(args, "pkce", false),
                                 .par = json_get_bool(args, "par", false),
                                 .state = json_get_z(args, "state", NULL),
                                 .actor = json_get_z(args, "actor", "operator")};
    enum err e = identity_client_put(c, &in, &id, &secret, &why);
    if (e == ERR_INVALID && why) {
        *out = json_pack("{s:s}", "refused", why);
        return ERR_OK;
    }
    if (e != ERR_OK)
        return e;
    *out = json_pack("{s:o}", "client_id", json_str(id));
    if (secret.p)
        json_object_set_new(*out, "client_secret", json_str(secret));
    return ERR_OK;
}

enum err identity_call_client_get(struct ctx *c, const json_t *args, json_t **out)
{
    return client_json(c, json_get_str(args, "client_id"), out);
}

/* clients: a list of ids, in that order; without it all. Those that are gone are left out. */
enum err identity_call_client_list(struct ctx *c, const json_t *args, json_t **out)
{
    const json_t *ids = json_get(args, "clients");
    json_t *one, *items;
    if (!ids) {
        enum err e = client_json_list(c, &items);
        if (e == ERR_OK)
            *out = json_pack("{s:o}", "items", items);
        return e;
    }
    items = json_array();
    for (size_t i = 0; i < json_array_size(ids); i++)
        if (client_json(c, str_from(json_string_value(json_array_get(ids, i))), &one) == ERR_OK)
            json_array_append_new(items, one);
    *out = json_pack("{s:o}", "items", items);
    return ERR_OK;
}

/* With jwks: its keys are replaced; else its secret, and the old one lives overlap_hours more. */
enum err identity_call_client_rotate(struct ctx *c, const json_t *args, json_t **out)
{
    struct str secret, id = json_get_str(args, "client_id"), actor = json_get_str(args, "actor"),
                       jwks = json_get_str(args, "jwks");
    int64_t hours = json_get_i64(args, "overlap_hours", CLIENT_OVERLAP_HOURS);
    enum err e = jwks.n ? client_keys_set(c, id, actor, jwks)
                        : client_secret_rotate(c, id, actor, hours * 3600 * 1000, &secret);
    if (e == ERR_INVALID) {
        *out = json_pack("{s:s}", "refused", "jwks");
        return ERR_OK;
    }
    if (e == ERR_OK)
        *out = jwks.n ? json_object() : json_pack("{s:o}", "client_secret", json_str(secret));
    return e;
}

enum err identity_call_client_activate(struct ctx *c, const json_t *args, json_t **out)
{
    struct str secret;
    enum err e =
        client_activate(c, json_get_str(args, "client_id"), json_get_str(args, "actor"), &secret);
    if (e == ERR_OK)
        *out = json_pack("{s:o}", "client_secret", json_str(secret));
    return e;
}

enum err identity_call_client_remove(struct ctx *c, const json_t *args, json_t **out)
{
    enum err e = client_remove(c, json_get_str(args, "client_id"), json_get_str(args, "actor"));
    if (e == ERR_OK)
        *out = json_object();
    return e;
}

/* ---- identity providers -------------------------------------------------------------------------
 */
enum err identity_call_provider_put(struct ctx *c, const json_t *args, json_t **out)
{
    const char *why = NULL;
    struct provider *known;
    struct str id = json_get_str(args, "id");
    struct str conf =
        json_get(args, "conf") ? json_text(c->arena, json_get(args, "conf")) : STR("{}");
    struct identity_provider in = {.id = json_get_z(args, "id", NULL),
                                   .realm = json_get_z(args, "realm", NULL),
                                   .name_fr = json_get_z(json_get(args, "name"), "fr", NULL),
                                   .name_en = json_get_z(json_get(args, "name"), "en", NULL),
                                   .issuer = json_get_z(args, "issuer", NULL),
                                   .client_id = json_get_z(args, "client_id", NULL),
                                   .secret = json_get_z(args, "secret", NULL),
                                   .conf = arena_dupz(c->arena, conf),
                                   .min_acr = json_get_z(args, "min_acr", NULL),
                                   .state = "sandbox",
                                   .actor = json_get_z(args, "actor", "operator")};
    enum err e = provider_get_any(c, id, &known);
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    /* One that people are sent to is changed by the operator alone. */
    if (e == ERR_OK && !str_eq_z(known->state, "sandbox"))
        return ERR_CONFLICT;
    if (e == ERR_OK && !in.secret && known->secret.p) /* kept */
        in.secret = arena_dupz(c->arena, known->secret);
    e = identity_provider_put(c, &in, &why);
    if (e == ERR_INVALID && why) {
        *out = json_pack("{s:s}", "refused", why);
        return ERR_OK;
    }
    if (e == ERR_OK)
        *out = json_pack("{s:s}", "id", in.id);
    return e;
}

enum err identity_call_provider_get(struct ctx *c, const json_t *args, json_t **out)
{
    struct provider *p;
    enum err e = provider_get_any(c, json_get_str(args, "id"), &p);
    if (e != ERR_OK)
        return e;
    struct str callback =
        portal_url(c, arena_printf(c->arena, "/connexion/retour/" STR_FMT, STR_ARG(p->id)).p);
    *out = json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:s,s:O,s:o}", "id", json_str(p->id), "name",
                     provider_name(p), "realm", json_str(p->realm), "issuer", json_str(p->issuer),
                     "client_id", json_str(p->client_id), "state", json_str(p->state), "min_acr",
                     level_name(p->min_level), "conf", p->conf, "redirect_uri", json_str(callback));
    return ERR_OK;
}

struct move {
    struct str id;
    const char *from, *to;
};

static enum err move_write(struct db_conn *db, void *arg)
{
    struct move *m = arg;
    int64_t changed = 0;
    enum err e = db_exec_count(
        db, &changed, "UPDATE identity_provider SET state = $3 WHERE id = $1 AND state = $2", "szz",
        m->id, m->from, m->to);
    if (e == ERR_OK && changed == 0)
        e = ERR_CONFLICT;
    return e == ERR_OK ? change_add(db, "config", m->id, 0) : e;
}

/* to: "asked" (its body asks for production), "active" (the operator accepts), "sandbox" (sent
 * back). ERR_CONFLICT: not from where it is. */
enum err identity_call_provider_state(struct ctx *c, const json_t *args, json_t **out)
{
    static const struct {
        const char *from, *to, *kind;
    } moves[] = {{"sandbox", "asked", "identity.provider_asked"},
                 {"asked", "active", "identity.provider_accepted"},
                 {"asked", "sandbox", "identity.provider_sent_back"}};
    struct act act;
    struct str to = json_get_str(args, "to");
    for (size_t i = 0; i < COUNT_OF(moves); i++) {
        if (!str_eq_z(to, moves[i].to))
            continue;
        struct move m = {json_get_str(args, "id"), moves[i].from, moves[i].to};
        struct act_info info = {
            .kind = moves[i].kind, .actor = json_get_str(args, "actor"), .object = m.id};
        enum err e = act_make(c, &info, &act);
        if (e == ERR_OK)
            e = act_write(c, move_write, &m, &act, 1);
        provider_cache_clear();
        if (e == ERR_OK)
            *out = json_pack("{s:s}", "state", m.to);
        return e;
    }
    return ERR_INVALID;
}
