/* APIs and contracts as they are kept. Every change is one transaction with its entry in the outbox
 * and its row in the change feed: so a suspension is proved, and known to every loop within 1 s. */
#include "core/exchange/exchange.h"

#include <stdlib.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/rand.h"
#include "core/exchange/schema.h"
#include "core/exchange/snapshot.h"
#include "platform/change.h"

const struct db_migration exchange_migrations[EXCHANGE_MIGRATIONS] = {
    {"exchange", 1,
     "CREATE TABLE api("
     " id TEXT NOT NULL, version TEXT NOT NULL, org_id TEXT NOT NULL,"
     " title_fr TEXT NOT NULL, title_en TEXT NOT NULL,"
     " summary_fr TEXT NOT NULL, summary_en TEXT NOT NULL,"
     " scope TEXT NOT NULL, origin TEXT NOT NULL, prefix TEXT NOT NULL, adapter TEXT NOT NULL,"
     " methods TEXT NOT NULL, circle BIGINT NOT NULL, state TEXT NOT NULL,"
     " created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL, PRIMARY KEY(id, version));"
     "CREATE INDEX api_scope ON api(scope);"
     "CREATE TABLE api_field("
     " api TEXT NOT NULL, version TEXT NOT NULL, position BIGINT NOT NULL, path TEXT NOT NULL,"
     " label_fr TEXT NOT NULL, label_en TEXT NOT NULL, sensitivity BIGINT NOT NULL,"
     " PRIMARY KEY(api, version, path));"
     "CREATE TABLE contract("
     " id TEXT PRIMARY KEY, client_id TEXT NOT NULL, org_id TEXT NOT NULL,"
     " api TEXT NOT NULL, version TEXT NOT NULL, fields TEXT NOT NULL,"
     " purpose_fr TEXT NOT NULL, purpose_en TEXT NOT NULL,"
     " basis_fr TEXT NOT NULL, basis_en TEXT NOT NULL, recipients TEXT NOT NULL,"
     " consent_needed BIGINT NOT NULL, purpose_needed BIGINT NOT NULL,"
     " duration_days BIGINT NOT NULL, quota_per_minute BIGINT NOT NULL,"
     " state TEXT NOT NULL, starts_at BIGINT NOT NULL, ends_at BIGINT NOT NULL,"
     " created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL);"
     "CREATE INDEX contract_client ON contract(client_id, state);"
     "CREATE INDEX contract_state ON contract(state);"},
    {"exchange", 2,
     "CREATE TABLE exchange_usage("
     " contract TEXT NOT NULL, day BIGINT NOT NULL, delivered BIGINT NOT NULL,"
     " refused BIGINT NOT NULL, bytes BIGINT NOT NULL, last_at BIGINT NOT NULL,"
     " PRIMARY KEY(contract, day));"},
    {"exchange", 10,
     "ALTER TABLE api ADD COLUMN policy TEXT NOT NULL DEFAULT '{}';"
     "ALTER TABLE api ADD COLUMN deprecated_at BIGINT NOT NULL DEFAULT 0;"
     "ALTER TABLE api ADD COLUMN sunset_at BIGINT NOT NULL DEFAULT 0;"
     "CREATE TABLE api_secret("
     " api TEXT NOT NULL, version TEXT NOT NULL, wrapped BLOB NOT NULL,"
     " updated_at BIGINT NOT NULL, PRIMARY KEY(api, version));"
     "CREATE TABLE exchange_health("
     " api TEXT NOT NULL, version TEXT NOT NULL, day BIGINT NOT NULL,"
     " calls BIGINT NOT NULL, errors BIGINT NOT NULL, slow BIGINT NOT NULL,"
     " refused BIGINT NOT NULL, opened BIGINT NOT NULL,"
     " sampled BIGINT NOT NULL, departures BIGINT NOT NULL, took_us BIGINT NOT NULL,"
     " PRIMARY KEY(api, version, day));"
     "CREATE TABLE exchange_breaker("
     " api TEXT NOT NULL, version TEXT NOT NULL, state TEXT NOT NULL, since_at BIGINT NOT NULL,"
     " PRIMARY KEY(api, version));"
     "CREATE TABLE exchange_departure("
     " api TEXT NOT NULL, version TEXT NOT NULL, path TEXT NOT NULL, rule TEXT NOT NULL,"
     " n BIGINT NOT NULL, first_at BIGINT NOT NULL, last_at BIGINT NOT NULL,"
     " PRIMARY KEY(api, version, path, rule));"
     "CREATE TABLE exchange_federated("
     " id TEXT PRIMARY KEY, declaration TEXT NOT NULL, updated_at BIGINT NOT NULL);"},
    {"exchange", 40,
     "ALTER TABLE contract ADD COLUMN delegated BIGINT NOT NULL DEFAULT 0;"
     "CREATE TABLE exchange_delegate("
     " vendor TEXT NOT NULL, recipient TEXT NOT NULL, api TEXT NOT NULL, until_ms BIGINT NOT NULL,"
     " PRIMARY KEY(vendor, recipient, api));"},
};

