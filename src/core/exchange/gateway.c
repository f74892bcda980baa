/* The request's half of the gateway: from a head to a call that may be made. Straight down in one
 * function, gateway_fast: FRESH ROUTE TOKEN DECIDE METHOD PURPOSE QUOTA CACHE HEALTH BODY, then
 * relay.c. Nothing here waits, asks the database or takes a lock. */
#include "core/exchange/gateway.h"

#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/codec.h"
#include "base/log.h"
#include "core/exchange/call.h"
#include "core/exchange/proof.h"
#include "core/exchange/signature.h"
#include "core/exchange/stages.h"
#include "platform/change.h"

enum {
    TOKENS_MAX = 4096,
    STALE_MS = 1000,
    VERIFIES_PER_SECOND = 5000, /* of a loop: a third of its time */
    FAILURES_PER_SECOND = 20,   /* of an address */
    REFUSAL_EVERY_MS = 1000,    /* of a token under a contract: recorded ones */
};

/* ---- what the feed brings -----------------------------------------------------------------------
 */
void gateway_view_unref(struct gateway_view *v)
{
    if (--v->refs)
        return;
    exchange_snapshot_unref(v->snapshot);
    free(v);
}

/* A key that is published no more (a node was removed) takes with it what it signed. */
static bool key_withdrawn(const struct jwks *before, const struct jwks *now)
{
    for (size_t i = 0; before && i < before->n; i++) {
        bool found = false;
        for (size_t k = 0; now && k < now->n; k++)
            found |= str_eq(jwk_kid(before->keys[i]), jwk_kid(now->keys[k]));
        if (!found)
            return true;
    }
    return false;
}

static void on_snapshot(struct feed_listener *l, struct exchange_snapshot *s)
{
    struct gateway *g = (struct gateway *)((char *)l - offsetof(struct gateway, listener));
    struct gateway_view *v = calloc(1, sizeof *v);
    if (!v)
        abort();
    v->snapshot = s;
    v->refs = 1;
    if (g->view && key_withdrawn(g->view->snapshot->issuer_keys, s->issuer_keys))
        token_cache_clear(&g->tokens);
    if (g->view)
        gateway_view_unref(g->view);
    g->view = v;
    g->view_version++;
    kept_clear(&g->kept);
}

static void on_denials(struct feed_listener *l, const struct feed_denial *list, size_t n)
{
    struct gateway *g = (struct gateway *)((char *)l - offsetof(struct gateway, listener));
    int64_t now_ms = clock_now_ms();
    for (size_t i = 0; i < n; i++) {
        deny_add(&g->deny, list[i].key, list[i].at_ms, list[i].until_ms, now_ms);
        kept_deny(&g->kept, list[i].key);
    }
}

static struct quota *quota_of(void *gateway, struct str contract_id)
{
    struct gateway *g = gateway;
    struct quota_row *row = map_get(&g->quotas, contract_id);
    if (!row) {
        row = calloc(1, sizeof *row + contract_id.n + 1);
        if (!row)
            abort();
        memcpy(row->id, contract_id.p, contract_id.n);
        usage_register(&row->usage, row->id);
        map_set(&g->quotas, str_of(row->id, contract_id.n), row);
    }
    return &row->quota;
}

static struct health *health_of(struct gateway *g, const struct exchange_route *r)
{
    struct health *h = map_get(&g->healths, r->key);
    if (h)
        return h;
    h = calloc(1, sizeof *h + r->key.n);
    if (!h || r->api.n >= sizeof h->api || r->version.n >= sizeof h->version)
        abort(); /* names have 64 characters at most */
    memcpy(h->api, r->api.p, r->api.n);
    memcpy(h->version, r->version.p, r->version.n);
    char *key = (char *)(h + 1);
    memcpy(key, r->key.p, r->key.n);
    map_set(&g->healths, str_of(key, r->key.n), h);
    usage_register_health(h);
    return h;
}

