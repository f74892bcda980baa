/* The signed webhook of a body's own authorisation desk (DataPass and the like): it creates,
 * changes, holds and revokes contracts on that body's APIs. HMAC-SHA256 over "<timestamp>.<body>",
 * five minutes of age at most, each event once (docs/formats/contract.md). */
#include "core/contracts/contracts.h"

#include "base/clock.h"
#include "base/rand.h"
#include "platform/hook.h"

enum { AGE_MAX_S = 300, NAME_MAX_LEN = 64, SEEN_MS = 86400 * 1000 };

/* ---- secrets
 * --------------------------------------------------------------------------------------- */
static struct str owner_of(struct arena *a, struct str org)
{
    return arena_printf(a, "hook:" STR_FMT, STR_ARG(org));
}

struct secret_job {
    struct str org, sealed;
    int64_t now_ms;
};

static enum err secret_closure(struct db_conn *db, void *arg)
{
    struct secret_job *j = arg;
    return db_exec(db,
                   "INSERT INTO contract_hook(org, way, url, secret, at_ms) VALUES($1, 'in', '', "
                   "$2, $3) ON CONFLICT (org, way) DO UPDATE SET secret = $2, at_ms = $3",
                   "sbi", j->org, j->sealed, j->now_ms);
}

enum err desk_secret_put(struct ctx *c, struct str org, struct str *secret)
{
    char text[SECRET_LEN + 1];
    struct act act;
    struct secret_job job = {org, STR_NONE, clock_now_ms()};
    secret_new(text);
    *secret = arena_dup(c->arena, str_from(text));
    enum err e = vault_seal(c, owner_of(c->arena, org), "contract.hook", *secret, &job.sealed);
    struct act_info info = {.kind = "contract.hook", .actor = STR("operator"), .object = org};
    if (e == ERR_OK)
        e = act_make(c, &info, &act);
    return e == ERR_OK ? act_write(c, secret_closure, &job, &act, 1) : e;
}

static enum err secret_get(struct ctx *c, struct str org, struct str *secret)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    enum err e = db ? db_query_one(db, c->arena, &r,
                                   "SELECT secret FROM contract_hook WHERE org = $1 AND way = 'in'",
                                   "s", org)
                    : ERR_UNAVAILABLE;
    return e == ERR_OK
               ? vault_open(c, owner_of(c->arena, org), "contract.hook", db_str(&r, 0, 0), secret)
               : e;
}

static enum err authenticate(struct ctx *c, struct str sender)
{
    struct str secret, timestamp = ctx_header(c, "X-Socle-Timestamp");
    struct str shown = ctx_header(c, "X-Hub-Signature-256");
    int64_t at_s, now_s = clock_now_ms() / 1000;
    if (!sender.n || !shown.n || !str_to_i64(timestamp, &at_s) || at_s < now_s - AGE_MAX_S ||
        at_s > now_s + AGE_MAX_S)
        return ctx_fail(c, &contracts_fault_hook, ERR_DENIED, STR("sender, signature or time"));
    enum err e = secret_get(c, sender, &secret);
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    bool same = e == ERR_OK &&
                str_eq_secret(shown, hook_signature(c->arena, secret, timestamp, c->rq->body));
    return same ? ERR_OK : ctx_fail(c, &contracts_fault_hook, ERR_DENIED, STR("signature"));
}

/* ---- each event once
 * --------------------------------------------------------------------------------- */
struct seen_job {
    struct str org, id;
    int64_t now_ms;
};

static enum err seen_add(struct db_conn *db, void *arg)
{
    struct seen_job *j = arg;
    return db_exec(db, "INSERT INTO contract_hook_seen(org, id, at_ms) VALUES($1, $2, $3)", "ssi",
                   j->org, j->id, j->now_ms);
}

static enum err seen_drop(struct db_conn *db, void *arg)
{
    struct seen_job *j = arg;
    return db_exec(db, "DELETE FROM contract_hook_seen WHERE org = $1 AND id = $2", "ss", j->org,
                   j->id);
}

static enum err seen_sweep(struct db_conn *db, void *arg)
{
    const int64_t *before_ms = arg;
    return db_exec(db, "DELETE FROM contract_hook_seen WHERE at_ms < $1", "i", *before_ms);
}

enum err desk_sweep(struct platform *pf, int64_t now_ms)
{
    int64_t before_ms = now_ms - SEEN_MS;
    return db_write(pf->db, seen_sweep, &before_ms);
}

/* ---- what it asks
 * ------------------------------------------------------------------------------------ */
struct event {
    struct contract_party consumer, provider;
    struct str name, contract_id, words;
    json_t *terms;
};

/* Its contract as the terms of a request: what a person may write, and nothing else. */
static json_t *terms_of(struct ctx *c, const json_t *contract)
{
    static const char *const known[] = {
        "client_id",        "api",         "version",           "fields",
        "recipients",       "purpose",     "legal_basis",       "duration_days",
        "quota_per_minute", "months",      "report_days",       "consent_needed",
        "purpose_needed",   "for_clients", "impact_assessment", "officer_opinion"};
    json_t *t = json_own(&c->pool, json_object());
    for (size_t i = 0; i < COUNT_OF(known); i++)
        if (json_get(contract, known[i]))
            json_object_set(t, known[i], json_get(contract, known[i]));
    return terms_read(c, t); /* fills in what is absent */
}

