/* A provider in the sandbox is tried before people are sent to it: what it says of itself is
 * looked at, then one sign-in is walked through to the end. The trial makes no person and no
 * session: a provider under test could name anybody, and must not open anybody's account. */
#include "core/identity/schema.h"

#include <stdio.h>
#include "base/codec.h"
#include "base/rand.h"
#include "core/identity/pivot.h"
#include "core/identity/provider.h"
#include "core/identity/upstream_token.h"
#include "crypto/digest.h"

/* ---- the checklist ------------------------------------------------------------------------------
 */
/* verdict: "pass", "fail", "warn" (works, and something is missing), "wait" (not reached). */
static void check_add(json_t *list, const char *name, const char *verdict, const char *why)
{
    json_array_append_new(
        list, json_pack("{s:s,s:s,s:s}", "check", name, "verdict", verdict, "why", why ? why : ""));
}

static bool list_holds(const json_t *list, struct str value)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (json_is_string(json_array_get(list, i)) &&
            str_eq_z(value, json_string_value(json_array_get(list, i))))
            return true;
    return false;
}

static const char *endpoints_missing(const json_t *meta)
{
    static const char *const needed[] = {"authorization_endpoint", "token_endpoint", "jwks_uri"};
    for (size_t i = 0; i < COUNT_OF(needed); i++)
        if (!json_get_str(meta, needed[i]).n)
            return needed[i];
    return NULL;
}

static void keys_judge(struct ctx *c, const struct provider *p, const json_t *meta, json_t *list)
{
    struct str text;
    struct jwks *keys = NULL;
    struct str url = json_get_str(p->conf, "jwks_uri");
    if (!url.n)
        url = json_get_str(meta, "jwks_uri");
    const char *why = NULL;
    if (!url.n || provider_fetch(c, url, &text) != ERR_OK)
        why = "keys unreachable";
    else if (jwks_read(text, &keys) != ERR_OK)
        why = "not a key set";
    else if (keys->n == 0)
        why = "no key";
    jwks_free(keys);
    check_add(list, "keys", why ? "fail" : "pass", why);
}

static void algs_judge(const struct provider *p, const json_t *meta, json_t *list)
{
    const json_t *theirs = json_get(meta, "id_token_signing_alg_values_supported");
    unsigned ours = provider_algs(p);
    bool any = json_array_size(theirs) == 0;
    for (size_t i = 0; i < json_array_size(theirs); i++) {
        enum jose_alg alg;
        const char *name = json_string_value(json_array_get(theirs, i));
        any |= name && jose_alg_from_name(str_from(name), &alg) == ERR_OK && ours & 1u << alg;
    }
    check_add(list, "algorithms", any ? "pass" : "fail", any ? NULL : "no algorithm in common");
}

static void rest_judge(const struct provider *p, const json_t *meta, json_t *list)
{
    bool pkce = list_holds(json_get(meta, "code_challenge_methods_supported"), STR("S256"));
    bool sends = provider_flag(p, "pkce", true);
    bool acr = list_holds(json_get(meta, "acr_values_supported"), provider_acr(p, p->min_level));
    bool code = !json_get(meta, "response_types_supported") ||
                list_holds(json_get(meta, "response_types_supported"), STR("code"));
    bool logout = json_get_str(meta, "end_session_endpoint").n ||
                  json_get_str(p->conf, "end_session_endpoint").n;
    check_add(list, "code", code ? "pass" : "fail", code ? NULL : "no code flow");
    check_add(list, "pkce", pkce || !sends ? "pass" : "warn", pkce || !sends ? NULL : "no S256");
    check_add(list, "levels", acr ? "pass" : "warn", acr ? NULL : "level not announced");
    check_add(list, "logout", logout ? "pass" : "warn", logout ? NULL : "no end_session_endpoint");
}