void *gateway_loop_start(struct platform *pf, struct loop *l, unsigned index)
{
    struct gateway *g = calloc(1, sizeof *g);
    if (!g)
        abort();
    g->pf = pf;
    g->loop = l;
    g->n_loops = pf->n_loop_journal_fds ? (unsigned)pf->n_loop_journal_fds : 1;
    g->issuer = str_from(pf->settings->base_url);
    g->audience = g->issuer;
    g->tls_only = pf->settings->tls_port && str_starts(g->issuer, STR("https://"));
    g->lane = record_lane_new(pf, l, index);
    g->upstreams = upstreams_new(l, 256);
    token_cache_init(&g->tokens, TOKENS_MAX);
    deny_init(&g->deny);
    kept_init(&g->kept, l);
    map_init(&g->quotas);
    map_init(&g->healths);
    map_init(&g->floods);
    relay_start(g);
    signature_start(g);
    g->listener =
        (struct feed_listener){.loop = l, .on_snapshot = on_snapshot, .on_denials = on_denials};
    feed_listen(&g->listener);
    return g;
}

/* ---- ROUTE --------------------------------------------------------------------------------------
 */
/* "/gw/{api}/{version}/rest": key is "api/version", rest begins with its '/'. */
static bool path_split(struct str path, struct str *key, struct str *rest)
{
    struct str s = str_after(path, 4);
    ptrdiff_t one = str_find_char(s, '/');
    if (one <= 0)
        return false;
    ptrdiff_t two = str_find_char(str_after(s, (size_t)one + 1), '/');
    size_t n = two < 0 ? s.n : (size_t)(one + 1 + two);
    *key = str_sub(s, 0, n);
    *rest = str_after(s, n);
    return n > (size_t)one + 1;
}

/* The provider must read the path as we do: nothing that one of us could normalise is let through.
 */
static bool path_is_plain(struct str rest)
{
    for (size_t i = 0; i < rest.n; i++) {
        char c = rest.p[i];
        if (c == '/' && i + 1 < rest.n) {
            struct str seg = str_after(rest, i + 1);
            if (seg.p[0] == '/' || seg.p[0] == '.')
                return false;
        }
        if (c == '\\' || c == ';')
            return false;
        if (c == '%') {
            struct str esc = str_sub(rest, i, 3);
            if (esc.n < 3 || str_eq_nocase(esc, STR("%2f")) || str_eq_nocase(esc, STR("%5c")) ||
                str_eq_nocase(esc, STR("%2e")) || str_eq(esc, STR("%00")) ||
                str_eq(esc, STR("%25")))
                return false;
        }
    }
    return true;
}

/* ---- TOKEN --------------------------------------------------------------------------------------
 */
/* Failed verifications per address and second: a flood of garbage costs its sender, not the loop.
 */
static struct flood_row *flood_of(struct gateway *g, struct str remote)
{
    int64_t second = loop_now_ms(g->loop) / 1000;
    if (g->flood_second != second || g->n_floods == COUNT_OF(g->flood_rows)) {
        map_free(&g->floods);
        map_init(&g->floods);
        g->n_floods = 0;
        if (g->flood_second != second)
            g->verified = 0;
        g->flood_second = second;
    }
    struct flood_row *row = map_get(&g->floods, remote);
    if (row || remote.n > sizeof row->remote)
        return row;
    row = &g->flood_rows[g->n_floods++];
    row->failures = 0;
    memcpy(row->remote, remote.p, remote.n);
    map_set(&g->floods, str_of(row->remote, remote.n), row);
    return row;
}

