/* Forms: what is asked, checked on the server alone. */
#include "commons/procedures/form.h"

#include <stdio.h>
#include "base/clock.h"
#include "data/fold.h"
#include "web/pages.h"

enum { TEXT_MAX = 400, CHOICES_MAX = 12 };

static struct str text_of(struct ctx *c, const char *key, const json_t *data)
{
    return pages_text(c->arena, "procedures", key, c->lang, data);
}

static json_t *jstr(struct str s)
{
    return json_stringn(s.p ? s.p : "", s.n);
}

/* "2026-09-15" as people read dates. Partial dates (1970-00-00) keep what they have. */
static struct str date_in_words(struct ctx *c, struct str iso)
{
    uint64_t y = 0, m = 0, d = 0;
    if (iso.n != 10 || !str_to_u64(str_sub(iso, 0, 4), &y) || !str_to_u64(str_sub(iso, 5, 2), &m) ||
        !str_to_u64(str_sub(iso, 8, 2), &d))
        return iso;
    if (m == 0)
        return str_sub(iso, 0, 4);
    struct tm tm = {.tm_year = (int)y - 1900, .tm_mon = (int)m - 1,
                    .tm_mday = d ? (int)d : 1, .tm_hour = 12};
    return clock_in_words(c->arena, (int64_t)timegm(&tm) * 1000, c->lang, false);
}

static const json_t *source_def(const struct dossier *d, const char *id)
{
    size_t i;
    json_t *s;
    json_array_foreach(json_get(d->procedure->def, "sources"), i, s)
    {
        if (strcmp(json_get_z(s, "id", ""), id) == 0)
            return s;
    }
    return NULL;
}

/* {provider, date} for the source line; NULL when the person typed it herself. */
static json_t *source_of(struct ctx *c, const struct dossier *d, const json_t *value)
{
    const char *id = json_get_z(value, "source", NULL);
    if (!id || json_get_bool(value, "corrected", false))
        return NULL;
    if (strcmp(id, "identity") == 0) {
        struct str who = text_of(c, "source.identity", NULL);
        struct str when = clock_in_words(c->arena, json_get_i64(value, "at", 0), c->lang, false);
        return json_pack("{s:o,s:o}", "provider", jstr(who), "date", jstr(when));
    }
    const json_t *def = source_def(d, id);
    struct str when = date_in_words(c, json_get_str(value, "date"));
    return json_pack("{s:s,s:o}", "provider", def_text(c, json_get(def, "provider")), "date",
                     jstr(when));
}

static const char *type_of(const json_t *field)
{
    return json_get_z(field, "type", "text");
}

/* What is shown of a value: a commune's name, a date in words, else the text. */
static struct str shown(struct ctx *c, const json_t *field, const json_t *value)
{
    struct str v = json_get_str(value, "v"), label = json_get_str(value, "label");
    bool date = strcmp(type_of(field), "date") == 0 ||
                strcmp(json_get_z(json_get(field, "from"), "as", ""), "date") == 0;
    return label.n ? label : date ? date_in_words(c, v) : v;
}

static void set_date_parts(json_t *out, struct str iso)
{
    bool whole = iso.n == 10;
    struct str y = str_sub(iso, 0, 4), m = str_sub(iso, 5, 2), d = str_sub(iso, 8, 2);
    json_t *date = json_object();
    json_object_set_new(date, "day", jstr(whole ? d : STR("")));
    json_object_set_new(date, "month", jstr(whole ? m : STR("")));
    json_object_set_new(date, "year", jstr(whole ? y : STR("")));
    json_object_set_new(out, "date", date);
}