/* Without discovery the settings must name the endpoints; then there is less to judge. */
enum err identity_call_provider_look(struct ctx *c, const json_t *args, json_t **out)
{
    struct provider *p;
    json_t *meta = NULL, *list;
    const char *problem = NULL, *missing;
    enum err e = provider_get_any(c, json_get_str(args, "id"), &p);
    if (e != ERR_OK)
        return e;
    list = json_array();
    *out = json_pack("{s:o}", "items", list);
    if (!json_get_str(p->conf, "authorization_endpoint").n &&
        provider_meta_now(c, p, &meta, &problem) != ERR_OK) {
        check_add(list, "discovery", "fail", problem);
        return ERR_OK;
    }
    const json_t *judged = meta ? meta : p->conf;
    missing = endpoints_missing(judged);
    check_add(list, "discovery", missing ? "fail" : "pass", missing);
    keys_judge(c, p, judged, list);
    if (meta) {
        algs_judge(p, meta, list);
        rest_judge(p, meta, list);
    }
    return ERR_OK;
}

/* A trial sees the metadata as they are now: its body has just mended them. */
static void meta_refresh(struct ctx *c, struct provider *p)
{
    json_t *meta;
    const char *problem;
    if (!json_get_str(p->conf, "authorization_endpoint").n &&
        provider_meta_now(c, p, &meta, &problem) == ERR_OK)
        p->meta = meta;
}

/* ---- one sign-in --------------------------------------------------------------------------------
 */
/* args: id, redirect; answers url, and test: what the caller keeps for the way back. */
enum err identity_call_provider_try(struct ctx *c, const json_t *args, json_t **out)
{
    struct provider *p;
    struct flow_secrets s;
    uint8_t hash[SHA256_LEN];
    char test[SECRET_LEN + 1];
    enum err e = provider_get_any(c, json_get_str(args, "id"), &p);
    if (e != ERR_OK)
        return e;
    meta_refresh(c, p);
    struct str url = provider_endpoint(c, p, "authorization_endpoint");
    if (!str_starts(url, STR("https://")) && !str_starts(url, STR("http://")))
        return ERR_UNAVAILABLE;
    secret_new(test);
    flow_secrets(c, str_from(test), p->id, &s);
    struct str set = json_get_str(p->conf, "scope");
    const struct {
        const char *name;
        struct str value;
        bool sent;
    } params[] = {
        {"response_type", STR("code"), true},
        {"client_id", p->client_id, true},
        {"redirect_uri", json_get_str(args, "redirect"), true},
        {"scope",
         set.n                          ? set
         : str_eq_z(p->realm, "agents") ? STR("openid given_name usual_name email uid siret")
                                        : STR("openid profile birth email"),
         true},
        {"state", s.state, true},
        {"nonce", s.nonce, provider_flag(p, "nonce", true)},
        {"acr_values", provider_acr(p, p->min_level), provider_flag(p, "acr_values", true)},
        {"prompt", STR("login"), provider_flag(p, "prompt", true)},
    };
    for (size_t i = 0; i < COUNT_OF(params); i++)
        if (params[i].sent)
            url = url_with(c->arena, url, params[i].name, params[i].value);
    if (provider_flag(p, "pkce", true)) {
        sha256(s.verifier.p, s.verifier.n, hash);
        url = url_with(c->arena, url, "code_challenge",
                       codec_to_base64url(c->arena, hash, sizeof hash));
        url = url_with(c->arena, url, "code_challenge_method", STR("S256"));
    }
    *out = json_pack("{s:o,s:s}", "url", json_str(url), "test", test);
    return ERR_OK;
}

enum { STEPS = 7 };
static const char *const steps[STEPS] = {"answer", "token",    "signature", "id_token",
                                         "nonce",  "userinfo", "acr"};

