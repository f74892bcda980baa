/* The pages of both sides' agents, on their organisation's site; and what everybody may read, on
 * the portal. What they show comes from the same JSON as the API's answers. */
#include "core/contracts/contracts.h"

#include "base/clock.h"
#include "web/form.h"
#include "web/pages.h"

static json_t *words(struct ctx *c, const char *key)
{
    return json_str(pages_text(c->arena, "contracts", key, c->lang, NULL));
}

static json_t *words_of(struct ctx *c, const char *kind, const char *name)
{
    return words(c, arena_printf(c->arena, "%s.%s", kind, name).p);
}

static const char *in_lang(struct ctx *c, const json_t *pair)
{
    return json_get_z(pair, c->lang, json_get_z(pair, "fr", ""));
}

static json_t *date(struct ctx *c, int64_t at_ms)
{
    return at_ms ? json_str(clock_in_words(c->arena, at_ms, c->lang, false)) : json_string("");
}

static const char *tag_kind(const json_t *v)
{
    const char *state = json_get_z(v, "state", "");
    if (*json_get_z(v, "held_by", ""))
        return "warning";
    return strcmp(state, "validated") == 0                                  ? "success"
           : strcmp(state, "refused") == 0 || strcmp(state, "revoked") == 0 ? "error"
           : strcmp(state, "draft") == 0 || strcmp(state, "archived") == 0  ? ""
                                                                            : "info";
}

static json_t *tag(struct ctx *c, const json_t *v)
{
    const char *name = *json_get_z(v, "held_by", "") ? "suspended" : json_get_z(v, "state", "");
    return json_pack("{s:s,s:o}", "kind", tag_kind(v), "label", words_of(c, "state", name));
}

static struct str url_of(struct ctx *c, const json_t *v, const char *rest)
{
    return arena_printf(c->arena, "/contrats/%s%s", json_get_z(v, "id", ""), rest);
}

/* ---- list
 * ------------------------------------------------------------------------------------------ */
static json_t *filters(struct ctx *c, struct str current)
{
    static const char *const all[] = {"",          "draft",  "submitted", "changes_requested",
                                      "validated", "review", "refused",   "revoked",
                                      "archived"};
    json_t *list = json_array();
    for (size_t i = 0; i < COUNT_OF(all); i++)
        json_array_append_new(
            list,
            json_pack(
                "{s:o,s:o,s:b}", "label", words_of(c, "filter", *all[i] ? all[i] : "all"), "url",
                json_str(arena_printf(c->arena, "/contrats%s%s", *all[i] ? "?etat=" : "", all[i])),
                "current", str_eq_z(current, all[i])));
    return list;
}

/* What is to be done about it, in one word. */
static json_t *flag(struct ctx *c, const json_t *v)
{
    const char *key = json_get_bool(v, "report_overdue", false) ? "flag.report"
                      : json_get_bool(v, "review_due", false)   ? "flag.review"
                                                                : NULL;
    if (!key)
        return json_pack("{s:s}", "text", "");
    return json_pack("{s:{s:s,s:o}}", "tag", "kind", "warning", "label", words(c, key));
}

static json_t *row(struct ctx *c, const json_t *v)
{
    const json_t *terms = json_get(v, "terms");
    struct str name = arena_printf(c->arena, "%s %s", json_get_z(terms, "api", ""),
                                   json_get_z(terms, "version", ""));
    return json_pack("{s:[{s:b,s:o,s:o},{s:s},{s:s},{s:o},{s:o},{s:o},o]}", "cells", "head", 1,
                     "text", json_str(name), "url", json_str(url_of(c, v, "")), "text",
                     in_lang(c, json_get(json_get(v, "consumer"), "name")), "text",
                     in_lang(c, json_get(json_get(v, "provider"), "name")), "tag", tag(c, v),
                     "text", words_of(c, "stage", json_get_z(v, "stage", "")), "text",
                     date(c, json_get_i64(v, "ends_at", 0)), flag(c, v));
}

