/* The agents' way: a dense list, a dossier with all it holds and where each value comes from, a
 * decision read over before it is made. */
#include "base/clock.h"
#include "base/codec.h"
#include "commons/procedures/form.h"
#include "commons/procedures/view.h"
#include "web/form.h"

enum { EXPORT_MAX = 5000 };
static const int64_t DAY_MS = 86400000;

static json_t *age(struct ctx *c, int64_t from_ms)
{
    int64_t days = (clock_now_ms() - from_ms) / DAY_MS;
    if (days < 1)
        return view_text(c, "agent.today", NULL);
    json_t *with = json_pack("{s:I,s:b}", "n", (json_int_t)days, "one", days == 1);
    json_t *text = view_text(c, "agent.days", with);
    json_decref(with);
    return text;
}

/* ---- list --------------------------------------------------------------------------------------
 */
static struct dossier_query query_of(struct ctx *c)
{
    struct dossier_query q = {.q = ctx_query(c, "q"),
                              .state = ctx_query(c, "etat"),
                              .sort = ctx_query(c, "tri"),
                              .page = 1,
                              .per_page = DOSSIERS_PER_PAGE};
    uint64_t page;
    if (str_to_u64(ctx_query(c, "page"), &page) && page > 0 && page < 1000000)
        q.page = (size_t)page;
    if (!q.state.p && !q.q.n)
        q.state = STR("submitted"); /* what is to be done comes first */
    if (str_eq_z(q.state, "all"))
        q.state = STR("");
    return q;
}

/* The list's address with these choices. */
static json_t *list_url(struct ctx *c, const struct dossier_query *q, const char *state,
                        const char *sort, size_t page)
{
    struct str url = STR("/agent");
    url = url_with(c->arena, url, "etat",
                   state        ? str_from(*state ? state : "all")
                   : q->state.n ? q->state
                                : STR("all"));
    struct str order = sort ? str_from(sort) : q->sort;
    if (order.n)
        url = url_with(c->arena, url, "tri", order);
    if (q->q.n)
        url = url_with(c->arena, url, "q", q->q);
    if (page > 1)
        url = url_with(c->arena, url, "page", arena_printf(c->arena, "%zu", page));
    return json_str(url);
}

static json_t *filters(struct ctx *c, const struct dossier_query *q, const struct dossier_counts *n)
{
    const struct {
        const char *state, *key;
        int64_t count;
    } all[] = {{"submitted", "agent.filter.submitted", n->submitted},
               {"late", "agent.filter.late", n->late},
               {"done", "agent.filter.done", n->done},
               {"", "agent.filter.all", n->all}};
    json_t *list = json_array();
    for (size_t i = 0; i < COUNT_OF(all); i++) {
        json_t *f = json_pack("{s:o,s:o,s:b}", "label", view_text(c, all[i].key, NULL), "url",
                              list_url(c, q, all[i].state, NULL, 1), "current",
                              str_eq_z(q->state, all[i].state));
        /* as text: a count of 0 is shown too */
        json_object_set_new(f, "count", view_path(c, "%lld", (long long)all[i].count));
        json_array_append_new(list, f);
    }
    return list;
}

static json_t *columns(struct ctx *c, const struct dossier_query *q)
{
    bool oldest = str_eq_z(q->sort, "oldest"), deadline = str_eq_z(q->sort, "deadline");
    json_t *received =
        json_pack("{s:o,s:o}", "label", view_text(c, "agent.list.col.received", NULL), "url",
                  list_url(c, q, NULL, oldest ? "received" : "oldest", 1));
    if (!deadline)
        json_object_set_new(received, oldest ? "ascending" : "descending", json_true());
    json_t *due = json_pack("{s:o,s:o}", "label", view_text(c, "agent.list.col.deadline", NULL),
                            "url", list_url(c, q, NULL, "deadline", 1));
    if (deadline)
        json_object_set_new(due, "ascending", json_true());
    return json_pack("[{s:o},{s:o},{s:o},o,{s:o,s:b},o,{s:o}]", "label",
                     view_text(c, "agent.list.col.number", NULL), "label",
                     view_text(c, "agent.list.col.applicant", NULL), "label",
                     view_text(c, "agent.list.col.procedure", NULL), received, "label",
                     view_text(c, "agent.list.col.age", NULL), "num", 1, due, "label",
                     view_text(c, "agent.list.col.state", NULL));
}

