/* To the identity provider and back. Each provider has a return address of its own (RFC 9700 4.4),
 * and the state is bound to the flow, the provider and, by the flow's cookie, to the browser. */
#include "core/identity/schema.h"

#include <stdatomic.h>
#include "base/clock.h"
#include "base/codec.h"
#include "base/log.h"
#include "base/map.h"
#include "base/rand.h"
#include "core/identity/choose.h"
#include "core/identity/client.h"
#include "core/identity/faults.h"
#include "core/identity/guard.h"
#include "core/identity/issue.h"
#include "core/identity/own.h"
#include "core/identity/person.h"
#include "core/identity/pivot.h"
#include "core/identity/register.h"
#include "core/identity/upstream_token.h"
#include "crypto/digest.h"
#include "platform/device.h"

/* ---- there --------------------------------------------------------------------------------------
 */
static enum level level_wanted(const struct flow *f, const struct provider *p)
{
    enum level asked = f->request.level > LEVEL_EIDAS1 ? f->request.level : LEVEL_EIDAS1;
    return asked > p->min_level ? asked : p->min_level;
}

static struct str scope_wanted(const struct flow *f, const struct provider *p)
{
    struct str set = json_get_str(p->conf, "scope");
    if (set.n)
        return set;
    return str_eq_z(f->realm, "agents") ? STR("openid given_name usual_name email uid siret")
                                        : STR("openid profile birth email");
}

static struct str upstream_url(struct ctx *c, const struct flow *f, const struct provider *p,
                               struct str endpoint)
{
    struct flow_secrets s;
    uint8_t hash[SHA256_LEN];
    bool again = f->kind == FLOW_CLIENT && (f->request.prompts & (PROMPT_LOGIN | PROMPT_SELECT) ||
                                            f->request.level == LEVEL_EIDAS3);
    flow_secrets(c, f->id, p->id, &s);
    struct str url = url_with(c->arena, endpoint, "response_type", STR("code"));
    url = url_with(c->arena, url, "client_id", p->client_id);
    url = url_with(c->arena, url, "redirect_uri", upstream_redirect_uri(c, p));
    url = url_with(c->arena, url, "scope", scope_wanted(f, p));
    url = url_with(c->arena, url, "state", s.state);
    if (provider_flag(p, "nonce", true))
        url = url_with(c->arena, url, "nonce", s.nonce);
    if (provider_flag(p, "acr_values", true))
        url = url_with(c->arena, url, "acr_values", provider_acr(p, level_wanted(f, p)));
    if (provider_flag(p, "ui_locales", true))
        url = url_with(c->arena, url, "ui_locales", str_from(c->lang));
    if (again && provider_flag(p, "prompt", true))
        url = url_with(c->arena, url, "prompt", STR("login"));
    if (f->request.login_hint.n && provider_flag(p, "login_hint", false))
        url = url_with(c->arena, url, "login_hint", f->request.login_hint);
    if (f->request.siret_hint.n && provider_flag(p, "siret_hint", false))
        url = url_with(c->arena, url, "siret_hint", f->request.siret_hint);
    if (provider_flag(p, "pkce", true)) {
        sha256(s.verifier.p, s.verifier.n, hash);
        url = url_with(c->arena, url, "code_challenge",
                       codec_to_base64url(c->arena, hash, sizeof hash));
        url = url_with(c->arena, url, "code_challenge_method", STR("S256"));
    }
    return url;
}

static bool is_web_address(struct str url)
{
    return str_starts(url, STR("https://")) || str_starts(url, STR("http://"));
}

enum err identity_go(struct ctx *c)
{
    struct flow *f;
    struct provider *p;
    bool answered;
    enum err e = flow_of_request(c, &f, &answered);
    if (answered)
        return e;
    if (f->stage != FLOW_BEGUN)
        return ctx_redirect(c, flow_url(c, f, "/connexion/accord"));
    e = provider_get(c, ctx_path(c, "provider"), &p);
    if (e == ERR_NOT_FOUND || (e == ERR_OK && !flow_accepts(c, f, p)))
        return idt_fail(c, IDT_PROVIDER_NAME, f, "not for this flow");
    if (e != ERR_OK)
        return e;
    struct str endpoint = provider_endpoint(c, p, "authorization_endpoint");
    if (!endpoint.p || !is_web_address(endpoint))
        return idt_fail(c, IDT_PROVIDER_DOWN, f, "no metadata");
    return ctx_redirect(c, upstream_url(c, f, p, endpoint));
}