static json_t *table(struct ctx *c, const struct contract_party *p,
                     const struct contract_request *rows, size_t n, bool review)
{
    static const char *const heads[] = {"col.api",   "col.consumer", "col.provider", "col.state",
                                        "col.stage", "col.ends",     "col.flag"};
    json_t *columns = json_array(), *lines = json_array();
    for (size_t i = 0; i < COUNT_OF(heads); i++)
        json_array_append_new(columns, json_pack("{s:o}", "label", words(c, heads[i])));
    for (size_t i = 0; i < n; i++) {
        unsigned sides = party_sides(p, &rows[i]);
        json_t *v = sides ? request_json(c, &rows[i], sides) : NULL;
        if (v && (!review || json_get_bool(v, "review_due", false)))
            json_array_append_new(lines, row(c, v));
        json_decref(v);
    }
    if (!json_array_size(lines)) {
        json_decref(columns);
        json_decref(lines);
        return NULL;
    }
    return json_pack("{s:o,s:o,s:o}", "caption", words(c, "list.caption"), "columns", columns,
                     "rows", lines);
}

static enum err list_page(struct ctx *c, const struct contract_party *p, struct str org, bool mine)
{
    struct contract_request *rows;
    size_t n;
    struct str state = ctx_query(c, "etat");
    bool review = str_eq_z(state, "review");
    enum err e = request_list(c, org, review ? STR("validated") : state, &rows, &n);
    if (e != ERR_OK)
        return e;
    json_t *t = table(c, p, rows, n, review);
    json_t *data = json_pack("{s:b}", "mine", mine);
    if (mine)
        json_object_set_new(data, "filters", filters(c, state.p ? state : STR("")));
    if (t)
        json_object_set_new(data, "table", t);
    return ctx_page(c, "contracts/list", data);
}

enum err contracts_page_list(struct ctx *c)
{
    struct contract_party p = party_of(c);
    return list_page(c, &p, p.org, true);
}

/* The operator sees; it does nothing here (F2.1.12). */
enum err contracts_page_operator(struct ctx *c)
{
    struct contract_party p = {.org = STR(""), .extra = SIDE_OPERATOR};
    return list_page(c, &p, STR(""), false);
}

/* ---- the form
 * -------------------------------------------------------------------------------------- */
enum kind { TEXT, AREA, NUMBER, BOX };
static const struct {
    const char *name, *member, *sub; /* the form's field; where its value is in the terms */
    enum kind kind;
    bool optional;
} inputs[] = {
    {"client_id", "client_id", NULL, TEXT, false},
    {"fields", "fields", NULL, AREA, false},
    {"purpose.fr", "purpose", "fr", AREA, false},
    {"purpose.en", "purpose", "en", AREA, true},
    {"legal_basis.fr", "legal_basis", "fr", AREA, false},
    {"legal_basis.en", "legal_basis", "en", AREA, true},
    {"recipients", "recipients", NULL, TEXT, false},
    {"months", "months", NULL, NUMBER, false},
    {"quota_per_minute", "quota_per_minute", NULL, NUMBER, false},
    {"report_days", "report_days", NULL, NUMBER, false},
    {"price_per_1000", "price_per_1000", NULL, NUMBER, false},
    {"consent_needed", "consent_needed", NULL, BOX, true},
    {"duration_days", "duration_days", NULL, NUMBER, false},
    {"purpose_needed", "purpose_needed", NULL, BOX, true},
    {"for_clients", "for_clients", NULL, BOX, true},
    {"impact_assessment", "impact_assessment", NULL, TEXT, true},
    {"officer_opinion", "officer_opinion", NULL, AREA, true},
};

static struct str dashed(struct arena *a, const char *name)
{
    char *z = arena_dupz(a, str_from(name));
    for (char *p = z; *p; p++)
        *p = *p == '.' ? '-' : *p;
    return str_from(z);
}

static json_t *value_of(struct ctx *c, const json_t *terms, size_t i)
{
    const json_t *v = json_get(terms, inputs[i].member);
    if (inputs[i].sub)
        v = json_get(v, inputs[i].sub);
    if (json_is_integer(v))
        return json_str(arena_printf(c->arena, "%lld", (long long)json_integer_value(v)));
    return json_is_string(v) ? json_incref((json_t *)v) : json_string("");
}