static struct str applicant_of(struct ctx *c, const struct dossier_row *r)
{
    struct dossier d;
    return dossier_get(c, r->id, false, &d) == ERR_OK ? dossier_applicant(c, &d) : STR("");
}

static bool is_late(const struct dossier_row *r)
{
    return r->state == DOSSIER_SUBMITTED && r->deadline_ms && r->deadline_ms < clock_now_ms();
}

static json_t *row_json(struct ctx *c, const struct dossier_row *r)
{
    json_t *state = is_late(r) ? json_pack("{s:s,s:o}", "kind", "error", "label",
                                           view_text(c, "agent.late", NULL))
                               : view_state(c, r->state);
    json_t *due = r->deadline_ms ? view_date(c, r->deadline_ms) : json_string("–");
    return json_pack("{s:[{s:b,s:o,s:o},{s:o},{s:O},{s:o,s:o},{s:b,s:o},{s:o},{s:o}]}", "cells",
                     "head", 1, "text", json_str(r->number), "url",
                     view_path(c, "/agent/dossiers/" STR_FMT, STR_ARG(r->id)), "text",
                     json_str(applicant_of(c, r)), "text", json_get(r->procedure->def, "title"),
                     "text", view_date(c, r->submitted_ms), "datetime",
                     view_datetime(c, r->submitted_ms), "num", 1, "text", age(c, r->submitted_ms),
                     "text", due, "tag", state);
}

static void csv_cell(struct buf *b, struct str s, char end)
{
    buf_add_char(b, '"');
    if (s.n && strchr("=+-@\t\r", s.p[0])) /* a spreadsheet would run it */
        buf_add_char(b, '\'');
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"')
            buf_add_char(b, '"');
        buf_add_char(b, s.p[i]);
    }
    buf_add_char(b, '"');
    buf_add_char(b, end);
}

static enum err export_csv(struct ctx *c, struct dossier_query q)
{
    struct dossier_row *rows;
    size_t n;
    int64_t total;
    struct buf *b = &c->rs->body;
    q.page = 1;
    q.per_page = EXPORT_MAX;
    enum err e = dossiers_of_site(c, &q, &rows, &n, &total);
    if (e != ERR_OK)
        return e;
    buf_add_z(b, "number,applicant,procedure,received,deadline,state\n");
    for (size_t i = 0; i < n; i++) {
        csv_cell(b, rows[i].number, ',');
        csv_cell(b, applicant_of(c, &rows[i]), ',');
        csv_cell(b, str_from(rows[i].procedure->id), ',');
        csv_cell(b, clock_rfc3339(c->arena, rows[i].submitted_ms, false), ',');
        csv_cell(
            b, rows[i].deadline_ms ? clock_rfc3339(c->arena, rows[i].deadline_ms, false) : STR(""),
            ',');
        csv_cell(b, str_from(dossier_state_name(rows[i].state)), '\n');
    }
    c->rs->status = 200;
    web_header(c->rs, "Content-Type", STR("text/csv; charset=utf-8"));
    web_header(c->rs, "Content-Disposition", STR("attachment; filename=\"dossiers.csv\""));
    web_header(c->rs, "Cache-Control", STR("no-store"));
    return b->err;
}

static void add_pages(struct ctx *c, json_t *page, const struct dossier_query *q, int64_t total)
{
    size_t of = ((size_t)total + q->per_page - 1) / q->per_page;
    if (of < 2)
        return;
    json_t *p = json_pack("{s:I,s:I,s:I}", "page", (json_int_t)q->page, "of", (json_int_t)of,
                          "total", (json_int_t)total);
    if (q->page > 1)
        json_object_set_new(p, "previous_url", list_url(c, q, NULL, NULL, q->page - 1));
    if (q->page < of)
        json_object_set_new(p, "next_url", list_url(c, q, NULL, NULL, q->page + 1));
    json_object_set_new(page, "pages", p);
}

static json_t *table(struct ctx *c, const struct dossier_query *q, const struct dossier_row *rows,
                     size_t n)
{
    const char *caption = str_eq_z(q->sort, "oldest")     ? "agent.list.caption.oldest"
                          : str_eq_z(q->sort, "deadline") ? "agent.list.caption.deadline"
                                                          : "agent.list.caption.received";
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, row_json(c, &rows[i]));
    return json_pack("{s:o,s:o,s:o}", "caption", view_text(c, caption, NULL), "columns",
                     columns(c, q), "rows", list);
}

