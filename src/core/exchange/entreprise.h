/* Refusals as API Entreprise gives them: {"errors":[{code,title,detail,source,meta}]}. */
#ifndef EXCHANGE_ENTREPRISE_H
#define EXCHANGE_ENTREPRISE_H

#include "core/exchange/faults.h"

struct entreprise_error {
    const char *code; /* five digits: 00 ours, 90 the provider's */
    const char *title, *detail;
    const char *parameter; /* what the call lacks; NULL */
};
/* Each code has one. */
const struct entreprise_error *entreprise_error(enum gw_code code);

/* retry_s 0: retry_in is null. parameter NULL: the table's. */
void entreprise_write(struct buf *out, const struct gw_problem *p, unsigned retry_s,
                      const char *parameter);

#endif