static json_t *input(struct ctx *c, const json_t *terms, const json_t *errors, size_t i)
{
    static const char *const kinds[] = {"text", "textarea", "text", "checkbox"};
    const char *name = inputs[i].name;
    struct str id = dashed(c->arena, name);
    json_t *f = json_pack("{s:o,s:s,s:o,s:b}", "id", json_str(id), "name", name, "label",
                          words_of(c, "label", name), kinds[inputs[i].kind], 1);
    struct str hint =
        pages_text(c->arena, "contracts", arena_printf(c->arena, "hint.%s", name).p, c->lang, NULL);
    if (hint.n)
        json_object_set_new(f, "hint", json_str(hint));
    if (inputs[i].optional && inputs[i].kind != BOX)
        json_object_set_new(f, "optional", json_true());
    if (inputs[i].kind == BOX) {
        json_object_set_new(f, "value", json_string("true"));
        if (json_get_bool(terms, inputs[i].member, false))
            json_object_set_new(f, "selected", json_true());
    } else {
        json_object_set_new(f, "value", value_of(c, terms, i));
    }
    if (inputs[i].kind == NUMBER)
        json_object_set_new(f, "inputmode", json_string("numeric"));
    const char *wrong = json_get_z(errors, inputs[i].member, NULL);
    if (wrong && (!inputs[i].sub || strcmp(inputs[i].sub, "fr") == 0))
        json_object_set_new(f, "error", words_of(c, "fault", wrong));
    return f;
}

static json_t *api_options(struct ctx *c, const json_t *terms)
{
    json_t *list = json_array(), *v;
    size_t i;
    const json_t *all = contracts_one(c, "exchange.apis", json_object());
    struct str chosen = arena_printf(c->arena, "%s/%s", json_get_z(terms, "api", ""),
                                     json_get_z(terms, "version", ""));
    json_array_foreach(json_get(all, "items"), i, v)
    {
        struct str value =
            arena_printf(c->arena, "%s/%s", json_get_z(v, "id", ""), json_get_z(v, "version", ""));
        struct str label =
            arena_printf(c->arena, "%s – %s (%s)", in_lang(c, json_get(v, "title")),
                         in_lang(c, json_get(json_get(v, "provider"), "name")), value.p);
        json_array_append_new(list, json_pack("{s:o,s:o,s:b}", "value", json_str(value), "label",
                                              json_str(label), "selected", str_eq(value, chosen)));
    }
    return list;
}

static enum err form_page(struct ctx *c, const json_t *terms, const json_t *errors,
                          struct str action, bool fresh)
{
    json_t *fields = json_array(), *items = json_array();
    json_t *api = json_pack("{s:s,s:s,s:o,s:b,s:o}", "id", "api", "name", "api_version", "label",
                            words(c, "label.api"), "select", 1, "options", api_options(c, terms));
    if (json_get(errors, "api"))
        json_object_set_new(api, "error", words(c, "fault.api"));
    json_array_append_new(fields, api);
    for (size_t i = 0; i < COUNT_OF(inputs); i++)
        json_array_append_new(fields, input(c, terms, errors, i));
    for (size_t i = 0; i < json_array_size(fields); i++) {
        const json_t *f = json_array_get(fields, i);
        if (json_get(f, "error"))
            json_array_append_new(items, json_pack("{s:O,s:O}", "id", json_get(f, "id"), "text",
                                                   json_get(f, "error")));
    }
    json_t *data = json_pack("{s:o,s:o,s:b,s:s}", "fields", fields, "action", json_str(action),
                             "fresh", fresh, "back_url", "/contrats");
    if (json_array_size(items))
        json_object_set_new(data, "error_summary", json_pack("{s:O}", "items", items));
    json_decref(items);
    return ctx_page(c, "contracts/form", data);
}

