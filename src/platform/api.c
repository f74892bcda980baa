/* Callers of the API: the same people as on the pages, shown by an access token instead of a
 * cookie. What a handler sees is the same session either way, so a page and its twin cannot differ
 * in whom they let in. */
#include "platform/api.h"

#include <pthread.h>
#include <stdatomic.h>
#include "base/clock.h"
#include "base/codec.h"
#include "base/rand.h"
#include "crypto/jose.h"
#include "crypto/seal.h"
#include "crypto/digest.h"
#include "platform/bound.h"
#include "platform/cache.h"
#include "platform/node.h"

enum { TOKEN_MAX = 8 * 1024, FIELDS_MAX = 1200 };
static const struct fault f_token = {"SOC-401-TOKEN", 401, "platform", "Access Token Needed"};
static const struct fault f_scope = {"SOC-403-SCOPE", 403, "platform", "Token Not For This"};
static const struct fault f_json = {"SOC-400-JSON", 400, "platform", "Malformed JSON"};

/* ---- the issuer's keys -------------------------------------------------------------------------
 */
enum { KEYS_LIFE_MS = 60 * 1000, KEYS_AGAIN_MS = 1000 };
static struct {
    pthread_rwlock_t lock;
    struct jwks *keys;
    int64_t read_ms; /* monotonic; 0: never */
    unsigned turn;   /* of the nodes' keys, when they were read */
} kept = {.lock = PTHREAD_RWLOCK_INITIALIZER};

static enum err keys_refresh(struct ctx *c)
{
    struct str json;
    struct jwks *fresh, *old;
    unsigned turn = node_keys_turn();
    enum err e = node_jwks(c->pf, "issuer", c->arena, &json);
    if (e == ERR_OK)
        e = jwks_read(json, &fresh);
    if (e != ERR_OK)
        return e;
    pthread_rwlock_wrlock(&kept.lock);
    old = kept.keys;
    kept.keys = fresh;
    kept.read_ms = clock_mono_ms();
    kept.turn = turn;
    pthread_rwlock_unlock(&kept.lock);
    if (old)
        jwks_free(old);
    return ERR_OK;
}

static enum err verify_kept(const struct jws *j, int64_t *age_ms)
{
    pthread_rwlock_rdlock(&kept.lock);
    bool fresh = kept.keys && kept.turn == node_keys_turn();
    *age_ms = fresh ? clock_mono_ms() - kept.read_ms : INT64_MAX;
    enum err e =
        kept.keys ? jws_verify(j, kept.keys, 1u << JOSE_ES256 | 1u << JOSE_RS256) : ERR_NOT_FOUND;
    pthread_rwlock_unlock(&kept.lock);
    return e;
}

/* Keys are asked for again each minute, and when a token names one that is not known: at most once
 * a second, so that made-up names do not keep `keys` busy. */
static enum err verify(struct ctx *c, const struct jws *j)
{
    int64_t age_ms;
    enum err e = verify_kept(j, &age_ms);
    if (age_ms < (e == ERR_NOT_FOUND ? KEYS_AGAIN_MS : KEYS_LIFE_MS))
        return e == ERR_NOT_FOUND ? ERR_DENIED : e;
    e = keys_refresh(c);
    if (e == ERR_OK)
        e = verify_kept(j, &age_ms);
    return e == ERR_NOT_FOUND ? ERR_DENIED : e;
}

enum err issuer_jws(struct ctx *c, struct str compact, const char *typ, json_t **claims,
                    const char **why)
{
    struct jws j;
    *why = "form";
    if (jws_split(c->arena, compact, &j) != ERR_OK)
        return ERR_INVALID;
    enum err e =
        j.claims && (!typ || str_eq_z(json_get_str(j.header, "typ"), typ)) ? ERR_OK : ERR_INVALID;
    if (e == ERR_OK) {
        *why = "signature";
        e = verify(c, &j);
    }
    if (e == ERR_OK)
        *claims = json_own(&c->pool, json_incref(j.claims));
    jws_free(&j);
    return e;
}

enum err issuer_jwt(struct ctx *c, struct str compact, const char *typ, struct str audience,
                    json_t **claims, const char **why)
{
    enum err e = issuer_jws(c, compact, typ, claims, why);
    return e == ERR_OK ? jwt_check(*claims, str_from(c->pf->settings->base_url), audience,
                                   clock_now_ms(), why)
                       : e;
}

/* ---- the caller --------------------------------------------------------------------------------
 */
static bool has_scope(struct str scopes, const char *want)
{
    struct str part;
    while (scopes.n && str_split(&scopes, ' ', &part))
        if (str_eq_z(part, want))
            return true;
    return false;
}

/* To the millisecond where the identifier tells: `iat` counts seconds. */
static int64_t issued_ms(const json_t *claims)
{
    int64_t ms = id_time_ms(json_get_str(claims, "jti"));
    return ms >= 0 ? ms : json_get_i64(claims, "iat", 0) * 1000;
}

