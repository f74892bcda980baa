#include "crypto/dpop.h"

#include <stdlib.h>
#include "base/codec.h"
#include "base/map.h"
#include "crypto/digest.h"
#include "data/json.h"

enum { SEEN_FIRST = 1024, JTI_MAX = 256 };
static const unsigned algs =
    1u << JOSE_ES256 | 1u << JOSE_PS256 | 1u << JOSE_RS256 | 1u << JOSE_EDDSA;

/* ---- the proof ----------------------------------------------------------------------------------
 */
static enum err deny(const char **why, const char *what)
{
    *why = what;
    return ERR_DENIED;
}

void dpop_key_free(struct dpop_key *k)
{
    if (k->key)
        jwk_free(k->key);
    *k = (struct dpop_key){0};
}

/* RFC 9449 4.3: compared after scheme and host are in one case, without query and fragment. */
static bool url_is(struct str htu, struct str url)
{
    size_t n = 0, slashes = 0;
    while (n < htu.n && htu.p[n] != '?' && htu.p[n] != '#')
        n++;
    htu = str_sub(htu, 0, n);
    if (htu.n != url.n)
        return false;
    for (n = 0; n < url.n && slashes < 3; n++)
        slashes += url.p[n] == '/';
    return str_eq_nocase(str_sub(htu, 0, n), str_sub(url, 0, n)) &&
           str_eq(str_after(htu, n), str_after(url, n));
}

static bool ath_is(struct arena *a, struct str ath, struct str token)
{
    uint8_t hash[SHA256_LEN];
    sha256(token.p, token.n, hash);
    return str_eq(codec_to_base64url(a, hash, sizeof hash), ath);
}

static enum err claims_check(struct arena *a, const json_t *v, const struct dpop_wanted *w,
                             const char **why)
{
    struct str jti = json_get_str(v, "jti");
    json_t *iat = json_get(v, "iat");
    if (!str_eq(json_get_str(v, "htm"), w->method))
        return deny(why, "htm is another method");
    if (!url_is(json_get_str(v, "htu"), w->url))
        return deny(why, "htu is another address");
    if (!jti.n || jti.n > JTI_MAX)
        return deny(why, "jti is missing");
    double at_s = json_is_number(iat) ? json_number_value(iat) : 0;
    if (!(at_s > 0 && at_s < 1e11))
        return deny(why, "iat is missing");
    int64_t at_ms = (int64_t)(at_s * 1000);
    if (at_ms < w->now_ms - DPOP_PAST_MS || at_ms > w->now_ms + DPOP_AHEAD_MS)
        return deny(why, "iat is too long ago or ahead");
    if (w->token.p && !ath_is(a, json_get_str(v, "ath"), w->token))
        return deny(why, "ath is not of this token");
    return ERR_OK;
}

static enum err key_read(struct arena *a, const struct jws *j, struct dpop_key *out,
                         const char **why)
{
    const json_t *jwk = json_get(j->header, "jwk");
    if (!json_is_object(jwk) || jwk_read(jwk, &out->key) != ERR_OK)
        return deny(why, "jwk is not a public key for signatures");
    struct str jkt = jwk_thumbprint(a, jwk);
    if (jkt.n != DPOP_JKT_LEN) {
        dpop_key_free(out);
        return deny(why, "jwk is not a public key for signatures");
    }
    memcpy(out->jkt, jkt.p, jkt.n);
    return ERR_OK;
}

/* With the key of the proof itself. */
static enum err verify(struct arena *a, const struct jws *j, struct str header,
                       const struct dpop_wanted *w, struct dpop_key *kept, struct arena *kept_arena,
                       struct dpop_proof *out, const char **why)
{
    struct dpop_key fresh = {0}, *key = &fresh;
    enum err e = ERR_OK;
    if (kept && kept->key && str_eq(kept->header, header))
        key = kept;
    else
        e = key_read(a, j, &fresh, why);
    if (e != ERR_OK)
        return e;
    out->jkt = arena_dup(a, str_from(key->jkt));
    if (w->jkt.p && !str_eq(out->jkt, w->jkt))
        e = deny(why, "the key is not the one the token is bound to");
    else if (jws_verify_key(j, key->key, algs) != ERR_OK)
        e = deny(why, "the signature does not fit");
    if (e == ERR_OK && key == &fresh && kept && !kept->key) {
        fresh.header = arena_dup(kept_arena, header);
        *kept = fresh;
    } else if (key == &fresh) {
        dpop_key_free(&fresh);
    }
    return e;
}

