#include "core/exchange/health.h"

#include "base/log.h"

enum {
    WINDOW_MS = 10000,
    DOUBLINGS = 3,
    LIMIT_S_MAX = 300,
    SHARED = 256, /* a loop's connections to one provider (web/upstream_inner.h) */
    ALONE = 1024, /* with those that wait for one */
    SHARE_LEAST = 4,
};

const char *const breaker_names[] = {"closed", "open", "half-open"};

static void state_set(struct health *h, enum breaker_state s)
{
    if (h->state == s)
        return;
    if (s == BREAKER_OPEN)
        health_count(h, HEALTH_OPENED, 1);
    if (s != BREAKER_HALF_OPEN)
        log_info("breaker", "api", h->api, "version", h->version, "state", breaker_names[s]);
    h->state = s;
    atomic_store_explicit(&h->state_now, (int)s, memory_order_relaxed);
}

static void window_begin(struct health *h, int64_t now_ms)
{
    h->window_ms = now_ms;
    h->calls = h->bad = 0;
}

static unsigned seconds_up(int64_t ms)
{
    return ms > 0 ? (unsigned)((ms + 999) / 1000) : 1;
}

enum gw_code health_admit(struct health *h, const struct exchange_policy *p, int64_t now_ms,
                          bool *probe, unsigned *retry_s)
{
    enum gw_code code = GW_OK;
    *probe = false;
    if (p->breaker.calls == 0 && h->state != BREAKER_CLOSED)
        state_set(h, BREAKER_CLOSED); /* it was taken away */
    if (h->limit_until_ms > now_ms) {
        code = GW_LIMIT;
        *retry_s = seconds_up(h->limit_until_ms - now_ms);
    } else if (h->state != BREAKER_CLOSED && (h->open_until_ms > now_ms || h->probing)) {
        code = GW_BREAKER;
        *retry_s = seconds_up(h->open_until_ms - now_ms);
    } else if (h->state != BREAKER_CLOSED) {
        state_set(h, BREAKER_HALF_OPEN);
        h->probing = *probe = true;
    }
    if (code != GW_OK)
        health_count(h, HEALTH_REFUSED, 1);
    return code;
}

static void breaker_open(struct health *h, const struct exchange_policy *p, int64_t now_ms)
{
    unsigned doublings = h->opened_in_row < DOUBLINGS ? h->opened_in_row : DOUBLINGS;
    h->opened_in_row++;
    h->open_until_ms = now_ms + ((int64_t)p->breaker.open_s * 1000 << doublings);
    state_set(h, BREAKER_OPEN);
}

static void probe_done(struct health *h, const struct exchange_policy *p, int64_t now_ms, bool bad)
{
    if (bad) {
        breaker_open(h, p, now_ms);
        return;
    }
    h->opened_in_row = 0;
    window_begin(h, now_ms);
    state_set(h, BREAKER_CLOSED);
}

void health_done(struct health *h, const struct exchange_policy *p, int64_t now_ms,
                 enum health_end end, int64_t took_us, bool probe)
{
    bool slow = p->breaker.calls && took_us > (int64_t)p->breaker.slow_ms * 1000;
    bool bad = end == HEALTH_BAD || slow;
    health_count(h, HEALTH_CALLS, 1);
    health_count(h, HEALTH_TOOK_US, took_us > 0 ? (uint64_t)took_us : 0);
    if (end == HEALTH_BAD)
        health_count(h, HEALTH_ERRORS, 1);
    if (slow)
        health_count(h, HEALTH_SLOW, 1);
    if (probe)
        h->probing = false;
    if (p->breaker.calls == 0 || (end == HEALTH_LEFT && !slow))
        return;
    if (probe) {
        probe_done(h, p, now_ms, bad);
        return;
    }
    if (h->state != BREAKER_CLOSED)
        return; /* it began before the breaker opened */
    if (now_ms - h->window_ms > WINDOW_MS)
        window_begin(h, now_ms);
    h->calls++;
    h->bad += bad;
    if (h->calls >= p->breaker.calls && h->bad * 100 >= h->calls * p->breaker.percent)
        breaker_open(h, p, now_ms);
}

void health_limit(struct health *h, int64_t now_ms, unsigned seconds)
{
    int64_t until_ms = now_ms + (seconds < LIMIT_S_MAX ? seconds : LIMIT_S_MAX) * (int64_t)1000;
    if (until_ms > h->limit_until_ms)
        h->limit_until_ms = until_ms;
}

bool health_share(const struct health *h, unsigned mine)
{
    unsigned callers = h->callers + (mine == 0);
    unsigned part = callers < 2 ? ALONE : SHARED / callers;
    return mine < (part > SHARE_LEAST ? part : SHARE_LEAST);
}

bool health_first(const struct health *h, unsigned mine)
{
    unsigned callers = h->callers + (mine == 0);
    return callers > 1 && mine < SHARED / callers;
}

void health_take(struct health *h, unsigned *mine)
{
    h->flying++;
    h->callers += (*mine)++ == 0;
}

void health_give(struct health *h, unsigned *mine)
{
    h->flying--;
    h->callers -= --*mine == 0;
}
