#include "core/identity/pushed.h"
#include "core/identity/keyset.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/rand.h"
#include "core/identity/issue.h"
#include "core/identity/mint.h"
#include "core/identity/schema.h"
#include "crypto/digest.h"
#include "crypto/seal.h"
#include "platform/bound.h"

enum { PUSHED_LIFE_S = 60, OBJECT_LIFE_MAX_MS = 3600 * 1000, MEMBERS_MAX = 64 };
static const char URN[] = "urn:ietf:params:oauth:request_uri:";

static bool refuse(struct oauth_error *why, const char *error, const char *description)
{
    *why = (struct oauth_error){error, description};
    return false;
}

/* ---- pushed requests: rows that open with their address alone
 * --------------------------------------- */
static struct str id_of(struct ctx *c, struct str secret)
{
    uint8_t hash[SHA256_LEN];
    sha256(secret.p, secret.n, hash);
    return codec_to_hex(c->arena, hash, 16);
}

static void data_key(struct str secret, uint8_t key[SEAL_KEY_LEN])
{
    hkdf_sha256(secret, STR("socle/par/1"), STR("data"), key, SEAL_KEY_LEN);
}

struct pushed_row {
    struct str id, client_id, data;
    int64_t until_ms;
};

static enum err row_insert(struct db_conn *db, void *arg)
{
    const struct pushed_row *r = arg;
    return db_exec(db,
                   "INSERT INTO pushed_request(id, client_id, data, until_at) "
                   "VALUES($1, $2, $3, $4)",
                   "ssbi", r->id, r->client_id, r->data, r->until_ms);
}

/* Once, whichever node it comes to. */
static enum err row_take(struct db_conn *db, void *arg)
{
    const struct pushed_row *r = arg;
    int64_t changed = 0;
    enum err e =
        db_exec_count(db, &changed, "DELETE FROM pushed_request WHERE id = $1", "s", r->id);
    return e == ERR_OK && changed != 1 ? ERR_NOT_FOUND : e;
}

static enum err push(struct ctx *c, const struct client *k, const struct request *r,
                     struct str *uri)
{
    char secret[SECRET_LEN + 1];
    uint8_t key[SEAL_KEY_LEN];
    secret_new(secret);
    struct str s = str_from(secret);
    struct pushed_row row = {
        .id = id_of(c, s), .client_id = k->id, .until_ms = clock_now_ms() + PUSHED_LIFE_S * 1000};
    json_t *v = request_to_json(r);
    data_key(s, key);
    row.data = seal(c->arena, key, row.id, json_text(c->arena, v));
    mem_wipe(key, sizeof key);
    json_decref(v);
    *uri = arena_printf(c->arena, "%s%s", URN, secret);
    return db_write(c->pf->db, row_insert, &row);
}

static enum err take(struct ctx *c, const struct client *k, struct str uri, struct request *out)
{
    struct db_result r;
    struct str plain, secret = str_after(uri, sizeof URN - 1);
    uint8_t key[SEAL_KEY_LEN];
    json_t *v;
    struct pushed_row row = {.id = id_of(c, secret)};
    struct db_conn *db = db_read(c->pf->db);
    if (!db)
        return ERR_UNAVAILABLE;
    enum err e = db_query_one(db, c->arena, &r,
                              "SELECT data FROM pushed_request WHERE id = $1 AND client_id = $2 "
                              "AND until_at > $3",
                              "ssi", row.id, k->id, clock_now_ms());
    if (e != ERR_OK)
        return e;
    data_key(secret, key);
    e = unseal(c->arena, key, row.id, db_str(&r, 0, 0), &plain);
    mem_wipe(key, sizeof key);
    if (e == ERR_OK)
        e = json_read(plain, &v, NULL);
    if (e != ERR_OK)
        return e;
    request_from_json(c->arena, v, out);
    out->pushed = true;
    json_decref(v);
    return db_write(c->pf->db, row_take, &row);
}

/* ---- request objects
 * -------------------------------------------------------------------------------- */
/* The object's members as the parameters they stand for. */
static bool object_to_form(struct ctx *c, const json_t *claims, struct form *out)
{
    const char *name;
    json_t *v;
    *out = (struct form){arena_array(c->arena, struct form_field, MEMBERS_MAX), 0};
    json_object_foreach((json_t *)claims, name, v)
    {
        static const char *const of_the_jwt[] = {"iss", "aud", "exp", "nbf", "iat", "jti", "sub"};
        bool skip = false;
        for (size_t i = 0; i < COUNT_OF(of_the_jwt); i++)
            skip |= strcmp(name, of_the_jwt[i]) == 0;
        if (skip)
            continue;
        if (out->n == MEMBERS_MAX)
            return false;
        struct str value =
            json_is_string(v)
                ? arena_dup(c->arena, str_of(json_string_value(v), json_string_length(v)))
            : json_is_integer(v) ? arena_printf(c->arena, "%lld", (long long)json_integer_value(v))
                                 : json_text(c->arena, v);
        out->fields[out->n++] = (struct form_field){arena_dup(c->arena, str_from(name)), value};
    }
    return true;
}