static enum gw_code token_learn(struct gateway *g, struct fast *x, struct str text, int64_t now_ms,
                                struct token **out)
{
    struct flood_row *flood = flood_of(g, fast_remote(x));
    struct token_rules rules = {.keys = g->view->snapshot->issuer_keys,
                                .issuer = g->issuer,
                                .audience = g->audience,
                                .seal_key = g->pf->token_seal,
                                .now_ms = now_ms};
    if (!flood || flood->failures >= FAILURES_PER_SECOND)
        return GW_TOKEN_FLOOD;
    if (++g->verified > VERIFIES_PER_SECOND)
        return GW_BUSY;
    enum gw_code code = token_verify(text, &rules, out);
    if (code != GW_OK) {
        flood->failures++;
        return code;
    }
    token_cache_put(&g->tokens, *out);
    token_unref(*out); /* the cache's reference keeps it */
    return GW_OK;
}

/* PROOF. Those that do not hold count as bad tokens do. */
static enum gw_code possession(struct gateway *g, struct fast *x, struct token *t, bool dpop,
                               int64_t now_ms)
{
    struct flood_row *flood = flood_of(g, fast_remote(x));
    if (!flood || flood->failures >= FAILURES_PER_SECOND)
        return GW_TOKEN_FLOOD;
    enum gw_code code = token_possessed(g, x, t, dpop, now_ms);
    flood->failures += code != GW_OK;
    return code;
}

static enum gw_code token_find(struct gateway *g, struct fast *x, int64_t now_ms,
                               struct token **out)
{
    struct str h = http_header_get(fast_head(x), "Authorization"), signature;
    if (!h.p)
        return GW_TOKEN_MISSING;
    bool bearer = h.n > 7 && str_eq_nocase(str_sub(h, 0, 7), STR("Bearer "));
    if (!bearer && !(h.n > 5 && str_eq_nocase(str_sub(h, 0, 5), STR("DPoP "))))
        return GW_TOKEN_MISSING;
    struct str text = str_trim(str_after(h, bearer ? 7 : 5));
    if (!token_is_formed(text, &signature))
        return GW_TOKEN_INVALID;
    *out = token_cache_get(&g->tokens, text, signature);
    enum gw_code code = *out ? GW_OK : token_learn(g, x, text, now_ms, out);
    if (code != GW_OK || (bearer && !(*out)->jkt.n && !(*out)->x5t.n))
        return code;
    return possession(g, x, *out, !bearer, now_ms);
}

/* ---- PURPOSE ------------------------------------------------------------------------------------
 */
enum { PURPOSE_MAX = 200 };

static struct str purpose_one(struct fast *x, const char *param, const char *header)
{
    const struct http_head *h = fast_head(x);
    struct str rest = h->query, part, value = http_header_get(h, header), decoded;
    size_t n = strlen(param);
    if (value.p)
        return value;
    while (rest.n && str_split(&rest, '&', &part))
        if (part.n > n && part.p[n] == '=' && memcmp(part.p, param, n) == 0)
            return codec_url(fast_arena(x), str_after(part, n + 1), true, &decoded) == ERR_OK
                       ? decoded
                       : STR_NONE;
    return STR_NONE;
}

static bool purpose_is_good(struct str s)
{
    return s.n > 0 && s.n <= PURPOSE_MAX && str_is_utf8(s);
}

static bool recipient_is_named(struct str list, struct str recipient)
{
    struct str part;
    while (list.n && str_split(&list, ' ', &part))
        if (str_eq(part, recipient))
            return true;
    return false;
}

STAGE_AT(purpose);
static enum gw_code purpose_read(struct gw_call *c)
{
    struct call_purpose *p = &c->purpose;
    if (!c->k->purpose_needed)
        return GW_OK;
    p->context = purpose_one(c->x, "context", "Socle-Context");
    p->object = purpose_one(c->x, "object", "Socle-Object");
    p->recipient = purpose_one(c->x, "recipient", "Socle-Recipient");
    c->lacks = !purpose_is_good(p->context)     ? "context"
               : !purpose_is_good(p->object)    ? "object"
               : !purpose_is_good(p->recipient) ? "recipient"
                                                : NULL;
    if (c->lacks)
        return GW_PURPOSE;
    if (c->k->delegated)
        return exchange_is_delegate(c->view->snapshot, c->k, p->recipient, c->at_ms) ? GW_OK
                                                                                     : GW_RECIPIENT;
    return c->k->recipients.n == 0 || recipient_is_named(c->k->recipients, p->recipient)
               ? GW_OK
               : GW_RECIPIENT;
}

