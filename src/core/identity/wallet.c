/* A wallet as a source of identity. The browser's side: wallet_page.c. Here is the wallet's: it
 * fetches what it is asked (a signed request), shows a credential, and is told how to go on.
 * Nothing here has a cookie: what ties an answer to a browser is the request's id and, on the same
 * device, the code that only the wallet is told. */
#include "core/identity/wallet_inner.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/rand.h"
#include "core/identity/client.h"
#include "core/identity/own.h"
#include "core/identity/pid.h"
#include "core/identity/pivot.h"
#include "core/identity/schema.h"
#include "core/identity/wallet_trust.h"
#include "crypto/jwe.h"
#include "sys/file.h"

enum { REQUEST_LIFE_S = 300, PEM_MAX = 64 * 1024, WALLET_NONCE_MAX = 512 };
static const char CERTIFICATE[] = "client-wallet.pem";

/* Read at start, never changed. */
static struct wallet_trust *trust;

/* ---- settings -----------------------------------------------------------------------------------
 */
json_t *wallet_name(void)
{
    return json_pack("{s:s,s:s}", "fr", "Portefeuille d’identité", "en", "Identity wallet");
}

enum level wallet_level(const struct ctx *c)
{
    return level_from_name(str_from(c->pf->settings->wallet_level));
}

bool wallet_is_offered(struct ctx *c, const struct flow *f)
{
    struct client *k;
    if (!c->pf->settings->wallet || !str_eq_z(f->realm, "citizens") || f->kind == FLOW_LOGOUT)
        return false;
    return f->kind != FLOW_CLIENT ||
           (client_get(c, f->request.client_id, &k) == ERR_OK &&
            (str_eq_z(k->providers, "*") || list_has(k->providers, STR(WALLET_PROVIDER))));
}

/* Read each time: a new one is taken without a restart. */
static enum err own_certificate(struct arena *a, const struct platform *pf, struct x5c_own *out)
{
    struct str pem;
    const char *path = arena_printf(a, "%s/%s", pf->settings->tls_certificates, CERTIFICATE).p;
    enum err e = file_read(a, path, PEM_MAX, &pem);
    return e == ERR_OK ? x5c_own_read(a, pem, out) : e;
}

static enum err refuse_start(const char *what, const char *why)
{
    log_error("wallet_refused", "what", what, "why", why);
    return ERR_INVALID;
}

enum err wallet_start(struct platform *pf)
{
    const char *why;
    struct x5c_own own;
    struct arena a;
    if (level_from_name(str_from(pf->settings->wallet_level)) == LEVEL_NONE)
        return refuse_start("wallet_level", "eidas1, eidas2 or eidas3");
    if (wallet_trust_read(pf->settings->wallet_issuers_text, &trust, &why) != ERR_OK)
        return refuse_start("wallet_issuers", why);
    arena_init(&a);
    enum err e = own_certificate(&a, pf, &own);
    if (e == ERR_OK) {
        e = keys_tls_has(pf->tls_keys, own.key_id);
        x5c_own_free(&own);
    }
    arena_free(&a);
    return e == ERR_OK ? ERR_OK
                       : refuse_start(CERTIFICATE, "none, or its key is not here: "
                                                   "socle tls request client-wallet HOST");
}

/* ---- what a wallet is asked ---------------------------------------------------------------------
 */
/* OpenID4VP 5.9.3, x509_hash: the wallet compares it with the certificate that signed. */
static struct str client_id_of(struct ctx *c, const struct x5c_own *own)
{
    return arena_printf(c->arena, "x509_hash:" STR_FMT, STR_ARG(own->hash));
}

enum err wallet_client_id(struct ctx *c, struct str *out)
{
    struct x5c_own own;
    enum err e = own_certificate(c->arena, c->pf, &own);
    if (e != ERR_OK)
        return e;
    *out = client_id_of(c, &own);
    x5c_own_free(&own);
    return ERR_OK;
}

/* The platform's key for what is encrypted to it: the one that fits ECDH-ES. */
static enum err encryption_keys(struct ctx *c, json_t **out)
{
    struct str text;
    json_t *all;
    enum err e = keys_jwks(c->pf->keys, "decrypt", c->arena, &text);
    if (e == ERR_OK)
        e = json_read(text, &all, NULL);
    if (e != ERR_OK)
        return e;
    *out = json_array();
    for (size_t i = 0; i < json_array_size(json_get(all, "keys")); i++) {
        json_t *k = json_array_get(json_get(all, "keys"), i);
        if (str_eq_z(json_get_str(k, "kty"), "EC"))
            json_array_append(*out, k);
    }
    json_decref(all);
    return ERR_OK;
}

