/* What the two sides of a wallet's sign-in share (wallet.c, wallet_page.c). */
#ifndef IDENTITY_WALLET_INNER_H
#define IDENTITY_WALLET_INNER_H

#include "core/identity/wallet.h"
#include "crypto/x5c.h"

enum level wallet_level(const struct ctx *c);
/* "x509_hash:...": this platform's name among wallets. */
enum err wallet_client_id(struct ctx *c, struct str *out) MUST_CHECK;

#endif
