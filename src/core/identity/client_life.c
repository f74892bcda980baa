/* What happens to a client after it was registered: shown, its secret or keys replaced, activated,
 * ended. */
#include "core/identity/client.h"

#include "base/clock.h"
#include "base/rand.h"
#include "platform/change.h"

/* ---- shown --------------------------------------------------------------------------------------
 */
#define CLIENT_SQL                                                                         \
    "SELECT id, name_fr, name_en, profile, realm, org_id, entity_id, auth_methods, "       \
    "id_token_alg, userinfo_alg, scopes, providers, pkce, state, created_at, par, bound, " \
    "logout_uri, data_provider, old_secret_until, jwks, consent FROM client "

static json_t *uris(struct ctx *c, const char *id, const char *kind)
{
    struct db_result rows;
    struct db_conn *db = db_read(c->pf->db);
    json_t *list = json_array();
    if (db && db_query(db, c->arena, &rows,
                       "SELECT uri FROM client_uri WHERE client_id = $1 AND kind = $2 ORDER BY uri",
                       "zz", id, kind) == ERR_OK)
        for (size_t i = 0; i < rows.n_rows; i++)
            json_array_append_new(list, json_str(db_str(&rows, i, 0)));
    return list;
}

static json_t *row_json(struct ctx *c, const struct db_result *rows, size_t i)
{
    const char *id = db_z(rows, i, 0);
    json_t *v = json_pack(
        "{s:s,s:{s:s,s:s},s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:b,s:s,s:I,s:o,s:o,"
        "s:b,s:s,s:s,s:b}",
        "client_id", id, "name", "fr", db_z(rows, i, 1), "en", db_z(rows, i, 2), "profile",
        db_z(rows, i, 3), "realm", db_z(rows, i, 4), "org", db_z(rows, i, 5), "entity",
        db_z(rows, i, 6), "auth_methods", db_z(rows, i, 7), "id_token_alg", db_z(rows, i, 8),
        "userinfo_alg", db_z(rows, i, 9), "scopes", db_z(rows, i, 10), "providers",
        db_z(rows, i, 11), "pkce", db_i64(rows, i, 12) != 0, "state", db_z(rows, i, 13),
        "created_at", (json_int_t)db_i64(rows, i, 14), "redirect_uris", uris(c, id, "redirect"),
        "post_logout_redirect_uris", uris(c, id, "post_logout"), "par", db_i64(rows, i, 15) != 0,
        "bound", db_z(rows, i, 16), "backchannel_logout_uri", db_z(rows, i, 17), "data_provider",
        db_i64(rows, i, 18) != 0);
    int64_t until_ms = db_i64(rows, i, 19);
    if (until_ms > clock_now_ms())
        json_object_set_new(v, "old_secret_until", json_integer(until_ms));
    json_t *login = uris(c, id, "login");
    if (json_array_size(login))
        json_object_set(v, "initiate_login_uri", json_array_get(login, 0));
    json_decref(login);
    json_object_set_new(v, "consent", json_string(db_z(rows, i, 21)));
    json_object_set_new(v, "has_keys", json_boolean(db_str(rows, i, 20).n > 0));
    return v;
}

enum err client_json(struct ctx *c, struct str id, json_t **out)
{
    struct db_result rows;
    struct db_conn *db = db_read(c->pf->db);
    if (!db)
        return ERR_UNAVAILABLE;
    enum err e = db_query_one(db, c->arena, &rows,
                              CLIENT_SQL "WHERE id = $1 AND state <> 'removed'", "s", id);
    if (e == ERR_OK)
        *out = row_json(c, &rows, 0);
    return e;
}

enum err client_json_list(struct ctx *c, json_t **out)
{
    struct db_result rows;
    struct db_conn *db = db_read(c->pf->db);
    if (!db)
        return ERR_UNAVAILABLE;
    enum err e = db_query(db, c->arena, &rows,
                          CLIENT_SQL "WHERE state <> 'removed' ORDER BY created_at, id", "");
    if (e != ERR_OK)
        return e;
    *out = json_array();
    for (size_t i = 0; i < rows.n_rows; i++)
        json_array_append_new(*out, row_json(c, &rows, i));
    return ERR_OK;
}

