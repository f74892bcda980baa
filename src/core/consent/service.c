/* Consents: given on the issuer's page, read in the account, withdrawn there, obeyed by the
 * gateway. What a consent covers is sealed under the person's key; what must be found (who, whom
 * for, which contract, until when) is in columns. Withdrawing writes the denial in the same
 * transaction: there is no moment when one is true without the other. */
#include "base/clock.h"
#include "base/rand.h"
#include "core/consent/consent.h"
#include "platform/change.h"

enum { TOKEN_LIFE_MS = 3600 * 1000, DURATION_DAYS_MAX = 3650 };
static const int64_t DAY_MS = 86400000;

static const struct db_migration migrations[] = {
    {"consent", 1,
     "CREATE TABLE consent("
     " id TEXT PRIMARY KEY, person TEXT NOT NULL, client_id TEXT NOT NULL,"
     " contract_id TEXT NOT NULL, given_at BIGINT NOT NULL, until_at BIGINT NOT NULL,"
     " withdrawn_at BIGINT NOT NULL, detail BLOB NOT NULL);"
     "CREATE INDEX consent_person ON consent(person, given_at);"
     "CREATE INDEX consent_client ON consent(person, client_id);"},
    {"consent", 2,
     "CREATE TABLE consent_notice("
     " consent_id TEXT NOT NULL, client_id TEXT NOT NULL, told_at BIGINT NOT NULL,"
     " acknowledged_at BIGINT NOT NULL, PRIMARY KEY(consent_id, client_id));"
     "CREATE INDEX consent_notice_client ON consent_notice(client_id, acknowledged_at);"},
};

/* ---- giving ------------------------------------------------------------------------------------
 */
enum { ITEMS_MAX = 32 };
struct given {
    struct str person, client_id, actor;
    int64_t now_ms;
    size_t n;
    struct {
        char id[ID_LEN + 1];
        struct str contract_id, detail;
        int64_t until_ms;
    } item[ITEMS_MAX];
};

static enum err given_write(struct db_conn *db, void *arg)
{
    struct given *g = arg;
    enum err e = ERR_OK;
    for (size_t i = 0; i < g->n && e == ERR_OK; i++)
        e = db_exec(db,
                    "INSERT INTO consent(id, person, client_id, contract_id, given_at, until_at, "
                    "withdrawn_at, detail) VALUES($1, $2, $3, $4, $5, $6, 0, $7)",
                    "zsssiib", g->item[i].id, g->person, g->client_id, g->item[i].contract_id,
                    g->now_ms, g->item[i].until_ms, g->item[i].detail);
    return e;
}

static json_t *two(const char *fr, const char *en)
{
    return json_pack("{s:s,s:s}", "fr", fr, "en", en);
}

/* What was agreed to, by nobody in particular: for evidence (docs/formats/evidence.md). */
static struct str terms_text(struct ctx *c, const struct given *g, const json_t *item)
{
    static const char *const terms[] = {"contract_id", "api",         "scope",    "fields",
                                        "purpose",     "legal_basis", "provider", "recipients"};
    json_t *j = json_pack("{s:i, s:s, s:s#, s:I, s:I}", "v", 1, "consent", g->item[g->n].id,
                          "client", g->client_id.p, (int)g->client_id.n, "given_at",
                          (json_int_t)g->now_ms, "until_at", (json_int_t)g->item[g->n].until_ms);
    for (size_t i = 0; i < COUNT_OF(terms); i++)
        if (json_get(item, terms[i]))
            json_object_set(j, terms[i], json_get(item, terms[i]));
    struct str text = json_text(c->arena, j);
    json_decref(j);
    return text;
}

static enum err given_item(struct ctx *c, struct given *g, const json_t *item, struct act *act)
{
    size_t i = g->n;
    int64_t days = json_get_i64(item, "duration_days", 180);
    if (days < 1 || days > DURATION_DAYS_MAX)
        return ERR_INVALID;
    id_new(g->item[i].id);
    g->item[i].contract_id = json_get_str(item, "contract_id");
    g->item[i].until_ms = g->now_ms + days * DAY_MS;
    enum err e = vault_seal(c, g->person, "consent", json_text(c->arena, item), &g->item[i].detail);
    if (e != ERR_OK)
        return e;
    json_t *told = json_copy((json_t *)item);
    bool herself = str_eq_z(g->actor, "self"); /* else a service says that she did */
    json_object_set_new(
        told, "title",
        herself ? two("Vous avez donné votre accord", "You gave your consent")
                : two("Un service a enregistré votre accord", "A service recorded your consent"));
    struct act_info info = {.kind = "consent.given",
                            .actor = g->actor,
                            .object = str_from(g->item[i].id),
                            .person = g->person,
                            .told = told,
                            .text = terms_text(c, g, item)};
    e = act_make(c, &info, act);
    if (e == ERR_OK)
        g->n++;
    return e;
}

