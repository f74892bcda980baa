/* What is done with a request, by whom, and its proof. Each act is one transaction: the new state
 * (only over the revision it was decided on), the words, what others are told, the journal's entry.
 */
#include "core/contracts/contracts.h"

#include "base/clock.h"
#include "base/rand.h"

enum { WORDS_MAX = 4000, LEVEL_SUBSTANTIAL = '2' };
static const int64_t DAY_MS = 86400000;

/* ---- who
 * ----------------------------------------------------------------------------------------- */
/* eidas2 or eidas3 (eIDAS "substantial", "high"), or a second factor shown (RFC 8176 "mfa"). */
static bool is_substantial(const json_t *data)
{
    const json_t *amr = json_get(data, "amr");
    struct str acr = json_get_str(data, "acr");
    if (acr.n == 6 && str_starts(acr, STR("eidas")) && acr.p[5] >= LEVEL_SUBSTANTIAL)
        return true;
    for (size_t i = 0; i < json_array_size(amr); i++)
        if (strcmp(json_string_value(json_array_get(amr, i))
                       ? json_string_value(json_array_get(amr, i))
                       : "",
                   "mfa") == 0)
            return true;
    return false;
}

struct contract_party party_of(struct ctx *c)
{
    return (struct contract_party){.org = c->site->org_id,
                                   .who = c->session->subject,
                                   .name = json_get_str(c->session->data, "name"),
                                   .substantial = is_substantial(c->session->data)};
}

unsigned party_sides(const struct contract_party *p, const struct contract_request *r)
{
    unsigned sides = p->extra;
    if (str_eq(p->org, r->consumer))
        sides |= SIDE_CONSUMER;
    if (str_eq(p->org, r->provider) && r->state != CONTRACT_DRAFT)
        sides |= SIDE_PROVIDER;
    return sides;
}

enum err request_of_party(struct ctx *c, const struct contract_party *p, struct str id,
                          struct contract_request *out)
{
    enum err e = request_get(c, id, out);
    return e == ERR_OK && !party_sides(p, out) ? ERR_NOT_FOUND : e;
}

static struct act_info info_of(const struct contract_party *p, const struct contract_request *r,
                               const char *kind)
{
    return (struct act_info){.kind = kind, .actor = p->who, .object = r->id};
}

/* ---- drafts
 * ---------------------------------------------------------------------------------------- */
struct draft_job {
    struct contract_request *r;
    const struct contract_party *p;
    struct str terms;
};

static enum err draft_insert(struct db_conn *db, void *arg)
{
    struct draft_job *j = arg;
    return request_insert(db, j->r, j->terms);
}

/* Who holds the data is the API's to say, and may change until it is submitted. */
static void names_from_terms(struct ctx *c, struct contract_request *r, json_t **api)
{
    json_object_set_new(r->terms, "consumer", json_str(r->consumer));
    r->client_id = json_get_str(r->terms, "client_id");
    r->api = json_get_str(r->terms, "api");
    r->version = json_get_str(r->terms, "version");
    json_t *args = json_pack("{s:o,s:o}", "api", json_str(r->api), "version", json_str(r->version));
    *api = contracts_one(c, "exchange.api", args);
    if (*api)
        r->provider = json_get_str(*api, "org_id");
}

static enum err draft_write(struct ctx *c, const struct contract_party *p,
                            struct contract_request *r)
{
    struct act act;
    struct draft_job job = {r, p, json_text(c->arena, r->terms)};
    struct act_info info = info_of(p, r, "contract.drafted");
    enum err e = act_make(c, &info, &act);
    return e == ERR_OK ? act_write(c, draft_insert, &job, &act, 1) : e;
}

enum err request_create(struct ctx *c, const struct contract_party *p, json_t *terms,
                        struct str stage, struct str contract_id, struct contract_request *out)
{
    json_t *api;
    char *id = arena_alloc(c->arena, ID_LEN + 1);
    id_new(id);
    *out = (struct contract_request){.id = str_from(id),
                                     .contract_id = contract_id.n ? contract_id : str_from(id),
                                     .replaces = STR(""),
                                     .held_by = STR(""),
                                     .digest = STR(""),
                                     .stage = str_eq_z(stage, "sandbox") ? STR("sandbox")
                                                                         : STR("production"),
                                     .state = CONTRACT_DRAFT,
                                     .consumer = p->org,
                                     .provider = STR(""),
                                     .terms = terms,
                                     .revision = 1,
                                     .created_ms = clock_now_ms(),
                                     .updated_ms = clock_now_ms()};
    names_from_terms(c, out, &api);
    if (!api)
        return ctx_fail(c, &contracts_fault_api, ERR_NOT_FOUND, STR_NONE);
    return draft_write(c, p, out);
}