enum { NAME_MAX_LEN = 64, TEXT_MAX = 2000, DEFAULT_DURATION_DAYS = 90 };

static bool is_name(const char *z)
{
    size_t n = z ? strlen(z) : 0;
    return n > 0 && n <= NAME_MAX_LEN &&
           strspn(z, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == n &&
           strcmp(z, ".") != 0 && strcmp(z, "..") != 0;
}

static bool is_text(const char *z)
{
    return z && z[0] && strlen(z) <= TEXT_MAX && str_is_utf8(str_from(z));
}

static enum err wrong(const char *what, const char *id, const char *member)
{
    log_warn(what, "id", id ? id : "", "member", member);
    return ERR_INVALID;
}

/* Who asks: whoever is signed in; else the command line, which only the operator has. */
static struct str actor_of(const struct ctx *c)
{
    return c->session ? c->session->subject : STR("operator");
}

static const char *api_fault(const struct exchange_api *api)
{
    struct str host;
    bool tls;
    unsigned port;
    if (!is_name(api->id))
        return "id";
    if (!is_name(api->version))
        return "version";
    if (!is_text(api->title_fr) || !is_text(api->title_en))
        return "title";
    if (!is_name(api->scope))
        return "scope";
    if (!api->origin || exchange_origin_read(str_from(api->origin), &tls, &host, &port) != ERR_OK)
        return "origin";
    size_t n = api->prefix ? strlen(api->prefix) : 0;
    if (n && (api->prefix[0] != '/' || api->prefix[n - 1] == '/' || strpbrk(api->prefix, " ?#")))
        return "prefix";
    if (api->n_fields > EXCHANGE_FIELDS_MAX)
        return "fields";
    return NULL;
}

struct api_job {
    const struct exchange_api *api;
    int64_t now_ms;
};

static enum err api_closure(struct db_conn *db, void *arg)
{
    const struct api_job *job = arg;
    const struct exchange_api *a = job->api;
    enum err e = db_exec(
        db,
        "INSERT INTO api(id, version, org_id, title_fr, title_en, summary_fr, summary_en, scope, "
        "origin, prefix, adapter, methods, circle, state, created_at, updated_at, policy, "
        "deprecated_at, sunset_at) "
        "VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, 'active', $14, $15, $16, "
        "$17, $18) "
        "ON CONFLICT (id, version) DO UPDATE SET org_id = $3, title_fr = $4, title_en = $5, "
        "summary_fr = $6, summary_en = $7, scope = $8, origin = $9, prefix = $10, adapter = $11, "
        "methods = $12, circle = $13, updated_at = $15, "
        "policy = CASE WHEN $19 = 1 THEN $16 ELSE api.policy END, "
        "deprecated_at = CASE WHEN $17 >= 0 AND $20 = 1 THEN $17 ELSE api.deprecated_at END, "
        "sunset_at = CASE WHEN $18 >= 0 AND $20 = 1 THEN $18 ELSE api.sunset_at END",
        "zzzzzzzzzzzziiiziiii", a->id, a->version, a->org_id, a->title_fr, a->title_en,
        a->summary_fr ? a->summary_fr : "", a->summary_en ? a->summary_en : "", a->scope, a->origin,
        a->prefix ? a->prefix : "", a->adapter ? a->adapter : "json",
        a->methods ? a->methods : "GET", (int64_t)a->circle, job->now_ms, job->now_ms,
        a->policy ? a->policy : "{}", a->deprecated_ms, a->sunset_ms, (int64_t)(a->policy != NULL),
        (int64_t)a->dated);
    if (e == ERR_OK)
        e = db_exec(db, "DELETE FROM api_field WHERE api = $1 AND version = $2", "zz", a->id,
                    a->version);
    for (size_t i = 0; i < a->n_fields && e == ERR_OK; i++) {
        const struct exchange_api_field *f = &a->fields[i];
        e = db_exec(db,
                    "INSERT INTO api_field(api, version, position, path, label_fr, label_en, "
                    "sensitivity) VALUES($1, $2, $3, $4, $5, $6, $7)",
                    "zzizzzi", a->id, a->version, (int64_t)i, f->path, f->label_fr, f->label_en,
                    (int64_t)f->sensitivity);
    }
    return e == ERR_OK ? change_add(db, "config", str_from(a->id), 0) : e;
}

/* A private body consumes; what the core and the commons provide is a public body's to answer for.
 */
static bool circle_is_closed(struct ctx *c, const struct exchange_api *api)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    return api->circle < 3 && (!db || db_query_one(db, c->arena, &r,
                                                   "SELECT 1 FROM organisation WHERE id = $1 AND "
                                                   "kind IN ('private', 'partner')",
                                                   "z", api->org_id) != ERR_NOT_FOUND);
}

