/* Technical traces: what services send about themselves by syslog and by API, searched by
 * operators, and rules that tell of brute force and harvesting (docs/formats/trace-event.md). */
#ifndef CORE_TRACES_H
#define CORE_TRACES_H

#include "platform/ctx.h"

enum trace_outcome { OUTCOME_UNKNOWN, OUTCOME_OK, OUTCOME_FAILED, OUTCOME_REFUSED };
enum { TRACE_TEXTS = 8, TRACE_TEXT_MAX = 2048, TRACE_BATCH_MAX = 5000, SEVERITY_INFO = 6 };
enum trace_text { T_HOST, T_APP, T_EVENT, T_ACTOR, T_OBJECT, T_ADDRESS, T_TRACE, T_MESSAGE };
extern const char *const trace_text_names[TRACE_TEXTS];
extern const char *const trace_severity_names[8];

struct trace_event {
    int64_t at_ms;
    uint8_t severity, facility, outcome;
    struct str texts[TRACE_TEXTS];
};

/* ---- reading what is sent (event.c, syslog.c): slices of the arena
 * --------------------------------
 */
/* ERR_INVALID: *rule says why. */
enum err trace_event_from_json(struct arena *a, const json_t *v, int64_t now_ms,
                               struct trace_event *out, const char **rule) MUST_CHECK;
/* RFC 5424; what is none becomes the message of an event of now. Never fails. */
void trace_event_from_syslog(struct arena *a, struct str line, int64_t now_ms,
                             struct trace_event *out);
/* Takes one frame off *rest (RFC 6587). false: not whole yet; *err ERR_INVALID: no framing at all,
 * ERR_LIMIT: longer than any may be. */
bool trace_frame_next(struct str *rest, struct str *frame, enum err *err);
/* Fills what plain words tell (login failures of sshd and its like) and members leave out. */
void trace_event_understand(struct arena *a, struct trace_event *e);

/* ---- keeping (block.c, store.c)
 * -------------------------------------------------------------------
 */
struct trace_keys {
    uint64_t words[2];
    uint8_t seal[32];
};
enum err trace_keys_get(struct ctx *c, struct trace_keys *out) MUST_CHECK;

enum { BLOCK_EVENTS = 1000 };
struct trace_block {
    int64_t from_ms, to_ms;
    size_t n;
    int severity;
    struct str words, data;
};
void trace_block_make(struct arena *a, const struct trace_keys *k, const struct trace_event *events,
                      size_t n, struct trace_block *out);
/* ERR_CORRUPT. */
enum err trace_block_open(struct arena *a, const struct trace_keys *k, struct str data,
                          struct trace_event **events, size_t *n) MUST_CHECK;
/* All words of an event, folded, with blanks between. */
struct str trace_event_words(struct arena *a, const struct trace_event *e);
bool trace_words_may_hold(struct str words, const struct trace_keys *k, struct str word);

/* Durable when it returns. */
enum err trace_store(struct ctx *c, struct str source, const struct trace_event *events,
                     size_t n) MUST_CHECK;
/* Merges small blocks, deletes old ones. */
enum err trace_compact(struct platform *pf, int64_t now_ms) MUST_CHECK;

/* ---- searching (search.c)
 * -------------------------------------------------------------------------
 */
struct trace_query {
    struct str words, source; /* words: as typed, all must be there; source .n 0: every one */
    int severity;             /* this grave or graver; 7: all */
    int64_t from_ms, to_ms;   /* 0: open */
    size_t limit;
};
struct trace_found {
    struct str source;
    struct trace_event event;
};
/* Newest first. */
enum { TRACE_FOUND_MAX = 500 };
enum err trace_search(struct ctx *c, const struct trace_query *q, struct trace_found **out,
                      size_t *n) MUST_CHECK;
json_t *trace_found_json(struct ctx *c, const struct trace_found *f);

/* ---- counting and alerts (count.c, rules.c, alert.c, follow.c)
 * ------------------------------------
 */
enum trace_metric { M_FAILED_ACTOR, M_FAILED_ADDRESS, M_READ, M_REFUSED, M_ACTS, METRICS };
enum { TEN_MINUTES_MS = 600000, HOUR_MS = 3600000, SKETCH_BYTES = 512 };
extern const int64_t trace_bucket_ms[METRICS];
struct trace_counts;
struct trace_counts *trace_counts_new(struct arena *a, const struct trace_keys *k);
void trace_counts_free(struct trace_counts *t);
void trace_counts_add(struct trace_counts *t, const struct trace_event *e);
/* Inside a closure. */
enum err trace_counts_write(struct db_conn *db, const struct trace_counts *t,
                            int64_t now_ms) MUST_CHECK;
size_t trace_sketch_count(struct str sketch); /* distinct values, about */

enum trace_measure { BY_COUNT, BY_DISTINCT, BY_SHARE, BY_HOUR };
struct trace_rule {
    const char *id; /* "brute-force-account": texts `traces/rule.<id>`; setting `trace_rules` */
    enum trace_metric metric;
    enum trace_measure measure;
    int64_t at_least;
    int64_t factor; /* times what is usual; of BY_SHARE: percent */
};
enum { TRACE_RULES = 6 };
extern const struct trace_rule trace_rules[TRACE_RULES];
/* Looks at what was counted since the last look; raises, prolongs. In jobs. */
enum err trace_rules_run(struct platform *pf, int64_t now_ms) MUST_CHECK;

struct trace_alert {
    struct str id, rule, group, state, closed_by; /* group: the actor or address */
    int64_t first_ms, last_ms, n, usual;
};
/* Newest first; open ones first. */
enum err trace_alerts(struct ctx *c, bool all, struct trace_alert **out, size_t *n) MUST_CHECK;
enum err trace_alert_close(struct ctx *c, struct str id, struct str by) MUST_CHECK;
json_t *trace_alert_json(struct ctx *c, const struct trace_alert *x);
/* n_usual: what is usual, 0 when nothing is known. */
enum err trace_alert_raise(struct ctx *c, const struct trace_rule *rule, struct str grp, int64_t n,
                           int64_t usual, int64_t now_ms) MUST_CHECK;

/* Brings the journal's own exchanges to the rules. In jobs. */
enum err trace_follow_journal(struct platform *pf) MUST_CHECK;

/* ?q, severity, from, to, limit of a request; fails with TRC-422-QUERY. */
enum err traces_query_read(struct ctx *c, struct trace_query *q) MUST_CHECK;

/* ---- doors
 * ---------------------------------------------------------------------------------------
 */
enum err traces_api_add(struct ctx *c);
enum err traces_api_list(struct ctx *c);
enum err traces_page_search(struct ctx *c);
enum err traces_page_alerts(struct ctx *c);
enum err traces_page_close(struct ctx *c);
int traces_cli(struct platform *pf, int argc, char **argv);
enum err traces_syslog_start(struct platform *pf) MUST_CHECK;

#endif
