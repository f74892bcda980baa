/* What the provider is asked: the path behind its prefix, the call's query, who asks and why, and
 * the credential the route shows. Nothing of the caller's own headers goes on but the body's type.
 */
#include "core/exchange/call.h"

#include "base/clock.h"
#include "base/codec.h"
#include "core/exchange/stages.h"

enum { HEADERS_MAX = 12 };

struct asking {
    struct http_header list[HEADERS_MAX];
    size_t n;
    char *target, *end;
    bool full, has_query;
};

static void header(struct asking *k, struct str name, struct str value)
{
    if (value.n && k->n < HEADERS_MAX)
        k->list[k->n++] = (struct http_header){name, value};
}

static void add(struct asking *k, struct str s)
{
    if ((size_t)(k->end - k->target) < s.n) {
        k->full = true;
        return;
    }
    if (s.n)
        memcpy(k->target, s.p, s.n);
    k->target += s.n;
}

static void add_query(struct asking *k, struct str pair)
{
    if (!pair.n)
        return;
    add(k, k->has_query ? STR("&") : STR("?"));
    add(k, pair);
    k->has_query = true;
}

/* The call's own query must not bear the parameter that is our key: which of two a provider reads
 * is its own affair. */
static bool query_has(struct str query, struct str name)
{
    struct str part;
    while (query.n && str_split(&query, '&', &part)) {
        ptrdiff_t eq = str_find_char(part, '=');
        struct str decoded, key = eq >= 0 ? str_sub(part, 0, (size_t)eq) : part;
        struct arena a;
        arena_init(&a);
        bool same = codec_url(&a, key, true, &decoded) != ERR_OK || str_eq(decoded, name);
        arena_free(&a);
        if (same)
            return true;
    }
    return false;
}

/* API Entreprise and its like want the purpose as parameters; the call may have said it in headers.
 */
static void purpose_add(struct asking *k, struct gw_call *c, const char *header_name,
                        const char *param, struct str value)
{
    struct arena *a = fast_arena(c->x);
    if (value.n && http_header_get(fast_head(c->x), header_name).p)
        add_query(k, arena_printf(a, "%s=" STR_FMT, param, STR_ARG(codec_to_url(a, value))));
}

static bool target_make(struct asking *k, struct gw_call *c, char *room, size_t size)
{
    const struct exchange_route *r = c->route;
    struct str query = fast_head(c->x)->query;
    k->target = room;
    k->end = room + size;
    add(k, r->prefix);
    add(k, c->rest);
    if (k->target == room)
        add(k, STR("/"));
    if (r->policy.credential.kind == CREDENTIAL_QUERY) {
        if (query_has(query, r->policy.credential.name))
            return false;
        add_query(k, r->credential);
    }
    add_query(k, query);
    if (r->policy.credential.purpose) {
        purpose_add(k, c, "Socle-Context", "context", c->purpose.context);
        purpose_add(k, c, "Socle-Object", "object", c->purpose.object);
        purpose_add(k, c, "Socle-Recipient", "recipient", c->purpose.recipient);
    }
    return !k->full;
}

STAGE_AT(upstream);
bool call_ask(struct gw_call *c, const struct upstream_ops *ops)
{
    const struct http_head *h = fast_head(c->x);
    const struct exchange_route *r = c->route;
    struct asking k = {.n = 0};
    char target[HTTP_TARGET_MAX];
    if (!target_make(&k, c, target, sizeof target))
        return false;
    header(&k, STR("Accept"), c->k->passthrough ? STR("*/*") : STR("application/json"));
    header(&k, STR("Socle-Subject"), c->token->identity);
    header(&k, STR("Socle-Contract"), c->k->id);
    header(&k, STR("Socle-Purpose"), c->k->purpose_header);
    header(&k, STR("Socle-Entry"), str_of(c->ticket.id, ID_LEN));
    header(&k, STR("Socle-Commitment"), str_of(c->ticket.commitment, JOURNAL_COMMITMENT_LEN));
    header(&k, STR("traceparent"), str_from(c->traceparent));
    if (r->credential_header.n)
        header(&k, r->credential_header, r->credential);
    if (c->body.n)
        header(&k, STR("Content-Type"), http_header_get(h, "Content-Type"));
    c->up = upstream_send(c->g->upstreams, &r->origin, h->method,
                          str_of(target, (size_t)(k.target - target)), k.list, k.n,
                          buf_str(&c->body), ops, c);
    if (!c->up)
        return false;
    c->up_ended = false;
    c->asked_us = clock_mono_us();
    c->judge_owed = true;
    if (health_first(c->health, row_of(c->quota)->flying))
        upstream_hurry(c->up);
    health_take(c->health, &row_of(c->quota)->flying);
    c->flying = true;
    return true;
}
