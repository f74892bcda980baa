/* The catalogue for programs, and the page on which a body publishes. */
#include "core/catalogue/catalogue.h"

enum { CHECK_BYTES_MAX = 1024 * 1024 };

static const struct fault f_description = {"CAT-422-DESCRIPTION", 422, "catalogue",
                                           "The description breaks rules"};
static const struct fault f_refused = {"CAT-403-PUBLISH", 403, "catalogue",
                                       "The API cannot be published so"};
static const struct fault f_large = {"CAT-413-DESCRIPTION", 413, "catalogue",
                                     "The description is too large"};

static enum err list_answer(struct ctx *c, json_t *items)
{
    return ctx_json(c, 200, json_pack("{s:O}", "items", items));
}

enum err api_list(struct ctx *c)
{
    json_t *items;
    enum err e = catalogue_public(c, &items);
    return e == ERR_OK ? list_answer(c, items) : e;
}

enum err api_one(struct ctx *c)
{
    json_t *items, *v;
    size_t i;
    enum err e = catalogue_public(c, &items);
    if (e != ERR_OK)
        return e;
    json_array_foreach(items, i, v)
    {
        if (str_eq(json_get_str(v, "id"), ctx_path(c, "api")) &&
            str_eq(json_get_str(v, "version"), ctx_path(c, "version")))
            return ctx_json(c, 200, json_incref(v));
    }
    return ERR_NOT_FOUND;
}

enum err api_description(struct ctx *c)
{
    struct catalogue_entry entry;
    enum err e = catalogue_entry_get(c, ctx_path(c, "api"), ctx_path(c, "version"), true, &entry);
    return e == ERR_OK
               ? ctx_text(c, 200,
                          str_eq_z(entry.format, "json") ? "application/json" : "application/yaml",
                          entry.text)
               : e;
}

enum err api_data(struct ctx *c)
{
    json_t *items;
    enum err e = data_list(c, &items);
    return e == ERR_OK ? list_answer(c, items) : e;
}

enum err api_search(struct ctx *c)
{
    json_t *out;
    enum err e = find_all(c, ctx_query(c, "q"), &out);
    return e == ERR_OK ? ctx_json(c, 200, json_incref(out)) : e;
}

enum err api_rules(struct ctx *c)
{
    const struct rule *r;
    json_t *list = json_own(&c->pool, json_array());
    for (size_t i = 0; (r = rule_at(i)) != NULL; i++)
        json_array_append_new(
            list,
            json_pack(
                "{s:s, s:s, s:s, s:s}", "id", r->id, "severity", r->error ? "error" : "warning",
                "topic", rule_topics[r->topic], "url",
                arena_printf(c->arena, "%s/doctrine/%s", c->pf->settings->base_url, r->id).p));
    return list_answer(c, list);
}

enum err api_rates(struct ctx *c)
{
    json_t *out;
    enum err e = platform_call(c, "catalogue.rates", NULL, &out);
    return e == ERR_OK ? ctx_json(c, 200, json_incref(out)) : e;
}

static enum err body_of(struct ctx *c, struct str *text)
{
    enum err e = catalogue_body(c, text);
    return e == ERR_LIMIT ? ctx_fail(c, &f_large, e, STR("at most 6 MB")) : e;
}

/* Open to everybody, so it takes less: reading costs its reader's time, not the sender's. */
enum err api_check(struct ctx *c)
{
    struct str text;
    if (c->rq->body_size > CHECK_BYTES_MAX)
        return ctx_fail(c, &f_large, ERR_LIMIT, STR("at most 1 MB; socle api check takes 6"));
    enum err e = body_of(c, &text);
    return e == ERR_OK ? ctx_json(c, 200, json_incref(catalogue_check(c, text))) : e;
}

/* ---- publishing ---------------------------------------------------------------------------------
 */
