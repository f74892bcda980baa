/* Clients in the sandbox, as their team made them. */
#include "core/partners/partners.h"

#include "base/clock.h"
#include "base/rand.h"

enum { CLIENTS_MAX = 40, URIS_MAX = 50, OVERLAP_MAX_HOURS = 720 };
static const char NO_PROVIDER[] = "!"; /* no provider has this id */

json_t *lines_of(struct ctx *c, struct str text)
{
    json_t *list = json_array();
    char *z = arena_dupz(c->arena, text);
    for (char *p = z; *p; p++)
        if (strchr("\r\n\t,", *p))
            *p = ' ';
    struct str rest = str_from(z), part;
    while (rest.n && json_array_size(list) < URIS_MAX && str_split(&rest, ' ', &part))
        if (part.n)
            json_array_append_new(list, json_str(part));
    return list;
}

/* ---- whose it is --------------------------------------------------------------------------------
 */
enum err mine_get(struct ctx *c, struct str client_id, struct mine *out)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    if (!db)
        return ERR_UNAVAILABLE;
    enum err e = db_query_one(db, c->arena, &r,
                              "SELECT team, stage, request, sandbox FROM partner_client WHERE "
                              "client_id = $1",
                              "s", client_id);
    if (e == ERR_NOT_FOUND)
        return ctx_fail(c, &partners_f_none, e, STR_NONE);
    *out = (struct mine){.client_id = client_id};
    if (e == ERR_OK)
        e = team_get(c, db_str(&r, 0, 0), &out->team);
    if (e != ERR_OK)
        return e;
    out->stage = db_str(&r, 0, 1);
    out->request = db_str(&r, 0, 2);
    out->sandbox = db_str(&r, 0, 3);
    json_t *args = json_pack("{s:o}", "client_id", json_str(client_id));
    e = partners_call(c, "identity.client_get", args, &out->settings);
    return e == ERR_NOT_FOUND ? ctx_fail(c, &partners_f_none, e, STR_NONE) : e;
}

struct client_row {
    struct str client_id, team, request, sandbox;
    const char *stage;
    int64_t now_ms;
};

static enum err row_insert(struct db_conn *db, void *arg)
{
    struct client_row *r = arg;
    return db_exec(db,
                   "INSERT INTO partner_client(client_id, team, stage, request, sandbox, "
                   "created_at) VALUES($1, $2, $3, $4, $5, $6)",
                   "sszssi", r->client_id, r->team, r->stage, r->request, r->sandbox, r->now_ms);
}

enum err client_row_add(struct ctx *c, const char *kind, struct str client_id, struct str team,
                        const char *stage, struct str request, struct str sandbox)
{
    struct client_row r = {client_id, team, request, sandbox, stage, clock_now_ms()};
    return partners_act(c, kind, client_id, row_insert, &r);
}

static enum err room_left(struct ctx *c, const struct team *t)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    enum err e =
        db ? db_query_one(db, c->arena, &r, "SELECT count(*) FROM partner_client WHERE team = $1",
                          "s", t->id)
           : ERR_UNAVAILABLE;
    if (e == ERR_OK && db_i64(&r, 0, 0) >= CLIENTS_MAX)
        return ctx_fail(c, &partners_f_limit, ERR_CONFLICT, STR_NONE);
    return e;
}

/* ---- making one ---------------------------------------------------------------------------------
 */
static const struct {
    const char *auth, *methods;
} auths[] = {
    {"secret", "client_secret_basic client_secret_post"},
    {"key", "private_key_jwt"},
    {"mtls", "self_signed_tls_client_auth"},
};

const char *client_auth_of(const json_t *settings)
{
    struct str methods = json_get_str(settings, "auth_methods");
    for (size_t i = 1; i < COUNT_OF(auths); i++)
        if (str_find(methods, str_from(auths[i].methods)) >= 0)
            return auths[i].auth;
    return auths[0].auth;
}

static const char *providers_of(const struct settings *s)
{
    return *s->sandbox_providers ? s->sandbox_providers : s->demo ? "*" : NO_PROVIDER;
}

/* identity's name of a setting, and the form's. */
static enum err refuse_setting(struct ctx *c, const char *setting)
{
    static const struct {
        const char *setting, *field;
    } names[] = {{"name", "client_name"},
                 {"redirect_uri", "redirect_uris"},
                 {"post_logout_redirect_uri", "post_logout_uris"},
                 {"auth_methods", "auth"},
                 {"id_token_alg", "profile"}};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (strcmp(setting, names[i].setting) == 0)
            return partners_refuse(c, names[i].field);
    return partners_refuse(c, arena_dupz(c->arena, str_from(setting)));
}

static void set_typed(struct ctx *c, json_t *args, const char *name, const char *field)
{
    struct str v = str_trim(ctx_form(c, field));
    if (v.n)
        json_object_set_new(args, name, json_str(v));
}

