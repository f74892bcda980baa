/* The platform as three circles, each component that the architecture names with its state; and the
 * checker of what a component owes the others: licence, documentation, sandbox, version, tests. */
#include "core/catalogue/catalogue.h"

#include "core/catalogue/status.h"
#include "platform/health.h"
#include "web/pages.h"

/* ---- the circles --------------------------------------------------------------------------------
 */
static const struct {
    int circle;
    const char *name;    /* texts: component.<name>, component.<name>.what */
    const char *service; /* the module that is it; NULL: not built here yet */
    const char *url;     /* where people see it; "" */
} named[] = {
    {1, "identity", "identity", "/.well-known/openid-configuration"},
    {1, "consents", "consent", "/account/consents"},
    {1, "trust", "trust", "/journal/checkpoint"},
    {1, "catalogue", "catalogue", "/catalogue"},
    {1, "management", "exchange", "/etat"},
    {1, "contracts", "contracts", "/conventions"},
    {1, "account", "account", "/account"},
    {2, "data", "catalogue", "/donnees"},
    {2, "vocabulary", "catalogue", "/vocabulaire"},
    {2, "procedures", "procedures", ""},
    {2, "registers", "registers", ""},
    {2, "documentation", "catalogue", "/catalogue"},
    {2, "payment", "payment", ""},
    {2, "forge", "forge", ""},
    {2, "local-management", "federation", ""},
    {2, "hubs", "hub", ""},
};

static bool is_built(const char *name)
{
    for (size_t i = 0; i < services_n; i++)
        if (strcmp(services[i]->name, name) == 0)
            return true;
    return false;
}

static json_t *text_in(struct ctx *c, const char *key, const char *lang)
{
    return jstr(pages_text(c->arena, "catalogue", key, lang, NULL));
}

static json_t *two(struct ctx *c, const char *key)
{
    return json_pack("{s:o,s:o}", "fr", text_in(c, key, "fr"), "en", text_in(c, key, "en"));
}

static json_t *component(struct ctx *c, size_t i, bool ready)
{
    bool built = is_built(named[i].service);
    const char *key = arena_printf(c->arena, "component.%s", named[i].name).p;
    const char *what = arena_printf(c->arena, "component.%s.what", named[i].name).p;
    return json_pack("{s:s,s:o,s:o,s:s,s:s}", "id", named[i].name, "name", two(c, key), "what",
                     two(c, what), "state",
                     !built  ? "planned"
                     : ready ? "up"
                             : "down",
                     "url", built ? named[i].url : "");
}

/* APIs of the circle stand beside the components that are of the platform itself. */
static void apis_add(json_t *list, const json_t *status, int circle)
{
    json_t *v;
    size_t i;
    json_array_foreach(json_get(status, "items"), i, v)
    {
        if (json_get_i64(v, "circle", 3) == circle)
            json_array_append_new(
                list, json_pack("{s:s#,s:O,s:O,s:O,s:O}", "id", json_get_str(v, "api").p,
                                (int)json_get_str(v, "api").n, "name", json_get(v, "title"), "what",
                                json_get(json_get(v, "provider"), "name"), "state",
                                json_get(v, "state"), "url", json_get(v, "url")));
    }
}

enum err circles_all(struct ctx *c, json_t **out)
{
    json_t *status, *circles = json_own(&c->pool, json_array());
    bool ready = health_is_ready(c);
    enum err e = status_all(c, &status);
    for (int circle = 1; circle <= 3 && e == ERR_OK; circle++) {
        json_t *list = json_array();
        for (size_t i = 0; i < COUNT_OF(named); i++)
            if (named[i].circle == circle)
                json_array_append_new(list, component(c, i, ready));
        apis_add(list, status, circle);
        const char *key = arena_printf(c->arena, "circle.%d", circle).p;
        json_array_append_new(circles, json_pack("{s:i,s:o,s:o}", "circle", circle, "name",
                                                 two(c, key), "components", list));
    }
    if (e == ERR_OK)
        *out = circles;
    return e;
}

enum err api_circles(struct ctx *c)
{
    json_t *list;
    enum err e = circles_all(c, &list);
    return e == ERR_OK ? ctx_json(c, 200, json_pack("{s:O}", "items", list)) : e;
}

