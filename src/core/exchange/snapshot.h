/* What the gateway knows, frozen: routes, contracts with their compiled filters, the issuer's
 * public keys. Built beside the loops from one reading of the database, handed to each loop by
 * pointer, and never changed: so the fast lane needs no lock and no query. A change gives a new
 * snapshot; an old one lives until the last exchange that began with it ends. */
#ifndef EXCHANGE_SNAPSHOT_H
#define EXCHANGE_SNAPSHOT_H

#include <stdatomic.h>
#include "base/arena.h"
#include "base/map.h"
#include "crypto/jose.h"
#include "data/db.h"
#include "data/jsonfilter.h"
#include "web/http.h"
#include "web/upstream.h"
#include "core/exchange/policy.h"
#include "core/exchange/request.h"

enum { EXCHANGE_FIELDS_MAX = 64, EXCHANGE_ROUTES_MAX = 5000, EXCHANGE_CONTRACTS_MAX = 50000 };

struct exchange_route {
    struct str key; /* "api/version", as it stands in the path */
    struct str api, version, scope;
    struct str title_fr, title_en;
    struct str provider_id, provider_fr, provider_en;
    struct str prefix; /* of the provider's paths; "" or "/..." without a final '/' */
    unsigned methods;  /* 1 << enum http_method */
    struct str allow;  /* the same as text, for Allow */
    bool active;
    bool ready; /* its address is known */
    struct upstream_origin origin;
    struct exchange_policy policy;
    /* What the provider is shown: a header, or "name=secret" in the query. */
    struct str credential_header, credential;
    struct str deprecation, sunset; /* values of these headers; "" none */
    struct request_book *book;      /* what requests are held against; NULL: nothing */
    bool personal;                  /* a field of it is, or it names none */
};

struct exchange_field {
    struct str path, label_fr, label_en;
};

enum { EXCHANGE_SIGNED_REQUESTS = 1, EXCHANGE_SIGNED_ANSWERS = 2 };

struct exchange_contract {
    struct str id, client_id, org_id;
    const struct exchange_route *route;
    struct str consumer_fr, consumer_en;
    struct str purpose_fr, purpose_en, basis_fr, basis_en;
    struct str purpose_header;  /* percent-encoded: header values are ASCII */
    struct str recipients;      /* identifiers, blank-separated; "" any */
    bool active;                /* state; the days are looked at on each call */
    int64_t starts_ms, ends_ms; /* ends_ms 0: open */
    bool consent_needed, purpose_needed, passthrough;
    bool delegated;             /* a vendor's: the recipients are the snapshot's delegates */
    unsigned quota_per_minute;  /* 0: none */
    unsigned signatures;        /* EXCHANGE_SIGNED_... */
    struct jwks *signer_keys;   /* the consumer's, where its requests are signed; NULL none */
    struct json_filter *filter; /* NULL when passthrough */
    struct exchange_field *fields;
    size_t n_fields;
    /* Parts of the journal's records that are the same on each call: docs/formats/exchange-side.md
     */
    struct str entry_common, side_common;
};

struct exchange_snapshot {
    atomic_uint refs;
    struct arena arena;
    struct map routes;    /* key -> struct exchange_route */
    struct map contracts; /* id -> struct exchange_contract */
    struct map delegates; /* "vendor api recipient" -> int64_t until when */
    struct jwks *issuer_keys;
};

/* Whether that body delegated to the vendor whose contract it is, for this API. */
bool exchange_is_delegate(const struct exchange_snapshot *s, const struct exchange_contract *k,
                          struct str recipient, int64_t now_ms);

/* Where a provider's origin ("https://data.example:8443") leads. ERR_AGAIN: not known yet, somebody
 * is finding out. */
typedef enum err exchange_resolve(void *arg, struct str host, unsigned port, struct resolved *out);

/* What a route's provider is shown, out of its wrapped secret: policy_shown of it, or of the token
 * that was got for it. ERR_AGAIN: not known yet, somebody is finding out. */
typedef enum err exchange_credential(void *arg, const struct exchange_route *r, struct str wrapped,
                                     struct arena *a, struct str *shown);

/* What requests of a route are held against, a reference of the caller's; NULL: nothing. */
typedef struct request_book *exchange_book(struct str key);

/* Reads everything in one go; issuer_jwks is the JWKS document. The result has one reference. */
enum err exchange_snapshot_build(struct db_conn *db, struct str issuer_jwks,
                                 exchange_resolve *resolve, exchange_credential *credential,
                                 exchange_book *book, void *arg,
                                 struct exchange_snapshot **out) MUST_CHECK;
struct exchange_snapshot *exchange_snapshot_ref(struct exchange_snapshot *s);
void exchange_snapshot_unref(struct exchange_snapshot *s);

/* "http://host:port" split; ERR_INVALID. Slices of url. */
enum err exchange_origin_read(struct str url, bool *tls, struct str *host,
                              unsigned *port) MUST_CHECK;

#endif
