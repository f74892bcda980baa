/* The nodes of one platform: one database, a folder of keys and a journal each. A node signs with
 * keys of its own, which never leave it; what it publishes is the union of all nodes' public keys,
 * so that what one signed verifies at any (docs/decisions/0008-keys-of-several-nodes.md). */
#ifndef PLATFORM_NODE_H
#define PLATFORM_NODE_H

#include "platform/platform.h"

enum { NODE_ID_LEN = 16 };
/* Of the journal's public key, which is each node's own and never changes. */
enum err node_id(struct platform *pf, char out[NODE_ID_LEN + 1]) MUST_CHECK;

/* May this folder's keys work on this database? ERR_DENIED, said on stderr: its secrets are not the
 * platform's, or the node was removed. The first node's secrets become the platform's. */
enum err node_check(struct platform *pf) MUST_CHECK;
/* This folder's secrets are the platform's from now on: one was lost and replaced. */
enum err node_take_over(struct platform *pf) MUST_CHECK;

/* Writes this node's public keys where all nodes read them: before it serves, after a rotation, and
 * when `jobs` finds that they differ. ERR_DENIED: the node was removed. */
enum err node_publish(struct platform *pf) MUST_CHECK;
/* Makes the keys that are else made at their first use: with several nodes, a key is published
 * before it signs. */
enum err node_keys_make(struct platform *pf) MUST_CHECK;

/* The public keys of a purpose, of all nodes, this one's first: a JWKS document. */
enum err node_jwks(struct platform *pf, const char *purpose, struct arena *a,
                   struct str *json) MUST_CHECK;
/* Another number each time some node's keys changed: what was read before is stale. In web only. */
unsigned node_keys_turn(void);
/* More than this node serve the platform: what must happen once is asked of the database. In web
 * only, and a moment behind. */
bool node_several(void);

enum err node_start(struct platform *pf) MUST_CHECK;
void node_tick(struct platform *pf, int64_t now_ms);

#endif
