/* What a client reads about us: the metadata (OpenID Connect Discovery 1.0, RFC 8414) and the keys.
 */
#include "core/identity/schema.h"

#include "core/identity/pivot.h"
#include "platform/node.h"

static json_t *list(const char *const *words, size_t n)
{
    json_t *l = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(l, json_string(words[i]));
    return l;
}
#define LIST(...) \
    list((const char *const[]){__VA_ARGS__}, COUNT_OF(((const char *const[]){__VA_ARGS__})))

static json_t *claims_supported(void)
{
    json_t *l = LIST("sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "sid");
    for (size_t i = 0; claim_at(i); i++)
        if (strcmp(claim_at(i)->name, "account") != 0 &&
            strcmp(claim_at(i)->name, "offline_access") != 0)
            json_array_append_new(l, json_string(claim_at(i)->name));
    return l;
}

static json_t *scopes_supported(void)
{
    json_t *l = LIST("openid", "profile", "birth", "identite_pivot", "amr");
    for (size_t i = 0; claim_at(i); i++)
        json_array_append_new(l, json_string(claim_at(i)->name));
    return l;
}

static void endpoints(struct ctx *c, json_t *d)
{
    static const struct {
        const char *name, *path;
    } table[] = {{"authorization_endpoint", "/api/v2/authorize"},
                 {"token_endpoint", "/api/v2/token"},
                 {"userinfo_endpoint", "/api/v2/userinfo"},
                 {"jwks_uri", "/api/v2/jwks"},
                 {"end_session_endpoint", "/api/v2/session/end"},
                 {"pushed_authorization_request_endpoint", "/api/v2/par"},
                 {"introspection_endpoint", "/api/v2/token/introspection"},
                 {"revocation_endpoint", "/api/v2/token/revocation"},
                 {"service_documentation", "/catalogue"},
                 {"op_policy_uri", "/privacy"},
                 {"op_tos_uri", "/legal"}};
    for (size_t i = 0; i < COUNT_OF(table); i++)
        json_object_set_new(d, table[i].name, json_string(portal_url(c, table[i].path).p));
}

/* RFC 8705 5: where a client that shows a certificate asks instead. */
static json_t *mtls_aliases(struct ctx *c)
{
    static const struct {
        const char *name, *path;
    } table[] = {{"token_endpoint", "/api/v2/token"},
                 {"userinfo_endpoint", "/api/v2/userinfo"},
                 {"pushed_authorization_request_endpoint", "/api/v2/par"},
                 {"introspection_endpoint", "/api/v2/token/introspection"},
                 {"revocation_endpoint", "/api/v2/token/revocation"}};
    struct str base = str_from(c->pf->settings->base_url);
    struct str host = str_after(base, (size_t)str_find(base, STR("://")) + 3);
    ptrdiff_t colon = str_find_char(host, ':');
    json_t *d = json_object();
    host = colon < 0 ? host : str_sub(host, 0, (size_t)colon);
    for (size_t i = 0; i < COUNT_OF(table); i++)
        json_object_set_new(
            d, table[i].name,
            json_string(arena_printf(c->arena, "https://" STR_FMT ":%lld%s", STR_ARG(host),
                                     (long long)c->pf->settings->mtls_port, table[i].path)
                            .p));
    return d;
}

enum err identity_discovery(struct ctx *c)
{
    static const char *const algs[] = {"ES256", "RS256"};
    json_t *d = json_object();
    json_object_set_new(d, "issuer", json_string(c->pf->settings->base_url));
    endpoints(c, d);
    if (c->pf->settings->mtls_port)
        json_object_set_new(d, "mtls_endpoint_aliases", mtls_aliases(c));
    json_object_set_new(d, "response_types_supported", LIST("code"));
    json_object_set_new(d, "response_modes_supported", LIST("query"));
    json_object_set_new(d, "grant_types_supported",
                        LIST("authorization_code", "client_credentials", "refresh_token"));
    json_object_set_new(d, "dpop_signing_alg_values_supported",
                        LIST("ES256", "PS256", "RS256", "EdDSA"));
    json_object_set_new(d, "tls_client_certificate_bound_access_tokens", json_true());
    json_object_set_new(d, "subject_types_supported", LIST("pairwise", "public"));
    json_object_set_new(d, "id_token_signing_alg_values_supported", list(algs, 2));
    json_object_set_new(d, "userinfo_signing_alg_values_supported", LIST("none", "ES256", "RS256"));
    static const char *const kinds[] = {"id_token", "userinfo"};
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        const char *alg = arena_printf(c->arena, "%s_encryption_alg_values_supported", kinds[i]).p;
        const char *enc = arena_printf(c->arena, "%s_encryption_enc_values_supported", kinds[i]).p;
        json_object_set_new(d, alg, LIST("ECDH-ES", "RSA-OAEP-256"));
        json_object_set_new(d, enc, LIST("A256GCM"));
    }
    json_object_set_new(d, "token_endpoint_auth_methods_supported",
                        LIST("client_secret_basic", "client_secret_post", "private_key_jwt",
                             "self_signed_tls_client_auth"));
    json_object_set_new(d, "token_endpoint_auth_signing_alg_values_supported",
                        LIST("ES256", "PS256", "RS256"));
    json_object_set_new(d, "introspection_endpoint_auth_methods_supported",
                        LIST("client_secret_basic", "client_secret_post", "private_key_jwt"));
    json_object_set_new(d, "introspection_signing_alg_values_supported", LIST("ES256", "RS256"));
    json_object_set_new(d, "revocation_endpoint_auth_methods_supported",
                        LIST("client_secret_basic", "client_secret_post", "private_key_jwt"));
    json_object_set_new(d, "code_challenge_methods_supported", LIST("S256"));
    json_object_set_new(d, "acr_values_supported", LIST("eidas1", "eidas2", "eidas3"));
    json_object_set_new(d, "prompt_values_supported",
                        LIST("none", "login", "consent", "select_account"));
    json_object_set_new(d, "ui_locales_supported", LIST("fr", "en"));
    json_object_set_new(d, "claim_types_supported", LIST("normal"));
    json_object_set_new(d, "claims_supported", claims_supported());
    json_object_set_new(d, "scopes_supported", scopes_supported());
    json_object_set_new(d, "claims_parameter_supported", json_true());
    json_object_set_new(d, "request_parameter_supported", json_true());
    json_object_set_new(d, "request_object_signing_alg_values_supported",
                        LIST("ES256", "PS256", "RS256"));
    json_object_set_new(d, "backchannel_logout_supported", json_true());
    json_object_set_new(d, "backchannel_logout_session_supported", json_true());
    json_object_set_new(d, "require_pushed_authorization_requests", json_false());
    json_object_set_new(d, "request_uri_parameter_supported", json_false());
    json_object_set_new(d, "authorization_response_iss_parameter_supported", json_true());
    struct str text = json_text(c->arena, d);
    json_decref(d);
    web_header(c->rs, "Cache-Control", STR("public, max-age=300"));
    web_header(c->rs, "Access-Control-Allow-Origin", STR("*"));
    return ctx_text(c, 200, "application/json", text);
}

