/* Which account to sign in with; and the portal's own sign-in. */
#include "core/identity/schema.h"

#include "core/identity/choose.h"
#include "core/identity/client.h"
#include "core/identity/faults.h"
#include "core/identity/issue.h"
#include "core/identity/own.h"
#include "core/identity/provider.h"
#include "core/identity/wallet.h"
#include "web/pages.h"

static const char LAST_COOKIE[] = "socle_last";

enum err flow_of_request(struct ctx *c, struct flow **out, bool *answered)
{
    struct str id = ctx_form(c, "flow");
    if (!id.p)
        id = ctx_query(c, "flow");
    *answered = true;
    enum err e = flow_load(c, id, out);
    if (e == ERR_NOT_FOUND || e == ERR_CORRUPT)
        return idt_fail(c, IDT_FLOW, NULL, "no such flow");
    if (e == ERR_DENIED)
        return idt_fail(c, IDT_BROWSER, *out, "browser");
    *answered = e != ERR_OK;
    return e;
}

bool flow_accepts(struct ctx *c, const struct flow *f, const struct provider *p)
{
    struct client *k;
    if (!str_eq(p->realm, f->realm))
        return false;
    if (f->kind != FLOW_CLIENT)
        return true;
    return client_get(c, f->request.client_id, &k) == ERR_OK &&
           (str_eq_z(k->providers, "*") || list_has(k->providers, p->id));
}

static json_t *provider_json(struct ctx *c, const struct flow *f, const struct provider *p)
{
    const char *path = arena_printf(c->arena, "/connexion/vers/" STR_FMT, STR_ARG(p->id)).p;
    struct str last = ctx_cookie_get(c, LAST_COOKIE);
    json_t *v = json_pack("{s:o,s:o,s:b,s:b}", "name", provider_name(p), "url",
                          json_str(flow_url(c, f, path)), "last", last.p && str_eq(last, p->id),
                          "down", !p->up);
    if (p->hint_fr.n || p->hint_en.n)
        json_object_set_new(
            v, "hint",
            json_pack("{s:o,s:o}", "fr", json_str(p->hint_fr), "en", json_str(p->hint_en)));
    return v;
}

/* The account of this platform's own, offered beside the others. */
static json_t *own_json(struct ctx *c, const struct flow *f)
{
    struct client *k;
    struct str last = ctx_cookie_get(c, LAST_COOKIE);
    if (!c->pf->settings->own_accounts || !str_eq_z(f->realm, "citizens"))
        return NULL;
    if (f->kind == FLOW_CLIENT &&
        (client_get(c, f->request.client_id, &k) != ERR_OK || !own_is_accepted(k)))
        return NULL;
    return json_pack("{s:o,s:o,s:b,s:o}", "name", own_name(c), "url",
                     json_str(flow_url(c, f, "/compte/connexion")), "last",
                     last.p && str_eq_z(last, OWN_PROVIDER), "hint",
                     json_str(pages_text(c->arena, "identity", "choose.own", c->lang, NULL)));
}

static json_t *wallet_json(struct ctx *c, const struct flow *f)
{
    struct str last = ctx_cookie_get(c, LAST_COOKIE);
    if (!wallet_is_offered(c, f))
        return NULL;
    return json_pack("{s:o,s:o,s:b,s:o}", "name", wallet_name(), "url",
                     json_str(flow_url(c, f, "/connexion/portefeuille")), "last",
                     last.p && str_eq_z(last, WALLET_PROVIDER), "hint",
                     json_str(pages_text(c->arena, "identity", "choose.wallet", c->lang, NULL)));
}

static void card_add(json_t *out, json_t *card)
{
    if (card && json_get_bool(card, "last", false))
        json_array_insert_new(out, 0, card);
    else if (card)
        json_array_append_new(out, card);
}

/* The one used last comes first. */
static json_t *providers_json(struct ctx *c, const struct flow *f, const struct provider *list,
                              size_t n)
{
    json_t *out = json_array();
    for (size_t i = 0; i < n; i++) {
        if (!flow_accepts(c, f, &list[i]))
            continue;
        card_add(out, provider_json(c, f, &list[i]));
    }
    card_add(out, wallet_json(c, f));
    card_add(out, own_json(c, f));
    return out;
}

enum err identity_choose(struct ctx *c)
{
    struct flow *f;
    struct provider *list;
    size_t n;
    bool answered;
    enum err e = flow_of_request(c, &f, &answered);
    if (answered)
        return e;
    if (f->stage != FLOW_BEGUN)
        return ctx_redirect(c, flow_url(c, f, "/connexion/accord"));
    e = provider_list(c, f->realm, &list, &n);
    if (e != ERR_OK)
        return e;
    json_t *d = json_pack("{s:o}", "providers", providers_json(c, f, list, n));
    if (f->kind == FLOW_CLIENT) {
        bool en = strcmp(c->lang, "en") == 0;
        json_object_set_new(d, "client_name", json_str(en ? f->client_name_en : f->client_name_fr));
        json_object_set_new(d, "cancel_url", json_str(flow_url(c, f, "/connexion/annuler")));
    }
    return ctx_page(c, "identity/choose", d);
}

/* ---- giving up ----------------------------------------------------------------------------------
 */
static enum err flow_delete(struct db_conn *db, void *arg)
{
    enum err e = flow_end(db, *(struct str *)arg);
    return e == ERR_CONFLICT ? ERR_OK : e;
}

enum err identity_cancel(struct ctx *c)
{
    struct flow *f;
    bool answered;
    struct oauth_error why = {"access_denied", "the person gave up"};
    enum err e = flow_of_request(c, &f, &answered);
    if (answered)
        return e;
    e = db_write(c->pf->db, flow_delete, &f->key);
    if (e != ERR_OK)
        return e;
    return f->kind == FLOW_CLIENT ? redirect_error(c, &f->request, &why)
                                  : ctx_redirect(c, portal_url(c, "/"));
}

/* ---- the portal ---------------------------------------------------------------------------------
 */
enum err identity_sign_in(struct ctx *c)
{
    struct str to = ctx_query(c, "return");
    struct flow f = {.kind = FLOW_PORTAL,
                     .realm = STR("citizens"),
                     .to = path_is_ours(to) ? to : STR("/account")};
    /* ?level=eidas2: a block is lifted; ?again=1: by another means than the session's. */
    if (ctx_query(c, "level").n)
        f.request.level = level_from_name(ctx_query(c, "level"));
    if (!str_eq_z(ctx_query(c, "again"), "1") && session_serves(c, &f, NULL))
        return ctx_redirect(c, f.to);
    enum err e = flow_begin(c, &f);
    return e == ERR_OK ? ctx_redirect(c, flow_url(c, &f, "/connexion/choix")) : e;
}
