/* The catalogue's pages for everybody: list and search, one version of an API, data, doctrine,
 * rate. */
#include "core/catalogue/catalogue.h"

#include "base/clock.h"
#include "core/catalogue/vocabulary.h"
#include "web/pages.h"

enum { OPS_SHOWN = 60, FIELDS_SHOWN = 300 };

static enum err page_with_list(struct ctx *c, const char *page, json_t *items)
{
    json_t *d = json_pack("{s:O, s:b, s:i}", "items", items, "some", json_array_size(items) > 0,
                          "total", (int)json_array_size(items));
    return ctx_page(c, page, d);
}

/* ---- list and search ----------------------------------------------------------------------------
 */
static void found_add(json_t *d, const char *name, json_t *items)
{
    if (json_array_size(items))
        json_object_set_new(d, name, json_pack("{s:O}", "items", items));
}

enum err page_catalogue(struct ctx *c)
{
    struct str q = str_trim(ctx_query(c, "q"));
    json_t *items, *found;
    enum err e = catalogue_public(c, &items);
    if (e == ERR_OK && q.n)
        e = find_all(c, q, &found);
    if (e != ERR_OK)
        return e;
    if (q.n)
        items = json_get(found, "apis");
    json_t *d = json_pack("{s:O, s:b, s:o, s:b}", "items", items, "some",
                          json_array_size(items) > 0, "q", jstr(q), "searched", q.n > 0);
    if (q.n) {
        found_add(d, "data", json_get(found, "data"));
        found_add(d, "procedures", json_get(found, "procedures"));
    }
    return ctx_page(c, "catalogue/catalogue", d);
}

/* ---- one version --------------------------------------------------------------------------------
 */
static json_t *versions_of(struct ctx *c, const json_t *items, struct str api, struct str version)
{
    size_t i;
    json_t *v, *list = json_array();
    (void)c;
    json_array_foreach(items, i, v)
    {
        if (!str_eq(json_get_str(v, "id"), api))
            continue;
        bool current = str_eq(json_get_str(v, "version"), version);
        json_array_append_new(list,
                              json_pack("{s:O, s:O, s:b, s:b}", "version", json_get(v, "version"),
                                        "url", json_get(v, "url"), "current", current, "deprecated",
                                        json_get_bool(v, "deprecated", false)));
    }
    return list;
}

static const json_t *version_of(const json_t *items, struct str api, struct str version)
{
    size_t i;
    json_t *v, *last = NULL;
    json_array_foreach(items, i, v)
    {
        if (str_eq(json_get_str(v, "id"), api) &&
            (!version.p || str_eq(json_get_str(v, "version"), version)))
            last = v;
    }
    return last;
}

struct param_list {
    json_t *list;
};

static void param_show(void *arg, const json_t *p)
{
    struct param_list *l = arg;
    json_array_append_new(l->list, json_pack("{s:o, s:o, s:b, s:o}", "name",
                                             jstr(json_get_str(p, "name")), "in_key",
                                             json_sprintf("param.%s", json_get_z(p, "in", "query")),
                                             "required", json_get_bool(p, "required", false),
                                             "meaning", jstr(json_get_str(p, "description"))));
}

static json_t *answers_of(const struct description *d, const json_t *op)
{
    const char *key;
    json_t *v, *list = json_array();
    json_object_foreach(json_get(op, "responses"), key, v)
    {
        json_array_append_new(list, json_pack("{s:s, s:o}", "status", key, "meaning",
                                              jstr(json_get_str(desc_ref(d, v), "description"))));
    }
    return list;
}

static json_t *operation_of(struct ctx *c, const struct description *d, const struct desc_op *op,
                            const char *sandbox, size_t n)
{
    struct param_list params = {json_array()};
    struct str name = arena_printf(c->arena, "%s %s", op->method, op->path);
    for (char *p = (char *)name.p; *p && *p != ' '; p++)
        *p = (char)(*p >= 'a' && *p <= 'z' ? *p - 32 : *p);
    desc_params(d, op, param_show, &params);
    bool some = json_array_size(params.list) > 0;
    return json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:b, s:o, s:o, s:b}", "id", json_sprintf("op-%d", (int)n),
        "name", jstr(name), "summary", jstr(json_get_str(op->op, "summary")), "description",
        jstr(json_get_str(op->op, "description")), "params", params.list, "has_params", some,
        "answers", answers_of(d, op->op), "samples", samples_of(c->arena, d, op, sandbox),
        "deprecated", json_get_bool(op->op, "deprecated", false));
}

