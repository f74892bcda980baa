/* The same operations for programs. A refused field is PAR-422-FIELD with its name. */
#include "core/partners/partners.h"

#include "base/clock.h"

static json_t *team_json(const struct team *t)
{
    return json_pack("{s:o,s:o,s:o}", "id", json_str(t->id), "name", json_str(t->name), "org",
                     json_str(t->org_id));
}

static enum err answer(struct ctx *c, enum err e, int status, json_t *v)
{
    return e == ERR_OK ? ctx_json(c, status, v) : e;
}

enum err partners_api_teams(struct ctx *c)
{
    struct team *all;
    size_t n;
    enum err e = team_list(c, &all, &n);
    if (e != ERR_OK)
        return e;
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, team_json(&all[i]));
    return ctx_json(c, 200, json_pack("{s:o}", "items", list));
}

enum err partners_api_team_post(struct ctx *c)
{
    struct team t;
    enum err e = team_create(c, ctx_form(c, "team_name"), &t);
    return e == ERR_OK ? ctx_json(c, 201, team_json(&t)) : e;
}

enum err partners_api_team(struct ctx *c)
{
    struct team t;
    json_t *clients, *providers, *members;
    enum err e = team_get(c, ctx_path(c, "team"), &t);
    if (e == ERR_OK)
        e = client_all(c, &t, &clients);
    if (e == ERR_OK)
        e = provider_all(c, &t, &providers);
    if (e == ERR_OK)
        e = team_members(c, &t, &members);
    if (e != ERR_OK)
        return e;
    json_t *v = team_json(&t);
    json_object_set(v, "clients", clients);
    json_object_set(v, "providers", providers);
    json_object_set(v, "members", members);
    return ctx_json(c, 200, v);
}

enum err partners_api_invite(struct ctx *c)
{
    struct team t;
    struct str code;
    enum err e = team_get(c, ctx_path(c, "team"), &t);
    if (e == ERR_OK)
        e = team_invite(c, &t, &code);
    return e == ERR_OK ? ctx_json(c, 201,
                                  json_pack("{s:o,s:o}", "code", json_str(code), "url",
                                            json_str(arena_printf(
                                                c->arena, STR_FMT "/partenaires/rejoindre/" STR_FMT,
                                                STR_ARG(c->site->base_url), STR_ARG(code)))))
                       : e;
}

enum err partners_api_join(struct ctx *c)
{
    struct team t;
    enum err e = team_join(c, ctx_form(c, "code"), &t);
    return e == ERR_OK ? ctx_json(c, 200, team_json(&t)) : e;
}

/* ---- clients ------------------------------------------------------------------------------------
 */
enum err partners_api_client_post(struct ctx *c)
{
    struct team t;
    json_t *v;
    enum err e = team_get(c, ctx_path(c, "team"), &t);
    if (e == ERR_OK)
        e = client_create(c, &t, &v);
    return e == ERR_OK ? ctx_json(c, 201, json_incref(v)) : e;
}

enum err partners_api_client(struct ctx *c)
{
    struct mine k;
    json_t *production;
    enum err e = mine_get(c, ctx_path(c, "id"), &k);
    if (e == ERR_OK)
        e = production_state(c, &k, &production);
    if (e != ERR_OK)
        return e;
    json_t *v = json_copy(k.settings);
    json_object_set_new(v, "stage", json_str(k.stage));
    json_object_set_new(v, "team", json_str(k.team.id));
    json_object_set(v, "production", production);
    return ctx_json(c, 200, v);
}

/* The operations on one client that answer with JSON of their own. */
static enum err on_client(struct ctx *c, int status,
                          enum err (*fn)(struct ctx *c, const struct mine *k, json_t **out))
{
    struct mine k;
    json_t *v;
    enum err e = mine_get(c, ctx_path(c, "id"), &k);
    if (e == ERR_OK)
        e = fn(c, &k, &v);
    return e == ERR_OK ? ctx_json(c, status, json_incref(v)) : e;
}

enum err partners_api_rotate(struct ctx *c)
{
    return on_client(c, 200, client_rotate);
}

enum err partners_api_keys(struct ctx *c)
{
    return on_client(c, 200, client_keys);
}

enum err partners_api_production(struct ctx *c)
{
    return on_client(c, 201, production_ask);
}

enum err partners_api_open(struct ctx *c)
{
    return on_client(c, 200, production_open);
}

enum err partners_api_try(struct ctx *c)
{
    struct mine k;
    enum err e = mine_get(c, ctx_path(c, "id"), &k);
    return answer(c, e, 200, e == ERR_OK ? client_try(c, &k) : NULL);
}

enum err partners_api_errors(struct ctx *c)
{
    struct mine k;
    json_t *items;
    enum err e = mine_get(c, ctx_path(c, "id"), &k);
    if (e == ERR_OK)
        e = refusal_list(c, k.client_id, &items);
    return e == ERR_OK ? ctx_json(c, 200, json_pack("{s:O}", "items", items)) : e;
}

enum err partners_api_identities(struct ctx *c)
{
    return ctx_json(c, 200, json_pack("{s:O}", "items", identities_list(c)));
}

/* ---- providers ----------------------------------------------------------------------------------
 */
static enum err provider_answer(struct ctx *c, const struct tried *p)
{
    bool ready;
    json_t *checks = provider_checklist(c, p, &ready);
    json_t *v = json_copy(p->settings);
    json_object_set_new(v, "checks", checks);
    json_object_set_new(v, "ready", json_boolean(ready));
    json_object_set_new(v, "trial_redirect_uri", json_str(provider_trial_url(c, p, "/retour")));
    json_object_set_new(v, "trial_post_logout_redirect_uri",
                        json_str(provider_trial_url(c, p, "/fin")));
    return ctx_json(c, 200, v);
}

enum err partners_api_provider_post(struct ctx *c)
{
    struct team t;
    json_t *v;
    enum err e = team_get(c, ctx_path(c, "team"), &t);
    if (e == ERR_OK)
        e = provider_declare(c, &t, &v);
    return e == ERR_OK ? ctx_json(c, 201, json_incref(v)) : e;
}

enum err partners_api_provider(struct ctx *c)
{
    struct tried p;
    enum err e = tried_get(c, ctx_path(c, "id"), &p);
    return e == ERR_OK ? provider_answer(c, &p) : e;
}

enum err partners_api_check(struct ctx *c)
{
    struct tried p;
    enum err e = tried_get(c, ctx_path(c, "id"), &p);
    if (e == ERR_OK)
        e = provider_check(c, &p);
    return e == ERR_OK ? provider_answer(c, &p) : e;
}

enum err partners_api_provider_ask(struct ctx *c)
{
    struct tried p;
    enum err e = tried_get(c, ctx_path(c, "id"), &p);
    if (e == ERR_OK)
        e = provider_ask(c, &p);
    return e == ERR_OK ? ctx_json(c, 200, json_pack("{s:s}", "state", "asked")) : e;
}
