/* Once only: a form that is about to ask people for what a body already holds is told so before it
 * is published, with the contract request that would supply it, filled in. */
#include "core/catalogue/catalogue.h"
#include "base/codec.h"
#include "core/catalogue/vocabulary.h"
#include "data/fold.h"

enum { FIELDS_MAX = 500, DEPTH = 8, SOURCES_MAX = 5 };

struct looking {
    struct ctx *c;
    const json_t *data; /* the catalogue's */
    json_t *found;
    size_t n;
};

/* All the words of a datum's label stand in the field's, and they say enough: "Votre code postal"
 * asks for the datum "Code postal"; "Nom du projet" does not ask for "Nom". */
static bool says(struct arena *a, struct str field, struct str datum)
{
    struct str f = text_fold(a, field), d = text_fold(a, datum), rest = d, word;
    size_t words = 0;
    if (str_eq(f, d))
        return d.n > 2;
    while (rest.n && str_split(&rest, ' ', &word)) {
        struct str in = f, one;
        bool there = false;
        while (!there && in.n && str_split(&in, ' ', &one))
            there = str_eq(one, word);
        if (!there)
            return false;
        words += word.n > 2;
    }
    return words >= 2;
}

static const json_t *datum_of(const struct looking *l, const json_t *field)
{
    struct str concept = json_get_str(field, "concept"), name = json_get_str(field, "name");
    json_t *v;
    size_t i;
    json_array_foreach((json_t *)l->data, i, v)
    {
        const json_t *asked = json_get(field, "label"), *label = json_get(v, "label");
        struct str id = json_get_str(v, "id");
        if (!json_array_size(json_get(v, "producers")))
            continue;
        if (concept.n
                ? str_eq(concept, id)
                : str_eq(desc_slug(l->c->arena, name), id) ||
                      says(l->c->arena, json_get_str(asked, "fr"), json_get_str(label, "fr")) ||
                      says(l->c->arena, json_get_str(asked, "en"), json_get_str(label, "en")))
            return v;
    }
    return NULL;
}

static struct str form_part(struct arena *a, struct str so_far, const char *name, struct str value)
{
    return arena_printf(a, STR_FMT "%s%s=" STR_FMT, STR_ARG(so_far), so_far.n ? "&" : "?", name,
                        STR_ARG(codec_to_url(a, value)));
}

/* What a contract request needs, and the address of the form that holds it already. */
static json_t *request_of(struct ctx *c, const json_t *producer, const json_t *form)
{
    const json_t *basis = json_get(producer, "legal_basis"), *title = json_get(form, "title");
    struct str purpose = json_get_str(title, "fr"), url = STR("");
    json_t *v = json_pack("{s:O,s:O,s:O,s:O}", "api", json_get(producer, "api"), "version",
                          json_get(producer, "version"), "fields", json_get(producer, "path"),
                          "legal_basis", basis);
    if (title)
        json_object_set(v, "purpose", (json_t *)title);
    url = form_part(c->arena, url, "api", json_get_str(producer, "api"));
    url = form_part(c->arena, url, "version", json_get_str(producer, "version"));
    url = form_part(c->arena, url, "fields", json_get_str(producer, "path"));
    if (purpose.n)
        url = form_part(c->arena, url, "purpose.fr", purpose);
    if (json_get_str(basis, "fr").n)
        url = form_part(c->arena, url, "legal_basis.fr", json_get_str(basis, "fr"));
    json_object_set_new(v, "url",
                        jstr(arena_printf(c->arena, "/contrats/nouveau" STR_FMT, STR_ARG(url))));
    return v;
}

static void flag(struct looking *l, const json_t *field, const json_t *datum, const json_t *form)
{
    json_t *sources = json_array(), *p;
    size_t i;
    json_array_foreach(json_get(datum, "producers"), i, p)
    {
        if (i < SOURCES_MAX && json_get_bool(p, "read", false))
            json_array_append_new(
                sources, json_pack("{s:O,s:O,s:O,s:o}", "provider", json_get(p, "provider"),
                                   "title", json_get(p, "title"), "path", json_get(p, "path"),
                                   "request", request_of(l->c, p, form)));
    }
    if (json_array_size(sources))
        json_array_append_new(
            l->found,
            json_pack("{s:O?,s:O?,s:{s:O,s:O,s:O},s:O}", "field", json_get(field, "name"), "label",
                      json_get(field, "label"), "datum", "id", json_get(datum, "id"), "label",
                      json_get(datum, "label"), "url", json_get(datum, "url"), "sources", sources));
    json_decref(sources);
}

/* A field asks when nothing fills it in: no "from", and it is not locked. */
static void walk(struct looking *l, const json_t *v, const json_t *form, int depth)
{
    const char *key;
    json_t *one;
    size_t i;
    if (depth > DEPTH || l->n > FIELDS_MAX)
        return;
    if (json_is_array(v)) {
        json_array_foreach((json_t *)v, i, one)
        {
            walk(l, one, form, depth + 1);
        }
        return;
    }
    if (json_get(v, "name") && json_get(v, "type") && json_is_object(json_get(v, "label"))) {
        const json_t *datum = json_get(v, "from") ? NULL : datum_of(l, v);
        l->n++;
        if (datum)
            flag(l, v, datum, form);
        return;
    }
    json_object_foreach((json_t *)v, key, one)
    {
        walk(l, one, form, depth + 1);
    }
}

enum err once_only_check(struct ctx *c, struct str text, json_t **out)
{
    json_t *form, *data;
    struct looking l = {.c = c, .found = json_own(&c->pool, json_array())};
    if (json_read(text, &form, NULL) != ERR_OK)
        return ERR_INVALID;
    json_own(&c->pool, form);
    enum err e = vocabulary_list(c, &data);
    if (e != ERR_OK)
        return e;
    l.data = data;
    walk(&l, form, form, 0);
    *out = json_own(&c->pool, json_pack("{s:b,s:i,s:O}", "holds", json_array_size(l.found) == 0,
                                        "fields", (int)l.n, "items", l.found));
    return ERR_OK;
}

/* catalogue.once_only: {text}: a form of docs/formats/procedure.md. */
enum err once_only_call(struct ctx *c, const json_t *args, json_t **out)
{
    enum err e = once_only_check(c, json_get_str(args, "text"), out);
    if (e == ERR_OK)
        json_incref(*out);
    return e;
}

static const struct fault f_form = {"CAT-422-FORM", 422, "catalogue", "Not a form's JSON"};

enum err api_once_only(struct ctx *c)
{
    json_t *out;
    enum err e = once_only_check(c, c->rq->body, &out);
    return e == ERR_OK        ? ctx_json(c, 200, json_incref(out))
           : e == ERR_INVALID ? ctx_fail(c, &f_form, e, STR_NONE)
                              : e;
}

enum err page_once_only(struct ctx *c)
{
    return ctx_page(c, "catalogue/once_only", json_pack("{s:s}", "form", ""));
}

enum err page_once_only_post(struct ctx *c)
{
    json_t *out;
    struct str text = ctx_form(c, "form");
    text = text.p ? text : STR("");
    enum err e = once_only_check(c, text, &out);
    if (e != ERR_OK && e != ERR_INVALID)
        return e;
    json_t *d = json_pack("{s:o}", "form", jstr(text));
    if (e == ERR_OK)
        json_object_set(d, "result", out);
    else
        json_object_set_new(d, "wrong", json_true());
    if (e == ERR_INVALID)
        c->rs->status = 422;
    return ctx_page(c, "catalogue/once_only", d);
}
