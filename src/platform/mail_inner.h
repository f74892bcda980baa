/* What the platform and mail's tests need of mail beyond mail.h. */
#ifndef PLATFORM_MAIL_INNER_H
#define PLATFORM_MAIL_INNER_H

#include "platform/mail.h"

enum { MAIL_MIGRATIONS = 1 };
extern const struct db_migration mail_migrations[MAIL_MIGRATIONS];
extern const struct service service_mail;

/* The message as the relay gets it (RFC 5322), CRLF at line ends. */
struct str mail_message(struct arena *a, struct str from, const char *id, int64_t at_ms,
                        const struct mail *m);
void mail_metrics(struct ctx *c, struct buf *b); /* Prometheus */

#endif