/* ---- back ---------------------------------------------------------------------------------------
 */
/* A slow provider holds the handlers that wait for it: it may not hold them all. */
static _Atomic int under_way[64];

static _Atomic int *turn_take(struct ctx *c, const struct provider *p)
{
    _Atomic int *n = &under_way[map_hash(p->id) % COUNT_OF(under_way)];
    int room = (int)c->pf->settings->handlers / 4;
    if (atomic_fetch_add(n, 1) < (room > 2 ? room : 2))
        return n;
    atomic_fetch_sub(n, 1);
    return NULL;
}

struct back {
    struct flow *flow;
    struct provider *p;
    struct flow_secrets secrets;
    struct upstream_answer answer;
    struct sign_in who;
    enum level level;
};

/* Whose answer is it? Everything here is compared before anything is asked of the provider. */
static enum err back_check(struct ctx *c, struct back *b, bool *answered)
{
    struct str state = ctx_query(c, "state"), id = flow_id_of_state(state);
    *answered = true;
    enum err e = id.p ? flow_load(c, id, &b->flow) : ERR_NOT_FOUND;
    if (e == ERR_NOT_FOUND || e == ERR_CORRUPT)
        return idt_fail(c, IDT_FLOW, NULL, "state");
    if (e == ERR_DENIED)
        return idt_fail(c, IDT_BROWSER, b->flow, "browser");
    if (e != ERR_OK)
        return e;
    e = provider_get(c, ctx_path(c, "provider"), &b->p);
    if (e == ERR_NOT_FOUND)
        return idt_fail(c, IDT_PROVIDER_NAME, b->flow, "removed meanwhile");
    if (e != ERR_OK)
        return e;
    flow_secrets(c, b->flow->id, b->p->id, &b->secrets);
    if (form_count(&c->query, "state") != 1 || !str_eq_secret(state, b->secrets.state))
        return idt_fail(c, IDT_FLOW, NULL, "state of another provider");
    if (b->flow->stage != FLOW_BEGUN)
        return idt_fail(c, IDT_FLOW, b->flow, "answered already");
    *answered = false;
    return ERR_OK;
}

/* RFC 9207: an answer that names another issuer, or none where one was promised, is a mix-up. */
static bool issuer_fits(struct ctx *c, const struct provider *p)
{
    struct str iss = ctx_query(c, "iss");
    if (iss.p)
        return str_eq(iss, p->issuer);
    return !json_get_bool(p->meta, "authorization_response_iss_parameter_supported", false);
}

static const char *error_name(struct ctx *c)
{
    struct str error = ctx_query(c, "error");
    for (size_t i = 0; i < error.n; i++)
        if (!((error.p[i] >= 'a' && error.p[i] <= 'z') || error.p[i] == '_') || i > 60)
            return "not a name";
    return arena_dupz(c->arena, error);
}

static enum err back_exchange(struct ctx *c, struct back *b, bool *answered)
{
    const char *why = "";
    *answered = true;
    if (!issuer_fits(c, b->p))
        return idt_fail(c, IDT_PROVIDER_BAD, b->flow, "iss of the answer");
    if (ctx_query(c, "error").p)
        return idt_fail(c, IDT_PROVIDER_REFUSED, b->flow, error_name(c));
    if (!ctx_query(c, "code").n)
        return idt_fail(c, IDT_PROVIDER_BAD, b->flow, "no code");
    _Atomic int *turn = turn_take(c, b->p);
    if (!turn)
        return ctx_later(c) ? ERR_AGAIN
                            : idt_fail(c, IDT_PROVIDER_DOWN, b->flow, "too many wait for it");
    enum err e = upstream_exchange(c, b->p, &b->secrets, ctx_query(c, "code"), &b->answer, &why);
    atomic_fetch_sub(turn, 1);
    if (e == ERR_UNAVAILABLE || e == ERR_TIMEOUT)
        return idt_fail(c, IDT_PROVIDER_DOWN, b->flow, why);
    if (e != ERR_OK)
        return idt_fail(c, IDT_PROVIDER_BAD, b->flow, why);
    *answered = false;
    return ERR_OK;
}

