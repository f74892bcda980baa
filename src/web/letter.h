/* One mail handed to a relay: SMTP by libcurl (RFC 5321). Blocks. The relay is an operator's
 * setting, so it may be inside; TLS is required unless it is on this machine. */
#ifndef WEB_LETTER_H
#define WEB_LETTER_H

#include "base/arena.h"
#include "base/err.h"

struct letter {
    struct str relay;           /* "smtp://host:25" (STARTTLS) or "smtps://host:465" */
    struct str login, password; /* .n 0: none */
    struct str from, to;        /* mailboxes */
    struct str message;         /* RFC 5322, lines ended by CRLF */
};
/* ERR_DENIED: the relay refuses this mail for good (5xx); ERR_INVALID: the relay's address;
 * ERR_UNAVAILABLE and ERR_TIMEOUT: later, perhaps. */
enum err letter_send(struct arena *a, const struct letter *l) MUST_CHECK;

#endif
