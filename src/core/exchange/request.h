/* What an API's description says of requests, compiled: methods and paths, their parameters, the
 * body's media types and schemas. Made beside the loops out of catalogue.operations, never changed,
 * shared by snapshots; a call is held against it without asking anybody, in bounded steps. */
#ifndef EXCHANGE_REQUEST_H
#define EXCHANGE_REQUEST_H

#include "data/json.h"
#include "data/schema.h"
#include "web/http.h"

enum { REQUEST_JSON_MAX = 64 * 1024, REQUEST_STEPS_MAX = 10000 };

struct request_book;
/* One reference. operations: what catalogue.operations gives; what is needed of it is kept. */
struct request_book *request_book_new(const json_t *operations);
struct request_book *request_book_ref(struct request_book *b);
void request_book_unref(struct request_book *b); /* NULL: nothing */

struct request_fault {
    const char *in, *rule; /* "query", "path", "body", "header"; the keyword */
    char name[SCHEMA_PATH_MAX];
};

struct request {
    const struct http_head *head;
    struct str rest; /* the path behind the API's version */
    struct str body;
    struct str ours; /* a parameter that the gateway adds itself; "" none */
};
/* Is it as described? A path that is not described is not looked at. */
bool request_fits(const struct request_book *b, struct arena *a, const struct request *r,
                  struct request_fault *out);

#endif
