#include "core/identity/guard.h"

#include "base/log.h"
#include "core/identity/client.h"
#include "core/identity/faults.h"
#include "platform/device.h"
#include "platform/throttle.h"

/* She asked to have her account unblocked, and came by a means that may. */
static enum err unblock(struct ctx *c, const struct guarded *g, bool *done)
{
    json_t *out;
    *done = false;
    if (g->flow->kind != FLOW_PORTAL || g->level < LEVEL_EIDAS2 ||
        !str_eq_z(g->flow->to, "/account/security/unblock"))
        return ERR_OK;
    json_t *args = json_pack("{s:o,s:o,s:s}", "person", json_str(g->person), "provider",
                             json_str(g->provider), "acr", level_name(g->level));
    enum err e = platform_call(c, "safety.unblock", args, &out);
    json_decref(args);
    *done = e == ERR_OK;
    return e == ERR_DENIED || e == ERR_NOT_FOUND ? ERR_OK : e;
}

/* The same sign-in goes on, and asks for more. */
static enum err ask_for_more(struct ctx *c, const struct guarded *g)
{
    g->flow->request.level = LEVEL_EIDAS2;
    enum err e = flow_save(c, g->flow);
    log_info("sign_in_suspicious", "trace", c->trace_id, "provider",
             arena_dupz(c->arena, g->provider), "by", g->suspicious ? "provider" : "habits");
    return e == ERR_OK ? idt_fail(c, IDT_SUSPICIOUS, g->flow, "asks for eidas2") : e;
}

enum err guard_judge(struct ctx *c, const struct guarded *g, bool *answered)
{
    json_t *said;
    bool unblocked = false;
    json_t *args =
        json_pack("{s:o,s:o}", "person", json_str(g->person), "provider", json_str(g->provider));
    enum err e = platform_call(c, "safety.judge", args, &said);
    json_decref(args);
    *answered = false;
    if (e == ERR_NOT_FOUND)
        return ERR_OK;
    if (e != ERR_OK)
        return e;
    const char *state = json_get_z(said, "state", "open");
    if (strcmp(state, "account") == 0) {
        e = unblock(c, g, &unblocked);
        if (e != ERR_OK)
            return e;
    }
    *answered = true;
    if (strcmp(state, "provider") == 0)
        return idt_fail(c, IDT_BLOCKED_PROVIDER, g->flow, "blocked provider");
    if (strcmp(state, "account") == 0 && !unblocked)
        return idt_fail(c, IDT_BLOCKED, g->flow, "blocked by the person or an operator");
    if ((g->suspicious || json_get_bool(said, "suspicious", false)) && g->level < LEVEL_EIDAS2)
        return ask_for_more(c, g);
    *answered = false;
    return ERR_OK;
}

void guard_arrived(struct ctx *c, const struct guarded *g)
{
    json_t *out, *service = json_pack("{s:s,s:s}", "fr", "Votre compte", "en", "Your account");
    const json_t *d = c->session->data;
    if (g->flow->kind == FLOW_CLIENT) {
        json_object_set_new(service, "fr", json_str(g->flow->client_name_fr));
        json_object_set_new(service, "en", json_str(g->flow->client_name_en));
    }
    json_t *args = json_pack("{s:o,s:o,s:O?,s:s,s:o,s:o,s:s,s:o}", "person", json_str(g->person),
                             "provider", json_str(g->provider), "provider_name", g->provider_name,
                             "acr", level_name(g->level), "session", json_str(c->session->id),
                             "sid", json_str(json_get_str(d, "sid")), "email",
                             json_get_z(json_get(d, "claims"), "email", ""), "service", service);
    enum err e = platform_call(c, "safety.arrived", args, &out);
    json_decref(args);
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        log_warn("arrival_not_noted", "trace", c->trace_id, "error", err_name(e));
}

void guard_failed(struct ctx *c)
{
    static const struct throttle_rule failures = {"signin-failures", 5, 1};
    if (c->rq)
        (void)throttle_take(&failures, device_network(c->arena, c->rq->remote));
}