/* ---- refusals -----------------------------------------------------------------------------------
 */
/* At most one a second of each token and contract: who insists fills no journal. */
static enum gw_code refuse(struct gateway *g, struct gw_call *c, struct token_grant *grant,
                           enum gw_code code)
{
    const struct http_head *h = fast_head(c->x);
    int64_t now_ms = loop_now_ms(g->loop);
    if (!grant || !grant->k || !str_eq(grant->k->client_id, c->token->client_id) ||
        (grant->refusal_kept_ms && now_ms - grant->refusal_kept_ms < REFUSAL_EVERY_MS))
        return code;
    struct record_call rec = {.k = grant->k,
                              .token = c->token,
                              .consent = grant->consent,
                              .method = str_from(http_method_name(h->method)),
                              .target = h->target,
                              .trace_id = fast_trace_id(c->x),
                              .at_ms = c->at_ms};
    grant->refusal_kept_ms = now_ms;
    record_refusal(g->lane, &rec, code);
    return code;
}

/* HEALTH: may the provider be asked now, and is there a place for one more of this contract? */
STAGE_AT(health);
static enum gw_code provider_admits(struct gateway *g, struct gw_call *c)
{
    struct quota_row *row = row_of(c->quota);
    if (!c->route->ready)
        return GW_PROVIDER_DOWN;
    if (row->health_version != g->view_version) {
        row->health = health_of(g, c->route);
        row->health_version = g->view_version;
    }
    c->health = row->health;
    if (!health_share(c->health, row->flying)) {
        health_count(c->health, HEALTH_REFUSED, 1);
        return GW_SHARE;
    }
    return health_admit(c->health, &c->route->policy, loop_now_ms(g->loop), &c->probe, &c->retry_s);
}

/* ---- the way through ----------------------------------------------------------------------------
 */
static struct decide_in decide_now(struct gw_call *c)
{
    struct gateway *g = c->g;
    return (struct decide_in){.snapshot = g->view->snapshot,
                              .snapshot_version = g->view_version,
                              .deny = &g->deny,
                              .now_ms = c->at_ms,
                              .quota = quota_of,
                              .quota_arg = g};
}

enum gw_code call_still_allowed(struct gw_call *c)
{
    struct gateway *g = c->g;
    struct token_grant *grant;
    if (c->view_seen == g->view_version && c->deny_seen == g->deny.version)
        return GW_OK;
    const struct exchange_route *r = map_get(&g->view->snapshot->routes, c->route->key);
    struct decide_in in = decide_now(c);
    c->view_seen = g->view_version;
    c->deny_seen = g->deny.version;
    return r && r->active ? decide(&in, c->token, r, &grant, &c->denied_at_ms) : GW_ROUTE;
}

STAGE_AT(admit);
static enum gw_code admit(struct gateway *g, struct gw_call *c)
{
    const struct http_head *h = fast_head(c->x);
    struct token_grant *grant;
    struct token *token;
    struct str key;

    /* FRESH: what is older than a second might not know of a withdrawal. */
    if (!g->view || loop_now_ms(g->loop) - change_confirmed_ms() > STALE_MS)
        return GW_STALE;

    if (g->tls_only && !fast_secure(c->x))
        return GW_CLEAR;

    /* ROUTE */
    if (!path_split(h->path, &key, &c->rest))
        return GW_ROUTE;
    c->route = map_get(&g->view->snapshot->routes, key);
    if (!c->route || !c->route->active)
        return GW_ROUTE;
    if (!path_is_plain(c->rest))
        return GW_PATH;

