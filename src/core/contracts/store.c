/* The tables of requests, and how they are read. */
#include "core/contracts/contracts.h"

#include "base/rand.h"

const struct db_migration contracts_migrations[CONTRACTS_MIGRATIONS] = {
    {"contracts", 1,
     "CREATE TABLE contract_request("
     " id TEXT PRIMARY KEY, contract_id TEXT NOT NULL, replaces TEXT NOT NULL,"
     " stage TEXT NOT NULL, state TEXT NOT NULL, held_by TEXT NOT NULL,"
     " consumer TEXT NOT NULL, provider TEXT NOT NULL, client_id TEXT NOT NULL,"
     " api TEXT NOT NULL, version TEXT NOT NULL, terms TEXT NOT NULL, digest TEXT NOT NULL,"
     " revision BIGINT NOT NULL, created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL,"
     " ends_at BIGINT NOT NULL, reviewed_at BIGINT NOT NULL, report_due_at BIGINT NOT NULL,"
     " reminded_at BIGINT NOT NULL, applied BIGINT NOT NULL);"
     "CREATE INDEX contract_request_consumer ON contract_request(consumer, updated_at);"
     "CREATE INDEX contract_request_provider ON contract_request(provider, updated_at);"
     "CREATE INDEX contract_request_ends ON contract_request(state, ends_at);"
     "CREATE INDEX contract_request_applied ON contract_request(applied);"
     "CREATE TABLE contract_message("
     " id TEXT PRIMARY KEY, request_id TEXT NOT NULL, org TEXT NOT NULL, who TEXT NOT NULL,"
     " kind TEXT NOT NULL, words TEXT NOT NULL, at_ms BIGINT NOT NULL);"
     "CREATE INDEX contract_message_request ON contract_message(request_id, id);"
     "CREATE TABLE contract_agreement("
     " digest TEXT PRIMARY KEY, request_id TEXT NOT NULL, body TEXT NOT NULL,"
     " at_ms BIGINT NOT NULL);"
     "CREATE TABLE org_key("
     " org TEXT NOT NULL, kid TEXT NOT NULL, jwk TEXT NOT NULL, at_ms BIGINT NOT NULL,"
     " PRIMARY KEY(org, kid));"
     "CREATE TABLE contract_signature("
     " digest TEXT NOT NULL, org TEXT NOT NULL, kid TEXT NOT NULL, jws TEXT NOT NULL,"
     " at_ms BIGINT NOT NULL, PRIMARY KEY(digest, org));"
     "CREATE TABLE contract_report("
     " id TEXT PRIMARY KEY, request_id TEXT NOT NULL, org TEXT NOT NULL, who TEXT NOT NULL,"
     " kind TEXT NOT NULL, words TEXT NOT NULL, fields TEXT NOT NULL, calls BIGINT NOT NULL,"
     " at_ms BIGINT NOT NULL);"
     "CREATE INDEX contract_report_request ON contract_report(request_id, id);"
     "CREATE TABLE contract_hook("
     " org TEXT NOT NULL, way TEXT NOT NULL, url TEXT NOT NULL, secret BLOB NOT NULL,"
     " at_ms BIGINT NOT NULL, PRIMARY KEY(org, way));"
     "CREATE TABLE contract_hook_seen("
     " org TEXT NOT NULL, id TEXT NOT NULL, at_ms BIGINT NOT NULL, PRIMARY KEY(org, id));"
     "CREATE TABLE contract_delivery("
     " id TEXT PRIMARY KEY, org TEXT NOT NULL, event TEXT NOT NULL, body TEXT NOT NULL,"
     " state TEXT NOT NULL, tries BIGINT NOT NULL, next_at BIGINT NOT NULL,"
     " status BIGINT NOT NULL, at_ms BIGINT NOT NULL);"
     "CREATE INDEX contract_delivery_next ON contract_delivery(state, next_at);"},
    /* Webhooks that go out are the platform's. */
    {"contracts", 10,
     "INSERT INTO hook(org, url, secret, at_ms)"
     " SELECT org, url, secret, at_ms FROM contract_hook WHERE way = 'out';"
     "DELETE FROM contract_hook WHERE way = 'out';"
     "INSERT INTO hook_delivery(id, org, event, body, state, tries, next_at, status, at_ms)"
     " SELECT id, org, event, body, state, tries, next_at, status, at_ms FROM contract_delivery;"
     "DROP TABLE contract_delivery;"
     "CREATE INDEX contract_hook_seen_at ON contract_hook_seen(at_ms);"},
    {"contracts", 11,
     "CREATE TABLE delegation("
     " id TEXT PRIMARY KEY, client TEXT NOT NULL, vendor TEXT NOT NULL, api TEXT NOT NULL,"
     " state TEXT NOT NULL, until_at BIGINT NOT NULL, declared_at BIGINT NOT NULL,"
     " updated_at BIGINT NOT NULL);"
     "CREATE INDEX delegation_client ON delegation(client, state);"
     "CREATE INDEX delegation_vendor ON delegation(vendor, state);"},
    /* What the gateway had counted when a use was declared. */
    {"contracts", 12, "ALTER TABLE contract_report ADD COLUMN counted BIGINT NOT NULL DEFAULT 0;"},
    {"contracts", 13,
     "ALTER TABLE contract_request ADD COLUMN review_told_at BIGINT NOT NULL DEFAULT 0;"},
};

