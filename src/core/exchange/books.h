/* The request books (request.h) of the APIs that have a description, kept as the catalogue has
 * them: a thread of its own reads what changed, so that a description of megabytes holds no
 * withdrawal up. */
#ifndef EXCHANGE_BOOKS_H
#define EXCHANGE_BOOKS_H

#include "core/exchange/request.h"
#include "platform/platform.h"

/* changed: called in that thread when a book is new or gone. */
enum err books_start(struct platform *pf, void (*changed)(void)) MUST_CHECK;
/* The configuration changed: look again. */
void books_look(void);
/* A reference for the caller; NULL: it has none. key: "api/version". */
struct request_book *books_get(struct str key);

#endif
