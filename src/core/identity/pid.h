/* From the European identity (PID, as the wallets' reference framework encodes it in SD-JWT VC) to
 * the claims that identity providers send. */
#ifndef IDENTITY_PID_H
#define IDENTITY_PID_H

#include "platform/ctx.h"

/* What a wallet is asked for, as a DCQL query (OpenID4VP 6): the pivot and nothing else. vcts is
 * blank-separated. The caller owns it. */
json_t *pid_query(struct str vcts);
extern const char PID_CREDENTIAL[]; /* its id in the query */

/* A place of birth in France is looked up in the register of communes. What is missing stays
 * missing: pivot_read refuses it by its name. The caller owns the result. */
json_t *pid_claims(struct ctx *c, const json_t *pid);

#endif
