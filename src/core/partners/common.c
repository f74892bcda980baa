#include "core/partners/partners.h"

#include "base/clock.h"
#include "web/pages.h"

const struct fault partners_f_none = {"PAR-404-NONE", 404, "partners",
                                      "No Such Thing Of Your Teams"},
                   partners_f_field = {"PAR-422-FIELD", 422, "partners", "A Field Is Not Usable"},
                   partners_f_limit = {"PAR-409-LIMIT", 409, "partners", "Too Many Of These"},
                   partners_f_contract = {"PAR-409-CONTRACT", 409, "partners",
                                          "No Contract In Force"},
                   partners_f_state = {"PAR-409-STATE", 409, "partners", "Not In This State"},
                   partners_f_checks = {"PAR-409-CHECKS", 409, "partners", "Checks Not Passed"},
                   partners_f_invite = {"PAR-410-INVITE", 410, "partners", "Invitation Over"};

json_t *partners_text(struct ctx *c, const char *key)
{
    return json_str(pages_text(c->arena, "partners", key, c->lang, NULL));
}

enum err partners_call(struct ctx *c, const char *name, json_t *args, json_t **out)
{
    enum err e = platform_call(c, name, args, out);
    json_decref(args);
    return e;
}

struct str partners_actor(const struct ctx *c)
{
    return c->session ? c->session->subject : STR("operator");
}

enum err partners_act(struct ctx *c, const char *kind, struct str object, db_closure *fn, void *arg)
{
    struct act act;
    struct act_info info = {.kind = kind, .actor = partners_actor(c), .object = object};
    enum err e = act_make(c, &info, &act);
    return e == ERR_OK ? act_write(c, fn, arg, &act, 1) : e;
}

json_t *partners_when(struct ctx *c, int64_t at_ms)
{
    return json_str(clock_in_words(c->arena, at_ms, c->lang, true));
}

enum err partners_refuse(struct ctx *c, const char *field)
{
    return ctx_fail(c, &partners_f_field, ERR_INVALID, str_from(field));
}

bool partners_refused(const struct ctx *c, const char *field)
{
    return c->fault.code && strcmp(c->fault.code, partners_f_field.code) == 0 &&
           str_eq_z(c->fault_detail, field);
}

/* ---- forms --------------------------------------------------------------------------------------
 */
static json_t *words(struct ctx *c, const char *part, const char *name)
{
    return partners_text(c, arena_printf(c->arena, "%s.%s", part, name).p);
}

static json_t *options_of(struct ctx *c, const struct input *in, struct str value)
{
    json_t *list = json_array();
    for (size_t i = 0; i < in->n_options; i++) {
        const char *key = arena_printf(c->arena, "option.%s.%s", in->name, in->options[i]).p;
        json_array_append_new(list, json_pack("{s:s,s:o,s:b}", "value", in->options[i], "label",
                                              partners_text(c, key), "selected",
                                              str_eq_z(value, in->options[i])));
    }
    return list;
}

static json_t *field(struct ctx *c, const struct input *in, const json_t *values)
{
    static const char *const kinds[] = {"text", "textarea", "select"};
    struct str typed = ctx_form(c, in->name);
    struct str value = typed.p ? typed : json_get_str(values, in->name);
    json_t *f = json_pack("{s:s,s:s,s:o,s:o,s:b,s:o}", "id", in->name, "name", in->name, "label",
                          words(c, "label", in->name), "value", json_str(value), kinds[in->kind], 1,
                          "hint", words(c, "hint", in->name));
    if (in->optional)
        json_object_set_new(f, "optional", json_true());
    if (in->kind == INPUT_SELECT)
        json_object_set_new(f, "options", options_of(c, in, value));
    if (partners_refused(c, in->name))
        json_object_set_new(f, "error", words(c, "error", in->name));
    return f;
}

json_t *partners_fields(struct ctx *c, const struct input *in, size_t n, const json_t *values)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, field(c, &in[i], values));
    return list;
}

enum err partners_form_page(struct ctx *c, const char *name, const struct input *in, size_t n,
                            const json_t *values, const char *back_url)
{
    json_t *d = json_pack("{s:o,s:o,s:o,s:o,s:s}", "fields", partners_fields(c, in, n, values),
                          "title", words(c, name, "title"), "lead", words(c, name, "lead"), "send",
                          words(c, name, "send"), "back_url", back_url);
    for (size_t i = 0; i < n; i++)
        if (partners_refused(c, in[i].name)) {
            json_object_set_new(d, "error_summary",
                                json_pack("{s:[{s:s,s:o}]}", "items", "id", in[i].name, "text",
                                          words(c, "error", in[i].name)));
            c->rs->status = 422;
        }
    return ctx_page(c, "partners/form", d);
}