/* What a link fills in: the catalogue's, or the once-only detector's. */
static void from_address(struct ctx *c, json_t *terms)
{
    static const char *const texts[] = {"api", "version", "fields"};
    static const char *const pairs[] = {"purpose", "legal_basis"};
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        if (ctx_query(c, texts[i]).n)
            json_object_set_new(terms, texts[i], json_str(ctx_query(c, texts[i])));
    for (size_t i = 0; i < COUNT_OF(pairs); i++) {
        struct str v = ctx_query(c, arena_printf(c->arena, "%s.fr", pairs[i]).p);
        if (v.n)
            json_object_set_new(terms, pairs[i], json_pack("{s:o}", "fr", json_str(v)));
    }
}

enum err contracts_page_new(struct ctx *c)
{
    json_t *terms = terms_read(c, NULL);
    json_object_set_new(terms, "client_id", json_str(c->site->client_id));
    from_address(c, terms);
    return form_page(c, terms, NULL, STR("/contrats/nouveau"), true);
}

static enum err to_request(struct ctx *c, const struct contract_request *r, const char *rest)
{
    return ctx_redirect(c, arena_printf(c->arena, "/contrats/" STR_FMT "%s", STR_ARG(r->id), rest));
}

/* Faults of the terms go back to the form; all else is an error page. */
static enum err form_again(struct ctx *c, enum err e, const struct contract_request *r, bool fresh)
{
    const char *code = c->fault.code ? c->fault.code : "";
    const json_t *errors = json_get(c->fault_extra, "errors");
    json_t *api = json_own(&c->pool, json_pack("{s:s}", "api", "api"));
    if (strcmp(code, "CTR-404-API") == 0)
        errors = api;
    else if (strcmp(code, "CTR-422-TERMS") != 0)
        return e;
    c->rs->status = 422;
    struct str action =
        fresh ? STR("/contrats/nouveau")
              : arena_printf(c->arena, "/contrats/" STR_FMT "/modifier", STR_ARG(r->id));
    return form_page(c, r->terms, errors, action, fresh);
}

enum err contracts_page_create(struct ctx *c)
{
    struct contract_request r;
    struct contract_party p = party_of(c);
    enum err e = request_create(c, &p, terms_read(c, NULL), ctx_form(c, "stage"), STR_NONE, &r);
    return e == ERR_OK ? to_request(c, &r, "") : form_again(c, e, &r, true);
}

enum err contracts_page_edit(struct ctx *c)
{
    struct contract_request r;
    struct contract_party p = party_of(c);
    enum err e = request_of_party(c, &p, ctx_path(c, "id"), &r);
    return e == ERR_OK ? form_page(c, r.terms, NULL, c->rq->path, false) : e;
}

enum err contracts_page_change(struct ctx *c)
{
    struct contract_request r;
    struct contract_party p = party_of(c);
    enum err e = request_of_party(c, &p, ctx_path(c, "id"), &r);
    if (e != ERR_OK)
        return e;
    e = request_change(c, &p, &r, terms_read(c, r.terms));
    return e == ERR_OK ? to_request(c, &r, "") : form_again(c, e, &r, false);
}

/* ---- one request
 * ------------------------------------------------------------------------------------- */
static void fact(struct ctx *c, json_t *rows, const char *key, json_t *value)
{
    json_array_append_new(rows, json_pack("{s:o,s:o}", "label", words(c, key), "value", value));
}

static json_t *fields_list(struct ctx *c, const json_t *fields)
{
    json_t *list = json_array();
    for (size_t i = 0; i < json_array_size(fields); i++) {
        const json_t *f = json_array_get(fields, i);
        const char *level =
            arena_printf(c->arena, "sensitivity.%d", (int)json_get_i64(f, "sensitivity", 2)).p;
        json_array_append_new(list,
                              json_pack("{s:O,s:s,s:o,s:b}", "name", json_get(f, "name"), "label",
                                        in_lang(c, json_get(f, "label")), "level", words(c, level),
                                        "sensitive", json_get_i64(f, "sensitivity", 2) >= 2));
    }
    return list;
}