static enum err put(struct ctx *c, json_t *args, json_t **out)
{
    enum err e = partners_call(c, "identity.client_put", args, out);
    if (e == ERR_OK && json_get(*out, "refused"))
        return refuse_setting(c, json_get_z(*out, "refused", ""));
    return e;
}

static void addresses_put(struct ctx *c, json_t *args)
{
    json_t *uris = lines_of(c, ctx_form(c, "redirect_uris"));
    if (json_array_size(uris) == 0) /* to try without a server of one's own */
        json_array_append_new(uris, json_str(portal_url(c, "/partenaires/retour")));
    json_object_set_new(args, "redirect_uris", uris);
    json_object_set_new(args, "post_logout_redirect_uris",
                        lines_of(c, ctx_form(c, "post_logout_uris")));
}

/* Fills how it authenticates; false: the form lacks what that needs. */
static bool auth_put(struct ctx *c, json_t *args, struct str auth)
{
    struct str jwks = str_trim(ctx_form(c, "jwks"));
    size_t i = 0;
    while (i < COUNT_OF(auths) && !str_eq_z(auth, auths[i].auth))
        i++;
    if (i == COUNT_OF(auths) || (i > 0 && !jwks.n))
        return false;
    json_object_set_new(args, "auth_methods", json_string(auths[i].methods));
    if (i > 0)
        json_object_set_new(args, "jwks", json_str(jwks));
    return true;
}

static json_t *given(struct ctx *c, const json_t *made, bool secret)
{
    const char *issuer = c->pf->settings->base_url;
    json_t *v = json_pack("{s:O,s:s,s:s}", "client_id", json_get(made, "client_id"), "issuer",
                          issuer, "discovery",
                          arena_printf(c->arena, "%s/.well-known/openid-configuration", issuer).p);
    if (secret && json_get(made, "client_secret"))
        json_object_set(v, "client_secret", json_get(made, "client_secret"));
    return json_own(&c->pool, v);
}

enum err client_create(struct ctx *c, const struct team *t, json_t **out)
{
    json_t *made;
    struct str name = str_trim(ctx_form(c, "client_name")), auth = str_trim(ctx_form(c, "auth"));
    char id[ID_LEN + 1];
    enum err e = room_left(c, t);
    if (e != ERR_OK)
        return e;
    id_new(id);
    auth = auth.n ? auth : STR("secret");
    json_t *args =
        json_pack("{s:s,s:{s:o},s:o,s:o,s:s}", "client_id", id, "name", "fr", json_str(name), "org",
                  json_str(t->org_id), "actor", json_str(partners_actor(c)), "providers",
                  providers_of(c->pf->settings));
    set_typed(c, args, "profile", "profile");
    set_typed(c, args, "realm", "realm");
    addresses_put(c, args);
    if (!auth_put(c, args, auth)) {
        json_decref(args);
        return partners_refuse(c, "jwks");
    }
    e = put(c, args, &made);
    if (e != ERR_OK)
        return e;
    *out = given(c, made, str_eq_z(auth, "secret"));
    return client_row_add(c, "partners.client_created", json_get_str(*out, "client_id"), t->id,
                          "sandbox", STR(""), STR(""));
}

/* ---- rotation -----------------------------------------------------------------------------------
 */
/* The old secret works "overlap_hours" more: 0 when it was seen by others. */
enum err client_rotate(struct ctx *c, const struct mine *k, json_t **out)
{
    json_t *made;
    int64_t hours = 24;
    struct str typed = str_trim(ctx_form(c, "overlap_hours"));
    if (typed.n && (!str_to_i64(typed, &hours) || hours < 0 || hours > OVERLAP_MAX_HOURS))
        return partners_refuse(c, "overlap_hours");
    json_t *args = json_pack("{s:o,s:o,s:I}", "client_id", json_str(k->client_id), "actor",
                             json_str(partners_actor(c)), "overlap_hours", (json_int_t)hours);
    enum err e = partners_call(c, "identity.client_rotate", args, &made);
    if (e == ERR_NOT_FOUND)
        return ctx_fail(c, &partners_f_state, ERR_CONFLICT, STR_NONE);
    if (e != ERR_OK)
        return e;
    json_object_set_new(made, "client_id", json_str(k->client_id));
    *out = given(c, made, true);
    json_object_set_new(*out, "old_secret_until",
                        json_integer(clock_now_ms() + hours * 3600 * 1000));
    return ERR_OK;
}

enum err client_keys(struct ctx *c, const struct mine *k, json_t **out)
{
    struct str jwks = str_trim(ctx_form(c, "jwks"));
    if (!jwks.n)
        return partners_refuse(c, "jwks");
    json_t *args = json_pack("{s:o,s:o,s:o}", "client_id", json_str(k->client_id), "actor",
                             json_str(partners_actor(c)), "jwks", json_str(jwks));
    enum err e = partners_call(c, "identity.client_rotate", args, out);
    return e == ERR_OK && json_get(*out, "refused") ? partners_refuse(c, "jwks") : e;
}

/* ---- a team's ----------------------------------------------------------------------------------
 */