    /* TOKEN */
    c->at_ms = clock_now_ms();
    enum gw_code code = token_find(g, c->x, c->at_ms, &token);
    if (code != GW_OK)
        return code;
    c->token = token;
    token->refs++;

    /* DECIDE: contract, consent, denials, times */
    struct decide_in in = decide_now(c);
    c->view_seen = g->view_version;
    c->deny_seen = g->deny.version;
    code = decide(&in, token, c->route, &grant, &c->denied_at_ms);
    if (code != GW_OK)
        return refuse(g, c, grant, code);
    c->k = grant->k;
    c->consent = grant->consent;
    c->view = g->view;
    c->view->refs++;

    /* METHOD, PURPOSE, QUOTA */
    if (h->upgrade)
        return GW_UPGRADE;
    if (!(c->route->methods & 1u << h->method))
        return GW_METHOD;
    code = purpose_read(c);
    if (code != GW_OK)
        return refuse(g, c, grant, code);
    c->quota = grant->quota;
    if (!quota_take(c->quota, quota_share(c->k->quota_per_minute, g->n_loops),
                    loop_now_ms(g->loop)))
        return GW_QUOTA;
    return kept_find(c) ? GW_OK : provider_admits(g, c);
}

bool gateway_fast(struct platform *pf, struct fast *x)
{
    const struct http_head *h = fast_head(x);
    struct gateway *g = fast_loop_state(x);
    (void)pf;
    if (h->path.n < 4 || memcmp(h->path.p, "/gw/", 4) != 0)
        return false;
    struct gw_call *c = call_new(g, x);
    enum gw_code code = admit(g, c);
    if (code != GW_OK)
        call_fail(c, code);
    else if (h->content_length > 0 || h->chunked)
        call_read_body(c);
    else
        call_go(c);
    return true;
}

bool gateway_explain(struct str method, struct str path)
{
    static const struct {
        const char *stage;
        const struct stage_at *at;
        const char *what;
    } stages[] = {
        {"FRESH", &gateway_at_admit, "the change feed was confirmed within 1 s"},
        {"ROUTE", &gateway_at_admit, "api and version in the snapshot; a plain path"},
        {"TOKEN", &gateway_at_token, "known to the loop, or verified once"},
        {"PROOF", &gateway_at_proof, "of a token bound to a key: signed for this call, sent once"},
        {"DECIDE", &gateway_at_decide, "contract, consent, denials, times"},
        {"METHOD", &gateway_at_admit, "open on this API"},
        {"PURPOSE", &gateway_at_purpose, "context, object, recipient where needed"},
        {"QUOTA", &gateway_at_quota, "the contract's calls per minute"},
        {"CACHE", &gateway_at_cache, "a kept answer of the same call, where the API keeps any"},
        {"HEALTH", &gateway_at_health, "the provider's breaker, its limits, the contract's share"},
        {"BODY", &gateway_at_body, "the request's body, whole, at most 1 MB"},
        {"SIGNED", &gateway_at_signature, "by the consumer's key, where the contract asks"},
        {"REQUEST", &gateway_at_request, "as the API's description says, where there is one"},
        {"DECISION", &gateway_at_decision, "appended to the journal, while ..."},
        {"UPSTREAM", &gateway_at_upstream, "... the provider is asked"},
        {"WAIT", &gateway_at_wait, "nothing leaves before the decision is durable"},
        {"FILTER", &gateway_at_filter, "the contract's fields, all else dropped"},
        {"OUTCOME", &gateway_at_outcome, "appended; nobody waits"},
    };
    if (!str_starts(path, STR("/gw/")))
        return false;
    printf(STR_FMT " " STR_FMT ": the gateway, inside the loop\n", STR_ARG(method), STR_ARG(path));
    for (size_t i = 0; i < COUNT_OF(stages); i++)
        printf("  %-8s %s:%d  %s\n", stages[i].stage, stages[i].at->file, stages[i].at->line,
               stages[i].what);
    return true;
}