static json_t *facts(struct ctx *c, const json_t *v)
{
    const json_t *t = json_get(v, "terms");
    json_t *rows = json_array();
    fact(c, rows, "col.consumer",
         json_string(in_lang(c, json_get(json_get(v, "consumer"), "name"))));
    fact(c, rows, "col.provider",
         json_string(in_lang(c, json_get(json_get(v, "provider"), "name"))));
    fact(c, rows, "label.api",
         json_str(arena_printf(c->arena, "%s (%s/%s)", in_lang(c, json_get(v, "api_title")),
                               json_get_z(t, "api", ""), json_get_z(t, "version", ""))));
    fact(c, rows, "fact.purpose", json_string(in_lang(c, json_get(t, "purpose"))));
    fact(c, rows, "fact.legal_basis", json_string(in_lang(c, json_get(t, "legal_basis"))));
    fact(c, rows, "label.recipients", json_string(json_get_z(t, "recipients", "")));
    if (json_get_bool(t, "for_clients", false))
        fact(c, rows, "fact.for_clients", words(c, "yes"));
    fact(c, rows, "fact.consent",
         words(c, json_get_bool(t, "consent_needed", false) ? "yes" : "no"));
    fact(c, rows, "fact.quota",
         json_str(
             arena_printf(c->arena, "%lld", (long long)json_get_i64(t, "quota_per_minute", 0))));
    int64_t price = json_get_i64(t, "price_per_1000", 0);
    fact(c, rows, "fact.price",
         price ? json_str(arena_printf(c->arena, "%lld,%02lld\302\240\342\202\254",
                                       (long long)(price / 100), (long long)(price % 100)))
               : words(c, "fact.free"));
    const json_t *use = json_get(v, "terms_of_use");
    if (use)
        fact(c, rows, "use.title",
             json_str(pages_text(c->arena, "contracts",
                                 json_get_bool(use, "accepted", false) ? "use.accepted"
                                                                       : "use.to_accept",
                                 c->lang, use)));
    fact(c, rows, "col.ends", date(c, json_get_i64(v, "ends_at", 0)));
    fact(c, rows, "fact.report_due", date(c, json_get_i64(v, "report_due_at", 0)));
    if (json_get_i64(v, "sensitivity", 0) >= 2) {
        fact(c, rows, "label.impact_assessment",
             json_string(json_get_z(t, "impact_assessment", "")));
        fact(c, rows, "label.officer_opinion", json_string(json_get_z(t, "officer_opinion", "")));
    }
    return rows;
}

static json_t *events(struct ctx *c, const json_t *messages)
{
    json_t *list = json_array();
    for (size_t i = 0; i < json_array_size(messages); i++) {
        const json_t *m = json_array_get(messages, i);
        struct str org = json_get_str(m, "org"), name = org;
        int64_t at_ms = json_get_i64(m, "at", 0);
        if (org_name(c, org, c->lang, &name) != ERR_OK)
            name = org;
        struct str who =
            arena_printf(c->arena, "%s, " STR_FMT, json_get_z(m, "who", ""), STR_ARG(name));
        json_array_append_new(
            list, json_pack("{s:o,s:o,s:o,s:o,s:O}", "what",
                            words_of(c, "event", json_get_z(m, "kind", "")), "who", json_str(who),
                            "when", json_str(clock_in_words(c->arena, at_ms, c->lang, true)),
                            "datetime", json_str(clock_rfc3339(c->arena, at_ms, false)), "text",
                            json_get(m, "text")));
    }
    return list;
}

/* A button each; those that ask for words show where to write them. */
static json_t *buttons(struct ctx *c, const json_t *v, bool substantial)
{
    json_t *list = json_array(), *a;
    size_t i;
    json_array_foreach(json_get(v, "actions"), i, a)
    {
        const char *name = json_string_value(a);
        const struct transition *t = transition_named(str_from(name));
        bool takes = strcmp(name, "refuse") == 0 || strcmp(name, "revoke") == 0 ||
                     strcmp(name, "suspend") == 0;
        json_t *b =
            json_pack("{s:s,s:o,s:o,s:o,s:b,s:b}", "name", name, "action",
                      json_str(url_of(c, v, arena_printf(c->arena, "/%s", name).p)), "title",
                      words_of(c, "act", name), "hint", words_of(c, "act.hint", name), "words",
                      t && t->words_needed, "danger", takes);
        if (strcmp(name, "submit") == 0 && json_get(v, "terms_of_use"))
            json_object_set_new(b, "accepts",
                                json_incref(json_get(json_get(v, "terms_of_use"), "newest")));
        if (strcmp(name, "validate") == 0 && json_get_i64(v, "sensitivity", 0) >= 2 && !substantial)
            json_object_set_new(
                b, "level_url",
                json_str(url_with(c->arena, STR("/agent/connexion?niveau=substantiel"), "return",
                                  url_of(c, v, ""))));
        json_array_append_new(list, b);
    }
    return list;
}

