/* GET and POST /api/v2/userinfo (OpenID Connect Core 5.3): the claims the scopes brought, as JSON,
 * or as a signed JWT where the client is registered so. */
#include "core/identity/schema.h"

#include "base/clock.h"
#include "core/identity/client.h"
#include "core/identity/person.h"
#include "core/identity/pivot.h"
#include "core/identity/reply.h"
#include "platform/api.h"
#include "platform/bound.h"

/* RFC 6750 3: the scheme alone when nothing was presented. */
static enum err refuse(struct ctx *c, bool dpop, const char *error, const char *why)
{
    struct str h = error ? arena_printf(c->arena,
                                        "%s realm=\"socle\", error=\"%s\", "
                                        "error_description=\"%s\"%s",
                                        dpop ? "DPoP" : "Bearer", error, why,
                                        dpop ? ", algs=\"" DPOP_ALGS "\"" : "")
                         : STR("Bearer realm=\"socle\"");
    web_header(c->rs, "WWW-Authenticate", h);
    return oauth_fail(c, 401, error ? error : "invalid_token", why);
}

static struct str token_of(struct ctx *c, bool *dpop)
{
    struct str token = bound_token(c, dpop);
    return token.p || ctx_header(c, "Authorization").p ? token : ctx_form(c, "access_token");
}

static enum err answer_signed(struct ctx *c, const struct client *k, json_t *v)
{
    struct str jwt, payload, none[2] = {STR_NONE, STR_NONE};
    int64_t now_s = clock_now_ms() / 1000;
    json_object_set_new(v, "iss", json_string(c->pf->settings->base_url));
    json_object_set_new(v, "aud", json_stringn(k->id.p, k->id.n));
    json_object_set_new(v, "iat", json_integer(now_s));
    json_object_set_new(v, "exp", json_integer(now_s + k->id_token_life_s));
    payload = json_text(c->arena, v);
    json_decref(v);
    if (k->userinfo_enc == JWE_NONE)
        return reply_signed(c, "application/jwt", k->userinfo_alg, "JWT", payload, none);
    enum err e =
        keys_sign_jws(c->pf->keys, "issuer", k->userinfo_alg, "JWT", payload, c->arena, &jwt);
    if (e == ERR_OK)
        e = client_encrypt(c, k, k->userinfo_enc, &jwt);
    if (e != ERR_OK)
        return e;
    web_header(c->rs, "Cache-Control", STR("no-store"));
    return ctx_text(c, 200, "application/jwt", jwt);
}

enum err identity_userinfo(struct ctx *c)
{
    struct client *k;
    json_t *claims, *identity, *all;
    const char *why = "";
    bool dpop;
    struct str token = token_of(c, &dpop);
    if (ctx_header(c, "Authorization").p && ctx_form(c, "access_token").p) /* RFC 6750 2 */
        return oauth_fail(c, 400, "invalid_request", "the access token is sent in two ways");
    if (!token.p)
        return refuse(c, dpop, NULL, "an access token is needed");
    enum err e = access_token_read(c, token, &claims, &identity, &why);
    if (e == ERR_UNAVAILABLE || e == ERR_TIMEOUT || e == ERR_INTERNAL)
        return e;
    if (e != ERR_OK)
        return refuse(c, dpop, "invalid_token",
                      "the token is not valid, has expired or was revoked");
    e = bound_check(c, claims, token, dpop, &why);
    if (e != ERR_OK)
        return refuse(c, true, dpop ? "invalid_dpop_proof" : "invalid_token", why);
    e = client_get(c, json_get_str(claims, "client_id"), &k);
    if (e == ERR_OK)
        e = person_claims(c, json_get_str(identity, "person"), &all);
    if (e == ERR_NOT_FOUND)
        return refuse(c, dpop, "invalid_token", "the client or the account is closed");
    if (e != ERR_OK)
        return e;
    json_t *v = claims_pick(all, json_get_str(identity, "claims"));
    json_object_set(v, "sub", json_get(claims, "sub"));
    return k->userinfo_signed ? answer_signed(c, k, v) : ctx_json(c, 200, v);
}
