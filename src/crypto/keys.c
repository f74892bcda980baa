/* Asking for what needs a key: of the keys process, or of an open key folder. The requests are
 * those of keys_serve.c. */
#include "crypto/keys_inner.h"

#include <assert.h>
#include "base/clock.h"
#include "base/codec.h"
#include "base/log.h"
#include "crypto/digest.h"
#include "crypto/jwe_key.h"

/* --- the two transports ----------------------------------------------------------------------- */

struct keys {
    struct vault vault; /* direct */
    struct door door;
    struct chan_client *chan; /* NULL: direct */
};

enum err keys_open_local(const char *folder, struct keys **out)
{
    struct keys *k = calloc(1, sizeof *k);
    *out = NULL;
    evp_must(k != NULL, "memory");
    enum err e = keys_vault_open(folder, &k->vault);
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
    keys_vault_close(&k->vault);
    free(k);
}

static enum err ask_local(struct keys *k, enum keys_op op, struct str request, struct arena *a,
                          struct str *out)
{
    struct arena work;
    struct buf answer;
    arena_init_secret(&work);
    buf_init(&answer, FRAME_MAX);
    enum err e = keys_serve(&k->door, (uint16_t)op, request, &work, &answer);
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
        keys_field_add(&request, in[i]);
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
    if (!keys_fields_read(answer, out, 2))
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
    if (!status && (!keys_fields_read(answer, out, 2) || out[0].n > sizeof j->sig ||
                    out[1].n >= sizeof j->kid))
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
    keys_field_add(&j->request, str_from(purpose));
    keys_field_add(&j->request, str_from(jose_alg_name(alg)));
    keys_field_add(&j->request, data);
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
    if (!status && t->two && !keys_fields_read(answer, out, 2))
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
        keys_field_add(&t->request, in[i]);
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
    if (!keys_fields_read(answer, out, 2))
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
