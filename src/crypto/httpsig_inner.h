/* What the files of httpsig.h share. Private to this folder. */
#ifndef CRYPTO_HTTPSIG_INNER_H
#define CRYPTO_HTTPSIG_INNER_H

#include "crypto/httpsig.h"

bool httpsig_same_component(const struct sfv_item *x, const struct sfv_item *y);

#endif