/* A rotation publishes the next key long before it signs: five minutes of cache cost nothing. */
static enum err answer_keys(struct ctx *c, struct str json)
{
    web_header(c->rs, "Cache-Control", STR("public, max-age=300"));
    web_header(c->rs, "Access-Control-Allow-Origin", STR("*"));
    return ctx_text(c, 200, "application/json", json);
}

enum err identity_jwks(struct ctx *c)
{
    struct str json;
    enum err e = node_jwks(c->pf, "issuer", c->arena, &json);
    return e == ERR_OK ? answer_keys(c, json) : e;
}

/* What this platform signs with as a client, and what its providers encrypt for. */
enum err identity_client_jwks(struct ctx *c)
{
    struct str sign, decrypt;
    static const char head[] = "{\"keys\":[";
    enum err e = node_jwks(c->pf, "client", c->arena, &sign);
    if (e == ERR_OK)
        e = keys_jwks(c->pf->keys, "decrypt", c->arena, &decrypt);
    if (e != ERR_OK)
        return e;
    struct str first = str_sub(sign, 0, sign.n - 2), more = str_after(decrypt, sizeof head - 1);
    return answer_keys(c,
                       arena_printf(c->arena, STR_FMT "," STR_FMT, STR_ARG(first), STR_ARG(more)));
}
