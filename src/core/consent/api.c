/* The API of consents: a service of the issuer, which shows its client's credentials, says by which
 * name (sub) it knows the person. It sees the consents given to itself, and nobody else's. */
#include "core/consent/consent.h"

#include "base/clock.h"

enum { FIELDS_MAX = 64, RECIPIENTS_MAX = 16, TEXT_MAX = 500 };
static const struct fault f_body = {"CNS-422-BODY", 422, "consent", "Consent Not Acceptable"};
static const struct fault f_person = {"CNS-404-SUB", 404, "consent",
                                      "No Such Person For This Client"};

/* ---- who asks, about whom
 * ------------------------------------------------------------------------- */
/* ERR_AGAIN: it was refused, and answered. */
static enum err client_of(struct ctx *c, const json_t **client)
{
    json_t *out, *args = json_own(&c->pool, json_object());
    enum err e = platform_call(c, "identity.authenticate", args, &out);
    *client = e == ERR_OK ? out : NULL;
    return e == ERR_OK && !json_get(out, "client_id") ? ERR_AGAIN : e;
}

static enum err person_of(struct ctx *c, const json_t *client, struct str sub, struct str *person)
{
    json_t *out, *args = json_pack("{s:O,s:o}", "client_id", json_get(client, "client_id"), "sub",
                                   json_str(sub));
    enum err e = platform_call(c, "identity.person", json_own(&c->pool, args), &out);
    if (e == ERR_NOT_FOUND)
        return ctx_fail(c, &f_person, e, STR_NONE);
    if (e == ERR_OK)
        *person = json_get_str(out, "person");
    return e;
}

static enum err done(enum err e)
{
    return e == ERR_AGAIN ? ERR_OK : e;
}

/* ---- giving
 * ------------------------------------------------------------------------------------------ */
static bool is_pair(const json_t *v)
{
    struct str fr = json_get_str(v, "fr"), en = json_get_str(v, "en");
    return fr.n && en.n && fr.n <= TEXT_MAX && en.n <= TEXT_MAX;
}

static bool texts_only(const json_t *list, size_t least, size_t most)
{
    size_t n = json_array_size(list);
    for (size_t i = 0; i < n; i++) {
        const json_t *v = json_array_get(list, i);
        if (!json_string_length(v) || json_string_length(v) > 200)
            return false;
    }
    return n >= least && n <= most;
}

/* What the account shows: fields with labels, the service as the one that holds the data. */
static json_t *item_of(const json_t *client, const json_t *body)
{
    json_t *fields = json_array(), *v;
    size_t i;
    json_array_foreach(json_get(body, "fields"), i, v)
    {
        json_array_append_new(fields,
                              json_pack("{s:O,s:{s:O,s:O}}", "name", v, "label", "fr", v, "en", v));
    }
    json_t *name = json_get(client, "name");
    json_t *recipients = json_get(body, "recipients");
    return json_pack("{s:s,s:s,s:s,s:o,s:O,s:O,s:{s:O,s:O},s:O,s:I,s:o}", "contract_id", "", "api",
                     "", "scope", "", "fields", fields, "purpose", json_get(body, "purpose"),
                     "legal_basis", json_get(body, "legal_basis"), "provider", "id",
                     json_get(client, "client_id"), "name", name, "api_title", name,
                     "duration_days", (json_int_t)json_get_i64(body, "duration_days", 180),
                     "recipients", recipients ? json_incref(recipients) : json_array());
}

static enum err body_read(struct ctx *c, json_t **body)
{
    if (c->rq->body_size > c->rq->body.n || json_read(c->rq->body, body, NULL) != ERR_OK)
        return ctx_fail(c, &f_body, ERR_INVALID, STR("body"));
    json_own(&c->pool, *body);
    const char *wrong = !json_get_str(*body, "sub").n                           ? "sub"
                        : !texts_only(json_get(*body, "fields"), 1, FIELDS_MAX) ? "fields"
                        : !is_pair(json_get(*body, "purpose"))                  ? "purpose"
                        : !is_pair(json_get(*body, "legal_basis"))              ? "legal_basis"
                        : !texts_only(json_get(*body, "recipients"), 0, RECIPIENTS_MAX)
                            ? "recipients"
                            : NULL;
    return wrong ? ctx_fail(c, &f_body, ERR_INVALID, str_from(wrong)) : ERR_OK;
}

static json_t *shown(const json_t *item)
{
    static const char *const members[] = {"id",       "state",        "contract_id", "fields",
                                          "purpose",  "legal_basis",  "recipients",  "given_at",
                                          "until_at", "withdrawn_at", "notices"};
    json_t *v = json_object();
    for (size_t i = 0; i < COUNT_OF(members); i++)
        if (json_get(item, members[i]))
            json_object_set(v, members[i], json_get(item, members[i]));
    return v;
}

