/* The answer's half of the gateway. The provider is asked while the journal writes the decision;
 * what the provider sends waits here until the decision is durable, and only what the contract
 * allows goes on. A call ends once, in call_fail or in one of the finish functions. */
#include "core/exchange/call.h"

#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/codec.h"
#include "base/log.h"
#include "core/exchange/reply.h"
#include "core/exchange/sample.h"
#include "core/exchange/signature.h"
#include "core/exchange/stages.h"
#include "data/xmlfilter.h"

enum {
    JOURNAL_WAIT_MS = 2000,
    SWEEP_MS = 250,
    REQUEST_BODY_MAX = 1 << 20,
    FILTERED_MAX = 8 << 20, /* a document to filter must be whole */
    WHOLE_MAX = 64 * 1024,  /* passed through in one piece */
    HELD_MAX = 256 * 1024,  /* kept while the decision is not durable; then reading pauses */
    SPARE_MAX = 256,
    SPARE_BUF_MAX = 64 * 1024,
    PAUSE_S = 5,
    PAUSE_S_MAX = 300,
};

static void on_body(struct fast *x, struct str piece, bool last);
static void on_drain(struct fast *x);
static void on_close(struct fast *x);
static const struct fast_ops fast_ops = {on_body, on_drain, on_close};

/* In UTF-8, said or not: another charset would make two readers see two documents. */
static bool is_xml(struct str type)
{
    struct str rest = type, t, part;
    if (!str_split(&rest, ';', &t))
        return false;
    t = str_trim(t);
    if (!str_eq_nocase(t, STR("application/xml")) && !str_eq_nocase(t, STR("text/xml")) &&
        !(t.n > 4 && str_eq_nocase(str_after(t, t.n - 4), STR("+xml"))))
        return false;
    while (rest.n && str_split(&rest, ';', &part)) {
        part = str_trim(part);
        if (str_eq_nocase(str_sub(part, 0, 8), STR("charset=")) &&
            !str_eq_nocase(str_after(part, 8), STR("utf-8")) &&
            !str_eq_nocase(str_after(part, 8), STR("\"utf-8\"")))
            return false;
    }
    return true;
}

static void up_head(struct upstream_call *u, const struct http_head *h);
static void up_body(struct upstream_call *u, struct str piece);
static void up_end(struct upstream_call *u, enum err e, bool sent);
static const struct upstream_ops up_ops = {up_head, up_body, up_end};

/* ---- a call's life ------------------------------------------------------------------------------
 */
struct gw_call *call_new(struct gateway *g, struct fast *x)
{
    struct gw_call *c = g->spare;
    if (c) {
        g->spare = c->next_spare;
        g->n_spare--;
    } else {
        c = calloc(1, sizeof *c);
        if (!c)
            abort();
        buf_init(&c->body, REQUEST_BODY_MAX);
        buf_init(&c->content, FILTERED_MAX);
    }
    c->g = g;
    c->x = x;
    c->began_us = clock_mono_us();
    fast_take(x, &fast_ops, c);
    return c;
}

static void buf_keep(struct buf *b)
{
    if (b->cap > SPARE_BUF_MAX) {
        size_t ceiling = b->ceiling;
        buf_free(b);
        buf_init(b, ceiling);
    } else {
        buf_reset(b);
    }
}

/* Gone when nobody points at it: neither the engine, nor the journal's client. */
void call_release(struct gw_call *c)
{
    struct gateway *g = c->g;
    if (c->x || c->deciding || c->signing)
        return;
    if (c->view)
        gateway_view_unref(c->view);
    token_unref(c->token);
    if (g->n_spare == SPARE_MAX) {
        buf_free(&c->body);
        buf_free(&c->content);
        free(c);
        return;
    }
    struct buf body = c->body, content = c->content;
    buf_keep(&body);
    buf_keep(&content);
    *c = (struct gw_call){.body = body, .content = content, .next_spare = g->spare};
    g->spare = c;
    g->n_spare++;
}

