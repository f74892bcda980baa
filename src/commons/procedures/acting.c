/* What people and programs do with dossiers: each act once, for the page and for its twin of the
 * API. */
#include "base/clock.h"
#include "commons/procedures/form.h"
#include "web/pages.h"

enum { REASON_MAX = 2000 };

const struct fault procedures_no_procedure = {"PRC-404-PROCEDURE", 404, "procedures",
                                              "No Such Procedure"};
const struct fault procedures_fields = {"PRC-422-FIELDS", 422, "procedures", "Fields Not Accepted"};
const struct fault procedures_missing = {"PRC-422-MISSING", 422, "procedures", "Answers Missing"};
const struct fault procedures_changed = {"PRC-409-CHANGED", 409, "procedures",
                                         "Changed Elsewhere Meanwhile"};
const struct fault procedures_decided = {"PRC-409-DECIDED", 409, "procedures", "Decided Already"};
const struct fault procedures_sent = {"PRC-409-SENT", 409, "procedures", "Sent Already"};

enum err procedures_here(struct ctx *c, struct str id, const struct procedure **out)
{
    const struct procedure *p = procedure_find(id);
    *out = p && str_eq_z(c->site->org_id, p->org) ? p : NULL;
    return *out ? ERR_OK : ctx_fail(c, &procedures_no_procedure, ERR_NOT_FOUND, id);
}

enum err procedures_begin(struct ctx *c, const struct procedure *p, struct dossier *d)
{
    enum err e = dossier_draft(c, p, d);
    if (e != ERR_OK)
        return e;
    prefill(c, d);
    e = dossier_save(c, d);
    /* Another tab began it at the same time: what that one saved is as good. */
    return e == ERR_CONFLICT ? dossier_get(c, d->id, true, d) : e;
}

enum err procedures_take(struct ctx *c, struct str id, size_t step, struct dossier *d,
                         json_t **errors)
{
    enum err e = ERR_CONFLICT;
    for (int tries = 0; tries < 3 && e == ERR_CONFLICT; tries++) { /* two tabs at the same moment */
        e = dossier_get(c, id, true, d);
        if (e != ERR_OK)
            return e;
        if (step >= d->procedure->n_steps)
            return ERR_NOT_FOUND;
        if (d->state != DOSSIER_DRAFT)
            return ctx_fail(c, &procedures_sent, ERR_CONFLICT, STR_NONE);
        form_take(c, d, step, errors);
        e = dossier_save(c, d);
    }
    return e;
}

enum err procedures_send(struct ctx *c, struct str id, int64_t revision, struct dossier *d)
{
    enum err e = dossier_get(c, id, true, d);
    if (e != ERR_OK || d->state != DOSSIER_DRAFT) /* sent already: sending twice is sending once */
        return e;
    if (form_first_missing(d) < d->procedure->n_steps)
        return ctx_fail(c, &procedures_missing, ERR_INVALID, STR_NONE);
    if (revision && revision != d->revision)
        return ctx_fail(c, &procedures_changed, ERR_CONFLICT, STR_NONE);
    e = dossier_submit(c, d);
    if (e != ERR_CONFLICT)
        return e;
    e = dossier_get(c, id, true, d);
    return e != ERR_OK || d->state != DOSSIER_DRAFT
               ? e
               : ctx_fail(c, &procedures_changed, ERR_CONFLICT, STR_NONE);
}

static void add_error(struct ctx *c, json_t **errors, const char *name, const char *key)
{
    struct str text = pages_text(c->arena, "procedures", key, c->lang, NULL);
    if (!*errors)
        *errors = json_own(&c->pool, json_object());
    json_object_set_new(*errors, name, json_stringn(text.p, text.n));
}

void procedures_outcome(struct ctx *c, bool *accept, struct str *reason, json_t **errors)
{
    struct str outcome = ctx_form(c, "outcome");
    *reason = str_trim(ctx_form(c, "reason"));
    if (!reason->p)
        *reason = STR("");
    *accept = str_eq_z(outcome, "accept");
    *errors = NULL;
    if (!*accept && !str_eq_z(outcome, "refuse"))
        add_error(c, errors, "outcome", "agent.error.outcome");
    else if (!*accept && reason->n == 0)
        add_error(c, errors, "reason", "agent.error.reason");
    if (reason->n > REASON_MAX)
        add_error(c, errors, "reason", "agent.error.reason_long");
}

enum err procedures_decide(struct ctx *c, struct str id, struct dossier *d, json_t **errors)
{
    bool accept;
    struct str reason;
    *errors = NULL;
    enum err e = dossier_get(c, id, false, d);
    if (e == ERR_OK && d->state == DOSSIER_DRAFT)
        e = ERR_NOT_FOUND; /* a draft is nobody's but its owner's */
    if (e == ERR_OK && d->state != DOSSIER_SUBMITTED)
        e = ctx_fail(c, &procedures_decided, ERR_CONFLICT, STR_NONE);
    if (e != ERR_OK)
        return e;
    procedures_outcome(c, &accept, &reason, errors);
    if (*errors)
        return ERR_OK;
    e = dossier_decide(c, d, accept, reason);
    return e == ERR_CONFLICT ? ctx_fail(c, &procedures_decided, e, STR_NONE) : e;
}