static enum err current(struct ctx *c, const struct event *ev, struct contract_request *out)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    enum err e = db ? db_query_one(db, c->arena, &r,
                                   "SELECT id FROM contract_request WHERE contract_id = $1 AND "
                                   "provider = $2 AND state = 'validated'",
                                   "ss", ev->contract_id, ev->provider.org)
                    : ERR_UNAVAILABLE;
    return e == ERR_OK ? request_get(c, db_str(&r, 0, 0), out) : e;
}

static enum err grant(struct ctx *c, const struct event *ev, struct contract_request *r)
{
    struct contract_request old;
    enum err e = current(c, ev, &old);
    if (e == ERR_OK)
        e = request_reopen(c, &ev->consumer, &old, false, r);
    if (e == ERR_OK)
        e = request_change(c, &ev->consumer, r, ev->terms);
    else if (e == ERR_NOT_FOUND)
        e = request_create(c, &ev->consumer, ev->terms, STR("production"), ev->contract_id, r);
    if (e != ERR_OK)
        return e;
    if (!str_eq(r->provider, ev->provider.org))
        e = ctx_fail(c, &contracts_fault_role, ERR_DENIED, STR("another body's API"));
    if (e == ERR_OK)
        e = request_act(c, &ev->consumer, r, STR("submit"), ev->words);
    if (e == ERR_OK)
        e = request_act(c, &ev->provider, r, STR("validate"), ev->words);
    if (e == ERR_OK)
        return e;
    struct fault why = c->fault; /* the draft goes, the reason stays */
    if (r->state == CONTRACT_SUBMITTED &&
        request_act(c, &ev->provider, r, STR("refuse"), STR("webhook")) == ERR_OK)
        r->state = CONTRACT_REFUSED;
    if (request_act(c, &ev->consumer, r, STR("archive"), STR_NONE) != ERR_OK)
        c->fault = why;
    c->fault = why;
    return e;
}

static enum err event_run(struct ctx *c, const struct event *ev, struct contract_request *r)
{
    static const char *const acts[][2] = {{"contract.revoked", "revoke"},
                                          {"contract.suspended", "suspend"},
                                          {"contract.resumed", "resume"}};
    if (str_eq_z(ev->name, "contract.validated") || str_eq_z(ev->name, "contract.changed"))
        return grant(c, ev, r);
    for (size_t i = 0; i < COUNT_OF(acts); i++) {
        if (!str_eq_z(ev->name, acts[i][0]))
            continue;
        enum err e = current(c, ev, r);
        return e == ERR_OK ? request_act(c, &ev->provider, r, str_from(acts[i][1]), ev->words) : e;
    }
    return ctx_fail(c, &contracts_fault_fields, ERR_INVALID, STR("event"));
}

static enum err event_read(struct ctx *c, struct str sender, const json_t *body, struct event *ev)
{
    const json_t *contract = json_get(body, "contract");
    struct str external = json_get_str(contract, "id"), acr = json_get_str(body, "acr");
    struct str who = arena_printf(c->arena, "webhook:" STR_FMT, STR_ARG(sender));
    bool high = str_eq_z(acr, "eidas2") || str_eq_z(acr, "eidas3");
    ev->contract_id =
        arena_printf(c->arena, STR_FMT "." STR_FMT, STR_ARG(sender), STR_ARG(external));
    for (size_t i = 0; i < external.n; i++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.",
                    external.p[i]))
            external.n = 0;
    if (!external.n || ev->contract_id.n > NAME_MAX_LEN)
        return ctx_fail(c, &contracts_fault_fields, ERR_INVALID, STR("contract.id"));
    ev->name = json_get_str(body, "event");
    ev->words = json_get_str(body, "message");
    if (!ev->words.n)
        ev->words = who;
    ev->provider = (struct contract_party){sender, who, who, 0, high};
    ev->consumer = (struct contract_party){json_get_str(contract, "org_id"), who, who, 0, false};
    ev->terms = terms_of(c, contract);
    return ERR_OK;
}

enum err contracts_api_webhook(struct ctx *c)
{
    json_t *body;
    struct contract_request r = {0};
    struct event ev;
    struct str sender = ctx_header(c, "X-Socle-Sender");
    enum err e = authenticate(c, sender);
    if (e != ERR_OK)
        return e;
    if (json_read(c->rq->body, &body, NULL) != ERR_OK)
        return ctx_fail(c, &contracts_fault_fields, ERR_INVALID, STR("body"));
    json_own(&c->pool, body);
    struct seen_job seen = {sender, json_get_str(body, "id"), clock_now_ms()};
    if (!seen.id.n || seen.id.n > NAME_MAX_LEN)
        return ctx_fail(c, &contracts_fault_fields, ERR_INVALID, STR("id"));
    e = event_read(c, sender, body, &ev);
    if (e == ERR_OK)
        e = db_write(c->pf->db, seen_add, &seen);
    if (e == ERR_EXISTS)
        return ctx_fail(c, &contracts_fault_state, ERR_CONFLICT, STR("this event was received"));
    if (e != ERR_OK)
        return e;
    e = event_run(c, &ev, &r);
    if (e != ERR_OK) {
        enum err e2 = db_write(c->pf->db, seen_drop, &seen); /* it may come again */
        (void)e2;
        return e;
    }
    return ctx_json(c, 200, request_json(c, &r, SIDE_PROVIDER));
}
