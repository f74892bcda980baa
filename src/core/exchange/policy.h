/* How the gateway treats a provider: its patience, its breaker, what it shows it. Read from the
 * member `gateway` of an API's declaration (docs/formats/exchange-declaration.md). */
#ifndef EXCHANGE_POLICY_H
#define EXCHANGE_POLICY_H

#include "data/json.h"

enum credential_kind {
    CREDENTIAL_NONE,
    CREDENTIAL_HEADER,
    CREDENTIAL_QUERY,
    CREDENTIAL_BASIC,
    CREDENTIAL_BEARER,
    CREDENTIAL_OAUTH,
};

struct exchange_policy {
    int answer_ms;
    unsigned retries, sample;
    bool entreprise_errors;
    bool xml;       /* answers may be XML, and are filtered as such */
    bool unchecked; /* requests are not held against the description */
    unsigned cache_s;
    bool cache_personal;
    struct {
        unsigned calls, percent, slow_ms, open_s;
    } breaker; /* calls 0: none */
    struct {
        enum credential_kind kind;
        bool purpose;
        struct str name, user, token_url, client_id, scope;
    } credential;
};

/* v: the object, or NULL for all defaults. Texts are copied into `a`. NULL, or the member that is
 * not acceptable. */
const char *policy_read(const json_t *v, struct arena *a, struct exchange_policy *out) MUST_CHECK;

/* What is sent of a secret: the value of a header ("Basic ..."), or "name=secret" for a query. */
struct str policy_shown(const struct exchange_policy *p, struct str secret, struct arena *a);
/* The header's name; "" for a query or none. */
struct str policy_header(const struct exchange_policy *p);

#endif