static struct guarded guarded_of(const struct back *b)
{
    return (struct guarded){.flow = b->flow,
                            .person = b->who.person,
                            .provider = b->p->id,
                            .level = b->level,
                            .suspicious = b->answer.suspicious};
}

enum err identity_recognise(struct ctx *c, struct flow *f, const struct provider *p,
                            struct sign_in *who, bool *answered)
{
    enum err e = ERR_OK;
    *answered = false;
    if (!str_eq_z(who->realm, "agents"))
        e = register_check(c, p, f, who->claims, answered);
    if (e == ERR_OK && !*answered)
        e = person_signed_in(c, who);
    if (e == ERR_DENIED) {
        *answered = true;
        return idt_fail(c, IDT_BLOCKED, f, "blocked");
    }
    *answered |= e != ERR_OK;
    return e;
}

/* The level it says it reached, and who it says this is. */
static enum err back_read(struct ctx *c, struct back *b, bool *answered)
{
    const char *why = "";
    struct str acr;
    b->level = provider_level(b->p, b->answer.id_claims, &acr);
    *answered = true;
    if (b->level < level_wanted(b->flow, b->p))
        return idt_fail(c, IDT_LEVEL, b->flow, level_name(b->level));
    b->who = (struct sign_in){.provider = b->p->id,
                              .realm = b->flow->realm,
                              .provider_sub = json_get_str(b->answer.id_claims, "sub")};
    bool agent = str_eq_z(b->flow->realm, "agents");
    enum err e = agent ? agent_read(b->answer.claims, &b->who.claims, &why)
                       : pivot_read(b->answer.claims, &b->who.claims, &why);
    if (e != ERR_OK)
        return idt_fail(c, IDT_PIVOT, b->flow, why);
    json_own(&c->pool, b->who.claims);
    if (agent) {
        json_object_set_new(b->who.claims, "idp_id", json_str(b->p->id));
        json_object_set_new(b->who.claims, "idp_acr", json_str(acr));
    }
    e = identity_recognise(c, b->flow, b->p, &b->who, answered);
    if (*answered || agent)
        return e;
    struct guarded g = guarded_of(b);
    e = guard_judge(c, &g, answered);
    *answered |= e != ERR_OK;
    return e;
}

static struct str display_name(struct ctx *c, const json_t *claims)
{
    static const char *const family[] = {"usual_name", "preferred_username", "family_name"};
    struct str last = STR("");
    const json_t *first = json_array_get(json_get(claims, "given_name_array"), 0);
    for (size_t i = 0; i < COUNT_OF(family) && !last.n; i++)
        last = json_get_str(claims, family[i]);
    struct str given =
        first ? str_from(json_string_value(first)) : json_get_str(claims, "given_name");
    if (!given.n && !last.n) /* an account whose holder showed no papers yet */
        return json_get_str(claims, "email");
    return arena_printf(c->arena, STR_FMT " " STR_FMT, STR_ARG(given), STR_ARG(last));
}

static json_t *session_data(struct ctx *c, const struct back *b)
{
    char sid[SECRET_LEN + 1];
    secret_new(sid);
    json_t *d = json_object();
    json_object_set_new(d, "realm", json_str(b->flow->realm));
    json_object_set_new(d, "provider", json_str(b->p->id));
    json_object_set_new(d, "provider_name", provider_name(b->p));
    json_object_set_new(d, "acr", json_string(level_name(b->level)));
    if (json_is_array(json_get(b->answer.id_claims, "amr")))
        json_object_set(d, "amr", json_get(b->answer.id_claims, "amr"));
    json_object_set_new(d, "auth_time_ms", json_integer(clock_now_ms()));
    json_object_set_new(d, "sid", json_stringn(sid, 22));
    json_object_set_new(d, "device", device_kind(c->arena, ctx_header(c, "User-Agent")));
    json_object_set_new(d, "network", json_str(device_network(c->arena, c->rq->remote)));
    json_object_set_new(d, "name", json_str(display_name(c, b->who.claims)));
    json_object_set(d, "claims", b->who.claims);
    json_object_set_new(d, "id_token", json_str(b->answer.id_token));
    return d;
}