enum err exchange_api_put(struct ctx *c, const struct exchange_api *api)
{
    struct api_job job = {api, clock_now_ms()};
    const char *fault = api_fault(api);
    if (fault)
        return wrong("api_refused", api->id, fault);
    if (circle_is_closed(c, api)) {
        log_warn("api_refused", "id", api->id, "member", "circle");
        return ERR_DENIED;
    }
    struct act_info info = {.kind = "exchange.api.put",
                            .actor = actor_of(c),
                            .object = arena_printf(c->arena, "%s/%s", api->id, api->version)};
    struct act act;
    enum err e = act_make(c, &info, &act);
    return e == ERR_OK ? act_write(c, api_closure, &job, &act, 1) : e;
}

static const char *const signature_words[] = {"none", "requests", "answers", "both"};

int exchange_signatures_read(const char *word)
{
    for (int i = 0; i < (int)COUNT_OF(signature_words); i++)
        if (strcmp(word, signature_words[i]) == 0)
            return i;
    return -1;
}

const char *exchange_signatures_word(int64_t asks)
{
    return signature_words[asks & (EXCHANGE_SIGNED_REQUESTS | EXCHANGE_SIGNED_ANSWERS)];
}

/* ---- contracts ----------------------------------------------------------------------------------
 */
struct contract_job {
    const struct exchange_contract_terms *t;
    struct str id;
    int64_t now_ms;
};

static const char *contract_fault(const struct exchange_contract_terms *t)
{
    if (t->id && !is_name(t->id))
        return "id";
    if (!t->client_id || !t->client_id[0] || strlen(t->client_id) > 120)
        return "client_id";
    if (!t->org_id || !t->org_id[0])
        return "org_id";
    if (!is_text(t->purpose_fr) || !is_text(t->purpose_en))
        return "purpose";
    if (!is_text(t->basis_fr) || !is_text(t->basis_en))
        return "legal basis";
    if (t->signatures && exchange_signatures_read(t->signatures) < 0)
        return "signatures";
    if (!t->fields || !t->fields[0])
        return "fields";
    if (strcmp(t->fields, "*") == 0)
        return NULL;
    /* The filter itself says whether the list is one. */
    struct str paths[EXCHANGE_FIELDS_MAX], rest = str_from(t->fields), part;
    size_t n = 0;
    while (rest.n && str_split(&rest, ' ', &part)) {
        if (part.n && n == COUNT_OF(paths))
            return "fields";
        if (part.n)
            paths[n++] = part;
    }
    struct json_filter *f;
    if (n == 0 || json_filter_new(paths, n, &f) != ERR_OK)
        return "fields";
    json_filter_free(f);
    return NULL;
}

static enum err contract_closure(struct db_conn *db, void *arg)
{
    const struct contract_job *job = arg;
    const struct exchange_contract_terms *t = job->t;
    enum err e = db_exec(
        db,
        "INSERT INTO contract(id, client_id, org_id, api, version, fields, purpose_fr, purpose_en, "
        "basis_fr, basis_en, recipients, consent_needed, purpose_needed, duration_days, "
        "quota_per_minute, state, starts_at, ends_at, created_at, updated_at, delegated) "
        "VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, 'active', $16, "
        "$17, $18, $19, $20) "
        "ON CONFLICT (id) DO UPDATE SET client_id = $2, org_id = $3, api = $4, version = $5, "
        "fields = $6, purpose_fr = $7, purpose_en = $8, basis_fr = $9, basis_en = $10, "
        "recipients = $11, consent_needed = $12, purpose_needed = $13, duration_days = $14, "
        "quota_per_minute = $15, starts_at = $16, ends_at = $17, updated_at = $19, delegated = $20",
        "szzzzzzzzzziiiiiiiii", job->id, t->client_id, t->org_id, t->api, t->version, t->fields,
        t->purpose_fr, t->purpose_en, t->basis_fr, t->basis_en, t->recipients ? t->recipients : "",
        (int64_t)t->consent_needed, (int64_t)(t->purpose_needed || t->delegated),
        (int64_t)(t->duration_days > 0 ? t->duration_days : DEFAULT_DURATION_DAYS),
        (int64_t)(t->quota_per_minute > 0 ? t->quota_per_minute : 0), t->starts_ms, t->ends_ms,
        job->now_ms, job->now_ms, (int64_t)t->delegated);
    if (e == ERR_OK && t->signatures)
        e = db_exec(db,
                    "INSERT INTO message_signing(contract, asks) VALUES($1, $2) "
                    "ON CONFLICT (contract) DO UPDATE SET asks = $2",
                    "si", job->id, (int64_t)exchange_signatures_read(t->signatures));
    return e == ERR_OK ? change_add(db, "config", job->id, 0) : e;
}