/* What the provider did is known, or will not be. */
static void provider_judged(struct gw_call *c, enum health_end end)
{
    if (!c->judge_owed)
        return;
    c->judge_owed = false;
    health_done(c->health, &c->route->policy, loop_now_ms(c->g->loop), end,
                clock_mono_us() - c->asked_us, c->probe);
    c->probe = false;
}

static void provider_left(struct gw_call *c)
{
    if (c->flying)
        health_give(c->health, &row_of(c->quota)->flying);
    c->flying = false;
}

/* Admitted, and then not asked after all: the breaker's probe is free again. */
static void probe_return(struct gw_call *c)
{
    if (c->probe)
        c->health->probing = false;
    c->probe = false;
}

void call_stop_asking(struct gw_call *c)
{
    provider_judged(c, HEALTH_LEFT);
    provider_left(c);
    probe_return(c);
    if (c->up && !c->up_ended)
        upstream_cancel(c->up);
    c->up = NULL;
    c->up_ended = true;
}

void call_outcome(struct gw_call *c, int status, const char *code, const struct record_fields *f)
{
    struct record_end end = {.k = c->k,
                             .fields = f,
                             .status = status,
                             .code = code,
                             .bytes = c->bytes_out,
                             .cached = c->cached,
                             .age_s = c->age_s,
                             .took_us = clock_mono_us() - c->began_us};
    if (c->quota && c->k && !c->counted) {
        c->counted = true;
        usage_count(&((struct quota_row *)c->quota)->usage, !code && status != 0, c->bytes_out);
    }
    if (!c->recorded)
        return;
    c->recorded = false;
    record_outcome(c->g->lane, &c->ticket, &end);
}

/* ---- the list of decisions that are waited for
 * --------------------------------------------------- */
static void waiting_add(struct gw_call *c)
{
    struct gateway *g = c->g;
    c->waiting_since_ms = loop_now_ms(g->loop);
    c->older = g->waiting_last;
    if (g->waiting_last)
        g->waiting_last->newer = c;
    else
        g->waiting_first = c;
    g->waiting_last = c;
    if (g->waiting_first == c)
        loop_timer_set(g->loop, &g->waiting_timer, SWEEP_MS);
}

static void waiting_del(struct gw_call *c)
{
    struct gateway *g = c->g;
    if (c->older)
        c->older->newer = c->newer;
    else
        g->waiting_first = c->newer;
    if (c->newer)
        c->newer->older = c->older;
    else
        g->waiting_last = c->older;
    c->older = c->newer = NULL;
}

static void waiting_sweep(struct loop_timer *t)
{
    struct gateway *g = (struct gateway *)((char *)t - offsetof(struct gateway, waiting_timer));
    int64_t too_old_ms = loop_now_ms(g->loop) - JOURNAL_WAIT_MS;
    struct gw_call *c = g->waiting_first, *next;
    /* The list is in order of time; a refused call leaves it only when its `done` comes. */
    for (; c && c->waiting_since_ms <= too_old_ms; c = next) {
        next = c->newer;
        if (c->x && !c->answered)
            call_fail(c, GW_JOURNAL);
    }
    if (g->waiting_first)
        loop_timer_set(g->loop, &g->waiting_timer, SWEEP_MS);
}

void relay_start(struct gateway *g)
{
    g->waiting_timer.fn = waiting_sweep;
    buf_init(&g->filtered, FILTERED_MAX);
    buf_init(&g->values, FILTERED_MAX);
}

/* ---- BODY
 * ---------------------------------------------------------------------------------------- */
STAGE_AT(body);
void call_read_body(struct gw_call *c)
{
    if (fast_head(c->x)->content_length > REQUEST_BODY_MAX)
        call_fail(c, GW_BODY);
    else
        fast_body_start(c->x);
}

static void on_body(struct fast *x, struct str piece, bool last)
{
    struct gw_call *c = fast_get(x);
    if (c->answered)
        return;
    buf_add_str(&c->body, piece);
    if (c->body.err != ERR_OK)
        call_fail(c, GW_BODY);
    else if (last)
        call_go(c);
}

/* ---- DECISION and UPSTREAM
 * ----------------------------------------------------------------------- */
static void try_finish(struct gw_call *c);

