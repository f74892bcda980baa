/* The path of every request of the wide lane, in one function: read `dispatch` at the end first. */
#include "platform/boot.h"

#include <stdatomic.h>
#include "base/clock.h"
#include "base/log.h"
#include "platform/api.h"
#include "platform/ctx.h"
#include "platform/explain.h"
#include "platform/render.h"
#include "platform/session.h"
#include "platform/throttle.h"

/* Handlers that call this platform again may not fill the pool: the calls need threads too. */
static _Atomic int self_calls_under_way;

static const struct fault f_not_found = {"SOC-404", 404, "platform", "Not Found"};
static const struct fault f_method = {"SOC-405", 405, "platform", "Method Not Allowed"};
static const struct fault f_misdirected = {"SOC-421", 421, "platform", "Misdirected Request"};
static const struct fault f_clear = {"SOC-403-CLEAR", 403, "platform", "Only Over TLS"};
static const struct fault f_csrf = {"SOC-403-FORM", 403, "platform", "Form Not From This Site"};
static const struct fault f_role = {"SOC-403-ROLE", 403, "platform", "Forbidden"};
static const struct fault f_busy = {"SOC-503-BUSY", 503, "platform", "Busy"};
static const struct fault f_form = {"SOC-400-FORM", 400, "platform", "Malformed Form"};

/* LIMIT: sizes and rates were held by the engine; here what depends on the content. */
static enum err stage_limit(struct ctx *c)
{
    if (form_read(c->arena, c->rq->query, &c->query) != ERR_OK)
        return ctx_fail(c, &f_form, ERR_INVALID, STR("the query string"));
    struct str type = ctx_header(c, "Content-Type");
    if (str_starts(type, STR("application/x-www-form-urlencoded")) &&
        form_read(c->arena, c->rq->body, &c->form) != ERR_OK)
        return ctx_fail(c, &f_form, ERR_INVALID, STR("the body"));
    return ERR_OK;
}

/* Where this program ends TLS itself and its address is https, what comes in clear is sent there:
 * reads by a redirection, all else refused, since it was said in clear already. Machines that look
 * whether it lives may ask in clear. */
static enum err in_clear(struct ctx *c)
{
    const struct settings *s = c->pf->settings;
    struct str base = c->site->kind == SITE_PORTAL ? str_from(s->base_url) : c->site->base_url;
    bool reads = c->rq->method == HTTP_GET || c->rq->method == HTTP_HEAD;
    if (!str_starts(base, STR("https://")))
        return ERR_OK;
    if (c->rq->secure) {
        web_header(c->rs, "Strict-Transport-Security", STR("max-age=31536000"));
        return ERR_OK;
    }
    if (s->tls_port == 0 || str_eq_z(c->rq->path, "/healthz") || str_eq_z(c->rq->path, "/readyz"))
        return ERR_OK;
    if (!reads)
        return ctx_fail(c, &f_clear, ERR_DENIED, STR_NONE);
    web_header(
        c->rs, "Location",
        arena_printf(c->arena, STR_FMT STR_FMT, STR_ARG(base), STR_ARG(c->rq->head->target)));
    c->rs->status = 308;
    return ERR_AGAIN;
}

static enum err stage_route(struct ctx *c)
{
    bool other_method;
    c->site = site_find(c->pf, c->arena, c->rq->host);
    if (!c->site)
        return ctx_fail(c, &f_misdirected, ERR_NOT_FOUND, c->rq->host);
    enum err e = in_clear(c);
    if (e != ERR_OK)
        return e;
    struct str method = str_from(http_method_name(c->rq->method));
    c->route = route_find(c->site->kind, method, c->rq->path, c->path_value, &other_method);
    if (c->route)
        return c->route->flags & ROUTE_THROTTLED ? throttle_hold_address(c) : ERR_OK;
    return ctx_fail(c, other_method ? &f_method : &f_not_found, ERR_NOT_FOUND, c->rq->path);
}

static enum err stage_session(struct ctx *c)
{
    if (!(c->route->flags & ROUTE_API))
        return session_load(c);
    bool person = c->route->role == ROLE_USER || c->route->role == ROLE_AGENT;
    if (c->route->role == ROLE_AUDITOR && c->rq->method == HTTP_GET)
        return session_load(c); /* accounts of our own have no access tokens */
    return person ? api_authenticate(c) : ERR_OK;
}

/* A POST must come from a page of this site: by Origin or Sec-Fetch-Site where the browser says it,
 * and with the session's token where there is a session. */
static enum err stage_csrf(struct ctx *c)
{
    bool reads = c->rq->method == HTTP_GET || c->rq->method == HTTP_HEAD;
    if (reads || c->route->flags & (ROUTE_API | ROUTE_CROSS_SITE))
        return ERR_OK;
    struct str origin = ctx_header(c, "Origin"), fetch = ctx_header(c, "Sec-Fetch-Site");
    bool same = origin.p  ? str_eq(origin, c->site->base_url)
                : fetch.p ? str_eq_z(fetch, "same-origin")
                          : true;
    const struct session *of = c->session ? c->session : c->ended;
    bool token = !of || str_eq_secret(ctx_form(c, "csrf"), of->csrf);
    return same && token ? ERR_OK : ctx_fail(c, &f_csrf, ERR_DENIED, STR_NONE);
}

