/* Reading back what we signed: access tokens at userinfo and revocation, ID tokens given as a hint
 * when somebody signs out. The public keys are asked of `keys` once a minute. */
#include "core/identity/issue.h"

#include <pthread.h>
#include "base/clock.h"
#include "base/codec.h"
#include "crypto/seal.h"

enum { KEYS_LIFE_MS = 60 * 1000, KEYS_AGAIN_MS = 1000 };

static struct {
    pthread_rwlock_t lock;
    struct jwks *keys;
    int64_t read_ms;
} own = {.lock = PTHREAD_RWLOCK_INITIALIZER};

static enum err keys_renew(struct ctx *c, int64_t older_than_ms)
{
    struct str json;
    struct jwks *fresh;
    enum err e = keys_jwks(c->pf->keys, "issuer", c->arena, &json);
    if (e == ERR_OK)
        e = jwks_read(json, &fresh);
    if (e != ERR_OK)
        return e;
    pthread_rwlock_wrlock(&own.lock);
    struct jwks *old = own.keys;
    if (old && own.read_ms > older_than_ms) {
        old = fresh; /* another thread was first */
    } else {
        own.keys = fresh;
        own.read_ms = clock_mono_ms();
    }
    pthread_rwlock_unlock(&own.lock);
    if (old)
        jwks_free(old);
    return ERR_OK;
}

static enum err verify(const struct jws *j, int64_t *read_ms)
{
    pthread_rwlock_rdlock(&own.lock);
    *read_ms = own.read_ms;
    enum err e = own.keys ? jws_verify(j, own.keys, 1u << JOSE_ES256 | 1u << JOSE_RS256 |
                                                        1u << JOSE_PS256)
                          : ERR_NOT_FOUND;
    pthread_rwlock_unlock(&own.lock);
    return e;
}

enum err own_jws_read(struct ctx *c, struct str compact, const char *typ, json_t **claims)
{
    struct jws j;
    int64_t read_ms, now_ms = clock_mono_ms();
    if (jws_split(c->arena, compact, &j) != ERR_OK)
        return ERR_INVALID;
    enum err e = verify(&j, &read_ms);
    bool stale = e == ERR_NOT_FOUND ? now_ms - read_ms > KEYS_AGAIN_MS || read_ms == 0
                                    : now_ms - read_ms > KEYS_LIFE_MS;
    if (stale && (e = keys_renew(c, read_ms)) == ERR_OK)
        e = verify(&j, &read_ms);
    if (e == ERR_OK && (!j.claims || (typ && !str_eq_z(json_get_str(j.header, "typ"), typ))))
        e = ERR_INVALID;
    if (e == ERR_OK)
        *claims = json_own(&c->pool, json_incref(j.claims));
    jws_free(&j);
    return e == ERR_NOT_FOUND ? ERR_DENIED : e;
}

static enum err is_denied(struct ctx *c, const char *kind, struct str id)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    if (!db)
        return ERR_UNAVAILABLE;
    enum err e = db_query_one(db, c->arena, &r,
                              "SELECT 1 FROM change WHERE kind = 'deny' AND until_ms > $1 AND "
                              "item = $2",
                              "is", clock_now_ms(),
                              arena_printf(c->arena, "%s:" STR_FMT, kind, STR_ARG(id)));
    return e == ERR_OK ? ERR_DENIED : e == ERR_NOT_FOUND ? ERR_OK : e;
}

static enum err inside_read(struct ctx *c, struct str idt, struct access *out)
{
    struct str sealed, plain;
    json_t *v;
    enum err e = codec_base64url(c->arena, idt, &sealed);
    if (e == ERR_OK)
        e = unseal(c->arena, c->pf->token_seal, STR("token.idt"), sealed, &plain);
    if (e == ERR_OK)
        e = json_read(plain, &v, NULL);
    if (e != ERR_OK)
        return ERR_INVALID;
    json_own(&c->pool, v);
    out->person = json_get_str(v, "person");
    out->claims = json_get_str(v, "claims");
    return out->person.n ? ERR_OK : ERR_INVALID;
}

enum err access_read(struct ctx *c, struct str token, struct access *out)
{
    json_t *v;
    const char *why;
    struct str issuer = str_from(c->pf->settings->base_url);
    enum err e = own_jws_read(c, token, "at+jwt", &v);
    if (e == ERR_OK)
        e = jwt_check(v, issuer, issuer, clock_now_ms(), &why);
    if (e != ERR_OK)
        return e;
    *out = (struct access){.jti = json_get_str(v, "jti"), .client_id = json_get_str(v, "client_id"),
                           .sub = json_get_str(v, "sub"), .scope = json_get_str(v, "scope"),
                           .exp_s = json_get_i64(v, "exp", 0)};
    e = inside_read(c, json_get_str(v, "idt"), out);
    if (e == ERR_OK)
        e = is_denied(c, "token", out->jti);
    return e == ERR_OK ? is_denied(c, "client", out->client_id) : e;
}