static json_t *reports(struct ctx *c, const json_t *all)
{
    json_t *list = json_array();
    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *r = json_array_get(all, i);
        struct str text = json_get_str(r, "text"), fields = json_get_str(r, "fields");
        int64_t at_ms = json_get_i64(r, "at", 0);
        if (fields.n)
            text = arena_printf(c->arena, STR_FMT " (" STR_FMT ")", STR_ARG(text), STR_ARG(fields));
        json_array_append_new(
            list,
            json_pack("{s:o,s:O,s:o,s:o,s:o}", "what",
                      words_of(c, "report", json_get_z(r, "kind", "")), "who", json_get(r, "who"),
                      "when", json_str(clock_in_words(c->arena, at_ms, c->lang, true)), "datetime",
                      json_str(clock_rfc3339(c->arena, at_ms, false)), "text", json_str(text)));
    }
    return list;
}

enum err contracts_page_one(struct ctx *c)
{
    struct contract_request r;
    json_t *v;
    struct contract_party p = party_of(c);
    enum err e = request_of_party(c, &p, ctx_path(c, "id"), &r);
    if (e == ERR_OK)
        e = request_json_full(c, &p, &r, &v);
    if (e != ERR_OK)
        return e;
    json_own(&c->pool, v);
    unsigned sides = party_sides(&p, &r);
    bool open = r.state == CONTRACT_DRAFT || r.state == CONTRACT_CHANGES_REQUESTED;
    bool active = r.state == CONTRACT_VALIDATED;
    json_t *data = json_pack(
        "{s:s,s:o,s:o,s:o,s:o,s:o,s:o,s:s,s:o,s:b,s:b}", "title",
        in_lang(c, json_get(v, "api_title")), "stage", words_of(c, "stage", r.stage.p), "state",
        tag(c, v), "rows", facts(c, v), "items", fields_list(c, json_get(v, "fields")), "events",
        events(c, json_get(v, "messages")), "buttons", buttons(c, v, p.substantial), "back_url",
        "/contrats", "message_action", json_str(url_of(c, v, "/message")), "overdue",
        json_get_bool(v, "report_overdue", false), "review", json_get_bool(v, "review_due", false));
    json_object_set_new(data, "revision", json_integer(r.revision));
    if (open && sides & SIDE_CONSUMER)
        json_object_set_new(data, "edit_url", json_str(url_of(c, v, "/modifier")));
    if (r.digest.n)
        json_object_set_new(data, "agreement_url", json_str(url_of(c, v, "/convention")));
    if (active)
        json_object_set_new(data, "report_action", json_str(url_of(c, v, "/report")));
    if (active)
        json_object_set_new(data, "statement_url", json_str(url_of(c, v, "/releve")));
    json_object_set_new(data, "consumer_side", json_boolean(sides & SIDE_CONSUMER));
    const json_t *use = json_get(v, "terms_of_use");
    if (use) {
        json_t *shown = json_deep_copy(use);
        json_object_set_new(shown, "when", date(c, json_get_i64(use, "published_at", 0)));
        json_object_set_new(
            shown, "old",
            json_boolean(json_get_i64(use, "number", 0) < json_get_i64(use, "newest", 0)));
        json_object_set_new(data, "use", shown);
    }
    json_t *said = reports(c, json_get(v, "reports"));
    if (json_array_size(said))
        json_object_set_new(data, "reports", json_pack("{s:O}", "events", said));
    json_decref(said);
    return ctx_page(c, "contracts/one", data);
}

