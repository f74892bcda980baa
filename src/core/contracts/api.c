/* The operations of the API: for agents of both sides, each act of the pages; for everybody, which
 * contracts there are and what is made of them. */
#include "core/contracts/contracts.h"

static bool is_review(struct str s)
{
    return str_eq_z(s, "review");
}

/* Of a list, those a year without review; else all. */
static json_t *rows_json(struct ctx *c, const struct contract_party *p,
                         const struct contract_request *rows, size_t n, bool review)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        unsigned sides = party_sides(p, &rows[i]);
        json_t *v = sides ? request_json(c, &rows[i], sides) : NULL;
        if (v && (!review || json_get_bool(v, "review_due", false)))
            json_array_append_new(list, v);
        else
            json_decref(v);
    }
    return list;
}

enum err contracts_api_list(struct ctx *c)
{
    struct contract_request *rows;
    size_t n;
    struct contract_party p = party_of(c);
    struct str state = ctx_query(c, "state");
    enum err e = request_list(c, p.org, is_review(state) ? STR("validated") : state, &rows, &n);
    return e == ERR_OK
               ? ctx_json(c, 200,
                          json_pack("{s:o}", "items", rows_json(c, &p, rows, n, is_review(state))))
               : e;
}

static enum err answer(struct ctx *c, int status, const struct contract_party *p,
                       const struct contract_request *r)
{
    json_t *v;
    enum err e = request_json_full(c, p, r, &v);
    return e == ERR_OK ? ctx_json(c, status, v) : e;
}

enum err contracts_api_create(struct ctx *c)
{
    struct contract_request r;
    struct contract_party p = party_of(c);
    enum err e = request_create(c, &p, terms_read(c, NULL), ctx_form(c, "stage"), STR_NONE, &r);
    return e == ERR_OK ? answer(c, 201, &p, &r) : e;
}

enum err contracts_api_one(struct ctx *c)
{
    struct contract_request r;
    struct contract_party p = party_of(c);
    enum err e = request_of_party(c, &p, ctx_path(c, "id"), &r);
    return e == ERR_OK ? answer(c, 200, &p, &r) : e;
}

enum err contracts_api_change(struct ctx *c)
{
    struct contract_request r;
    struct contract_party p = party_of(c);
    enum err e = request_of_party(c, &p, ctx_path(c, "id"), &r);
    if (e == ERR_OK)
        e = request_change(c, &p, &r, terms_read(c, r.terms));
    return e == ERR_OK ? answer(c, 200, &p, &r) : e;
}

/* A revision that is sent must be the one there is: nobody decides on what she has not read. */
static enum err revision_check(struct ctx *c, const struct contract_request *r)
{
    int64_t n;
    struct str s = ctx_form(c, "revision");
    return s.n && (!str_to_i64(s, &n) || n != r->revision)
               ? ctx_fail(c, &contracts_fault_revision, ERR_CONFLICT, STR_NONE)
               : ERR_OK;
}

enum err contracts_act(struct ctx *c, const struct contract_party *p, struct contract_request *r)
{
    struct str action = ctx_path(c, "action"), words = ctx_form(c, "message");
    struct contract_request fresh;
    int64_t calls = 0;
    enum err e = revision_check(c, r);
    if (e != ERR_OK)
        return e;
    if (str_eq_z(action, "sign"))
        return agreement_sign(c, p, r, ctx_form(c, "jws"));
    if (str_eq_z(action, "reopen") || str_eq_z(action, "production")) {
        e = request_reopen(c, p, r, str_eq_z(action, "production"), &fresh);
        if (e == ERR_OK)
            *r = fresh;
        return e;
    }
    if (str_eq_z(action, "report")) {
        if (!str_to_i64(ctx_form(c, "calls"), &calls))
            calls = 0;
        return report_add(c, p, r, ctx_form(c, "kind"), words, ctx_form(c, "fields"), calls);
    }
    return request_act(c, p, r, action, words);
}

enum err contracts_api_act(struct ctx *c)
{
    struct contract_request r;
    struct contract_party p = party_of(c);
    enum err e = request_of_party(c, &p, ctx_path(c, "id"), &r);
    if (e == ERR_OK)
        e = contracts_act(c, &p, &r);
    return e == ERR_OK ? answer(c, 200, &p, &r) : e;
}

