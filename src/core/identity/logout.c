/* Signing out: of the portal itself (a posted form), or asked by a client (OpenID Connect
 * RP-Initiated Logout 1.0). Where the identity provider has an end_session endpoint the person goes
 * through it, and comes back to the address the client registered, with its state. */
#include "core/identity/schema.h"

#include "base/log.h"
#include "core/identity/backchannel.h"
#include "core/identity/client.h"
#include "core/identity/faults.h"
#include "core/identity/provider.h"
#include "platform/api.h"

enum { TARGET_MAX = 6000 }; /* of HTTP_TARGET_MAX */

/* The provider's end_session address for the session that ends; .p NULL: it has none, or its
 * settings are gone, or it is not to be reached: signing out here must not fail for that. */
static struct str upstream_end(struct ctx *c, const json_t *session, struct str state)
{
    struct provider *p;
    struct str hint = json_get_str(session, "id_token");
    if (provider_get(c, json_get_str(session, "provider"), &p) != ERR_OK || !p->up)
        return STR_NONE;
    struct str url = provider_endpoint(c, p, "end_session_endpoint");
    if (!url.p || !hint.n ||
        (!str_starts(url, STR("https://")) && !str_starts(url, STR("http://"))))
        return STR_NONE;
    url = url_with(c->arena, url, "id_token_hint", hint);
    url = url_with(c->arena, url, "post_logout_redirect_uri", portal_url(c, "/deconnexion/retour"));
    return url_with(c->arena, url, "state", state);
}

/* Where the person goes after the provider; kept in a flow, so that its address stays short. */
static enum err end_session(struct ctx *c, struct str to, struct str state, const struct client *k,
                            struct str *next)
{
    struct flow f = {.kind = FLOW_LOGOUT, .to = to, .state = state, .realm = STR("")};
    if (k) {
        f.client_name_fr = k->name_fr;
        f.client_name_en = k->name_en;
    }
    *next = STR_NONE;
    if (!c->session)
        return ERR_OK;
    json_t *data = json_own(&c->pool, json_incref(c->session->data));
    struct str person = arena_dup(c->arena, c->session->subject);
    enum err e = session_end(c);
    if (e != ERR_OK)
        return e;
    log_debug("signed_out", "trace", c->trace_id, "person", person.p);
    /* She is signed out here whatever becomes of the others: what fails is logged, not shown. */
    e = backchannel_end(c, json_get_str(data, "sid"), person);
    if (e != ERR_OK)
        log_warn("clients_not_told", "trace", c->trace_id, "why", err_name(e));
    if (!json_get(data, "provider"))
        return ERR_OK;
    e = flow_begin(c, &f);
    if (e == ERR_OK)
        *next = upstream_end(c, data, f.id);
    return e;
}

/* ---- the last page ------------------------------------------------------------------------------
 */
static enum err show_signed_out(struct ctx *c, const json_t *provider, struct str client_name)
{
    json_t *d = json_pack("{s:s}", "sign_in_url", "/connexion");
    if (client_name.n)
        json_object_set_new(d, "client_name", json_str(client_name));
    if (provider)
        json_object_set(d, "provider_name", (json_t *)provider);
    return ctx_page(c, "identity/signed_out", d);
}

enum err identity_signed_out(struct ctx *c)
{
    return c->session ? ctx_redirect(c, portal_url(c, "/account"))
                      : show_signed_out(c, NULL, STR_NONE);
}

/* POST /deconnexion. Browsers hold a form's redirections to form-action, and the provider's address
 * is on no page: so the page is shown, and goes on by itself (Refresh). */
enum err identity_sign_out(struct ctx *c)
{
    struct str next;
    json_t *provider = NULL;
    if (c->session)
        provider = json_own(&c->pool, json_incref(json_get(c->session->data, "provider_name")));
    enum err e = end_session(c, STR(""), STR_NONE, NULL, &next);
    if (e != ERR_OK)
        return e;
    if (next.p)
        web_header(c->rs, "Refresh", arena_printf(c->arena, "0; url=" STR_FMT, STR_ARG(next)));
    return show_signed_out(c, next.p ? provider : NULL, STR_NONE);
}

/* GET /deconnexion/retour: back from the provider. */
enum err identity_sign_out_back(struct ctx *c)
{
    struct flow *f = NULL;
    enum err e = flow_load(c, ctx_query(c, "state"), &f);
    if (e != ERR_OK || f->kind != FLOW_LOGOUT)
        return show_signed_out(c, NULL, STR_NONE);
    if (!f->to.n)
        return show_signed_out(c, NULL, STR_NONE);
    struct str url = f->state.n ? url_with(c->arena, f->to, "state", f->state) : f->to;
    return ctx_redirect(c, url);
}

/* ---- asked by a client --------------------------------------------------------------------------
 */