/* Revoked since it was given, or its client removed: the list that the gateways obey too. What a
 * person gave before she cut all off is refused; what she gives afterwards is not. */
static enum err not_denied(struct ctx *c, const json_t *claims, const json_t *identity)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    if (!db)
        return ERR_UNAVAILABLE;
    enum err e = db_query_one(
        db, c->arena, &r,
        "SELECT 1 FROM change WHERE kind = 'deny' AND until_ms > $1 AND "
        "(item = $2 OR item = $3 OR item = $4 OR (item = $5 AND at_ms >= $6))",
        "issssi", clock_now_ms(), arena_printf(c->arena, "token:%s", json_get_z(claims, "jti", "")),
        arena_printf(c->arena, "client:%s", json_get_z(claims, "client_id", "")),
        arena_printf(c->arena, "family:%s", json_get_z(claims, "family", "")),
        arena_printf(c->arena, "person:%s", json_get_z(identity, "person", "")), issued_ms(claims));
    return e == ERR_NOT_FOUND ? ERR_OK : e == ERR_OK ? ERR_DENIED : e;
}

/* Who the person is, sealed in the token for this platform alone. */
static enum err identity_of(struct ctx *c, const json_t *claims, json_t **identity)
{
    struct str sealed, plain, idt = json_get_str(claims, "idt");
    enum err e = idt.n ? codec_base64url(c->arena, idt, &sealed) : ERR_INVALID;
    if (e == ERR_OK)
        e = unseal(c->arena, c->pf->token_seal, STR("token.idt"), sealed, &plain);
    if (e == ERR_OK)
        e = json_read(plain, identity, NULL);
    if (e == ERR_OK)
        json_own(&c->pool, *identity);
    return e;
}

static bool is_agent_here(struct ctx *c, const json_t *pivot)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    struct str siret = json_get_str(pivot, "siret");
    return siret.n && db &&
           db_query_one(db, c->arena, &r, "SELECT 1 FROM organisation WHERE id = $1 AND siret = $2",
                        "ss", c->site->org_id, siret) == ERR_OK;
}

static struct str name_of(struct ctx *c, const json_t *pivot)
{
    struct str family = json_get_str(pivot, "usual_name");
    if (!family.n)
        family = json_get_str(pivot, "preferred_username");
    if (!family.n)
        family = json_get_str(pivot, "family_name");
    return str_trim(arena_printf(c->arena, STR_FMT " " STR_FMT,
                                 STR_ARG(json_get_str(pivot, "given_name")), STR_ARG(family)));
}

static void session_of(struct ctx *c, struct str token, const json_t *claims,
                       const json_t *identity)
{
    const json_t *pivot = json_get(identity, "pivot");
    bool portal = c->site->kind == SITE_PORTAL;
    bool agent = !portal && json_get(pivot, "siret");
    struct str name = name_of(c, pivot);
    c->session = arena_new(c->arena, struct session);
    *c->session = (struct session){.id = STR("api"),
                                   .subject = portal ? json_get_str(identity, "person")
                                                     : json_get_str(claims, "sub"),
                                   .role = agent ? ROLE_AGENT : ROLE_USER,
                                   .created_ms = json_get_i64(claims, "iat", 0) * 1000,
                                   .expires_ms = json_get_i64(claims, "exp", 0) * 1000,
                                   .csrf = STR("")};
    c->session->data = json_pack("{s:s#,s:O?,s:s#,s:I}", "name", name.p, (int)name.n, "claims",
                                 pivot, "access_token", token.p, (int)token.n, "expires_at",
                                 (json_int_t)c->session->expires_ms);
    if (json_get(claims, "acr"))
        json_object_set(c->session->data, "acr", json_get(claims, "acr"));
    if (agent && !is_agent_here(c, pivot))
        c->session->role = ROLE_PUBLIC; /* an agent of elsewhere: POLICY refuses */
}

/* ---- the body ----------------------------------------------------------------------------------
 */
static void field_add(struct ctx *c, struct str name, const json_t *v)
{
    struct str value = STR("");
    if (c->form.n == FIELDS_MAX)
        return;
    if (json_is_string(v))
        value = str_of(json_string_value(v), json_string_length(v));
    else if (json_is_integer(v))
        value = arena_printf(c->arena, "%lld", (long long)json_integer_value(v));
    else if (json_is_boolean(v))
        value = json_is_true(v) ? STR("true") : STR("");
    else
        return;
    c->form.fields[c->form.n++] = (struct form_field){name, value};
}

