/* Every way the gateway says no: one table, so that codes are stable and no refusal is improvised.
 */
#ifndef EXCHANGE_FAULTS_H
#define EXCHANGE_FAULTS_H

#include "base/buf.h"

enum gw_code {
    GW_OK,
    GW_PATH,          /* 400 */
    GW_UPGRADE,       /* 400: another protocol is asked for */
    GW_PURPOSE,       /* 400: context, object or recipient missing */
    GW_TOKEN_MISSING, /* 401 */
    GW_TOKEN_INVALID,
    GW_TOKEN_EXPIRED,
    GW_TOKEN_REVOKED,
    GW_TOKEN_BOUND, /* sent without what it is bound to */
    GW_PROOF,       /* a DPoP proof that does not hold */
    GW_SIGNATURE,   /* the contract asks for signed requests */
    GW_CLEAR,       /* 403: in clear, where the address is https */
    GW_SCOPE,
    GW_CONTRACT,
    GW_CONSENT,
    GW_RECIPIENT,
    GW_ROUTE,         /* 404 */
    GW_NO_DATA,       /* 404 said by the provider */
    GW_METHOD,        /* 405 */
    GW_BODY,          /* 413 */
    GW_FIELD,         /* 422: the request is not what the description says */
    GW_REQUEST,       /* 422: the provider refuses the request's content */
    GW_QUOTA,         /* 429 */
    GW_SHARE,         /* 429: others ask too */
    GW_TOKEN_FLOOD,   /* 429 */
    GW_PROVIDER,      /* 502 */
    GW_PROVIDER_FORM, /* 502: an answer that is not what the contract allows */
    GW_STALE,         /* 503 */
    GW_JOURNAL,       /* 503 */
    GW_PROVIDER_DOWN, /* 503 */
    GW_BUSY,          /* 503 */
    GW_BREAKER,       /* 503 */
    GW_LIMIT,         /* 503: the provider's own */
    GW_PROVIDER_SLOW, /* 504 */
    GW_CODE_COUNT
};

struct gw_fault {
    const char *code; /* "EXC-403-CONSENT" */
    int status;
    const char *title, *detail; /* English, as RFC 9457 says; detail may be replaced */
    const char *oauth;          /* RFC 6750 3.1 error for WWW-Authenticate; NULL: no such header */
    unsigned retry_s;           /* Retry-After; 0: none */
};
const struct gw_fault *gw_fault(enum gw_code code);

struct gw_problem {
    enum gw_code code;
    struct str detail;             /* .p NULL: the table's */
    struct str provider;           /* named when the provider is the cause */
    const char *in, *field, *rule; /* what of the request breaks which rule; NULL */
    struct str trace_id;
    const char *base_url; /* where the codes are explained */
};
/* application/problem+json (RFC 9457 3.1). */
void gw_problem_write(struct buf *out, const struct gw_problem *p);

#endif