static enum err mark_signed_in(struct db_conn *db, void *arg)
{
    return flow_mark_signed_in(db, *(struct str *)arg);
}

static enum err flow_over(struct db_conn *db, void *arg)
{
    return flow_end(db, *(struct str *)arg);
}

/* The portal's own sign-in is told too: somebody else's would show. */
static enum err portal_arrive(struct ctx *c, const struct back *b)
{
    struct act act;
    json_t *told = json_pack("{s:{s:s,s:s},s:{s:s,s:s},s:{s:s,s:s},s:o,s:s}", "title", "fr",
                             "Connexion à votre compte", "en", "Sign-in to your account",
                             "consumer", "fr", "Votre compte", "en", "Your account", "purpose",
                             "fr", "Consulter votre compte", "en", "To see your account",
                             "provider", provider_name(b->p), "acr", level_name(b->level));
    signin_place(c, told);
    struct act_info info = {.kind = "identity.signin",
                            .actor = STR("self"),
                            .object = b->p->id,
                            .person = b->who.person,
                            .told = told};
    enum err e = act_make(c, &info, &act);
    if (e == ERR_OK)
        e = act_write(c, flow_over, &b->flow->key, &act, 1);
    return e == ERR_OK ? ctx_redirect(c, b->flow->to) : e;
}

static enum err arrive(struct ctx *c, struct back *b)
{
    struct client *k;
    struct wanted w;
    bool agent = str_eq_z(b->flow->realm, "agents");
    enum err e = db_write(c->pf->db, mark_signed_in, &b->flow->key);
    if (e == ERR_CONFLICT)
        return idt_fail(c, IDT_FLOW, b->flow, "answered already");
    if (e == ERR_OK)
        e = session_start(c, b->who.person, agent ? ROLE_AGENT : ROLE_USER, session_data(c, b));
    if (e != ERR_OK)
        return e;
    b->flow->stage = FLOW_SIGNED_IN;
    if (!agent) {
        struct guarded g = guarded_of(b);
        g.provider_name = json_own(&c->pool, provider_name(b->p));
        guard_arrived(c, &g);
    }
    ctx_cookie(c, "socle_last", b->p->id, 365 * 86400);
    if (b->flow->kind == FLOW_PORTAL)
        return portal_arrive(c, b);
    e = client_get(c, b->flow->request.client_id, &k);
    if (e == ERR_NOT_FOUND)
        return idt_fail(c, IDT_CLIENT, NULL, "removed meanwhile");
    if (e == ERR_OK)
        e = wanted_read(c, k, &b->flow->request, &w);
    return e == ERR_OK ? identity_go_on(c, b->flow, k, &w) : e;
}

enum err identity_arrive(struct ctx *c, struct flow *f, struct provider *p,
                         const struct sign_in *who, enum level level, json_t *amr)
{
    struct back b = {.flow = f, .p = p, .who = *who, .level = level};
    b.answer.id_token = STR("");
    b.answer.id_claims = json_own(&c->pool, json_pack("{s:o}", "amr", amr));
    struct guarded g = guarded_of(&b);
    bool answered;
    enum err e = guard_judge(c, &g, &answered);
    return e != ERR_OK || answered ? e : arrive(c, &b);
}

enum err identity_back(struct ctx *c)
{
    struct back b = {0};
    bool answered;
    enum err e = back_check(c, &b, &answered);
    if (!answered)
        e = back_exchange(c, &b, &answered);
    if (!answered)
        e = back_read(c, &b, &answered);
    return answered ? e : arrive(c, &b);
}
