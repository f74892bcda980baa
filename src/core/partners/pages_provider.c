/* The console's pages on identity providers. */
#include "core/partners/partners.h"

#include "web/pages.h"

static const char *const auths[] = {"basic", "post", "private_key_jwt"};
static const char *const realms[] = {"citizens", "agents"};
static const char *const levels[] = {"eidas1", "eidas2", "eidas3"};
static const struct input inputs[] = {
    {.name = "provider_name", .kind = INPUT_TEXT},
    {.name = "issuer", .kind = INPUT_TEXT},
    {.name = "client_id", .kind = INPUT_TEXT},
    {"provider_auth", INPUT_SELECT, false, auths, COUNT_OF(auths)},
    {.name = "secret", .kind = INPUT_TEXT, .optional = true},
    {"realm", INPUT_SELECT, false, realms, COUNT_OF(realms)},
    {"min_acr", INPUT_SELECT, false, levels, COUNT_OF(levels)},
    {.name = "conf", .kind = INPUT_AREA, .optional = true},
};

static const char *url(struct ctx *c, struct str id, const char *end)
{
    return arena_printf(c->arena, "/partenaires/fournisseurs/" STR_FMT "%s", STR_ARG(id), end).p;
}

static enum err form(struct ctx *c, const struct team *t)
{
    json_t *values = json_own(&c->pool, json_pack("{s:s,s:s,s:s}", "provider_auth", "basic",
                                                  "realm", "citizens", "min_acr", "eidas1"));
    return partners_form_page(
        c, "provider_new", inputs, COUNT_OF(inputs), values,
        arena_printf(c->arena, "/partenaires/equipes/" STR_FMT, STR_ARG(t->id)).p);
}

enum err partners_page_provider_new(struct ctx *c)
{
    struct team t;
    enum err e = team_get(c, ctx_path(c, "team"), &t);
    return e == ERR_OK ? form(c, &t) : e;
}

enum err partners_page_provider_post(struct ctx *c)
{
    struct team t;
    json_t *v;
    enum err e = team_get(c, ctx_path(c, "team"), &t);
    if (e != ERR_OK)
        return e;
    e = provider_declare(c, &t, &v);
    if (e == ERR_OK)
        return ctx_redirect(c, str_from(url(c, json_get_str(v, "id"), "")));
    return c->fault.code == partners_f_field.code ? form(c, &t) : e;
}

/* ---- the checklist ------------------------------------------------------------------------------
 */
static json_t *check_item(struct ctx *c, const json_t *v)
{
    static const struct {
        const char *verdict, *kind;
    } kinds[] = {{"pass", "success"}, {"fail", "error"}, {"warn", "warning"}, {"wait", "info"}};
    const char *verdict = json_get_z(v, "verdict", "wait"), *kind = "info";
    for (size_t i = 0; i < COUNT_OF(kinds); i++)
        if (strcmp(kinds[i].verdict, verdict) == 0)
            kind = kinds[i].kind;
    const char *title = arena_printf(c->arena, "check.%s", json_get_z(v, "check", "")).p;
    json_t *item =
        json_pack("{s:o,s:{s:s,s:o}}", "title", partners_text(c, title), "tag", "kind", kind,
                  "label", partners_text(c, arena_printf(c->arena, "verdict.%s", verdict).p));
    const char *words = json_get_z(json_get(v, "words"), c->lang, "");
    if (*words)
        json_object_set_new(item, "words", json_string(words));
    if (json_get_str(v, "why").n && strcmp(verdict, "pass") != 0)
        json_object_set(item, "why", json_get(v, "why"));
    return item;
}

static json_t *check_items(struct ctx *c, json_t *checks)
{
    json_t *list = json_array();
    for (size_t i = 0; i < json_array_size(checks); i++)
        json_array_append_new(list, check_item(c, json_array_get(checks, i)));
    json_decref(checks);
    return list;
}

static json_t *facts(struct ctx *c, const struct tried *p)
{
    const struct {
        const char *key;
        json_t *value;
    } rows[] = {
        {"row.provider_id", json_str(p->id)},
        {"row.provider_issuer", json_incref(json_get(p->settings, "issuer"))},
        {"row.client_id", json_incref(json_get(p->settings, "client_id"))},
        {"row.trial_uri", json_str(provider_trial_url(c, p, "/retour"))},
        {"row.trial_out_uri", json_str(provider_trial_url(c, p, "/fin"))},
        {"row.final_uri", json_incref(json_get(p->settings, "redirect_uri"))},
    };
    json_t *list = json_array();
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        json_array_append_new(list, json_pack("{s:o,s:o}", "label", partners_text(c, rows[i].key),
                                              "value", rows[i].value));
    return list;
}

