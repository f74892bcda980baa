#include "core/exchange/tokens.h"

#include <stdlib.h>
#include "base/codec.h"
#include "base/rand.h"
#include "crypto/digest.h"
#include "crypto/seal.h"
#include "data/json.h"
#include "core/exchange/stages.h"

static bool part_is_base64url(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '-' || c == '_'))
            return false;
    }
    return s.n > 0;
}

bool token_is_formed(struct str text, struct str *signature)
{
    const char *last = text.n ? memrchr(text.p, '.', text.n) : NULL;
    if (!last || text.n > TOKEN_TEXT_MAX)
        return false;
    *signature = str_after(text, (size_t)(last - text.p) + 1);
    return signature->n >= 43 && signature->n <= 700;
}

/* Everything but the signature's own alphabet is looked at once, before the first verification. */
static bool parts_are_formed(struct str text)
{
    struct str part;
    int n = 0;
    while (str_split(&text, '.', &part)) {
        if (!part_is_base64url(part))
            return false;
        n++;
        if (!text.n)
            break;
    }
    return n == 3;
}

static enum err grants_read(struct token *t, const json_t *list)
{
    size_t n = json_array_size(list);
    if (n > TOKEN_GRANTS_MAX)
        return ERR_LIMIT;
    t->grants = arena_array(&t->arena, struct token_grant, n + 1);
    for (size_t i = 0; i < n; i++) {
        const json_t *v = json_array_get(list, i);
        struct token_grant *g = &t->grants[t->n_grants++];
        g->api = arena_dup(&t->arena, json_get_str(v, "api"));
        g->contract = arena_dup(&t->arena, json_get_str(v, "contract"));
        g->consent = arena_dup(&t->arena, json_get_str(v, "consent"));
        if (!g->api.n || !g->contract.n)
            return ERR_INVALID;
    }
    return ERR_OK;
}

/* Opens `idt`: who the person is, for the provider and for the side rows, and the key that seals
 * them. The consumer, who carries the token, cannot read it. */
static enum err identity_read(struct token *t, struct str idt, const uint8_t *seal_key)
{
    struct arena *a = &t->arena;
    struct str sealed, plain, key;
    json_t *v = NULL;
    enum err e = codec_base64url(a, idt, &sealed);
    if (e == ERR_OK)
        e = unseal(a, seal_key, STR("token.idt"), sealed, &plain);
    if (e == ERR_OK)
        e = json_read(plain, &v, NULL);
    if (e != ERR_OK)
        return e;
    t->person = arena_dup(a, json_get_str(v, "person"));
    e = codec_base64url(a, json_get_str(v, "key"), &key);
    json_t *pivot = json_get(v, "pivot");
    if (e == ERR_OK && (key.n != SEAL_KEY_LEN || !t->person.n || !json_is_object(pivot)))
        e = ERR_INVALID;
    if (e == ERR_OK) {
        struct str text = json_text(a, pivot);
        t->identity = codec_to_base64url(a, text.p, text.n);
        t->subject_key = (const uint8_t *)key.p;
        t->has_subject = true;
        sha256(t->person.p, t->person.n, t->subject_hash);
    }
    json_decref(v);
    return e;
}

static enum err claims_read(struct token *t, const json_t *claims, const uint8_t *seal_key)
{
    struct str idt = json_get_str(claims, "idt");
    int64_t exp_s = json_get_i64(claims, "exp", 0);
    t->jti = arena_dup(&t->arena, json_get_str(claims, "jti"));
    t->client_id = arena_dup(&t->arena, json_get_str(claims, "client_id"));
    t->family = arena_dup(&t->arena, json_get_str(claims, "family"));
    t->jkt = arena_dup(&t->arena, json_get_str(json_get(claims, "cnf"), "jkt"));
    t->x5t = arena_dup(&t->arena, json_get_str(json_get(claims, "cnf"), "x5t#S256"));
    if (json_get(claims, "cnf") && !t->jkt.n && !t->x5t.n)
        return ERR_INVALID; /* bound to something we cannot check */
    if (!t->jti.n || !t->client_id.n || exp_s <= 0 || exp_s > INT64_MAX / 1000)
        return ERR_INVALID;
    t->expires_ms = exp_s * 1000;
    t->issued_ms = id_time_ms(t->jti); /* `iat` counts seconds */
    if (t->issued_ms < 0)
        t->issued_ms = json_get_i64(claims, "iat", 0) * 1000;
    enum err e = grants_read(t, json_get(claims, "grants"));
    if (e == ERR_OK && idt.n)
        e = identity_read(t, idt, seal_key);
    return e;
}

