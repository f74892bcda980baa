/* Authorization codes (RFC 6749 4.1.2): a secret whose hash names the row and which alone opens it.
 */
#ifndef IDENTITY_CODE_H
#define IDENTITY_CODE_H

#include "core/identity/client.h"
#include "platform/ctx.h"

struct code_data {
    struct str client_id, redirect_uri, person, scope, claims, nonce, challenge, dpop_jkt,
        id_claims;
    const json_t *session; /* the issuer's session's data: acr, amr, auth_time_ms, sid */
};

struct code_row {
    struct str id, client_id, data;
    int64_t until_ms, keep_until_ms;
};
enum err code_make(struct ctx *c, const struct client *k, const struct code_data *d,
                   struct str *code, struct code_row *row) MUST_CHECK;
enum err code_insert(struct db_conn *db, const struct code_row *row) MUST_CHECK; /* in a closure */

struct code_found {
    struct str id, client_id;
    json_t *data; /* client_id, redirect_uri, person, scope, claims, nonce, challenge, acr, amr,
                   * auth_time_ms, sid, provider; the context's pool owns it */
    int64_t until_ms, used_at_ms, keep_until_ms;
    struct str jti; /* of the token it gave, once used */
};
enum err code_find(struct ctx *c, struct str code, struct code_found *out) MUST_CHECK;
/* Marks it used for the token `jti`. ERR_CONFLICT: used before. */
enum err code_use(struct ctx *c, struct str id, struct str jti) MUST_CHECK;
/* A used code came again: what it gave is revoked (RFC 6749 4.1.2). */
enum err code_replayed(struct ctx *c, const struct code_found *f) MUST_CHECK;

#endif
