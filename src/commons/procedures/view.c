#include "commons/procedures/view.h"

#include "base/clock.h"
#include "web/pages.h"

json_t *view_text(struct ctx *c, const char *key, const json_t *data)
{
    return json_str(pages_text(c->arena, "procedures", key, c->lang, data));
}

json_t *view_date(struct ctx *c, int64_t at_ms)
{
    return json_str(clock_in_words(c->arena, at_ms, c->lang, false));
}

json_t *view_date_time(struct ctx *c, int64_t at_ms)
{
    return json_str(clock_in_words(c->arena, at_ms, c->lang, true));
}

json_t *view_datetime(struct ctx *c, int64_t at_ms)
{
    return json_str(clock_rfc3339(c->arena, at_ms, false));
}

json_t *view_path(struct ctx *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    struct str s = arena_vprintf(c->arena, fmt, ap);
    va_end(ap);
    return json_str(s);
}

json_t *view_state(struct ctx *c, enum dossier_state s)
{
    static const char *const kinds[] = {"", "info", "success", "error"};
    struct str key = arena_printf(c->arena, "state.%s", dossier_state_name(s));
    return json_pack("{s:s,s:o}", "kind", kinds[s], "label", view_text(c, key.p, NULL));
}

static struct str org_of(struct ctx *c)
{
    return strcmp(c->lang, "en") == 0 ? c->site->name_en : c->site->name_fr;
}

static json_t *proof_url(struct ctx *c, struct str entry)
{
    return json_str(
        portal_url(c, arena_printf(c->arena, "/account/uses/" STR_FMT, STR_ARG(entry)).p));
}

static json_t *event_json(struct ctx *c, const struct dossier_event *e, bool agent)
{
    struct str key = arena_printf(c->arena, "event." STR_FMT, STR_ARG(e->kind));
    bool sent = str_eq_z(e->kind, "procedure.submitted");
    struct str who = sent                ? pages_text(c->arena, "procedures",
                                       agent ? "event.applicant" : "event.you", c->lang, NULL)
                     : agent && e->who.n ? e->who
                                         : org_of(c);
    return json_pack("{s:o,s:o,s:o,s:o}", "what", view_text(c, key.p, NULL), "who", json_str(who),
                     "when", view_date_time(c, e->at_ms), "datetime", view_datetime(c, e->at_ms));
}

enum err view_events(struct ctx *c, const struct dossier *d, bool agent, json_t **out)
{
    struct dossier_event *list;
    size_t n;
    enum err e = dossier_events(c, d, &list, &n);
    if (e != ERR_OK)
        return e;
    *out = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(*out, event_json(c, &list[i], agent));
    if (d->state == DOSSIER_SUBMITTED) {
        json_t *next =
            json_pack("{s:b,s:o}", "next", 1, "what", view_text(c, "event.expected", NULL));
        json_t *by = json_pack("{s:o}", "deadline", view_date(c, d->deadline_ms));
        if (d->deadline_ms)
            json_object_set_new(next, "text", view_text(c, "event.expected_by", by));
        json_decref(by);
        json_array_append_new(*out, next);
    }
    return ERR_OK;
}

/* The service's own words for its decisions, else common ones. */
static json_t *decision_text(struct ctx *c, const struct dossier *d, bool accept)
{
    const json_t *own =
        json_get(json_get(d->procedure->def, "decision"), accept ? "accepted" : "refused");
    return own ? json_str(str_from(def_text(c, own)))
               : view_text(c, accept ? "decision.accepted.text" : "decision.refused.text", NULL);
}

json_t *view_preview(struct ctx *c, const struct dossier *d, bool accept, struct str reason)
{
    const json_t *appeal = json_get(d->procedure->def, "appeal");
    json_t *v = json_pack("{s:o,s:o}", "title",
                          view_text(c, accept ? "decision.accepted" : "decision.refused", NULL),
                          "text", decision_text(c, d, accept));
    if (reason.n)
        json_object_set_new(v, "reason", json_str(reason));
    if (!accept)
        json_object_set_new(v, "appeal",
                            appeal ? json_str(str_from(def_text(c, appeal)))
                                   : view_text(c, "decision.appeal", NULL));
    return v;
}

enum err view_decision(struct ctx *c, const struct dossier *d, json_t **out)
{
    struct dossier_event *list;
    size_t n;
    bool accept = d->state == DOSSIER_ACCEPTED;
    *out = NULL;
    if (d->state != DOSSIER_ACCEPTED && d->state != DOSSIER_REFUSED)
        return ERR_OK;
    enum err e = dossier_events(c, d, &list, &n);
    if (e != ERR_OK)
        return e;
    *out = view_preview(c, d, accept, json_get_str(d->data, "reason"));
    json_object_set_new(*out, accept ? "accepted" : "refused", json_true());
    json_object_set_new(*out, "when", view_date_time(c, d->decided_ms));
    json_object_set_new(*out, "by", json_str(d->agent_name.n ? d->agent_name : org_of(c)));
    if (n)
        json_object_set_new(*out, "proof_url", proof_url(c, list[n - 1].id));
    return ERR_OK;
}

void view_flash(struct ctx *c, json_t *page, const char *kind, const char *key)
{
    struct str text = arena_printf(c->arena, "%s.text", key);
    json_object_set_new(page, "flash",
                        json_pack("{s:b,s:o,s:o}", kind, 1, "title", view_text(c, key, NULL),
                                  "text", view_text(c, text.p, NULL)));
}
