/* Signatures: a body's public key is registered once by one of its agents; its private key never
 * comes here. What is signed is the agreement's archived text, byte for byte: a compact JWS (RFC
 * 7515) whose payload is that text, ES256 or EdDSA. */
#include "core/contracts/contracts.h"

#include "base/clock.h"
#include "crypto/digest.h"
#include "crypto/jose.h"

enum { JWK_MAX = 4096, JWS_MAX = 96 * 1024 };
static const unsigned ALGS = 1u << JOSE_ES256 | 1u << JOSE_EDDSA;

/* ---- keys
 * -------------------------------------------------------------------------------------------- */
struct key_job {
    struct str org, kid, jwk;
    int64_t now_ms;
};

static enum err key_closure(struct db_conn *db, void *arg)
{
    struct key_job *j = arg;
    return db_exec(db,
                   "INSERT INTO org_key(org, kid, jwk, at_ms) VALUES($1, $2, $3, $4) "
                   "ON CONFLICT (org, kid) DO NOTHING",
                   "sssi", j->org, j->kid, j->jwk, j->now_ms);
}

/* The key's name is its thumbprint: nobody chooses it. */
enum err org_key_put(struct ctx *c, struct str org, struct str actor, const json_t *jwk,
                     struct str *kid)
{
    struct jwk *k;
    struct act act;
    const char *kty = json_get_z(jwk, "kty", "");
    bool known = (strcmp(kty, "EC") == 0 && strcmp(json_get_z(jwk, "crv", ""), "P-256") == 0) ||
                 (strcmp(kty, "OKP") == 0 && strcmp(json_get_z(jwk, "crv", ""), "Ed25519") == 0);
    if (!known || jwk_read(jwk, &k) != ERR_OK)
        return ctx_fail(c, &contracts_fault_key, ERR_INVALID, STR_NONE);
    jwk_free(k);
    *kid = jwk_thumbprint(c->arena, jwk);
    struct key_job job = {org, *kid, json_text(c->arena, jwk), clock_now_ms()};
    struct act_info info = {
        .kind = "contract.key",
        .actor = actor,
        .object = arena_printf(c->arena, STR_FMT "/" STR_FMT, STR_ARG(org), STR_ARG(*kid))};
    enum err e = job.jwk.n <= JWK_MAX ? act_make(c, &info, &act) : ERR_LIMIT;
    return e == ERR_OK ? act_write(c, key_closure, &job, &act, 1) : e;
}

/* ---- verifying
 * ------------------------------------------------------------------------------------ */
/* With one of the body's keys, over exactly this text. *kid: which. */
static enum err verify(struct ctx *c, struct str org, struct str compact, struct str text,
                       struct str *kid)
{
    struct db_result r;
    struct jws j;
    struct db_conn *db = db_read(c->pf->db);
    enum err e =
        db ? db_query(db, c->arena, &r,
                      "SELECT kid, jwk FROM org_key WHERE org = $1 ORDER BY at_ms DESC", "s", org)
           : ERR_UNAVAILABLE;
    if (e != ERR_OK)
        return e;
    if (compact.n > JWS_MAX || jws_split(c->arena, compact, &j) != ERR_OK)
        return ERR_INVALID;
    e = str_eq(j.payload, text) ? ERR_NOT_FOUND : ERR_DENIED;
    for (size_t i = 0; i < r.n_rows && e == ERR_NOT_FOUND; i++) {
        json_t *v;
        struct jwk *k;
        if (json_read(db_str(&r, i, 1), &v, NULL) != ERR_OK)
            continue;
        json_own(&c->pool, v);
        if (jwk_read(v, &k) != ERR_OK)
            continue;
        if (jws_verify_key(&j, k, ALGS) == ERR_OK) {
            *kid = db_str(&r, i, 0);
            e = ERR_OK;
        }
        jwk_free(k);
    }
    jws_free(&j);
    return e == ERR_NOT_FOUND ? ERR_DENIED : e;
}

static enum err text_get(struct ctx *c, const struct contract_request *r, struct str *text)
{
    struct db_result q;
    struct db_conn *db = db_read(c->pf->db);
    enum err e =
        db ? db_query_one(db, c->arena, &q, "SELECT body FROM contract_agreement WHERE digest = $1",
                          "s", r->digest)
           : ERR_UNAVAILABLE;
    if (e == ERR_OK)
        *text = db_str(&q, 0, 0);
    return e;
}

struct sign_job {
    const struct contract_request *r;
    const struct contract_party *p;
    struct str kid, jws;
    int64_t now_ms;
};