struct asked {
    struct str hint, client_id, to, state;
    json_t *claims;   /* of the hint, once it was checked; NULL none */
    struct client *k; /* NULL: not known */
};

static enum err asked_read(struct ctx *c, const struct form *in, struct asked *a)
{
    *a = (struct asked){.hint = form_get(in, "id_token_hint"),
                        .client_id = form_get(in, "client_id"),
                        .to = form_get(in, "post_logout_redirect_uri"),
                        .state = form_get(in, "state")};
    const char *why;
    /* An ID token that has expired still says whose session it was: its signature is what counts.
     */
    if (a->hint.n && issuer_jws(c, a->hint, "JWT", &a->claims, &why) == ERR_OK) {
        struct str aud = json_get_str(a->claims, "aud");
        if (a->client_id.n && !str_eq(a->client_id, aud))
            a->claims = NULL;
        else
            a->client_id = aud;
    }
    if (!a->client_id.n)
        return ERR_OK;
    enum err e = client_get(c, a->client_id, &a->k);
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

static enum err ask(struct ctx *c, const struct asked *a)
{
    json_t *d = json_pack("{s:s}", "action", "/api/v2/session/end");
    json_t *hidden = json_array();
    if (a->k && a->to.n) {
        json_array_append_new(
            hidden, json_pack("{s:s,s:o}", "name", "client_id", "value", json_str(a->k->id)));
        json_array_append_new(hidden, json_pack("{s:s,s:o}", "name", "post_logout_redirect_uri",
                                                "value", json_str(a->to)));
        if (a->state.n)
            json_array_append_new(
                hidden, json_pack("{s:s,s:o}", "name", "state", "value", json_str(a->state)));
    }
    json_object_set_new(d, "hidden", hidden);
    if (a->k)
        json_object_set_new(d, "client_name", json_str(client_name_in(a->k, c->lang)));
    return ctx_page(c, "identity/sign_out", d);
}

static enum err go_on(struct ctx *c, const struct asked *a, bool by_form)
{
    struct str next;
    struct str to = a->to.n ? a->to : STR("");
    enum err e = end_session(c, to, a->state, a->k, &next);
    if (e != ERR_OK)
        return e;
    if (!next.p && to.n)
        next = a->state.n ? url_with(c->arena, to, "state", a->state) : to;
    if (!next.p)
        return show_signed_out(c, NULL, a->k ? client_name_in(a->k, c->lang) : STR_NONE);
    if (!by_form)
        return ctx_redirect(c, next);
    web_header(c->rs, "Refresh", arena_printf(c->arena, "0; url=" STR_FMT, STR_ARG(next)));
    return show_signed_out(c, NULL, STR_NONE);
}

/* The address must be registered to the letter, whoever asks. A client that proves by its ID token
 * that this is its session's end is obeyed; anybody else's link asks the person. */
enum err identity_session_end(struct ctx *c)
{
    struct asked a;
    enum err e = asked_read(c, &c->query, &a);
    if (e != ERR_OK)
        return e;
    if (a.to.n && (!a.k || !client_uri_is(a.k->post_logout_uris, a.to)))
        return idt_fail(c, IDT_LOGOUT, NULL, a.k ? a.k->id.p : "no client");
    bool hers = a.claims && (!c->session || str_eq(json_get_str(a.claims, "sid"),
                                                   json_get_str(c->session->data, "sid")));
    if (!c->session || hers)
        return go_on(c, &a, false);
    return ask(c, &a);
}

/* From our own page, with its token, or a client's form: that one is asked. A form of another site
 * comes without our cookies (SameSite), so the browser is asked to come again by GET. */
enum err identity_session_end_post(struct ctx *c)
{
    struct asked a;
    if (!c->session && c->rq->body.n >= TARGET_MAX) /* whether she is signed in cannot be known */
        return idt_fail(c, IDT_LOGOUT, NULL, "too long to come again by GET");
    if (!c->session && c->rq->body.n)
        return ctx_redirect(c, arena_printf(c->arena, "%s/api/v2/session/end?" STR_FMT,
                                            c->pf->settings->base_url, STR_ARG(c->rq->body)));
    enum err e = asked_read(c, &c->form, &a);
    if (e != ERR_OK)
        return e;
    if (a.to.n && (!a.k || !client_uri_is(a.k->post_logout_uris, a.to)))
        return idt_fail(c, IDT_LOGOUT, NULL, a.k ? a.k->id.p : "no client");
    bool ours = c->session && str_eq_secret(ctx_form(c, "csrf"), c->session->csrf);
    bool hers = a.claims && c->session &&
                str_eq(json_get_str(a.claims, "sid"), json_get_str(c->session->data, "sid"));
    return !c->session || ours || hers ? go_on(c, &a, true) : ask(c, &a);
}
