/* GET and POST /api/v2/authorize (OpenID Connect Core 3.1.2). Errors go to the client only once the
 * client and its address are known: before that, the person reads them here. */
#include "core/identity/schema.h"

#include "core/identity/client.h"
#include "core/identity/faults.h"
#include "core/identity/issue.h"
#include "core/identity/provider.h"
#include "core/identity/pushed.h"
#include "platform/throttle.h"

static struct str realm_of(const struct client *k, const struct request *r)
{
    if (str_eq_z(k->realm, "any"))
        return r->realm.p ? r->realm : STR("citizens");
    return k->realm;
}

/* The first of the client's languages that is ours. */
static void speak(struct ctx *c, struct str ui_locales)
{
    struct str part;
    while (ui_locales.n && str_split(&ui_locales, ' ', &part)) {
        struct str lang = str_sub(part, 0, 2);
        bool whole = part.n == 2 || (part.n > 2 && part.p[2] == '-');
        if (!whole || (!str_eq_z(lang, "fr") && !str_eq_z(lang, "en")))
            continue;
        c->lang = str_eq_z(lang, "en") ? "en" : "fr";
        ctx_cookie(c, "lang", str_from(c->lang), 365 * 86400);
        return;
    }
}

static bool hint_is_usable(struct ctx *c, const struct client *k, const struct flow *f)
{
    struct provider *p;
    struct str hint = f->request.idp_hint;
    return hint.n && (str_eq_z(k->providers, "*") || list_has(k->providers, hint)) &&
           provider_get(c, hint, &p) == ERR_OK && str_eq(p->realm, f->realm);
}

static enum err sign_in(struct ctx *c, struct flow *f, const struct client *k)
{
    enum err e = flow_begin(c, f);
    if (e != ERR_OK)
        return e;
    if (!hint_is_usable(c, k, f))
        return ctx_redirect(c, flow_url(c, f, "/connexion/choix"));
    const char *path =
        arena_printf(c->arena, "/connexion/vers/" STR_FMT, STR_ARG(f->request.idp_hint)).p;
    return ctx_redirect(c, flow_url(c, f, path));
}

static enum err authorize(struct ctx *c, struct request *r)
{
    struct client *k;
    struct oauth_error why;
    struct wanted w;
    bool hers;
    enum err e = r->client_id.n ? client_get(c, r->client_id, &k) : ERR_NOT_FOUND;
    if (e == ERR_NOT_FOUND)
        return idt_fail(c, IDT_CLIENT, NULL, "client_id");
    if (e != ERR_OK)
        return e;
    unsigned rate = (unsigned)c->pf->settings->throttle_client;
    struct throttle_rule per_client = {"authorize-client", rate, rate};
    e = throttle_hold(c, &per_client, k->id);
    if (e != ERR_OK)
        return e;
    bool resolved = request_resolve(c, k, r, &why, &e);
    if (e != ERR_OK)
        return e;
    if (!resolved && !r->redirect_uri.p)
        return idt_fail(c, IDT_REQUEST, NULL, why.description);
    if (!client_uri_is(k->redirect_uris, r->redirect_uri))
        return idt_fail(c, IDT_REDIRECT, NULL, "redirect_uri");
    if (!resolved)
        return redirect_error(c, r, &why);
    struct flow f = {
        .kind = FLOW_CLIENT, .client_name_fr = k->name_fr, .client_name_en = k->name_en};
    if (!request_check(c->arena, r, k->profile, k->pkce, &why))
        return redirect_error(c, r, &why);
    f.request = *r;
    f.realm = realm_of(k, r);
    speak(c, r->ui_locales);
    e = wanted_read(c, k, r, &w);
    if (e != ERR_OK)
        return e;
    if (w.unknown.p) { /* said now rather than found out later, when data are missing */
        why = (struct oauth_error){"invalid_scope", "a scope is not known or not for this client"};
        return redirect_error(c, r, &why);
    }
    e = hint_fits(c, r, k, &hers);
    if (e == ERR_DENIED) {
        why = (struct oauth_error){"invalid_request", "id_token_hint is no ID token of yours"};
        return redirect_error(c, r, &why);
    }
    if (e != ERR_OK)
        return e;
    if (hers && session_serves(c, &f, k))
        return identity_go_on(c, &f, k, &w);
    if (r->prompts & PROMPT_NONE) {
        why = (struct oauth_error){"login_required", "nobody is signed in, or not well enough"};
        return redirect_error(c, r, &why);
    }
    return sign_in(c, &f, k);
}

enum err identity_authorize(struct ctx *c)
{
    struct request r;
    request_read(&c->query, &r);
    return authorize(c, &r);
}

/* A POST from another site comes without our cookies (SameSite): the browser is asked to come again
 * by GET, so that whoever is signed in is known. Long requests go on as they are. */
enum err identity_authorize_post(struct ctx *c)
{
    struct request r;
    if (!c->session && c->rq->body.n && c->rq->body.n < 4096)
        return ctx_redirect(c, arena_printf(c->arena, "%s/api/v2/authorize?" STR_FMT,
                                            c->pf->settings->base_url, STR_ARG(c->rq->body)));
    request_read(&c->form, &r);
    return authorize(c, &r);
}
