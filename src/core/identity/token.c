/* POST /api/v2/token: a code becomes an ID token and an access token (RFC 6749 4.1.3, OpenID
 * Connect Core 3.1.3; the access token is docs/formats/access-token.md). */
#include "core/identity/schema.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/rand.h"
#include "core/identity/mint.h"
#include "core/identity/refresh.h"
#include "platform/api.h"
#include "platform/change.h"

/* ---- the code -----------------------------------------------------------------------------------
 */
static const char *code_fault(struct ctx *c, const struct client *k, const struct code_found *f)
{
    struct str verifier = ctx_form(c, "code_verifier"),
               challenge = json_get_str(f->data, "challenge");
    if (!str_eq(f->client_id, k->id))
        return "the code is another client's";
    if (f->until_ms < clock_now_ms())
        return "the code has expired";
    if (!str_eq(ctx_form(c, "redirect_uri"), json_get_str(f->data, "redirect_uri")))
        return "redirect_uri is not the one of the request";
    if (challenge.n && !pkce_matches(c->arena, challenge, verifier))
        return "code_verifier does not fit";
    if (!challenge.n && verifier.p)
        return "code_verifier without a challenge"; /* RFC 9700 2.1.1: a downgrade */
    return NULL;
}

/* Used codes that come again from their own client revoke what they gave. */
static enum err replayed(struct ctx *c, const struct client *k, struct code_found *f)
{
    if (str_eq(f->client_id, k->id)) {
        enum err e = code_replayed(c, f);
        if (e != ERR_OK && e != ERR_UNAVAILABLE)
            return e;
    }
    return oauth_fail(c, 400, "invalid_grant", "the code was used already");
}

static enum err by_code(struct ctx *c, const struct client *k, const struct binding *b)
{
    struct code_found f;
    struct minting m = {.k = k, .binding = *b};
    struct str refresh = STR_NONE, code = ctx_form(c, "code");
    char jti[ID_LEN + 1];
    if (!code.p)
        return oauth_fail(c, 400, "invalid_request", "code is missing");
    enum err e = code_find(c, code, &f);
    if (e == ERR_NOT_FOUND)
        return oauth_fail(c, 400, "invalid_grant", "the code is not known");
    if (e != ERR_OK)
        return e;
    if (f.used_at_ms)
        return replayed(c, k, &f);
    const char *why = code_fault(c, k, &f);
    struct str jkt = json_get_str(f.data, "jkt");
    if (!why && jkt.n && !str_eq(jkt, b->jkt))
        why = "the code is bound to another key";
    if (why)
        return oauth_fail(c, 400, "invalid_grant", why);
    m.data = f.data;
    e = minting_fill(c, &m);
    if (e != ERR_OK)
        return e == ERR_NOT_FOUND ? oauth_fail(c, 400, "invalid_grant", "the account is closed")
                                  : e;
    id_new(jti);
    m.jti = arena_dup(c->arena, str_from(jti));
    e = code_use(c, f.id, m.jti);
    if (e == ERR_CONFLICT) /* another request with the same code was faster */
        return code_find(c, code, &f) == ERR_OK ? replayed(c, k, &f) : ERR_CONFLICT;
    if (e == ERR_OK && list_has(m.scope, STR("offline_access")))
        e = refresh_begin(c, &m, &refresh);
    return e == ERR_OK ? mint_answer(c, &m, refresh) : e;
}

/* ---- programs, for themselves (RFC 6749 4.4)
 * ------------------------------------------------------- */
static bool is_granted(const json_t *grants, struct str scope)
{
    for (size_t i = 0; i < json_array_size(grants); i++)
        if (str_eq(json_get_str(json_array_get(grants, i), "scope"), scope))
            return true;
    return false;
}

static bool all_granted(const json_t *grants, struct str scopes)
{
    struct str part;
    bool any = false;
    while (scopes.n && str_split(&scopes, ' ', &part)) {
        if (part.n && !is_granted(grants, part))
            return false;
        any |= part.n > 0;
    }
    return any;
}

