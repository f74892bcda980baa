/* What safety asks of identity (docs/CALLS.md): to end what is open, and to name what it knows. */
#include "core/identity/schema.h"

#include "base/clock.h"
#include "core/identity/backchannel.h"
#include "core/identity/person.h"
#include "core/identity/provider.h"
#include "core/identity/refresh.h"
#include "platform/change.h"

enum { TOKEN_LIFE_MAX_MS = 24 * 3600 * 1000 };

enum err identity_call_sessions_ended(struct ctx *c, const json_t *args, json_t **out)
{
    size_t i;
    json_t *sid;
    enum err e = ERR_OK;
    struct str person = json_get_str(args, "person");
    *out = json_object();
    json_array_foreach(json_get(args, "sids"), i, sid)
    {
        if (e == ERR_OK)
            e = backchannel_end(c, str_from(json_string_value(sid)), person);
    }
    return e;
}

/* ---- tokens and lasting access ------------------------------------------------------------------
 */
struct cut {
    struct str person, *families;
    size_t n;
    bool tokens; /* those given until now are refused */
    int64_t now_ms;
};

static enum err cut_write(struct db_conn *db, void *arg)
{
    const struct cut *x = arg;
    char key[160] = "person:";
    enum err e = ERR_OK;
    if (x->person.n > 120)
        return ERR_INVALID;
    memcpy(key + 7, x->person.p, x->person.n);
    if (x->tokens)
        e = change_add(db, "deny", str_of(key, 7 + x->person.n), x->now_ms + TOKEN_LIFE_MAX_MS);
    for (size_t i = 0; i < x->n && e == ERR_OK; i++) {
        e = refresh_end(db, x->families[i], x->now_ms);
        if (e == ERR_CONFLICT) /* it ended meanwhile */
            e = ERR_OK;
    }
    return e;
}

/* `all`, or what was given in a session by `provider`, or in one of the sessions `sids`. */
static enum err is_meant(struct ctx *c, const json_t *args, struct str sealed, bool *meant)
{
    struct str plain, provider = json_get_str(args, "provider");
    size_t i;
    json_t *data, *sid;
    *meant = json_get_bool(args, "all", false);
    if (*meant)
        return ERR_OK;
    enum err e = vault_open(c, json_get_str(args, "person"), "refresh.data", sealed, &plain);
    if (e == ERR_OK)
        e = json_read(plain, &data, NULL);
    if (e != ERR_OK) /* of somebody who was erased there is nothing left to end */
        return e == ERR_NOT_FOUND ? ERR_OK : e;
    json_own(&c->pool, data);
    *meant = provider.n && str_eq(json_get_str(data, "provider"), provider);
    json_array_foreach(json_get(args, "sids"), i, sid)
    {
        *meant |= str_eq_z(json_get_str(data, "sid"), json_string_value(sid));
    }
    return ERR_OK;
}

static enum err cut(struct ctx *c, const json_t *args, bool tokens)
{
    struct db_result r;
    struct cut x = {
        .person = json_get_str(args, "person"), .tokens = tokens, .now_ms = clock_now_ms()};
    struct db_conn *db = db_read(c->pf->db);
    if (!db)
        return ERR_UNAVAILABLE;
    enum err e = db_query(db, c->arena, &r,
                          "SELECT id, data FROM refresh_grant WHERE person = $1 AND ended_at = 0 "
                          "AND created_at <= $2 ORDER BY created_at DESC LIMIT 5000",
                          "si", x.person, json_get_i64(args, "until", x.now_ms));
    if (e != ERR_OK)
        return e;
    x.families = arena_array(c->arena, struct str, r.n_rows + 1);
    for (size_t i = 0; i < r.n_rows && e == ERR_OK; i++) {
        bool meant;
        e = is_meant(c, args, db_str(&r, i, 1), &meant);
        if (e == ERR_OK && meant)
            x.families[x.n++] = db_str(&r, i, 0);
    }
    return e == ERR_OK && (tokens || x.n) ? db_write(c->pf->db, cut_write, &x) : e;
}

enum err identity_call_cut(struct ctx *c, const json_t *args, json_t **out)
{
    *out = json_object();
    return cut(c, args, true);
}

enum err identity_call_access_end(struct ctx *c, const json_t *args, json_t **out)
{
    *out = json_object();
    return cut(c, args, false);
}

enum err identity_call_address(struct ctx *c, const json_t *args, json_t **out)
{
    json_t *claims;
    enum err e = person_claims(c, json_get_str(args, "person"), &claims);
    if (e == ERR_OK)
        *out = json_pack("{s:s}", "email", json_get_z(claims, "email", ""));
    return e;
}

enum err identity_call_providers(struct ctx *c, const json_t *args, json_t **out)
{
    struct provider *list;
    size_t n;
    enum err e = provider_list(c, json_get_str(args, "realm"), &list, &n);
    if (e != ERR_OK)
        return e;
    json_t *items = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(items, json_pack("{s:s%,s:o}", "id", list[i].id.p, list[i].id.n,
                                               "name", provider_name(&list[i])));
    *out = json_pack("{s:o}", "items", items);
    return ERR_OK;
}
