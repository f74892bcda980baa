/* OpenID Connect Back-Channel Logout 1.0: clients that registered an address are told when a
 * session ends, and this platform's own sites end theirs at once. */
#ifndef IDENTITY_BACKCHANNEL_H
#define IDENTITY_BACKCHANNEL_H

#include "core/identity/client.h"

/* Must this client be told? Then session_client gets a row with its code. */
bool backchannel_wants(struct ctx *c, const struct client *k);
/* Inside a closure. */
enum err backchannel_note(struct db_conn *db, struct str sid, struct str client_id,
                          int64_t until_ms) MUST_CHECK;

/* The session `sid` of a person has ended. */
enum err backchannel_end(struct ctx *c, struct str sid, struct str person) MUST_CHECK;

/* Sends what is due; in jobs, in a thread of its own. */
void backchannel_deliver(struct platform *pf);

#endif
