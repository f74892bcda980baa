/* The keys process: why it alone holds the keys.
 *
 * Everything this platform is worth rests on a few hundred bytes. Who holds the issuer's key is
 * every citizen; who holds the journal's rewrites the past; who holds the subjects' wrapping key
 * reads what all bodies stored. The process that reads the network is the one that falls first: it
 * has parsers, pages, uploads and other people's XML in it. So that process holds none of these
 * keys. It asks this one, through a channel, to sign, to wrap and to unwrap.
 *
 * Whoever takes over `web` can then ask for signatures while he is there: he is not stopped, but
 * each act leaves a trace, and he leaves with nothing. When he is out, no key has to be replaced,
 * no past token or checkpoint is in doubt. And he cannot sign checkpoints at all: only the
 * journal's channel may ask for those.
 *
 * What keeps the promise is what this process does not do. It opens no socket and, once it serves,
 * cannot. It reads its own folder and nothing else. It parses no JSON, no HTTP, no certificate: its
 * requests are an operation number and length-prefixed fields, read by one loop of ten lines. No
 * operation gives a private key or a MAC key out; the two secrets that web needs in its fast path
 * (the seal of cookies and of tokens) are named apart and worth one night of sessions.
 *
 * Every operation can be repeated without harm, so a client that lost an answer because this
 * process was killed asks again and never knows. */
#include "crypto/keys_inner.h"

#include <assert.h>
#include "base/clock.h"
#include "base/codec.h"
#include "base/log.h"
#include "crypto/digest.h"
#include "crypto/jwe_key.h"
#include "crypto/seal.h"
#include "sys/sandbox.h"

enum { FIELDS_MAX = 7 };
enum { LOOK_EVERY_MS = 500, LOOK_AGAIN_MS = 10000 };

/* --- fields ----------------------------------------------------------------------------------- */

void keys_field_add(struct buf *b, struct str s)
{
    uint8_t n[4] = {(uint8_t)s.n, (uint8_t)(s.n >> 8), (uint8_t)(s.n >> 16), (uint8_t)(s.n >> 24)};
    buf_add(b, n, sizeof n);
    buf_add_str(b, s);
}

bool keys_fields_read(struct str in, struct str *out, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (in.n < 4)
            return false;
        const uint8_t *p = (const uint8_t *)in.p;
        size_t len = p[0] | (size_t)p[1] << 8 | (size_t)p[2] << 16 | (size_t)p[3] << 24;
        if (len > in.n - 4)
            return false;
        out[i] = str_of(in.p + 4, len);
        in = str_of(in.p + 4 + len, in.n - 4 - len);
    }
    return in.n == 0;
}

/* --- the operations, on the keys themselves --------------------------------------------------- */

static enum err signer(struct door *d, const struct str *in, enum jose_alg *alg,
                       const struct keystore_key **key)
{
    bool journal = str_eq_z(in[0], "journal");
    if (d->kind != DOOR_LOCAL && journal != (d->kind == DOOR_JOURNAL) && d->vault->journal_apart)
        return ERR_DENIED;
    if (jose_alg_from_name(in[1], alg))
        return ERR_NOT_FOUND;
    return keystore_signer(d->vault->store, in[0], *alg, key);
}

/* purpose, alg, data -> signature, kid */
static enum err op_sign(struct door *d, const struct str *in, struct arena *a, struct buf *out)
{
    const struct keystore_key *key;
    enum jose_alg alg;
    enum err e = signer(d, in, &alg, &key);
    if (e)
        return e;
    keys_field_add(out, pkey_sign(a, key->pkey, alg, in[2]));
    keys_field_add(out, str_from(key->kid));
    return ERR_OK;
}

/* in: purpose, alg, typ, payload */
static enum err compact(struct door *d, const struct str *in, struct arena *a, struct str *out)
{
    const struct keystore_key *key;
    enum jose_alg alg;
    struct buf h;
    enum err e = signer(d, in, &alg, &key);
    if (e)
        return e;
    buf_init(&h, 1024);
    buf_printf(&h, "{\"alg\":\"%s\",\"kid\":\"%s\"", jose_alg_name(alg), key->kid);
    if (in[2].n) {
        buf_add_z(&h, ",\"typ\":");
        buf_add_json(&h, in[2]);
    }
    buf_add_char(&h, '}');
    e = h.err;
    if (!e) {
        struct str input = jws_input(a, buf_str(&h), in[3]);
        struct str sig = pkey_sign(a, key->pkey, alg, input);
        struct str text = codec_to_base64url(a, sig.p, sig.n);
        *out = arena_printf(a, STR_FMT "." STR_FMT, STR_ARG(input), STR_ARG(text));
    }
    buf_free(&h);
    return e;
}

