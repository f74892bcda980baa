#include "core/identity/request.h"

#include "base/codec.h"
#include "core/identity/pivot.h"
#include "crypto/digest.h"
#include "data/json.h"

enum {
    NONCE_STRICT_MIN = 22,
    STATE_MAX = 2048,
    NONCE_MAX = 512,
    SCOPE_MAX = 2048,
    URI_MAX = 2048,
    CLAIMS_MAX = 4096,
    OBJECT_MAX = 16 * 1024,
    HINT_MAX = 8192,
    VERIFIER_MIN = 43,
    VERIFIER_MAX = 128,
};

/* Every parameter: where it goes, how long it may be, and whether a strict client may send it. */
static const struct param {
    const char *name;
    size_t at, max;
    bool strict;
} params[] = {
#define P(name, max, strict)                               \
    {                                                      \
#name, offsetof(struct request, name), max, strict \
    }
    P(client_id, 128, true),
    P(redirect_uri, URI_MAX, true),
    P(response_type, 64, true),
    P(response_mode, 64, false),
    P(scope, SCOPE_MAX, true),
    P(state, STATE_MAX, true),
    P(nonce, NONCE_MAX, true),
    P(acr_values, 256, true),
    P(prompt, 64, true),
    P(max_age, 16, false),
    P(login_hint, 256, false),
    P(siret_hint, 32, false),
    P(idp_hint, 128, true),
    P(ui_locales, 128, true),
    P(claims, CLAIMS_MAX, true),
    P(code_challenge, 256, false),
    P(code_challenge_method, 16, false),
    P(realm, 16, false),
    P(request, OBJECT_MAX, false),
    P(request_uri, URI_MAX, false),
    P(dpop_jkt, 64, false),
    P(id_token_hint, HINT_MAX, false),
    P(registration, OBJECT_MAX, false),
#undef P
};

static struct str *field(struct request *r, const struct param *p)
{
    return (struct str *)((char *)r + p->at);
}

static const struct param *param_find(struct str name)
{
    for (size_t i = 0; i < COUNT_OF(params); i++)
        if (str_eq_z(name, params[i].name))
            return &params[i];
    return NULL;
}

void request_read(const struct form *in, struct request *out)
{
    *out = (struct request){.max_age_s = -1, .level = LEVEL_EIDAS1};
    for (size_t i = 0; i < in->n; i++) {
        const struct param *p = param_find(in->fields[i].name);
        if (!p) {
            if (!out->unknown.p)
                out->unknown = in->fields[i].name;
            continue;
        }
        if (field(out, p)->p)
            out->repeated = p->name;
        else
            *field(out, p) = in->fields[i].value;
    }
}

/* ---- names --------------------------------------------------------------------------------------
 */
enum err profile_from_name(struct str name, enum profile *out)
{
    static const char *const names[] = {"strict", "modern", "fapi"};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (str_eq_z(name, names[i])) {
            *out = (enum profile)i;
            return ERR_OK;
        }
    return ERR_INVALID;
}

static const char *const level_names[] = {"eidas0", "eidas1", "eidas2", "eidas3"};

enum level level_from_name(struct str name)
{
    for (size_t i = LEVEL_EIDAS1; i < COUNT_OF(level_names); i++)
        if (str_eq_z(name, level_names[i]))
            return (enum level)i;
    return LEVEL_NONE;
}

const char *level_name(enum level l)
{
    return level_names[l];
}

/* ---- lists --------------------------------------------------------------------------------------
 */
bool list_has(struct str list, struct str name)
{
    struct str part;
    while (list.n && str_split(&list, ' ', &part))
        if (part.n && str_eq(part, name))
            return true;
    return false;
}

struct str list_add(struct arena *a, struct str list, struct str name)
{
    if (!name.n || list_has(list, name))
        return list;
    return list.n ? arena_printf(a, STR_FMT " " STR_FMT, STR_ARG(list), STR_ARG(name))
                  : arena_dup(a, name);
}

struct str list_less(struct arena *a, struct str list, struct str name)
{
    struct str out = STR(""), part;
    while (list.n && str_split(&list, ' ', &part))
        if (!str_eq(part, name))
            out = list_add(a, out, part);
    return out;
}

/* ---- checks -------------------------------------------------------------------------------------
 */
static bool refuse(struct oauth_error *why, const char *error, const char *description)
{
    *why = (struct oauth_error){error, description};
    return false;
}

static bool check_form(struct arena *a, struct request *r, enum profile p, struct oauth_error *why)
{
    if (r->repeated)
        return refuse(why, "invalid_request", arena_printf(a, "%s is given twice", r->repeated).p);
    if (p == PROFILE_STRICT && r->unknown.p)
        return refuse(why, "invalid_request", "a parameter is not known here");
    for (size_t i = 0; i < COUNT_OF(params); i++) {
        struct str v = *field(r, &params[i]);
        if (!v.p)
            continue;
        if (p == PROFILE_STRICT && !params[i].strict)
            return refuse(why, "invalid_request",
                          arena_printf(a, "%s is not allowed", params[i].name).p);
        if (v.n > params[i].max)
            return refuse(why, "invalid_request",
                          arena_printf(a, "%s is too long", params[i].name).p);
    }
    return true;
}

