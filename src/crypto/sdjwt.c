#include "crypto/sdjwt.h"

#include "base/codec.h"
#include "base/map.h"
#include "crypto/digest.h"
#include "data/json.h"

enum { DEPTH_MAX = 16, LEEWAY_MS = 60 * 1000 };

static const unsigned binding_algs =
    1u << JOSE_ES256 | 1u << JOSE_PS256 | 1u << JOSE_RS256 | 1u << JOSE_EDDSA;

static enum err deny(const char **why, const char *what)
{
    *why = what;
    return ERR_DENIED;
}

static bool names(const char *key, const char *name)
{
    return strcmp(key, name) == 0;
}

/* ---- splitting ----------------------------------------------------------------------------------
 */
enum err sdjwt_split(struct arena *a, struct str text, struct sdjwt *out)
{
    struct str part, rest;
    *out = (struct sdjwt){0};
    if (text.n > SDJWT_MAX)
        return ERR_LIMIT;
    ptrdiff_t first = str_find_char(text, '~'), last = -1;
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] == '~') {
            last = (ptrdiff_t)i;
            out->n_disclosures++;
        }
    if (first < 0)
        return ERR_INVALID; /* a JWT, of which nothing is said here */
    if (--out->n_disclosures > SDJWT_DISCLOSURES_MAX)
        return ERR_LIMIT;
    out->bound = str_sub(text, 0, (size_t)last + 1);
    out->key_binding = str_after(text, (size_t)last + 1);
    out->disclosures = arena_array(a, struct str, out->n_disclosures + 1);
    rest = str_sub(text, (size_t)first + 1, (size_t)(last - first));
    for (size_t i = 0; i < out->n_disclosures; i++) {
        if (!str_split(&rest, '~', &part) || part.n == 0)
            return ERR_INVALID;
        out->disclosures[i] = part;
    }
    enum err e = jws_split(a, str_sub(text, 0, (size_t)first), &out->jwt);
    if (e == ERR_OK && !out->jwt.claims) {
        jws_free(&out->jwt);
        e = ERR_INVALID;
    }
    return e;
}

void sdjwt_free(struct sdjwt *s)
{
    jws_free(&s->jwt);
}

/* ---- digests ------------------------------------------------------------------------------------
 */
enum hash { HASH_SHA256, HASH_SHA512 };

static bool hash_of(const struct sdjwt *s, enum hash *out)
{
    const json_t *v = json_get(s->jwt.claims, "_sd_alg");
    struct str name = json_get_str(s->jwt.claims, "_sd_alg");
    *out = str_eq_z(name, "sha-512") ? HASH_SHA512 : HASH_SHA256;
    return !v || *out == HASH_SHA512 || str_eq_z(name, "sha-256");
}

static struct str digest_of(struct arena *a, enum hash h, struct str text)
{
    uint8_t out[SHA512_LEN];
    if (h == HASH_SHA512)
        sha512(text.p, text.n, out);
    else
        sha256(text.p, text.n, out);
    return codec_to_base64url(a, out, h == HASH_SHA512 ? SHA512_LEN : SHA256_LEN);
}

/* ---- taking the claims out ----------------------------------------------------------------------
 */
struct disclosure {
    json_t *parts; /* [salt, value] of an array's element, [salt, name, value] of a claim */
    bool used;
};

struct opening {
    struct disclosure *list;
    struct map by_digest;
    struct map met; /* digests: each may stand in one place only */
    enum err err;
    const char *why;
};

static json_t *fail(struct opening *o, const char *why)
{
    o->why = why;
    o->err = ERR_DENIED;
    return NULL;
}

static bool disclosure_read(struct arena *a, struct str text, struct disclosure *d)
{
    struct str plain;
    if (codec_base64url(a, text, &plain) != ERR_OK || json_read(plain, &d->parts, NULL) != ERR_OK)
        return false;
    size_t n = json_array_size(d->parts);
    return (n == 2 || n == 3) && json_is_string(json_array_get(d->parts, 0)) &&
           (n == 2 || json_is_string(json_array_get(d->parts, 1)));
}

