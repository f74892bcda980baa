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

/* "2026-09-15" as people read dates. Partial dates (1970-00-00) keep what they have. */
static struct str date_in_words(struct ctx *c, struct str iso)
{
    uint64_t y = 0, m = 0, d = 0;
    if (iso.n != 10 || !str_to_u64(str_sub(iso, 0, 4), &y) || !str_to_u64(str_sub(iso, 5, 2), &m) ||
        !str_to_u64(str_sub(iso, 8, 2), &d))
        return iso;
    if (m == 0)
        return str_sub(iso, 0, 4);
    struct tm tm = {
        .tm_year = (int)y - 1900, .tm_mon = (int)m - 1, .tm_mday = d ? (int)d : 1, .tm_hour = 12};
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

static struct str provider_of(struct ctx *c, const struct dossier *d, const char *id)
{
    return strcmp(id, "identity") == 0
               ? text_of(c, "source.identity", NULL)
               : str_from(def_text(c, json_get(source_def(d, id), "provider")));
}

/* {provider, date} for the source line; NULL when the person typed it herself. */
static json_t *source_of(struct ctx *c, const struct dossier *d, const json_t *value)
{
    const char *id = json_get_z(value, "source", NULL);
    if (!id || json_get_bool(value, "corrected", false))
        return NULL;
    struct str when = json_get(value, "at")
                          ? clock_in_words(c->arena, json_get_i64(value, "at", 0), c->lang, false)
                          : date_in_words(c, json_get_str(value, "date"));
    return json_pack("{s:o,s:o}", "provider", json_str(provider_of(c, d, id)), "date",
                     json_str(when));
}

/* {provider, was} of a value that the person changed. */
static json_t *corrected_of(struct ctx *c, const struct dossier *d, const json_t *value)
{
    const char *id = json_get_z(value, "source", NULL);
    if (!id || !json_get_bool(value, "corrected", false))
        return NULL;
    return json_pack("{s:o,s:o}", "provider", json_str(provider_of(c, d, id)), "was",
                     json_str(json_get_str(value, "was")));
}

static const char *type_of(const json_t *field)
{
    return json_get_z(field, "type", "text");
}

static bool is_type(const json_t *field, const char *type)
{
    return strcmp(type_of(field), type) == 0;
}

static const json_t *option_find(const json_t *field, struct str value)
{
    size_t i;
    json_t *o;
    json_array_foreach(json_get(field, "options"), i, o)
    {
        if (str_eq(json_get_str(o, "value"), value))
            return o;
    }
    return NULL;
}

/* What is shown of a value: a commune's name, a date in words, an option's label, else the text. */
static struct str shown(struct ctx *c, const json_t *field, const json_t *value)
{
    struct str v = json_get_str(value, "v"), label = json_get_str(value, "label");
    bool date = is_type(field, "date") ||
                strcmp(json_get_z(json_get(field, "from"), "as", ""), "date") == 0;
    const json_t *option = v.n ? option_find(field, v) : NULL;
    if (label.n)
        return label;
    if (option)
        return str_from(def_text(c, json_get(option, "label")));
    if (is_type(field, "checkbox") && v.n)
        return text_of(c, "yes", NULL);
    return date && v.n ? date_in_words(c, v) : v;
}

/* The parts of a date as typed, also when they make none. */
static void set_date(json_t *f, const json_t *value)
{
    struct str iso = json_get_str(value, "v");
    json_object_set_new(f, "date", json_true());
    if (json_get(value, "parts")) {
        json_object_update(f, json_get(value, "parts"));
    } else if (iso.n == 10) {
        json_object_set_new(f, "day", json_str(str_sub(iso, 8, 2)));
        json_object_set_new(f, "month", json_str(str_sub(iso, 5, 2)));
        json_object_set_new(f, "year", json_str(str_sub(iso, 0, 4)));
    }
}

static json_t *option_json(const char *name, size_t i, const json_t *value, const json_t *label,
                           bool selected)
{
    char id[96];
    snprintf(id, sizeof id, "%.60s-%zu", name, i);
    return json_pack("{s:s,s:O,s:O,s:b}", "id", id, "value", value, "label", label, "selected",
                     selected);
}

/* The options of a choice, or the communes that were found for what was typed. */
static json_t *options(const json_t *field, const json_t *list, const json_t *value)
{
    json_t *out = json_array(), *o;
    const char *name = json_get_z(field, "name", "");
    struct str v = json_get_str(value, "v");
    size_t i;
    json_array_foreach(list, i, o)
    {
        json_array_append_new(out, option_json(name, i, json_get(o, "value"), json_get(o, "label"),
                                               v.n && str_eq(v, json_get_str(o, "value"))));
    }
    return out;
}

static void set_text(struct ctx *c, json_t *f, const json_t *field, const json_t *value)
{
    static const char *const types[][3] = {/* field, input's type, inputmode */
                                           {"email", "email", NULL},
                                           {"tel", "tel", NULL},
                                           {"integer", "text", "numeric"}};
    bool number = is_type(field, "integer");
    json_object_set_new(f, is_type(field, "textarea") ? "textarea" : "text", json_true());
    json_object_set_new(f, "value", json_str(shown(c, field, value)));
    for (size_t i = 0; i < COUNT_OF(types); i++) {
        if (!is_type(field, types[i][0]))
            continue;
        json_object_set_new(f, "type", json_string(types[i][1]));
        if (types[i][2])
            json_object_set_new(f, "inputmode", json_string(types[i][2]));
    }
    if (json_get(field, "autocomplete"))
        json_object_set(f, "autocomplete", json_get(field, "autocomplete"));
    json_object_set_new(f, "maxlength",
                        json_integer(number ? 20 : json_get_i64(field, "max", TEXT_MAX)));
}

/* What the question is asked with. */
static void set_control(struct ctx *c, json_t *f, const json_t *field, const json_t *value)
{
    bool choice = is_type(field, "choice");
    if (is_type(field, "date")) {
        set_date(f, value);
    } else if (choice || json_get(value, "choices")) {
        json_object_set_new(f, "radio", json_true());
        json_object_set_new(
            f, "options",
            options(field, choice ? json_get(field, "options") : json_get(value, "choices"),
                    value));
    } else if (is_type(field, "checkbox")) {
        json_object_set_new(f, "checkbox", json_true());
        json_object_set_new(f, "value", json_string("yes"));
        json_object_set_new(f, "selected", json_boolean(json_get_str(value, "v").n > 0));
    } else {
        set_text(c, f, field, value);
    }
}

static struct str error_text(struct ctx *c, const json_t *field, const char *key)
{
    json_t *with = json_pack("{s:s,s:I,s:I}", "label", def_text(c, json_get(field, "label")), "max",
                             (json_int_t)json_get_i64(field, "max", TEXT_MAX), "min",
                             (json_int_t)json_get_i64(field, "min", 0));
    struct str text = text_of(c, key, with);
    json_decref(with);
    return text;
}

static json_t *one_field(struct ctx *c, const struct dossier *d, const json_t *field,
                         const json_t *errors)
{
    const char *name = json_get_z(field, "name", "");
    const json_t *value = dossier_value(d, name);
    const char *wrong = json_get_z(value, "wrong", NULL);
    json_t *f = json_object(), *source = source_of(c, d, value);
    json_object_set_new(f, "id", json_string(name));
    json_object_set_new(f, "name", json_string(name));
    json_object_set_new(f, "label", json_string(def_text(c, json_get(field, "label"))));
    if (json_get(field, "hint"))
        json_object_set_new(f, "hint", json_string(def_text(c, json_get(field, "hint"))));
    json_object_set_new(f, "optional", json_boolean(json_get_bool(field, "optional", false)));
    if (json_get(errors, name))
        json_object_set(f, "error", json_get(errors, name));
    else if (wrong)
        json_object_set_new(f, "error", json_str(error_text(c, field, wrong)));
    if (source)
        json_object_set_new(f, "source", source);
    if (json_get_bool(field, "locked", false) && source && json_get_str(value, "v").n) {
        json_object_set_new(f, "locked", json_true());
        json_object_set_new(f, "value", json_str(shown(c, field, value)));
    } else {
        set_control(c, f, field, value);
    }
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

/* ---- taking ------------------------------------------------------------------------------------
 */
static bool date_exists(unsigned y, unsigned m, unsigned d)
{
    static const unsigned days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
    return y >= 1900 && y <= 2100 && m >= 1 && m <= 12 && d >= 1 &&
           d <= days[m - 1] + (m == 2 && leap ? 1u : 0u);
}

/* Three parts, or one text "2026-09-15" from a program. */
static const char *take_date(struct ctx *c, const char *name, json_t **value)
{
    static const char *const names[] = {"day", "month", "year"};
    uint64_t part[3] = {0, 0, 0};
    struct str iso = str_trim(ctx_form(c, name)), text[3];
    bool any = iso.n > 0, all = true;
    for (size_t i = 0; i < 3; i++) {
        text[i] = str_trim(ctx_form(c, arena_printf(c->arena, "%s.%s", name, names[i]).p));
        if (iso.n == 10 && iso.p[4] == '-' && iso.p[7] == '-')
            text[i] = i == 2 ? str_sub(iso, 0, 4) : str_sub(iso, i == 1 ? 5 : 8, 2);
        any = any || text[i].n;
        all = str_to_u64(text[i], &part[i]) && all;
    }
    if (!any)
        return "error.required";
    if (!all || part[2] > 9999 || part[1] > 12 || part[0] > 31 ||
        !date_exists((unsigned)part[2], (unsigned)part[1], (unsigned)part[0])) {
        *value = json_pack(
            "{s:s,s:{s:o,s:o,s:o}}", "v", "", "parts", "day", json_str(str_sub(text[0], 0, 8)),
            "month", json_str(str_sub(text[1], 0, 8)), "year", json_str(str_sub(text[2], 0, 8)));
        return "error.date";
    }
    *value = json_pack("{s:o}", "v",
                       json_str(arena_printf(c->arena, "%04d-%02d-%02d", (int)part[2], (int)part[1],
                                             (int)part[0])));
    return NULL;
}

/* The communes that answer to what was typed, to choose from; and the way out of the list. */
static json_t *commune_choices(struct ctx *c, const json_t *items)
{
    json_t *list = json_array(), *row;
    size_t i;
    json_array_foreach(items, i, row)
    {
        struct str label = arena_printf(c->arena, "%s – %s", json_get_z(row, "label", ""),
                                        json_get_z(row, "departement_nom", ""));
        json_array_append_new(
            list, json_pack("{s:O,s:o}", "value", json_get(row, "key"), "label", json_str(label)));
    }
    json_array_append_new(list, json_pack("{s:s,s:o}", "value", "", "label",
                                          json_str(text_of(c, "form.commune_other", NULL))));
    return list;
}

/* The one that was named: by its whole label, else alone of its name, else alone of its postcode.
 */
static const json_t *commune_named(struct ctx *c, const json_t *items, struct str text)
{
    static const char *const matches[] = {"name", "word"};
    struct str folded = text_fold(c->arena, text);
    json_t *row;
    size_t i;
    json_array_foreach(items, i, row)
    {
        if (str_eq(text_fold(c->arena, json_get_str(row, "label")), folded))
            return row;
    }
    for (size_t k = 0; k < COUNT_OF(matches); k++) {
        const json_t *only = NULL;
        size_t n = 0;
        json_array_foreach(items, i, row)
        {
            if (strcmp(json_get_z(row, "match", ""), matches[k]) == 0) {
                only = row;
                n++;
            }
        }
        if (n)
            return n == 1 ? only : NULL;
    }
    return NULL;
}

/* What was typed is a code chosen from the list, or words that name exactly one commune; else the
 * matches are offered. */
static const char *take_commune(struct ctx *c, struct str text, json_t **value)
{
    json_t *found = NULL, *args;
    args = json_pack("{s:s,s:o}", "register", "communes", "key", json_str(text));
    enum err e = platform_call(c, "registers.find", args, &found);
    json_decref(args);
    const json_t *named = e == ERR_OK ? found : NULL;
    json_t *items = NULL;
    if (!named) {
        args = json_pack("{s:s,s:o,s:i}", "register", "communes", "q", json_str(text), "limit",
                         CHOICES_MAX);
        e = platform_call(c, "registers.search", args, &found);
        json_decref(args);
        items = e == ERR_OK ? json_get(found, "items") : NULL;
        named = commune_named(c, items, text);
    }
    if (named) {
        *value =
            json_pack("{s:O,s:O}", "v", json_get(named, "key"), "label", json_get(named, "label"));
        return NULL;
    }
    *value = json_pack("{s:s,s:o}", "v", "", "label", json_str(str_sub(text, 0, TEXT_MAX)));
    if (json_array_size(items) == 0)
        return "error.commune_unknown";
    json_object_set_new(*value, "choices", commune_choices(c, items));
    return "error.commune_choose";
}

static bool is_email(struct str s)
{
    ptrdiff_t at = str_find_char(s, '@');
    struct str domain = at < 1 ? STR("") : str_after(s, (size_t)at + 1);
    ptrdiff_t dot = str_find_char(domain, '.');
    return dot > 0 && domain.p[domain.n - 1] != '.' && str_find_char(domain, '@') < 0 &&
           str_find_char(s, ' ') < 0;
}

static bool is_tel(struct str s)
{
    size_t digits = 0;
    for (size_t i = 0; i < s.n; i++) {
        bool digit = s.p[i] >= '0' && s.p[i] <= '9';
        if (!digit && !strchr(" .-()", s.p[i]) && !(i == 0 && s.p[i] == '+'))
            return false;
        digits += digit;
    }
    return digits >= 6 && digits <= 15; /* E.164 */
}

/* Characters, not bytes: what the page's maxlength counts, but for the rarest. */
static size_t length(struct str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += ((unsigned char)s.p[i] & 0xC0) != 0x80;
    return n;
}

static const char *take_integer(const json_t *field, struct str text, json_t **value)
{
    int64_t v;
    *value = json_pack("{s:o}", "v", json_str(str_sub(text, 0, 40)));
    if (!str_to_i64(text, &v))
        return "error.integer";
    return v < json_get_i64(field, "min", 0)           ? "error.min"
           : v > json_get_i64(field, "max", INT64_MAX) ? "error.max"
                                                       : NULL;
}

static const char *take_text(const json_t *field, struct str text, json_t **value)
{
    size_t max = (size_t)json_get_i64(field, "max", TEXT_MAX);
    if (is_type(field, "integer"))
        return take_integer(field, text, value);
    *value = json_pack("{s:o}", "v", json_str(text));
    if (is_type(field, "choice"))
        return option_find(field, text) ? NULL : "error.choice";
    if (is_type(field, "checkbox"))
        return str_eq_z(text, "yes") || str_eq_z(text, "true") ? NULL : "error.choice";
    if (length(text) > max)
        return "error.too_long";
    if (is_type(field, "email"))
        return is_email(text) ? NULL : "error.email";
    if (is_type(field, "tel"))
        return is_tel(text) ? NULL : "error.tel";
    return NULL;
}

static const char *take_value(struct ctx *c, const json_t *field, struct str text, json_t **value)
{
    const char *name = json_get_z(field, "name", "");
    if (is_type(field, "date"))
        return take_date(c, name, value);
    if (text.n == 0)
        return is_type(field, "choice") || is_type(field, "checkbox") ? "error.required_choice"
                                                                      : "error.required";
    return is_type(field, "commune") ? take_commune(c, text, value) : take_text(field, text, value);
}

/* Where the value it replaces came from, and what it was: the agent sees both. */
static void set_corrected(json_t *value, const json_t *old)
{
    bool again = json_get_bool(old, "corrected", false);
    const json_t *was = again                    ? json_get(old, "was")
                        : json_get(old, "label") ? json_get(old, "label")
                                                 : json_get(old, "v");
    json_object_set(value, "source", json_get(old, "source"));
    json_object_set_new(value, "corrected", json_true());
    if (was)
        json_object_set(value, "was", (json_t *)was);
}

/* Nothing was answered: what a body had said is kept as put aside, so that it does not come back.
 */
static void take_nothing(struct dossier *d, const char *name, const json_t *old)
{
    if (json_get(old, "source")) {
        json_t *value = json_pack("{s:s}", "v", "");
        set_corrected(value, old);
        dossier_set(d, name, value);
    } else {
        json_object_del(json_get(d->data, "values"), name);
    }
}

/* One field; returns the key of what is wrong, or NULL. */
static const char *take_one(struct ctx *c, struct dossier *d, const json_t *field)
{
    const char *name = json_get_z(field, "name", "");
    json_t *old = dossier_value(d, name), *value = NULL;
    bool has = json_get_str(old, "v").n && !json_get(old, "wrong");
    if (json_get_bool(field, "locked", false) && has && json_get(old, "source"))
        return NULL;
    struct str text = str_trim(ctx_form(c, name));
    if (has && text.n &&
        (str_eq(text, shown(c, field, old)) || str_eq(text, json_get_str(old, "v"))))
        return NULL; /* left as it was: its source stays */
    const char *wrong = take_value(c, field, text, &value);
    if (!value) {
        take_nothing(d, name, old);
        return json_get_bool(field, "optional", false) ? NULL : wrong;
    }
    if (wrong)
        json_object_set_new(value, "wrong", json_string(wrong));
    if (json_get(old, "source"))
        set_corrected(value, old);
    dossier_set(d, name, value);
    return wrong;
}

void form_take(struct ctx *c, struct dossier *d, size_t step, json_t **errors)
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
        json_object_set_new(*errors, json_get_z(field, "name", ""),
                            json_str(error_text(c, field, wrong)));
    }
}