static enum err api_is_there(struct ctx *c, const char *api, const char *version)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    return !db ? ERR_UNAVAILABLE
               : db_query_one(db, c->arena, &r,
                              "SELECT scope FROM api WHERE id = $1 AND version = $2", "zz", api,
                              version);
}

/* The terms as they stand from now on, for evidence (docs/formats/evidence.md). */
static struct str terms_text(struct ctx *c, const struct exchange_contract_terms *t, struct str id)
{
    json_t *j =
        json_pack("{s:i, s:s#, s:s, s:s, s:s, s:s, s:s, s:{s:s,s:s}, s:{s:s,s:s}, s:s}", "v", 1,
                  "contract", id.p, (int)id.n, "client", t->client_id, "consumer", t->org_id, "api",
                  t->api, "version", t->version, "fields", t->fields, "purpose", "fr",
                  t->purpose_fr, "en", t->purpose_en, "legal_basis", "fr", t->basis_fr, "en",
                  t->basis_en, "recipients", t->recipients ? t->recipients : "");
    json_t *more =
        json_pack("{s:b, s:b, s:b, s:i, s:i, s:I, s:I, s:s}", "consent_needed", t->consent_needed,
                  "purpose_needed", t->purpose_needed, "delegated", t->delegated, "duration_days",
                  t->duration_days, "quota_per_minute", t->quota_per_minute, "starts_at",
                  (json_int_t)t->starts_ms, "ends_at", (json_int_t)t->ends_ms, "signatures",
                  t->signatures ? t->signatures : "");
    if (json_object_update(j, more) != 0)
        abort();
    json_decref(more);
    struct str text = json_text(c->arena, j);
    json_decref(j);
    return text;
}

enum err exchange_contract_put(struct ctx *c, const struct exchange_contract_terms *t,
                               struct str *id_out)
{
    char fresh[ID_LEN + 1];
    struct act act;
    const char *fault = contract_fault(t);
    if (fault)
        return wrong("contract_refused", t->id, fault);
    enum err e = api_is_there(c, t->api, t->version);
    if (e != ERR_OK)
        return e;
    id_new(fresh);
    struct contract_job job = {t, arena_dup(c->arena, str_from(t->id ? t->id : fresh)),
                               clock_now_ms()};
    struct act_info info = {.kind = "exchange.contract.put",
                            .actor = actor_of(c),
                            .object = job.id,
                            .text = terms_text(c, t, job.id)};
    e = act_make(c, &info, &act);
    if (e == ERR_OK)
        e = act_write(c, contract_closure, &job, &act, 1);
    if (e == ERR_OK && id_out)
        *id_out = job.id;
    return e;
}

struct state_job {
    struct str id;
    const char *state;
    int64_t now_ms;
};

static enum err state_closure(struct db_conn *db, void *arg)
{
    const struct state_job *job = arg;
    int64_t changed;
    enum err e =
        db_exec_count(db, &changed, "UPDATE contract SET state = $1, updated_at = $2 WHERE id = $3",
                      "zis", job->state, job->now_ms, job->id);
    if (e == ERR_OK && changed == 0)
        e = ERR_NOT_FOUND;
    return e == ERR_OK ? change_add(db, "config", job->id, 0) : e;
}

enum err exchange_contract_state(struct ctx *c, struct str id, const char *state)
{
    struct state_job job = {id, state, clock_now_ms()};
    struct act act;
    static const char *const known[][2] = {{"active", "exchange.contract.resumed"},
                                           {"suspended", "exchange.contract.suspended"},
                                           {"sandbox", "exchange.contract.sandbox"},
                                           {"revoked", "exchange.contract.revoked"}};
    size_t i = 0;
    while (i < COUNT_OF(known) && strcmp(state, known[i][0]) != 0)
        i++;
    if (i == COUNT_OF(known))
        return ERR_INVALID;
    struct act_info info = {.kind = known[i][1], .actor = actor_of(c), .object = id};
    enum err e = act_make(c, &info, &act);
    return e == ERR_OK ? act_write(c, state_closure, &job, &act, 1) : e;
}
