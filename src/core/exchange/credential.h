/* Credentials towards providers. Secrets come in by `socle api secret`, lie wrapped in the database
 * and are opened for the gateway's snapshot only. Tokens of OAuth providers are asked for by the
 * feed's own thread, kept in its memory, and asked for again before they end. */
#ifndef EXCHANGE_CREDENTIAL_H
#define EXCHANGE_CREDENTIAL_H

#include <pthread.h>
#include "core/exchange/snapshot.h"
#include "platform/platform.h"

/* For exchange_snapshot_build. The caller holds the feed's lock. ERR_AGAIN: a token is to be asked
 * for (credential_renew). */
enum err credential_of(struct platform *pf, const struct exchange_route *r, struct str wrapped,
                       struct arena *a, struct str *shown) MUST_CHECK;
/* Asks for tokens that are missing or end soon, waiting outside the lock; true: something is new.
 * *next_ms: how long until one ends, at most what it was. */
bool credential_renew(struct platform *pf, pthread_mutex_t *lock, int64_t *next_ms);

/* Wraps a secret for the table. */
enum err credential_wrap(struct platform *pf, struct str key, struct str secret, struct arena *a,
                         struct str *wrapped) MUST_CHECK;

#endif