json_t *form_error_summary(const json_t *fields)
{
    json_t *items = json_array(), *f;
    size_t i;
    json_array_foreach(fields, i, f)
    {
        const char *id = json_get_z(f, "id", "");
        char target[96];
        if (!json_get(f, "error"))
            continue;
        const json_t *first = json_array_get(json_get(f, "options"), 0);
        snprintf(target, sizeof target, "%.80s%s", first ? json_get_z(first, "id", "") : id,
                 json_get(f, "date") ? "-day" : "");
        json_array_append_new(items,
                              json_pack("{s:s,s:O}", "id", target, "text", json_get(f, "error")));
    }
    if (json_array_size(items))
        return json_pack("{s:o}", "items", items);
    json_decref(items);
    return NULL;
}

/* ---- summary -----------------------------------------------------------------------------------
 */
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
                                    "value", json_str(shown(c, field, value)));
            json_t *source = source_of(c, d, value);
            if (source)
                json_object_set_new(row, "source", source);
            json_t *corrected = corrected_of(c, d, value);
            if (corrected)
                json_object_set_new(row, "corrected", corrected);
            bool locked = json_get_bool(field, "locked", false) && source;
            if (with_links && !locked)
                json_object_set_new(
                    row, "change_url",
                    json_str(
                        arena_printf(c->arena, "/dossiers/" STR_FMT "/etape/%d?retour=verifier#%s",
                                     STR_ARG(d->id), (int)s + 1, json_get_z(field, "name", ""))));
            json_array_append_new(rows, row);
        }
        json_array_append_new(
            groups,
            json_pack("{s:s,s:o}", "title", def_text(c, json_get(step, "title")), "rows", rows));
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
            bool none = json_get_str(value, "v").n == 0;
            if (json_get(value, "wrong") || (none && !json_get_bool(field, "optional", false)))
                return s;
        }
    }
    return d->procedure->n_steps;
}