enum err request_reopen(struct ctx *c, const struct contract_party *p,
                        const struct contract_request *r, bool production,
                        struct contract_request *out)
{
    json_t *api;
    char *id = arena_alloc(c->arena, ID_LEN + 1);
    bool fits = r->state == CONTRACT_VALIDATED && party_sides(p, r) & SIDE_CONSUMER &&
                (!production || str_eq_z(r->stage, "sandbox"));
    if (!fits)
        return ctx_fail(c, &contracts_fault_state, ERR_CONFLICT, STR_NONE);
    id_new(id);
    *out = *r;
    out->id = str_from(id);
    out->state = CONTRACT_DRAFT;
    out->held_by = out->digest = STR("");
    out->revision = 1;
    out->ends_ms = out->reviewed_ms = out->report_due_ms = 0;
    out->created_ms = out->updated_ms = clock_now_ms();
    if (production) { /* beside the sandbox, which stays for trying what comes next */
        out->contract_id = out->id;
        out->stage = STR("production");
        out->replaces = STR("");
    } else {
        out->replaces = r->id;
    }
    names_from_terms(c, out, &api);
    return draft_write(c, p, out);
}

struct change_job {
    const struct contract_request *r;
    struct str terms;
    int64_t now_ms;
};

static enum err change_closure(struct db_conn *db, void *arg)
{
    struct change_job *j = arg;
    int64_t changed;
    enum err e = db_exec_count(db, &changed,
                               "UPDATE contract_request SET terms = $1, client_id = $2, api = $3, "
                               "version = $4, provider = $5, revision = revision + 1, updated_at = "
                               "$6 WHERE id = $7 AND revision = $8 AND state IN ('draft', "
                               "'changes_requested')",
                               "sssssisi", j->terms, j->r->client_id, j->r->api, j->r->version,
                               j->r->provider, j->now_ms, j->r->id, j->r->revision);
    return e == ERR_OK && changed == 0 ? ERR_CONFLICT : e;
}

enum err request_change(struct ctx *c, const struct contract_party *p, struct contract_request *r,
                        json_t *terms)
{
    struct act act;
    json_t *api;
    bool open = r->state == CONTRACT_DRAFT || r->state == CONTRACT_CHANGES_REQUESTED;
    if (!(party_sides(p, r) & SIDE_CONSUMER))
        return ctx_fail(c, &contracts_fault_role, ERR_DENIED, STR_NONE);
    if (!open)
        return ctx_fail(c, &contracts_fault_state, ERR_CONFLICT, STR_NONE);
    r->terms = terms;
    names_from_terms(c, r, &api);
    if (!api)
        return ctx_fail(c, &contracts_fault_api, ERR_NOT_FOUND, STR_NONE);
    struct change_job job = {r, json_text(c->arena, terms), clock_now_ms()};
    struct act_info info = info_of(p, r, "contract.changed");
    enum err e = act_make(c, &info, &act);
    if (e == ERR_OK)
        e = act_write(c, change_closure, &job, &act, 1);
    if (e == ERR_CONFLICT)
        return ctx_fail(c, &contracts_fault_revision, e, STR_NONE);
    if (e == ERR_OK)
        r->revision++;
    return e;
}

/* ---- transitions
 * ------------------------------------------------------------------------------------ */
struct act_job {
    const struct transition *t; /* NULL: words only */
    const struct contract_party *p;
    const struct contract_request *before;
    struct contract_request *after;
    struct str words, agreement;
    int64_t now_ms;
};

