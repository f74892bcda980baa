/* The keys process and what the others may ask of it. It alone reads private keys (folder
 * `<data>/keys`, mode 0700); it opens no network socket; it answers over channels.
 *
 * A key has a purpose and an algorithm; keys are made at first start. Purposes:
 *   "issuer"     ES256 and RS256: ID tokens, access tokens, signed userinfo (JWKS published)
 *   "journal"    Ed25519: checkpoints of this node
 *   "witness"    Ed25519: cosignatures of other logs' checkpoints; made at its first use
 *   "client"     ES256: this platform as a client elsewhere (private_key_jwt)
 *   "decrypt"    P-256 and RSA, for what is encrypted to this platform; made when first asked for
 *   "message"    ES256: HTTP messages of this platform (RFC 9421)
 * Secrets, never leaving the process: MAC keys "pairwise", "blind", "client_secret"; wrapping key
 * "subject". Secrets handed to web at its start: "token-seal", "cookie" (shared by nodes).
 *
 * Data of one request: at most KEYS_DATA_MAX bytes, else ERR_LIMIT. An unknown purpose, algorithm
 * or name is ERR_NOT_FOUND; a secret asked for another use, or over a channel that may not,
 * ERR_DENIED. */
#ifndef CRYPTO_KEYS_H
#define CRYPTO_KEYS_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "crypto/jose.h"
#include "sys/chan.h"
#include "sys/loop.h"
#include "sys/proc.h"

struct keys_conf {
    const char *folder;
};
enum { KEYS_DATA_MAX = 64 * 1024, KEYS_TIMEOUT_MS = 5000 };

/* Serves the channels labelled "keys" and, by one of its own, "keys.journal": where that one
 * exists, it alone may sign checkpoints, and may do nothing else but read public keys. "keys.tls",
 * a thread of its own too, signs with TLS keys alone. */
int keys_main(struct proc *self, void *keys_conf);

/* In one process without channels, for units and `socle` commands: the same operations, direct. */
struct keys;
enum err keys_open_local(const char *folder, struct keys **out) MUST_CHECK;
/* Over a channel. Safe from every thread. */
struct keys *keys_connect(int fd);
void keys_close(struct keys *k);

/* Raw signature over data (ES256: r||s 64 bytes; RS256 and PS256: modulus size; EdDSA 64). kid_out
 * may be NULL. */
enum err keys_sign(struct keys *k, const char *purpose, enum jose_alg alg, struct str data,
                   struct arena *a, struct str *sig, struct str *kid_out) MUST_CHECK;
/* The same from an event loop, without blocking: `done` is called in the loop's thread, once. The
 * struct is the caller's and stays until then. */
struct keys_job {
    void (*done)(struct keys_job *j);
    enum err err;
    uint8_t sig[512];
    size_t sig_n;
    char kid[44];
    /* Its own. */
    struct loop *loop;
    struct loop_job post;
    struct chan_async call;
    struct buf request;
};
void keys_sign_start(struct keys *k, struct keys_job *j, struct loop *l, const char *purpose,
                     enum jose_alg alg, struct str data);
/* A whole compact JWS: the header is {"alg","kid","typ"} with typ as given ("at+jwt", "JWT"). */
enum err keys_sign_jws(struct keys *k, const char *purpose, enum jose_alg alg, const char *typ,
                       struct str payload, struct arena *a, struct str *compact) MUST_CHECK;
/* An access token (ES256, "at+jwt") and the ID token that goes with it, in one message: id_open is
 * the ID token's payload without its closing brace, to which at_hash is added (SHA-256: id_alg is
 * one of the 256 family). */
enum err keys_sign_tokens(struct keys *k, struct str access, enum jose_alg id_alg,
                          struct str id_open, struct arena *a, struct str *access_out,
                          struct str *id_out) MUST_CHECK;
/* The same two without waiting: `done` is called once, in the channel's own thread (a platform
 * without channels: before the function returns), and may not block; what it is given is good until
 * it returns (`second`: the ID token). The struct is the caller's and stays until then. */
struct keys_task {
    void (*done)(struct keys_task *t, enum err e, struct str first, struct str second);
    /* Its own. */
    bool two;
    struct chan_async call;
    struct buf request;
};
void keys_sign_jws_start(struct keys *k, struct keys_task *t, const char *purpose,
                         enum jose_alg alg, const char *typ, struct str payload);
