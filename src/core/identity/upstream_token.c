#include "core/identity/upstream_token.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/log.h"
#include "base/rand.h"
#include "crypto/digest.h"
#include "crypto/jwe.h"
#include "web/client.h"

enum { CALL_MS = 5000, ANSWER_MAX = 256 * 1024, ASSERTION_LIFE_S = 60 };

struct str upstream_redirect_uri(struct ctx *c, const struct provider *p)
{
    if (p->redirect.p)
        return p->redirect;
    return portal_url(c, arena_printf(c->arena, "/connexion/retour/" STR_FMT, STR_ARG(p->id)).p);
}

static enum err bad(const char **why, const char *what)
{
    *why = what;
    return ERR_DENIED;
}

static enum err send(struct ctx *c, struct client_call *call, struct client_answer *answer,
                     const char **why)
{
    call->timeout_ms = CALL_MS;
    call->answer_max = ANSWER_MAX;
    call->allow_inside = c->pf->settings->allow_inside || c->pf->settings->demo;
    enum err e = client_send(c->arena, call, answer);
    if (e == ERR_OK && answer->status >= 500)
        e = ERR_UNAVAILABLE;
    if (e != ERR_OK)
        *why = e == ERR_LIMIT ? "answer too long" : "no answer";
    return e == ERR_OK || e == ERR_TIMEOUT || e == ERR_LIMIT ? e : ERR_UNAVAILABLE;
}

/* ---- the code -----------------------------------------------------------------------------------
 */
/* RFC 7523: proof by this platform's own key, instead of a secret that both know. */
static enum err assertion_make(struct ctx *c, const struct provider *p, struct str audience,
                               struct str *out)
{
    char jti[ID_LEN + 1];
    int64_t now_s = clock_now_ms() / 1000;
    id_new(jti);
    json_t *v =
        json_pack("{s:s%,s:s%,s:s%,s:s,s:I,s:I}", "iss", p->client_id.p, p->client_id.n, "sub",
                  p->client_id.p, p->client_id.n, "aud", audience.p, audience.n, "jti", jti, "iat",
                  (json_int_t)now_s, "exp", (json_int_t)(now_s + ASSERTION_LIFE_S));
    enum err e = keys_sign_jws(c->pf->keys, "client", JOSE_ES256, "JWT", json_text(c->arena, v),
                               c->arena, out);
    json_decref(v);
    return e;
}

static struct str pair(struct ctx *c, struct str body, const char *name, struct str value)
{
    return arena_printf(c->arena, STR_FMT "%s%s=%s", STR_ARG(body), body.n ? "&" : "", name,
                        codec_to_url(c->arena, value).p);
}

static enum err authenticate(struct ctx *c, const struct provider *p, struct str endpoint,
                             struct str *body, struct str *header)
{
    struct str assertion, how = json_get_str(p->conf, "auth");
    if (!p->secret.p || str_eq_z(how, "private_key_jwt")) {
        enum err e = assertion_make(c, p, endpoint, &assertion);
        if (e != ERR_OK)
            return e;
        *body = pair(c, *body, "client_assertion_type",
                     STR("urn:ietf:params:oauth:client-assertion-type:jwt-bearer"));
        *body = pair(c, *body, "client_assertion", assertion);
        return ERR_OK;
    }
    if (str_eq_z(how, "post")) {
        *body = pair(c, *body, "client_id", p->client_id);
        *body = pair(c, *body, "client_secret", p->secret);
        return ERR_OK;
    }
    struct str text = arena_printf(c->arena, "%s:%s", codec_to_url(c->arena, p->client_id).p,
                                   codec_to_url(c->arena, p->secret).p);
    *header = arena_printf(c->arena, "Basic %s", codec_to_base64(c->arena, text.p, text.n).p);
    return ERR_OK;
}

static enum err token_call(struct ctx *c, struct provider *p, const struct flow_secrets *s,
                           struct str code, json_t **tokens, const char **why)
{
    struct client_answer answer;
    struct str header = STR_NONE, body = STR("grant_type=authorization_code");
    struct str endpoint = provider_endpoint(c, p, "token_endpoint");
    if (!endpoint.p)
        return *why = "no token endpoint", ERR_UNAVAILABLE;
    body = pair(c, body, "code", code);
    body = pair(c, body, "redirect_uri", upstream_redirect_uri(c, p));
    if (provider_flag(p, "pkce", true))
        body = pair(c, body, "code_verifier", s->verifier);
    enum err e = authenticate(c, p, endpoint, &body, &header);
    if (e != ERR_OK)
        return e;
    struct http_header h[] = {{STR("Content-Type"), STR("application/x-www-form-urlencoded")},
                              {STR("Accept"), STR("application/json")},
                              {STR("Authorization"), header}};
    struct client_call call = {.method = "POST",
                               .url = endpoint,
                               .headers = h,
                               .n_headers = header.p ? 3 : 2,
                               .body = body};
    e = send(c, &call, &answer, why);
    if (e != ERR_OK)
        return e;
    if (answer.status != 200)
        return bad(why, "the token endpoint refused");
    if (json_read(answer.body, tokens, NULL) != ERR_OK)
        return bad(why, "the token answer is not JSON");
    json_own(&c->pool, *tokens);
    return ERR_OK;
}