static enum err state_update(struct db_conn *db, const struct act_job *j)
{
    int64_t changed;
    const struct contract_request *r = j->after;
    enum err e = db_exec_count(
        db, &changed,
        "UPDATE contract_request SET state = $1, held_by = $2, digest = $3, ends_at = $4, "
        "reviewed_at = $5, report_due_at = $6, updated_at = $7, revision = $8, applied = $9, "
        "reminded_at = 0 WHERE id = $10 AND revision = $11",
        "zssiiiiiisi", contract_state_name(r->state), r->held_by, r->digest, r->ends_ms,
        r->reviewed_ms, r->report_due_ms, j->now_ms, r->revision,
        (int64_t)(r->state != CONTRACT_VALIDATED && r->state != CONTRACT_REVOKED), r->id,
        j->before->revision);
    return e == ERR_OK && changed == 0 ? ERR_CONFLICT : e;
}

static enum err act_closure(struct db_conn *db, void *arg)
{
    struct act_job *j = arg;
    const struct contract_request *r = j->after;
    enum err e = j->t ? state_update(db, j) : ERR_OK;
    if (e == ERR_OK && j->agreement.n)
        e = db_exec(
            db,
            "INSERT INTO contract_agreement(digest, request_id, body, at_ms) VALUES($1, $2, "
            "$3, $4) ON CONFLICT (digest) DO NOTHING",
            "sssi", r->digest, r->id, j->agreement, j->now_ms);
    /* The agreement it takes the place of goes to the archive at the same moment. */
    if (e == ERR_OK && j->t && strcmp(j->t->action, "validate") == 0 && r->replaces.n)
        e = db_exec(db,
                    "UPDATE contract_request SET state = 'archived', updated_at = $1, revision = "
                    "revision + 1, applied = 1 WHERE id = $2",
                    "is", j->now_ms, r->replaces);
    if (e == ERR_OK)
        e = message_add(db, r->id, j->p->org, j->p->name, j->t ? j->t->action : "message", j->words,
                        j->now_ms);
    return e == ERR_OK ? contract_tell(db, r, j->t ? j->t->kind : "contract.message", j->now_ms)
                       : e;
}

static enum err faults_answer(struct ctx *c, const struct terms_fault *list, size_t n)
{
    json_t *errors = json_object();
    for (size_t i = 0; i < n; i++)
        json_object_set_new(errors, list[i].field, json_string(list[i].key));
    json_decref(c->fault_extra);
    c->fault_extra = json_pack("{s:o}", "errors", errors);
    return ctx_fail(c, &contracts_fault_fields, ERR_INVALID, STR_NONE);
}

static enum err before_submit(struct ctx *c, struct act_job *j)
{
    struct terms_fault faults[TERMS_FAULTS_MAX];
    struct contract_request *r = j->after;
    json_t *api;
    names_from_terms(c, r, &api);
    size_t n = terms_faults(c, r->terms, api, faults);
    struct str seen = ctx_form(c, "terms_of_use"); /* the number of those that were read */
    const json_t *use = seen.n ? terms_of_use(c, r, 0) : NULL;
    int64_t number;
    if (use && n < TERMS_FAULTS_MAX &&
        (!str_to_i64(seen, &number) || number != json_get_i64(use, "number", 0)))
        faults[n++] = (struct terms_fault){"terms_of_use", "terms_of_use"};
    return n ? faults_answer(c, faults, n) : agreement_text(c, r, api, &j->agreement, &r->digest);
}

static enum err before_validate(struct ctx *c, struct act_job *j)
{
    struct contract_request *r = j->after;
    json_t *api, *agreement;
    names_from_terms(c, r, &api);
    if (terms_sensitivity(r->terms, api) >= 2 && !j->p->substantial)
        return ctx_fail(c, &contracts_fault_level, ERR_DENIED, STR_NONE);
    enum err e = agreement_read(c, r, &agreement);
    if (e != ERR_OK)
        return e;
    if (json_array_size(json_get(agreement, "missing")) && str_eq_z(r->stage, "production"))
        return ctx_fail(c, &contracts_fault_signature, ERR_CONFLICT,
                        json_text(c->arena, json_get(agreement, "missing")));
    int64_t days = json_get_i64(r->terms, "report_days", 0);
    r->ends_ms = j->now_ms + json_get_i64(r->terms, "months", 12) * 30 * DAY_MS;
    r->reviewed_ms = j->now_ms;
    r->report_due_ms = days ? j->now_ms + days * DAY_MS : 0;
    return ERR_OK;
}

