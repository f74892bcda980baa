/* What the exchange tells other services (docs/CALLS.md): which contracts stand behind the scopes a
 * client asks for, which of them a token may bear now, and the catalogue. */
#include "core/exchange/schema.h"

#include "base/clock.h"

enum { SCOPES_MAX = 64 };

static json_t *jstr(const struct db_result *r, size_t row, size_t col)
{
    struct str s = db_str(r, row, col);
    return json_stringn(s.p ? s.p : "", s.n);
}

static json_t *two(const struct db_result *r, size_t row, size_t fr)
{
    return json_pack("{s:o, s:o}", "fr", jstr(r, row, fr), "en", jstr(r, row, fr + 1));
}

/* The active contracts of a client for one scope, the oldest first. */
static enum err contracts_of(struct ctx *c, struct str client_id, struct str scope,
                             struct db_result *r)
{
    struct db_conn *db = db_read(c->pf->db);
    int64_t now_ms = clock_now_ms();
    return !db ? ERR_UNAVAILABLE
               : db_query(db, c->arena, r,
                          "SELECT c.id, c.api, c.version, a.title_fr, a.title_en, a.org_id, "
                          "COALESCE(o.name_fr, a.org_id), COALESCE(o.name_en, a.org_id), "
                          "c.purpose_fr, c.purpose_en, c.basis_fr, c.basis_en, c.consent_needed, "
                          "c.duration_days, c.fields "
                          "FROM contract c JOIN api a ON a.id = c.api AND a.version = c.version "
                          "LEFT JOIN organisation o ON o.id = a.org_id "
                          "WHERE c.client_id = $1 AND a.scope = $2 AND c.state = 'active' AND "
                          "a.state = 'active' AND c.starts_at <= $3 AND "
                          "(c.ends_at = 0 OR c.ends_at > $4) ORDER BY c.created_at, c.id",
                          "ssii", client_id, scope, now_ms, now_ms);
}

static json_t *label_of(struct ctx *c, struct str name, struct str fr, struct str en)
{
    exchange_field_label(c->arena, name, "fr", &fr);
    exchange_field_label(c->arena, name, "en", &en);
    return json_pack("{s:s%, s:s%}", "fr", fr.p, fr.n, "en", en.p, en.n);
}

/* Labels come from the API's description; a path that it does not describe names itself. Of a
 * question ("income>=20000") it is the value's label, with what is asked. */
static enum err fields_of(struct ctx *c, const struct db_result *r, size_t row, json_t **out)
{
    struct db_result f;
    struct db_conn *db = db_read(c->pf->db);
    struct str rest = db_str(r, row, 14), part, path;
    struct json_filter_ask ask;
    bool all = str_eq_z(rest, "*");
    enum err e = !db ? ERR_UNAVAILABLE
                     : db_query(db, c->arena, &f,
                                "SELECT path, label_fr, label_en FROM api_field WHERE api = $1 "
                                "AND version = $2 ORDER BY position",
                                "ss", db_str(r, row, 1), db_str(r, row, 2));
    if (e != ERR_OK)
        return e;
    json_t *list = json_array();
    for (size_t i = 0; all && i < f.n_rows; i++)
        json_array_append_new(
            list, json_pack("{s:o, s:o}", "name", jstr(&f, i, 0), "label", two(&f, i, 1)));
    while (!all && rest.n && str_split(&rest, ' ', &part)) {
        if (part.n == 0)
            continue;
        if (json_filter_ask_read(part, &path, &ask) != ERR_OK)
            path = part;
        size_t i = 0;
        while (i < f.n_rows && !str_eq(path, db_str(&f, i, 0)))
            i++;
        bool known = i < f.n_rows;
        json_array_append_new(list, json_pack("{s:s%, s:o}", "name", part.p, part.n, "label",
                                              label_of(c, part, known ? db_str(&f, i, 1) : path,
                                                       known ? db_str(&f, i, 2) : path)));
    }
    *out = list;
    return ERR_OK;
}

static enum err scope_item(struct ctx *c, const struct db_result *r, size_t row, struct str scope,
                           json_t *items)
{
    json_t *fields;
    enum err e = fields_of(c, r, row, &fields);
    if (e != ERR_OK)
        return e;
    json_t *v = json_pack("{s:s%, s:o, s:o, s:{s:o, s:o}, s:o, s:o, s:o, s:o, s:b, s:I}", "scope",
                          scope.p, scope.n, "api", jstr(r, row, 1), "api_title", two(r, row, 3),
                          "provider", "id", jstr(r, row, 5), "name", two(r, row, 6), "contract_id",
                          jstr(r, row, 0), "fields", fields, "purpose", two(r, row, 8),
                          "legal_basis", two(r, row, 10), "consent_needed", db_i64(r, row, 12) != 0,
                          "duration_days", (json_int_t)db_i64(r, row, 13));
    json_array_append_new(items, v);
    return ERR_OK;
}

