/* A request as programs read it, and as the pages take it from there. */
#include "core/contracts/contracts.h"

#include "base/clock.h"

static const int64_t YEAR_MS = (int64_t)365 * 86400000;

static json_t *org_of(struct ctx *c, struct str id)
{
    struct str fr = id, en = id;
    if (id.n && (org_name(c, id, "fr", &fr) != ERR_OK || org_name(c, id, "en", &en) != ERR_OK))
        fr = en = id;
    return json_pack("{s:o,s:{s:o,s:o}}", "id", json_str(id), "name", "fr", json_str(fr), "en",
                     json_str(en));
}

static json_t *actions_of(const struct contract_request *r, unsigned sides)
{
    json_t *list = json_array();
    for (size_t i = 0; i < transitions_n; i++) {
        const struct transition *t = &transitions[i];
        bool resumes = t->held && !(sides & (str_eq_z(r->held_by, "provider")   ? SIDE_PROVIDER
                                             : str_eq_z(r->held_by, "operator") ? SIDE_OPERATOR
                                                                                : SIDE_CONSUMER));
        if (transition_fits(t, r->state, sides, r->held_by.n > 0) && !resumes)
            json_array_append_new(list, json_string(t->action));
    }
    if (r->state == CONTRACT_VALIDATED && sides & SIDE_CONSUMER)
        json_array_append_new(list, json_string("reopen"));
    if (r->state == CONTRACT_VALIDATED && sides & SIDE_CONSUMER && str_eq_z(r->stage, "sandbox"))
        json_array_append_new(list, json_string("production"));
    return list;
}

json_t *request_json(struct ctx *c, const struct contract_request *r, unsigned sides)
{
    int64_t now_ms = clock_now_ms();
    bool active = r->state == CONTRACT_VALIDATED;
    json_t *terms = json_copy(r->terms);
    json_object_del(terms, "consumer");
    json_t *v = json_pack(
        "{s:o,s:o,s:o,s:o,s:s,s:o,s:o,s:o,s:o,s:o,s:I,s:I,s:I}", "id", json_str(r->id), "contract",
        json_str(r->contract_id), "replaces", json_str(r->replaces), "stage", json_str(r->stage),
        "state", contract_state_name(r->state), "held_by", json_str(r->held_by), "consumer",
        org_of(c, r->consumer), "provider", org_of(c, r->provider), "terms", terms, "digest",
        json_str(r->digest), "revision", (json_int_t)r->revision, "created_at",
        (json_int_t)r->created_ms, "updated_at", (json_int_t)r->updated_ms);
    json_object_set_new(v, "ends_at", json_integer(r->ends_ms));
    json_object_set_new(v, "reviewed_at", json_integer(r->reviewed_ms));
    json_object_set_new(v, "report_due_at", json_integer(r->report_due_ms));
    json_object_set_new(v, "report_overdue", json_boolean(active && report_is_overdue(r, now_ms)));
    json_object_set_new(v, "review_due", json_boolean(active && r->reviewed_ms + YEAR_MS < now_ms));
    json_object_set_new(v, "actions", actions_of(r, sides));
    return v;
}

/* The terms of use it was made under; of a draft, those it would be. */
static void use_put(struct ctx *c, const struct contract_request *r, const json_t *agreement,
                    json_t *v)
{
    json_t *signed_text = NULL;
    int64_t number = 0;
    if (agreement && json_read(json_get_str(agreement, "text"), &signed_text, NULL) == ERR_OK)
        number =
            json_get_i64(json_get(json_own(&c->pool, signed_text), "terms_of_use"), "number", -1);
    const json_t *use = number >= 0 ? terms_of_use(c, r, number) : NULL;
    if (use)
        json_object_set_new(v, "terms_of_use",
                            json_pack("{s:b,s:O,s:O,s:O,s:O,s:O}", "accepted", number > 0, "number",
                                      json_get(use, "number"), "newest", json_get(use, "newest"),
                                      "digest", json_get(use, "digest"), "published_at",
                                      json_get(use, "published_at"), "url", json_get(use, "url")));
}

enum err request_json_full(struct ctx *c, const struct contract_party *p,
                           const struct contract_request *r, json_t **out)
{
    json_t *messages, *reports, *agreement = NULL;
    json_t *args = json_pack("{s:o,s:o}", "api", json_str(r->api), "version", json_str(r->version));
    const json_t *api = contracts_one(c, "exchange.api", args);
    enum err e = message_list(c, r->id, &messages);
    if (e == ERR_OK)
        e = report_list(c, r->id, &reports);
    if (e == ERR_OK && r->digest.n)
        e = agreement_read(c, r, &agreement);
    if (e != ERR_OK)
        return e;
    json_t *v = request_json(c, r, party_sides(p, r));
    use_put(c, r, agreement, v);
    json_object_set_new(v, "api_title", api ? json_incref(json_get(api, "title")) : json_null());
    json_object_set_new(v, "fields", terms_fields(c, r->terms, api));
    json_object_set_new(v, "sensitivity", json_integer(terms_sensitivity(r->terms, api)));
    json_object_set(v, "messages", messages);
    json_object_set(v, "reports", reports);
    if (agreement) {
        json_object_set(v, "signatures", json_get(agreement, "signatures"));
        json_object_set(v, "signatures_missing", json_get(agreement, "missing"));
    }
    *out = v;
    return ERR_OK;
}