static bool check_kind(const struct request *r, struct oauth_error *why)
{
    if (r->request.p)
        return refuse(why, "request_not_supported", "request is not supported");
    if (r->request_uri.p)
        return refuse(why, "request_uri_not_supported", "request_uri is not supported");
    if (r->registration.p)
        return refuse(why, "registration_not_supported", "registration is not supported");
    if (!r->response_type.p)
        return refuse(why, "invalid_request", "response_type is missing");
    if (!str_eq_z(r->response_type, "code"))
        return refuse(why, "unsupported_response_type", "response_type must be code");
    if (r->response_mode.p && !str_eq_z(r->response_mode, "query"))
        return refuse(why, "invalid_request", "response_mode must be query");
    if (!r->scope.p || !list_has(r->scope, STR("openid")))
        return refuse(why, "invalid_scope", "scope must contain openid");
    if (r->realm.p && !str_eq_z(r->realm, "citizens") && !str_eq_z(r->realm, "agents"))
        return refuse(why, "invalid_request", "realm must be citizens or agents");
    return true;
}

static bool check_prompt(struct request *r, enum profile p, struct oauth_error *why)
{
    static const struct {
        const char *name;
        unsigned bit;
        bool strict;
    } known[] = {{"none", PROMPT_NONE, false},
                 {"login", PROMPT_LOGIN, true},
                 {"consent", PROMPT_CONSENT, true},
                 {"select_account", PROMPT_SELECT, false}};
    struct str rest = r->prompt, part;
    while (rest.n && str_split(&rest, ' ', &part)) {
        unsigned bit = 0;
        for (size_t i = 0; i < COUNT_OF(known); i++)
            if (str_eq_z(part, known[i].name) && (p != PROFILE_STRICT || known[i].strict))
                bit = known[i].bit;
        if (!bit)
            return refuse(why, "invalid_request", "prompt has a value that is not known");
        r->prompts |= bit;
    }
    if (r->prompts & PROMPT_NONE && r->prompts != PROMPT_NONE)
        return refuse(why, "invalid_request", "prompt none stands alone");
    return true;
}

static bool check_level(struct request *r, enum profile p, struct oauth_error *why)
{
    struct str rest = r->acr_values, part;
    while (rest.n && !r->level_asked && str_split(&rest, ' ', &part)) {
        enum level l = level_from_name(part);
        if (l == LEVEL_NONE)
            continue;
        r->level = l;
        r->level_asked = true;
    }
    if (p == PROFILE_STRICT && !r->level_asked)
        return refuse(why, "invalid_request", "acr_values must be eidas1, eidas2 or eidas3");
    return true;
}

static bool is_unreserved(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '-' || c == '.' || c == '_' || c == '~'))
            return false;
    }
    return true;
}

static bool check_secrets(const struct request *r, enum profile p, bool pkce,
                          struct oauth_error *why)
{
    if (p == PROFILE_STRICT && !r->state.n)
        return refuse(why, "invalid_request", "state is required");
    if (p == PROFILE_STRICT && r->nonce.n < NONCE_STRICT_MIN)
        return refuse(why, "invalid_request", "nonce of at least 22 characters is required");
    if (!r->code_challenge.p) {
        if (pkce || r->code_challenge_method.p)
            return refuse(why, "invalid_request", "code_challenge is required (RFC 7636)");
        return true;
    }
    if (!str_eq_z(r->code_challenge_method, "S256"))
        return refuse(why, "invalid_request", "code_challenge_method must be S256");
    if (r->code_challenge.n != 43 || !is_unreserved(r->code_challenge))
        return refuse(why, "invalid_request", "code_challenge is not a SHA-256 in base64url");
    return true;
}

/* {"userinfo": {"given_name": null}, "id_token": {"acr": {"essential": true, "value": "eidas2"}}}
 */
static void claims_take(struct arena *a, struct request *r, const json_t *part, struct str *list)
{
    const char *name;
    json_t *v;
    json_object_foreach((json_t *)part, name, v)
    {
        if (strcmp(name, "acr") == 0 && json_is_object(v)) {
            const json_t *first = json_array_get(json_get(v, "values"), 0);
            struct str acr = first ? str_from(json_string_value(first)) : json_get_str(v, "value");
            enum level l = level_from_name(acr);
            if (l != LEVEL_NONE && json_get_bool(v, "essential", false) &&
                (!r->level_asked || l > r->level)) {
                r->level = l;
                r->level_asked = true;
            }
            continue;
        }
        for (size_t i = 0; claim_at(i); i++)
            if (strcmp(claim_at(i)->name, name) == 0)
                *list = list_add(a, *list, str_from(name));
    }
}