static enum err show(struct ctx *c, const struct tried *p, const json_t *trial)
{
    bool ready;
    const char *state = json_get_z(p->settings, "state", "sandbox");
    json_t *list = check_items(c, provider_checklist(c, p, &ready));
    bool sandbox = strcmp(state, "sandbox") == 0;
    json_t *d = json_pack(
        "{s:s,s:o,s:o,s:s,s:b,s:b,s:s,s:s,s:s}", "name",
        json_get_z(json_get(p->settings, "name"), c->lang, ""), "state",
        partners_text(c, arena_printf(c->arena, "provider.state.%s", state).p), "rows", facts(c, p),
        "back_url", arena_printf(c->arena, "/partenaires/equipes/" STR_FMT, STR_ARG(p->team.id)).p,
        "sandbox", sandbox, "ready", ready && sandbox, "check_action", url(c, p->id, "/verifier"),
        "trial_url", url(c, p->id, "/essai"), "ask_action", url(c, p->id, "/production"));
    if (json_array_size(list))
        json_object_set_new(d, "checks", json_pack("{s:O}", "items", list));
    json_decref(list);
    if (json_get(trial, "logout_url"))
        json_object_set(d, "logout_url", json_get(trial, "logout_url"));
    if (json_array_size(json_get(trial, "claims")))
        json_object_set_new(d, "claims", json_pack("{s:O}", "items", json_get(trial, "claims")));
    return ctx_page(c, "partners/provider", d);
}

enum err partners_page_provider(struct ctx *c)
{
    struct tried p;
    enum err e = tried_get(c, ctx_path(c, "id"), &p);
    return e == ERR_OK ? show(c, &p, NULL) : e;
}

enum err partners_page_check(struct ctx *c)
{
    struct tried p;
    enum err e = tried_get(c, ctx_path(c, "id"), &p);
    if (e == ERR_OK)
        e = provider_check(c, &p);
    return e == ERR_OK ? ctx_redirect(c, str_from(url(c, p.id, ""))) : e;
}

/* ---- the trial ----------------------------------------------------------------------------------
 */
enum err partners_page_trial(struct ctx *c)
{
    struct tried p;
    json_t *v;
    enum err e = tried_get(c, ctx_path(c, "id"), &p);
    if (e != ERR_OK)
        return e;
    json_t *args = json_pack("{s:o,s:o}", "id", json_str(p.id), "redirect",
                             json_str(provider_trial_url(c, &p, "/retour")));
    e = partners_call(c, "identity.provider_try", args, &v);
    if (e == ERR_UNAVAILABLE) { /* no metadata: the look says what is wrong */
        e = provider_check(c, &p);
        return e == ERR_OK ? ctx_redirect(c, str_from(url(c, p.id, ""))) : e;
    }
    if (e != ERR_OK)
        return e;
    json_t *trials = json_get(c->session->data, "partners_trial");
    if (!trials) {
        json_object_set_new(c->session->data, "partners_trial", json_object());
        trials = json_get(c->session->data, "partners_trial");
    }
    json_object_set(trials, p.id.p, json_get(v, "test"));
    e = session_save(c);
    return e == ERR_OK ? ctx_redirect(c, json_get_str(v, "url")) : e;
}

enum err partners_page_trial_back(struct ctx *c)
{
    struct tried p;
    json_t *v;
    enum err e = tried_get(c, ctx_path(c, "id"), &p);
    if (e == ERR_OK)
        e = provider_trial_end(c, &p, &v);
    web_header(c->rs, "Cache-Control", STR("no-store"));
    return e == ERR_OK ? show(c, &p, v) : e;
}

enum err partners_page_trial_out(struct ctx *c)
{
    struct tried p;
    enum err e = tried_get(c, ctx_path(c, "id"), &p);
    if (e == ERR_OK)
        e = provider_logout_end(c, &p);
    return e == ERR_OK ? ctx_redirect(c, str_from(url(c, p.id, ""))) : e;
}

enum err partners_page_provider_ask(struct ctx *c)
{
    struct tried p;
    enum err e = tried_get(c, ctx_path(c, "id"), &p);
    if (e == ERR_OK)
        e = provider_ask(c, &p);
    return e == ERR_OK ? ctx_redirect(c, str_from(url(c, p.id, ""))) : e;
}