static enum err opening_start(struct arena *a, const struct sdjwt *s, struct opening *o)
{
    enum hash h;
    if (!hash_of(s, &h))
        return deny(&o->why, "_sd_alg is not known here");
    for (size_t i = 0; i < s->n_disclosures; i++) {
        if (!disclosure_read(a, s->disclosures[i], &o->list[i]))
            return deny(&o->why, "a disclosure is malformed");
        if (map_set(&o->by_digest, digest_of(a, h, s->disclosures[i]), &o->list[i]))
            return deny(&o->why, "a disclosure came twice");
    }
    return ERR_OK;
}

/* What a digest stands for; NULL where it is a decoy or was not disclosed, or o->why is set. */
static struct disclosure *disclosed(struct opening *o, const json_t *digest, size_t n_parts)
{
    struct str text = {json_string_value(digest), json_string_length(digest)};
    if (!text.p) {
        fail(o, "a digest is no text");
        return NULL;
    }
    if (map_set(&o->met, text, o)) {
        fail(o, "a digest stands twice");
        return NULL;
    }
    struct disclosure *d = map_get(&o->by_digest, text);
    if (d && json_array_size(d->parts) != n_parts) {
        fail(o, "a disclosure is of another kind than its place");
        return NULL;
    }
    if (d)
        d->used = true;
    return d;
}

static json_t *open_value(struct opening *o, const json_t *v, int depth);

static bool open_hidden(struct opening *o, const json_t *digests, json_t *out, int depth)
{
    if (!json_is_array(digests))
        return fail(o, "_sd is no list") != NULL;
    for (size_t i = 0; i < json_array_size(digests); i++) {
        struct disclosure *d = disclosed(o, json_array_get(digests, i), 3);
        if (o->why)
            return false;
        if (!d)
            continue;
        const char *name = json_string_value(json_array_get(d->parts, 1));
        if (names(name, "_sd") || names(name, "...") || (depth == 0 && names(name, "_sd_alg")))
            return fail(o, "a disclosure has a reserved name") != NULL;
        if (json_object_get(out, name))
            return fail(o, "a disclosure has the name of another claim") != NULL;
        json_t *child = open_value(o, json_array_get(d->parts, 2), depth + 1);
        if (!child || json_object_set_new(out, name, child) != 0)
            return child ? fail(o, "a name is not usable") != NULL : false;
    }
    return true;
}

static json_t *open_object(struct opening *o, const json_t *v, int depth)
{
    const char *key;
    json_t *item, *out = json_object();
    bool good = true;
    json_object_foreach((json_t *)v, key, item)
    {
        if (!good || names(key, "_sd") || (depth == 0 && names(key, "_sd_alg")))
            continue;
        json_t *child = names(key, "...") ? fail(o, "\"...\" stands outside of a list")
                                          : open_value(o, item, depth + 1);
        good = child && json_object_set_new(out, key, child) == 0;
    }
    const json_t *digests = json_object_get(v, "_sd");
    if (good && digests)
        good = open_hidden(o, digests, out, depth);
    if (good)
        return out;
    json_decref(out);
    return NULL;
}

static json_t *open_array(struct opening *o, const json_t *v, int depth)
{
    json_t *out = json_array();
    for (size_t i = 0; i < json_array_size(v); i++) {
        const json_t *item = json_array_get(v, i), *digest = json_object_get(item, "...");
        if (digest && json_object_size(item) != 1)
            fail(o, "a hidden element has other members");
        struct disclosure *d = digest && !o->why ? disclosed(o, digest, 2) : NULL;
        if (digest && d)
            item = json_array_get(d->parts, 1);
        json_t *child = o->why || (digest && !d) ? NULL : open_value(o, item, depth + 1);
        if (child)
            json_array_append_new(out, child);
        if (o->why) {
            json_decref(out);
            return NULL;
        }
    }
    return out;
}

/* Disclosures may lie in disclosures: depth counts both. */
static json_t *open_value(struct opening *o, const json_t *v, int depth)
{
    if (depth > DEPTH_MAX) {
        fail(o, "too many levels");
        o->err = ERR_LIMIT;
        return NULL;
    }
    if (json_is_object(v))
        return open_object(o, v, depth);
    return json_is_array(v) ? open_array(o, v, depth) : json_incref((json_t *)v);
}