static enum err items_of(struct ctx *c, const json_t *client, struct str person, json_t **list)
{
    json_t *out, *item, *args = json_pack("{s:o}", "person", json_str(person));
    size_t i;
    enum err e = platform_call(c, "consent.list", json_own(&c->pool, args), &out);
    if (e != ERR_OK)
        return e;
    *list = json_own(&c->pool, json_array());
    json_array_foreach(json_get(out, "items"), i, item)
    {
        if (str_eq(json_get_str(item, "client_id"), json_get_str(client, "client_id")))
            json_array_append_new(*list, shown(item));
    }
    return ERR_OK;
}

static enum err item_in(json_t *list, struct str id, json_t **out)
{
    json_t *item;
    size_t i;
    json_array_foreach(list, i, item)
    {
        if (str_eq(json_get_str(item, "id"), id)) {
            *out = item;
            return ERR_OK;
        }
    }
    return ERR_NOT_FOUND;
}

static enum err item_of_client(struct ctx *c, const json_t *client, struct str person,
                               struct str id, json_t **out)
{
    json_t *list;
    enum err e = items_of(c, client, person, &list);
    return e == ERR_OK ? item_in(list, id, out) : e;
}

enum err consent_api_give(struct ctx *c)
{
    const json_t *client;
    json_t *body, *out;
    struct str person, jws;
    enum err e = client_of(c, &client);
    if (e == ERR_OK)
        e = body_read(c, &body);
    if (e == ERR_OK)
        e = person_of(c, client, json_get_str(body, "sub"), &person);
    if (e != ERR_OK)
        return done(e);
    json_t *args = json_pack("{s:o,s:O,s:O,s:[o]}", "person", json_str(person), "client_id",
                             json_get(client, "client_id"), "by", json_get(client, "client_id"),
                             "items", item_of(client, body));
    e = platform_call(c, "consent.record", json_own(&c->pool, args), &out);
    if (e == ERR_INVALID)
        return ctx_fail(c, &f_body, e, STR("duration_days"));
    const char *id = e == ERR_OK ? json_get_z(json_get(out, "consents"), "", "") : "";
    json_t *item = NULL;
    if (e == ERR_OK)
        e = item_of_client(c, client, person, str_from(id), &item);
    if (e == ERR_OK)
        e = consent_receipt(c, item, json_get_z(client, "client_id", ""), "given", &jws);
    return e == ERR_OK ? ctx_json(c, 201,
                                  json_pack("{s:s,s:s,s:o}", "id", id, "state", "active", "receipt",
                                            json_str(jws)))
                       : e;
}

/* ---- checking
 * ---------------------------------------------------------------------------------------- */
enum err consent_api_list(struct ctx *c)
{
    const json_t *client;
    json_t *list;
    struct str person, sub = ctx_query(c, "sub");
    enum err e = client_of(c, &client);
    if (e == ERR_OK)
        e = person_of(c, client, sub.p ? sub : STR(""), &person);
    if (e == ERR_OK)
        e = items_of(c, client, person, &list);
    return e == ERR_OK ? ctx_json(c, 200, json_pack("{s:O}", "items", list)) : done(e);
}

/* The consent of the path, when it was given to this client. */
static enum err one_of(struct ctx *c, const json_t *client, struct str *person, json_t **out)
{
    struct db_result r;
    json_t *list;
    struct db_conn *db = db_read(c->pf->db);
    enum err e = db ? db_query_one(db, c->arena, &r,
                                   "SELECT person FROM consent WHERE id = $1 AND client_id = $2",
                                   "ss", ctx_path(c, "id"), json_get_str(client, "client_id"))
                    : ERR_UNAVAILABLE;
    if (e == ERR_OK) {
        *person = db_str(&r, 0, 0);
        e = items_of(c, client, *person, &list);
    }
    if (e != ERR_OK)
        return e;
    return item_in(list, ctx_path(c, "id"), out);
}

enum err consent_api_one(struct ctx *c)
{
    const json_t *client;
    json_t *item;
    struct str person;
    enum err e = client_of(c, &client);
    if (e == ERR_OK)
        e = one_of(c, client, &person, &item);
    return e == ERR_OK ? ctx_json(c, 200, json_incref(item)) : done(e);
}

enum err consent_api_withdraw(struct ctx *c)
{
    const json_t *client;
    json_t *item, *out;
    struct str person, jws;
    enum err e = client_of(c, &client);
    if (e == ERR_OK)
        e = one_of(c, client, &person, &item);
    if (e != ERR_OK)
        return done(e);
    json_t *args = json_pack("{s:o,s:O,s:O}", "person", json_str(person), "consent_id",
                             json_get(item, "id"), "by", json_get(client, "client_id"));
    e = platform_call(c, "consent.withdraw", json_own(&c->pool, args), &out);
    if (e == ERR_OK) {
        json_object_set(item, "withdrawn_at", json_get(out, "withdrawn_at"));
        e = consent_receipt(c, item, json_get_z(client, "client_id", ""), "withdrawn", &jws);
    }
    return e == ERR_OK
               ? ctx_json(c, 200,
                          json_pack("{s:s,s:O,s:o}", "state", "withdrawn", "withdrawn_at",
                                    json_get(out, "withdrawn_at"), "receipt", json_str(jws)))
               : e;
}

