/* What certificate we show which provider (mTLS towards it): the file client-<api>.pem of the
 * certificates' folder, whose key is in the keys process. */
#ifndef EXCHANGE_SHOWN_H
#define EXCHANGE_SHOWN_H

#include "platform/platform.h"

struct wire_identity;
void shown_start(struct platform *pf);
/* NULL: none. What it gives stays for good: connections may hold it. Not for loops: reads files. */
const struct wire_identity *shown_for(struct str api);

#endif
