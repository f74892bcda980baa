/* What tokens hold (docs/formats/access-token.md; OpenID Connect Core 2), and what they are bound
 * to. */
#include "core/identity/mint.h"

#include "base/clock.h"
#include "base/codec.h"
#include "core/identity/issue.h"
#include "core/identity/person.h"
#include "core/identity/pivot.h"
#include "core/identity/reply.h"
#include "crypto/seal.h"
#include "platform/api.h"
#include "platform/bound.h"

/* ---- what they are bound to
 * ---------------------------------------------------------------------- */
static enum err proof_bad(struct ctx *c, bool *answered, const char *why)
{
    *answered = true;
    return oauth_fail(c, 400, "invalid_dpop_proof", why);
}

/* A proof for this endpoint, used once on all nodes. */
static enum err dpop_of(struct ctx *c, struct binding *b, bool *answered)
{
    struct dpop_proof proof;
    const char *why = "";
    struct str url = portal_url(c, c->route->path);
    enum err e = bound_proof(c, url, STR_NONE, STR_NONE, &proof, &why);
    if (e == ERR_NOT_FOUND)
        return ERR_OK;
    if (e != ERR_OK)
        return proof_bad(c, answered, why);
    e = proof_use_once(c, proof.jkt, proof.jti, clock_now_ms() + DPOP_PAST_MS + 2 * DPOP_AHEAD_MS);
    if (e == ERR_EXISTS)
        return proof_bad(c, answered, "the proof was used before");
    b->jkt = proof.jkt;
    return e;
}

enum err binding_read(struct ctx *c, const struct client *k, struct binding *out, bool *answered)
{
    *out = (struct binding){STR(""), STR("")};
    *answered = false;
    enum err e = dpop_of(c, out, answered);
    if (e != ERR_OK || *answered)
        return e;
    bool fapi = k->profile == PROFILE_FAPI;
    if (!out->jkt.n && (k->bound == BOUND_MTLS || (fapi && k->bound == BOUND_NO)))
        out->x5t = bound_certificate(c);
    if ((k->bound == BOUND_DPOP || fapi) && !out->jkt.n && !out->x5t.n)
        return proof_bad(c, answered, "a DPoP proof is needed: this client's tokens are bound");
    if (k->bound == BOUND_MTLS && !out->x5t.n) {
        *answered = true;
        return oauth_fail(c, 400, "invalid_request", "a client certificate is needed");
    }
    return ERR_OK;
}

const char *mint_token_type(const struct minting *m)
{
    return m->binding.jkt.n ? "DPoP" : "Bearer";
}

/* ---- the access token ---------------------------------------------------------------------------
 */
/* What the gateway needs and the client must not read. */
static enum err idt_make(struct ctx *c, const struct minting *m, json_t **content, struct str *out)
{
    uint8_t key[SEAL_KEY_LEN];
    enum err e = vault_key(c, m->person, key);
    if (e != ERR_OK)
        return e;
    bool agent = str_starts(m->person, STR("agent:"));
    struct str text = codec_to_base64url(c->arena, key, sizeof key);
    json_t *v = json_object();
    json_object_set_new(v, "person", json_str(m->person));
    json_object_set_new(v, "key", json_str(text));
    json_object_set_new(v, "pivot", agent ? json_incref(m->claims) : pivot_only(m->claims));
    json_object_set(v, "claims", json_get(m->data, "claims"));
    struct str sealed = seal(c->arena, c->pf->token_seal, STR("token.idt"), json_text(c->arena, v));
    *out = codec_to_base64url(c->arena, sealed.p, sealed.n);
    *content = json_own(&c->pool, v);
    mem_wipe(key, sizeof key);
    return ERR_OK;
}