/* The receipt again: of what it was given, or of its end. */
enum err consent_api_client_receipt(struct ctx *c)
{
    const json_t *client;
    json_t *item;
    struct str person, jws;
    enum err e = client_of(c, &client);
    if (e == ERR_OK)
        e = one_of(c, client, &person, &item);
    if (e == ERR_OK)
        e = consent_receipt(c, item, json_get_z(client, "client_id", ""),
                            json_get_i64(item, "withdrawn_at", 0) ? "withdrawn" : "given", &jws);
    return e == ERR_OK ? ctx_json(c, 200, json_pack("{s:o}", "receipt", json_str(jws))) : done(e);
}

/* ---- after a withdrawal: delete, and say so
 * ------------------------------------------------------------ */
enum err consent_notice_add(struct db_conn *db, struct str consent_id, struct str client_id,
                            int64_t now_ms)
{
    return db_exec(db,
                   "INSERT INTO consent_notice(consent_id, client_id, told_at, acknowledged_at) "
                   "VALUES($1, $2, $3, 0) ON CONFLICT (consent_id, client_id) DO NOTHING",
                   "ssi", consent_id, client_id, now_ms);
}

static json_t *row(const struct db_result *r, size_t i)
{
    return json_pack("{s:s,s:s,s:I,s:I}", "consent", db_z(r, i, 0), "client_id", db_z(r, i, 1),
                     "told_at", (json_int_t)db_i64(r, i, 2), "acknowledged_at",
                     (json_int_t)db_i64(r, i, 3));
}

enum err consent_notices(struct ctx *c, const char *consent_id, json_t **out)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    enum err e = db ? db_query(db, c->arena, &r,
                               "SELECT consent_id, client_id, told_at, acknowledged_at FROM "
                               "consent_notice WHERE consent_id = $1 ORDER BY client_id",
                               "z", consent_id)
                    : ERR_UNAVAILABLE;
    if (e != ERR_OK)
        return e;
    *out = json_array();
    for (size_t i = 0; i < r.n_rows; i++)
        json_array_append_new(*out, row(&r, i));
    return ERR_OK;
}

enum err consent_api_notices(struct ctx *c)
{
    struct db_result r;
    const json_t *client;
    struct db_conn *db = db_read(c->pf->db);
    enum err e = client_of(c, &client);
    if (e == ERR_OK)
        e = db ? db_query(db, c->arena, &r,
                          "SELECT consent_id, client_id, told_at, acknowledged_at FROM "
                          "consent_notice WHERE client_id = $1 AND acknowledged_at = 0 ORDER BY "
                          "told_at LIMIT 500",
                          "s", json_get_str(client, "client_id"))
               : ERR_UNAVAILABLE;
    if (e != ERR_OK)
        return done(e);
    json_t *list = json_array();
    for (size_t i = 0; i < r.n_rows; i++)
        json_array_append_new(list, row(&r, i));
    return ctx_json(c, 200, json_pack("{s:o}", "items", list));
}

struct acknowledged {
    struct str consent_id, client_id;
    int64_t now_ms;
};

static enum err acknowledged_write(struct db_conn *db, void *arg)
{
    struct acknowledged *a = arg;
    int64_t changed;
    enum err e =
        db_exec_count(db, &changed,
                      "UPDATE consent_notice SET acknowledged_at = $1 WHERE consent_id = $2 "
                      "AND client_id = $3 AND acknowledged_at = 0",
                      "iss", a->now_ms, a->consent_id, a->client_id);
    return e == ERR_OK && changed == 0 ? ERR_NOT_FOUND : e;
}

enum err consent_api_acknowledge(struct ctx *c)
{
    struct act act;
    const json_t *client;
    struct acknowledged a = {.consent_id = ctx_path(c, "id"), .now_ms = clock_now_ms()};
    enum err e = client_of(c, &client);
    if (e != ERR_OK)
        return done(e);
    a.client_id = json_get_str(client, "client_id");
    struct act_info info = {
        .kind = "consent.deletion_acknowledged", .actor = a.client_id, .object = a.consent_id};
    e = act_make(c, &info, &act);
    if (e == ERR_OK)
        e = act_write(c, acknowledged_write, &a, &act, 1);
    return e == ERR_OK
               ? ctx_json(c, 200, json_pack("{s:I}", "acknowledged_at", (json_int_t)a.now_ms))
               : e;
}
