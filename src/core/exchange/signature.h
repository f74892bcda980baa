/* Signed messages at the gateway (RFC 9421, docs/formats/message-signature.md): requests that a
 * consumer signs, answers that the platform signs, where the contract asks for them. */
#ifndef EXCHANGE_SIGNATURE_H
#define EXCHANGE_SIGNATURE_H

#include "core/exchange/call.h"

#define SIGNATURE_ASKED                                                                         \
    STR("sig=(\"@method\" \"@target-uri\" \"authorization\" \"content-digest\");created;keyid;" \
        "tag=\"socle-request\"")

/* Which key signs this loop's answers. */
void signature_start(struct gateway *g);

/* GW_OK; or GW_SIGNATURE, and c->why says why. The body is whole. */
enum gw_code signature_check(struct gw_call *c);

/* Answers with Content-Digest and a signature: asks the keys process, and the answer leaves when
 * that one has signed. Copies what it is given. */
void signature_answer(struct gw_call *c, const struct http_header *h, size_t n, struct str body);

#endif