/* Which step of the walk a reason belongs to. */
static size_t step_of(const char *why, bool has_id_token)
{
    static const struct {
        const char *part;
        size_t step;
    } parts[] = {{"userinfo", 5},       {"no access token", 5}, {"the ID token is not", 2},
                 {"signature", 2},      {"no keys", 2},         {"nonce", 4},
                 {"token endpoint", 1}, {"token answer", 1},    {"our own keys", 1},
                 {"answer too long", 1}};
    for (size_t i = 0; i < COUNT_OF(parts); i++)
        if (strstr(why, parts[i].part))
            return parts[i].step;
    if (strcmp(why, "no answer") == 0)
        return has_id_token ? 5 : 1;
    return 3;
}

static void walk_tell(json_t *list, size_t failed, const char *why)
{
    for (size_t i = 0; i < STEPS; i++)
        check_add(list, steps[i],
                  i < failed    ? "pass"
                  : i == failed ? "fail"
                                : "wait",
                  i == failed ? why : NULL);
}

/* What it gave of the person: names of the claims, never their values. */
static void identity_judge(struct ctx *c, const struct provider *p, const json_t *claims,
                           json_t *list, json_t *out)
{
    json_t *known = NULL, *names = json_array(), *v;
    const char *why = NULL, *name;
    bool agents = str_eq_z(p->realm, "agents");
    enum err e = agents ? agent_read(claims, &known, &why) : pivot_read(claims, &known, &why);
    check_add(list, "identity", e == ERR_OK ? "pass" : "fail", e == ERR_OK ? NULL : why);
    if (e == ERR_OK)
        json_own(&c->pool, known);
    json_object_foreach((json_t *)claims, name, v)
    {
        json_array_append_new(names, json_string(name));
    }
    json_object_set_new(out, "claims", names);
}

static void end_url_tell(struct ctx *c, struct provider *p, const struct upstream_answer *a,
                         const json_t *args, json_t *out)
{
    struct str end = provider_endpoint(c, p, "end_session_endpoint");
    if (!str_starts(end, STR("https://")) && !str_starts(end, STR("http://")))
        return;
    end = url_with(c->arena, end, "id_token_hint", a->id_token);
    end = url_with(c->arena, end, "post_logout_redirect_uri", json_get_str(args, "redirect_out"));
    json_object_set_new(out, "logout_url",
                        json_str(url_with(c->arena, end, "state", json_get_str(args, "test"))));
}

/* args: id, test, redirect, redirect_out, code, state, error. */
enum err identity_call_provider_tried(struct ctx *c, const json_t *args, json_t **out)
{
    struct provider *p;
    struct flow_secrets s;
    struct upstream_answer a = {0};
    const char *why = "";
    struct str error = json_get_str(args, "error"), code = json_get_str(args, "code");
    enum err e = provider_get_any(c, json_get_str(args, "id"), &p);
    if (e != ERR_OK)
        return e;
    json_t *list = json_array();
    *out = json_pack("{s:o}", "items", list);
    p->redirect = json_get_str(args, "redirect");
    meta_refresh(c, p);
    flow_secrets(c, json_get_str(args, "test"), p->id, &s);
    bool state_fits = str_eq_secret(json_get_str(args, "state"), s.state);
    if (!state_fits || !code.n || error.n) {
        walk_tell(list, 0,
                  !state_fits ? "another state"
                  : error.n   ? arena_printf(c->arena, "error " STR_FMT, STR_ARG(error)).p
                              : "no code");
        return ERR_OK;
    }
    e = upstream_exchange(c, p, &s, code, &a, &why);
    if (e != ERR_OK) {
        walk_tell(list, step_of(why, a.id_claims != NULL), why);
        return ERR_OK;
    }
    struct str acr;
    enum level l = provider_level(p, a.id_claims, &acr);
    bool level = l >= p->min_level;
    walk_tell(list, level ? STEPS : STEPS - 1,
              l == LEVEL_NONE ? "acr missing or unknown" : "acr too low");
    identity_judge(c, p, a.claims, list, *out);
    end_url_tell(c, p, &a, args, *out);
    return ERR_OK;
}
