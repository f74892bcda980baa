/* Between the issuer and the accounts of our own. Accounts say who proved what; everything else, a
 * person's record, levels against requests, the session and the code, stays here. */
#include "core/identity/schema.h"

#include "core/identity/choose.h"
#include "core/identity/erase.h"
#include "core/identity/faults.h"
#include "core/identity/issue.h"
#include "core/identity/own.h"
#include "core/identity/pivot.h"

json_t *own_name(struct ctx *c)
{
    const char *brand = c->pf->settings->brand_name;
    return json_pack("{s:o,s:o}", "fr", json_sprintf("Compte %s", brand), "en",
                     json_sprintf("%s account", brand));
}

bool own_is_accepted(const struct client *k)
{
    return str_eq_z(k->providers, "*") || list_has(k->providers, STR(OWN_PROVIDER));
}

/* The flow by its id, for this browser, not answered yet, and open to own accounts. */
static enum err own_flow(struct ctx *c, struct str id, struct flow **out, bool *answered)
{
    struct client *k;
    *answered = true;
    enum err e = flow_load(c, id, out);
    if (e == ERR_NOT_FOUND || e == ERR_CORRUPT)
        return idt_fail(c, IDT_FLOW, NULL, "no such flow");
    if (e == ERR_DENIED)
        return idt_fail(c, IDT_BROWSER, *out, "browser");
    if (e != ERR_OK)
        return e;
    struct flow *f = *out;
    if (f->stage != FLOW_BEGUN)
        return ctx_redirect(c, flow_url(c, f, "/connexion/accord"));
    if (!str_eq_z(f->realm, "citizens") || f->kind == FLOW_LOGOUT)
        return idt_fail(c, IDT_PROVIDER_NAME, f, "not for citizens");
    if (f->kind == FLOW_CLIENT && client_get(c, f->request.client_id, &k) == ERR_OK &&
        !own_is_accepted(k))
        return idt_fail(c, IDT_PROVIDER_NAME, f, "not for this client");
    *answered = false;
    return ERR_OK;
}

enum err identity_call_own_flow(struct ctx *c, const json_t *args, json_t **out)
{
    struct flow *f;
    bool answered;
    *out = json_object();
    enum err e = own_flow(c, json_get_str(args, "flow"), &f, &answered);
    if (answered)
        return e;
    bool client = f->kind == FLOW_CLIENT;
    bool again = client && (f->request.prompts & (PROMPT_LOGIN | PROMPT_SELECT) ||
                            f->request.max_age_s >= 0 || f->request.level == LEVEL_EIDAS3);
    int level = f->request.level > LEVEL_EIDAS1 ? (int)f->request.level : LEVEL_EIDAS1;
    json_object_set_new(*out, "flow", json_str(f->id));
    json_object_set_new(*out, "level", json_integer(level));
    json_object_set_new(*out, "again", json_boolean(again));
    json_object_set_new(*out, "choose_url", json_str(flow_url(c, f, "/connexion/choix")));
    json_object_set_new(*out, "client_name",
                        json_pack("{s:o,s:o}", "fr", json_str(f->client_name_fr), "en",
                                  json_str(f->client_name_en)));
    json_object_set_new(*out, "redirect_uri", json_str(client ? f->request.redirect_uri : STR("")));
    return ERR_OK;
}

enum err identity_call_own_pivot(struct ctx *c, const json_t *args, json_t **out)
{
    json_t *claims = NULL;
    const char *why = "";
    (void)c;
    *out = json_object();
    if (pivot_read(json_get(args, "claims"), &claims, &why) != ERR_OK)
        json_object_set_new(*out, "why", json_string(why));
    json_decref(claims);
    return ERR_OK;
}

/* Born the same day at the same place: names may be corrected, births are not. */
static enum err same_person(struct ctx *c, struct str person, const json_t *claims)
{
    static const char *const facts[] = {"birthdate", "birthplace", "birthcountry"};
    json_t *known;
    enum err e = person_claims(c, person, &known);
    for (size_t i = 0; i < COUNT_OF(facts) && e == ERR_OK; i++)
        if (!str_eq(json_get_str(known, facts[i]), json_get_str(claims, facts[i])))
            e = ERR_CONFLICT;
    return e;
}

