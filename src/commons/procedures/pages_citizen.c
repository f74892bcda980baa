/* The citizen's way: start, one step a page, check, send, receipt, and her dossier until the
 * decision and after. Pages that act answer with a redirection, so that reloading repeats nothing.
 */
#include "base/clock.h"
#include "commons/procedures/form.h"
#include "commons/procedures/view.h"

static json_t *org_json(const struct ctx *c)
{
    return json_pack("{s:s#,s:s#}", "fr", c->site->name_fr.p, (int)c->site->name_fr.n, "en",
                     c->site->name_en.p, (int)c->site->name_en.n);
}

static enum err go(struct ctx *c, const struct dossier *d, const char *where)
{
    return ctx_redirect(c,
                        arena_printf(c->arena, "/dossiers/" STR_FMT "%s", STR_ARG(d->id), where));
}

static enum err go_step(struct ctx *c, const struct dossier *d, size_t step)
{
    return go(c, d,
              step < d->procedure->n_steps ? arena_printf(c->arena, "/etape/%d", (int)step + 1).p
                                           : "/verifier");
}

/* ---- the site's home ---------------------------------------------------------------------------
 */
static json_t *procedures_of_site(struct ctx *c)
{
    const struct procedure *p;
    json_t *list = json_array();
    for (size_t i = 0; (p = procedure_at(i)) != NULL; i++)
        if (str_eq_z(c->site->org_id, p->org))
            json_array_append_new(list,
                                  json_pack("{s:O,s:O,s:o}", "title", json_get(p->def, "title"),
                                            "summary", json_get(p->def, "summary"), "url",
                                            view_path(c, "/demarches/%s", p->id)));
    return list;
}

static json_t *row_json(struct ctx *c, const struct dossier_row *r)
{
    json_t *j = json_pack("{s:O,s:o,s:o,s:o}", "procedure", json_get(r->procedure->def, "title"),
                          "state", view_state(c, r->state), "url",
                          view_path(c, "/dossiers/" STR_FMT, STR_ARG(r->id)), "updated",
                          view_date(c, r->updated_ms));
    if (r->state == DOSSIER_DRAFT)
        json_object_set_new(j, "draft", json_true());
    else
        json_object_set_new(j, "number", json_str(r->number));
    return j;
}

enum err procedures_home(struct ctx *c)
{
    struct dossier_row *rows;
    size_t n = 0;
    enum err e = ERR_OK;
    bool person = c->session && c->session->role == ROLE_USER;
    if (person)
        e = dossiers_mine(c, c->site->host, c->session->subject, &rows, &n);
    if (e != ERR_OK)
        return e;
    json_t *d = json_pack("{s:o,s:o,s:b,s:s,s:o}", "org_name", org_json(c), "procedures",
                          procedures_of_site(c), "user_ready", person, "sign_in_url",
                          "/connexion?return=/", "portal", json_str(portal_url(c, "/")));
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, row_json(c, &rows[i]));
    if (n)
        json_object_set_new(d, "dossiers", json_pack("{s:o}", "items", list));
    else
        json_decref(list);
    if (ctx_query(c, "enregistre").p)
        view_flash(c, d, "success", "flash.saved");
    return ctx_page(c, "procedures/home", d);
}

/* ---- start -------------------------------------------------------------------------------------
 */
static json_t *in_days(struct ctx *c, const char *key, int64_t n)
{
    json_t *with = json_pack("{s:I,s:b}", "n", (json_int_t)n, "one", n == 1);
    json_t *text = view_text(c, key, with);
    json_decref(with);
    return text;
}

static enum err add_drafts(struct ctx *c, json_t *page, const struct procedure *p)
{
    struct dossier_row *rows;
    size_t n;
    enum err e = dossiers_mine(c, c->site->host, c->session->subject, &rows, &n);
    for (size_t i = 0; e == ERR_OK && i < n; i++)
        if (rows[i].procedure == p && rows[i].state == DOSSIER_DRAFT)
            json_object_set_new(page, "drafts",
                                json_pack("{s:[{s:o,s:o}]}", "items", "url",
                                          view_path(c, "/dossiers/" STR_FMT, STR_ARG(rows[i].id)),
                                          "saved", view_date_time(c, rows[i].updated_ms)));
    return e;
}