static bool check_claims(struct arena *a, struct request *r, struct oauth_error *why)
{
    json_t *v = NULL;
    if (!r->claims.p)
        return true;
    if (json_read(r->claims, &v, NULL) != ERR_OK || !json_is_object(v)) {
        json_decref(v);
        return refuse(why, "invalid_request", "claims is not a JSON object");
    }
    claims_take(a, r, json_get(v, "userinfo"), &r->claims_wanted);
    claims_take(a, r, json_get(v, "id_token"), &r->id_claims);
    json_decref(v);
    /* She is told of both alike; userinfo holds all. */
    struct str rest = r->id_claims, part;
    while (rest.n && str_split(&rest, ' ', &part))
        r->claims_wanted = list_add(a, r->claims_wanted, part);
    return true;
}

bool request_check(struct arena *a, struct request *r, enum profile p, bool pkce,
                   struct oauth_error *why)
{
    uint64_t age;
    if (!check_form(a, r, p, why) || !check_kind(r, why) || !check_prompt(r, p, why) ||
        !check_level(r, p, why) || !check_secrets(r, p, pkce || p == PROFILE_FAPI, why) ||
        !check_claims(a, r, why))
        return false;
    if (r->max_age.p) {
        if (!str_to_u64(r->max_age, &age) || age > 365 * 86400)
            return refuse(why, "invalid_request", "max_age is not a number of seconds");
        r->max_age_s = (int64_t)age;
    }
    return true;
}

/* ---- across pages -------------------------------------------------------------------------------
 */
json_t *request_to_json(const struct request *r)
{
    json_t *v = json_object();
    for (size_t i = 0; i < COUNT_OF(params); i++) {
        struct str s = *field((struct request *)r, &params[i]);
        if (s.p)
            json_object_set_new(v, params[i].name, json_stringn(s.p, s.n));
    }
    json_object_set_new(v, "_prompts", json_integer(r->prompts));
    json_object_set_new(v, "_max_age", json_integer(r->max_age_s));
    json_object_set_new(v, "_level", json_integer(r->level));
    json_object_set_new(v, "_asked", json_boolean(r->level_asked));
    struct str wanted = r->claims_wanted;
    json_object_set_new(v, "_id_claims",
                        json_stringn(r->id_claims.p ? r->id_claims.p : "", r->id_claims.n));
    json_object_set_new(v, "_claims", json_stringn(wanted.p ? wanted.p : "", wanted.n));
    return v;
}

void request_from_json(struct arena *a, const json_t *v, struct request *out)
{
    *out = (struct request){0};
    for (size_t i = 0; i < COUNT_OF(params); i++)
        if (json_get(v, params[i].name))
            *field(out, &params[i]) = arena_dup(a, json_get_str(v, params[i].name));
    out->prompts = (unsigned)json_get_i64(v, "_prompts", 0);
    out->max_age_s = json_get_i64(v, "_max_age", -1);
    out->level = (enum level)json_get_i64(v, "_level", LEVEL_EIDAS1);
    out->level_asked = json_get_bool(v, "_asked", false);
    out->id_claims = arena_dup(a, json_get_str(v, "_id_claims"));
    out->claims_wanted = arena_dup(a, json_get_str(v, "_claims"));
}

/* ---- PKCE, addresses ----------------------------------------------------------------------------
 */
bool pkce_matches(struct arena *a, struct str challenge, struct str verifier)
{
    uint8_t hash[SHA256_LEN];
    if (verifier.n < VERIFIER_MIN || verifier.n > VERIFIER_MAX || !is_unreserved(verifier))
        return false;
    sha256(verifier.p, verifier.n, hash);
    return str_eq_secret(codec_to_base64url(a, hash, sizeof hash), challenge);
}

static bool is_loopback(struct str host)
{
    return str_eq_nocase(host, STR("localhost")) || str_ends(host, STR(".localhost")) ||
           str_eq_z(host, "127.0.0.1") || str_eq_z(host, "[::1]");
}

bool redirect_is_registrable(struct str uri, bool any_http)
{
    bool https = str_starts(uri, STR("https://"));
    if ((!https && !str_starts(uri, STR("http://"))) || uri.n > URI_MAX)
        return false;
    for (size_t i = 0; i < uri.n; i++)
        if (uri.p[i] <= ' ' || uri.p[i] >= 127 || strchr("#\\\"<>^`{|}", uri.p[i]))
            return false;
    struct str rest = str_after(uri, https ? 8 : 7);
    size_t n = 0;
    while (n < rest.n && rest.p[n] != '/' && rest.p[n] != '?')
        n++;
    struct str host = str_sub(rest, 0, n);
    if (host.n == 0 || str_find_char(host, '@') >= 0)
        return false;
    ptrdiff_t colon = host.p[0] == '[' ? str_find(host, STR("]:")) : str_find_char(host, ':');
    if (colon >= 0)
        host = str_sub(host, 0, (size_t)colon + (host.p[0] == '['));
    return https || any_http || is_loopback(host);
}
