/* HTTP message signatures (RFC 9421) and digests of bodies (RFC 9530), apart from any server:
 * a message is what this header says, whoever read it. Verifying is done here; signing makes the
 * text to sign, which whoever holds the key signs.
 *
 * Strict: a component named twice, absent, or with a parameter that makes no sense refuses the
 * whole signature, and *why says which (in the arena, plain English). */
#ifndef CRYPTO_HTTPSIG_H
#define CRYPTO_HTTPSIG_H

#include "crypto/jose.h"
#include "data/sfv.h"

enum {
    HTTPSIG_COMPONENTS_MAX = 64,
    HTTPSIG_BASE_MAX = 128 * 1024,
    HTTPSIG_LABELS_MAX = 16,
};

struct httpsig_field {
    struct str name, value;
};
struct httpsig_fields {
    const struct httpsig_field *v;
    size_t n;
};
struct httpsig_message {
    /* A request; scheme in lower case, authority as in Host, path and query as sent. */
    struct str method, scheme, authority, path, query; /* query .p NULL: none */
    int status;                                        /* a response; 0: a request */
    struct httpsig_fields headers, trailers;
    const struct httpsig_message *request; /* what a response answers; NULL: not at hand */
};

enum httpsig_alg {
    HTTPSIG_ECDSA_P256_SHA256,
    HTTPSIG_ED25519,
    HTTPSIG_RSA_PSS_SHA512,
    HTTPSIG_HMAC_SHA256,
    HTTPSIG_ALG_COUNT
};
const char *httpsig_alg_name(enum httpsig_alg alg);

/* One signature of a message: what it covers, and its parameters. */
struct httpsig {
    struct str label;
    struct sfv_item *components; /* identifiers: a string with parameters */
    size_t n;
    struct sfv_params params;          /* all, in their order */
    int64_t created_s, expires_s;      /* -1: absent */
    struct str keyid, nonce, tag, alg; /* .p NULL: absent */
    struct str signature;              /* raw */
};

/* --- verifying -------------------------------------------------------------------------------- */

/* The signatures of a message: ERR_NOT_FOUND when it has none, ERR_INVALID, ERR_LIMIT. */
struct httpsig_list {
    struct httpsig v[HTTPSIG_LABELS_MAX];
    size_t n;
};
enum err httpsig_read(struct arena *a, const struct httpsig_message *m, struct httpsig_list *out,
                      struct str *why) MUST_CHECK;

/* What is signed (RFC 9421 2.5). ERR_INVALID, ERR_LIMIT. */
enum err httpsig_base(struct arena *a, const struct httpsig *s, const struct httpsig_message *m,
                      struct str *base, struct str *why) MUST_CHECK;

/* A key fits one algorithm; an `alg` that says another refuses. */
struct httpsig_key {
    const struct jwk *jwk; /* or */
    struct str secret;     /* hmac-sha256: 32 bytes at least */
};
struct httpsig_policy {
    const char *const *required; /* NULL-ended component identifiers, as "\"@method\"" */
    int64_t now_s;
    int64_t max_age_s; /* 0: `created` is not asked for */
    int64_t ahead_s;   /* how far in the future `created` may lie */
};
/* ERR_DENIED: the signature, its times, or what it covers; ERR_INVALID: the message has not what it
 * covers. */
enum err httpsig_verify(struct arena *a, const struct httpsig *s, const struct httpsig_message *m,
                        const struct httpsig_key *key, const struct httpsig_policy *policy,
                        struct str *why) MUST_CHECK;
/* Whether it covers a component, given as its identifier is written: "\"content-digest\";req". */
bool httpsig_covers(const struct httpsig *s, const char *identifier);

/* The covered components with the parameters, as in Signature-Input; for people. */
enum err httpsig_names_write(struct buf *b, const struct httpsig *s) MUST_CHECK;

/* --- signing ---------------------------------------------------------------------------------- */

struct httpsig_wanted {
    const char *label;
    const char *const *components; /* NULL-ended identifiers */
    int64_t created_s, expires_s;  /* expires_s 0: none */
    struct str keyid, nonce, tag;  /* .p NULL: none */
    const char *alg;               /* NULL: not said */
};
/* The text to sign and the member of Signature-Input ("label=(...);created=..."). */
enum err httpsig_make(struct arena *a, const struct httpsig_wanted *w,
                      const struct httpsig_message *m, struct str *base, struct str *input,
                      struct str *why) MUST_CHECK;
/* The member of Signature. */
struct str httpsig_value(struct arena *a, const char *label, struct str signature);

/* --- digests ---------------------------------------------------------------------------------- */

enum httpsig_digest { HTTPSIG_SHA256, HTTPSIG_SHA512 };
/* "sha-256=:...:" */
struct str httpsig_digest_text(struct arena *a, enum httpsig_digest alg, const void *digest);
struct str httpsig_digest_of(struct arena *a, enum httpsig_digest alg, struct str body);
/* Checks each digest that is known; ERR_INVALID when none is, ERR_DENIED when one differs. */
enum err httpsig_digest_check(struct arena *a, struct str field, struct str body,
                              struct str *why) MUST_CHECK;

#endif