/* For the body whose site this is. It stays in its circle; another is the operator's to decide. */
static enum err publish(struct ctx *c, struct str text, struct str origin, json_t **out)
{
    struct import_in in = {.text = text,
                           .org_id = c->site->org_id,
                           .origin = origin.p ? origin : STR(""),
                           .circle = 3};
    json_t *items, *v;
    size_t i;
    struct description d;
    enum err e = catalogue_apis(c, &items);
    if (e != ERR_OK)
        return e;
    if (desc_read(text, &d, NULL) == ERR_OK) {
        struct str id = json_get_str(json_get(d.root, "info"), "x-socle-id");
        json_array_foreach(items, i, v)
        {
            if (id.n && str_eq(id, json_get_str(v, "id")))
                in.circle = (int)json_get_i64(v, "circle", 3);
        }
        desc_free(&d);
    }
    return catalogue_import(c, &in, out);
}

enum err api_publish(struct ctx *c)
{
    struct str text;
    json_t *out;
    enum err e = body_of(c, &text);
    if (e != ERR_OK)
        return e;
    e = publish(c, text, ctx_query(c, "origin"), &out);
    if (e == ERR_OK)
        return ctx_json(c, 201, json_incref(out));
    if (e != ERR_INVALID && e != ERR_DENIED)
        return e;
    c->fault_extra = json_incref(out);
    return e == ERR_INVALID
               ? ctx_fail(c, &f_description, e, STR("report lists what is at fault"))
               : ctx_fail(c, &f_refused, e, json_get_str(json_get(out, "refused"), "detail"));
}

static json_t *news_items(struct ctx *c)
{
    json_t *out, *args = json_pack("{s:o}", "org_id", jstr(c->site->org_id));
    enum err e = platform_call(c, "catalogue.news", args, &out);
    json_decref(args);
    return e == ERR_OK ? json_get(out, "items") : NULL;
}

static enum err publish_page(struct ctx *c, struct str text, struct str origin, json_t *result)
{
    json_t *news = news_items(c), *f;
    size_t i;
    json_t *d = json_pack("{s:o, s:o}", "description", jstr(text), "origin", jstr(origin));
    if (json_array_size(news))
        json_object_set_new(d, "news", json_pack("{s:O}", "items", news));
    json_array_foreach(json_get(json_get(result, "report"), "findings"), i, f)
    {
        json_object_set_new(f, "severity_key",
                            json_sprintf("severity.%s", json_get_z(f, "severity", "error")));
        json_object_set_new(f, "rule_url",
                            jstr(arena_printf(c->arena, "%s/doctrine/%s", c->pf->settings->base_url,
                                              json_get_z(f, "rule", ""))));
        json_object_set_new(f, "rule_key",
                            json_sprintf("rule.%s.title", json_get_z(f, "rule", "")));
    }
    const char *refused = json_get_z(json_get(result, "refused"), "rule", NULL);
    if (refused)
        json_object_set_new(result, "refused_key", json_sprintf("refused.%s", refused));
    if (result)
        json_object_set(d, "result", result);
    return ctx_page(c, "catalogue/publish", d);
}

enum err page_publish(struct ctx *c)
{
    return publish_page(c, STR(""), STR(""), NULL);
}

enum err page_publish_post(struct ctx *c)
{
    struct str text = ctx_form(c, "description"), origin = str_trim(ctx_form(c, "origin"));
    json_t *out = NULL;
    enum err e = publish(c, text.p ? text : STR(""), origin, &out);
    if (e != ERR_OK && e != ERR_INVALID && e != ERR_DENIED)
        return e;
    if (e != ERR_OK)
        c->rs->status = 422;
    json_object_set_new(out, "failed", json_boolean(e != ERR_OK));
    json_object_set_new(
        json_get(out, "report"), "some",
        json_boolean(json_array_size(json_get(json_get(out, "report"), "findings")) > 0));
    return publish_page(c, text.p ? text : STR(""), origin, out);
}