static void description_add(struct ctx *c, json_t *page, struct str api, struct str version,
                            const struct description *d)
{
    const char *sandbox = arena_printf(c->arena, "%s/sandbox/" STR_FMT "/" STR_FMT,
                                       c->pf->settings->base_url, STR_ARG(api), STR_ARG(version))
                              .p;
    json_t *ops = json_array(), *fields = json_array();
    for (size_t i = 0; i < d->n_ops && i < OPS_SHOWN; i++)
        json_array_append_new(ops, operation_of(c, d, &d->ops[i], sandbox, i));
    for (size_t i = 0; i < d->n_fields && i < FIELDS_SHOWN; i++) {
        const struct desc_field *f = &d->fields[i];
        struct str fr = f->label_fr.n ? f->label_fr : f->path;
        struct str en = f->label_en.n ? f->label_en : f->path;
        const char *access = f->read && f->written ? "access.both"
                             : f->written          ? "access.write"
                                                   : "access.read";
        json_array_append_new(
            fields,
            json_pack("{s:o, s:{s:o, s:o}, s:o, s:o, s:o, s:s}", "name", jstr(f->path), "label",
                      "fr", jstr(fr), "en", jstr(en), "type_key", type_key(f->type), "format",
                      jstr(str_from(f->format)), "sensitivity_key",
                      json_sprintf("sensitivity.%d", f->sensitivity < 0 ? 0 : f->sensitivity),
                      "access_key", access));
    }
    json_object_set_new(page, "sandbox", json_string(sandbox));
    json_object_set_new(page, "operations", ops);
    json_object_set_new(page, "fields", fields);
    json_object_set_new(page, "n_operations", json_integer((json_int_t)d->n_ops));
    json_object_set_new(page, "n_all_fields", json_integer((json_int_t)d->n_fields));
    json_object_set_new(page, "cut",
                        json_boolean(d->n_ops > OPS_SHOWN || d->n_fields > FIELDS_SHOWN));
}

static void usage_add(struct ctx *c, json_t *page, struct str api, struct str version)
{
    json_t *out, *v;
    size_t i;
    if (platform_call(c, "exchange.usage", NULL, &out) != ERR_OK)
        return;
    json_array_foreach(json_get(out, "items"), i, v)
    {
        if (str_eq(json_get_str(v, "api"), api) && str_eq(json_get_str(v, "version"), version))
            json_object_set(page, "usage", v);
    }
}

static enum err version_page(struct ctx *c, struct str api, struct str wanted)
{
    json_t *items, *history;
    struct held *h;
    enum err e = catalogue_public(c, &items);
    if (e != ERR_OK)
        return e;
    const json_t *v = version_of(items, api, wanted);
    if (!v)
        return ERR_NOT_FOUND;
    struct str version = json_get_str(v, "version");
    e = held_get(c, api, version, &h);
    if (e == ERR_OK)
        e = circle_history(c, api, &history);
    else
        return e;
    json_t *page = json_deep_copy(v);
    json_t *versions = versions_of(c, items, api, version);
    json_object_set_new(page, "several_versions", json_boolean(json_array_size(versions) > 1));
    json_object_set_new(page, "versions", versions);
    json_object_set_new(page, "duties_key",
                        json_sprintf("circle.duties.%d", (int)json_get_i64(v, "circle", 3)));
    json_object_set_new(
        page, "gateway",
        jstr(arena_printf(c->arena, "%s/gw/" STR_FMT "/" STR_FMT, c->pf->settings->base_url,
                          STR_ARG(api), STR_ARG(version))));
    int64_t sunset_ms = json_get_i64(v, "sunset_at", 0);
    if (sunset_ms)
        json_object_set_new(page, "sunset",
                            jstr(clock_in_words(c->arena, sunset_ms, c->lang, false)));
    if (e == ERR_OK && json_array_size(history))
        json_object_set_new(page, "history", json_pack("{s:O}", "items", history));
    usage_add(c, page, api, version);
    use_terms_show(c, page, api, version);
    description_add(c, page, api, version, &h->d);
    held_give(h);
    return ctx_page(c, "catalogue/api", page);
}

enum err page_api(struct ctx *c)
{
    return version_page(c, ctx_path(c, "api"), STR_NONE);
}

enum err page_version(struct ctx *c)
{
    return version_page(c, ctx_path(c, "api"), ctx_path(c, "version"));
}

/* ---- data ---------------------------------------------------------------------------------------
 */
enum err page_data(struct ctx *c)
{
    json_t *items, *found;
    struct str q = str_trim(ctx_query(c, "q"));
    enum err e = q.n ? find_all(c, q, &found) : data_list(c, &items);
    if (e != ERR_OK)
        return e;
    if (q.n)
        items = json_get(found, "data");
    json_t *d = json_pack("{s:O, s:b, s:o}", "items", items, "some", json_array_size(items) > 0,
                          "q", jstr(q));
    return ctx_page(c, "catalogue/data", d);
}

