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
#include "crypto/keys.h"

#include <assert.h>
#include <pthread.h>
#include "base/buf.h"
#include "base/clock.h"
#include "base/codec.h"
#include "base/log.h"
#include "crypto/digest.h"
#include "crypto/jwe_key.h"
#include "crypto/keystore.h"
#include "crypto/seal.h"
#include "crypto/tlsstore.h"
#include "sys/sandbox.h"

enum { FIELDS_MAX = 7, FRAME_MAX = CHAN_MAX - CHAN_HEAD };
enum { LOOK_EVERY_MS = 500, LOOK_AGAIN_MS = 10000 };

/* Who may ask: the callers of a door are the channels with its label. */
enum door_kind { DOOR_LOCAL = 1, DOOR_WEB = 2, DOOR_JOURNAL = 4, DOOR_TLS = 8 };
enum { DOOR_ANY = DOOR_LOCAL | DOOR_WEB | DOOR_JOURNAL };

struct vault {
    struct keystore *store;
    struct tlsstore *tls;
    pthread_mutex_t lock;
    bool journal_apart; /* the journal has a channel of its own */
    const char *folder; /* NULL: not looked at again */
    int64_t look_ms;    /* when it is, monotonic */
};
struct door {
    struct vault *vault;
    enum door_kind kind;
};

/* --- fields: {u32 length, bytes} one after another, little-endian ----------------------------- */

static void field_add(struct buf *b, struct str s)
{
    uint8_t n[4] = {(uint8_t)s.n, (uint8_t)(s.n >> 8), (uint8_t)(s.n >> 16), (uint8_t)(s.n >> 24)};
    buf_add(b, n, sizeof n);
    buf_add_str(b, s);
}

/* Exactly n fields and nothing behind them. */
static bool fields_read(struct str in, struct str *out, size_t n)
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
    field_add(out, pkey_sign(a, key->pkey, alg, in[2]));
    field_add(out, str_from(key->kid));
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
    field_add(out, access);
    field_add(out, id);
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

enum keys_op {
    OP_SIGN = 16, /* below are the channel's own */
    OP_SIGN_JWS,
    OP_JWKS,
    OP_PUBLIC,
    OP_MAC,
    OP_WRAP,
    OP_UNWRAP,
    OP_SHARED,
    OP_ROTATE,
    OP_PAIRWISE_V1,
    OP_SIGN_TOKENS,
    OP_CEK,
    OP_TLS_HAS,
    OP_TLS_SIGN,
    OP_TLS_CERTIFY,
    OP_TLS_IMPORT
};

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

/* One request, whichever way it came: a chan_handler. */
static enum err serve(void *arg, uint16_t op, struct str payload, struct arena *a,
                      struct buf *answer)
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
        if (!fields_read(payload, in, o->n_fields))
            return ERR_INVALID;
        pthread_mutex_lock(&d->vault->lock);
        vault_look(d->vault);
        enum err e = o->fn(d, in, a, answer);
        pthread_mutex_unlock(&d->vault->lock);
        return e ? e : answer->err;
    }
    return ERR_INVALID;
}

/* --- the two transports ----------------------------------------------------------------------- */

struct keys {
    struct vault vault; /* direct */
    struct door door;
    struct chan_client *chan; /* NULL: direct */
};

static enum err vault_open(const char *folder, struct vault *v)
{
    *v = (struct vault){.lock = PTHREAD_MUTEX_INITIALIZER};
    enum err e = keystore_open(folder, &v->store);
    if (!e)
        v->tls = tlsstore_new(folder);
    return e;
}

enum err keys_open_local(const char *folder, struct keys **out)
{
    struct keys *k = calloc(1, sizeof *k);
    *out = NULL;
    evp_must(k != NULL, "memory");
    enum err e = vault_open(folder, &k->vault);
    if (e) {
        free(k);
        return e;
    }
    k->door = (struct door){&k->vault, DOOR_LOCAL};
    *out = k;
    return ERR_OK;
}

struct keys *keys_connect(int fd)
{
    struct keys *k = calloc(1, sizeof *k);
    evp_must(k != NULL, "memory");
    k->chan = chan_client_new(fd);
    return k;
}