static json_t *start_json(struct ctx *c, const struct procedure *p)
{
    static const char *const copied[] = {"title",       "summary", "known",
                                         "legal_basis", "help",    "cost"};
    json_t *d = json_pack("{s:o}", "org_name", org_json(c));
    for (size_t i = 0; i < COUNT_OF(copied); i++)
        if (json_get(p->def, copied[i]))
            json_object_set(d, copied[i], json_get(p->def, copied[i]));
    if (!json_get(d, "cost"))
        json_object_set_new(d, "cost", view_text(c, "start.free", NULL));
    if (json_get(p->def, "audience"))
        json_object_set_new(d, "for_whom", json_pack("[O]", json_get(p->def, "audience")));
    json_object_set(d, "needed", json_get(p->def, "needs"));
    json_object_set_new(d, "duration",
                        in_days(c, "start.minutes", json_get_i64(p->def, "duration_minutes", 10)));
    int64_t delay = json_get_i64(p->def, "delay_days", 0);
    json_object_set_new(d, "answer_delay",
                        delay ? in_days(c, "start.days", delay)
                              : view_text(c, "start.no_delay", NULL));
    return d;
}

enum err procedures_start(struct ctx *c)
{
    const struct procedure *p;
    enum err e = procedures_here(c, ctx_path(c, "procedure"), &p);
    if (e != ERR_OK)
        return e;
    json_t *d = json_own(&c->pool, start_json(c, p));
    if (c->session && c->session->role == ROLE_USER) {
        e = add_drafts(c, d, p);
        json_object_set_new(d, "user_ready", json_true());
        json_object_set_new(d, "start_url", view_path(c, "/demarches/%s", p->id));
    } else {
        json_object_set_new(d, "sign_in_url",
                            view_path(c, "/connexion?return=/demarches/%s", p->id));
    }
    if (ctx_query(c, "enregistre").p)
        view_flash(c, d, "success", "flash.saved");
    return e == ERR_OK ? ctx_page(c, "procedures/start", json_incref(d)) : e;
}

/* Begins, or goes on where she was. The sources want a token that is still good: when hers has
 * ended, she signs in again first, which one button does. */
enum err procedures_start_post(struct ctx *c)
{
    const struct procedure *p;
    struct dossier d;
    enum err e = procedures_here(c, ctx_path(c, "procedure"), &p);
    if (e == ERR_OK && json_get_i64(c->session->data, "expires_at", INT64_MAX) <= clock_now_ms())
        return session_ask_again(c);
    if (e == ERR_OK)
        e = procedures_begin(c, p, &d);
    if (e != ERR_OK)
        return e;
    bool is_new = d.revision <= 2;
    return go_step(c, &d, is_new ? 0 : form_first_missing(&d));
}

/* ---- steps -------------------------------------------------------------------------------------
 */
static bool step_of(struct ctx *c, size_t *step)
{
    uint64_t n;
    if (!str_to_u64(ctx_path(c, "step"), &n) || n == 0 || n > 1000)
        return false;
    *step = (size_t)n - 1;
    return true;
}

/* Sources of the step's fields that did not answer. */
static json_t *unavailable(const struct dossier *d, size_t step)
{
    json_t *list = json_array(), *s, *field;
    size_t i, k;
    json_array_foreach(json_get(d->procedure->def, "sources"), i, s)
    {
        const char *id = json_get_z(s, "id", "");
        const json_t *note = json_get(json_get(d->data, "sources"), id);
        bool used = false;
        json_array_foreach(json_get(procedure_step(d->procedure, step), "fields"), k, field)
        {
            used = used || strcmp(json_get_z(json_get(field, "from"), "source", ""), id) == 0;
        }
        if (used && note && !json_get_bool(note, "ok", true))
            json_array_append_new(list, json_pack("{s:O}", "provider", json_get(s, "provider")));
    }
    return list;
}

