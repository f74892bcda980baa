/* The page that tells, or asks, before anything is passed on. What the law provides for is told;
 * what needs her agreement is asked, and a refusal does not stop her from signing in. */
#include "core/identity/schema.h"

#include "base/clock.h"
#include "core/identity/choose.h"
#include "core/identity/client.h"
#include "core/identity/faults.h"
#include "core/identity/issue.h"
#include "core/identity/person.h"
#include "core/identity/pivot.h"
#include "core/identity/refresh.h"
#include "web/pages.h"

/* What the page and its answer stand on, worked out afresh each time: nothing in the form is
 * believed but the decision. */
struct asking {
    struct flow *flow;
    struct client *k;
    struct wanted wanted;
    json_t *consents;
};

static enum err asking_load(struct ctx *c, struct asking *a, bool *answered)
{
    enum err e = flow_of_request(c, &a->flow, answered);
    if (*answered)
        return e;
    *answered = true;
    if (a->flow->kind != FLOW_CLIENT)
        return idt_fail(c, IDT_FLOW, NULL, "not a client's");
    e = client_get(c, a->flow->request.client_id, &a->k);
    if (e == ERR_NOT_FOUND)
        return idt_fail(c, IDT_CLIENT, NULL, "removed");
    if (e != ERR_OK)
        return e;
    if (!session_serves(c, a->flow, a->k))
        return a->flow->stage == FLOW_BEGUN
                   ? ctx_redirect(c, flow_url(c, a->flow, "/connexion/choix"))
                   : idt_fail(c, IDT_FLOW, a->flow, "session ended");
    e = wanted_read(c, a->k, &a->flow->request, &a->wanted);
    if (e == ERR_OK)
        e = consents_active(c, c->session->subject, a->k->id, &a->consents);
    *answered = e != ERR_OK;
    return e;
}

/* ---- the page -----------------------------------------------------------------------------------
 */
/* "12 avril 1988"; "avril 1988" or "1988" where nobody knows the rest. */
static struct str birthdate_text(struct ctx *c, struct str s)
{
    uint64_t month = 0, day = 0;
    if (!birthdate_is_valid(s) || !str_to_u64(str_sub(s, 5, 2), &month) ||
        !str_to_u64(str_sub(s, 8, 2), &day))
        return s;
    if (month == 0)
        return str_sub(s, 0, 4);
    const char *key = arena_printf(c->arena, "month.%d", (int)month).p;
    struct str name = pages_text(c->arena, "identity", key, c->lang, NULL);
    if (day == 0)
        return arena_printf(c->arena, STR_FMT " %.4s", STR_ARG(name), s.p);
    return arena_printf(c->arena, "%d%s " STR_FMT " %.4s", (int)day,
                        day == 1 && strcmp(c->lang, "fr") == 0 ? "er" : "", STR_ARG(name), s.p);
}

/* The place's name before its code, where a register knows it. */
static struct str place_text(struct ctx *c, struct str code)
{
    json_t *row;
    json_t *args = json_pack("{s:s,s:s%}", "register", "communes", "key", code.p, code.n);
    enum err e = platform_call(c, "registers.find", args, &row);
    struct str label = e == ERR_OK ? json_get_str(row, "label") : STR("");
    json_decref(args);
    return label.n ? arena_printf(c->arena, STR_FMT " – " STR_FMT, STR_ARG(label), STR_ARG(code))
                   : code;
}