/* ---- changed ------------------------------------------------------------------------------------
 */
struct step {
    const char *sql; /* $1 id, $2 now, $3 text, $4 until (where there is one) */
    struct str id, text;
    int64_t now_ms, until_ms;
    struct str deny; /* a key of the deny list; .p NULL none */
};

static enum err step_write(struct db_conn *db, void *arg)
{
    enum { DENY_MS = 3600 * 1000 };
    struct step *s = arg;
    int64_t changed = 0;
    enum err e =
        s->until_ms
            ? db_exec_count(db, &changed, s->sql, "sisi", s->id, s->now_ms, s->text, s->until_ms)
            : db_exec_count(db, &changed, s->sql, "sis", s->id, s->now_ms, s->text);
    if (e == ERR_OK && changed == 0)
        e = ERR_NOT_FOUND;
    if (e == ERR_OK && s->deny.p)
        e = change_add(db, "deny", s->deny, s->now_ms + DENY_MS);
    return e == ERR_OK ? change_add(db, "config", s->id, 0) : e;
}

static enum err step_do(struct ctx *c, struct step *s, const char *kind, struct str actor)
{
    struct act act;
    struct act_info info = {.kind = kind, .actor = actor, .object = s->id};
    enum err e = act_make(c, &info, &act);
    if (e == ERR_OK)
        e = act_write(c, step_write, s, &act, 1);
    client_cache_clear();
    return e;
}

static enum err secret_draw(struct ctx *c, struct str id, struct str *secret, struct str *mac)
{
    char *drawn = arena_alloc(c->arena, SECRET_LEN + 1);
    secret_new(drawn);
    *secret = str_from(drawn);
    return client_secret_mac(c, id, *secret, mac);
}

enum err client_secret_rotate(struct ctx *c, struct str id, struct str actor, int64_t overlap_ms,
                              struct str *secret)
{
    struct step s = {.sql = "UPDATE client SET old_secret_mac = secret_mac, old_secret_until = $4, "
                            "secret_mac = $3, updated_at = $2 WHERE id = $1 AND state = 'active'",
                     .id = id,
                     .now_ms = clock_now_ms()};
    s.until_ms = s.now_ms + overlap_ms;
    enum err e = secret_draw(c, id, secret, &s.text);
    return e == ERR_OK ? step_do(c, &s, "identity.client_secret_rotated", actor) : e;
}

enum err client_keys_set(struct ctx *c, struct str id, struct str actor, struct str jwks)
{
    struct jwks *keys = NULL;
    struct step s = {.sql = "UPDATE client SET jwks = $3, updated_at = $2 "
                            "WHERE id = $1 AND state <> 'removed'",
                     .id = id,
                     .text = jwks,
                     .now_ms = clock_now_ms()};
    if (jwks_read(jwks, &keys) != ERR_OK)
        return ERR_INVALID;
    jwks_free(keys);
    return step_do(c, &s, "identity.client_keys_rotated", actor);
}

enum err client_activate(struct ctx *c, struct str id, struct str actor, struct str *secret)
{
    struct step s = {.sql = "UPDATE client SET state = 'active', secret_mac = $3, "
                            "updated_at = $2 WHERE id = $1 AND state = 'pending'",
                     .id = id,
                     .now_ms = clock_now_ms()};
    enum err e = secret_draw(c, id, secret, &s.text);
    if (e == ERR_OK)
        e = step_do(c, &s, "identity.client_activated", actor);
    return e == ERR_NOT_FOUND ? ERR_CONFLICT : e;
}

enum err client_remove(struct ctx *c, struct str id, struct str actor)
{
    struct step s = {.sql = "UPDATE client SET state = $3, updated_at = $2 "
                            "WHERE id = $1 AND state <> 'removed'",
                     .id = id,
                     .text = STR("removed"),
                     .now_ms = clock_now_ms(),
                     .deny = arena_printf(c->arena, "client:" STR_FMT, STR_ARG(id))};
    return step_do(c, &s, "identity.client_removed", actor);
}