/* What is checked must be signed in the open: draft-ietf-oauth-sd-jwt-vc 2.2.2.2. */
static bool checks_rest_on_the_open(const struct sdjwt *s, const json_t *claims)
{
    static const char *const open[] = {"iss", "nbf", "exp", "cnf", "vct", "status"};
    for (size_t i = 0; i < COUNT_OF(open); i++)
        if (!json_equal(json_get(s->jwt.claims, open[i]), json_get(claims, open[i])) &&
            (json_get(s->jwt.claims, open[i]) || json_get(claims, open[i])))
            return false;
    return true;
}

static void opening_end(struct opening *o, size_t n)
{
    for (size_t i = 0; i < n; i++)
        json_decref(o->list[i].parts);
    map_free(&o->by_digest);
    map_free(&o->met);
}

enum err sdjwt_claims(struct arena *a, const struct sdjwt *s, json_t **out, const char **why)
{
    struct opening o = {.list = arena_array(a, struct disclosure, s->n_disclosures + 1)};
    map_init(&o.by_digest);
    map_init(&o.met);
    *out = NULL;
    o.err = opening_start(a, s, &o);
    if (o.err == ERR_OK)
        *out = open_value(&o, s->jwt.claims, 0);
    for (size_t i = 0; i < s->n_disclosures && !o.why; i++)
        if (!o.list[i].used)
            fail(&o, "a disclosure that nothing refers to");
    if (!o.why && !checks_rest_on_the_open(s, *out))
        fail(&o, "a claim that checks rely on is hidden");
    if (o.why) {
        json_decref(*out);
        *out = NULL;
        *why = o.why;
    }
    opening_end(&o, s->n_disclosures);
    return o.why ? o.err : ERR_OK;
}

/* ---- the holder ---------------------------------------------------------------------------------
 */
static enum err binding_claims(struct arena *a, const struct sdjwt *s, const json_t *v,
                               const struct sdjwt_wanted *w, const char **why)
{
    enum hash h;
    const json_t *iat = json_get(v, "iat");
    double at_ms = json_is_number(iat) ? json_number_value(iat) * 1000 : -1;
    if (!hash_of(s, &h))
        return deny(why, "_sd_alg is not known here");
    if (!str_eq(json_get_str(v, "aud"), w->audience))
        return deny(why, "the key binding is for another audience");
    if (!w->nonce.n || !str_eq_secret(json_get_str(v, "nonce"), w->nonce))
        return deny(why, "the key binding has another nonce");
    if (at_ms < 0 || at_ms + LEEWAY_MS < (double)w->since_ms)
        return deny(why, "the key binding is older than the request");
    if (at_ms > (double)w->now_ms + LEEWAY_MS)
        return deny(why, "the key binding is from the future");
    if (!str_eq(json_get_str(v, "sd_hash"), digest_of(a, h, s->bound)))
        return deny(why, "the key binding is of another presentation");
    return ERR_OK;
}

enum err sdjwt_check_binding(struct arena *a, const struct sdjwt *s, const json_t *claims,
                             const struct sdjwt_wanted *w, const char **why)
{
    struct jws j;
    struct jwk *key;
    if (!s->key_binding.n)
        return deny(why, "no key binding");
    if (jwk_read(json_get(json_get(claims, "cnf"), "jwk"), &key) != ERR_OK)
        return deny(why, "the credential names no usable key of its holder");
    enum err e = jws_split(a, s->key_binding, &j);
    if (e != ERR_OK) {
        jwk_free(key);
        return deny(why, "the key binding is malformed, or not signed");
    }
    if (!str_eq_z(json_get_str(j.header, "typ"), "kb+jwt") || !j.claims)
        e = deny(why, "the key binding is of another type");
    else if (jws_verify_key(&j, key, binding_algs) != ERR_OK)
        e = deny(why, "the key binding is by another key");
    else
        e = binding_claims(a, s, j.claims, w, why);
    jws_free(&j);
    jwk_free(key);
    return e;
}