/* The contracts the token bears. No person: those alone that need no consent. */
enum err grants_get(struct ctx *c, const struct minting *m, json_t **grants)
{
    json_t *consents = json_own(&c->pool, json_object()), *found = NULL;
    json_t *scopes = json_own(&c->pool, scope_list(m->scope));
    enum err e = ERR_OK;
    *grants = NULL;
    if (json_array_size(scopes) == 0)
        return ERR_OK;
    if (m->person.n)
        e = consents_active(c, m->person, m->k->id, &consents);
    if (e != ERR_OK)
        return e;
    json_t *args = json_pack("{s:o,s:O,s:O}", "client_id", json_str(m->k->id), "scopes", scopes,
                             "consents", consents);
    e = platform_call(c, "exchange.grants", args, &found);
    json_decref(args);
    if (e == ERR_OK)
        *grants = json_get(found, "items");
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

static enum err access_claims(struct ctx *c, const struct minting *m, const json_t *grants,
                              json_t **out, json_t **identity)
{
    struct str idt = STR_NONE;
    const char *issuer = c->pf->settings->base_url;
    enum err e = m->person.n ? idt_make(c, m, identity, &idt) : ERR_OK;
    if (e != ERR_OK)
        return e;
    json_t *v = json_pack("{s:s,s:s,s:o,s:o,s:I,s:I,s:o,s:o}", "iss", issuer, "aud", issuer, "sub",
                          json_str(m->sub), "client_id", json_str(m->k->id), "iat",
                          (json_int_t)m->now_s, "exp", (json_int_t)(m->now_s + m->k->access_life_s),
                          "jti", json_str(m->jti), "scope", json_str(m->scope));
    if (idt.p)
        json_object_set_new(v, "idt", json_str(idt));
    if (m->data)
        json_object_set(v, "acr", json_get(m->data, "acr"));
    if (grants)
        json_object_set(v, "grants", (json_t *)grants);
    if (m->family.n)
        json_object_set_new(v, "family", json_str(m->family));
    if (m->binding.jkt.n)
        json_object_set_new(v, "cnf", json_pack("{s:o}", "jkt", json_str(m->binding.jkt)));
    else if (m->binding.x5t.n)
        json_object_set_new(v, "cnf", json_pack("{s:o}", "x5t#S256", json_str(m->binding.x5t)));
    *out = json_own(&c->pool, v);
    return ERR_OK;
}

/* What stands behind the tokens in the answer. */
static struct str answer_end(struct ctx *c, const struct minting *m, struct str refresh)
{
    struct buf b;
    struct jw w;
    buf_init(&b, 64 * 1024);
    jw_start(&w, &b);
    jw_obj(&w);
    jw_kz(&w, "token_type", mint_token_type(m));
    jw_ki64(&w, "expires_in", m->k->access_life_s);
    jw_kstr(&w, "scope", m->scope);
    if (refresh.p)
        jw_kstr(&w, "refresh_token", refresh);
    jw_end(&w);
    struct str end = arena_printf(c->arena, "\"," STR_FMT, STR_ARG(str_after(buf_str(&b), 1)));
    buf_wipe(&b);
    return end;
}

enum err mint_access_answer(struct ctx *c, const struct minting *m, const json_t *grants)
{
    json_t *v, *identity = NULL;
    enum err e = access_claims(c, m, grants, &v, &identity);
    struct str around[] = {STR("{\"access_token\":\""), answer_end(c, m, STR_NONE)};
    return e == ERR_OK ? reply_signed(c, "application/json", JOSE_ES256, "at+jwt",
                                      json_text(c->arena, v), around)
                       : e;
}

/* ---- the ID token -------------------------------------------------------------------------------
 */
/* All but at_hash, which comes when the access token is signed. */
static json_t *id_claims(struct ctx *c, const struct minting *m)
{
    const json_t *d = m->data;
    json_t *v =
        json_pack("{s:s,s:o,s:o,s:I,s:I,s:I,s:O?,s:O?}", "iss", c->pf->settings->base_url, "sub",
                  json_str(m->sub), "aud", json_str(m->k->id), "iat", (json_int_t)m->now_s, "exp",
                  (json_int_t)(m->now_s + m->k->id_token_life_s), "auth_time",
                  (json_int_t)(json_get_i64(d, "auth_time_ms", 0) / 1000), "acr",
                  json_get(d, "acr"), "sid", json_get(d, "sid"));
    if (json_get(d, "nonce"))
        json_object_set(v, "nonce", json_get(d, "nonce"));
    if (json_get_str(d, "id_claims").n) {
        json_t *asked = claims_pick(m->claims, json_get_str(d, "id_claims"));
        json_object_update_missing(v, asked);
        json_decref(asked);
    }
    /* A strict client gets amr when it asked for it, as FranceConnect does. */
    if (json_get(d, "amr") && (m->k->profile != PROFILE_STRICT || list_has(m->scope, STR("amr"))))
        json_object_set(v, "amr", json_get(d, "amr"));
    json_object_del(v, "at_hash");
    return json_own(&c->pool, v);
}

/* ---- the answer
 * ---------------------------------------------------------------------------------- */
enum err minting_fill(struct ctx *c, struct minting *m)
{
    const json_t *d = m->data;
    m->person = json_get_str(d, "person");
    m->scope = json_get_str(d, "scope");
    m->now_s = clock_now_ms() / 1000;
    enum err e = person_claims(c, m->person, &m->claims);
    return e == ERR_OK ? person_sub(c, m->person, m->claims, m->k, &m->sub) : e;
}

/* An ID token that is encrypted is needed here before the answer can be written. */
static enum err answer_encrypted(struct ctx *c, const struct minting *m, struct reply_tokens *t)
{
    struct str access, id_token;
    enum err e = keys_sign_tokens(c->pf->keys, t->access, t->id_alg, t->id_open, c->arena, &access,
                                  &id_token);
    if (e == ERR_OK && t->identity)
        access_token_made(c, access, t->claims, t->identity);
    if (e == ERR_OK)
        e = client_encrypt(c, m->k, m->k->id_token_enc, &id_token);
    if (e != ERR_OK)
        return e;
    web_header(c->rs, "Cache-Control", STR("no-store"));
    return ctx_text(c, 200, "application/json",
                    arena_printf(c->arena, STR_FMT STR_FMT STR_FMT STR_FMT STR_FMT,
                                 STR_ARG(t->around[0]), STR_ARG(access), STR_ARG(t->around[1]),
                                 STR_ARG(id_token), STR_ARG(t->around[2])));
}

enum err mint_answer(struct ctx *c, const struct minting *m, struct str refresh)
{
    struct reply_tokens t = {.id_alg = m->k->id_token_alg};
    json_t *grants;
    enum err e = grants_get(c, m, &grants);
    if (e == ERR_OK)
        e = access_claims(c, m, grants, &t.claims, &t.identity);
    if (e != ERR_OK)
        return e;
    struct str id = json_text(c->arena, id_claims(c, m));
    t.access = json_text(c->arena, t.claims);
    t.id_open = str_sub(id, 0, id.n - 1);
    t.around[0] = STR("{\"access_token\":\"");
    t.around[1] = STR("\",\"id_token\":\"");
    t.around[2] = answer_end(c, m, refresh);
    web_header(c->rs, "Pragma", STR("no-cache"));
    return m->k->id_token_enc == JWE_NONE ? reply_tokens(c, &t) : answer_encrypted(c, m, &t);
}