enum err identity_call_own_person(struct ctx *c, const json_t *args, json_t **out)
{
    const char *why = "";
    const json_t *claims = json_get(args, "claims");
    struct sign_in who = {.provider = STR(OWN_PROVIDER),
                          .provider_sub = json_get_str(args, "account"),
                          .realm = STR("citizens")};
    enum err e = ERR_OK;
    *out = json_object();
    if (json_get(claims, "birthdate"))
        e = pivot_read(claims, &who.claims, &why);
    else {
        who.claims = json_object();
        if (json_get(claims, "email"))
            json_object_set(who.claims, "email", json_get(claims, "email"));
    }
    if (e != ERR_OK) { /* which claim breaks its rule */
        json_object_set_new(*out, "why", json_string(why));
        return ERR_OK;
    }
    json_own(&c->pool, who.claims);
    if (json_get(args, "same_as"))
        e = same_person(c, json_get_str(args, "same_as"), who.claims);
    if (e == ERR_OK)
        e = person_signed_in(c, &who);
    if (e == ERR_OK)
        json_object_set_new(*out, "person", json_str(who.person));
    return e;
}

static enum err person_open(struct ctx *c, struct str person)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    if (!db)
        return ERR_UNAVAILABLE;
    enum err e =
        db_query_one(db, c->arena, &r, "SELECT state FROM person WHERE id = $1", "s", person);
    if (e == ERR_OK && !str_eq_z(db_str(&r, 0, 0), "active"))
        return ERR_DENIED;
    return e;
}

enum err identity_call_own_signed_in(struct ctx *c, const json_t *args, json_t **out)
{
    struct flow *f;
    bool answered;
    struct sign_in who = {.provider = STR(OWN_PROVIDER),
                          .realm = STR("citizens"),
                          .person = json_get_str(args, "person")};
    *out = json_object();
    enum err e = own_flow(c, json_get_str(args, "flow"), &f, &answered);
    if (answered)
        return e;
    enum level level = (enum level)json_get_i64(args, "level", LEVEL_NONE);
    if (f->kind == FLOW_CLIENT && level < f->request.level)
        return idt_fail(c, IDT_LEVEL, f, "own account");
    e = person_open(c, who.person);
    if (e == ERR_DENIED)
        return idt_fail(c, IDT_BLOCKED, f, "blocked");
    json_t *claims = NULL;
    if (e == ERR_OK)
        e = person_claims(c, who.person, &claims);
    if (e != ERR_OK)
        return e;
    who.claims = json_own(&c->pool, json_copy(claims));
    if (json_get(args, "email"))
        json_object_set(who.claims, "email", json_get(args, "email"));
    const char *brand = c->pf->settings->brand_name;
    struct provider p = {.id = STR(OWN_PROVIDER),
                         .realm = STR("citizens"),
                         .name_fr = arena_printf(c->arena, "Compte %s", brand),
                         .name_en = arena_printf(c->arena, "%s account", brand),
                         .up = true};
    return identity_arrive(c, f, &p, &who, level, json_copy(json_get(args, "amr")));
}

/* ---- the account is closed ----------------------------------------------------------------------
 */
static enum err gone_write(struct db_conn *db, void *arg)
{
    struct str *person = arg;
    return db_exec(db, "DELETE FROM person_link WHERE person = $1 AND provider = $2", "sz", *person,
                   OWN_PROVIDER);
}

/* Somebody whom no other provider knows could never come back: nothing of her is kept. */
enum err identity_call_own_gone(struct ctx *c, const json_t *args, json_t **out)
{
    struct db_result r;
    struct str person = json_get_str(args, "person");
    struct db_conn *db = db_read(c->pf->db);
    if (!db)
        return ERR_UNAVAILABLE;
    *out = json_object();
    enum err e = db_query_one(db, c->arena, &r,
                              "SELECT 1 FROM person_link WHERE person = $1 AND provider <> $2",
                              "sz", person, OWN_PROVIDER);
    if (e == ERR_NOT_FOUND)
        return identity_person_erase(c, person);
    return e == ERR_OK ? db_write(c->pf->db, gone_write, &person) : e;
}
