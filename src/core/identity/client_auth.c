/* Who calls the token endpoint? Secrets are compared by their HMAC, in constant time; failures are
 * counted per client and address, so that guessing is slow and a stranger's guesses do not lock the
 * client itself out. */
#include "core/identity/client.h"
#include "core/identity/keyset.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/log.h"
#include "base/map.h"
#include "base/rand.h"
#include "core/identity/refusal.h"
#include "crypto/digest.h"
#include "platform/bound.h"
#include "platform/cache.h"
#include "platform/throttle.h"

enum { PROOF_LIFE_MAX_MS = 600 * 1000 };

/* ---- throttling ---------------------------------------------------------------------------------
 */
static const struct throttle_rule failures = {"client-failures", 20, 20};

static struct str who(struct ctx *c, struct str client_id)
{
    return arena_printf(c->arena, STR_FMT " " STR_FMT, STR_ARG(client_id), STR_ARG(c->rq->remote));
}

static bool too_many(struct ctx *c, struct str key, bool failed)
{
    c->retry_after_s = failed ? throttle_take(&failures, key) : throttle_wait(&failures, key);
    return c->retry_after_s > 0;
}

/* ---- answers ------------------------------------------------------------------------------------
 */
enum err oauth_fail(struct ctx *c, int status, const char *error, const char *description)
{
    log_info("oauth_refused", "trace", c->trace_id, "route", c->route->path, "error", error, "why",
             description);
    refusal_note(c, STR_NONE, error, description, ctx_form(c, "redirect_uri"));
    if (status == 429)
        web_header(c->rs, "Retry-After",
                   arena_printf(c->arena, "%u", c->retry_after_s ? c->retry_after_s : 60));
    web_header(c->rs, "Pragma", STR("no-cache"));
    return ctx_json(
        c, status,
        json_pack("{s:s,s:s,s:s,s:s}", "error", error, "error_description", description,
                  "error_uri",
                  arena_printf(c->arena, "%s/erreurs/%s", c->pf->settings->base_url, error).p,
                  "trace", c->trace_id));
}

static enum err refuse(struct ctx *c, struct str client_id, const char *why)
{
    bool over = too_many(c, who(c, client_id), true);
    if (over)
        return oauth_fail(c, 429, "temporarily_unavailable", "too many failures: wait a minute");
    if (ctx_header(c, "Authorization").p)
        web_header(c->rs, "WWW-Authenticate", STR("Basic realm=\"socle\", charset=\"UTF-8\""));
    return oauth_fail(c, 401, "invalid_client", why);
}

/* ---- secrets ------------------------------------------------------------------------------------
 */
static bool mac_is(const struct client *k, struct str mac)
{
    bool now = k->secret_mac.n && str_eq_secret(mac, k->secret_mac);
    bool old = k->old_secret_mac.n && k->old_secret_until_ms > clock_now_ms() &&
               str_eq_secret(mac, k->old_secret_mac);
    return now || old;
}

/* The MAC of a secret that was right is kept for a minute, so that `keys` is not asked for it at
 * each request. It is kept under a digest salted at start; what it is compared with is read as
 * ever, so a secret that was replaced is refused as soon as the client is known to have changed. */
static struct cache macs = CACHE(1024, 60 * 1000, cache_free_json);
static pthread_once_t salted = PTHREAD_ONCE_INIT;
static char salt[32];

static void salt_draw(void)
{
    rand_bytes(salt, sizeof salt);
}

static bool secret_is(struct ctx *c, const struct client *k, struct str secret)
{
    struct str mac;
    uint8_t hash[SHA256_LEN];
    pthread_once(&salted, salt_draw);
    struct str parts[] = {str_of(salt, sizeof salt), k->id, STR(" "), secret};
    sha256_many(parts, COUNT_OF(parts), hash);
    struct str name = str_of(hash, sizeof hash);
    json_t *kept = secret.n ? cache_get_json(&macs, name) : NULL;
    if (kept)
        return mac_is(k, str_from(json_string_value(json_own(&c->pool, kept))));
    uint64_t mark = cache_mark(&macs);
    if (!secret.n || client_secret_mac(c, k->id, secret, &mac) != ERR_OK || !mac_is(k, mac))
        return false;
    cache_put_json(&macs, name, mark, json_own(&c->pool, json_stringn(mac.p, mac.n)));
    return true;
}

