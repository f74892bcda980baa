/* From a signed-in person to the code: is the session good enough, must she be told or asked, and
 * the code itself with its act. */
#include "core/identity/issue.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/log.h"
#include "base/rand.h"
#include "core/identity/backchannel.h"
#include "core/identity/code.h"
#include "core/identity/faults.h"
#include "core/identity/person.h"
#include "core/identity/refresh.h"
#include "core/identity/refusal.h"
#include "core/identity/pivot.h"
#include "platform/api.h"
#include "platform/cache.h"
#include "web/pages.h"

/* ---- sessions -----------------------------------------------------------------------------------
 */
bool session_serves(const struct ctx *c, const struct flow *f, const struct client *k)
{
    if (!c->session || !str_eq(json_get_str(c->session->data, "realm"), f->realm))
        return false;
    const json_t *d = c->session->data;
    const struct request *r = &f->request;
    int64_t auth_ms = json_get_i64(d, "auth_time_ms", 0);
    bool since_begun = f->id.p && auth_ms >= f->begun_ms;
    if (level_from_name(json_get_str(d, "acr")) < r->level)
        return false;
    if (f->kind != FLOW_CLIENT)
        return true;
    if (k && !str_eq_z(k->providers, "*") && !list_has(k->providers, json_get_str(d, "provider")))
        return false;
    if (since_begun)
        return true;
    bool too_old = r->max_age_s >= 0 && auth_ms + r->max_age_s * 1000 < clock_now_ms();
    return !too_old && !(r->prompts & (PROMPT_LOGIN | PROMPT_SELECT)) && r->level < LEVEL_EIDAS3;
}

/* An ID token that has expired still says who was meant. */
enum err hint_fits(struct ctx *c, const struct request *r, const struct client *k, bool *fits)
{
    json_t *hint, *all;
    struct str sub;
    const char *why;
    *fits = true;
    if (!r->id_token_hint.n)
        return ERR_OK;
    enum err e = issuer_jws(c, r->id_token_hint, "JWT", &hint, &why);
    if (e == ERR_UNAVAILABLE || e == ERR_TIMEOUT || e == ERR_INTERNAL)
        return e;
    if (e != ERR_OK || !str_eq(json_get_str(hint, "aud"), k->id))
        return ERR_DENIED;
    if (!c->session)
        return ERR_OK;
    e = person_claims(c, c->session->subject, &all);
    if (e == ERR_OK)
        e = person_sub(c, c->session->subject, all, k, &sub);
    if (e == ERR_OK)
        *fits = str_eq(json_get_str(hint, "sub"), sub);
    return e;
}

/* ---- scopes -------------------------------------------------------------------------------------
 */
json_t *scope_list(struct str scope)
{
    json_t *list = json_array();
    struct str part;
    while (scope.n && str_split(&scope, ' ', &part))
        if (part.n && !scope_is_known(part))
            json_array_append_new(list, json_str(part));
    return list;
}

/* Nobody asks the exchange about scopes that are identity's own. */
static enum err contracts_asked(struct ctx *c, const struct client *k, struct str scope,
                                json_t **items)
{
    json_t *found = NULL, *scopes = scope_list(scope);
    *items = json_own(&c->pool, json_array());
    if (json_array_size(scopes) == 0) {
        json_decref(scopes);
        return ERR_OK;
    }
    json_t *args = json_pack("{s:o,s:o}", "client_id", json_str(k->id), "scopes", scopes);
    enum err e = platform_call(c, "exchange.scopes", args, &found);
    json_decref(args);
    if (e == ERR_OK && json_get(found, "items"))
        *items = json_get(found, "items");
    return e == ERR_NOT_FOUND ? ERR_OK : e; /* a platform without exchange */
}