/* A token about nobody: it opens the APIs whose contract needs no person's consent. */
static enum err for_itself(struct ctx *c, const struct client *k, const struct binding *b)
{
    json_t *grants;
    struct str scope = ctx_form(c, "scope");
    char jti[ID_LEN + 1];
    id_new(jti);
    struct minting m = {.k = k,
                        .person = STR(""),
                        .sub = k->id,
                        .scope = scope.p ? scope : STR(""),
                        .jti = str_from(jti),
                        .binding = *b,
                        .now_s = clock_now_ms() / 1000};
    enum err e = grants_get(c, &m, &grants);
    if (e == ERR_OK && !all_granted(grants, m.scope))
        return oauth_fail(c, 400, "invalid_scope",
                          "each scope must be an API's, under a contract that needs no consent");
    return e == ERR_OK ? mint_access_answer(c, &m, grants) : e;
}

enum err identity_token(struct ctx *c)
{
    struct client *k;
    enum err e = client_authenticate(c, &k);
    if (e != ERR_OK || !k)
        return e;
    struct str grant = ctx_form(c, "grant_type");
    struct binding b;
    bool answered;
    e = binding_read(c, k, &b, &answered);
    if (e != ERR_OK || answered)
        return e;
    if (!grant.p)
        return oauth_fail(c, 400, "invalid_request", "grant_type is missing");
    if (str_eq_z(grant, "authorization_code"))
        return by_code(c, k, &b);
    bool itself = str_eq_z(grant, "client_credentials"), again = str_eq_z(grant, "refresh_token");
    if ((itself || again) && k->profile == PROFILE_STRICT)
        return oauth_fail(c, 400, "unauthorized_client", "this grant is not for this client");
    if (itself)
        return for_itself(c, k, &b);
    if (again)
        return refresh_use(c, k, &b);
    return oauth_fail(c, 400, "unsupported_grant_type", "grant_type must be authorization_code");
}

/* ---- revocation (RFC 7009) ----------------------------------------------------------------------
 */
struct revocation {
    struct str key;
    int64_t until_ms;
};

static enum err revocation_write(struct db_conn *db, void *arg)
{
    struct revocation *r = arg;
    return change_add(db, "deny", r->key, r->until_ms);
}

static enum err revoke(struct ctx *c, const struct client *k, const json_t *claims)
{
    struct act act;
    struct str jti = json_get_str(claims, "jti");
    struct revocation r = {.key = arena_printf(c->arena, "token:" STR_FMT, STR_ARG(jti)),
                           .until_ms = (json_get_i64(claims, "exp", 0) + 60) * 1000};
    struct act_info info = {.kind = "identity.token_revoked", .actor = k->id, .object = jti};
    enum err e = act_make(c, &info, &act);
    return e == ERR_OK ? act_write(c, revocation_write, &r, &act, 1) : e;
}

enum err identity_revoke(struct ctx *c)
{
    struct client *k;
    json_t *claims, *identity;
    const char *why;
    enum err e = client_authenticate(c, &k);
    if (e != ERR_OK || !k)
        return e;
    struct str token = ctx_form(c, "token");
    if (!token.p)
        return oauth_fail(c, 400, "invalid_request", "token is missing");
    e = refresh_revoke(c, k, token);
    if (e != ERR_NOT_FOUND) {
        web_header(c->rs, "Cache-Control", STR("no-store"));
        return e;
    }
    e = ERR_OK;
    /* What is not a living token of this client is revoked already: 200 in both cases. */
    if (access_token_read(c, token, &claims, &identity, &why) == ERR_OK &&
        str_eq(json_get_str(claims, "client_id"), k->id))
        e = revoke(c, k, claims);
    web_header(c->rs, "Cache-Control", STR("no-store"));
    return e;
}