enum err client_all(struct ctx *c, const struct team *t, json_t **out)
{
    struct db_result r;
    json_t *found, *ids = json_array();
    struct db_conn *db = db_read(c->pf->db);
    enum err e = db ? db_query(db, c->arena, &r,
                               "SELECT client_id, stage, request, sandbox FROM partner_client "
                               "WHERE team = $1 ORDER BY created_at LIMIT 100",
                               "s", t->id)
                    : ERR_UNAVAILABLE;
    for (size_t i = 0; e == ERR_OK && i < r.n_rows; i++)
        json_array_append_new(ids, json_str(db_str(&r, i, 0)));
    json_t *args = json_pack("{s:o}", "clients", ids);
    if (e != ERR_OK) {
        json_decref(args);
        return e;
    }
    e = partners_call(c, "identity.client_list", args, &found);
    if (e != ERR_OK)
        return e;
    *out = json_get(found, "items");
    for (size_t i = 0; i < json_array_size(*out); i++) {
        json_t *k = json_array_get(*out, i);
        for (size_t n = 0; n < r.n_rows; n++) {
            if (!str_eq(db_str(&r, n, 0), json_get_str(k, "client_id")))
                continue;
            json_object_set_new(k, "stage", json_str(db_str(&r, n, 1)));
            json_object_set_new(k, "request", json_str(db_str(&r, n, 2)));
            json_object_set_new(k, "sandbox", json_str(db_str(&r, n, 3)));
        }
    }
    return ERR_OK;
}

/* ---- trying it ----------------------------------------------------------------------------------
 */
static json_t *first_uri(const struct mine *k)
{
    return json_array_get(json_get(k->settings, "redirect_uris"), 0);
}

static struct str authorize_url(struct ctx *c, const struct mine *k)
{
    char state[SECRET_LEN + 1], nonce[SECRET_LEN + 1];
    secret_new(state);
    secret_new(nonce);
    struct str url = portal_url(c, "/api/v2/authorize");
    url = url_with(c->arena, url, "response_type", STR("code"));
    url = url_with(c->arena, url, "client_id", k->client_id);
    url = url_with(c->arena, url, "redirect_uri", str_from(json_string_value(first_uri(k))));
    url = url_with(c->arena, url, "scope", STR("openid profile birth email"));
    url = url_with(c->arena, url, "acr_values", STR("eidas1"));
    url = url_with(c->arena, url, "state", arena_dup(c->arena, str_from(state)));
    return url_with(c->arena, url, "nonce", arena_dup(c->arena, str_from(nonce)));
}

/* How the client proves who it is, on curl's command line. */
static const char *curl_auth(struct ctx *c, const struct mine *k)
{
    const char *auth = client_auth_of(k->settings);
    if (strcmp(auth, "key") == 0)
        return arena_printf(c->arena,
                            "-d client_id=" STR_FMT " \\\n  -d client_assertion_type="
                            "urn:ietf:params:oauth:client-assertion-type:jwt-bearer \\\n"
                            "  -d client_assertion=\"$JWT\"",
                            STR_ARG(k->client_id))
            .p;
    if (strcmp(auth, "mtls") == 0)
        return arena_printf(c->arena, "--cert client.pem -d client_id=" STR_FMT,
                            STR_ARG(k->client_id))
            .p;
    return arena_printf(c->arena, "-u " STR_FMT ":\"$SECRET\"", STR_ARG(k->client_id)).p;
}

json_t *client_try(struct ctx *c, const struct mine *k)
{
    const char *issuer = c->pf->settings->base_url, *auth = curl_auth(c, k);
    const char *uri = json_string_value(first_uri(k));
    json_t *v = json_object();
    bool pushed = json_get_bool(k->settings, "par", false) ||
                  str_eq_z(json_get_str(k->settings, "profile"), "fapi");
    json_object_set_new(
        v, "discovery",
        json_str(arena_printf(c->arena, "curl %s/.well-known/openid-configuration", issuer)));
    if (pushed)
        json_object_set_new(
            v, "push",
            json_str(arena_printf(
                c->arena,
                "curl %s/api/v2/par %s \\\n  -d response_type=code -d redirect_uri=%s \\\n  -d "
                "scope=\"openid profile\" -d code_challenge=\"$CHALLENGE\" -d "
                "code_challenge_method=S256",
                issuer, auth, uri)));
    else
        json_object_set_new(v, "authorize_url", json_str(authorize_url(c, k)));
    json_object_set_new(
        v, "token",
        json_str(arena_printf(c->arena,
                              "curl %s/api/v2/token %s \\\n  -d grant_type=authorization_code "
                              "-d code=\"$CODE\" \\\n  -d redirect_uri=%s",
                              issuer, auth, uri)));
    json_object_set_new(
        v, "userinfo",
        json_str(arena_printf(c->arena,
                              "curl %s/api/v2/userinfo -H \"Authorization: Bearer $ACCESS_TOKEN\"",
                              issuer)));
    return v;
}