enum err contracts_page_act(struct ctx *c)
{
    struct contract_request r;
    struct contract_party p = party_of(c);
    enum err e = request_of_party(c, &p, ctx_path(c, "id"), &r);
    if (e != ERR_OK)
        return e;
    e = contracts_act(c, &p, &r);
    if (e == ERR_OK)
        return to_request(c, &r, "");
    return form_again(c, e, &r, false);
}

/* ---- the agreement, to read and to print
 * ---------------------------------------------------------------- */
static json_t *signatures(struct ctx *c, const json_t *list)
{
    json_t *out = json_array();
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *s = json_array_get(list, i);
        struct str org = json_get_str(s, "org"), name = org;
        if (org_name(c, org, c->lang, &name) != ERR_OK)
            name = org;
        json_array_append_new(out, json_pack("{s:o,s:O,s:o,s:b}", "org", json_str(name), "kid",
                                             json_get(s, "kid"), "when",
                                             date(c, json_get_i64(s, "at", 0)), "valid",
                                             json_get_bool(s, "valid", false)));
    }
    return out;
}

enum err contracts_page_agreement(struct ctx *c)
{
    struct contract_request r;
    json_t *v, *full;
    struct contract_party p = party_of(c);
    enum err e = request_of_party(c, &p, ctx_path(c, "id"), &r);
    if (e == ERR_OK)
        e = agreement_read(c, &r, &v);
    if (e == ERR_OK)
        e = request_json_full(c, &p, &r, &full);
    if (e != ERR_OK)
        return e;
    json_own(&c->pool, full);
    json_t *data = json_pack(
        "{s:s,s:o,s:o,s:O,s:O,s:o,s:o}", "title", in_lang(c, json_get(full, "api_title")), "rows",
        facts(c, full), "items", fields_list(c, json_get(full, "fields")), "digest",
        json_get(v, "digest"), "text", json_get(v, "text"), "signatures",
        signatures(c, json_get(v, "signatures")), "back_url", json_str(url_of(c, full, "")));
    return ctx_page(c, "contracts/agreement", data);
}

/* ---- for everybody
 * ---------------------------------------------------------------------------------------- */
enum err contracts_page_public(struct ctx *c)
{
    json_t *list, *v, *out = json_array();
    size_t i;
    enum err e = contracts_public(c, &list);
    json_array_foreach(list, i, v)
    {
        json_t *uses = json_array(), *u;
        size_t k;
        json_array_foreach(json_get(v, "uses"), k, u)
        {
            json_array_append_new(
                uses, json_pack("{s:o,s:O,s:O,s:O,s:O}", "when", date(c, json_get_i64(u, "at", 0)),
                                "text", json_get(u, "text"), "fields", json_get(u, "fields"),
                                "calls", json_get(u, "calls"), "counted", json_get(u, "counted")));
        }
        const json_t *counted = json_get(v, "counted");
        json_array_append_new(
            out, json_pack("{s:b,s:I,s:I,s:o,s:s,s:s,s:o,s:s,s:s,s:o,s:o,s:b}", "private",
                           json_get_bool(v, "private", false), "delivered",
                           (json_int_t)json_get_i64(counted, "delivered", 0), "delivered_30",
                           (json_int_t)json_get_i64(counted, "delivered_30", 0), "last",
                           date(c, json_get_i64(counted, "last_at", 0)), "consumer",
                           in_lang(c, json_get(json_get(v, "consumer"), "name")), "provider",
                           in_lang(c, json_get(json_get(v, "provider"), "name")), "items",
                           fields_list(c, json_get(v, "fields")), "purpose",
                           in_lang(c, json_get(v, "purpose")), "basis",
                           in_lang(c, json_get(v, "legal_basis")), "until",
                           date(c, json_get_i64(v, "ends_at", 0)), "uses", uses, "suspended",
                           json_get_bool(v, "suspended", false)));
    }
    json_decref(list);
    json_t *data = json_pack("{s:o}", "contracts", out);
    return e == ERR_OK ? ctx_page(c, "contracts/public", data) : (json_decref(data), e);
}
