/* One call through the gateway, and the loop's gateway it belongs to. Shared by gateway.c (may it
 * be made?) and relay.c (making it). */
#ifndef EXCHANGE_CALL_H
#define EXCHANGE_CALL_H

#include "core/exchange/kept.h"
#include "core/exchange/decide.h"
#include "core/exchange/feed.h"
#include "core/exchange/health.h"
#include "core/exchange/record.h"
#include "core/exchange/usage.h"
#include "web/server.h"

/* A snapshot as this loop holds it; counted without atomics. */
struct gateway_view {
    struct exchange_snapshot *snapshot;
    unsigned refs;
};
void gateway_view_unref(struct gateway_view *v);

struct quota_row {
    struct quota quota; /* first: a call's quota leads to its row */
    struct usage usage;
    unsigned flying;       /* its calls under way */
    struct health *health; /* of its route, as of health_version */
    uint64_t health_version;
    char id[];
};
struct flood_row {
    unsigned failures;
    char remote[48];
};

struct gw_call;
struct gateway {
    struct platform *pf;
    struct loop *loop;
    unsigned n_loops;
    struct str issuer, audience;
    bool tls_only; /* this program ends TLS, and its address is https */
    struct record_lane *lane;
    struct upstreams *upstreams;
    struct feed_listener listener;
    struct gateway_view *view; /* NULL: nothing known yet */
    uint64_t view_version;
    struct deny_list deny;
    struct kept kept;
    struct token_cache tokens;
    char message_kid[44]; /* of the key that signs answers */
    struct map quotas;
    struct map healths; /* "api/version" -> struct health */
    struct map floods;
    struct flood_row flood_rows[1024];
    size_t n_floods;
    int64_t flood_second;
    unsigned verified;
    /* Calls whose decision is not durable yet, oldest first: one timer for all. */
    struct gw_call *waiting_first, *waiting_last;
    struct loop_timer waiting_timer;
    struct gw_call *spare; /* to use again, with their buffers */
    unsigned n_spare;
    struct buf filtered, values; /* of the call that is being filtered */
    struct record_fields fields;
};
void relay_start(struct gateway *g);
static inline struct quota_row *row_of(struct quota *q)
{
    return (struct quota_row *)q;
}

enum call_answer { ANSWER_NONE, ANSWER_WHOLE, ANSWER_STREAM };

struct gw_call {
    struct gateway *g;
    struct fast *x; /* NULL once the exchange is over */
    struct gateway_view *view;
    struct token *token;
    const struct exchange_route *route;
    const struct exchange_contract *k;
    struct quota *quota;
    struct health *health;
    bool probe;                /* of a breaker that is half open */
    bool flying, judge_owed;   /* counted among those under way; the provider was asked */
    unsigned retry_s, retries; /* what to tell; how often the provider was asked again */
    int64_t asked_us;
    uint64_t view_seen, deny_seen; /* when it was admitted */
    const char *lacks;             /* the parameter that is missing or breaks a rule; NULL */
    struct request_fault fault;    /* .rule NULL: none */
    struct str rest, consent;
    struct call_purpose purpose;
    int64_t at_ms, began_us, denied_at_ms;

    struct journal_call wait;
    struct record_ticket ticket;
    struct str signature_label; /* of the request's signature that held; "" none */
    struct str why;             /* why it did not, for the refusal */
    bool signing;               /* the keys process is asked for the answer's signature */
    bool deciding;              /* the journal's client holds `wait` */
    bool decided;               /* the decision is durable */
    bool answered;              /* an answer was begun or refused: nothing more is decided */
    bool counted;               /* in the usage of its contract */
    bool recorded;              /* a decision was sent, so an outcome is owed */
    int64_t waiting_since_ms;
    struct gw_call *older, *newer;

    struct upstream_call *up;
    bool up_ended, up_paused;
    enum call_answer answer;
    bool xml;        /* it is filtered as XML */
    bool cached;     /* it was kept (kept.h) ... */
    uint64_t age_s;  /* ... when it was that old; of the provider's, what it says of itself */
    int64_t keep_ms; /* how long the provider's may be kept; 0: not */
    int status;
    int64_t length; /* of the provider's body; -1 unknown */
    char content_type[128];
    size_t content_type_n;
    char traceparent[56];
    struct buf body;    /* the request's */
    struct buf content; /* the provider's */
    uint64_t bytes_out;
    struct gw_call *next_spare;
};

struct gw_call *call_new(struct gateway *g, struct fast *x);
void call_fail(struct gw_call *c, enum gw_code code);
void call_read_body(struct gw_call *c);
void call_go(struct gw_call *c);
/* Again, before the first byte of an answer: a consent or a contract may have gone meanwhile. GW_OK
 * or why not. */
enum gw_code call_still_allowed(struct gw_call *c) MUST_CHECK;
/* Asks the provider (ask.c). False: it cannot be asked so. */
bool call_ask(struct gw_call *c, const struct upstream_ops *ops) MUST_CHECK;
void call_release(struct gw_call *c);
/* The provider is not waited for any more. */
void call_stop_asking(struct gw_call *c);
/* Once of each decision; later ones are nothing. status 0: the caller is gone; code NULL:
 * delivered.
 */
void call_outcome(struct gw_call *c, int status, const char *code, const struct record_fields *f);

#endif
