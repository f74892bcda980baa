/* The token endpoint and userinfo. */
#include <pthread.h>

#include "base/clock.h"
#include "base/codec.h"
#include "base/rand.h"
#include "crypto/digest.h"
#include "demo/idp.h"

enum { ACCESS_LIFE_S = 60, USED_MAX = 4096 };

/* Codes that were exchanged, until long after they expire: the ring is larger than what one minute
 * of password checks can fill. */
static struct {
    pthread_mutex_t lock;
    char ids[USED_MAX][ID_LEN + 1];
    size_t at;
} used = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool use_once(const char *id)
{
    bool fresh = true;
    pthread_mutex_lock(&used.lock);
    for (size_t i = 0; i < USED_MAX && fresh; i++)
        fresh = strcmp(used.ids[i], id) != 0;
    if (fresh)
        memcpy(used.ids[used.at++ % USED_MAX], id, ID_LEN + 1);
    pthread_mutex_unlock(&used.lock);
    return fresh;
}

/* client_secret_basic or client_secret_post (RFC 6749 2.3.1). */
static bool client_is_who(struct idp_call *x)
{
    uint8_t hash[SHA256_LEN];
    struct arena *a = x->rq->arena;
    struct str id = form_get(&x->form, "client_id"), secret = form_get(&x->form, "client_secret");
    struct str header = http_header_get(x->rq->head, "Authorization"), plain, part;
    if (str_starts(header, STR("Basic "))) {
        if (codec_base64(a, str_trim(str_after(header, 6)), &plain) != ERR_OK ||
            !str_split(&plain, ':', &part) || codec_url(a, part, true, &id) != ERR_OK ||
            codec_url(a, plain, true, &secret) != ERR_OK)
            return false;
    }
    sha256(secret.p ? secret.p : "", secret.n, hash);
    return x->client && str_eq(id, json_get_str(x->client, "client_id")) &&
           str_eq_secret(codec_to_hex(a, hash, sizeof hash),
                         json_get_str(x->client, "secret_sha256"));
}

static bool verifier_fits(struct idp_call *x, const json_t *code)
{
    uint8_t hash[SHA256_LEN];
    struct str challenge = json_get_str(code, "challenge");
    struct str verifier = form_get(&x->form, "code_verifier");
    if (!challenge.n)
        return true;
    sha256(verifier.p ? verifier.p : "", verifier.n, hash);
    return str_eq(challenge, codec_to_base64url(x->rq->arena, hash, sizeof hash));
}

static enum err id_token(struct idp_call *x, const json_t *code, const json_t *account,
                         struct str *out)
{
    json_t *claims = idp_claims(x, account, STR(""));
    int64_t now_s = clock_now_ms() / 1000;
    json_object_set_new(claims, "iss", json_string(x->issuer.p));
    json_object_set(claims, "aud", json_get(x->client, "client_id"));
    json_object_set_new(claims, "iat", json_integer(now_s));
    json_object_set_new(claims, "exp", json_integer(now_s + ACCESS_LIFE_S));
    json_object_set_new(claims, "auth_time", json_integer(json_get_i64(code, "at", 0) / 1000));
    json_object_set_new(claims, "acr", json_string("eidas1"));
    json_object_set_new(claims, "amr", json_pack("[s]", "pwd"));
    if (json_get_str(code, "nonce").n)
        json_object_set(claims, "nonce", json_get(code, "nonce"));
    enum err e = keys_sign_jws(x->idp->keys, "issuer", JOSE_ES256, "JWT",
                               json_text(x->rq->arena, claims), x->rq->arena, out);
    json_decref(claims);
    return e;
}

static void give_tokens(struct idp_call *x, const json_t *code, const json_t *account)
{
    struct str id;
    if (id_token(x, code, account, &id) != ERR_OK) {
        idp_oauth_error(x, 503, "temporarily_unavailable", "keys");
        return;
    }
    struct str access = idp_seal(x, "token",
                                 json_pack("{s:O, s:O, s:I}", "login", json_get(code, "login"),
                                           "scope", json_get(code, "scope"), "until",
                                           (json_int_t)(clock_now_ms() + ACCESS_LIFE_S * 1000)));
    idp_json(x, 200,
             json_pack("{s:s#, s:s, s:i, s:s#, s:O}", "access_token", access.p, (int)access.n,
                       "token_type", "Bearer", "expires_in", ACCESS_LIFE_S, "id_token", id.p,
                       (int)id.n, "scope", json_get(code, "scope")));
}

void idp_token(struct idp_call *x)
{
    if (!client_is_who(x)) {
        web_header(x->rs, "WWW-Authenticate", STR("Basic realm=\"token\""));
        idp_oauth_error(x, 401, "invalid_client", "unknown client or wrong secret");
        return;
    }
    if (!str_eq_z(form_get(&x->form, "grant_type"), "authorization_code")) {
        idp_oauth_error(x, 400, "unsupported_grant_type", "authorization_code only");
        return;
    }
    json_t *code = idp_open(x, "code", form_get(&x->form, "code"));
    const json_t *account =
        code ? idp_account(json_get_str(code, "login"), x->provider->realm) : NULL;
    if (!account ||
        !str_eq(form_get(&x->form, "redirect_uri"), json_get_str(code, "redirect_uri")) ||
        !verifier_fits(x, code) || !use_once(json_get_z(code, "id", ""))) {
        idp_oauth_error(x, 400, "invalid_grant", "unknown, expired, used or another's code");
        return;
    }
    give_tokens(x, code, account);
}

static void signed_claims(struct idp_call *x, json_t *claims)
{
    struct str jws;
    json_object_set_new(claims, "iss", json_string(x->issuer.p));
    json_object_set(claims, "aud", json_get(x->client, "client_id"));
    json_object_set_new(claims, "iat", json_integer(clock_now_ms() / 1000));
    enum err e = keys_sign_jws(x->idp->keys, "issuer", JOSE_ES256, "JWT",
                               json_text(x->rq->arena, claims), x->rq->arena, &jws);
    json_decref(claims);
    if (e != ERR_OK) {
        idp_oauth_error(x, 503, "temporarily_unavailable", "keys");
        return;
    }
    web_header(x->rs, "Content-Type", STR("application/jwt"));
    web_header(x->rs, "Cache-Control", STR("no-store"));
    buf_add_str(&x->rs->body, jws);
}

void idp_userinfo(struct idp_call *x)
{
    struct str header = http_header_get(x->rq->head, "Authorization");
    json_t *token = str_starts(header, STR("Bearer "))
                        ? idp_open(x, "token", str_trim(str_after(header, 7)))
                        : NULL;
    const json_t *account =
        token ? idp_account(json_get_str(token, "login"), x->provider->realm) : NULL;
    if (!account) {
        web_header(x->rs, "WWW-Authenticate", STR("Bearer error=\"invalid_token\""));
        idp_oauth_error(x, 401, "invalid_token", "unknown or expired access token");
        return;
    }
    json_t *claims = idp_claims(x, account, json_get_str(token, "scope"));
    if (str_find(http_header_get(x->rq->head, "Accept"), STR("application/jwt")) >= 0)
        signed_claims(x, claims);
    else
        idp_json(x, 200, claims);
}