/* purpose, alg, typ, payload -> compact JWS */
static enum err op_sign_jws(struct door *d, const struct str *in, struct arena *a, struct buf *out)
{
    struct str jws;
    enum err e = compact(d, in, a, &jws);
    if (!e)
        buf_add_str(out, jws);
    return e;
}

/* purpose, alg, typ, payload of an access token; alg, typ, payload of the ID token that goes with
 * it, open at its end -> both. The second names the first by its digest (OpenID Connect Core
 * 3.1.3.6), so one message makes what two would. */
static enum err op_sign_tokens(struct door *d, const struct str *in, struct arena *a,
                               struct buf *out)
{
    struct str access, id;
    uint8_t hash[SHA256_LEN];
    enum err e = compact(d, in, a, &access);
    if (e)
        return e;
    sha256(access.p, access.n, hash);
    struct str half = codec_to_base64url(a, hash, SHA256_LEN / 2);
    struct str whole =
        arena_printf(a, STR_FMT ",\"at_hash\":\"" STR_FMT "\"}", STR_ARG(in[6]), STR_ARG(half));
    struct str second[] = {in[0], in[4], in[5], whole};
    e = compact(d, second, a, &id);
    if (e)
        return e;
    keys_field_add(out, access);
    keys_field_add(out, id);
    return ERR_OK;
}

/* Its keys are made when they are first asked for: most platforms never are. */
static enum err decrypting_make(struct door *d, struct str purpose)
{
    const struct keystore_key *key;
    enum err e = keystore_signer(d->vault->store, purpose, JOSE_ES256, &key);
    return e ? e : keystore_signer(d->vault->store, purpose, JOSE_RS256, &key);
}

/* purpose -> JWKS */
static enum err op_jwks(struct door *d, const struct str *in, struct arena *a, struct buf *out)
{
    const struct keystore_key *key;
    enum jose_alg alg;
    size_t at = 0, n = 0;
    bool decrypts = str_eq_z(in[0], "decrypt");
    enum err e = decrypts ? decrypting_make(d, in[0]) : ERR_OK;
    if (e)
        return e;
    buf_add_z(out, "{\"keys\":[");
    for (; keystore_next(d->vault->store, in[0], &at, &alg, &key); n++) {
        struct str jwk = jwk_of_pkey(a, key->pkey);
        const char *name = !decrypts
                               ? jose_alg_name(alg)
                               : jwe_alg_name(alg == JOSE_ES256 ? JWE_ECDH_ES : JWE_RSA_OAEP_256);
        buf_printf(out, "%s%.*s,\"kid\":\"%s\",\"alg\":\"%s\",\"use\":\"%s\"}", n ? "," : "",
                   (int)jwk.n - 1, jwk.p, key->kid, name, decrypts ? "enc" : "sig");
    }
    buf_add_z(out, "]}");
    return n ? ERR_OK : ERR_NOT_FOUND;
}

/* purpose -> 32 bytes of an Ed25519 public key */
static enum err op_public(struct door *d, const struct str *in, struct arena *a, struct buf *out)
{
    const struct keystore_key *key;
    uint8_t raw[32];
    size_t n = sizeof raw;
    (void)a;
    enum err e = keystore_signer(d->vault->store, in[0], JOSE_EDDSA, &key);
    if (e)
        return e;
    evp_must(EVP_PKEY_get_raw_public_key(key->pkey, raw, &n), "public key");
    buf_add(out, raw, n);
    return ERR_OK;
}