STAGE_AT(wait);
static void decision_done(struct journal_call *wait, enum err e, uint64_t index)
{
    struct gw_call *c = (struct gw_call *)((char *)wait - offsetof(struct gw_call, wait));
    (void)index;
    c->deciding = false;
    waiting_del(c);
    if (!c->x) {
        call_release(c);
        return;
    }
    if (c->answered)
        return;
    if (e != ERR_OK) {
        call_fail(c, GW_JOURNAL);
        return;
    }
    c->decided = true;
    try_finish(c);
}

static struct record_call record_of(const struct gw_call *c)
{
    const struct http_head *h = fast_head(c->x);
    return (struct record_call){.k = c->k,
                                .token = c->token,
                                .consent = c->consent,
                                .method = str_from(http_method_name(h->method)),
                                .target = h->target,
                                .body = buf_str(&c->body),
                                .purpose = c->purpose,
                                .cached = c->cached,
                                .trace_id = fast_trace_id(c->x),
                                .at_ms = c->at_ms};
}

static enum err decide_record(struct gw_call *c)
{
    struct record_call rec = record_of(c);
    c->wait.done = decision_done;
    enum err e = record_decision(c->g->lane, &rec, &c->ticket, &c->wait);
    if (e == ERR_OK) {
        c->deciding = c->recorded = true;
        waiting_add(c);
    }
    return e;
}

/* W3C trace context: the caller's trace goes on; the entry's last characters make our span. */
static void trace_make(struct gw_call *c)
{
    static const char hex[] = "0123456789abcdef";
    char *p = c->traceparent;
    memcpy(p, "00-", 3);
    memcpy(p + 3, fast_trace_id(c->x), 32);
    p[35] = '-';
    for (int i = 0; i < 8; i++) {
        unsigned char b = c->ticket.salt[i] ^ 0x5a;
        p[36 + 2 * i] = hex[b >> 4];
        p[37 + 2 * i] = hex[b & 15];
    }
    memcpy(p + 52, "-01", 4);
}

STAGE_AT(request);
static bool request_checked(struct gw_call *c)
{
    const struct exchange_route *t = c->route;
    const struct request r = {.head = fast_head(c->x),
                              .rest = c->rest,
                              .body = buf_str(&c->body),
                              .ours = t->policy.credential.kind == CREDENTIAL_QUERY
                                          ? t->policy.credential.name
                                          : STR("")};
    if (!t->book || request_fits(t->book, fast_arena(c->x), &r, &c->fault))
        return true;
    c->lacks = c->fault.name;
    return false;
}

void call_go(struct gw_call *c)
{
    if ((c->k->signatures & EXCHANGE_SIGNED_REQUESTS) && signature_check(c) != GW_OK) {
        call_fail(c, GW_SIGNATURE);
        return;
    }
    if (!request_checked(c)) {
        call_fail(c, GW_FIELD);
        return;
    }
    if (decide_record(c) != ERR_OK) {
        call_fail(c, GW_JOURNAL);
        return;
    }
    trace_make(c);
    /* What was kept waits for its decision as what comes does. */
    if (!c->cached && !call_ask(c, &up_ops))
        call_fail(c, GW_PATH);
}

/* ---- what the provider answers
 * ------------------------------------------------------------------- */
static enum gw_code status_code(int status)
{
    if (status >= 200 && status < 300)
        return GW_OK;
    switch (status) {
    case 404:
    case 410:
        return GW_NO_DATA;
    case 400:
    case 409:
    case 415:
    case 422:
        return GW_REQUEST;
    case 429:
    case 503:
        return GW_PROVIDER_DOWN;
    default: /* what else goes wrong there is between the provider and us */
        return GW_PROVIDER;
    }
}

/* The provider's own limit: how long it wants to be left alone; 0: it does not say so. */
static unsigned limit_of(const struct http_head *h)
{
    struct str after = http_header_get(h, "Retry-After");
    uint64_t s;
    int64_t until_ms;
    if (h->status != 429 && !(h->status == 503 && after.p))
        return 0;
    if (!str_to_u64(after, &s)) {
        if (!(until_ms = clock_http_date_read(after)))
            return PAUSE_S; /* not said */
        int64_t left_ms = until_ms - clock_now_ms();
        s = left_ms > 0 ? (uint64_t)(left_ms + 999) / 1000 : 1;
    }
    return s < 1 ? 1 : s > PAUSE_S_MAX ? PAUSE_S_MAX : (unsigned)s;
}

