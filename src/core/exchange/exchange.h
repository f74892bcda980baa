/* The exchange's doors for the demonstration's loader and for tests: publish an API, make a
 * contract. Other services meet the exchange through platform_call (docs/CALLS.md). */
#ifndef EXCHANGE_EXCHANGE_H
#define EXCHANGE_EXCHANGE_H

#include "platform/ctx.h"

struct exchange_api_field {
    const char *path; /* "children.given_name": arrays are transparent */
    const char *label_fr, *label_en;
    int sensitivity; /* 0 public, 1 personal, 2 sensitive (fiscal, family), 3 special category */
};

struct exchange_api {
    const char *id, *version; /* "quotient-familial", "v1": letters, digits, '-', '_', '.' */
    const char *org_id;       /* the provider */
    const char *title_fr, *title_en, *summary_fr, *summary_en;
    const char *scope;   /* what a client asks the issuer for; unique among active APIs */
    const char *origin;  /* "http://127.0.0.1:9001" */
    const char *prefix;  /* of the provider's paths: "" or "/api"; no final '/' */
    const char *adapter; /* "json"; or "xml": the origin is an adapter that speaks JSON to us */
    const char *methods; /* NULL: "GET" */
    int circle;          /* 1 core, 2 commons, 3 partners */
    const struct exchange_api_field *fields;
    size_t n_fields;
    const char *policy; /* JSON of the member `gateway`; NULL: as it was, or the defaults */
    bool dated;         /* the days are said; else they stay */
    int64_t deprecated_ms, sunset_ms; /* 0: not */
};

struct exchange_contract_terms {
    const char *id;                 /* NULL: a new one */
    const char *client_id, *org_id; /* the consumer */
    const char *api, *version;
    const char *fields; /* paths, blank-separated; "*" passes bodies through unfiltered */
    const char *purpose_fr, *purpose_en, *basis_fr, *basis_en;
    const char *recipients; /* identifiers, blank-separated; NULL: any */
    bool consent_needed;
    bool delegated;             /* a vendor's: the recipients are the bodies that delegated to it */
    bool purpose_needed;        /* each call must bear context, object and recipient */
    int duration_days;          /* of a consent; 0: 90 */
    int quota_per_minute;       /* 0: none */
    const char *signatures;     /* "none", "requests", "answers", "both"; NULL: as before */
    int64_t starts_ms, ends_ms; /* 0: begun already, whatever the clock; 0: open */
};

/* Creates or replaces, with an entry in the journal; loops follow within 1 s. ERR_INVALID is logged
 * with the member at fault. */
enum err exchange_api_put(struct ctx *c, const struct exchange_api *api) MUST_CHECK;
/* A new contract is active. id_out (may be NULL) is in the context's arena. ERR_NOT_FOUND: no such
 * API. */
enum err exchange_contract_put(struct ctx *c, const struct exchange_contract_terms *t,
                               struct str *id_out) MUST_CHECK;
/* "active"; or "suspended", "sandbox" (no token, no call), "revoked". ERR_NOT_FOUND. */
enum err exchange_contract_state(struct ctx *c, struct str id, const char *state) MUST_CHECK;

#endif
