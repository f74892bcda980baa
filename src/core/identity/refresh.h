/* Refresh tokens (RFC 6749 6, OpenID Connect Core 11): one lasting agreement is one row; each use
 * turns it, and what comes again after its turn ends it (RFC 9700 4.14).
 * docs/formats/refresh-token.md */
#ifndef IDENTITY_REFRESH_H
#define IDENTITY_REFRESH_H

#include "core/identity/mint.h"

/* How long a lasting agreement holds from the sign-in: six months. */
extern const int64_t refresh_life_ms;

/* Does a lasting agreement of hers with this client hold? Else she is asked for it. */
enum err refresh_holds(struct ctx *c, struct str person, struct str client_id,
                       bool *out) MUST_CHECK;

/* For a code whose scope has offline_access; its family is m->jti. The token in *token. */
enum err refresh_begin(struct ctx *c, struct minting *m, struct str *token) MUST_CHECK;

/* The grant_type=refresh_token request, whole. */
enum err refresh_use(struct ctx *c, const struct client *k, const struct binding *b) MUST_CHECK;

/* Ends the family of a refresh token of this client. ERR_NOT_FOUND: it is none. */
enum err refresh_revoke(struct ctx *c, const struct client *k, struct str token) MUST_CHECK;

/* Inside a closure: ends a family and all access tokens it gave; ERR_CONFLICT when it had ended. */
enum err refresh_end(struct db_conn *db, struct str family, int64_t now_ms) MUST_CHECK;

#endif