/* name, data -> MAC */
static enum err op_mac(struct door *d, const struct str *in, struct arena *a, struct buf *out)
{
    const uint8_t *secret;
    uint8_t mac[SHA256_LEN];
    (void)a;
    enum err e = keystore_secret(d->vault->store, in[0], USE_MAC, &secret);
    if (e)
        return e;
    hmac_sha256(str_of(secret, KEYSTORE_SECRET_LEN), in[1], mac);
    buf_add(out, mac, sizeof mac);
    return ERR_OK;
}

/* data -> sub of version 1. The secret's text is what its file holds: an operator can move it. */
static enum err op_pairwise_v1(struct door *d, const struct str *in, struct arena *a,
                               struct buf *out)
{
    const uint8_t *secret;
    uint8_t hash[SHA256_LEN];
    enum err e = keystore_secret(d->vault->store, STR("pairwise"), USE_MAC, &secret);
    if (e)
        return e;
    struct str parts[] = {in[0], codec_to_hex(a, secret, KEYSTORE_SECRET_LEN)};
    sha256_many(parts, COUNT_OF(parts), hash);
    buf_add_hex(out, hash, sizeof hash);
    buf_add_z(out, "v1");
    return ERR_OK;
}

/* name, context, plain -> wrapped (a seal) */
static enum err op_wrap(struct door *d, const struct str *in, struct arena *a, struct buf *out)
{
    const uint8_t *secret;
    enum err e = keystore_secret(d->vault->store, in[0], USE_WRAP, &secret);
    if (!e)
        buf_add_str(out, seal(a, secret, in[1], in[2]));
    return e;
}

/* name, context, wrapped -> plain */
static enum err op_unwrap(struct door *d, const struct str *in, struct arena *a, struct buf *out)
{
    const uint8_t *secret;
    struct str plain;
    enum err e = keystore_secret(d->vault->store, in[0], USE_WRAP, &secret);
    if (!e)
        e = unseal(a, secret, in[1], in[2], &plain);
    if (!e)
        buf_add_str(out, plain);
    return e;
}

/* name -> secret */
static enum err op_shared(struct door *d, const struct str *in, struct arena *a, struct buf *out)
{
    const uint8_t *secret;
    (void)a;
    enum err e = keystore_secret(d->vault->store, in[0], USE_SHARED, &secret);
    if (!e)
        buf_add(out, secret, KEYSTORE_SECRET_LEN);
    return e;
}

/* The key of that kid, or the current one where none is named. */
static enum err decrypting(struct door *d, enum jose_alg alg, struct str kid,
                           const struct keystore_key **out)
{
    size_t at = 0;
    enum jose_alg one;
    if (!kid.n)
        return keystore_signer(d->vault->store, STR("decrypt"), alg, out);
    while (keystore_next(d->vault->store, STR("decrypt"), &at, &one, out))
        if (one == alg && str_eq_z(kid, (*out)->kid))
            return ERR_OK;
    return ERR_NOT_FOUND;
}

static enum err agreed(const struct keystore_key *key, struct str point, struct str info,
                       struct arena *a, uint8_t cek[JWE_CEK_LEN])
{
    json_t *o;
    struct jwk *theirs;
    if (point.n != JWE_POINT_LEN)
        return ERR_INVALID;
    struct str x = codec_to_base64url(a, point.p, JWE_POINT_LEN / 2);
    struct str y = codec_to_base64url(a, point.p + JWE_POINT_LEN / 2, JWE_POINT_LEN / 2);
    o = json_pack("{s:s,s:s,s:s,s:s}", "kty", "EC", "crv", "P-256", "x", x.p, "y", y.p);
    enum err e = jwk_read(o, &theirs); /* a point off the curve is refused here */
    json_decref(o);
    if (e)
        return e;
    e = jwe_agree(key->pkey, theirs->pkey, info, cek);
    jwk_free(theirs);
    return e;
}

/* alg, kid, wrapped key or point, party info -> content key */
static enum err op_cek(struct door *d, const struct str *in, struct arena *a, struct buf *out)
{
    const struct keystore_key *key;
    enum jwe_alg alg;
    uint8_t cek[JWE_CEK_LEN];
    enum err e = jwe_alg_from_name(in[0], &alg);
    if (!e)
        e = decrypting(d, alg == JWE_ECDH_ES ? JOSE_ES256 : JOSE_RS256, in[1], &key);
    if (!e && alg == JWE_ECDH_ES)
        e = agreed(key, in[2], in[3], a, cek);
    else if (!e)
        jwe_unwrap_rsa(key->pkey, in[2], cek);
    if (!e)
        buf_add(out, cek, sizeof cek);
    mem_wipe(cek, sizeof cek);
    return e;
}

