/* Outgoing mail: queued with the act that causes it, in the same transaction, and sent by `jobs`
 * through the relay of the setting `mail_relay`. A mail is plain text in one language; a
 * recipient's address is personal and lies sealed under its owner's key until it is sent. */
#ifndef PLATFORM_MAIL_H
#define PLATFORM_MAIL_H

#include "platform/ctx.h"

struct mail {
    const char *owner;  /* whose key seals it: a person id, "org:ID" or "operator" */
    struct str to;      /* one address (RFC 5321 mailbox, no display name) */
    struct str subject; /* one line, UTF-8 */
    struct str text;    /* UTF-8, lines ended by \n; at most 16 KB */
    const char *kind;   /* "identity.new_device": counted in metrics, never personal */
};
/* Seals it, ready for mail_queue. Outside a transaction: it may ask `keys`. ERR_INVALID: an address
 * that is none, or a line break in it or in the subject. */
struct mail_sealed {
    char id[27];
    const char *owner, *kind;
    struct str data;
};
enum err mail_seal(struct ctx *c, const struct mail *m, struct mail_sealed *out) MUST_CHECK;
bool mail_address_ok(struct str to);
/* Inside the closure of a transaction. Without a relay in the settings nothing is queued: mail_seal
 * leaves `data` empty. owner and kind must live until then. */
enum err mail_queue(struct db_conn *db, const struct mail_sealed *m, int64_t now_ms) MUST_CHECK;
/* In jobs, every second: sends what is due in a thread of its own; tries again after 1, 2, 4 ...
 * minutes, gives up after 12 tries and logs it without the address. */
void mail_tick(struct platform *pf, int64_t now_ms);

#endif