enum err page_circles(struct ctx *c)
{
    json_t *list, *v, *k;
    size_t i, j;
    enum err e = circles_all(c, &list);
    json_array_foreach(e == ERR_OK ? list : NULL, i, v)
    {
        json_object_set_new(v, "duties_key",
                            json_sprintf("circle.duties.%d", (int)json_get_i64(v, "circle", 3)));
        json_object_set_new(v, "some", json_boolean(json_array_size(json_get(v, "components"))));
        json_array_foreach(json_get(v, "components"), j, k)
        {
            const char *state = json_get_z(k, "state", "");
            const char *kind = strcmp(state, "up") == 0     ? "success"
                               : strcmp(state, "down") == 0 ? "error"
                                                            : "";
            const char *key = arena_printf(c->arena, "component.state.%s", state).p;
            json_object_set_new(
                k, "tag", json_pack("{s:s,s:o}", "kind", kind, "label", text_in(c, key, c->lang)));
        }
    }
    return e == ERR_OK ? ctx_page(c, "catalogue/circles", json_pack("{s:O}", "circles", list)) : e;
}

/* ---- the checker --------------------------------------------------------------------------------
 */
/* Licences that let others use, change and share (SPDX identifiers), and those of public data. */
static const char *const licences[] = {
    "AGPL-3.0-only",
    "AGPL-3.0-or-later",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "CC-BY-4.0",
    "CC0-1.0",
    "CECILL-2.1",
    "CECILL-B",
    "CECILL-C",
    "EPL-2.0",
    "EUPL-1.2",
    "GPL-2.0-only",
    "GPL-2.0-or-later",
    "GPL-3.0-only",
    "GPL-3.0-or-later",
    "ISC",
    "LGPL-2.1-only",
    "LGPL-2.1-or-later",
    "LGPL-3.0-only",
    "LGPL-3.0-or-later",
    "MIT",
    "MPL-2.0",
    "ODbL-1.0",
    "Unlicense",
    "etalab-2.0",
    "Licence Ouverte 2.0",
    "Zlib",
};

static bool is_licence(struct str s)
{
    for (size_t i = 0; i < COUNT_OF(licences); i++)
        if (str_eq_nocase(s, str_from(licences[i])))
            return true;
    return false;
}

/* Semantic versioning 2.0.0: three numbers, and at most what follows '-' or '+'. */
static bool is_version(struct str s)
{
    struct str part;
    ptrdiff_t minus = str_find_char(s, '-'), plus = str_find_char(s, '+');
    ptrdiff_t end = minus >= 0 && (plus < 0 || minus < plus) ? minus : plus;
    size_t n = 0;
    s = end >= 0 ? str_sub(s, 0, (size_t)end) : s;
    while (s.n && str_split(&s, '.', &part)) {
        uint64_t number;
        if (!str_to_u64(part, &number) || (part.n > 1 && part.p[0] == '0'))
            return false;
        n++;
    }
    return n == 3;
}

static bool is_web(struct str s)
{
    return str_starts(s, STR("https://")) || str_starts(s, STR("http://"));
}

static void duty(json_t *list, const char *name, bool holds, struct str found)
{
    json_array_append_new(
        list, json_pack("{s:s,s:b,s:o}", "duty", name, "holds", holds, "found", jstr(found)));
}

/* publiccode.yml (https://yml.publiccode.tools), with x-socle: {sandbox, tests}. */
static void software_check(const json_t *root, json_t *list)
{
    const json_t *more = json_get(root, "x-socle");
    struct str docs = json_get_str(root, "documentation"), licence, version;
    json_t *one;
    const char *lang;
    json_object_foreach(json_get(root, "description"), lang, one)
    {
        if (!docs.n)
            docs = json_get_str(one, "documentation");
    }
    licence = json_get_str(json_get(root, "legal"), "license");
    version = json_get_str(root, "softwareVersion");
    duty(list, "licence", is_licence(licence), licence);
    duty(list, "documentation", is_web(docs), docs);
    duty(list, "sandbox", is_web(json_get_str(more, "sandbox")), json_get_str(more, "sandbox"));
    duty(list, "version", is_version(version), version);
    duty(list, "tests", json_get_str(more, "tests").n > 0, json_get_str(more, "tests"));
}

