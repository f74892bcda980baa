/* The twins of the pages: the same acts, answered in JSON. A date in the form is one text
 * ("2026-09-15"); a commune is its code or its name. */
#include "commons/procedures/form.h"
#include "commons/procedures/view.h"

/* ---- what is shown -----------------------------------------------------------------------------
 */
static json_t *procedure_json(const struct procedure *p)
{
    return json_pack("{s:s,s:i,s:O,s:O,s:i}", "id", p->id, "version", p->version, "title",
                     json_get(p->def, "title"), "summary", json_get(p->def, "summary"), "steps",
                     (int)p->n_steps);
}

static void set_time(json_t *j, const char *name, int64_t at_ms)
{
    if (at_ms)
        json_object_set_new(j, name, json_integer(at_ms));
}

static json_t *row_json(const struct dossier_row *r)
{
    json_t *j = json_pack("{s:o,s:s,s:O,s:s}", "id", json_str(r->id), "procedure", r->procedure->id,
                          "title", json_get(r->procedure->def, "title"), "state",
                          dossier_state_name(r->state));
    if (r->state != DOSSIER_DRAFT)
        json_object_set_new(j, "number", json_str(r->number));
    set_time(j, "submitted_at", r->submitted_ms);
    set_time(j, "updated_at", r->updated_ms);
    set_time(j, "deadline_at", r->deadline_ms);
    return j;
}

static json_t *rows_json(const struct dossier_row *rows, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, row_json(&rows[i]));
    return list;
}

static json_t *values_json(const struct dossier *d)
{
    static const char *const members[][2] = {{"value", "v"},       {"label", "label"},
                                             {"source", "source"}, {"date", "date"},
                                             {"wrong", "wrong"},   {"corrected", "corrected"}};
    json_t *values = json_object(), *value;
    const char *name;
    json_object_foreach(json_get(d->data, "values"), name, value)
    {
        json_t *one = json_object();
        for (size_t i = 0; i < COUNT_OF(members); i++)
            if (json_get(value, members[i][1]))
                json_object_set(one, members[i][0], json_get(value, members[i][1]));
        json_object_set_new(values, name, one);
    }
    return values;
}

static enum err events_json(struct ctx *c, const struct dossier *d, json_t **out)
{
    struct dossier_event *list;
    size_t n;
    enum err e = dossier_events(c, d, &list, &n);
    if (e != ERR_OK)
        return e;
    *out = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(
            *out, json_pack("{s:o,s:I,s:o,s:o,s:o}", "entry", json_str(list[i].id), "at",
                            (json_int_t)list[i].at_ms, "kind", json_str(list[i].kind), "who",
                            json_str(list[i].who), "text", json_str(list[i].text)));
    return ERR_OK;
}

static enum err answer(struct ctx *c, int status, const struct dossier *d)
{
    json_t *events, *j;
    enum err e = events_json(c, d, &events);
    if (e != ERR_OK)
        return e;
    size_t missing = form_first_missing(d);
    j = json_pack("{s:o,s:o,s:s,s:I,s:o,s:O,s:o}", "id", json_str(d->id), "procedure",
                  procedure_json(d->procedure), "state", dossier_state_name(d->state), "revision",
                  (json_int_t)d->revision, "values", values_json(d), "sources",
                  json_get(d->data, "sources"), "events", events);
    set_time(j, "created_at", d->created_ms);
    set_time(j, "updated_at", d->updated_ms);
    set_time(j, "submitted_at", d->submitted_ms);
    set_time(j, "deadline_at", d->deadline_ms);
    if (d->state == DOSSIER_DRAFT) {
        json_object_set_new(j, "next_step",
                            missing < d->procedure->n_steps ? json_integer((json_int_t)missing + 1)
                                                            : json_null());
    } else {
        json_object_set_new(j, "number", json_str(d->number));
        json_object_set_new(j, "digest", json_str(d->digest));
    }
    if (d->decided_ms)
        json_object_set_new(j, "decision",
                            json_pack("{s:b,s:o,s:o,s:I}", "accepted", d->state == DOSSIER_ACCEPTED,
                                      "reason", json_str(json_get_str(d->data, "reason")), "by",
                                      json_str(d->agent_name), "at", (json_int_t)d->decided_ms));
    return ctx_json(c, status, j);
}

static enum err refuse_fields(struct ctx *c, json_t *errors)
{
    json_decref(c->fault_extra);
    c->fault_extra = json_pack("{s:O}", "errors", errors);
    return ctx_fail(c, &procedures_fields, ERR_INVALID, STR_NONE);
}

/* ---- procedures --------------------------------------------------------------------------------
 */