/* purpose -> */
static enum err op_rotate(struct door *d, const struct str *in, struct arena *a, struct buf *out)
{
    (void)a, (void)out;
    return keystore_rotate(d->vault->store, in[0]);
}

/* id -> */
static enum err op_tls_has(struct door *d, const struct str *in, struct arena *a, struct buf *out)
{
    EVP_PKEY *pkey;
    (void)a, (void)out;
    enum err e = tlsstore_find(d->vault->tls, in[0], &pkey);
    if (!e)
        EVP_PKEY_free(pkey);
    return e;
}

/* id, digest, padding ("pss" or ""), data -> signature. RSA takes half a millisecond: without the
 * lock, so that others sign meanwhile. */
static enum err op_tls_sign(struct door *d, const struct str *in, struct arena *a, struct buf *out)
{
    EVP_PKEY *pkey;
    struct str sig;
    enum err e = tlsstore_find(d->vault->tls, in[0], &pkey);
    if (e)
        return e;
    pthread_mutex_unlock(&d->vault->lock);
    e = tlsstore_sign(pkey, in[1], in[2].n > 0, in[3], a, &sig);
    pthread_mutex_lock(&d->vault->lock);
    EVP_PKEY_free(pkey);
    if (!e)
        buf_add_str(out, sig);
    return e;
}

/* name, alg, hosts, days -> PEM */
static enum err op_tls_certify(struct door *d, const struct str *in, struct arena *a,
                               struct buf *out)
{
    struct str pem;
    uint64_t days;
    if (!str_to_u64(in[3], &days) || days > 3650)
        return ERR_INVALID;
    enum err e = tlsstore_certify(d->vault->tls, in[0], in[1], in[2], (unsigned)days, a, &pem);
    if (!e)
        buf_add_str(out, pem);
    return e;
}

/* name, PEM -> */
static enum err op_tls_import(struct door *d, const struct str *in, struct arena *a,
                              struct buf *out)
{
    (void)out;
    return tlsstore_import(d->vault->tls, in[0], in[1], a);
}

static const struct operation {
    enum keys_op op;
    const char *name;
    enum err (*fn)(struct door *d, const struct str *in, struct arena *a, struct buf *out);
    size_t n_fields;
    unsigned doors; /* who may ask */
} operations[] = {
    {OP_SIGN, "sign", op_sign, 3, DOOR_ANY},
    {OP_SIGN_JWS, "sign_jws", op_sign_jws, 4, DOOR_LOCAL | DOOR_WEB},
    {OP_JWKS, "jwks", op_jwks, 1, DOOR_ANY},
    {OP_PUBLIC, "public", op_public, 1, DOOR_ANY},
    {OP_MAC, "mac", op_mac, 2, DOOR_LOCAL | DOOR_WEB},
    {OP_WRAP, "wrap", op_wrap, 3, DOOR_LOCAL | DOOR_WEB},
    {OP_UNWRAP, "unwrap", op_unwrap, 3, DOOR_LOCAL | DOOR_WEB},
    {OP_SHARED, "shared", op_shared, 1, DOOR_LOCAL | DOOR_WEB},
    {OP_ROTATE, "rotate", op_rotate, 1, DOOR_LOCAL},
    {OP_SIGN_TOKENS, "sign_tokens", op_sign_tokens, 7, DOOR_LOCAL | DOOR_WEB},
    {OP_CEK, "cek", op_cek, 4, DOOR_LOCAL | DOOR_WEB},
    {OP_PAIRWISE_V1, "pairwise_v1", op_pairwise_v1, 1, DOOR_LOCAL | DOOR_WEB},
    {OP_TLS_HAS, "tls_has", op_tls_has, 1, DOOR_LOCAL | DOOR_TLS},
    {OP_TLS_SIGN, "tls_sign", op_tls_sign, 4, DOOR_LOCAL | DOOR_TLS},
    {OP_TLS_CERTIFY, "tls_certify", op_tls_certify, 4, DOOR_LOCAL},
    {OP_TLS_IMPORT, "tls_import", op_tls_import, 2, DOOR_LOCAL},
};

