/* Compact JWS and the checks of JWT (RFC 7515, 7519, 8725). The order is the point: split and
 * decode first, believe nothing; then verify with a key and an algorithm the caller chose, never
 * the token; only then read the claims. */
#include <assert.h>
#include "base/codec.h"
#include "crypto/digest.h"
#include "crypto/jwk.h"
#include "data/json.h"

enum { JWS_MAX = 128 * 1024, JWS_HEADER_MAX = 8 * 1024, LEEWAY_MS = 10 * 1000 };

static const char *const alg_names[JOSE_ALG_COUNT] = {"ES256", "RS256", "PS256", "EdDSA", "HS256"};

const char *jose_alg_name(enum jose_alg alg)
{
    assert(alg < JOSE_ALG_COUNT);
    return alg_names[alg];
}

enum err jose_alg_from_name(struct str name, enum jose_alg *out)
{
    for (size_t i = 0; i < JOSE_ALG_COUNT; i++)
        if (str_eq_z(name, alg_names[i])) {
            *out = (enum jose_alg)i;
            return ERR_OK;
        }
    return ERR_INVALID;
}

/* Takes what is before the next dot; false where there is none. */
static bool dot_split(struct str *rest, struct str *part)
{
    ptrdiff_t dot = str_find_char(*rest, '.');
    if (dot < 0)
        return false;
    *part = str_sub(*rest, 0, (size_t)dot);
    *rest = str_after(*rest, (size_t)dot + 1);
    return true;
}

/* No extension is understood here, so any "crit" is refused (RFC 7515 4.1.11). */
static enum err header_read(struct arena *a, struct str text, struct jws *out)
{
    struct str raw;
    if (text.n > JWS_HEADER_MAX)
        return ERR_LIMIT;
    if (codec_base64url(a, text, &raw) || json_read(raw, &out->header, NULL))
        return ERR_INVALID;
    if (!json_is_object(out->header) || json_object_get(out->header, "crit"))
        return ERR_INVALID;
    if (jose_alg_from_name(jose_member(out->header, "alg"), &out->alg))
        return ERR_INVALID; /* "none" too */
    if (json_object_get(out->header, "kid")) {
        out->kid = jose_member(out->header, "kid");
        if (!out->kid.p)
            return ERR_INVALID;
    }
    return ERR_OK;
}

enum err jws_split(struct arena *a, struct str compact, struct jws *out)
{
    struct str rest = compact, header, payload;
    *out = (struct jws){0};
    if (compact.n > JWS_MAX)
        return ERR_LIMIT;
    if (!dot_split(&rest, &header) || !dot_split(&rest, &payload) || rest.n == 0)
        return ERR_INVALID;
    out->signing_input = str_sub(compact, 0, header.n + 1 + payload.n);
    enum err e = header_read(a, header, out);
    if (!e)
        e = codec_base64url(a, rest, &out->signature); /* a third dot is no digit */
    if (!e)
        e = codec_base64url(a, payload, &out->payload);
    if (e) {
        jws_free(out);
        return e;
    }
    if (out->payload.n && out->payload.p[0] == '{' &&
        json_read(out->payload, &out->claims, NULL) != ERR_OK)
        out->claims = NULL;
    return ERR_OK;
}

void jws_free(struct jws *j)
{
    json_decref(j->header);
    json_decref(j->claims);
    *j = (struct jws){0};
}

enum err jws_verify_key(const struct jws *j, const struct jwk *key, unsigned algs)
{
    unsigned alg = 1u << j->alg;
    if (!(alg & algs & key->algs & ~(1u << JOSE_HS256)))
        return ERR_DENIED;
    return pkey_verify(key->pkey, j->alg, j->signing_input, j->signature) ? ERR_OK : ERR_DENIED;
}

enum err jws_verify(const struct jws *j, const struct jwks *keys, unsigned algs)
{
    bool known = false;
    for (size_t i = 0; i < keys->n; i++) {
        const struct jwk *k = keys->keys[i];
        if (j->kid.p && !(k->kid && str_eq_z(j->kid, k->kid)))
            continue;
        known = true;
        if (jws_verify_key(j, k, algs) == ERR_OK)
            return ERR_OK;
    }
    return known ? ERR_DENIED : ERR_NOT_FOUND;
}

enum err jws_verify_hs256(const struct jws *j, struct str secret)
{
    uint8_t mac[SHA256_LEN];
    if (j->alg != JOSE_HS256 || secret.n < SHA256_LEN)
        return ERR_DENIED; /* RFC 7518 3.2: a key as long as the digest at least */
    hmac_sha256(secret, j->signing_input, mac);
    return str_eq_secret(j->signature, str_of(mac, sizeof mac)) ? ERR_OK : ERR_DENIED;
}

struct str jws_input(struct arena *a, struct str header_json, struct str payload)
{
    struct str h = codec_to_base64url(a, header_json.p, header_json.n);
    struct str p = codec_to_base64url(a, payload.p, payload.n);
    return arena_printf(a, "%s.%s", h.p, p.p);
}

struct str jws_make_hs256(struct arena *a, struct str header_json, struct str payload,
                          struct str secret)
{
    uint8_t mac[SHA256_LEN];
    struct str input = jws_input(a, header_json, payload);
    hmac_sha256(secret, input, mac);
    return arena_printf(a, "%s.%s", input.p, codec_to_base64url(a, mac, sizeof mac).p);
}

/* --- claims ----------------------------------------------------------------------------------- */

static bool audience_has(const json_t *aud, struct str who)
{
    const json_t *one;
    size_t i;
    if (json_is_string(aud))
        return str_eq(who, str_of(json_string_value(aud), json_string_length(aud)));
    json_array_foreach(
        (json_t *)aud, i,
        one) if (json_is_string(one) &&
                 str_eq(who, str_of(json_string_value(one), json_string_length(one)))) return true;
    return false;
}

/* A NumericDate (RFC 7519 2) in milliseconds; false when it is none, or out of any calendar. */
static bool date_ms(const json_t *claims, const char *name, double *out)
{
    const json_t *v = json_object_get(claims, name);
    if (!json_is_number(v))
        return false;
    double s = json_number_value(v);
    *out = s * 1000;
    return s >= 0 && s < 1e11;
}

static const char *dates_fault(const json_t *claims, int64_t now_ms)
{
    double at, now = (double)now_ms;
    if (!date_ms(claims, "exp", &at))
        return "exp is missing or no date";
    if (at + LEEWAY_MS <= now)
        return "expired";
    if (json_object_get(claims, "nbf") && (!date_ms(claims, "nbf", &at) || at > now + LEEWAY_MS))
        return "nbf is in the future or no date";
    if (json_object_get(claims, "iat") && (!date_ms(claims, "iat", &at) || at > now + LEEWAY_MS))
        return "iat is in the future or no date";
    return NULL;
}

enum err jwt_check(const json_t *claims, struct str iss, struct str aud, int64_t now_ms,
                   const char **why)
{
    *why = NULL;
    if (!json_is_object(claims))
        *why = "no claims";
    else if (iss.p && !str_eq(iss, jose_member(claims, "iss")))
        *why = "another issuer";
    else if (aud.p && !audience_has(json_object_get(claims, "aud"), aud))
        *why = "another audience";
    else
        *why = dates_fault(claims, now_ms);
    return *why ? ERR_DENIED : ERR_OK;
}
