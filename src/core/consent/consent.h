/* Consents by API: services outside the gateway keep, check and end them here too (P5.1.4.a), and
 * are told when data must be deleted. */
#ifndef CONSENT_CONSENT_H
#define CONSENT_CONSENT_H

#include "platform/ctx.h"

route_handler consent_api_give, consent_api_list, consent_api_one, consent_api_withdraw,
    consent_api_notices, consent_api_acknowledge;
/* [{client_id, told_at, acknowledged_at}] of one consent. */
enum err consent_notices(struct ctx *c, const char *consent_id, json_t **out) MUST_CHECK;
/* Inside the closure that withdraws. */
enum err consent_notice_add(struct db_conn *db, struct str consent_id, struct str client_id,
                            int64_t now_ms) MUST_CHECK;

#endif