json_t *contracts_one(struct ctx *c, const char *call, json_t *args)
{
    json_t *out = NULL;
    enum err e = platform_call(c, call, json_own(&c->pool, args), &out);
    return e == ERR_OK ? out : NULL;
}

/* ---- reading ----------------------------------------------------------------------------------
 */
#define COLUMNS                                                                              \
    "id, contract_id, replaces, stage, state, held_by, consumer, provider, client_id, api, " \
    "version, terms, digest, revision, created_at, updated_at, ends_at, reviewed_at, "       \
    "report_due_at"

static enum err row_read(struct ctx *c, const struct db_result *r, size_t i,
                         struct contract_request *out)
{
    json_t *terms;
    *out = (struct contract_request){.id = db_str(r, i, 0),
                                     .contract_id = db_str(r, i, 1),
                                     .replaces = db_str(r, i, 2),
                                     .stage = db_str(r, i, 3),
                                     .held_by = db_str(r, i, 5),
                                     .consumer = db_str(r, i, 6),
                                     .provider = db_str(r, i, 7),
                                     .client_id = db_str(r, i, 8),
                                     .api = db_str(r, i, 9),
                                     .version = db_str(r, i, 10),
                                     .digest = db_str(r, i, 12),
                                     .revision = db_i64(r, i, 13),
                                     .created_ms = db_i64(r, i, 14),
                                     .updated_ms = db_i64(r, i, 15),
                                     .ends_ms = db_i64(r, i, 16),
                                     .reviewed_ms = db_i64(r, i, 17),
                                     .report_due_ms = db_i64(r, i, 18)};
    if (contract_state_read(db_str(r, i, 4), &out->state) != ERR_OK ||
        json_read(db_str(r, i, 11), &terms, NULL) != ERR_OK)
        return ERR_CORRUPT;
    out->terms = json_own(&c->pool, terms);
    return ERR_OK;
}

enum err request_get(struct ctx *c, struct str id, struct contract_request *out)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    enum err e =
        db ? db_query_one(db, c->arena, &r,
                          "SELECT " COLUMNS " FROM contract_request WHERE id = $1", "s", id)
           : ERR_UNAVAILABLE;
    return e == ERR_OK ? row_read(c, &r, 0, out) : e;
}

enum err request_list(struct ctx *c, struct str org, struct str state,
                      struct contract_request **out, size_t *n)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    enum err e = db ? db_query(db, c->arena, &r,
                               "SELECT " COLUMNS " FROM contract_request WHERE ($1 = '' OR "
                               "consumer = $1 OR provider = $1) AND ($2 = '' OR state = $2) "
                               "ORDER BY updated_at DESC, id DESC LIMIT 500",
                               "ss", org.p ? org : STR(""), state.p ? state : STR(""))
                    : ERR_UNAVAILABLE;
    if (e != ERR_OK)
        return e;
    *out = arena_array(c->arena, struct contract_request, r.n_rows + 1);
    for (*n = 0; *n < r.n_rows && e == ERR_OK; (*n)++)
        e = row_read(c, &r, *n, &(*out)[*n]);
    return e;
}

enum err request_insert(struct db_conn *db, const struct contract_request *r, struct str terms)
{
    return db_exec(db,
                   "INSERT INTO contract_request(" COLUMNS ", reminded_at, applied) VALUES($1, $2, "
                   "$3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, "
                   "0, 1)",
                   "sssszssssssssiiiiii", r->id, r->contract_id, r->replaces, r->stage,
                   contract_state_name(r->state), r->held_by, r->consumer, r->provider,
                   r->client_id, r->api, r->version, terms, r->digest, r->revision, r->created_ms,
                   r->updated_ms, r->ends_ms, r->reviewed_ms, r->report_due_ms);
}

enum err message_add(struct db_conn *db, struct str request, struct str org, struct str who,
                     const char *kind, struct str words, int64_t now_ms)
{
    char id[ID_LEN + 1];
    id_new(id);
    return db_exec(db,
                   "INSERT INTO contract_message(id, request_id, org, who, kind, words, at_ms) "
                   "VALUES($1, $2, $3, $4, $5, $6, $7)",
                   "zssszsi", id, request, org, who, kind, words.p ? words : STR(""), now_ms);
}

enum err message_list(struct ctx *c, struct str request, json_t **out)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    enum err e = db ? db_query(db, c->arena, &r,
                               "SELECT at_ms, org, who, kind, words FROM contract_message WHERE "
                               "request_id = $1 ORDER BY at_ms, id LIMIT 500",
                               "s", request)
                    : ERR_UNAVAILABLE;
    if (e != ERR_OK)
        return e;
    *out = json_own(&c->pool, json_array());
    for (size_t i = 0; i < r.n_rows; i++)
        json_array_append_new(*out,
                              json_pack("{s:I,s:s,s:s,s:s,s:s}", "at", (json_int_t)db_i64(&r, i, 0),
                                        "org", db_z(&r, i, 1), "who", db_z(&r, i, 2), "kind",
                                        db_z(&r, i, 3), "text", db_z(&r, i, 4)));
    return ERR_OK;
}