/* ---- signatures ---------------------------------------------------------------------------------
 */
/* A key that is not in the set we have may be new: the set is read again, once. */
static enum err verify(struct ctx *c, struct provider *p, const struct jws *j)
{
    unsigned algs = provider_algs(p);
    struct jwks *keys;
    if (j->alg == JOSE_HS256)
        return algs & 1u << JOSE_HS256 && p->secret.p ? jws_verify_hs256(j, p->secret) : ERR_DENIED;
    for (int turn = 0; turn < 2; turn++) {
        enum err e = provider_keys(c, p, turn > 0, &keys);
        if (e != ERR_OK)
            return turn > 0 ? ERR_DENIED : e;
        e = jws_verify(j, keys, algs);
        jwks_free(keys);
        if (e != ERR_NOT_FOUND)
            return e;
    }
    return ERR_DENIED;
}

static bool audience_has(const json_t *claims, struct str id)
{
    const json_t *aud = json_get(claims, "aud");
    if (json_is_string(aud))
        return str_eq(json_get_str(claims, "aud"), id);
    for (size_t i = 0; i < json_array_size(aud); i++)
        if (str_eq_z(id, json_string_value(json_array_get(aud, i))
                             ? json_string_value(json_array_get(aud, i))
                             : ""))
            return true;
    return false;
}

static enum err id_claims_check(const struct provider *p, const struct flow_secrets *s,
                                const json_t *v, const char **why)
{
    struct str azp = json_get_str(v, "azp");
    if (jwt_check(v, p->issuer, p->client_id, clock_now_ms(), why) != ERR_OK)
        return ERR_DENIED;
    if (json_array_size(json_get(v, "aud")) > 1 && !azp.n)
        return bad(why, "azp");
    if (azp.n && !str_eq(azp, p->client_id))
        return bad(why, "azp");
    if (provider_flag(p, "nonce", true) && !str_eq_secret(json_get_str(v, "nonce"), s->nonce))
        return bad(why, "nonce");
    if (!json_get_str(v, "sub").n || json_get_str(v, "sub").n > 255)
        return bad(why, "sub");
    return ERR_OK;
}

/* OpenID Connect Core 3.1.3.8: the access token is the one this ID token came with. */
static bool at_hash_fits(struct ctx *c, const struct jws *j, struct str access)
{
    uint8_t hash[SHA256_LEN];
    struct str at_hash = json_get_str(j->claims, "at_hash");
    if (!json_get(j->claims, "at_hash") || j->alg == JOSE_EDDSA) /* with SHA-512, which none asks */
        return true;
    sha256(access.p, access.n, hash);
    return str_eq(codec_to_base64url(c->arena, hash, SHA256_LEN / 2), at_hash);
}

/* A JWE becomes the JWS in it. A provider that is to encrypt (FranceConnect+) must. */
static enum err decrypted(struct ctx *c, const struct provider *p, struct str *compact,
                          const char **why)
{
    struct str plain;
    if (!jwe_is(*compact))
        return provider_flag(p, "encrypted", false) ? bad(why, "it is not encrypted") : ERR_OK;
    enum err e = keys_jwe_open(c->pf->keys, *compact, c->arena, &plain);
    if (e == ERR_UNAVAILABLE || e == ERR_TIMEOUT)
        return e;
    if (e != ERR_OK)
        return bad(why, "what it encrypted does not open with a key of ours");
    *compact = plain;
    return ERR_OK;
}

static enum err id_token_check(struct ctx *c, struct provider *p, const struct flow_secrets *s,
                               struct str compact, struct str access, json_t **claims,
                               const char **why)
{
    struct jws j;
    if (jws_split(c->arena, compact, &j) != ERR_OK)
        return bad(why, "the ID token is not a JWS");
    enum err e = verify(c, p, &j);
    if (e == ERR_DENIED)
        *why = "signature of the ID token";
    else if (e != ERR_OK)
        *why = "no keys";
    if (e == ERR_OK)
        e = j.claims ? id_claims_check(p, s, j.claims, why) : bad(why, "claims");
    if (e == ERR_OK && !at_hash_fits(c, &j, access))
        e = bad(why, "at_hash");
    if (e == ERR_OK)
        *claims = json_own(&c->pool, json_incref(j.claims));
    jws_free(&j);
    return e;
}