static enum err sign_closure(struct db_conn *db, void *arg)
{
    struct sign_job *j = arg;
    enum err e =
        db_exec(db,
                "INSERT INTO contract_signature(digest, org, kid, jws, at_ms) VALUES($1, $2, "
                "$3, $4, $5) ON CONFLICT (digest, org) DO UPDATE SET kid = $3, jws = $4, "
                "at_ms = $5",
                "ssssi", j->r->digest, j->p->org, j->kid, j->jws, j->now_ms);
    if (e == ERR_OK)
        e = message_add(db, j->r->id, j->p->org, j->p->name, "sign", STR(""), j->now_ms);
    return e == ERR_OK ? contract_tell(db, j->r, "contract.signed", j->now_ms) : e;
}

enum err agreement_sign(struct ctx *c, const struct contract_party *p,
                        const struct contract_request *r, struct str compact)
{
    struct str text;
    struct act act;
    struct sign_job job = {
        .r = r, .p = p, .jws = str_trim(compact.p ? compact : STR("")), .now_ms = clock_now_ms()};
    if (!(party_sides(p, r) & (SIDE_CONSUMER | SIDE_PROVIDER)))
        return ctx_fail(c, &contracts_fault_role, ERR_DENIED, STR_NONE);
    if (!r->digest.n || (r->state != CONTRACT_SUBMITTED && r->state != CONTRACT_VALIDATED))
        return ctx_fail(c, &contracts_fault_state, ERR_CONFLICT, STR_NONE);
    enum err e = text_get(c, r, &text);
    if (e == ERR_OK)
        e = verify(c, p->org, job.jws, text, &job.kid);
    if (e == ERR_DENIED || e == ERR_INVALID)
        return ctx_fail(c, &contracts_fault_jws, ERR_INVALID, STR_NONE);
    struct act_info info = {.kind = "contract.signed", .actor = p->who, .object = r->id};
    if (e == ERR_OK)
        e = act_make(c, &info, &act);
    return e == ERR_OK ? act_write(c, sign_closure, &job, &act, 1) : e;
}

/* ---- reading, with every signature checked anew
 * -------------------------------------------------- */
static bool digest_is(struct arena *a, struct str text, struct str digest)
{
    uint8_t hash[SHA256_LEN];
    struct buf hex;
    sha256(text.p, text.n, hash);
    buf_init(&hex, 2 * sizeof hash + 1);
    buf_add_hex(&hex, hash, sizeof hash);
    bool same = str_eq(arena_dup(a, buf_str(&hex)), digest);
    buf_free(&hex);
    return same;
}

static enum err missing_of(struct ctx *c, const struct contract_request *r, const json_t *signed_by,
                           json_t **out)
{
    const struct str both[] = {r->consumer, r->provider};
    struct db_conn *db = db_read(c->pf->db);
    enum err e = db ? ERR_OK : ERR_UNAVAILABLE;
    *out = json_array();
    for (size_t i = 0; i < COUNT_OF(both) && e == ERR_OK; i++) {
        struct db_result q;
        bool has = false;
        for (size_t k = 0; k < json_array_size(signed_by); k++) {
            const json_t *s = json_array_get(signed_by, k);
            has |= str_eq(json_get_str(s, "org"), both[i]) && json_get_bool(s, "valid", false);
        }
        e = db_query(db, c->arena, &q, "SELECT 1 FROM org_key WHERE org = $1", "s", both[i]);
        if (e == ERR_OK && q.n_rows && !has)
            json_array_append_new(*out, json_str(both[i]));
    }
    return e;
}

enum err agreement_read(struct ctx *c, const struct contract_request *r, json_t **out)
{
    struct db_result q;
    struct str text;
    json_t *list = json_array(), *missing = NULL;
    struct db_conn *db = db_read(c->pf->db);
    enum err e = r->digest.n ? text_get(c, r, &text) : ERR_NOT_FOUND;
    if (e == ERR_OK && !digest_is(c->arena, text, r->digest))
        e = ERR_CORRUPT;
    if (e == ERR_OK)
        e = db ? db_query(db, c->arena, &q,
                          "SELECT org, kid, jws, at_ms FROM contract_signature WHERE digest = $1 "
                          "ORDER BY at_ms",
                          "s", r->digest)
               : ERR_UNAVAILABLE;
    for (size_t i = 0; e == ERR_OK && i < q.n_rows; i++) {
        struct str kid;
        bool valid = verify(c, db_str(&q, i, 0), db_str(&q, i, 2), text, &kid) == ERR_OK;
        json_array_append_new(list, json_pack("{s:s,s:s,s:s,s:I,s:b}", "org", db_z(&q, i, 0), "kid",
                                              db_z(&q, i, 1), "jws", db_z(&q, i, 2), "at",
                                              (json_int_t)db_i64(&q, i, 3), "valid", valid));
    }
    if (e == ERR_OK)
        e = missing_of(c, r, list, &missing);
    *out = json_own(&c->pool,
                    json_pack("{s:o,s:o,s:o,s:o}", "text", json_str(e == ERR_OK ? text : STR("")),
                              "digest", json_str(r->digest), "signatures", list, "missing",
                              missing ? missing : json_array()));
    return e;
}