static const char *side_name(const struct contract_party *p, const struct contract_request *r)
{
    unsigned sides = party_sides(p, r);
    return sides & SIDE_OPERATOR ? "operator" : sides & SIDE_PROVIDER ? "provider" : "consumer";
}

/* What each action asks and changes beyond the table. */
static enum err prepare(struct ctx *c, struct act_job *j)
{
    struct contract_request *r = j->after;
    const char *a = j->t->action;
    r->state = j->t->to;
    r->revision++;
    if (strcmp(a, "submit") == 0)
        return before_submit(c, j);
    if (strcmp(a, "validate") == 0)
        return before_validate(c, j);
    if (strcmp(a, "suspend") == 0)
        r->held_by = str_from(side_name(j->p, r));
    if (strcmp(a, "resume") == 0) {
        if (!str_eq_z(r->held_by, side_name(j->p, r))) /* who held it lets it go */
            return ctx_fail(c, &contracts_fault_role, ERR_DENIED, STR_NONE);
        r->held_by = STR("");
    }
    if (strcmp(a, "review") == 0)
        r->reviewed_ms = j->now_ms;
    if (strcmp(a, "renew") == 0) {
        if (report_is_overdue(j->before, j->now_ms))
            return ctx_fail(c, &contracts_fault_report, ERR_CONFLICT, STR_NONE);
        int64_t from = r->ends_ms > j->now_ms ? r->ends_ms : j->now_ms;
        r->ends_ms = from + json_get_i64(r->terms, "months", 12) * 30 * DAY_MS;
        r->reviewed_ms = j->now_ms;
    }
    return ERR_OK;
}

static bool takes_away(const struct contract_request *r)
{
    return r->state == CONTRACT_REVOKED || r->held_by.n;
}

static enum err write_act(struct ctx *c, struct act_job *j)
{
    struct act acts[2];
    size_t n = 1;
    struct act_info info = info_of(j->p, j->after, j->t ? j->t->kind : "contract.message");
    enum err e = act_make(c, &info, &acts[0]);
    if (e == ERR_OK && j->agreement.n) { /* the text cannot be another one later */
        info.kind = "contract.agreement";
        info.object = arena_printf(c->arena, STR_FMT "/sha256:" STR_FMT, STR_ARG(j->after->id),
                                   STR_ARG(j->after->digest));
        e = act_make(c, &info, &acts[n++]);
    }
    if (e == ERR_OK)
        e = act_write(c, act_closure, j, acts, n);
    return e == ERR_CONFLICT ? ctx_fail(c, &contracts_fault_revision, e, STR_NONE) : e;
}

enum err request_act(struct ctx *c, const struct contract_party *p, struct contract_request *r,
                     struct str action, struct str words)
{
    struct contract_request after = *r;
    unsigned sides = party_sides(p, r);
    words = str_trim(words.p ? words : STR(""));
    struct act_job j = {transition_named(action), p, r, &after, words, STR_NONE, clock_now_ms()};
    bool message = str_eq_z(action, "message");
    if (!j.t && !message)
        return ERR_NOT_FOUND;
    if (j.t && !(j.t->sides & sides))
        return ctx_fail(c, &contracts_fault_role, ERR_DENIED, STR_NONE);
    if (j.t && !transition_fits(j.t, r->state, sides, r->held_by.n > 0))
        return ctx_fail(c, &contracts_fault_state, ERR_CONFLICT, STR_NONE);
    if (words.n > WORDS_MAX || ((message || j.t->words_needed) && words.n < 2))
        return ctx_fail(c, &contracts_fault_words, ERR_INVALID, STR_NONE);
    enum err e = j.t ? prepare(c, &j) : ERR_OK;
    if (e == ERR_OK && j.t && takes_away(&after)) {
        struct contract_request held = after;
        held.revision = -1; /* not yet what the request says: apply marks nothing */
        e = contract_apply(c, &held, false);
    }
    if (e == ERR_OK)
        e = write_act(c, &j);
    if (e != ERR_OK)
        return e;
    *r = after;
    if (j.t && (r->state == CONTRACT_VALIDATED || r->state == CONTRACT_REVOKED))
        e = contract_apply(
            c, r, strcmp(j.t->action, "validate") == 0 || strcmp(j.t->action, "resume") == 0);
    return e;
}