/* An API: its sandbox answers where an operation has a good answer, and is its test. */
static void service_check(const struct description *d, json_t *list)
{
    const json_t *info = json_get(d->root, "info"), *licence = json_get(info, "license");
    struct str name = json_get_str(licence, "identifier"), version = json_get_str(info, "version");
    size_t answered = 0, told = 0;
    if (!name.n)
        name = json_get_str(licence, "name");
    for (size_t i = 0; i < d->n_ops; i++) {
        answered += desc_answer(d, d->ops[i].op, 0, NULL) != NULL;
        told += json_get_str(d->ops[i].op, "summary").n > 0;
    }
    struct str docs = json_get_str(json_get(d->root, "externalDocs"), "url");
    bool documented = d->n_ops && told == d->n_ops;
    duty(list, "licence", is_licence(name), name);
    duty(list, "documentation", documented || is_web(docs), docs);
    duty(list, "sandbox", d->n_ops && answered == d->n_ops, STR(""));
    duty(list, "version", is_version(version), version);
}

enum err component_check(struct ctx *c, struct str text, json_t **out)
{
    struct description d;
    struct json_fault fault = {0};
    json_t *list, *v;
    size_t i, failed = 0;
    if (desc_read(text, &d, &fault) != ERR_OK) {
        *out = json_own(&c->pool, json_pack("{s:b,s:{s:i,s:s}}", "holds", 0, "fault", "line",
                                            fault.line, "text", fault.text));
        return ERR_INVALID;
    }
    list = json_array();
    bool api = json_get(d.root, "openapi") != NULL;
    if (api)
        service_check(&d, list);
    else
        software_check(d.root, list);
    desc_free(&d);
    json_array_foreach(list, i, v)
    {
        failed += !json_get_bool(v, "holds", false);
    }
    *out = json_own(&c->pool, json_pack("{s:b,s:s,s:o}", "holds", failed == 0, "kind",
                                        api ? "api" : "software", "duties", list));
    return ERR_OK;
}

/* catalogue.component: {text} -> {holds, kind, duties: [{duty, holds, found}]} or {fault}. */
enum err component_call_check(struct ctx *c, const json_t *args, json_t **out)
{
    enum err e = component_check(c, json_get_str(args, "text"), out);
    json_incref(*out);
    return e == ERR_INVALID ? ERR_OK : e;
}

enum err api_component(struct ctx *c)
{
    struct str text;
    json_t *out;
    enum err e = catalogue_body(c, &text);
    if (e == ERR_OK)
        e = component_check(c, text, &out);
    return e == ERR_OK || e == ERR_INVALID ? ctx_json(c, 200, json_incref(out)) : e;
}

static enum err component_page(struct ctx *c, struct str text, json_t *result)
{
    json_t *v;
    size_t i;
    json_array_foreach(json_get(result, "duties"), i, v)
    {
        bool holds = json_get_bool(v, "holds", false);
        const char *key = arena_printf(c->arena, "duty.%s", json_get_z(v, "duty", "")).p;
        json_object_set_new(v, "label", text_in(c, key, c->lang));
        json_object_set_new(v, "tag",
                            json_pack("{s:s,s:o}", "kind", holds ? "success" : "error", "label",
                                      text_in(c, holds ? "duty.holds" : "duty.fails", c->lang)));
    }
    json_t *d = json_pack("{s:o}", "description", jstr(text));
    if (result)
        json_object_set(d, "result", result);
    return ctx_page(c, "catalogue/component", d);
}

enum err page_component(struct ctx *c)
{
    return component_page(c, STR(""), NULL);
}

enum err page_component_post(struct ctx *c)
{
    struct str text = ctx_form(c, "description");
    json_t *out;
    enum err e = component_check(c, text.p ? text : STR(""), &out);
    return e == ERR_OK || e == ERR_INVALID ? component_page(c, text.p ? text : STR(""), out) : e;
}
