/* The spaces of bodies that she reaches from her account: services registered with the address
 * where people begin there (initiate_login_uri, OpenID Connect Core 4). That address is given our
 * issuer, so the service asks us who she is at once, and her session answers. */
#include "core/identity/schema.h"

#include "base/clock.h"
#include "core/identity/person.h"
#include "core/identity/pivot.h"
#include "core/identity/request.h"
#include "web/pages.h"

enum { SPACES_MAX = 2000 };

#define SPACES_SQL                                                                         \
    "SELECT k.id, k.name_fr, k.name_en, k.org_id, o.name_fr, o.name_en, u.uri, k.scopes, " \
    "k.consent, COALESCE(pc.last_at, 0), COALESCE(pc.told, '') FROM client_uri u "         \
    "JOIN client k ON k.id = u.client_id AND k.state = 'active' AND k.realm <> 'agents' "  \
    "JOIN organisation o ON o.id = k.org_id "                                              \
    "LEFT JOIN person_client pc ON pc.client_id = k.id AND pc.person = $1 "                \
    "WHERE u.kind = 'login' "

/* What opening a space tells her it receives: claims of her identity. What opens more than that
 * (lasting access, her account) has a page of its own, and so has a service that asks. */
static struct str claims_to_tell(struct ctx *c, struct str scopes, struct str consent)
{
    if (str_eq_z(scopes, "*") || !str_eq_z(consent, "inform"))
        return STR("");
    struct str all = claims_of_scopes(c->arena, scopes, STR_NONE);
    all = list_less(c->arena, all, STR("offline_access"));
    return list_less(c->arena, all, STR("account"));
}

static bool all_in(struct str list, struct str names)
{
    struct str part;
    while (names.n && str_split(&names, ' ', &part))
        if (part.n && !list_has(list, part))
            return false;
    return true;
}

/* Those claims that she has, by their names in both languages. */
static json_t *labels(struct ctx *c, struct str claims, const json_t *hers)
{
    const struct claim_def *d;
    json_t *list = json_array();
    for (size_t i = 0; (d = claim_at(i)) != NULL; i++) {
        if (!d->label || !json_get(hers, d->name) || !list_has(claims, str_from(d->name)))
            continue;
        const char *key = arena_printf(c->arena, "claim.%s", d->name).p;
        json_array_append_new(
            list, json_pack("{s:s,s:{s:o,s:o}}", "name", d->name, "label", "fr",
                            json_str(pages_text(c->arena, "identity", key, "fr", NULL)), "en",
                            json_str(pages_text(c->arena, "identity", key, "en", NULL))));
    }
    return list;
}

static json_t *space_json(struct ctx *c, const struct db_result *r, size_t i, const json_t *hers)
{
    struct str iss = str_from(c->pf->settings->base_url), told = db_str(r, i, 10);
    struct str claims = claims_to_tell(c, db_str(r, i, 7), db_str(r, i, 8));
    struct str url = url_with(c->arena, db_str(r, i, 6), "iss", iss);
    return json_pack("{s:s,s:{s:s,s:s},s:s,s:{s:s,s:s},s:o,s:I,s:b,s:o}", "client_id",
                     db_z(r, i, 0), "name", "fr", db_z(r, i, 1), "en", db_z(r, i, 2), "org_id",
                     db_z(r, i, 3), "org_name", "fr", db_z(r, i, 4), "en", db_z(r, i, 5), "url",
                     json_str(url), "visited_at", (json_int_t)db_i64(r, i, 9), "to_tell",
                     claims.n > 0 && !all_in(told, claims), "receives", labels(c, claims, hers));
}

enum err identity_call_spaces(struct ctx *c, const json_t *args, json_t **out)
{
    struct db_result r;
    json_t *hers;
    struct db_conn *db = db_read(c->pf->db);
    if (!db)
        return ERR_UNAVAILABLE;
    enum err e = person_claims(c, json_get_str(args, "person"), &hers);
    if (e != ERR_OK)
        return e;
    e = db_query(db, c->arena, &r,
                 SPACES_SQL "ORDER BY 10 DESC, o.name_fr, k.name_fr, k.id LIMIT $2", "si",
                 json_get_str(args, "person"), (int64_t)SPACES_MAX);
    if (e != ERR_OK)
        return e;
    json_t *items = json_array();
    for (size_t i = 0; i < r.n_rows; i++)
        json_array_append_new(items, space_json(c, &r, i, hers));
    *out = json_pack("{s:o}", "items", items);
    return ERR_OK;
}

/* ---- one of them --------------------------------------------------------------------------------
 */
static enum err space_read(struct ctx *c, const json_t *args, struct db_result *r)
{
    struct db_conn *db = db_read(c->pf->db);
    if (!db)
        return ERR_UNAVAILABLE;
    return db_query_one(db, c->arena, r, SPACES_SQL "AND k.id = $2", "ss",
                        json_get_str(args, "person"), json_get_str(args, "client_id"));
}

enum err identity_call_space(struct ctx *c, const json_t *args, json_t **out)
{
    struct db_result r;
    json_t *hers;
    enum err e = space_read(c, args, &r);
    if (e == ERR_OK)
        e = person_claims(c, json_get_str(args, "person"), &hers);
    if (e == ERR_OK)
        *out = space_json(c, &r, 0, hers);
    return e;
}

struct telling {
    struct str person, client_id, claims;
};

static enum err telling_write(struct db_conn *db, void *arg)
{
    const struct telling *t = arg;
    return person_tell(db, t->person, t->client_id, t->claims, clock_now_ms());
}

/* She read what it receives and opens it: the page that would say so again is not shown. */
enum err identity_call_space_open(struct ctx *c, const json_t *args, json_t **out)
{
    struct db_result r;
    struct str part;
    enum err e = space_read(c, args, &r);
    if (e != ERR_OK)
        return e;
    struct str claims = claims_to_tell(c, db_str(&r, 0, 7), db_str(&r, 0, 8));
    struct telling t = {json_get_str(args, "person"), db_str(&r, 0, 0), db_str(&r, 0, 10)};
    if (claims.n && !all_in(t.claims, claims)) {
        while (claims.n && str_split(&claims, ' ', &part))
            t.claims = list_add(c->arena, t.claims, part);
        e = db_write(c->pf->db, telling_write, &t);
        person_told_changed(c, t.person, t.client_id);
    }
    return e == ERR_OK ? identity_call_space(c, args, out) : e;
}
