/* What this floor reads, as what crypto/httpsig.h signs and verifies. */
#ifndef WEB_MESSAGE_H
#define WEB_MESSAGE_H

#include "crypto/httpsig.h"
#include "web/http.h"

/* `base_url` is scheme and authority ("https://a.example:8443"): what the caller meant, whatever
 * Host says. Slices of both, and of the arena. */
struct httpsig_message message_of_head(struct arena *a, const struct http_head *h,
                                       struct str base_url);

#endif
