#include "core/exchange/reply.h"

#include "base/clock.h"
#include "base/log.h"
#include "core/exchange/entreprise.h"
#include "core/exchange/signature.h"

void reply_header(struct reply *h, const char *name, struct str value)
{
    if (value.n && h->n < REPLY_HEADERS_MAX)
        h->list[h->n++] = (struct http_header){str_from(name), value};
}

static struct str number(char out[12], unsigned v)
{
    char digits[12];
    size_t n = 0, at = 0;
    do {
        digits[n++] = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    while (n)
        out[at++] = digits[--n];
    return str_of(out, at);
}

void reply_start(struct gw_call *c, struct reply *h)
{
    h->n = 0;
    reply_header(h, "Cache-Control", STR("no-store"));
    if (c->ticket.id[0]) {
        reply_header(h, "Socle-Entry", str_of(c->ticket.id, ID_LEN));
        reply_header(h, "Socle-Commitment", str_of(c->ticket.commitment, JOURNAL_COMMITMENT_LEN));
    }
    if (c->cached)
        reply_header(h, "Age", number(h->age, (unsigned)c->age_s));
    if (c->traceparent[0])
        reply_header(h, "Traceparent", str_from(c->traceparent));
    if (c->route) {
        reply_header(h, "Deprecation", c->route->deprecation);
        reply_header(h, "Sunset", c->route->sunset);
    }
    if (!c->quota || !c->quota->per_minute)
        return;
    unsigned left = quota_left(c->quota) * c->g->n_loops;
    reply_header(h, "RateLimit-Limit", number(h->limit, c->k->quota_per_minute));
    reply_header(h, "RateLimit-Remaining",
                 number(h->left, left < c->k->quota_per_minute ? left : c->k->quota_per_minute));
    reply_header(h, "RateLimit-Reset", number(h->reset, quota_reset_s(c->quota)));
}

static struct str why_in_detail(struct gw_call *c, enum gw_code code)
{
    if (code == GW_SIGNATURE && c->why.n)
        return arena_printf(fast_arena(c->x), "It does not hold: " STR_FMT ".", STR_ARG(c->why));
    if (code != GW_CONSENT || !c->denied_at_ms)
        return STR_NONE;
    struct arena *a = fast_arena(c->x);
    return arena_printf(a, "The person withdrew this consent on %s.",
                        clock_rfc3339(a, c->denied_at_ms, false).p);
}

static bool under_dpop(struct gw_call *c, enum gw_code code)
{
    struct str h = http_header_get(fast_head(c->x), "Authorization");
    return code == GW_PROOF || code == GW_TOKEN_BOUND ||
           (h.n > 5 && str_eq_nocase(str_sub(h, 0, 5), STR("DPoP ")));
}

static struct str authenticate(struct gw_call *c, enum gw_code code, const struct gw_fault *f)
{
    struct arena *a = fast_arena(c->x);
    if (!f->oauth)
        return STR_NONE;
    if (f->status == 401 && f->oauth[0] && under_dpop(c, code))
        return arena_printf(a, "DPoP realm=\"socle\", error=\"%s\", algs=\"" DPOP_ALGS "\"",
                            f->oauth);
    if (!f->oauth[0])
        return STR("Bearer realm=\"socle\"");
    if (f->status == 403 && c->route)
        return arena_printf(a, "Bearer realm=\"socle\", error=\"%s\", scope=\"" STR_FMT "\"",
                            f->oauth, STR_ARG(c->route->scope));
    return arena_printf(a, "Bearer realm=\"socle\", error=\"%s\"", f->oauth);
}

static bool names_provider(enum gw_code code)
{
    return code == GW_PROVIDER || code == GW_PROVIDER_FORM || code == GW_PROVIDER_DOWN ||
           code == GW_PROVIDER_SLOW || code == GW_NO_DATA || code == GW_REQUEST ||
           code == GW_BREAKER || code == GW_LIMIT || code == GW_SHARE;
}

void call_fail(struct gw_call *c, enum gw_code code)
{
    const struct gw_fault *f = gw_fault(code);
    struct reply h;
    struct buf text;
    struct fast *x = c->x;
    struct gw_problem p = {.code = code,
                           .detail = why_in_detail(c, code),
                           .in = c->fault.in,
                           .field = c->fault.name,
                           .rule = code == GW_FIELD ? c->fault.rule : NULL,
                           .trace_id = str_from(fast_trace_id(x)),
                           .base_url = c->g->pf->settings->base_url};
    if (names_provider(code))
        p.provider = c->route->provider_fr;
    c->answered = true;
    call_stop_asking(c);
    call_outcome(c, f->status, f->code, NULL);
    if (f->status >= 500)
        log_info("gateway_refused", "trace", p.trace_id.p, "code", f->code, "api",
                 c->route ? c->route->key.p : "");
    reply_start(c, &h);
    bool entreprise = c->route && c->route->policy.entreprise_errors;
    reply_header(&h, "Content-Type",
                 entreprise ? STR("application/json") : STR("application/problem+json"));
    reply_header(&h, "WWW-Authenticate", authenticate(c, code, f));
    if (code == GW_SIGNATURE)
        reply_header(&h, "Accept-Signature", SIGNATURE_ASKED);
    if (code == GW_METHOD)
        reply_header(&h, "Allow", c->route->allow);
    unsigned retry_s = code == GW_QUOTA ? quota_retry_s(c->quota) : f->retry_s;
    if (c->retry_s && (code == GW_BREAKER || code == GW_LIMIT))
        retry_s = c->retry_s;
    if (retry_s)
        reply_header(&h, "Retry-After", number(h.retry, retry_s));
    buf_init(&text, 4096);
    if (entreprise)
        entreprise_write(&text, &p, retry_s, c->lacks);
    else
        gw_problem_write(&text, &p);
    fast_answer(x, f->status, h.list, h.n, buf_str(&text));
    buf_free(&text);
}
