#include "core/identity/faults.h"

#include "base/log.h"
#include "core/identity/guard.h"
#include "core/identity/refusal.h"
#include "web/pages.h"

static const struct fault table[IDT_COUNT] = {
    [IDT_CLIENT] = {"IDT-400-CLIENT", 400, "identity", "Unknown Client"},
    [IDT_REDIRECT] = {"IDT-400-REDIRECT", 400, "identity", "Unregistered Redirect Address"},
    [IDT_REQUEST] = {"IDT-400-REQUEST", 400, "identity", "Request Not Usable"},
    [IDT_LOGOUT] = {"IDT-400-LOGOUT", 400, "identity", "Unregistered Sign-Out Address"},
    [IDT_FLOW] = {"IDT-410-FLOW", 410, "identity", "Sign-In Expired Or Finished"},
    [IDT_BROWSER] = {"IDT-403-BROWSER", 403, "identity", "Sign-In Of Another Browser"},
    [IDT_PROVIDER_NAME] = {"IDT-404-PROVIDER", 404, "identity", "Unknown Identity Provider"},
    [IDT_PROVIDER_REFUSED] = {"IDT-403-PROVIDER", 403, "identity", "Not Signed In"},
    [IDT_PROVIDER_BAD] = {"IDT-502-PROVIDER", 502, "identity", "Identity Provider Answered Badly"},
    [IDT_PROVIDER_DOWN] = {"IDT-503-PROVIDER", 503, "identity", "Identity Provider Unreachable"},
    [IDT_LEVEL] = {"IDT-403-LEVEL", 403, "identity", "Level Too Low"},
    [IDT_PIVOT] = {"IDT-422-PIVOT", 422, "identity", "Identity Incomplete"},
    [IDT_BLOCKED] = {"IDT-403-BLOCKED", 403, "identity", "Account Blocked"},
    [IDT_BLOCKED_PROVIDER] = {"IDT-403-BLOCKED-PROVIDER", 403, "identity",
                              "Identity Provider Blocked By The Person"},
    [IDT_SUSPICIOUS] = {"IDT-403-SUSPICIOUS", 403, "identity", "Stronger Sign-In Needed"},
    [IDT_REGISTER_4] = {"IDT-403-REGISTER-4", 403, "identity", "Known By Married Name Only"},
    [IDT_REGISTER_6] = {"IDT-403-REGISTER-6", 403, "identity", "Several Persons In The Register"},
    [IDT_REGISTER_7] = {"IDT-403-REGISTER-7", 403, "identity", "Differs From The Register"},
    [IDT_REGISTER_8] = {"IDT-403-REGISTER-8", 403, "identity", "Not In The Register"},
    [IDT_REGISTER_9] = {"IDT-403-REGISTER-9", 403, "identity", "Identity Not Checkable"},
    [IDT_REGISTER_DECEASED] = {"IDT-403-REGISTER-DECEASED", 403, "identity",
                               "Identity Of A Deceased Person"},
    [IDT_REGISTER_DOWN] = {"IDT-503-REGISTER", 503, "identity", "Civil Register Unreachable"},
    [IDT_WALLET] = {"IDT-403-WALLET", 403, "identity", "Wallet's Answer Not Accepted"},
    [IDT_PASSWORD] = {"IDT-401-PASSWORD", 401, "identity", "Wrong Login Or Password"},
    [IDT_TRIES] = {"IDT-429-TRIES", 429, "identity", "Too Many Tries"},
};

const struct fault *idt_fault(enum idt code)
{
    return &table[code];
}

const struct fault *idt_fault_at(size_t i)
{
    return i < IDT_COUNT ? &table[i] : NULL;
}

static void text(struct ctx *c, json_t *d, const struct fault *f, const char *part)
{
    const char *key = arena_printf(c->arena, "error.%s.%s", f->code, part).p;
    json_object_set_new(d, part, json_str(pages_text(c->arena, "identity", key, c->lang, d)));
}

/* The service learns that nobody signed in: its own page can say what else to do. */
static struct str return_url(struct ctx *c, const struct flow *f)
{
    struct str url = url_with(c->arena, f->request.redirect_uri, "error", STR("access_denied"));
    if (f->request.state.p)
        url = url_with(c->arena, url, "state", f->request.state);
    return url_with(c->arena, url, "iss", str_from(c->pf->settings->base_url));
}

static bool can_choose_again(enum idt code)
{
    return code == IDT_PROVIDER_NAME || code == IDT_PROVIDER_REFUSED || code == IDT_PROVIDER_BAD ||
           code == IDT_PROVIDER_DOWN || code == IDT_LEVEL || code == IDT_PIVOT ||
           code == IDT_BLOCKED_PROVIDER || code == IDT_SUSPICIOUS || code == IDT_WALLET ||
           (code >= IDT_REGISTER_4 && code <= IDT_REGISTER_DOWN);
}

/* What the service's own team can mend: what a person did wrong is not theirs to read. */
static bool is_the_clients(enum idt code)
{
    return code == IDT_CLIENT || code == IDT_REDIRECT || code == IDT_REQUEST ||
           code == IDT_LOGOUT || code == IDT_LEVEL || code == IDT_PROVIDER_NAME;
}

static void note(struct ctx *c, enum idt code, const struct flow *f, const char *detail)
{
    const struct form *in = c->form.n ? &c->form : &c->query;
    struct str sent =
        form_get(in, code == IDT_LOGOUT ? "post_logout_redirect_uri" : "redirect_uri");
    struct str client = f ? f->request.client_id : STR_NONE;
    if (is_the_clients(code))
        refusal_note(c, client, table[code].code, detail, sent);
}

enum err idt_fail(struct ctx *c, enum idt code, const struct flow *f, const char *detail)
{
    const struct fault *fault = &table[code];
    bool known = f && f->browser_known;
    log_info("sign_in_failed", "trace", c->trace_id, "code", fault->code, "client",
             f && f->request.client_id.p ? arena_dupz(c->arena, f->request.client_id) : "-", "why",
             detail ? detail : "-");
    note(c, code, f, detail);
    if (code == IDT_PROVIDER_REFUSED || code == IDT_PASSWORD || code == IDT_BLOCKED ||
        code == IDT_WALLET)
        guard_failed(c);
    c->fault = *fault;
    c->rs->status = fault->status;
    if (c->retry_after_s)
        web_header(c->rs, "Retry-After", arena_printf(c->arena, "%u", c->retry_after_s));
    json_t *d = json_object();
    if (known && f->kind == FLOW_CLIENT) {
        bool en = strcmp(c->lang, "en") == 0;
        json_object_set_new(d, "client_name", json_str(en ? f->client_name_en : f->client_name_fr));
        json_object_set_new(d, "return_url", json_str(return_url(c, f)));
    }
    if (known && f->id.p && f->stage == FLOW_BEGUN && can_choose_again(code))
        json_object_set_new(d, "retry_url", json_str(flow_url(c, f, "/connexion/choix")));
    if (code == IDT_BLOCKED)
        json_object_set_new(d, "unblock_url",
                            json_string("/connexion?level=eidas2&again=1"
                                        "&return=/account/security/unblock"));
    text(c, d, fault, "title");
    text(c, d, fault, "meaning");
    text(c, d, fault, "action");
    json_object_set_new(d, "code", json_string(fault->code));
    return ctx_page(c, "identity/error", d);
}
