/* How providers are doing: pings (ping.c), what is shown of them (status.c), and reference sets
 * against what their bodies commit to. */
#ifndef CATALOGUE_STATUS_H
#define CATALOGUE_STATUS_H

#include "platform/ctx.h"

enum { STATUS_DAYS = 90 };

/* In jobs: starts the thread that pings, where the setting ping_seconds is not 0. */
void ping_tick(struct platform *pf);
void ping_round_run(struct platform *pf);

/* {at, up, total, items: [{api, version, title, provider, state, state_key, availability (per
 * 10,000; absent: unknown), took_ms, at, days: [per 10,000 or -1, oldest first], incidents:
 * [{began, ended, status}], reference}]}; the context's. */
enum err status_all(struct ctx *c, json_t **out) MUST_CHECK;

route_handler page_status, api_status, page_references, api_references;

#endif