enum err exchange_scopes(struct ctx *c, const json_t *args, json_t **out)
{
    struct str client_id = json_get_str(args, "client_id");
    const json_t *scopes = json_get(args, "scopes");
    enum err e = ERR_OK;
    size_t n = json_array_size(scopes);
    if (n > SCOPES_MAX)
        return ERR_LIMIT;
    *out = json_pack("{s:[], s:[]}", "items", "unknown");
    for (size_t i = 0; i < n && e == ERR_OK; i++) {
        struct db_result r;
        const json_t *s = json_array_get(scopes, i);
        struct str scope = {json_string_value(s), json_string_length(s)};
        if (!scope.p)
            return ERR_INVALID;
        e = contracts_of(c, client_id, scope, &r);
        for (size_t k = 0; e == ERR_OK && k < r.n_rows; k++)
            e = scope_item(c, &r, k, scope, json_object_get(*out, "items"));
        if (e == ERR_OK && r.n_rows == 0)
            json_array_append_new(json_object_get(*out, "unknown"), json_stringn(scope.p, scope.n));
    }
    return e;
}

enum err exchange_grants(struct ctx *c, const json_t *args, json_t **out)
{
    struct str client_id = json_get_str(args, "client_id");
    const json_t *scopes = json_get(args, "scopes"), *consents = json_get(args, "consents");
    enum err e = ERR_OK;
    size_t n = json_array_size(scopes);
    if (n > SCOPES_MAX)
        return ERR_LIMIT;
    json_t *items = json_array();
    *out = json_pack("{s:o}", "items", items);
    for (size_t i = 0; i < n && e == ERR_OK; i++) {
        struct db_result r;
        const json_t *s = json_array_get(scopes, i);
        struct str scope = {json_string_value(s), json_string_length(s)};
        if (!scope.p)
            return ERR_INVALID;
        e = contracts_of(c, client_id, scope, &r);
        for (size_t k = 0; e == ERR_OK && k < r.n_rows; k++) {
            const char *consent = json_get_z(consents, db_z(&r, k, 0), NULL);
            if (db_i64(&r, k, 12) && !consent)
                continue;
            json_t *v = json_pack("{s:o, s:s%, s:o}", "api", jstr(&r, k, 1), "scope", scope.p,
                                  scope.n, "contract", jstr(&r, k, 0));
            if (consent)
                json_object_set_new(v, "consent", json_string(consent));
            json_array_append_new(items, v);
        }
    }
    return e;
}

enum err exchange_apis(struct ctx *c, const json_t *args, json_t **out)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    (void)args;
    if (!db)
        return ERR_UNAVAILABLE;
    enum err e = db_query(db, c->arena, &r,
                          "SELECT a.id, a.version, a.title_fr, a.title_en, a.scope, a.org_id, "
                          "COALESCE(o.name_fr, a.org_id), COALESCE(o.name_en, a.org_id), "
                          "a.summary_fr, a.summary_en, a.circle, "
                          "(SELECT COUNT(*) FROM api_field f WHERE f.api = a.id AND "
                          "f.version = a.version), a.methods, a.adapter, a.updated_at "
                          "FROM api a LEFT JOIN organisation o ON o.id = a.org_id "
                          "WHERE a.state = 'active' ORDER BY a.circle, a.id, a.version",
                          "");
    if (e != ERR_OK)
        return e;
    json_t *items = json_array();
    *out = json_pack("{s:o}", "items", items);
    for (size_t i = 0; i < r.n_rows; i++)
        json_array_append_new(
            items,
            json_pack("{s:o, s:o, s:o, s:o, s:{s:o, s:o}, s:o, s:I, s:I, s:o, s:o, s:I}", "id",
                      jstr(&r, i, 0), "version", jstr(&r, i, 1), "title", two(&r, i, 2), "scope",
                      jstr(&r, i, 4), "provider", "id", jstr(&r, i, 5), "name", two(&r, i, 6),
                      "summary", two(&r, i, 8), "circle", (json_int_t)db_i64(&r, i, 10), "n_fields",
                      (json_int_t)db_i64(&r, i, 11), "methods", jstr(&r, i, 12), "adapter",
                      jstr(&r, i, 13), "updated_at", (json_int_t)db_i64(&r, i, 14)));
    return ERR_OK;
}