enum err consents_active(struct ctx *c, struct str person, struct str client_id, json_t **consents)
{
    json_t *found = NULL;
    json_t *args =
        json_pack("{s:o,s:o}", "person", json_str(person), "client_id", json_str(client_id));
    enum err e = platform_call(c, "consent.active", args, &found);
    json_decref(args);
    *consents = e == ERR_OK ? json_get(found, "consents") : NULL;
    if (!*consents)
        *consents = json_own(&c->pool, json_object());
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

/* `account` opens the person's own account to a program, `offline_access` her data while she is
 * away: only a client registered with it by name may ask, "any scope" is not enough. */
static bool is_ours(const struct client *k, struct str scope)
{
    if (str_eq_z(scope, "openid"))
        return true;
    bool by_name = str_eq_z(scope, "account") || str_eq_z(scope, "offline_access");
    bool any = str_eq_z(k->scopes, "*") && !by_name;
    if (k->profile == PROFILE_STRICT && str_eq_z(scope, "offline_access"))
        return false;
    return scope_is_known(scope) && (any || list_has(k->scopes, scope));
}

static bool has_contract(const json_t *items, struct str scope)
{
    for (size_t i = 0; i < json_array_size(items); i++)
        if (str_eq(json_get_str(json_array_get(items, i), "scope"), scope))
            return true;
    return false;
}

enum err wanted_read(struct ctx *c, const struct client *k, const struct request *r,
                     struct wanted *out)
{
    struct str rest = r->scope, part;
    *out = (struct wanted){.scopes = STR("")};
    enum err e = contracts_asked(c, k, rest, &out->items);
    while (e == ERR_OK && rest.n && str_split(&rest, ' ', &part)) {
        if (part.n && (is_ours(k, part) || has_contract(out->items, part)))
            out->scopes = list_add(c->arena, out->scopes, part);
        else if (part.n)
            out->unknown = part;
    }
    if (e == ERR_OK)
        out->claims = claims_of_scopes(c->arena, out->scopes, r->claims_wanted);
    return e;
}

/* ---- going on -----------------------------------------------------------------------------------
 */
static bool consents_miss(const json_t *items, const json_t *consents)
{
    for (size_t i = 0; i < json_array_size(items); i++) {
        const json_t *v = json_array_get(items, i);
        if (json_get_bool(v, "consent_needed", false) &&
            !json_get(consents, json_get_z(v, "contract_id", "")))
            return true;
    }
    return false;
}

static bool all_told(struct str told, struct str claims)
{
    struct str part;
    while (claims.n && str_split(&claims, ' ', &part))
        if (!list_has(told, part))
            return false;
    return true;
}

/* Must she see the page? Agents act for their organisation: they are not asked. */
static enum err needs_page(struct ctx *c, const struct flow *f, const struct client *k,
                           const struct wanted *w, bool *out)
{
    struct str told;
    json_t *consents;
    struct str person = c->session->subject;
    *out = false;
    if (str_eq_z(f->realm, "agents"))
        return ERR_OK;
    enum err e = person_told(c, person, k->id, &told);
    if (e == ERR_OK)
        e = consents_active(c, person, k->id, &consents);
    if (e == ERR_OK)
        *out = f->request.prompts & PROMPT_CONSENT || consents_miss(w->items, consents) ||
               !all_told(told, w->claims);
    /* What ended, by her or with its time, is not given again without her. */
    if (e == ERR_OK && !*out && list_has(w->scopes, STR("offline_access"))) {
        e = refresh_holds(c, person, k->id, out);
        *out = !*out;
    }
    return e;
}

enum err identity_go_on(struct ctx *c, struct flow *f, const struct client *k,
                        const struct wanted *w)
{
    bool page, hers;
    enum err e = hint_fits(c, &f->request, k, &hers);
    if (e == ERR_OK && !hers) {
        struct oauth_error why = {"login_required", "another person than id_token_hint's"};
        return redirect_error(c, &f->request, &why);
    }
    if (e == ERR_OK)
        e = needs_page(c, f, k, w, &page);
    if (e != ERR_OK)
        return e;
    if (!page)
        return code_issue(c, f, k, w);
    if (f->request.prompts & PROMPT_NONE) {
        struct oauth_error why = {"consent_required", "the person must be asked"};
        return redirect_error(c, &f->request, &why);
    }
    if (!f->id.p) {
        f->stage = FLOW_SIGNED_IN;
        e = flow_begin(c, f);
    }
    return e == ERR_OK ? ctx_redirect(c, flow_url(c, f, "/connexion/accord")) : e;
}

/* ---- answers to the client ----------------------------------------------------------------------
 */
static struct str with_state(struct ctx *c, struct str url, const struct request *r)
{
    if (r->state.p)
        url = url_with(c->arena, url, "state", r->state);
    /* RFC 9207: says who answers, so that a client of several issuers cannot be confused. */
    return url_with(c->arena, url, "iss", str_from(c->pf->settings->base_url));
}

enum err redirect_error(struct ctx *c, const struct request *r, const struct oauth_error *why)
{
    struct str url = url_with(c->arena, r->redirect_uri, "error", str_from(why->error));
    url = url_with(c->arena, url, "error_description", str_from(why->description));
    log_info("authorize_refused", "trace", c->trace_id, "client",
             arena_dupz(c->arena, r->client_id), "error", why->error, "why", why->description);
    if (strcmp(why->error, "access_denied") != 0) /* a person who gives up is no error of theirs */
        refusal_note(c, r->client_id, why->error, why->description, r->redirect_uri);
    return ctx_redirect(c, with_state(c, url, r));
}

void signin_place(const struct ctx *c, json_t *told)
{
    static const char *const names[] = {"device", "network"};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (json_get(c->session->data, names[i]))
            json_object_set(told, names[i], json_get(c->session->data, names[i]));
    json_object_set_new(told, "session", json_str(c->session->id));
}

/* The claims by their names in both languages: the same for all who pass on the same. */
static json_t *fields_of(struct ctx *c, struct str claims)
{
    static struct cache made = CACHE(256, 3600 * 1000, cache_free_json);
    const struct claim_def *d;
    uint64_t mark = cache_mark(&made);
    json_t *fields = cache_get_json(&made, claims);
    if (fields)
        return fields;
    fields = json_array();
    for (size_t i = 0; (d = claim_at(i)) != NULL; i++) {
        if (!d->label || !list_has(claims, str_from(d->name)))
            continue;
        const char *key = arena_printf(c->arena, "claim.%s", d->name).p;
        json_t *label = json_object();
        json_object_set_new(label, "fr",
                            json_str(pages_text(c->arena, "identity", key, "fr", NULL)));
        json_object_set_new(label, "en",
                            json_str(pages_text(c->arena, "identity", key, "en", NULL)));
        json_array_append_new(fields, json_pack("{s:s,s:o}", "name", d->name, "label", label));
    }
    cache_put_json(&made, claims, mark, fields);
    return fields;
}

/* What her account says of it. */
static json_t *told_of(struct ctx *c, const struct client *k, struct str claims)
{
    json_t *fields = fields_of(c, claims);
    json_t *told = json_pack(
        "{s:{s:o,s:o},s:o,s:{s:s,s:s},s:{s:s,s:s},s:o,s:O?}", "title", "fr",
        json_str(arena_printf(c->arena, "Connexion à " STR_FMT, STR_ARG(k->name_fr))), "en",
        json_str(arena_printf(c->arena, "Sign-in to " STR_FMT, STR_ARG(k->name_en))), "consumer",
        client_name(k), "api_title", "fr", "Votre identité", "en", "Your identity", "purpose", "fr",
        "Vous reconnaître", "en", "To recognise you", "fields", fields, "acr",
        json_get(c->session->data, "acr"));
    if (json_get(c->session->data, "provider_name"))
        json_object_set(told, "provider", json_get(c->session->data, "provider_name"));
    signin_place(c, told);
    return told;
}

struct issue {
    const struct code_row *code;
    struct str person, client_id, claims, flow_key;
    struct str sid; /* .n 0: this client is not told of the session's end */
    int64_t now_ms, session_until_ms;
};

static enum err issue_write(struct db_conn *db, void *arg)
{
    struct issue *i = arg;
    enum err e = i->flow_key.p ? flow_end(db, i->flow_key) : ERR_OK;
    if (e == ERR_OK)
        e = code_insert(db, i->code);
    if (e == ERR_OK && i->sid.n)
        e = backchannel_note(db, i->sid, i->client_id, i->session_until_ms);
    return e == ERR_OK ? person_tell(db, i->person, i->client_id, i->claims, i->now_ms) : e;
}

static enum err told_union(struct ctx *c, struct str person, const struct client *k,
                           struct str claims, struct str *out)
{
    struct str part;
    enum err e = person_told(c, person, k->id, out);
    while (e == ERR_OK && claims.n && str_split(&claims, ' ', &part))
        *out = list_add(c->arena, *out, part);
    return e;
}

enum err code_issue(struct ctx *c, struct flow *f, const struct client *k, const struct wanted *w)
{
    struct str person = c->session->subject, code;
    struct code_row row;
    struct act act;
    struct issue issue = {.code = &row,
                          .person = person,
                          .client_id = k->id,
                          .flow_key = f->key,
                          .now_ms = clock_now_ms()};
    struct code_data data = {.client_id = k->id,
                             .redirect_uri = f->request.redirect_uri,
                             .person = person,
                             .scope = w->scopes,
                             .claims = w->claims,
                             .nonce = f->request.nonce,
                             .challenge = f->request.code_challenge,
                             .dpop_jkt = f->request.dpop_jkt,
                             .id_claims = f->request.id_claims,
                             .session = c->session->data};
    struct act_info info = {.kind = "identity.signin",
                            .actor = k->id,
                            .object = json_get_str(c->session->data, "provider"),
                            .person = person};
    enum err e = told_union(c, person, k, w->claims, &issue.claims);
    issue.session_until_ms = c->session->expires_ms;
    if (backchannel_wants(c, k))
        issue.sid = json_get_str(c->session->data, "sid");
    if (e == ERR_OK)
        e = code_make(c, k, &data, &code, &row);
    if (e == ERR_OK) {
        info.told = told_of(c, k, w->claims);
        e = act_make(c, &info, &act);
    }
    if (e == ERR_OK)
        e = act_write(c, issue_write, &issue, &act, 1);
    person_told_changed(c, person, k->id);
    if (e == ERR_CONFLICT && f->key.p) /* a second click on the same page */
        return idt_fail(c, IDT_FLOW, f, "finished already");
    if (e != ERR_OK)
        return e;
    return ctx_redirect(
        c, with_state(c, url_with(c->arena, f->request.redirect_uri, "code", code), &f->request));
}
