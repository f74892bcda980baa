/* What safety asks of identity (docs/CALLS.md): to end what is open, and to name what it knows. */
#include "core/identity/schema.h"

#include "base/clock.h"
#include "core/identity/backchannel.h"
#include "core/identity/person.h"
#include "core/identity/provider.h"
#include "core/identity/refresh.h"
#include "platform/change.h"

enum { TOKEN_LIFE_MAX_MS = 24 * 3600 * 1000, GRANTS_MAX = 200 };

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

struct cut {
    struct str person, families[GRANTS_MAX];
    size_t n;
    int64_t now_ms;
};

static enum err cut_write(struct db_conn *db, void *arg)
{
    const struct cut *x = arg;
    char key[160] = "person:";
    if (x->person.n > 120)
        return ERR_INVALID;
    memcpy(key + 7, x->person.p, x->person.n);
    enum err e =
        change_add(db, "deny", str_of(key, 7 + x->person.n), x->now_ms + TOKEN_LIFE_MAX_MS);
    for (size_t i = 0; i < x->n && e == ERR_OK; i++)
        e = refresh_end(db, x->families[i], x->now_ms);
    return e;
}

/* Tokens given until now are refused everywhere within a second; with `all`, lasting access ends.
 */
enum err identity_call_cut(struct ctx *c, const json_t *args, json_t **out)
{
    struct db_result r = {0};
    struct cut *x = arena_new(c->arena, struct cut);
    struct db_conn *db = db_read(c->pf->db);
    enum err e = db ? ERR_OK : ERR_UNAVAILABLE;
    *x = (struct cut){.person = json_get_str(args, "person"), .now_ms = clock_now_ms()};
    *out = json_object();
    if (e == ERR_OK && json_get_bool(args, "all", false))
        e = db_query(db, c->arena, &r,
                     "SELECT id FROM refresh_grant WHERE person = $1 AND ended_at = 0 LIMIT 200",
                     "s", x->person);
    for (size_t i = 0; e == ERR_OK && i < r.n_rows; i++)
        x->families[x->n++] = db_str(&r, i, 0);
    return e == ERR_OK ? db_write(c->pf->db, cut_write, x) : e;
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