static enum err body_to_form(struct ctx *c)
{
    json_t *body, *v, *part;
    const char *name, *part_name;
    struct json_fault fault;
    if (!str_starts(ctx_header(c, "Content-Type"), STR("application/json")) ||
        c->rq->method == HTTP_GET)
        return ERR_OK;
    if (c->rq->body_size > c->rq->body.n)
        return ctx_fail(c, &f_json, ERR_LIMIT, STR("the body is over 64 KB"));
    if (json_read(c->rq->body, &body, &fault) != ERR_OK)
        return ctx_fail(
            c, &f_json, ERR_INVALID,
            arena_printf(c->arena, "line %d, column %d: %s", fault.line, fault.column, fault.text));
    json_own(&c->pool, body);
    if (!json_is_object(body))
        return ctx_fail(c, &f_json, ERR_INVALID, STR("the body is not an object"));
    c->form = (struct form){arena_array(c->arena, struct form_field, FIELDS_MAX), 0};
    json_object_foreach(body, name, v)
    {
        if (!json_is_object(v)) {
            field_add(c, str_from(name), v);
            continue;
        }
        json_object_foreach(v, part_name, part)
        {
            field_add(c, arena_printf(c->arena, "%s.%s", name, part_name), part);
        }
    }
    return ERR_OK;
}

/* ---- tokens that were verified, or made, here ---------------------------------------------------
 * A signature that was right stays right: it is verified once, as the gateway does. Time,
 * revocation and what a token is bound to are looked at each time. Kept under the digest of the
 * whole token; when some node's keys changed, each is verified anew. */
enum { TOKENS_MAX = 4096, TOKEN_LIFE_MS = 60 * 1000 };
static struct cache tokens = CACHE(TOKENS_MAX, TOKEN_LIFE_MS, cache_free_json);

static void forget_when_keys_changed(void)
{
    static atomic_uint seen;
    unsigned turn = node_keys_turn();
    if (atomic_load_explicit(&seen, memory_order_relaxed) != turn &&
        atomic_exchange(&seen, turn) != turn)
        cache_clear(&tokens);
}

static struct str token_name(struct ctx *c, struct str token)
{
    uint8_t hash[SHA256_LEN];
    sha256(token.p, token.n, hash);
    return arena_dup(c->arena, str_of(hash, sizeof hash));
}

void access_token_made(struct ctx *c, struct str token, json_t *claims, json_t *identity)
{
    uint64_t mark = cache_mark(&tokens);
    json_t *both = json_pack("[O,O]", claims, identity);
    cache_put_json(&tokens, token_name(c, token), mark, json_own(&c->pool, both));
}

static enum err token_verify(struct ctx *c, struct str token, json_t **claims, json_t **identity,
                             const char **why)
{
    struct str us = str_from(c->pf->settings->base_url);
    forget_when_keys_changed();
    json_t *both = cache_get_json(&tokens, token_name(c, token));
    if (both) {
        json_own(&c->pool, both);
        *claims = json_array_get(both, 0);
        *identity = json_array_get(both, 1);
        return jwt_check(*claims, us, us, clock_now_ms(), why);
    }
    enum err e = issuer_jwt(c, token, "at+jwt", us, claims, why);
    if (e != ERR_OK)
        return e;
    *identity = NULL;
    if (json_get(*claims, "idt") && identity_of(c, *claims, identity) == ERR_OK)
        access_token_made(c, token, *claims, *identity);
    return ERR_OK;
}

enum err access_token_read(struct ctx *c, struct str token, json_t **claims, json_t **identity,
                           const char **why)
{
    enum err e = token_verify(c, token, claims, identity, why);
    if (e == ERR_OK) {
        *why = "revoked";
        e = not_denied(c, *claims, *identity);
    }
    if (e == ERR_OK) {
        *why = "no person in it";
        e = *identity ? ERR_OK : ERR_INVALID;
    }
    return e;
}

enum err api_authenticate(struct ctx *c)
{
    json_t *claims = NULL, *identity = NULL;
    const char *why = "none";
    bool dpop;
    struct str token = bound_token(c, &dpop);
    if (!token.n || token.n > TOKEN_MAX)
        return ctx_fail(c, &f_token, ERR_DENIED, STR("send Authorization: Bearer <access token>"));
    enum err e = access_token_read(c, token, &claims, &identity, &why);
    if (e == ERR_OK)
        e = bound_check(c, claims, token, dpop, &why);
    if (e == ERR_UNAVAILABLE || e == ERR_TIMEOUT)
        return e;
    if (e != ERR_OK && claims && json_get(json_get(claims, "cnf"), "jkt"))
        web_header(c->rs, "WWW-Authenticate",
                   STR("DPoP realm=\"socle\", error=\"invalid_token\", algs=\"" DPOP_ALGS "\""));
    if (e != ERR_OK)
        return ctx_fail(c, &f_token, ERR_DENIED, str_from(why));
    bool fits = c->site->kind == SITE_PORTAL
                    ? has_scope(json_get_str(claims, "scope"), "account")
                    : str_eq(json_get_str(claims, "client_id"), c->site->client_id);
    if (!fits)
        return ctx_fail(c, &f_scope, ERR_DENIED,
                        c->site->kind == SITE_PORTAL ? STR("scope account is needed")
                                                     : STR("given to another client"));
    session_of(c, token, claims, identity);
    return body_to_form(c);
}