static enum err show_step(struct ctx *c, const struct dossier *d, size_t step, const json_t *errors)
{
    const json_t *def = procedure_step(d->procedure, step);
    json_t *fields = form_fields(c, d, step, errors), *f, *summary = form_error_summary(fields);
    bool sources = false;
    size_t i;
    json_array_foreach(fields, i, f)
    {
        sources = sources || json_get(f, "source");
    }
    json_t *page =
        json_pack("{s:O,s:O,s:i,s:i,s:o,s:b,s:o,s:o}", "title", json_get(def, "title"), "procedure",
                  json_get(d->procedure->def, "title"), "step", (int)step + 1, "steps",
                  (int)d->procedure->n_steps, "fields", fields, "has_sources", sources, "action",
                  view_path(c, "/dossiers/" STR_FMT "/etape/%d", STR_ARG(d->id), (int)step + 1),
                  "saved", view_date_time(c, d->updated_ms));
    json_object_set_new(
        page, "back_url",
        step ? view_path(c, "/dossiers/" STR_FMT "/etape/%d", STR_ARG(d->id), (int)step)
             : view_path(c, "/demarches/%s", d->procedure->id));
    json_t *down = unavailable(d, step);
    if (json_array_size(down))
        json_object_set(page, "unavailable", down);
    json_decref(down);
    if (json_get(def, "intro"))
        json_object_set(page, "intro", json_get(def, "intro"));
    if (summary)
        json_object_set_new(page, "error_summary", summary);
    if (str_eq_z(ctx_query(c, "retour"), "verifier") || ctx_form(c, "verifier").n)
        json_object_set_new(page, "to_check", json_true());
    return ctx_page(c, "procedures/form", page);
}

enum err procedures_step(struct ctx *c)
{
    struct dossier d;
    size_t step;
    if (!step_of(c, &step))
        return ERR_NOT_FOUND;
    enum err e = dossier_get(c, ctx_path(c, "id"), true, &d);
    if (e == ERR_OK && d.state != DOSSIER_DRAFT)
        return go(c, &d, "");
    if (e == ERR_OK && step >= d.procedure->n_steps)
        return ERR_NOT_FOUND;
    return e == ERR_OK ? show_step(c, &d, step, NULL) : e;
}

enum err procedures_step_post(struct ctx *c)
{
    struct dossier d;
    size_t step;
    json_t *errors = NULL;
    if (!step_of(c, &step))
        return ERR_NOT_FOUND;
    enum err e = procedures_take(c, ctx_path(c, "id"), step, &d, &errors);
    if (e == ERR_CONFLICT && d.state != DOSSIER_DRAFT) /* sent from another tab: there it is */
        return go(c, &d, "?deja=1");
    if (e != ERR_OK)
        return e;
    if (str_eq_z(ctx_form(c, "go"), "save"))
        return ctx_redirect(c, STR("/?enregistre=1"));
    if (errors) {
        c->rs->status = 422;
        return show_step(c, &d, step, errors);
    }
    return go_step(c, &d, ctx_form(c, "verifier").n ? d.procedure->n_steps : step + 1);
}

/* ---- check and send ----------------------------------------------------------------------------
 */
static enum err show_check(struct ctx *c, const struct dossier *d, bool changed)
{
    json_t *page = json_pack(
        "{s:O,s:o,s:o,s:o,s:o,s:I}", "procedure", json_get(d->procedure->def, "title"), "org_name",
        org_json(c), "groups", form_summary(c, d, true), "action",
        view_path(c, "/dossiers/" STR_FMT "/envoyer", STR_ARG(d->id)), "back_url",
        view_path(c, "/dossiers/" STR_FMT "/etape/%d", STR_ARG(d->id), (int)d->procedure->n_steps),
        "revision", (json_int_t)d->revision);
    if (changed)
        view_flash(c, page, "warning", "flash.changed");
    return ctx_page(c, "procedures/check", page);
}

enum err procedures_check(struct ctx *c)
{
    struct dossier d;
    enum err e = dossier_get(c, ctx_path(c, "id"), true, &d);
    if (e != ERR_OK)
        return e;
    if (d.state != DOSSIER_DRAFT)
        return go(c, &d, "");
    size_t missing = form_first_missing(&d);
    return missing < d.procedure->n_steps ? go_step(c, &d, missing) : show_check(c, &d, false);
}

enum err procedures_check_post(struct ctx *c)
{
    struct dossier d = {0};
    int64_t revision = 0;
    if (ctx_form(c, "revision").n && !str_to_i64(ctx_form(c, "revision"), &revision))
        return ERR_INVALID;
    enum err e = procedures_send(c, ctx_path(c, "id"), revision, &d);
    if (e == ERR_INVALID && d.data) {
        c->fault = (struct fault){0};
        return go_step(c, &d, form_first_missing(&d));
    }
    if (e == ERR_CONFLICT && d.data) {
        c->fault = (struct fault){0};
        c->rs->status = 409;
        return show_check(c, &d, true);
    }
    return e == ERR_OK ? go(c, &d, "/recu") : e;
}