static bool is_json(struct str type)
{
    ptrdiff_t end = str_find_char(type, ';');
    struct str t = str_trim(end >= 0 ? str_sub(type, 0, (size_t)end) : type);
    return str_eq_nocase(t, STR("application/json")) ||
           (t.n > 5 && str_eq_nocase(str_after(t, t.n - 5), STR("+json")));
}

static void up_head(struct upstream_call *u, const struct http_head *h)
{
    struct gw_call *c = upstream_state(u);
    struct str type = http_header_get(h, "Content-Type");
    enum gw_code code = status_code(h->status);
    if (c->answered)
        return;
    unsigned pause_s = limit_of(h);
    if (pause_s) {
        health_limit(c->health, loop_now_ms(c->g->loop), pause_s);
        c->retry_s = pause_s;
        code = GW_LIMIT;
    }
    /* What it says about itself; a slow answer is judged by its time. */
    provider_judged(c, h->status >= 500 && !pause_s ? HEALTH_BAD : HEALTH_GOOD);
    /* A coding that we did not ask for could hide what the filter must see. */
    if (code == GW_OK && http_header_get(h, "Content-Encoding").p)
        code = GW_PROVIDER_FORM;
    c->xml = !c->k->passthrough && c->route->policy.xml && is_xml(type);
    if (code == GW_OK && !c->k->passthrough && h->status != 204 && !c->xml && !is_json(type))
        code = GW_PROVIDER_FORM;
    if (code == GW_OK && type.n > sizeof c->content_type)
        code = GW_PROVIDER_FORM;
    if (code != GW_OK) {
        call_fail(c, code);
        return;
    }
    c->status = h->status;
    c->length = h->content_length;
    kept_judge(c, h);
    c->content_type_n = type.n;
    if (type.n)
        memcpy(c->content_type, type.p, type.n);
    /* What is signed is whole before its first byte leaves: docs/formats/message-signature.md. */
    bool whole = !c->k->passthrough || (c->k->signatures & EXCHANGE_SIGNED_ANSWERS);
    c->answer = !whole && (c->length < 0 || c->length > WHOLE_MAX) ? ANSWER_STREAM : ANSWER_WHOLE;
}

static void pause_provider(struct gw_call *c, bool pause)
{
    if (c->up_paused == pause || c->up_ended || !c->up)
        return;
    c->up_paused = pause;
    upstream_pause(c->up, pause);
}

static void stream_begin(struct gw_call *c)
{
    struct reply h;
    reply_start(c, &h);
    reply_header(&h, "Content-Type", str_of(c->content_type, c->content_type_n));
    c->answered = true;
    fast_begin(c->x, c->status, h.list, h.n, c->length);
}

static void stream_write(struct gw_call *c, struct str piece)
{
    c->bytes_out += piece.n;
    if (!fast_write(c->x, piece))
        pause_provider(c, true);
}

static void up_body(struct upstream_call *u, struct str piece)
{
    struct gw_call *c = upstream_state(u);
    if (c->answer == ANSWER_STREAM && c->answered) {
        stream_write(c, piece);
        return;
    }
    if (c->answered || c->answer == ANSWER_NONE)
        return;
    buf_add_str(&c->content, piece);
    if (c->content.err != ERR_OK)
        call_fail(c, GW_PROVIDER_FORM);
    else if (c->answer == ANSWER_STREAM && c->decided)
        try_finish(c);
    else if (c->answer == ANSWER_STREAM && c->content.n > HELD_MAX)
        pause_provider(c, true);
}

/* Only what did nothing and can be done twice is asked again: a whole method by its meaning, and
 * not a byte of an answer. A provider that was slow is not asked twice. */