static enum err metadata(struct ctx *c, json_t **out)
{
    json_t *keys;
    *out = json_pack("{s:s,s:{s:{s:[s],s:[s]}}}", "client_name", c->pf->settings->brand_name,
                     "vp_formats_supported", "dc+sd-jwt", "sd-jwt_alg_values", "ES256",
                     "kb-jwt_alg_values", "ES256");
    if (!c->pf->settings->wallet_encrypted)
        return ERR_OK;
    enum err e = encryption_keys(c, &keys);
    if (e != ERR_OK) {
        json_decref(*out);
        return e;
    }
    json_object_set_new(*out, "jwks", json_pack("{s:o}", "keys", keys));
    json_object_set_new(*out, "encrypted_response_enc_values_supported",
                        json_pack("[s]", "A256GCM"));
    return ERR_OK;
}

static enum err request_object(struct ctx *c, const struct wallet_request *r, json_t **out)
{
    json_t *meta;
    struct str nonce = wallet_nonce(c, r->id), wallets = ctx_form(c, "wallet_nonce");
    json_int_t now_s = clock_now_ms() / 1000;
    enum err e = metadata(c, &meta);
    if (e != ERR_OK)
        return e;
    *out = json_pack("{s:s%,s:s,s:s%,s:s,s:s,s:s,s:s%,s:s%,s:I,s:I,s:o,s:o}", "iss", r->client_id.p,
                     r->client_id.n, "aud", "https://self-issued.me/v2", "client_id",
                     r->client_id.p, r->client_id.n, "response_type", "vp_token", "response_mode",
                     c->pf->settings->wallet_encrypted ? "direct_post.jwt" : "direct_post",
                     "response_uri", portal_url(c, "/api/v2/wallet/response").p, "nonce", nonce.p,
                     nonce.n, "state", r->id.p, r->id.n, "iat", now_s, "exp",
                     now_s + REQUEST_LIFE_S, "dcql_query",
                     pid_query(str_from(c->pf->settings->wallet_vct)), "client_metadata", meta);
    if (wallets.n && wallets.n <= WALLET_NONCE_MAX)
        json_object_set_new(*out, "wallet_nonce", json_stringn(wallets.p, wallets.n));
    return ERR_OK;
}

static enum err gone(struct ctx *c)
{
    return oauth_fail(c, 404, "invalid_request", "no such request, or it is over");
}

enum err identity_wallet_request(struct ctx *c)
{
    struct wallet_request r;
    struct x5c_own own;
    struct str compact;
    json_t *v;
    if (!c->pf->settings->wallet)
        return gone(c);
    enum err e = wallet_load(c, ctx_path(c, "id"), &r);
    if (e == ERR_NOT_FOUND || e == ERR_CORRUPT || (e == ERR_OK && r.stage != WALLET_OPEN))
        return gone(c);
    if (e == ERR_OK)
        e = own_certificate(c->arena, c->pf, &own);
    if (e != ERR_OK)
        return e;
    bool same = str_eq(client_id_of(c, &own), r.client_id);
    if (same && (e = request_object(c, &r, &v)) == ERR_OK) {
        e = x5c_sign(c->pf->tls_keys, &own, "oauth-authz-req+jwt", json_text(c->arena, v), c->arena,
                     &compact);
        json_decref(v);
    }
    x5c_own_free(&own);
    if (!same) /* the certificate is another since: the person begins again */
        return gone(c);
    if (e != ERR_OK)
        return e;
    web_header(c->rs, "Cache-Control", STR("no-store"));
    return ctx_text(c, 200, "application/oauth-authz-req+jwt", compact);
}

/* ---- what a wallet answers ----------------------------------------------------------------------
 */
struct answer {
    struct str state, error;
    const json_t *vp_token;
};

/* OpenID4VP 8.2 and 8.3. An error may come in clear: there is nothing in it to hide. */
static const char *answer_read(struct ctx *c, struct answer *out)
{
    struct str jwe = ctx_form(c, "response"), plain;
    json_t *v;
    bool encrypted = c->pf->settings->wallet_encrypted;
    if (jwe.n) {
        if (!encrypted || keys_jwe_open(c->pf->keys, jwe, c->arena, &plain) != ERR_OK)
            return "what was encrypted does not open with a key of ours";
        if (json_read(plain, &v, NULL) != ERR_OK)
            return "what was encrypted is not JSON";
        json_own(&c->pool, v);
        *out = (struct answer){json_get_str(v, "state"), json_get_str(v, "error"),
                               json_get(v, "vp_token")};
        return NULL;
    }
    *out = (struct answer){ctx_form(c, "state"), ctx_form(c, "error"), NULL};
    if (out->error.n)
        return NULL;
    if (encrypted)
        return "the answer is not encrypted";
    if (json_read(ctx_form(c, "vp_token"), &v, NULL) != ERR_OK)
        return "vp_token is not JSON";
    out->vp_token = json_own(&c->pool, v);
    return NULL;
}