void keys_close(struct keys *k)
{
    if (!k)
        return;
    if (k->chan)
        chan_client_free(k->chan);
    keystore_close(k->vault.store);
    tlsstore_free(k->vault.tls);
    free(k);
}

static enum err ask_local(struct keys *k, enum keys_op op, struct str request, struct arena *a,
                          struct str *out)
{
    struct arena work;
    struct buf answer;
    arena_init_secret(&work);
    buf_init(&answer, FRAME_MAX);
    enum err e = serve(&k->door, (uint16_t)op, request, &work, &answer);
    if (!e)
        *out = arena_dup(a, buf_str(&answer));
    buf_wipe(&answer);
    arena_free(&work);
    return e;
}

static enum err ask(struct keys *k, enum keys_op op, const struct str *in, size_t n,
                    struct arena *a, struct str *out)
{
    struct buf request;
    size_t size = 0;
    enum err e;
    *out = STR_NONE;
    for (size_t i = 0; i < n; i++)
        size += in[i].n;
    if (size > KEYS_DATA_MAX + 1024)
        return ERR_LIMIT;
    buf_init(&request, FRAME_MAX);
    for (size_t i = 0; i < n; i++)
        field_add(&request, in[i]);
    e = request.err;
    if (!e && k->chan)
        e = chan_call(k->chan, (uint16_t)op, buf_str(&request), KEYS_TIMEOUT_MS, a, out);
    else if (!e)
        e = ask_local(k, op, buf_str(&request), a, out);
    buf_wipe(&request);
    return e;
}

/* For answers of 32 bytes, many of them secret. */
static enum err ask_32(struct keys *k, enum keys_op op, const struct str *in, size_t n,
                       uint8_t out[32])
{
    struct arena a;
    struct str got;
    arena_init_secret(&a);
    enum err e = ask(k, op, in, n, &a, &got);
    if (!e && got.n != 32)
        e = ERR_INTERNAL;
    if (!e)
        memcpy(out, got.p, 32);
    arena_free(&a);
    return e;
}

/* --- what others call ------------------------------------------------------------------------- */

enum err keys_sign(struct keys *k, const char *purpose, enum jose_alg alg, struct str data,
                   struct arena *a, struct str *sig, struct str *kid_out)
{
    struct str in[] = {str_from(purpose), str_from(jose_alg_name(alg)), data}, answer, out[2];
    enum err e = data.n > KEYS_DATA_MAX ? ERR_LIMIT : ask(k, OP_SIGN, in, 3, a, &answer);
    if (e)
        return e;
    if (!fields_read(answer, out, 2))
        return ERR_INTERNAL;
    *sig = out[0];
    if (kid_out)
        *kid_out = out[1];
    return ERR_OK;
}

static void job_take(struct keys_job *j, enum err status, struct str answer)
{
    struct str out[2];
    j->err = status;
    if (!status &&
        (!fields_read(answer, out, 2) || out[0].n > sizeof j->sig || out[1].n >= sizeof j->kid))
        j->err = ERR_INTERNAL;
    if (j->err)
        return;
    memcpy(j->sig, out[0].p, out[0].n);
    j->sig_n = out[0].n;
    memcpy(j->kid, out[1].p, out[1].n);
    j->kid[out[1].n] = '\0';
}

static void job_end(struct loop_job *post)
{
    struct keys_job *j = (struct keys_job *)((char *)post - offsetof(struct keys_job, post));
    buf_free(&j->request);
    j->done(j);
}

static void job_answered(struct chan_async *call, enum err status, struct str answer)
{
    struct keys_job *j = (struct keys_job *)((char *)call - offsetof(struct keys_job, call));
    job_take(j, status, answer);
    loop_post(j->loop, &j->post);
}

void keys_sign_start(struct keys *k, struct keys_job *j, struct loop *l, const char *purpose,
                     enum jose_alg alg, struct str data)
{
    struct arena a;
    struct str answer;
    buf_init(&j->request, FRAME_MAX);
    field_add(&j->request, str_from(purpose));
    field_add(&j->request, str_from(jose_alg_name(alg)));
    field_add(&j->request, data);
    j->loop = l;
    j->post = (struct loop_job){.fn = job_end};
    j->call =
        (struct chan_async){.done = job_answered, .op = OP_SIGN, .payload = buf_str(&j->request)};
    if (j->request.err) {
        job_answered(&j->call, ERR_LIMIT, STR_NONE);
    } else if (k->chan) {
        chan_call_async(k->chan, &j->call);
    } else {
        arena_init(&a);
        enum err e = ask_local(k, OP_SIGN, buf_str(&j->request), &a, &answer);
        job_answered(&j->call, e, answer);
        arena_free(&a);
    }
}