enum err procedures_api_list(struct ctx *c)
{
    const struct procedure *p;
    json_t *list = json_array();
    for (size_t i = 0; (p = procedure_at(i)) != NULL; i++)
        if (str_eq_z(c->site->org_id, p->org))
            json_array_append_new(list, procedure_json(p));
    return ctx_json(c, 200, json_pack("{s:o}", "items", list));
}

enum err procedures_api_one(struct ctx *c)
{
    const struct procedure *p;
    enum err e = procedures_here(c, ctx_path(c, "procedure"), &p);
    return e == ERR_OK
               ? ctx_json(c, 200, json_pack("{s:O,s:O}", "service", p->def, "form", p->form))
               : e;
}

/* ---- a person's dossiers ------------------------------------------------------------------------
 */
enum err procedures_api_mine(struct ctx *c)
{
    struct dossier_row *rows;
    size_t n;
    enum err e = dossiers_mine(c, c->site->host, c->session->subject, &rows, &n);
    return e == ERR_OK ? ctx_json(c, 200, json_pack("{s:o}", "items", rows_json(rows, n))) : e;
}

enum err procedures_api_begin(struct ctx *c)
{
    const struct procedure *p;
    struct dossier d;
    enum err e = procedures_here(c, ctx_form(c, "procedure"), &p);
    if (e == ERR_OK)
        e = procedures_begin(c, p, &d);
    if (e != ERR_OK)
        return e;
    web_header(c->rs, "Location", arena_printf(c->arena, "/api/dossiers/" STR_FMT, STR_ARG(d.id)));
    return answer(c, 201, &d);
}

enum err procedures_api_dossier(struct ctx *c)
{
    struct dossier d;
    enum err e = dossier_get(c, ctx_path(c, "id"), true, &d);
    return e == ERR_OK ? answer(c, 200, &d) : e;
}

enum err procedures_api_step(struct ctx *c)
{
    struct dossier d;
    uint64_t step;
    json_t *errors;
    if (!str_to_u64(ctx_path(c, "step"), &step) || step == 0 || step > 1000)
        return ERR_NOT_FOUND;
    enum err e = procedures_take(c, ctx_path(c, "id"), (size_t)step - 1, &d, &errors);
    if (e == ERR_OK && errors)
        e = refuse_fields(c, errors);
    return e == ERR_OK ? answer(c, 200, &d) : e;
}

enum err procedures_api_send(struct ctx *c)
{
    struct dossier d;
    int64_t revision = 0;
    if (ctx_form(c, "revision").n && !str_to_i64(ctx_form(c, "revision"), &revision))
        return ERR_INVALID;
    enum err e = procedures_send(c, ctx_path(c, "id"), revision, &d);
    return e == ERR_OK ? answer(c, 200, &d) : e;
}

/* ---- agents -------------------------------------------------------------------------------------
 */
enum err procedures_api_agent_list(struct ctx *c)
{
    struct dossier_query q = {.q = ctx_query(c, "q"),
                              .state = ctx_query(c, "state"),
                              .sort = ctx_query(c, "sort"),
                              .page = 1,
                              .per_page = DOSSIERS_PER_PAGE};
    struct dossier_counts counts;
    struct dossier_row *rows;
    size_t n;
    int64_t total;
    uint64_t page;
    if (ctx_query(c, "page").n &&
        (!str_to_u64(ctx_query(c, "page"), &page) || page < 1 || page > 1000000))
        return ERR_INVALID;
    if (ctx_query(c, "page").n)
        q.page = (size_t)page;
    enum err e = dossiers_count(c, &counts);
    if (e == ERR_OK)
        e = dossiers_of_site(c, &q, &rows, &n, &total);
    if (e != ERR_OK)
        return e;
    return ctx_json(c, 200,
                    json_pack("{s:o,s:I,s:{s:I,s:I,s:I,s:I}}", "items", rows_json(rows, n), "total",
                              (json_int_t)total, "counts", "all", (json_int_t)counts.all,
                              "submitted", (json_int_t)counts.submitted, "done",
                              (json_int_t)counts.done, "late", (json_int_t)counts.late));
}

enum err procedures_api_agent_dossier(struct ctx *c)
{
    struct dossier d;
    enum err e = dossier_get(c, ctx_path(c, "id"), false, &d);
    if (e == ERR_OK && d.state == DOSSIER_DRAFT)
        e = ERR_NOT_FOUND;
    if (e == ERR_OK)
        e = dossier_note_read(c, &d);
    return e == ERR_OK ? answer(c, 200, &d) : e;
}

enum err procedures_api_agent_decide(struct ctx *c)
{
    struct dossier d;
    json_t *errors;
    enum err e = procedures_decide(c, ctx_path(c, "id"), &d, &errors);
    if (e == ERR_OK && errors)
        e = refuse_fields(c, errors);
    return e == ERR_OK ? answer(c, 200, &d) : e;
}