void keys_sign_tokens_start(struct keys *k, struct keys_task *t, struct str access,
                            enum jose_alg id_alg, struct str id_open);
/* Public keys of a purpose, as a JWKS document. For "journal" also see keys_public_raw. */
enum err keys_jwks(struct keys *k, const char *purpose, struct arena *a,
                   struct str *json) MUST_CHECK;
enum err keys_public_raw(struct keys *k, const char *purpose, uint8_t out[32]) MUST_CHECK;
/* HMAC-SHA256 under the named secret. */
enum err keys_mac(struct keys *k, const char *name, struct str data, uint8_t out[32]) MUST_CHECK;
/* A citizen's identifier at an entity, version 1 (docs/formats/sub.md): hex(SHA-256(data, the text
 * of the secret "pairwise")) and "v1". It is no HMAC because citizens' identifiers made so exist.
 */
enum { KEYS_SUB_LEN = 66 };
enum err keys_pairwise_v1(struct keys *k, struct str data, struct arena *a,
                          struct str *sub) MUST_CHECK;
/* Data keys of subjects, wrapped for storage. keys_unwrap gives the 32 bytes back. */
enum err keys_wrap(struct keys *k, const char *name, struct str context, struct str plain,
                   struct arena *a, struct str *wrapped) MUST_CHECK;
enum err keys_unwrap(struct keys *k, const char *name, struct str context, struct str wrapped,
                     struct arena *a, struct str *plain) MUST_CHECK;
/* A JWE (crypto/jwe.h) for a key of "decrypt". ERR_INVALID, ERR_LIMIT: no JWE of ours;
 * ERR_NOT_FOUND: for a key that is not there; ERR_CORRUPT: altered, or for another key. */
enum err keys_jwe_open(struct keys *k, struct str compact, struct arena *a,
                       struct str *plain) MUST_CHECK;
/* "token-seal" or "cookie". */
enum err keys_shared_secret(struct keys *k, const char *name, uint8_t out[32]) MUST_CHECK;
/* --- TLS keys (tlskey.h): over the channel labelled "keys.tls", which may do nothing else --------
 * A key is named by the SHA-256 of its SubjectPublicKeyInfo. */
enum { KEYS_TLS_ID_LEN = 32 };
enum err keys_tls_has(struct keys *k, const uint8_t id[KEYS_TLS_ID_LEN]) MUST_CHECK;
/* digest "SHA256", "SHA384" or "SHA512"; the signature as X.509 has it (DER). */
enum err keys_tls_sign(struct keys *k, const uint8_t id[KEYS_TLS_ID_LEN], const char *digest,
                       bool pss, struct str data, struct arena *a, struct str *sig) MUST_CHECK;
/* An operator's acts, local only. The key "ec" or "rsa" of that name is made where there is none;
 * hosts has commas between. days 0: a request (PKCS#10), else a certificate signed by itself. */
enum err keys_tls_certify(struct keys *k, struct str name, const char *alg, struct str hosts,
                          unsigned days, struct arena *a, struct str *pem) MUST_CHECK;
enum err keys_tls_import(struct keys *k, struct str name, struct str pem) MUST_CHECK;

/* New keys for "issuer", "client" or "message": the published next one signs from now on, the old
 * one stays published until the next rotation. Local only: an operator's act (ERR_DENIED over a
 * channel). A running keys process sees it within half a second of its next request; "message":
 * with web, when they start again. */
enum err keys_rotate(struct keys *k, const char *purpose) MUST_CHECK;

/* --- a second node ----------------------------------------------------------------------------
 * What nodes must have in common (docs/formats/keys.md): the secrets, and the keys that others
 * encrypt for, sealed under a key for one machine. No key that signs is among them. */
enum err keys_share(const char *folder, const uint8_t key[32], struct arena *a,
                    struct str *sealed) MUST_CHECK;
/* Into a folder that has no keys yet: ERR_EXISTS. ERR_CORRUPT: another key, or altered. */
enum err keys_receive(const char *folder, const uint8_t key[32], struct str sealed) MUST_CHECK;

#endif