static enum err call_record(struct ctx *c, const json_t *args, json_t **out)
{
    struct given *g = arena_new(c->arena, struct given);
    struct act *acts = arena_array(c->arena, struct act, ITEMS_MAX);
    size_t i;
    json_t *item;
    enum err e = ERR_OK;
    g->person = json_get_str(args, "person");
    g->client_id = json_get_str(args, "client_id");
    g->actor = json_get_str(args, "by").n ? json_get_str(args, "by") : STR("self");
    g->now_ms = clock_now_ms();
    if (!g->person.n || !g->client_id.n || json_array_size(json_get(args, "items")) > ITEMS_MAX)
        return ERR_INVALID;
    json_array_foreach(json_get(args, "items"), i, item)
    {
        if (e == ERR_OK)
            e = given_item(c, g, item, &acts[i]);
    }
    if (e == ERR_OK && g->n)
        e = act_write(c, given_write, g, acts, g->n);
    if (e != ERR_OK)
        return e;
    json_t *map = json_object();
    for (i = 0; i < g->n; i++)
        json_object_set_new(map, arena_dupz(c->arena, g->item[i].contract_id),
                            json_string(g->item[i].id));
    *out = json_pack("{s:o}", "consents", map);
    return ERR_OK;
}

/* ---- reading -----------------------------------------------------------------------------------
 */
static enum err call_active(struct ctx *c, const json_t *args, json_t **out)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    if (!db)
        return ERR_UNAVAILABLE;
    enum err e = db_query(db, c->arena, &r,
                          "SELECT contract_id, id FROM consent WHERE person = $1 AND "
                          "client_id = $2 AND withdrawn_at = 0 AND until_at > $3 ORDER BY given_at",
                          "ssi", json_get_str(args, "person"), json_get_str(args, "client_id"),
                          clock_now_ms());
    if (e != ERR_OK)
        return e;
    json_t *map = json_object();
    for (size_t i = 0; i < r.n_rows; i++)
        json_object_set_new(map, db_z(&r, i, 0), json_string(db_z(&r, i, 1)));
    *out = json_pack("{s:o}", "consents", map);
    return ERR_OK;
}

static json_t *row_json(struct ctx *c, struct str person, const struct db_result *r, size_t i)
{
    struct str plain;
    json_t *row = NULL;
    if (vault_open(c, person, "consent", db_str(r, i, 6), &plain) != ERR_OK ||
        json_read(plain, &row, NULL) != ERR_OK)
        row = json_object();
    int64_t withdrawn_ms = db_i64(r, i, 5), until_ms = db_i64(r, i, 4);
    const char *state = withdrawn_ms ? "withdrawn" : until_ms < clock_now_ms() ? "ended" : "active";
    json_object_set_new(row, "id", json_string(db_z(r, i, 0)));
    json_object_set_new(row, "client_id", json_string(db_z(r, i, 1)));
    json_object_set_new(row, "contract_id", json_string(db_z(r, i, 2)));
    json_object_set_new(row, "given_at", json_integer(db_i64(r, i, 3)));
    json_object_set_new(row, "until_at", json_integer(until_ms));
    json_object_set_new(row, "withdrawn_at", json_integer(withdrawn_ms));
    json_object_set_new(row, "state", json_string(state));
    json_t *notices;
    if (withdrawn_ms && consent_notices(c, db_z(r, i, 0), &notices) == ERR_OK)
        json_object_set_new(row, "notices", notices);
    return row;
}

static enum err call_list(struct ctx *c, const json_t *args, json_t **out)
{
    struct db_result r;
    struct str person = json_get_str(args, "person");
    struct db_conn *db = db_read(c->pf->db);
    if (!db)
        return ERR_UNAVAILABLE;
    enum err e = db_query(db, c->arena, &r,
                          "SELECT id, client_id, contract_id, given_at, until_at, withdrawn_at, "
                          "detail FROM consent WHERE person = $1 ORDER BY given_at DESC LIMIT 500",
                          "s", person);
    if (e != ERR_OK)
        return e;
    json_t *items = json_array();
    for (size_t i = 0; i < r.n_rows; i++)
        json_array_append_new(items, row_json(c, person, &r, i));
    *out = json_pack("{s:o}", "items", items);
    return ERR_OK;
}

