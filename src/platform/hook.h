/* Outgoing webhooks: an organisation gives an address, and hears of what concerns it. Queued with
 * the act that causes it, in the same transaction; sent by `jobs`, signed, tried again after 1, 2,
 * 4 ... minutes, given up after 12 tries, replayable while it is kept (docs/formats/webhook.md). */
#ifndef PLATFORM_HOOK_H
#define PLATFORM_HOOK_H

#include "platform/ctx.h"

enum { HOOK_BODY_MAX = 16 * 1024, HOOK_TRIES_MAX = 12, HOOK_KEPT_DAYS = 30 };

/* Where an organisation is told, from now on; a new secret, shown once. An empty url: no more. An
 * act: `actor` did it. ERR_INVALID: not http or https. */
enum err hook_set(struct ctx *c, struct str org, struct str url, struct str actor,
                  struct str *secret) MUST_CHECK;
/* "": it has none. */
enum err hook_url(struct ctx *c, struct str org, struct str *url) MUST_CHECK;

/* Inside the closure of a transaction. members: a JSON object's text, whose members follow v, id,
 * event and at in what is sent; without an address nothing is queued. */
enum err hook_queue(struct db_conn *db, struct str org, const char *event, struct str members,
                    int64_t now_ms) MUST_CHECK;

/* Sends it again, whatever became of it. org: whose it must be; STR_NONE: anybody's. */
enum err hook_replay(struct ctx *c, struct str org, struct str id) MUST_CHECK;
/* [{id, event, state, tries, status, at, next_at}], newest first; the context's. */
enum err hook_deliveries(struct ctx *c, struct str org, json_t **out) MUST_CHECK;

/* "sha256=" and the HMAC of "<timestamp>.<body>", hex: of what is sent, and of what such a sender
 * sends here. */
struct str hook_signature(struct arena *a, struct str secret, struct str timestamp,
                          struct str body);
/* How long to wait after that many tries have failed. */
int64_t hook_backoff_ms(int64_t tries);

/* In jobs, every second: a thread of its own sends what is due, and drops what is old. */
void hook_tick(struct platform *pf, int64_t now_ms);

#endif
