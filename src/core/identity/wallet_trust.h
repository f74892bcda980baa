/* Whose credentials are believed, and whether one is: the issuers of docs/formats/wallet-issuers.md
 * and everything that is compared before a claim is read. */
#ifndef IDENTITY_WALLET_TRUST_H
#define IDENTITY_WALLET_TRUST_H

#include "crypto/sdjwt.h"

struct wallet_trust;
/* ERR_INVALID: *why says which rule the text breaks (static). */
enum err wallet_trust_read(struct str json, struct wallet_trust **out, const char **why) MUST_CHECK;
void wallet_trust_free(struct wallet_trust *t);

struct wallet_wanted {
    struct str vcts; /* types that are an identity, blank-separated */
    struct sdjwt_wanted binding;
};
/* An SD-JWT VC with its key binding: of a trusted issuer, of a wanted type, valid now, shown by its
 * holder for this request. ERR_DENIED: *why (static), and no personal value in it. The caller owns
 * *claims. */
enum err wallet_verify(struct arena *a, const struct wallet_trust *t, struct str presentation,
                       const struct wallet_wanted *w, json_t **claims, const char **why) MUST_CHECK;

#endif