/* ---- withdrawing -------------------------------------------------------------------------------
 */
struct withdrawal {
    struct str person, id, deny_key, client_id;
    const json_t *recipients;
    int64_t now_ms;
};

static enum err withdrawal_write(struct db_conn *db, void *arg)
{
    struct withdrawal *w = arg;
    int64_t changed;
    enum err e = db_exec_count(db, &changed,
                               "UPDATE consent SET withdrawn_at = $3 WHERE id = $1 AND person = $2 "
                               "AND withdrawn_at = 0",
                               "ssi", w->id, w->person, w->now_ms);
    if (e == ERR_OK && changed == 0)
        return ERR_CONFLICT;
    if (e == ERR_OK) /* whoever received the data is told to delete them */
        e = consent_notice_add(db, w->id, w->client_id, w->now_ms);
    for (size_t i = 0; i < json_array_size(w->recipients) && e == ERR_OK; i++) {
        const json_t *r = json_array_get(w->recipients, i);
        if (json_is_string(r))
            e = consent_notice_add(db, w->id, str_from(json_string_value(r)), w->now_ms);
    }
    return e == ERR_OK ? change_add(db, "deny", w->deny_key, w->now_ms + TOKEN_LIFE_MS) : e;
}

static enum err withdraw_one(struct ctx *c, struct str person, struct str id, struct str by,
                             json_t **out)
{
    struct db_result r;
    struct act act;
    struct withdrawal w = {.person = person, .id = id, .now_ms = clock_now_ms()};
    struct db_conn *db = db_read(c->pf->db);
    if (!db)
        return ERR_UNAVAILABLE;
    enum err e =
        db_query_one(db, c->arena, &r,
                     "SELECT id, client_id, contract_id, given_at, until_at, withdrawn_at, "
                     "detail FROM consent WHERE id = $1 AND person = $2",
                     "ss", w.id, w.person);
    if (e != ERR_OK)
        return e;
    w.deny_key = arena_printf(c->arena, "consent:" STR_FMT, STR_ARG(w.id));
    json_t *told = row_json(c, w.person, &r, 0);
    w.client_id = db_str(&r, 0, 1);
    w.recipients = json_own(&c->pool, json_incref(json_get(told, "recipients")));
    json_object_set_new(
        told, "title",
        by.n ? two("Un service a mis fin à votre accord", "A service ended your consent")
             : two("Vous avez retiré votre accord", "You withdrew your consent"));
    struct act_info info = {.kind = "consent.withdrawn",
                            .actor = by.n ? by : STR("self"),
                            .object = w.id,
                            .person = w.person,
                            .told = told};
    e = act_make(c, &info, &act);
    if (e == ERR_OK)
        e = act_write(c, withdrawal_write, &w, &act, 1);
    bool now = e == ERR_OK;
    if (e == ERR_CONFLICT) /* withdrawn already: what she wanted is so */
        e = ERR_OK;
    if (e == ERR_OK)
        *out = json_pack("{s:I}", "withdrawn_at", (json_int_t)w.now_ms);
    if (e == ERR_OK && now) { /* docs/formats/receipt.md */
        char commitment[JOURNAL_COMMITMENT_LEN + 1];
        journal_leaf_commitment(act.record.leaf, commitment);
        json_object_set_new(*out, "entry", json_stringn(act.record.id.p, act.record.id.n));
        json_object_set_new(*out, "commitment", json_string(commitment));
    }
    return e;
}

