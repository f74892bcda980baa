/* What the files of httpsig.h share. Private to this folder. */
#ifndef CRYPTO_HTTPSIG_INNER_H
#define CRYPTO_HTTPSIG_INNER_H

#include "crypto/httpsig.h"

bool httpsig_same_component(const struct sfv_item *x, const struct sfv_item *y);
/* The inner list with its parameters, as in Signature-Input and on the last line of the base. */
enum err httpsig_params_write(struct buf *b, const struct httpsig *s) MUST_CHECK;

#endif