/* An operator's command rotated the keys while this process runs. Lock held. */
static void vault_look(struct vault *v)
{
    struct keystore *fresh;
    int64_t now_ms = clock_mono_ms();
    if (!v->folder || now_ms < v->look_ms)
        return;
    v->look_ms = now_ms + LOOK_EVERY_MS;
    if (!keystore_changed(v->store))
        return;
    if (keystore_open(v->folder, &fresh) != ERR_OK) {
        v->look_ms = now_ms + LOOK_AGAIN_MS; /* said by name there: what there was goes on */
        return;
    }
    keystore_close(v->store);
    v->store = fresh;
    log_info("keys_read_again");
}

enum err keys_serve(void *arg, uint16_t op, struct str payload, struct arena *a, struct buf *answer)
{
    struct door *d = arg;
    struct str in[FIELDS_MAX];
    for (size_t i = 0; i < COUNT_OF(operations); i++) {
        const struct operation *o = &operations[i];
        if (o->op != op)
            continue;
        if (!(o->doors & d->kind)) {
            log_warn("keys_refused", "operation", o->name);
            return ERR_DENIED;
        }
        if (!keys_fields_read(payload, in, o->n_fields))
            return ERR_INVALID;
        pthread_mutex_lock(&d->vault->lock);
        vault_look(d->vault);
        enum err e = o->fn(d, in, a, answer);
        pthread_mutex_unlock(&d->vault->lock);
        return e ? e : answer->err;
    }
    return ERR_INVALID;
}

enum err keys_vault_open(const char *folder, struct vault *v)
{
    *v = (struct vault){.lock = PTHREAD_MUTEX_INITIALIZER};
    enum err e = keystore_open(folder, &v->store);
    if (!e)
        v->tls = tlsstore_new(folder);
    return e;
}

void keys_vault_close(struct vault *v)
{
    keystore_close(v->store);
    tlsstore_free(v->tls);
}

/* --- the process ------------------------------------------------------------------------------ */

/* A kind of callers with a thread of its own: what they ask holds up nobody else. */
struct own_server {
    struct door door;
    int fds[PROC_MAX_FDS];
    size_t n;
    pthread_t thread;
};

static void *own_serve(void *arg)
{
    struct own_server *s = arg;
    chan_serve(s->fds, s->n, keys_serve, &s->door, &proc_stopping);
    return NULL;
}

static bool own_start(struct own_server *s)
{
    return s->n == 0 || pthread_create(&s->thread, NULL, own_serve, s) == 0;
}

int keys_main(struct proc *self, void *keys_conf)
{
    struct vault vault;
    struct own_server journal = {.door = {&vault, DOOR_JOURNAL}},
                      tls = {.door = {&vault, DOOR_TLS}};
    struct door door = {&vault, DOOR_WEB};
    const struct keys_conf *conf = keys_conf;
    const char *paths[] = {conf->folder, NULL};
    int fds[PROC_MAX_FDS];
    size_t n = proc_fds(self, "keys", fds, COUNT_OF(fds));
    journal.n = proc_fds(self, "keys.journal", journal.fds, COUNT_OF(journal.fds));
    tls.n = proc_fds(self, "keys.tls", tls.fds, COUNT_OF(tls.fds));
    if (keys_vault_open(conf->folder, &vault) != ERR_OK)
        return 1;
    vault.journal_apart = journal.n > 0;
    vault.folder = conf->folder;
    evp_thread(); /* fetched before files are out of reach */
    const struct sandbox box = {SANDBOX_FILES | SANDBOX_THREADS, paths, paths};
    if (sandbox_enter(&box) != ERR_OK) {
        log_error("keys_sandbox_failed");
        return 1;
    }
    if (!own_start(&journal) || !own_start(&tls))
        return 1;
    proc_ready(self);
    chan_serve(fds, n, keys_serve, &door, &proc_stopping);
    if (journal.n)
        pthread_join(journal.thread, NULL);
    if (tls.n)
        pthread_join(tls.thread, NULL);
    keys_vault_close(&vault);
    return 0;
}