struct presented {
    const char *method; /* NULL: none */
    struct str client_id, secret, raw_secret, assertion;
    bool several;
};

/* RFC 6749 2.3.1: form-encoded before base64. Many clients send them as they are: the raw text is
 * tried too. */
static void read_basic(struct ctx *c, struct str header, struct presented *p)
{
    struct str text, id, secret;
    if (!str_eq_nocase(str_sub(header, 0, 6), STR("Basic ")))
        return;
    p->method = "client_secret_basic";
    if (codec_base64(c->arena, str_trim(str_after(header, 6)), &text) != ERR_OK)
        return;
    ptrdiff_t colon = str_find_char(text, ':');
    if (colon < 0)
        return;
    id = str_sub(text, 0, (size_t)colon);
    secret = str_after(text, (size_t)colon + 1);
    p->raw_secret = secret;
    if (codec_url(c->arena, id, true, &p->client_id) != ERR_OK)
        p->client_id = id;
    if (codec_url(c->arena, secret, true, &p->secret) != ERR_OK)
        p->secret = secret;
}

static void read_presented(struct ctx *c, struct presented *p)
{
    struct str header = ctx_header(c, "Authorization"), secret = ctx_form(c, "client_secret"),
               assertion = ctx_form(c, "client_assertion");
    if (header.p)
        read_basic(c, header, p);
    if (secret.p) {
        p->several |= p->method != NULL;
        p->method = "client_secret_post";
        p->client_id = ctx_form(c, "client_id");
        p->secret = p->raw_secret = secret;
    }
    if (assertion.p) {
        p->several |= p->method != NULL;
        p->method = "private_key_jwt";
        p->assertion = assertion;
    }
    struct str named = ctx_form(c, "client_id");
    if (!p->client_id.p)
        p->client_id = named;
    p->several |= named.p && !str_eq(named, p->client_id);
}

/* ---- private_key_jwt (RFC 7523, OpenID Connect Core 9)
 * ------------------------------------------- */
struct proof {
    struct str id;
    int64_t until_ms;
};

static enum err proof_use(struct db_conn *db, void *arg)
{
    struct proof *p = arg;
    return db_exec(db, "INSERT INTO used_proof(id, until_at) VALUES($1, $2)", "si", p->id,
                   p->until_ms);
}

enum err proof_use_once(struct ctx *c, struct str owner, struct str jti, int64_t until_ms)
{
    uint8_t hash[SHA256_LEN];
    struct str parts[] = {owner, STR(" "), jti};
    sha256_many(parts, COUNT_OF(parts), hash);
    struct proof p = {.id = codec_to_hex(c->arena, hash, 20), .until_ms = until_ms};
    return db_write(c->pf->db, proof_use, &p);
}

/* FAPI 2.0 5.3.2.1: the issuer alone, as a string. */
static bool audience_is_ours(struct ctx *c, const struct client *k, const json_t *claims)
{
    const char *why;
    const char *const paths[] = {"", "/api/v2/token", "/api/v2/par"};
    struct str none = STR_NONE;
    bool fapi = k->profile == PROFILE_FAPI;
    if (fapi && !json_is_string(json_get(claims, "aud")))
        return false;
    for (size_t i = 0; i < (fapi ? 1 : COUNT_OF(paths)); i++)
        if (jwt_check(claims, none, portal_url(c, paths[i]), clock_now_ms(), &why) == ERR_OK)
            return true;
    return false;
}

static bool assertion_holds(struct ctx *c, const struct client *k, const json_t *claims)
{
    struct str jti = json_get_str(claims, "jti");
    int64_t exp_ms = json_get_i64(claims, "exp", 0) * 1000, now_ms = clock_now_ms();
    if (!str_eq(json_get_str(claims, "iss"), k->id) ||
        !str_eq(json_get_str(claims, "sub"), k->id) || !audience_is_ours(c, k, claims) || !jti.n ||
        exp_ms > now_ms + PROOF_LIFE_MAX_MS)
        return false;
    return proof_use_once(c, k->id, jti, exp_ms + 60 * 1000) == ERR_OK; /* ERR_EXISTS: replayed */
}

