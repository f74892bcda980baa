/* The browser's side of a wallet's sign-in: a link for a wallet on this device, a QR code for one
 * on another, and a page that looks again by itself. Only the browser that began goes on (the
 * flow's cookie); with a wallet on the same device, only with the code that the wallet was told. */
#include "core/identity/wallet_inner.h"

#include "core/identity/choose.h"
#include "core/identity/faults.h"
#include "core/identity/own.h"
#include "core/identity/schema.h"
#include "platform/qr.h"
#include "web/pages.h"

/* ---- the end ------------------------------------------------------------------------------------
 */
static enum err refused(struct ctx *c, struct flow *f, const struct wallet_request *r)
{
    static const struct {
        const char *why;
        enum idt fault;
    } faults[] = {{"person", IDT_PROVIDER_REFUSED}, {"pivot", IDT_PIVOT}};
    enum idt fault = IDT_WALLET;
    for (size_t i = 0; i < COUNT_OF(faults); i++)
        if (str_eq_z(r->why, faults[i].why))
            fault = faults[i].fault;
    enum err e = wallet_forget(c, f);
    return e == ERR_OK ? idt_fail(c, fault, f, "a wallet's answer") : e;
}

static enum err arrived(struct ctx *c, struct flow *f, const struct wallet_request *r)
{
    bool answered;
    struct str fr = STR("Portefeuille d’identité"), en = STR("Identity wallet");
    struct provider p = {.id = STR(WALLET_PROVIDER),
                         .realm = STR("citizens"),
                         .name_fr = fr,
                         .name_en = en,
                         .up = true};
    struct sign_in who = {
        .provider = p.id, .provider_sub = r->subject, .realm = p.realm, .claims = r->claims};
    enum err e = wallet_forget(c, f);
    if (e == ERR_OK)
        e = identity_recognise(c, f, &p, &who, &answered);
    if (e != ERR_OK || answered)
        return e;
    return identity_arrive(c, f, &p, &who, wallet_level(c), json_pack("[s]", "pop"));
}

/* ---- waiting ------------------------------------------------------------------------------------
 */
static struct str address_for(struct ctx *c, const struct wallet_request *r)
{
    const char *path = arena_printf(c->arena, "/api/v2/wallet/request/" STR_FMT, STR_ARG(r->id)).p;
    struct str url = url_with(c->arena, STR("openid4vp://"), "client_id", r->client_id);
    url = url_with(c->arena, url, "request_uri", portal_url(c, path));
    return url_with(c->arena, url, "request_uri_method", STR("post"));
}

static enum err waiting_page(struct ctx *c, struct flow *f, const struct wallet_request *same,
                             const struct wallet_request *cross)
{
    json_t *d = json_pack("{s:o,s:o,s:o,s:b}", "same_url", json_str(address_for(c, same)),
                          "again_url", json_str(flow_url(c, f, "/connexion/portefeuille")),
                          "choose_url", json_str(flow_url(c, f, "/connexion/choix")), "answered",
                          same->stage == WALLET_ANSWERED);
    if (f->kind == FLOW_CLIENT) {
        bool en = strcmp(c->lang, "en") == 0;
        json_object_set_new(d, "client_name", json_str(en ? f->client_name_en : f->client_name_fr));
    }
    json_t *qr = c->pf->settings->wallet_cross_device ? qr_svg(address_for(c, cross)) : NULL;
    if (qr)
        json_object_set_new(d, "qr", qr);
    /* Without a script, the page looks again by itself; its link does the same. */
    web_header(c->rs, "Refresh", STR("5"));
    return ctx_page(c, "identity/wallet", d);
}

/* The flow, for this browser, not answered yet, and open to wallets. */
static enum err wallet_flow(struct ctx *c, struct flow **out, bool *answered)
{
    enum err e = flow_of_request(c, out, answered);
    if (*answered)
        return e;
    *answered = true;
    struct flow *f = *out;
    if (f->stage != FLOW_BEGUN)
        return ctx_redirect(c, flow_url(c, f, "/connexion/accord"));
    if (!wallet_is_offered(c, f))
        return idt_fail(c, IDT_PROVIDER_NAME, f, "no wallets here");
    if (wallet_level(c) < f->request.level)
        return idt_fail(c, IDT_LEVEL, f, "wallet");
    *answered = false;
    return ERR_OK;
}

enum err identity_wallet(struct ctx *c)
{
    struct flow *f;
    struct str client_id;
    bool answered;
    struct wallet_request of[WALLET_KINDS];
    enum err e = wallet_flow(c, &f, &answered);
    if (answered)
        return e;
    e = wallet_client_id(c, &client_id);
    for (int turn = 0; turn < 2 && e == ERR_OK; turn++) {
        for (int i = 0; i < WALLET_KINDS && e == ERR_OK; i++)
            e = wallet_of_flow(c, f, (enum wallet_kind)i, &of[i]);
        if (e != ERR_NOT_FOUND || turn)
            break;
        e = wallet_begin(c, f, client_id);
    }
    if (e != ERR_OK)
        return e;
    for (int i = 0; i < WALLET_KINDS; i++)
        if (of[i].stage == WALLET_REFUSED)
            return refused(c, f, &of[i]);
    if (of[WALLET_CROSS].stage == WALLET_ANSWERED && c->pf->settings->wallet_cross_device)
        return arrived(c, f, &of[WALLET_CROSS]);
    return waiting_page(c, f, &of[WALLET_SAME], &of[WALLET_CROSS]);
}

/* OpenID4VP 14.2: without the code, an answer that somebody was talked into would sign in whoever
 * sent him the address. */
enum err identity_wallet_back(struct ctx *c)
{
    struct flow *f;
    bool answered;
    struct wallet_request r;
    enum err e = wallet_flow(c, &f, &answered);
    if (answered)
        return e;
    e = wallet_of_flow(c, f, WALLET_SAME, &r);
    if (e == ERR_NOT_FOUND)
        return idt_fail(c, IDT_WALLET, f, "no answer is waited for");
    if (e != ERR_OK)
        return e;
    struct str code = ctx_query(c, "response_code");
    if (r.stage == WALLET_REFUSED)
        return refused(c, f, &r);
    if (r.stage != WALLET_ANSWERED || !code.n ||
        !str_eq_secret(wallet_code_hash(c, code), r.code_hash))
        return idt_fail(c, IDT_WALLET, f, "response_code");
    return arrived(c, f, &r);
}