enum err contracts_api_agreement(struct ctx *c)
{
    struct contract_request r;
    json_t *v;
    struct contract_party p = party_of(c);
    enum err e = request_of_party(c, &p, ctx_path(c, "id"), &r);
    if (e == ERR_OK)
        e = agreement_read(c, &r, &v);
    return e == ERR_OK ? ctx_json(c, 200, json_incref(v)) : e;
}

/* {"jwk": {...}}: its members came as jwk.kty, jwk.crv ... */
enum err contracts_api_key(struct ctx *c)
{
    static const char *const members[] = {"kty", "crv", "x", "y", "alg", "use", "d"};
    struct contract_party p = party_of(c);
    struct str kid;
    json_t *jwk = json_own(&c->pool, json_object());
    for (size_t i = 0; i < COUNT_OF(members); i++) {
        struct str v = ctx_form(c, arena_printf(c->arena, "jwk.%s", members[i]).p);
        if (v.p)
            json_object_set_new(jwk, members[i], json_str(v));
    }
    enum err e = org_key_put(c, p.org, p.who, jwk, &kid);
    return e == ERR_OK ? ctx_json(c, 201, json_pack("{s:o}", "kid", json_str(kid))) : e;
}

/* ---- what everybody may read: contracts in force, and the uses their consumers declare (5.7.b)
 * ----- */
static json_t *uses_of(const json_t *reports)
{
    json_t *list = json_array();
    for (size_t i = 0; i < json_array_size(reports); i++) {
        const json_t *one = json_array_get(reports, i);
        if (strcmp(json_get_z(one, "kind", ""), "usage") == 0)
            json_array_append_new(
                list, json_pack("{s:O,s:O,s:O,s:O,s:O}", "at", json_get(one, "at"), "text",
                                json_get(one, "text"), "fields", json_get(one, "fields"), "calls",
                                json_get(one, "calls"), "counted", json_get(one, "counted")));
    }
    return list;
}

static enum err public_one(struct ctx *c, const struct contract_request *r, json_t *list)
{
    json_t *reports, *v = request_json(c, r, 0);
    json_t *args = json_pack("{s:o,s:o}", "api", json_str(r->api), "version", json_str(r->version));
    const json_t *api = contracts_one(c, "exchange.api", args), *terms = json_get(v, "terms");
    enum err e = report_list(c, r->id, &reports);
    if (e == ERR_OK)
        json_array_append_new(
            list,
            json_pack("{s:b,s:O?,s:O,s:O,s:O,s:O,s:b,s:O,s:O,s:o,s:O?,s:O?,s:O,s:I,s:o}", "private",
                      org_is_private(c, r->consumer), "counted", contract_counted(c, r), "contract",
                      json_get(v, "contract"), "consumer", json_get(v, "consumer"), "provider",
                      json_get(v, "provider"), "state", json_get(v, "state"), "suspended",
                      r->held_by.n > 0, "api", json_get(terms, "api"), "version",
                      json_get(terms, "version"), "fields", terms_fields(c, r->terms, api),
                      "purpose", json_get(terms, "purpose"), "legal_basis",
                      json_get(terms, "legal_basis"), "recipients", json_get(terms, "recipients"),
                      "ends_at", (json_int_t)r->ends_ms, "uses", uses_of(reports)));
    json_decref(v);
    return e;
}

enum err contracts_public(struct ctx *c, json_t **out)
{
    struct contract_request *rows;
    size_t n;
    enum err e = request_list(c, STR(""), STR("validated"), &rows, &n);
    *out = json_array();
    for (size_t i = 0; i < n && e == ERR_OK; i++)
        if (str_eq_z(rows[i].stage, "production"))
            e = public_one(c, &rows[i], *out);
    return e;
}

enum err contracts_api_public(struct ctx *c)
{
    json_t *list;
    enum err e = contracts_public(c, &list);
    return e == ERR_OK ? ctx_json(c, 200, json_pack("{s:o}", "items", list)) : e;
}
