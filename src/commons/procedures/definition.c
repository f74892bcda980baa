/* Definitions come from the services' folders compiled into the program. A wrong one stops the
 * start: better than a procedure that fails a citizen at its third page. The format, and each rule
 * checked here: docs/formats/procedure.md. */
#include "commons/procedures/procedures.h"

#include <stdarg.h>
#include <stdio.h>
#include "base/log.h"
#include "web/assets.h"

enum { PROCEDURES_MAX = 256, STEPS_MAX = 40, FIELDS_MAX = 1000, SOURCES_MAX = 8, NAME_MAX_N = 40 };
static const int64_t DAY_MS = 86400000;
static struct procedure list[PROCEDURES_MAX];
static size_t n_list;

/* ---- rules -------------------------------------------------------------------------------------
 */
struct reader {
    char *why;
    enum err err; /* the first fault holds */
};

static void wrong(struct reader *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void wrong(struct reader *r, const char *fmt, ...)
{
    va_list ap;
    if (r->err != ERR_OK)
        return;
    va_start(ap, fmt);
    vsnprintf(r->why, 256, fmt, ap);
    va_end(ap);
    r->err = ERR_INVALID;
}

/* Lower-case letters, digits and one separator; a letter first. */
static bool is_name(const char *s, char separator)
{
    size_t n = s ? strlen(s) : 0;
    for (size_t i = 0; i < n; i++)
        if (!((s[i] >= 'a' && s[i] <= 'z') || (i && s[i] >= '0' && s[i] <= '9') ||
              (i && s[i] == separator)))
            return false;
    return n > 0 && n <= NAME_MAX_N;
}

static bool is_text(const json_t *two)
{
    return json_get_str(two, "fr").n && json_get_str(two, "en").n;
}

static void need_text(struct reader *r, const json_t *obj, const char *key, const char *where)
{
    if (!is_text(json_get(obj, key)))
        wrong(r, "%s: \"%s\" needs a text in fr and in en", where, key);
}

static void may_text(struct reader *r, const json_t *obj, const char *key, const char *where)
{
    if (json_get(obj, key))
        need_text(r, obj, key, where);
}

static void read_sources(struct reader *r, const json_t *def)
{
    size_t i, k;
    json_t *s, *other;
    const json_t *sources = json_get(def, "sources");
    if (json_array_size(sources) > SOURCES_MAX)
        wrong(r, "sources: more than %d", SOURCES_MAX);
    json_array_foreach(sources, i, s)
    {
        const char *id = json_get_z(s, "id", NULL);
        if (!is_name(id, '_'))
            wrong(r, "sources[%zu]: \"id\" is not a name", i);
        if (id && strcmp(id, "identity") == 0)
            wrong(r, "sources[%zu]: \"identity\" is taken", i);
        if (!str_starts(json_get_str(s, "path"), STR("/gw/")))
            wrong(r, "sources[%zu]: \"path\" must begin with /gw/", i);
        need_text(r, s, "provider", "sources");
        json_array_foreach(sources, k, other)
        {
            if (k < i && id && strcmp(json_get_z(other, "id", ""), id) == 0)
                wrong(r, "sources: \"%s\" twice", id);
        }
    }
}

static const json_t *source_find(const json_t *def, const char *id)
{
    size_t i;
    json_t *s;
    json_array_foreach(json_get(def, "sources"), i, s)
    {
        if (strcmp(json_get_z(s, "id", ""), id) == 0)
            return s;
    }
    return NULL;
}

static void read_from(struct reader *r, const json_t *def, const json_t *field, const char *name)
{
    const json_t *from = json_get(field, "from");
    const char *claim = json_get_z(from, "claim", NULL), *source = json_get_z(from, "source", NULL);
    if (!from) {
        if (json_get_bool(field, "locked", false))
            wrong(r, "field %s: \"locked\" without \"from\" could never be answered", name);
        return;
    }
    if (!claim == !source)
        wrong(r, "field %s: \"from\" names a claim or a source", name);
    if (source && !source_find(def, source))
        wrong(r, "field %s: no source \"%s\"", name, source);
    if (source && !json_get_str(from, "path").n && !json_array_size(json_get(from, "paths")))
        wrong(r, "field %s: \"from\" needs \"path\" or \"paths\"", name);
}

static void read_options(struct reader *r, const json_t *field, const char *name)
{
    size_t i, k;
    json_t *o, *other;
    const json_t *options = json_get(field, "options");
    if (json_array_size(options) < 2)
        wrong(r, "field %s: a choice needs two options or more", name);
    json_array_foreach(options, i, o)
    {
        if (!is_name(json_get_z(o, "value", NULL), '_') || !is_text(json_get(o, "label")))
            wrong(r, "field %s: option %zu needs a value and a label", name, i);
        json_array_foreach(options, k, other)
        {
            if (k < i && str_eq(json_get_str(other, "value"), json_get_str(o, "value")))
                wrong(r, "field %s: option %zu has the value of another", name, i);
        }
    }
}

static void read_field(struct reader *r, const json_t *def, const json_t *field, json_t *names)
{
    static const char *const types[] = {"text", "textarea", "email",    "tel",    "integer",
                                        "date", "choice",   "checkbox", "commune"};
    const char *name = json_get_z(field, "name", NULL), *type = json_get_z(field, "type", "text");
    bool known = false;
    if (!is_name(name, '_')) {
        wrong(r, "a field's \"name\" is missing, or not lower-case letters, digits and _");
        return;
    }
    if (json_get(names, name))
        wrong(r, "field %s: the name is used twice", name);
    json_object_set_new(names, name, json_true());
    for (size_t i = 0; i < COUNT_OF(types); i++)
        known = known || strcmp(type, types[i]) == 0;
    if (!known)
        wrong(r, "field %s: no type \"%s\"", name, type);
    need_text(r, field, "label", name);
    may_text(r, field, "hint", name);
    if (strcmp(type, "choice") == 0)
        read_options(r, field, name);
    if (json_get(field, "max") && json_get_i64(field, "max", 0) < 1)
        wrong(r, "field %s: \"max\" must be 1 or more", name);
    if (json_get_i64(field, "min", 0) > json_get_i64(field, "max", INT64_MAX))
        wrong(r, "field %s: \"min\" is over \"max\"", name);
    read_from(r, def, field, name);
}

static void read_form(struct reader *r, const json_t *def, const json_t *form)
{
    json_t *names = json_object(), *step, *field;
    size_t i, k;
    if (json_get_i64(form, "v", 0) != 1)
        wrong(r, "form: \"v\" must be 1");
    size_t n = json_array_size(json_get(form, "steps"));
    if (n == 0 || n > STEPS_MAX)
        wrong(r, "form: 1 to %d steps", STEPS_MAX);
    json_array_foreach(json_get(form, "steps"), i, step)
    {
        need_text(r, step, "title", "a step");
        may_text(r, step, "intro", "a step");
        if (json_array_size(json_get(step, "fields")) == 0)
            wrong(r, "step %zu: no field", i + 1);
        json_array_foreach(json_get(step, "fields"), k, field)
        {
            read_field(r, def, field, names);
        }
    }
    if (json_object_size(names) > FIELDS_MAX)
        wrong(r, "form: more than %d fields", FIELDS_MAX);
    json_decref(names);
}

static void read_words(struct reader *r, const json_t *def)
{
    static const char *const lists[] = {"needs", "help", "next"};
    size_t i;
    json_t *v;
    for (size_t k = 0; k < COUNT_OF(lists); k++) {
        json_array_foreach(json_get(def, lists[k]), i, v)
        {
            if (!is_text(v))
                wrong(r, "%s[%zu]: a text in fr and in en", lists[k], i);
        }
    }
    json_array_foreach(json_get(def, "known"), i, v)
    {
        if (!is_text(json_get(v, "label")) || !is_text(json_get(v, "provider")))
            wrong(r, "known[%zu]: \"label\" and \"provider\" in fr and in en", i);
    }
}

static void read_service(struct reader *r, const json_t *def)
{
    static const char *const optional[] = {"audience", "cost", "legal_basis", "appeal"};
    if (json_get_i64(def, "v", 0) != 1)
        wrong(r, "\"v\" must be 1");
    if (!is_name(json_get_z(def, "id", NULL), '-'))
        wrong(r, "\"id\" is missing, or not lower-case letters, digits and -");
    if (!json_get_str(def, "org").n)
        wrong(r, "\"org\" is missing");
    if (json_get_i64(def, "version", 0) < 1)
        wrong(r, "\"version\" must be 1 or more");
    need_text(r, def, "title", "the procedure");
    need_text(r, def, "summary", "the procedure");
    for (size_t i = 0; i < COUNT_OF(optional); i++)
        may_text(r, def, optional[i], "the procedure");
    may_text(r, json_get(def, "decision"), "accepted", "decision");
    may_text(r, json_get(def, "decision"), "refused", "decision");
    if (json_get_i64(def, "delay_days", 1) < 1 || json_get_i64(def, "delay_days", 1) > 3650)
        wrong(r, "\"delay_days\": 1 to 3650");
    read_words(r, def);
    read_sources(r, def);
}

enum err definition_read(struct str service, struct str form, struct procedure *out, char why[256])
{
    struct reader r = {why, ERR_OK};
    struct json_fault fault;
    *out = (struct procedure){0};
    why[0] = '\0';
    if (json_read(service, &out->def, &fault) != ERR_OK)
        wrong(&r, "service.json, line %d: %s", fault.line, fault.text);
    else if (json_read(form, &out->form, &fault) != ERR_OK)
        wrong(&r, "form, line %d: %s", fault.line, fault.text);
    if (r.err == ERR_OK)
        read_service(&r, out->def);
    if (r.err == ERR_OK)
        read_form(&r, out->def, out->form);
    if (r.err != ERR_OK) {
        json_decref(out->def);
        json_decref(out->form);
        *out = (struct procedure){0};
        return r.err;
    }
    out->id = json_get_z(out->def, "id", "");
    out->org = json_get_z(out->def, "org", "");
    out->version = (int)json_get_i64(out->def, "version", 0);
    out->n_steps = json_array_size(json_get(out->form, "steps"));
    return ERR_OK;
}

/* ---- loading -----------------------------------------------------------------------------------
 */
static enum err refuse(const char *path, const char *why)
{
    log_error("procedure_refused", "file", path, "why", why);
    return ERR_INVALID;
}

/* The form's file is named by the service: looked up before the whole is judged. A service that
 * names none is no procedure (.p NULL). */
static struct str form_of(const struct asset *a, const char *folder)
{
    json_t *def = NULL;
    char path[256];
    if (json_read(str_of(a->data, a->size), &def, NULL) != ERR_OK)
        return STR("");
    snprintf(path, sizeof path, "%s/forms/%s.json", folder, json_get_z(def, "form", ""));
    struct str form = json_get(def, "form") ? asset_get(path) : STR_NONE;
    if (json_get(def, "form") && !form.p)
        form = STR("");
    json_decref(def);
    return form;
}

static enum err load_one(const struct asset *a)
{
    static char folders[PROCEDURES_MAX][128];
    struct procedure *p = &list[n_list];
    char why[256], *folder = folders[n_list];
    size_t n = strlen(a->path) - strlen("/service.json");
    if (n_list == PROCEDURES_MAX || n >= sizeof folders[0])
        return refuse(a->path, "too many procedures, or a name too long");
    memcpy(folder, a->path, n);
    folder[n] = '\0';
    struct str form = form_of(a, folder);
    if (!form.p)
        return ERR_OK;
    if (definition_read(str_of(a->data, a->size), form, p, why) != ERR_OK)
        return refuse(a->path, why);
    if (procedure_find(str_from(p->id)))
        return refuse(a->path, "another service has this id");
    p->folder = folder;
    p->index = search_index_new(p);
    n_list++;
    return ERR_OK;
}

enum err definitions_load(void)
{
    const struct asset *a;
    size_t at = 0;
    enum err e = ERR_OK;
    if (n_list)
        return ERR_OK;
    while (e == ERR_OK && (a = asset_next("services/", &at)) != NULL)
        if (str_ends(str_from(a->path), STR("/service.json")))
            e = load_one(a);
    return e;
}

/* ---- reading -----------------------------------------------------------------------------------
 */
const struct procedure *procedure_find(struct str id)
{
    for (size_t i = 0; i < n_list; i++)
        if (str_eq_z(id, list[i].id))
            return &list[i];
    return NULL;
}

const struct procedure *procedure_at(size_t i)
{
    return i < n_list ? &list[i] : NULL;
}

const char *def_text(const struct ctx *c, const json_t *two)
{
    return json_get_z(two, c->lang, "");
}

json_t *procedure_step(const struct procedure *p, size_t step)
{
    return json_array_get(json_get(p->form, "steps"), step);
}

int64_t procedure_deadline_ms(const struct procedure *p, int64_t submitted_ms)
{
    int64_t days = json_get_i64(p->def, "delay_days", 0);
    return days ? submitted_ms + days * DAY_MS : 0;
}