enum err dpop_check(struct arena *a, struct str compact, const struct dpop_wanted *w,
                    struct dpop_key *kept, struct arena *kept_arena, struct dpop_proof *out,
                    const char **why)
{
    struct jws j;
    *out = (struct dpop_proof){0};
    if (compact.n > DPOP_TEXT_MAX || jws_split(a, compact, &j) != ERR_OK)
        return deny(why, "it is not a JWS of an algorithm known here");
    ptrdiff_t dot = str_find_char(compact, '.');
    enum err e = ERR_OK;
    if (!j.claims || !str_eq_z(json_get_str(j.header, "typ"), "dpop+jwt"))
        e = deny(why, "typ is not dpop+jwt");
    if (e == ERR_OK)
        e = claims_check(a, j.claims, w, why);
    if (e == ERR_OK)
        e = verify(a, &j, str_sub(compact, 0, (size_t)dot), w, kept, kept_arena, out, why);
    if (e == ERR_OK) {
        out->jti = arena_dup(a, json_get_str(j.claims, "jti"));
        out->seen =
            map_hash(arena_printf(a, STR_FMT " " STR_FMT, STR_ARG(out->jkt), STR_ARG(out->jti)));
    }
    jws_free(&j);
    return e;
}

/* ---- proofs seen --------------------------------------------------------------------------------
 */
void dpop_seen_init(struct dpop_seen *s, size_t max)
{
    *s = (struct dpop_seen){.max = max};
}

void dpop_seen_free(struct dpop_seen *s)
{
    free(s->slots[0]);
    free(s->slots[1]);
    *s = (struct dpop_seen){0};
}

/* The slot that holds it, or the free one where it belongs. */
static uint64_t *slot_of(uint64_t *slots, size_t cap, uint64_t proof)
{
    size_t i = proof & (cap - 1);
    while (slots[i] && slots[i] != proof)
        i = (i + 1) & (cap - 1);
    return &slots[i];
}

static void grow(struct dpop_seen *s)
{
    size_t cap = s->cap[0] ? s->cap[0] * 2 : SEEN_FIRST;
    uint64_t *slots = calloc(cap, sizeof *slots);
    if (!slots)
        abort();
    for (size_t i = 0; i < s->cap[0]; i++)
        if (s->slots[0][i])
            *slot_of(slots, cap, s->slots[0][i]) = s->slots[0][i];
    free(s->slots[0]);
    s->slots[0] = slots;
    s->cap[0] = cap;
}

static void turn(struct dpop_seen *s, int64_t mono_ms)
{
    int64_t age_ms = mono_ms - s->began_ms, life_ms = DPOP_PAST_MS + DPOP_AHEAD_MS;
    if (s->began_ms && age_ms <= life_ms)
        return;
    free(s->slots[1]);
    bool both = s->began_ms && age_ms > 2 * life_ms; /* what is there has run out too */
    if (both)
        free(s->slots[0]);
    s->slots[1] = both ? NULL : s->slots[0];
    s->cap[1] = both ? 0 : s->cap[0];
    s->n[1] = both ? 0 : s->n[0];
    s->slots[0] = NULL;
    s->cap[0] = s->n[0] = 0;
    s->began_ms = mono_ms;
}

enum err dpop_seen_add(struct dpop_seen *s, uint64_t proof, int64_t mono_ms)
{
    proof = proof ? proof : 1;
    turn(s, mono_ms);
    if (s->cap[1] && *slot_of(s->slots[1], s->cap[1], proof))
        return ERR_EXISTS;
    if (s->n[0] * 2 >= s->cap[0] && s->n[0] < s->max)
        grow(s);
    uint64_t *slot = slot_of(s->slots[0], s->cap[0], proof);
    if (*slot)
        return ERR_EXISTS;
    if (s->n[0] >= s->max)
        return ERR_LIMIT;
    *slot = proof;
    s->n[0]++;
    return ERR_OK;
}