/* Who may: by the route's role. Somebody who is not signed in is sent to sign in. */
static enum err stage_policy(struct ctx *c)
{
    enum role want = c->route->role;
    if (want == ROLE_PUBLIC || want == ROLE_CLIENT)
        return ERR_OK;
    if (c->session && role_may(c->session->role, want))
        return ERR_OK;
    if (c->route->flags & ROUTE_API || (c->session && c->route->method[0] != 'G'))
        return ctx_fail(c, &f_role, ERR_DENIED, STR_NONE);
    if (c->route->method[0] != 'G') { /* a redirection would lose what was typed */
        enum err e = session_ask_again(c);
        if (e == ERR_OK)
            e = render_page(c);
        return e == ERR_OK ? ERR_AGAIN : e;
    }
    const char *path = want == ROLE_AGENT                           ? "/agent/connexion"
                       : want == ROLE_ADMIN || want == ROLE_AUDITOR ? "/connexion/operateur"
                                                                    : "/connexion";
    struct str back = c->rq->query.n ? arena_printf(c->arena, STR_FMT "?" STR_FMT,
                                                    STR_ARG(c->rq->path), STR_ARG(c->rq->query))
                                     : c->rq->path;
    struct str to = url_with(c->arena, str_from(path), "return", back);
    return ctx_redirect(c, to) == ERR_OK ? ERR_AGAIN : ERR_INTERNAL;
}

/* CONTRACT: exchanges are checked on the fast lane (core/exchange/gateway.c). On the wide lane a
 * handler reaches another body's data only through it, so there is nothing to check twice here. */
static enum err stage_contract(struct ctx *c)
{
    (void)c;
    return ERR_OK;
}

static enum err stage_handler(struct ctx *c)
{
    bool calls_self = c->route->flags & ROUTE_CALLS_SELF;
    if (calls_self) {
        db_snapshot_end(c->pf->db); /* it waits for others */
        int room = (int)(c->pf->settings->handlers + 1) / 2;
        if (atomic_fetch_add(&self_calls_under_way, 1) >= room) {
            atomic_fetch_sub(&self_calls_under_way, 1);
            return ctx_later(c) ? ERR_AGAIN : ctx_fail(c, &f_busy, ERR_UNAVAILABLE, STR_NONE);
        }
    }
    enum err e = c->route->handler(c);
    if (calls_self)
        atomic_fetch_sub(&self_calls_under_way, 1);
    return e;
}

/* JOURNAL: an act waits for its durable entry where it is written (act_write), so that a handler
 * can go on only from what is sealed; nothing is pending here. */
static enum err stage_journal(struct ctx *c)
{
    (void)c;
    return ERR_OK;
}

#define STAGE(name, fn, what)                       \
    {                                               \
        name, fn, __FILE__, __LINE__, #fn ": " what \
    }
static const struct stage_row stages[] = {
    STAGE("LIMIT", stage_limit, "query and form are well-formed and within limits"),
    STAGE("ROUTE", stage_route,
          "host names a site, method and path name a route; not too often an address"),
    STAGE("SESSION", stage_session, "cookie names a session of this site"),
    STAGE("CSRF", stage_csrf, "a POST comes from a page of this site"),
    STAGE("POLICY", stage_policy, "the session's role may"),
    STAGE("CONTRACT", stage_contract, "exchanges are checked on the fast lane"),
    STAGE("HANDLER", stage_handler, ""),
    STAGE("JOURNAL", stage_journal, "the act's entry is durable"),
    STAGE("RENDER", render_page, "the page in the person's language"),
};

const struct stage_row *dispatch_stage(size_t i)
{
    return i < COUNT_OF(stages) ? &stages[i] : NULL;
}

static void log_request(const struct ctx *c, enum err e)
{
    if (e == ERR_OK || e == ERR_AGAIN)
        log_debug("request", "trace", c->trace_id, "route", c->route ? c->route->path : "-",
                  "status", LOG_NUM(c->rs->status), "us", LOG_NUM(clock_mono_us() - c->started_us));
    else
        log_event(c->rs->status >= 500 ? LOG_ERROR : LOG_INFO, "request_failed", "trace",
                  c->trace_id, "route", c->route ? c->route->path : "-", "status",
                  LOG_NUM(c->rs->status), "code", c->fault.code ? c->fault.code : "-", "error",
                  err_name(e), (char *)NULL);
}

void ctx_answered(struct ctx *c, enum err e)
{
    if (e != ERR_OK) {
        c->rs->n_headers = 0;
        buf_reset(&c->rs->body);
        render_fault(c, e);
    }
    log_request(c, e);
    ctx_free(c);
    if (c->rs->finish) /* units have no server */
        web_finish(c->rs);
}

void dispatch(struct web_request *rq, struct web_response *rs, void *platform)
{
    struct ctx *c = ctx_make(platform, rq->arena);
    enum err e = ERR_OK;
    c->started_us = clock_mono_us();
    c->rq = rq;
    c->rs = rs;
    memcpy(c->trace_id, rq->trace_id, sizeof c->trace_id);
    render_language(c);
    db_snapshot_begin(c->pf->db);
    for (size_t i = 0; i < COUNT_OF(stages) && e == ERR_OK; i++)
        e = stages[i].fn(c);
    if (e != ERR_OK && e != ERR_AGAIN) /* ERR_AGAIN: answered already (a redirection) */
        render_fault(c, e);
    db_snapshot_end(c->pf->db);
    bool awaits = e == ERR_OK && c->await;
    if (!awaits)
        log_request(c, e);
    ctx_free(c);
    if (awaits) {
        if (rs->finish)
            web_await(rs);
        c->await(c, c->await_arg); /* from here on the context is another's */
    }
}