static json_t *choices(const json_t *value)
{
    json_t *list = json_array(), *option;
    size_t i;
    json_array_foreach(json_get(value, "choices"), i, option)
    {
        char id[64];
        snprintf(id, sizeof id, "choice-%d", (int)i);
        json_t *o = json_copy(option);
        json_object_set_new(o, "id", json_string(id));
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *one_field(struct ctx *c, const struct dossier *d, const json_t *field,
                         const json_t *errors)
{
    const char *name = json_get_z(field, "name", ""), *type = type_of(field);
    const json_t *value = dossier_value(d, name);
    json_t *f = json_object(), *input = json_object();
    json_t *source = source_of(c, d, value);
    struct str text = shown(c, field, value);
    json_object_set_new(f, "id", json_string(name));
    json_object_set_new(f, "name", json_string(name));
    json_object_set_new(f, "label", json_string(def_text(c, json_get(field, "label"))));
    if (json_get(field, "hint"))
        json_object_set_new(f, "hint", json_string(def_text(c, json_get(field, "hint"))));
    json_object_set_new(f, "optional", json_boolean(json_get_bool(field, "optional", false)));
    if (json_get(errors, name))
        json_object_set(f, "error", json_get(errors, name));
    if (source)
        json_object_set_new(f, "source", source);
    if (json_get_bool(field, "locked", false) && text.n && source) {
        json_object_set_new(f, "locked", json_true());
        json_object_set_new(f, "value", jstr(text));
    } else if (strcmp(type, "date") == 0) {
        set_date_parts(f, json_get_str(value, "v"));
    } else if (json_get(value, "choices") && json_get(errors, name)) {
        json_object_set_new(f, "radio", json_true());
        json_object_set_new(f, "options", choices(value));
    } else {
        json_object_set_new(input, "value", jstr(text));
        json_object_set_new(input, "type",
                            json_string(strcmp(type, "email") == 0 ? "email" : "text"));
        if (json_get(field, "autocomplete"))
            json_object_set(input, "autocomplete", json_get(field, "autocomplete"));
        json_object_set_new(input, "maxlength",
                            json_integer(json_get_i64(field, "max", TEXT_MAX)));
        json_object_set_new(f, "text", input);
        return f;
    }
    json_decref(input);
    return f;
}

json_t *form_fields(struct ctx *c, const struct dossier *d, size_t step, const json_t *errors)
{
    json_t *list = json_array(), *field;
    size_t i;
    json_array_foreach(json_get(procedure_step(d->procedure, step), "fields"), i, field)
    {
        json_array_append_new(list, one_field(c, d, field, errors));
    }
    return list;
}

/* ---- taking ------------------------------------------------------------------------------------ */
static bool date_exists(unsigned y, unsigned m, unsigned d)
{
    static const unsigned days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
    return y >= 1900 && y <= 2100 && m >= 1 && m <= 12 && d >= 1 &&
           d <= days[m - 1] + (m == 2 && leap ? 1u : 0u);
}

static const char *take_date(struct ctx *c, const char *name, json_t **value)
{
    uint64_t part[3] = {0, 0, 0};
    static const char *const names[] = {"day", "month", "year"};
    bool any = false, all = true;
    for (size_t i = 0; i < 3; i++) {
        struct str text = str_trim(ctx_form(c, arena_printf(c->arena, "%s.%s", name, names[i]).p));
        any = any || text.n;
        all = str_to_u64(text, &part[i]) && all;
    }
    if (!any)
        return "error.required";
    if (!all || part[2] > 9999 || part[1] > 12 || part[0] > 31 ||
        !date_exists((unsigned)part[2], (unsigned)part[1], (unsigned)part[0]))
        return "error.date";
    struct str iso = arena_printf(c->arena, "%04d-%02d-%02d", (int)part[2], (int)part[1],
                                  (int)part[0]);
    *value = json_pack("{s:o}", "v", jstr(iso));
    return NULL;
}

/* What was typed is a code chosen from the list, or words that find exactly one commune; else the
 * matches are offered. */
static const char *take_commune(struct ctx *c, struct str text, json_t **value)
{
    json_t *found = NULL, *args;
    args = json_pack("{s:s,s:o}", "register", "communes", "key", jstr(text));
    enum err e = platform_call(c, "registers.find", args, &found);
    json_decref(args);
    if (e == ERR_OK) {
        *value = json_pack("{s:O,s:O}", "v", json_get(found, "key"), "label",
                           json_get(found, "label"));
        return NULL;
    }
    args = json_pack("{s:s,s:o,s:i}", "register", "communes", "q", jstr(text), "limit", CHOICES_MAX);
    e = platform_call(c, "registers.search", args, &found);
    json_decref(args);
    json_t *items = e == ERR_OK ? json_get(found, "items") : NULL;
    size_t n = json_array_size(items), exact = 0, i, at = 0;
    json_t *row;
    struct str folded = text_fold(c->arena, text);
    json_array_foreach(items, i, row)
    {
        if (str_eq(text_fold(c->arena, json_get_str(row, "label")), folded)) {
            exact++;
            at = i;
        }
    }
    if (exact == 1 || n == 1) {
        row = json_array_get(items, exact == 1 ? at : 0);
        *value = json_pack("{s:O,s:O}", "v", json_get(row, "key"), "label", json_get(row, "label"));
        return NULL;
    }
    *value = json_pack("{s:s,s:o}", "v", "", "label", jstr(text));
    if (n == 0)
        return "error.commune_unknown";
    json_t *list = json_array();
    json_array_foreach(items, i, row)
    {
        struct str label = arena_printf(c->arena, "%s (%s)", json_get_z(row, "label", ""),
                                        json_get_z(row, "departement_nom", ""));
        json_array_append_new(list, json_pack("{s:O,s:o}", "value", json_get(row, "key"), "label",
                                              jstr(label)));
    }
    json_object_set_new(*value, "choices", list);
    return "error.commune_choose";
}

static const char *take_text(const json_t *field, struct str text, json_t **value)
{
    bool email = strcmp(type_of(field), "email") == 0;
    *value = json_pack("{s:o}", "v", jstr(text));
    if ((int64_t)text.n > json_get_i64(field, "max", TEXT_MAX))
        return "error.too_long";
    ptrdiff_t at = str_find_char(text, '@');
    if (email && (at < 1 || str_find_char(str_after(text, (size_t)at), '.') < 2))
        return "error.email";
    return NULL;
}

/* One field; returns the key of what is wrong, or NULL. */
static const char *take_one(struct ctx *c, struct dossier *d, const json_t *field)
{
    const char *name = json_get_z(field, "name", ""), *type = type_of(field), *wrong;
    json_t *old = dossier_value(d, name), *value = NULL;
    if (json_get_bool(field, "locked", false) && json_get_str(old, "v").n &&
        json_get(old, "source"))
        return NULL;
    struct str text = str_trim(ctx_form(c, name));
    bool is_date = strcmp(type, "date") == 0;
    if (!is_date && old && text.n && str_eq(text, shown(c, field, old)) && json_get_str(old, "v").n)
        return NULL; /* left as it was: its source stays */
    bool optional = json_get_bool(field, "optional", false);
    if (is_date)
        wrong = take_date(c, name, &value);
    else if (text.n == 0)
        wrong = "error.required";
    else if (strcmp(type, "commune") == 0)
        wrong = take_commune(c, text, &value);
    else
        wrong = take_text(field, text, &value);
    if (wrong && strcmp(wrong, "error.required") == 0) {
        json_object_del(json_get(d->data, "values"), name);
        return optional ? NULL : wrong;
    }
    if (value && json_get(old, "source")) {
        json_object_set(value, "source", json_get(old, "source"));
        json_object_set_new(value, "corrected", json_true());
    }
    if (value)
        dossier_set(d, name, value);
    return wrong;
}

enum err form_take(struct ctx *c, struct dossier *d, size_t step, json_t **errors)
{
    size_t i;
    json_t *field;
    *errors = NULL;
    json_array_foreach(json_get(procedure_step(d->procedure, step), "fields"), i, field)
    {
        const char *wrong = take_one(c, d, field);
        if (!wrong)
            continue;
        if (!*errors)
            *errors = json_own(&c->pool, json_object());
        json_t *label = json_pack("{s:s}", "label", def_text(c, json_get(field, "label")));
        json_object_set_new(*errors, json_get_z(field, "name", ""), jstr(text_of(c, wrong, label)));
        json_decref(label);
    }
    return dossier_save(c, d);
}

/* ---- summary ----------------------------------------------------------------------------------- */
json_t *form_summary(struct ctx *c, const struct dossier *d, bool with_links)
{
    json_t *groups = json_array(), *step, *field;
    size_t s, i;
    json_array_foreach(json_get(d->procedure->form, "steps"), s, step)
    {
        json_t *rows = json_array();
        json_array_foreach(json_get(step, "fields"), i, field)
        {
            const json_t *value = dossier_value(d, json_get_z(field, "name", ""));
            json_t *row = json_pack("{s:s,s:o}", "label", def_text(c, json_get(field, "label")),
                                    "value", jstr(shown(c, field, value)));
            json_t *source = source_of(c, d, value);
            if (source)
                json_object_set_new(row, "source", source);
            if (json_get_bool(value, "corrected", false))
                json_object_set_new(row, "corrected", json_true());
            bool locked = json_get_bool(field, "locked", false) && source;
            if (with_links && !locked)
                json_object_set_new(row, "change_url",
                                    jstr(arena_printf(c->arena, "/dossiers/" STR_FMT "/etape/%d#%s",
                                                      STR_ARG(d->id), (int)s + 1,
                                                      json_get_z(field, "name", ""))));
            json_array_append_new(rows, row);
        }
        json_array_append_new(groups, json_pack("{s:s,s:o}", "title",
                                                def_text(c, json_get(step, "title")), "rows", rows));
    }
    return groups;
}

size_t form_first_missing(const struct dossier *d)
{
    size_t s, i;
    json_t *step, *field;
    json_array_foreach(json_get(d->procedure->form, "steps"), s, step)
    {
        json_array_foreach(json_get(step, "fields"), i, field)
        {
            const json_t *value = dossier_value(d, json_get_z(field, "name", ""));
            if (!json_get_bool(field, "optional", false) && json_get_str(value, "v").n == 0)
                return s;
        }
    }
    return d->procedure->n_steps;
}
