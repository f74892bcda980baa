/* Consents by API: services outside the gateway keep, check and end them here too (P5.1.4.a), and
 * are told when data must be deleted. */
#ifndef CONSENT_CONSENT_H
#define CONSENT_CONSENT_H

#include "platform/ctx.h"

route_handler consent_api_give, consent_api_list, consent_api_one, consent_api_withdraw,
    consent_api_notices, consent_api_acknowledge;
/* receipt.c: a compact JWS; event "given" or "withdrawn"; item as in consent.list. */
enum err consent_receipt(struct ctx *c, const json_t *item, const char *client_id,
                         const char *event, struct str *jws) MUST_CHECK;
route_handler consent_page_receipt, consent_api_receipt, consent_api_client_receipt;
/* [{client_id, told_at, acknowledged_at}] of one consent. */
enum err consent_notices(struct ctx *c, const char *consent_id, json_t **out) MUST_CHECK;
/* Inside the closure that withdraws. */
enum err consent_notice_add(struct db_conn *db, struct str consent_id, struct str client_id,
                            int64_t now_ms) MUST_CHECK;

#endif