enum err keys_sign_jws(struct keys *k, const char *purpose, enum jose_alg alg, const char *typ,
                       struct str payload, struct arena *a, struct str *compact)
{
    struct str in[] = {str_from(purpose), str_from(jose_alg_name(alg)), str_from(typ), payload};
    return payload.n > KEYS_DATA_MAX ? ERR_LIMIT : ask(k, OP_SIGN_JWS, in, 4, a, compact);
}

static void task_answered(struct chan_async *call, enum err status, struct str answer)
{
    struct keys_task *t = (struct keys_task *)((char *)call - offsetof(struct keys_task, call));
    struct str out[2] = {answer, STR_NONE};
    if (!status && t->two && !fields_read(answer, out, 2))
        status = ERR_INTERNAL;
    buf_wipe(&t->request);
    t->done(t, status, out[0], out[1]);
}

static void task_start(struct keys *k, struct keys_task *t, enum keys_op op, const struct str *in,
                       size_t n)
{
    struct arena a;
    struct str answer = STR_NONE;
    buf_init(&t->request, KEYS_DATA_MAX + 1024);
    for (size_t i = 0; i < n; i++)
        field_add(&t->request, in[i]);
    t->two = op == OP_SIGN_TOKENS;
    t->call = (struct chan_async){.done = task_answered,
                                  .op = (uint16_t)op,
                                  .payload = buf_str(&t->request),
                                  .until_ms = clock_mono_ms() + KEYS_TIMEOUT_MS};
    if (k->chan && !t->request.err) {
        chan_call_async(k->chan, &t->call);
        return;
    }
    arena_init(&a);
    enum err e = t->request.err ? ERR_LIMIT : ask_local(k, op, t->call.payload, &a, &answer);
    task_answered(&t->call, e, answer);
    arena_free(&a);
}

void keys_sign_jws_start(struct keys *k, struct keys_task *t, const char *purpose,
                         enum jose_alg alg, const char *typ, struct str payload)
{
    struct str in[] = {str_from(purpose), str_from(jose_alg_name(alg)), str_from(typ), payload};
    task_start(k, t, OP_SIGN_JWS, in, COUNT_OF(in));
}

void keys_sign_tokens_start(struct keys *k, struct keys_task *t, struct str access,
                            enum jose_alg id_alg, struct str id_open)
{
    struct str in[] = {STR("issuer"), str_from(jose_alg_name(JOSE_ES256)), STR("at+jwt"),
                       access,        str_from(jose_alg_name(id_alg)),     STR("JWT"),
                       id_open};
    task_start(k, t, OP_SIGN_TOKENS, in, COUNT_OF(in));
}

enum err keys_sign_tokens(struct keys *k, struct str access, enum jose_alg id_alg,
                          struct str id_open, struct arena *a, struct str *access_out,
                          struct str *id_out)
{
    struct str answer, out[2],
        in[] = {STR("issuer"), str_from(jose_alg_name(JOSE_ES256)), STR("at+jwt"),
                access,        str_from(jose_alg_name(id_alg)),     STR("JWT"),
                id_open};
    if (access.n + id_open.n > KEYS_DATA_MAX)
        return ERR_LIMIT;
    enum err e = ask(k, OP_SIGN_TOKENS, in, COUNT_OF(in), a, &answer);
    if (e)
        return e;
    if (!fields_read(answer, out, 2))
        return ERR_INTERNAL;
    *access_out = out[0];
    *id_out = out[1];
    return ERR_OK;
}

enum err keys_jwks(struct keys *k, const char *purpose, struct arena *a, struct str *json)
{
    struct str in[] = {str_from(purpose)};
    return ask(k, OP_JWKS, in, 1, a, json);
}

enum err keys_public_raw(struct keys *k, const char *purpose, uint8_t out[32])
{
    struct str in[] = {str_from(purpose)};
    return ask_32(k, OP_PUBLIC, in, 1, out);
}