/* One credential was asked, and is all there may be. */
static struct str presentation_of(const json_t *vp_token)
{
    const json_t *list = json_get(vp_token, PID_CREDENTIAL);
    const json_t *one = json_array_size(list) == 1 ? json_array_get(list, 0) : NULL;
    return json_object_size(vp_token) == 1 && json_is_string(one)
               ? str_of(json_string_value(one), json_string_length(one))
               : STR_NONE;
}

static enum err verified(struct ctx *c, const struct wallet_request *r, const struct answer *in,
                         json_t **pid, const char **why)
{
    struct str presentation = presentation_of(in->vp_token);
    struct wallet_wanted w = {.vcts = str_from(c->pf->settings->wallet_vct),
                              .binding = {.audience = r->client_id,
                                          .nonce = wallet_nonce(c, r->id),
                                          .since_ms = r->begun_ms,
                                          .now_ms = clock_now_ms()}};
    *why = "vp_token has not the one credential that was asked";
    return presentation.p ? wallet_verify(c->arena, trust, presentation, &w, pid, why) : ERR_DENIED;
}

/* A PID names nobody across its renewals: the same issuer's same identity is the same person. */
static struct str subject_of(struct ctx *c, const json_t *pid, const json_t *claims)
{
    struct str iss = json_get_str(pid, "iss"), hash = pivot_hash(c->arena, claims);
    return arena_printf(c->arena, STR_FMT " " STR_FMT, STR_ARG(iss), STR_ARG(hash));
}

/* Fills r with what is to be stored; why NULL: accepted. */
static void judge(struct ctx *c, const struct answer *in, struct wallet_request *r,
                  const char **why)
{
    json_t *pid, *said;
    const char *claim = "";
    r->stage = WALLET_REFUSED;
    *why = NULL;
    if (in->error.n) {
        r->why = STR("person");
        return;
    }
    r->why = STR("proof");
    if (verified(c, r, in, &pid, why) != ERR_OK)
        return;
    json_own(&c->pool, pid);
    said = json_own(&c->pool, pid_claims(c, pid));
    r->why = STR("pivot");
    if (pivot_read(said, &r->claims, &claim) != ERR_OK) {
        *why = arena_printf(c->arena, "the identity lacks a usable %s", claim).p;
        r->claims = NULL;
        return;
    }
    json_own(&c->pool, r->claims);
    r->subject = subject_of(c, pid, r->claims);
    r->why = STR("");
    r->stage = WALLET_ANSWERED;
    *why = NULL;
}

/* RFC: OpenID4VP 8.2. The code goes to the wallet alone, which opens the address on its device. */
static struct str way_back(struct ctx *c, struct wallet_request *r)
{
    char code[SECRET_LEN + 1];
    secret_new(code);
    r->code_hash = wallet_code_hash(c, str_from(code));
    struct str url =
        url_with(c->arena, portal_url(c, "/connexion/portefeuille/retour"), "flow", r->flow);
    return url_with(c->arena, url, "response_code", arena_dup(c->arena, str_from(code)));
}

enum err identity_wallet_response(struct ctx *c)
{
    struct answer in;
    struct wallet_request r;
    struct str back = STR("");
    if (!c->pf->settings->wallet)
        return gone(c);
    const char *why = answer_read(c, &in);
    if (why)
        return oauth_fail(c, 400, "invalid_request", why);
    enum err e = wallet_load(c, in.state, &r);
    if (e == ERR_NOT_FOUND || e == ERR_CORRUPT || (e == ERR_OK && r.stage != WALLET_OPEN))
        return oauth_fail(c, 400, "invalid_request", "state names no request that is open");
    if (e != ERR_OK)
        return e;
    judge(c, &in, &r, &why);
    if (r.kind == WALLET_SAME && !why)
        back = way_back(c, &r);
    e = wallet_close(c, &r);
    if (e == ERR_CONFLICT)
        return oauth_fail(c, 400, "invalid_request", "state names no request that is open");
    if (e != ERR_OK)
        return e;
    if (why)
        return oauth_fail(c, 400, "invalid_request", why);
    web_header(c->rs, "Cache-Control", STR("no-store"));
    json_t *out = json_object();
    if (back.n)
        json_object_set_new(out, "redirect_uri", json_stringn(back.p, back.n));
    return ctx_json(c, 200, out);
}