static bool assertion_is(struct ctx *c, const struct client *k, const struct jws *j)
{
    struct jwks *keys = NULL;
    bool ok = k->jwks.n && j->claims && keyset_read(k->jwks, &keys) == ERR_OK &&
              jws_verify(j, keys, client_algs(k)) == ERR_OK && assertion_holds(c, k, j->claims);
    jwks_free(keys);
    return ok;
}

static enum err authenticate_assertion(struct ctx *c, struct presented *p, struct client **out)
{
    struct jws j;
    struct client *k;
    if (!str_eq_z(ctx_form(c, "client_assertion_type"),
                  "urn:ietf:params:oauth:client-assertion-type:jwt-bearer") ||
        jws_split(c->arena, p->assertion, &j) != ERR_OK)
        return refuse(c, p->client_id, "the client assertion is malformed");
    struct str sub = j.claims ? arena_dup(c->arena, json_get_str(j.claims, "sub")) : STR("");
    bool ok = (!p->client_id.p || str_eq(p->client_id, sub)) && !too_many(c, who(c, sub), false) &&
              client_get(c, sub, &k) == ERR_OK &&
              list_has(k->auth_methods, STR("private_key_jwt")) && assertion_is(c, k, &j);
    jws_free(&j);
    if (!ok)
        return refuse(c, sub, "the client assertion is not valid");
    *out = k;
    return ERR_OK;
}

/* ---- a certificate of its own (RFC 8705 2.2), as a trusted proxy saw it (RFC 9440)
 * ---------------- */
static bool certificate_is(struct ctx *c, const struct client *k)
{
    json_t *doc = NULL;
    struct str seen = bound_certificate(c);
    bool found = false;
    if (!k->jwks.n || json_read(k->jwks, &doc, NULL) != ERR_OK)
        return false;
    const json_t *keys = json_get(doc, "keys");
    for (size_t i = 0; i < json_array_size(keys); i++)
        found |= str_eq(json_get_str(json_array_get(keys, i), "x5t#S256"), seen);
    json_decref(doc);
    return found;
}

static enum err authenticate_certificate(struct ctx *c, struct str id, struct client **out)
{
    struct client *k;
    if (too_many(c, who(c, id), false) || client_get(c, id, &k) != ERR_OK ||
        !list_has(k->auth_methods, STR("self_signed_tls_client_auth")) || !certificate_is(c, k))
        return refuse(c, id, "the client certificate is not one of the client's");
    *out = k;
    return ERR_OK;
}

/* RFC 6749 3.2: none twice. */
enum { PARAMETERS_MAX = 50 };
static bool repeated(const struct ctx *c)
{
    for (size_t i = 0; i < c->form.n; i++)
        for (size_t k = 0; k < i; k++)
            if (str_eq(c->form.fields[i].name, c->form.fields[k].name))
                return true;
    return false;
}

enum err client_authenticate(struct ctx *c, struct client **out)
{
    struct presented p = {0};
    struct client *k;
    *out = NULL;
    if (c->form.n > PARAMETERS_MAX)
        return oauth_fail(c, 400, "invalid_request", "there are too many parameters");
    if (repeated(c))
        return oauth_fail(c, 400, "invalid_request", "a parameter is given twice");
    read_presented(c, &p);
    if (p.several)
        return oauth_fail(c, 400, "invalid_request", "the client is authenticated twice");
    if (!p.method && p.client_id.n && bound_certificate(c).p)
        return authenticate_certificate(c, p.client_id, out);
    if (!p.method)
        return refuse(c, p.client_id, "the client is not authenticated");
    if (p.assertion.p)
        return authenticate_assertion(c, &p, out);
    if (too_many(c, who(c, p.client_id), false))
        return oauth_fail(c, 429, "temporarily_unavailable", "too many failures: wait a minute");
    enum err e = client_get(c, p.client_id, &k);
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    if (e == ERR_NOT_FOUND || !list_has(k->auth_methods, str_from(p.method)) ||
        !(secret_is(c, k, p.secret) ||
          (!str_eq(p.secret, p.raw_secret) && secret_is(c, k, p.raw_secret))))
        return refuse(c, p.client_id, "the client or its secret is not known");
    *out = k;
    return ERR_OK;
}