/* Asked again, she may have agreed to the same thing twice: what she takes back is the thing. */
static enum err call_withdraw(struct ctx *c, const json_t *args, json_t **out)
{
    struct db_result r;
    json_t *also;
    struct str person = json_get_str(args, "person"), id = json_get_str(args, "consent_id"),
               by = json_get_str(args, "by");
    struct db_conn *db = db_read(c->pf->db);
    if (!db)
        return ERR_UNAVAILABLE;
    enum err e = db_query(
        db, c->arena, &r,
        "SELECT o.id FROM consent a JOIN consent o ON o.person = a.person AND o.client_id = "
        "a.client_id AND o.contract_id = a.contract_id AND o.id <> a.id WHERE a.id = $1 AND "
        "a.person = $2 AND a.contract_id <> '' AND o.withdrawn_at = 0 AND o.until_at > $3",
        "ssi", id, person, clock_now_ms());
    for (size_t i = 0; e == ERR_OK && i < r.n_rows; i++) {
        e = withdraw_one(c, person, db_str(&r, i, 0), by, &also);
        if (e == ERR_OK)
            json_own(&c->pool, also);
    }
    return e == ERR_OK ? withdraw_one(c, person, id, by, out) : e;
}

/* ---- after a restore ----------------------------------------------------------------------------
 */
static enum err withdrawal_again(struct db_conn *db, void *arg)
{
    struct withdrawal *w = arg;
    enum err e = db_exec(db,
                         "UPDATE consent SET withdrawn_at = $2 WHERE id = $1 AND "
                         "withdrawn_at = 0",
                         "si", w->id, w->now_ms);
    return e == ERR_OK ? change_add(db, "deny", w->deny_key, clock_now_ms() + TOKEN_LIFE_MS) : e;
}

static enum err replay(struct platform *pf, const json_t *leaf)
{
    struct arena a;
    struct withdrawal w = {.id = json_get_str(leaf, "object"),
                           .now_ms = json_get_i64(leaf, "at", 0)};
    if (!id_is_valid(w.id))
        return ERR_OK; /* not one of ours */
    arena_init(&a);
    w.deny_key = arena_printf(&a, "consent:" STR_FMT, STR_ARG(w.id));
    enum err e = db_write(pf->db, withdrawal_again, &w);
    arena_free(&a);
    return e;
}

static const struct route routes[] = {
    ROUTE("POST", "/api/consents", SITE_PORTAL, ROLE_CLIENT, ROUTE_API, consent_api_give,
          "A service keeps a consent that a person gave it: its signed receipt comes back."),
    ROUTE("GET", "/api/consents", SITE_PORTAL, ROLE_CLIENT, ROUTE_API, consent_api_list,
          "The consents of ?sub= to this client."),
    ROUTE("GET", "/api/consents/notices", SITE_PORTAL, ROLE_CLIENT, ROUTE_API, consent_api_notices,
          "Withdrawals whose data this client must delete and has not acknowledged."),
    ROUTE("POST", "/api/consents/notices/{id}/acknowledge", SITE_PORTAL, ROLE_CLIENT, ROUTE_API,
          consent_api_acknowledge, "The data of this consent are deleted; the person reads it."),
    ROUTE("GET", "/api/consents/{id}", SITE_PORTAL, ROLE_CLIENT, ROUTE_API, consent_api_one,
          "One consent: check it before each use."),
    ROUTE("GET", "/api/consents/{id}/receipt", SITE_PORTAL, ROLE_CLIENT, ROUTE_API,
          consent_api_client_receipt, "Its signed receipt: given, or withdrawn."),
    ROUTE_TWIN("GET", "/account/consents/{id}/receipt", SITE_PORTAL, ROLE_USER, 0,
               consent_page_receipt, "The signed receipt of a consent, as a file.",
               "GET /api/account/consents/{id}/receipt"),
    ROUTE("GET", "/api/account/consents/{id}/receipt", SITE_PORTAL, ROLE_USER, ROUTE_API,
          consent_api_receipt, "The signed receipt of a consent."),
    ROUTE("POST", "/api/consents/{id}/withdraw", SITE_PORTAL, ROLE_CLIENT, ROUTE_API,
          consent_api_withdraw, "Ends a consent that was given to this client."),
};

static const struct call calls[] = {
    {"consent.record", call_record, "Keeps the consents a person gave."},
    {"consent.active", call_active, "Consents that hold now for a client."},
    {"consent.list", call_list, "All consents of a person."},
    {"consent.withdraw", call_withdraw, "Withdraws one; the gateway obeys within a second."},
};

const struct service service_consent = {
    .name = "consent",
    .routes = routes,
    .n_routes = COUNT_OF(routes),
    .migrations = migrations,
    .n_migrations = COUNT_OF(migrations),
    .calls = calls,
    .n_calls = COUNT_OF(calls),
    .replay_kinds = {"consent.withdrawn"},
    .replay = replay,
};
