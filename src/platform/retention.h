/* How long the journal keeps what makes its entries readable: by kind, as the setting `retention`
 * says ("identity.signin=36": months). The entries and their proofs stay for ever; they name
 * nobody. */
#ifndef PLATFORM_RETENTION_H
#define PLATFORM_RETENTION_H

#include "platform/platform.h"

#define RETENTION_MONTH_MS (30436875LL * 864 / 10) /* 365.2425 days / 12 */

/* ERR_INVALID: not a list of KIND=MONTHS (1 to 1200) with blanks between. */
enum err retention_check(const char *text) MUST_CHECK;
/* Months that a kind is kept; 0: for ever. */
int64_t retention_months(const struct settings *s, const char *kind);
/* In jobs, each second: erases what is due, once a day. */
enum err retention_sweep(struct platform *pf, int64_t now_ms) MUST_CHECK;

#endif