enum err procedures_agent_list(struct ctx *c)
{
    struct dossier_query q = query_of(c);
    struct dossier_counts counts;
    struct dossier_row *rows;
    size_t n;
    int64_t total;
    if (str_eq_z(ctx_query(c, "format"), "csv"))
        return export_csv(c, q);
    enum err e = dossiers_count(c, &counts);
    if (e == ERR_OK)
        e = dossiers_of_site(c, &q, &rows, &n, &total);
    if (e != ERR_OK)
        return e;
    json_t *page =
        json_pack("{s:o,s:{s:s,s:s,s:o,s:o,s:o,s:[{s:s,s:s}]},s:b,s:I,s:b}", "filters",
                  filters(c, &q, &counts), "search", "action", "/agent", "name", "q", "value",
                  json_str(q.q), "label", view_text(c, "agent.list.search", NULL), "hint",
                  view_text(c, "agent.list.search_hint", NULL), "hidden", "name", "etat", "value",
                  "all", "searched", q.q.n > 0 || counts.all > 0, "late", (json_int_t)counts.late,
                  "late_one", counts.late == 1);
    if (str_eq_z(q.state, "submitted") && !q.q.n)
        json_object_set_new(page, "searched", json_false());
    json_object_set_new(page, "late_url", list_url(c, &q, "late", "deadline", 1));
    if (n) {
        json_object_set_new(page, "table", table(c, &q, rows, n));
        json_t *url = list_url(c, &q, NULL, NULL, 1);
        json_object_set_new(
            page, "export_url",
            json_str(url_with(c->arena, str_from(json_string_value(url)), "format", STR("csv"))));
        json_decref(url);
    }
    add_pages(c, page, &q, total);
    return ctx_page(c, "procedures/agent_list", page);
}

/* ---- one dossier -------------------------------------------------------------------------------
 */
static json_t *outcome_fields(struct ctx *c, const json_t *errors)
{
    struct str outcome = ctx_form(c, "outcome"), reason = ctx_form(c, "reason");
    json_t *f = json_pack("[{s:s,s:s,s:b,s:o,s:[{s:s,s:s,s:o,s:b},{s:s,s:s,s:o,s:b}]},"
                          "{s:s,s:s,s:o,s:o,s:b,s:o,s:i}]",
                          "id", "outcome", "name", "outcome", "radio", 1, "label",
                          view_text(c, "agent.decide.outcome", NULL), "options", "id", "outcome-0",
                          "value", "accept", "label", view_text(c, "agent.decide.accept", NULL),
                          "selected", str_eq_z(outcome, "accept"), "id", "outcome-1", "value",
                          "refuse", "label", view_text(c, "agent.decide.refuse", NULL), "selected",
                          str_eq_z(outcome, "refuse"), "id", "reason", "name", "reason", "label",
                          view_text(c, "agent.decide.reason", NULL), "hint",
                          view_text(c, "agent.decide.reason_hint", NULL), "textarea", 1, "value",
                          json_str(reason), "maxlength", 2000);
    for (size_t i = 0; i < 2; i++) {
        json_t *one = json_array_get(f, i);
        if (json_get(errors, json_get_z(one, "name", "")))
            json_object_set(one, "error", json_get(errors, json_get_z(one, "name", "")));
    }
    return f;
}

