/* What the journal keeps of a call: the decision (durable before any byte of data leaves), the
 * outcome (which nobody waits for), and the person's own copy, sealed. Formats:
 * docs/formats/exchange-entry.md and exchange-side.md. */
#ifndef EXCHANGE_RECORD_H
#define EXCHANGE_RECORD_H

#include "base/rand.h"
#include "core/exchange/snapshot.h"
#include "core/exchange/tokens.h"
#include "platform/platform.h"

enum { RECORD_FIELDS_MAX = EXCHANGE_FIELDS_MAX };

/* One per loop: its way to the journal, and what it writes with. */
struct record_lane;
struct record_lane *record_lane_new(struct platform *pf, struct loop *l, unsigned index);

/* What a call says why it is made; empty slices where it says nothing. */
struct call_purpose {
    struct str context, object, recipient;
};

struct record_call {
    const struct exchange_contract *k;
    const struct token *token;
    struct str consent;
    struct str method, target, body;
    struct call_purpose purpose;
    bool cached; /* the provider is not asked: its answer was kept */
    const char *trace_id;
    int64_t at_ms;
};

/* The identity of a decision: what its outcome refers to. */
struct record_ticket {
    char id[ID_LEN + 1];
    char commitment[JOURNAL_COMMITMENT_LEN + 1]; /* leaf's hash: docs/formats/receipt.md */
    uint8_t salt[JOURNAL_SALT_LEN];
};

/* Appends; call->done comes later in the loop's thread, once the entry is durable or is not to be
 * had. An error here: it will not come. */
enum err record_decision(struct record_lane *r, const struct record_call *c,
                         struct record_ticket *t, struct journal_call *call) MUST_CHECK;

/* A call that was refused although its contract is known: the person reads that it was tried.
 * Nobody waits. Refusals that do not concern her (a quota, a method) are not kept. */
void record_refusal(struct record_lane *r, const struct record_call *c, enum gw_code code);

/* What of each field was delivered, gathered while the filter runs: the raw values in the
 * document's order, those of one path chained. */
struct record_fields {
    struct buf *values;
    struct {
        uint32_t from, n, next; /* next: of the same path, 1 more than its place; 0: the last */
    } list[4096];
    size_t n;
    uint32_t first[RECORD_FIELDS_MAX], last[RECORD_FIELDS_MAX]; /* by path, 1 more; 0: none */
    bool more; /* there were more: the outcome says so */
};
void record_fields_clear(struct record_fields *f);
void record_field_seen(void *record_fields, size_t path_index, struct str raw_value);

struct record_end {
    const struct exchange_contract *k;
    const struct record_fields *fields; /* NULL: none delivered, or passed through */
    int status;                         /* as answered; 0: the consumer went away */
    const char *code;                   /* of the refusal; NULL: delivered */
    uint64_t bytes;
    bool cached; /* the provider's answer was kept, and that old */
    uint64_t age_s;
    int64_t took_us;
};
/* Nobody waits, nobody is told. */
void record_outcome(struct record_lane *r, const struct record_ticket *t,
                    const struct record_end *e);

#endif