static bool ask_again(struct gw_call *c, enum err e)
{
    enum http_method m = fast_head(c->x)->method;
    if ((e != ERR_IO && e != ERR_UNAVAILABLE) || c->answer != ANSWER_NONE || c->answered ||
        m == HTTP_POST || m == HTTP_PATCH || c->retries >= c->route->policy.retries ||
        c->health->state != BREAKER_CLOSED)
        return false;
    c->retries++;
    return call_ask(c, &up_ops);
}

static void up_end(struct upstream_call *u, enum err e, bool sent)
{
    struct gw_call *c = upstream_state(u);
    (void)sent;
    c->up_ended = true;
    c->up = NULL;
    provider_judged(c, e == ERR_OK ? HEALTH_GOOD : HEALTH_BAD);
    provider_left(c);
    if (c->answered) {
        if (c->answer != ANSWER_STREAM)
            return;
        call_outcome(c, e == ERR_OK ? c->status : 0,
                     e == ERR_OK ? NULL : gw_fault(GW_PROVIDER)->code, NULL);
        if (e == ERR_OK)
            fast_end(c->x);
        else
            fast_abort(c->x);
        return;
    }
    if (e == ERR_OK)
        try_finish(c);
    else if (!ask_again(c, e))
        call_fail(c, e == ERR_TIMEOUT       ? GW_PROVIDER_SLOW
                     : e == ERR_UNAVAILABLE ? GW_PROVIDER_DOWN
                                            : GW_PROVIDER);
}

/* ---- FILTER and the end
 * -------------------------------------------------------------------------- */
static void answer_whole(struct gw_call *c, struct str body, const struct record_fields *f)
{
    struct reply h;
    reply_start(c, &h);
    reply_header(&h, "Content-Type", str_of(c->content_type, c->content_type_n));
    c->answered = true;
    c->bytes_out = body.n;
    call_outcome(c, c->status, NULL, f);
    kept_put(c);
    if (c->k->signatures & EXCHANGE_SIGNED_ANSWERS)
        signature_answer(c, h.list, h.n, body);
    else
        fast_answer(c->x, c->status, h.list, h.n, body);
}

STAGE_AT(filter);
static void finish_filtered(struct gw_call *c)
{
    struct gateway *g = c->g;
    struct record_fields *f = &g->fields;
    buf_reset(&g->filtered);
    f->values = &g->values;
    record_fields_clear(f);
    enum err e = (c->xml ? xml_filter_run : json_filter_run)(c->k->filter, buf_str(&c->content),
                                                             &g->filtered, record_field_seen, f);
    if (e != ERR_OK || g->filtered.err != ERR_OK)
        call_fail(c, GW_PROVIDER_FORM);
    else
        answer_whole(c, buf_str(&g->filtered), f);
}

/* Goes as far as what is there allows: no byte before the decision is durable. */
static void try_finish(struct gw_call *c)
{
    if (!c->decided || c->answered || c->answer == ANSWER_NONE)
        return;
    enum gw_code code = call_still_allowed(c);
    if (code != GW_OK) { /* what was decided before holds no more: she reads that too */
        struct record_call rec = record_of(c);
        record_refusal(c->g->lane, &rec, code);
        call_fail(c, code);
        return;
    }
    if (c->answer == ANSWER_STREAM) {
        bool ended = c->up_ended;
        struct fast *x = c->x;
        stream_begin(c);
        if (c->content.n)
            stream_write(c, buf_str(&c->content));
        buf_reset(&c->content);
        if (ended) {
            call_outcome(c, c->status, NULL, NULL);
            fast_end(x);
        } else {
            pause_provider(c, false);
        }
    } else if (c->up_ended) {
        if (!c->xml)
            sample_offer(c);
        if (c->k->passthrough || c->status == 204)
            answer_whole(c, c->k->passthrough ? buf_str(&c->content) : STR_NONE, NULL);
        else
            finish_filtered(c);
    }
}

static void on_drain(struct fast *x)
{
    pause_provider(fast_get(x), false);
}

static void on_close(struct fast *x)
{
    struct gw_call *c = fast_get(x);
    /* Gone before its answer: what is owed is recorded without a status. */
    call_outcome(c, 0, NULL, NULL);
    call_stop_asking(c);
    c->x = NULL;
    c->answered = true;
    call_release(c);
}