static enum err show_dossier(struct ctx *c, const struct dossier *d, const json_t *errors)
{
    json_t *events = NULL, *decision = NULL;
    struct str previous, next;
    bool open = d->state == DOSSIER_SUBMITTED;
    enum err e = dossier_neighbours(c, d, &previous, &next);
    if (e == ERR_OK)
        e = view_events(c, d, true, &events);
    if (e == ERR_OK)
        e = view_decision(c, d, &decision);
    if (e != ERR_OK) {
        json_decref(events);
        return e;
    }
    json_t *page =
        json_pack("{s:o,s:O,s:o,s:o,s:o,s:o,s:o,s:o,s:s}", "number", json_str(d->number),
                  "procedure", json_get(d->procedure->def, "title"), "applicant",
                  json_str(dossier_applicant(c, d)), "state", view_state(c, d->state), "received",
                  view_date_time(c, d->submitted_ms), "age", age(c, d->submitted_ms), "groups",
                  form_summary(c, d, false), "events", events, "back_url", "/agent");
    if (d->deadline_ms && open) {
        json_object_set_new(page, "deadline", view_date(c, d->deadline_ms));
        json_object_set_new(page, "late", json_boolean(d->deadline_ms < clock_now_ms()));
    }
    if (decision)
        json_object_set_new(page, "decision", decision);
    if (open) {
        json_t *fields = outcome_fields(c, errors), *summary = form_error_summary(fields);
        json_object_set_new(page, "can_decide", json_true());
        json_object_set_new(page, "fields", fields);
        json_object_set_new(page, "decide_action",
                            view_path(c, "/agent/dossiers/" STR_FMT "/relire", STR_ARG(d->id)));
        if (summary)
            json_object_set_new(page, "error_summary", summary);
    }
    if (previous.n)
        json_object_set_new(page, "previous_url",
                            view_path(c, "/agent/dossiers/" STR_FMT, STR_ARG(previous)));
    if (next.n)
        json_object_set_new(page, "next_url",
                            view_path(c, "/agent/dossiers/" STR_FMT, STR_ARG(next)));
    if (ctx_query(c, "decide").p)
        view_flash(c, page, "success", "flash.decided");
    if (ctx_query(c, "deja").p)
        view_flash(c, page, "warning", "flash.decided_before");
    return ctx_page(c, "procedures/agent_dossier", page);
}

static enum err dossier_here(struct ctx *c, struct dossier *d)
{
    enum err e = dossier_get(c, ctx_path(c, "id"), false, d);
    return e == ERR_OK && d->state == DOSSIER_DRAFT ? ERR_NOT_FOUND : e;
}

enum err procedures_agent_dossier(struct ctx *c)
{
    struct dossier d;
    enum err e = dossier_here(c, &d);
    if (e == ERR_OK)
        e = dossier_note_read(c, &d);
    return e == ERR_OK ? show_dossier(c, &d, NULL) : e;
}

static enum err go(struct ctx *c, const char *how)
{
    return ctx_redirect(c, arena_printf(c->arena, "/agent/dossiers/" STR_FMT "%s",
                                        STR_ARG(ctx_path(c, "id")), how));
}

/* Nothing changes yet: the decision as the person will read it. */
enum err procedures_agent_preview(struct ctx *c)
{
    struct dossier d;
    bool accept;
    struct str reason;
    json_t *errors;
    enum err e = dossier_here(c, &d);
    if (e != ERR_OK)
        return e;
    if (d.state != DOSSIER_SUBMITTED)
        return go(c, "?deja=1");
    procedures_outcome(c, &accept, &reason, &errors);
    if (errors || ctx_form(c, "modifier").p) {
        c->rs->status = errors ? 422 : 200;
        return show_dossier(c, &d, errors);
    }
    return ctx_page(
        c, "procedures/agent_confirm",
        json_pack("{s:o,s:o,s:b,s:o,s:o,s:[{s:s,s:o},{s:s,s:o}],s:o,s:o}", "number",
                  json_str(d.number), "applicant", json_str(dossier_applicant(c, &d)), "accepted",
                  accept, "preview", view_preview(c, &d, accept, reason), "action",
                  view_path(c, "/agent/dossiers/" STR_FMT "/decision", STR_ARG(d.id)), "hidden",
                  "name", "outcome", "value", json_str(ctx_form(c, "outcome")), "name", "reason",
                  "value", json_str(reason), "change_action",
                  view_path(c, "/agent/dossiers/" STR_FMT "/relire", STR_ARG(d.id)), "back_url",
                  view_path(c, "/agent/dossiers/" STR_FMT, STR_ARG(d.id))));
}

enum err procedures_agent_decide(struct ctx *c)
{
    struct dossier d = {0};
    json_t *errors;
    enum err e = procedures_decide(c, ctx_path(c, "id"), &d, &errors);
    if (e == ERR_CONFLICT) {
        c->fault = (struct fault){0};
        return go(c, "?deja=1");
    }
    if (e != ERR_OK)
        return e;
    if (errors) {
        c->rs->status = 422;
        return show_dossier(c, &d, errors);
    }
    return go(c, "?decide=1");
}