enum err keys_mac(struct keys *k, const char *name, struct str data, uint8_t out[32])
{
    struct str in[] = {str_from(name), data};
    return data.n > KEYS_DATA_MAX ? ERR_LIMIT : ask_32(k, OP_MAC, in, 2, out);
}

enum err keys_pairwise_v1(struct keys *k, struct str data, struct arena *a, struct str *sub)
{
    struct str in[] = {data};
    return data.n > KEYS_DATA_MAX ? ERR_LIMIT : ask(k, OP_PAIRWISE_V1, in, 1, a, sub);
}

enum err keys_wrap(struct keys *k, const char *name, struct str context, struct str plain,
                   struct arena *a, struct str *wrapped)
{
    struct str in[] = {str_from(name), context, plain};
    return plain.n > KEYS_DATA_MAX ? ERR_LIMIT : ask(k, OP_WRAP, in, 3, a, wrapped);
}

enum err keys_unwrap(struct keys *k, const char *name, struct str context, struct str wrapped,
                     struct arena *a, struct str *plain)
{
    struct str in[] = {str_from(name), context, wrapped};
    return ask(k, OP_UNWRAP, in, 3, a, plain);
}

enum err keys_jwe_open(struct keys *k, struct str compact, struct arena *a, struct str *plain)
{
    struct jwe j;
    uint8_t cek[JWE_CEK_LEN];
    enum err e = jwe_split(a, compact, &j);
    if (e)
        return e;
    struct str in[] = {str_from(jwe_alg_name(j.alg)), j.kid, j.encrypted_key, j.party_info};
    e = ask_32(k, OP_CEK, in, COUNT_OF(in), cek);
    if (!e)
        e = jwe_open(a, &j, cek, plain);
    mem_wipe(cek, sizeof cek);
    return e;
}

enum err keys_shared_secret(struct keys *k, const char *name, uint8_t out[32])
{
    struct str in[] = {str_from(name)};
    return ask_32(k, OP_SHARED, in, 1, out);
}

enum err keys_rotate(struct keys *k, const char *purpose)
{
    struct arena a;
    struct str in[] = {str_from(purpose)}, none;
    arena_init(&a);
    enum err e = ask(k, OP_ROTATE, in, 1, &a, &none);
    arena_free(&a);
    return e;
}

enum err keys_tls_has(struct keys *k, const uint8_t id[KEYS_TLS_ID_LEN])
{
    struct arena a;
    struct str in[] = {str_of(id, KEYS_TLS_ID_LEN)}, none;
    arena_init(&a);
    enum err e = ask(k, OP_TLS_HAS, in, 1, &a, &none);
    arena_free(&a);
    return e;
}

enum err keys_tls_sign(struct keys *k, const uint8_t id[KEYS_TLS_ID_LEN], const char *digest,
                       bool pss, struct str data, struct arena *a, struct str *sig)
{
    struct str in[] = {str_of(id, KEYS_TLS_ID_LEN), str_from(digest), str_from(pss ? "pss" : ""),
                       data};
    return data.n > KEYS_DATA_MAX ? ERR_LIMIT : ask(k, OP_TLS_SIGN, in, 4, a, sig);
}

enum err keys_tls_certify(struct keys *k, struct str name, const char *alg, struct str hosts,
                          unsigned days, struct arena *a, struct str *pem)
{
    struct str in[] = {name, str_from(alg), hosts, arena_printf(a, "%u", days)};
    return ask(k, OP_TLS_CERTIFY, in, 4, a, pem);
}

enum err keys_tls_import(struct keys *k, struct str name, struct str pem)
{
    struct arena a;
    struct str in[] = {name, pem}, none;
    arena_init_secret(&a);
    enum err e = ask(k, OP_TLS_IMPORT, in, 2, &a, &none);
    arena_free(&a);
    return e;
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
    chan_serve(s->fds, s->n, serve, &s->door, &proc_stopping);
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
    if (vault_open(conf->folder, &vault) != ERR_OK)
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
    chan_serve(fds, n, serve, &door, &proc_stopping);
    if (journal.n)
        pthread_join(journal.thread, NULL);
    if (tls.n)
        pthread_join(tls.thread, NULL);
    keystore_close(vault.store);
    tlsstore_free(vault.tls);
    return 0;
}