enum err procedures_receipt(struct ctx *c)
{
    struct dossier d;
    struct dossier_event *events;
    size_t n;
    enum err e = dossier_get(c, ctx_path(c, "id"), true, &d);
    if (e == ERR_OK && d.state == DOSSIER_DRAFT)
        return go_step(c, &d, form_first_missing(&d));
    if (e == ERR_OK)
        e = dossier_events(c, &d, &events, &n);
    if (e != ERR_OK)
        return e;
    json_t *receipt = json_pack(
        "{s:o,s:o,s:o,s:o,s:o,s:o}", "title", view_text(c, "receipt.title", NULL), "number",
        json_str(d.number), "date", view_date_time(c, d.submitted_ms), "datetime",
        view_datetime(c, d.submitted_ms), "body", org_json(c), "digest", json_str(d.digest));
    json_t *by = json_object();
    if (d.deadline_ms) {
        json_object_set_new(receipt, "deadline", view_date(c, d.deadline_ms));
        json_object_set(by, "deadline", json_get(receipt, "deadline"));
    }
    json_t *next =
        json_get(d.procedure->def, "next")
            ? json_incref(json_get(d.procedure->def, "next"))
            : json_pack("[o,o,o]", view_text(c, "receipt.next.1", by),
                        view_text(c, "receipt.next.2", by), view_text(c, "receipt.next.3", by));
    json_decref(by);
    json_t *page = json_pack("{s:o,s:O,s:o,s:o,s:o}", "receipt", receipt, "procedure",
                             json_get(d.procedure->def, "title"), "next", next, "dossier_url",
                             view_path(c, "/dossiers/" STR_FMT, STR_ARG(d.id)), "deposit_url",
                             view_path(c, "/dossiers/" STR_FMT "/depot.json", STR_ARG(d.id)));
    if (n)
        json_object_set_new(
            page, "proof_url",
            json_str(portal_url(
                c, arena_printf(c->arena, "/account/uses/" STR_FMT, STR_ARG(events[0].id)).p)));
    return ctx_page(c, "procedures/receipt", page);
}

enum err procedures_deposit_file(struct ctx *c)
{
    struct dossier d;
    enum err e = dossier_get(c, ctx_path(c, "id"), true, &d);
    if (e == ERR_OK && d.state == DOSSIER_DRAFT)
        e = ERR_NOT_FOUND;
    if (e != ERR_OK)
        return e;
    web_header(c->rs, "Content-Disposition",
               arena_printf(c->arena, "attachment; filename=\"depot-" STR_FMT ".json\"",
                            STR_ARG(d.number)));
    web_header(c->rs, "Cache-Control", STR("no-store"));
    return ctx_text(c, 200, "application/json", dossier_deposit(c, &d));
}

/* ---- her dossier -------------------------------------------------------------------------------
 */
enum err procedures_dossier(struct ctx *c)
{
    struct dossier d;
    json_t *events = NULL, *decision = NULL;
    enum err e = dossier_get(c, ctx_path(c, "id"), true, &d);
    if (e == ERR_OK && d.state == DOSSIER_DRAFT)
        return go_step(c, &d, form_first_missing(&d));
    if (e == ERR_OK)
        e = view_events(c, &d, false, &events);
    if (e == ERR_OK)
        e = view_decision(c, &d, &decision);
    if (e != ERR_OK) {
        json_decref(events);
        return e;
    }
    json_t *page = json_pack(
        "{s:O,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "procedure", json_get(d.procedure->def, "title"),
        "number", json_str(d.number), "org_name", org_json(c), "state", view_state(c, d.state),
        "events", events, "groups", form_summary(c, &d, false), "uses_url",
        json_str(portal_url(c, "/account/uses")), "receipt_url",
        view_path(c, "/dossiers/" STR_FMT "/recu", STR_ARG(d.id)), "back_url", json_str(STR("/")));
    if (decision)
        json_object_set_new(page, "decision", decision);
    else
        json_object_set_new(page, "now", view_text(c, "dossier.now.submitted", NULL));
    if (ctx_query(c, "deja").p)
        view_flash(c, page, "warning", "flash.sent");
    return ctx_page(c, "procedures/dossier", page);
}