static struct str value_text(struct ctx *c, const char *name, const json_t *v)
{
    struct str s = {json_string_value(v), json_string_length(v)};
    if (json_is_array(v)) {
        s = STR("");
        for (size_t i = 0; i < json_array_size(v); i++)
            s = arena_printf(c->arena, STR_FMT "%s%s", STR_ARG(s), s.n ? ", " : "",
                             json_string_value(json_array_get(v, i)));
        return s;
    }
    if (strcmp(name, "birthdate") == 0)
        return birthdate_text(c, s);
    if (strcmp(name, "birthplace") == 0 && s.n)
        return place_text(c, s);
    if (strcmp(name, "birthcountry") == 0 && str_eq_z(s, "99100"))
        return STR("France – 99100");
    const char *key = arena_printf(c->arena, "value.%s." STR_FMT, name, STR_ARG(s)).p;
    struct str words = strcmp(name, "gender") == 0
                           ? pages_text(c->arena, "identity", key, c->lang, NULL)
                           : STR("");
    return words.n && words.p[0] != '[' ? words : s;
}

/* Rows of what of her identity is passed on. */
static json_t *identity_rows(struct ctx *c, struct str claims)
{
    json_t *rows = json_array();
    const json_t *all = json_get(c->session->data, "claims");
    const struct claim_def *d;
    int64_t until_ms = clock_now_ms() + refresh_life_ms;
    json_t *until =
        json_own(&c->pool, json_pack("{s:o}", "until",
                                     json_str(clock_in_words(c->arena, until_ms, c->lang, false))));
    for (size_t i = 0; (d = claim_at(i)) != NULL; i++) {
        const json_t *v = json_get(all, d->name);
        bool no_value = strcmp(d->name, "account") == 0 || strcmp(d->name, "offline_access") == 0;
        const char *words = arena_printf(c->arena, "value.%s", d->name).p;
        struct str text = no_value ? pages_text(c->arena, "identity", words, c->lang, until)
                          : v      ? value_text(c, d->name, v)
                                   : STR("");
        if (!d->label || !text.n || !list_has(claims, str_from(d->name)))
            continue;
        const char *key = arena_printf(c->arena, "claim.%s", d->name).p;
        json_array_append_new(
            rows, json_pack("{s:o,s:o}", "label",
                            json_str(pages_text(c->arena, "identity", key, c->lang, NULL)), "value",
                            json_str(text)));
    }
    return rows;
}

static json_t *duration(struct ctx *c, int64_t days)
{
    int64_t until_ms = clock_now_ms() + days * 86400 * 1000;
    json_t *d = json_object();
    json_object_set_new(d, "days", json_integer(days));
    json_object_set_new(d, "until", json_str(clock_in_words(c->arena, until_ms, c->lang, false)));
    json_t *words = json_str(pages_text(c->arena, "identity", "consent.duration", c->lang, d));
    json_decref(d);
    return words;
}

static json_t *item_json(struct ctx *c, const json_t *item)
{
    bool asked = json_get_bool(item, "consent_needed", false);
    json_t *v = json_copy((json_t *)item);
    json_object_set(v, "provider", json_get(json_get(item, "provider"), "name"));
    json_object_set_new(v, "consent_needed", json_boolean(asked));
    if (asked)
        json_object_set_new(v, "duration", duration(c, json_get_i64(item, "duration_days", 180)));
    return v;
}

/* Lasting access is hers to give, whatever she is only told of. */
static bool is_lasting(const struct asking *a)
{
    return list_has(a->wanted.scopes, STR("offline_access"));
}

static bool any_to_ask(const struct asking *a)
{
    for (size_t i = 0; i < json_array_size(a->wanted.items); i++)
        if (json_get_bool(json_array_get(a->wanted.items, i), "consent_needed", false))
            return true;
    return false;
}

static struct str org_of(struct ctx *c, const struct client *k)
{
    struct str name = STR("");
    if (k->org_id.n && org_name(c, k->org_id, c->lang, &name) == ERR_OK && name.n)
        return name;
    return client_name_in(k, c->lang);
}