static enum gw_code claims_check(const json_t *claims, const struct token_rules *r)
{
    const char *why;
    if (jwt_check(claims, r->issuer, r->audience, r->now_ms, &why) == ERR_OK)
        return GW_OK;
    return json_get_i64(claims, "exp", INT64_MAX / 1000) * 1000 <= r->now_ms ? GW_TOKEN_EXPIRED
                                                                             : GW_TOKEN_INVALID;
}

static struct token *token_new(struct str text, struct str signature)
{
    struct token *t = calloc(1, sizeof *t);
    if (!t)
        abort();
    arena_init_secret(&t->arena);
    t->refs = 1;
    t->text = arena_dup(&t->arena, text);
    t->signature = str_after(t->text, text.n - signature.n);
    return t;
}

STAGE_AT(token);
enum gw_code token_verify(struct str text, const struct token_rules *r, struct token **out)
{
    struct str signature;
    struct jws j;
    if (!token_is_formed(text, &signature) || !parts_are_formed(text))
        return GW_TOKEN_INVALID;
    struct token *t = token_new(text, signature);
    if (jws_split(&t->arena, t->text, &j) != ERR_OK) {
        token_unref(t);
        return GW_TOKEN_INVALID;
    }
    enum gw_code code = GW_TOKEN_INVALID;
    /* RFC 9068 4: the type keeps an ID token from passing for an access token. */
    if (j.claims && str_eq_z(json_get_str(j.header, "typ"), "at+jwt") && r->keys &&
        jws_verify(&j, r->keys, 1u << JOSE_ES256) == ERR_OK)
        code = claims_check(j.claims, r);
    if (code == GW_OK && claims_read(t, j.claims, r->seal_key) != ERR_OK)
        code = GW_TOKEN_INVALID;
    jws_free(&j);
    if (code == GW_OK)
        *out = t;
    else
        token_unref(t);
    return code;
}

void token_unref(struct token *t)
{
    if (!t || --t->refs)
        return;
    dpop_key_free(&t->proof_key);
    arena_free(&t->arena);
    free(t);
}

void token_cache_init(struct token_cache *c, size_t max)
{
    *c = (struct token_cache){.max = max};
    map_init(&c->by_signature);
}

static void unlink_token(struct token_cache *c, struct token *t)
{
    if (t->newer)
        t->newer->older = t->older;
    else
        c->newest = t->older;
    if (t->older)
        t->older->newer = t->newer;
    else
        c->oldest = t->newer;
    t->newer = t->older = NULL;
}

static void link_newest(struct token_cache *c, struct token *t)
{
    t->older = c->newest;
    t->newer = NULL;
    if (c->newest)
        c->newest->newer = t;
    else
        c->oldest = t;
    c->newest = t;
}

struct token *token_cache_get(struct token_cache *c, struct str text, struct str signature)
{
    struct token *t = map_get(&c->by_signature, signature);
    /* The map compares 64-bit keyed hashes before bytes, so time tells nothing of a signature; the
     * rest of a token is no secret to who has its signature. */
    if (!t || !str_eq(t->text, text))
        return NULL;
    if (c->newest != t) {
        unlink_token(c, t);
        link_newest(c, t);
    }
    return t;
}

void token_cache_drop(struct token_cache *c, struct token *t)
{
    map_del(&c->by_signature, t->signature);
    unlink_token(c, t);
    token_unref(t);
}

void token_cache_put(struct token_cache *c, struct token *t)
{
    struct token *same = map_get(&c->by_signature, t->signature);
    if (same)
        token_cache_drop(c, same);
    while (c->by_signature.n >= c->max)
        token_cache_drop(c, c->oldest);
    t->refs++;
    map_set(&c->by_signature, t->signature, t);
    link_newest(c, t);
}

void token_cache_clear(struct token_cache *c)
{
    while (c->oldest)
        token_cache_drop(c, c->oldest);
}

void token_cache_free(struct token_cache *c)
{
    token_cache_clear(c);
    map_free(&c->by_signature);
}