/* ---- userinfo -----------------------------------------------------------------------------------
 */
static enum err userinfo_signed(struct ctx *c, struct provider *p, struct str compact,
                                json_t **claims, const char **why)
{
    struct jws j;
    compact = str_trim(compact);
    enum err e = decrypted(c, p, &compact, why);
    if (e != ERR_OK)
        return e;
    if (jws_split(c->arena, compact, &j) != ERR_OK)
        return bad(why, "userinfo is not a JWS");
    e = verify(c, p, &j);
    if (e != ERR_OK)
        *why = "signature of userinfo";
    const char *late;
    if (e == ERR_OK && json_get(j.claims, "exp") &&
        jwt_check(j.claims, STR_NONE, STR_NONE, clock_now_ms(), &late) != ERR_OK)
        e = bad(why, "userinfo is out of its time");
    if (e == ERR_OK &&
        (!j.claims ||
         (json_get(j.claims, "iss") && !str_eq(json_get_str(j.claims, "iss"), p->issuer)) ||
         (json_get(j.claims, "aud") && !audience_has(j.claims, p->client_id))))
        e = bad(why, "iss or aud of userinfo");
    if (e == ERR_OK)
        *claims = json_own(&c->pool, json_incref(j.claims));
    jws_free(&j);
    return e;
}

static enum err userinfo_call(struct ctx *c, struct provider *p, struct str token, json_t **claims,
                              bool *suspicious, const char **why)
{
    struct client_answer answer;
    struct str endpoint = provider_endpoint(c, p, "userinfo_endpoint");
    *claims = NULL;
    if (!endpoint.p)
        return ERR_OK;
    struct http_header h[] = {
        {STR("Authorization"), arena_printf(c->arena, "Bearer " STR_FMT, STR_ARG(token))},
        {STR("Accept"), STR("application/json, application/jwt")}};
    struct client_call call = {.url = endpoint, .headers = h, .n_headers = 2};
    enum err e = send(c, &call, &answer, why);
    if (e != ERR_OK)
        return e;
    *suspicious |= str_eq_z(client_header(&answer, "x-suspicious"), "1");
    if (answer.status != 200)
        return bad(why, "userinfo refused");
    if (str_starts(client_header(&answer, "Content-Type"), STR("application/jwt")))
        return userinfo_signed(c, p, answer.body, claims, why);
    if (provider_flag(p, "encrypted", false))
        return bad(why, "userinfo is not encrypted");
    if (provider_flag(p, "userinfo_signed", false))
        return bad(why, "userinfo is not signed");
    if (json_read(answer.body, claims, NULL) != ERR_OK)
        return bad(why, "userinfo is not JSON");
    json_own(&c->pool, *claims);
    return json_is_object(*claims) ? ERR_OK : bad(why, "userinfo is no object");
}

enum err upstream_exchange(struct ctx *c, struct provider *p, const struct flow_secrets *s,
                           struct str code, struct upstream_answer *out, const char **why)
{
    json_t *tokens, *info;
    *why = "our own keys";
    enum err e = token_call(c, p, s, code, &tokens, why);
    if (e != ERR_OK)
        return e;
    out->id_token = json_get_str(tokens, "id_token");
    struct str access = json_get_str(tokens, "access_token");
    e = decrypted(c, p, &out->id_token, why); /* kept as a JWS: it is a hint when she signs out */
    if (e == ERR_OK)
        e = id_token_check(c, p, s, out->id_token, access, &out->id_claims, why);
    if (e == ERR_OK)
        e = access.n ? userinfo_call(c, p, access, &info, &out->suspicious, why)
                     : bad(why, "no access token");
    if (e != ERR_OK)
        return e;
    out->claims = json_own(&c->pool, json_copy(out->id_claims));
    out->suspicious |= str_eq_z(json_get_str(out->id_claims, "x-suspicious"), "1");
    if (!info)
        return ERR_OK;
    out->suspicious |= str_eq_z(json_get_str(info, "x-suspicious"), "1");
    /* OpenID Connect Core 5.3.4: without this, one person's token could bring another's claims. */
    if (!str_eq(json_get_str(info, "sub"), json_get_str(out->id_claims, "sub")))
        return bad(why, "sub of userinfo");
    json_object_update(out->claims, info);
    return ERR_OK;
}