enum err identity_agree(struct ctx *c)
{
    struct asking a = {0};
    bool answered;
    enum err e = asking_load(c, &a, &answered);
    if (answered)
        return e;
    json_t *items = json_array(), *rows = identity_rows(c, a.wanted.claims);
    for (size_t i = 0; i < json_array_size(a.wanted.items); i++)
        json_array_append_new(items, item_json(c, json_array_get(a.wanted.items, i)));
    json_t *d = json_pack("{s:o,s:o,s:o,s:s,s:[{s:s,s:o}],s:o}", "client_name",
                          json_str(client_name_in(a.k, c->lang)), "org_name",
                          json_str(org_of(c, a.k)), "items", items, "action", "/connexion/accord",
                          "hidden", "name", "flow", "value", json_str(a.flow->id), "cancel_url",
                          json_str(flow_url(c, a.flow, "/connexion/annuler")));
    bool asks = any_to_ask(&a), lasting = is_lasting(&a);
    const char *effect = a.k->asks          ? "consent.refuse_all"
                         : lasting && !asks ? "consent.refuse_lasting"
                                            : NULL;
    if (effect)
        json_object_set_new(d, "refuse_effect",
                            json_str(pages_text(c->arena, "identity", effect, c->lang, NULL)));
    if (json_array_size(rows))
        json_object_set_new(d, "identity", json_pack("{s:O}", "rows", rows));
    json_decref(rows);
    ctx_form_action(c, a.flow->request.redirect_uri);
    return ctx_page(c, a.k->asks || asks || lasting ? "identity/consent" : "identity/info", d);
}

/* ---- the answer ---------------------------------------------------------------------------------
 */
/* Those that need her agreement and have none yet; all of them where she was asked again. */
static json_t *to_record(const struct asking *a)
{
    json_t *list = json_array();
    for (size_t i = 0; i < json_array_size(a->wanted.items); i++) {
        json_t *item = json_array_get(a->wanted.items, i);
        bool has = json_get(a->consents, json_get_z(item, "contract_id", "")) != NULL;
        if (json_get_bool(item, "consent_needed", false) &&
            (!has || a->flow->request.prompts & PROMPT_CONSENT))
            json_array_append(list, item);
    }
    return list;
}

static enum err record(struct ctx *c, const struct asking *a)
{
    json_t *done, *list = to_record(a);
    if (json_array_size(list) == 0) {
        json_decref(list);
        return ERR_OK;
    }
    json_t *args = json_pack("{s:o,s:o,s:o}", "person", json_str(c->session->subject), "client_id",
                             json_str(a->k->id), "items", list);
    enum err e = platform_call(c, "consent.record", args, &done);
    json_decref(args);
    return e;
}

/* What is kept of it beside the entry: the claims she was asked for (person_tell), with the code.
 */
static enum err agreement_write(struct ctx *c, const struct asking *a)
{
    struct act act;
    struct act_info info = {.kind = "identity.agreed",
                            .actor = STR("self"),
                            .object = a->k->id,
                            .person = c->session->subject,
                            .told = json_pack("{s:{s:s,s:s},s:o}", "title", "fr",
                                              "Accord pour transmettre l’identité", "en",
                                              "Agreement to pass the identity on", "consumer",
                                              client_name(a->k))};
    enum err e = act_make(c, &info, &act);
    return e == ERR_OK ? act_write(c, NULL, NULL, &act, 1) : e;
}

enum err identity_agree_post(struct ctx *c)
{
    struct asking a = {0};
    bool answered;
    enum err e = asking_load(c, &a, &answered);
    if (answered)
        return e;
    bool agrees = str_eq_z(ctx_form(c, "decision"), "agree");
    if (a.k->asks && !agrees) {
        struct oauth_error why = {"access_denied", "the person does not agree"};
        return redirect_error(c, &a.flow->request, &why);
    }
    if (agrees) {
        e = record(c, &a);
    } else {
        a.wanted.scopes = list_less(c->arena, a.wanted.scopes, STR("offline_access"));
        a.wanted.claims = list_less(c->arena, a.wanted.claims, STR("offline_access"));
    }
    if (e == ERR_OK && a.k->asks)
        e = agreement_write(c, &a);
    return e == ERR_OK ? code_issue(c, a.flow, a.k, &a.wanted) : e;
}