static const char *object_fault(struct ctx *c, const struct client *k, const struct jws *j)
{
    struct jwks *keys = NULL;
    const char *why = NULL;
    struct str typ = json_get_str(j->header, "typ");
    int64_t now_ms = clock_now_ms(), exp_s = json_get_i64(j->claims, "exp", 0);
    if (!j->claims)
        return "the request object has no claims";
    if (typ.n && !str_eq_nocase(typ, STR("oauth-authz-req+jwt")) && !str_eq_nocase(typ, STR("JWT")))
        return "the request object is of another type";
    if (!k->jwks.n || keyset_read(k->jwks, &keys) != ERR_OK)
        return "the client has no key registered";
    if (jws_verify(j, keys, client_algs(k)) != ERR_OK)
        why = "the request object is not signed by a key of the client";
    jwks_free(keys);
    if (why)
        return why;
    if (jwt_check(j->claims, k->id, str_from(c->pf->settings->base_url), now_ms, &why) != ERR_OK)
        return "the request object is not from this client, not for this issuer, or out of its "
               "time";
    if (exp_s * 1000 > now_ms + OBJECT_LIFE_MAX_MS)
        return "the request object lives longer than an hour";
    /* RFC 9101 6.3 and 10.8: what it names must be what was sent, and it does not nest. */
    if (!str_eq(json_get_str(j->claims, "client_id"), k->id))
        return "client_id of the request object is another";
    if (json_get(j->claims, "request") || json_get(j->claims, "request_uri"))
        return "a request object holds no other";
    return NULL;
}

static bool object_read(struct ctx *c, const struct client *k, struct request *r,
                        struct oauth_error *why)
{
    struct jws j;
    struct form form;
    if (jws_split(c->arena, r->request, &j) != ERR_OK)
        return refuse(why, "invalid_request_object", "the request object is not a signed JWT");
    const char *fault = object_fault(c, k, &j);
    if (!fault && !object_to_form(c, j.claims, &form))
        fault = "the request object has too many members";
    if (!fault)
        request_read(&form, r); /* RFC 9101 6.3: what is beside it counts for nothing */
    jws_free(&j);
    return fault ? refuse(why, "invalid_request_object", fault) : true;
}

bool request_resolve(struct ctx *c, const struct client *k, struct request *r,
                     struct oauth_error *why, enum err *e)
{
    *e = ERR_OK;
    if (k->profile == PROFILE_STRICT)
        return true; /* request_check refuses both */
    if (r->request_uri.p && str_starts(r->request_uri, STR("urn:ietf:params:oauth:request_uri:"))) {
        struct request pushed;
        *e = take(c, k, r->request_uri, &pushed);
        if (*e == ERR_NOT_FOUND || *e == ERR_CORRUPT) {
            *e = ERR_OK;
            return refuse(why, "invalid_request_uri", "request_uri is not known, used or too old");
        }
        if (*e == ERR_OK)
            *r = pushed;
        return *e == ERR_OK;
    }
    if (k->par)
        return refuse(why, "invalid_request", "this client must push its requests (RFC 9126)");
    return r->request.p && !r->request_uri.p ? object_read(c, k, r, why) : true;
}

/* ---- POST /api/v2/par
 * ------------------------------------------------------------------------------- */
static enum err check(struct ctx *c, const struct client *k, struct request *r,
                      struct oauth_error *why)
{
    struct wanted w;
    enum err e = ERR_OK;
    if (r->request_uri.p)
        refuse(why, "invalid_request", "request_uri cannot be pushed");
    else if (r->request.p && !object_read(c, k, r, why))
        return ERR_OK;
    else if (!str_eq(r->client_id, k->id))
        refuse(why, "invalid_request", "client_id is another");
    else if (!client_uri_is(k->redirect_uris, r->redirect_uri))
        refuse(why, "invalid_request", "redirect_uri is not registered");
    else if (request_check(c->arena, r, k->profile, k->pkce, why) &&
             (e = wanted_read(c, k, r, &w)) == ERR_OK && w.unknown.p)
        refuse(why, "invalid_scope", "a scope is not known or not for this client");
    return e;
}

/* RFC 9449 10.1: a proof sent here binds the code as dpop_jkt does. */
static enum err bind_code(struct ctx *c, struct request *r, struct oauth_error *why)
{
    const char *what = "";
    struct dpop_proof proof;
    enum err e = bound_proof(c, portal_url(c, "/api/v2/par"), STR_NONE, STR_NONE, &proof, &what);
    if (e == ERR_NOT_FOUND)
        return ERR_OK;
    if (e == ERR_OK)
        e = proof_use_once(c, proof.jkt, proof.jti, clock_now_ms() + DPOP_PAST_MS + DPOP_AHEAD_MS);
    if (e == ERR_DENIED || e == ERR_EXISTS || (r->dpop_jkt.p && !str_eq(r->dpop_jkt, proof.jkt)))
        refuse(why, "invalid_dpop_proof", e == ERR_EXISTS ? "the proof was used before" : what);
    else if (e == ERR_OK)
        r->dpop_jkt = proof.jkt;
    return e == ERR_DENIED || e == ERR_EXISTS ? ERR_OK : e;
}

enum err identity_push(struct ctx *c)
{
    struct client *k;
    struct request r;
    struct str uri;
    struct oauth_error why = {0};
    enum err e = client_authenticate(c, &k);
    if (e != ERR_OK || !k)
        return e;
    if (k->profile == PROFILE_STRICT)
        return oauth_fail(c, 400, "invalid_request", "clients of this profile push no requests");
    request_read(&c->form, &r);
    if (!r.client_id.p)
        r.client_id = k->id;
    e = check(c, k, &r, &why);
    if (e == ERR_OK && !why.error)
        e = bind_code(c, &r, &why);
    if (e == ERR_OK && why.error)
        return oauth_fail(c, 400, why.error, why.description);
    if (e == ERR_OK)
        e = push(c, k, &r, &uri);
    if (e != ERR_OK)
        return e;
    return ctx_json(
        c, 201, json_pack("{s:s%,s:i}", "request_uri", uri.p, uri.n, "expires_in", PUSHED_LIFE_S));
}