enum err page_datum(struct ctx *c)
{
    json_t *items, *v;
    size_t i;
    enum err e = vocabulary_list(c, &items);
    if (e != ERR_OK)
        return e;
    json_array_foreach(items, i, v)
    {
        if (str_eq(json_get_str(v, "id"), ctx_path(c, "datum")))
            return ctx_page(c, "catalogue/datum", json_deep_copy(v));
    }
    return ERR_NOT_FOUND;
}

/* ---- doctrine -----------------------------------------------------------------------------------
 */
static json_t *rule_json(struct ctx *c, const struct rule *r)
{
    json_t *two = json_object(), *how = json_object();
    static const char *const langs[] = {"fr", "en"};
    for (size_t i = 0; i < COUNT_OF(langs); i++) {
        struct str key = arena_printf(c->arena, "rule.%s.title", r->id);
        json_object_set_new(two, langs[i],
                            jstr(pages_text(c->arena, "catalogue", key.p, langs[i], NULL)));
        key = arena_printf(c->arena, "rule.%s.how", r->id);
        json_object_set_new(how, langs[i],
                            jstr(pages_text(c->arena, "catalogue", key.p, langs[i], NULL)));
    }
    return json_pack("{s:s, s:b, s:s, s:o, s:s, s:o, s:o, s:o}", "id", r->id, "error", r->error,
                     "severity", r->error ? "error" : "warning", "severity_key",
                     json_sprintf("severity.%s", r->error ? "error" : "warning"), "topic",
                     rule_topics[r->topic], "topic_key",
                     json_sprintf("topic.%s", rule_topics[r->topic]), "title", two, "how", how);
}

static json_t *rules_json(struct ctx *c)
{
    const struct rule *r;
    json_t *list = json_array();
    for (size_t i = 0; (r = rule_at(i)) != NULL; i++) {
        json_t *v = rule_json(c, r);
        json_object_set_new(v, "url", jstr(arena_printf(c->arena, "/doctrine/%s", r->id)));
        json_array_append_new(list, v);
    }
    return list;
}

enum err page_rules(struct ctx *c)
{
    return page_with_list(c, "catalogue/rules", json_own(&c->pool, rules_json(c)));
}

enum err page_rules_post(struct ctx *c)
{
    struct str text = ctx_form(c, "description");
    json_t *report = catalogue_check(c, text.p ? text : STR("")), *list = rules_json(c), *f;
    size_t i;
    json_array_foreach(json_get(report, "findings"), i, f)
    {
        json_object_set_new(f, "severity_key",
                            json_sprintf("severity.%s", json_get_z(f, "severity", "error")));
        json_object_set_new(f, "rule_url", json_sprintf("/doctrine/%s", json_get_z(f, "rule", "")));
        json_object_set_new(f, "rule_key",
                            json_sprintf("rule.%s.title", json_get_z(f, "rule", "")));
    }
    json_object_set_new(report, "some",
                        json_boolean(json_array_size(json_get(report, "findings"))));
    return ctx_page(c, "catalogue/rules",
                    json_pack("{s:o, s:b, s:o, s:O, s:i}", "items", list, "some", 1, "description",
                              jstr(text), "report", report, "total", (int)json_array_size(list)));
}

enum err page_rule(struct ctx *c)
{
    const struct rule *r = rule_find(ctx_path(c, "rule"));
    return r ? ctx_page(c, "catalogue/rule", rule_json(c, r)) : ERR_NOT_FOUND;
}

/* ---- rate ---------------------------------------------------------------------------------------
 */
enum err page_rates(struct ctx *c)
{
    json_t *out;
    enum err e = platform_call(c, "catalogue.rates", NULL, &out);
    return e == ERR_OK ? page_with_list(c, "catalogue/rates", json_get(out, "items")) : e;
}

/* ---- the operator -------------------------------------------------------------------------------
 */
enum err page_operator(struct ctx *c)
{
    json_t *hidden, *proposals;
    enum err e = catalogue_undocumented(c, &hidden);
    if (e == ERR_OK)
        e = platform_call(c, "catalogue.proposals", NULL, &proposals);
    if (e != ERR_OK)
        return e;
    json_t *d = json_pack("{s:O}", "threshold", json_get(proposals, "threshold"));
    found_add(d, "hidden", hidden);
    found_add(d, "proposals", json_get(proposals, "items"));
    return ctx_page(c, "catalogue/operator", d);
}
