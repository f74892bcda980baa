#include "core/exchange/proof.h"

#include <pthread.h>
#include "base/clock.h"
#include "base/codec.h"
#include "core/exchange/stages.h"
#include "crypto/digest.h"

/* Shared by the loops. The lock is held for one look into a table; there are enough of them for two
 * loops to want the same one rarely. */
enum { SHARDS = 64, SHARD_PROOFS_MAX = 1 << 14 /* of a minute: 15,000 a second in all */ };
static struct shard {
    _Alignas(64) pthread_mutex_t lock;
    struct dpop_seen seen;
} shards[SHARDS] = {
    [0 ... SHARDS - 1] = {PTHREAD_MUTEX_INITIALIZER, {.max = SHARD_PROOFS_MAX}},
};

enum err proof_once(uint64_t proof, int64_t mono_ms)
{
    struct shard *s = &shards[proof >> 58]; /* a place in the table is of the low bits */
    pthread_mutex_lock(&s->lock);
    enum err e = dpop_seen_add(&s->seen, proof, mono_ms);
    pthread_mutex_unlock(&s->lock);
    return e;
}

/* The header, once: of two proofs nobody could say which one holds. */
static struct str proof_of(const struct http_head *h)
{
    struct str found = STR_NONE;
    for (size_t i = 0; i < h->n_headers; i++) {
        if (!str_eq_nocase(h->headers[i].name, STR("DPoP")))
            continue;
        if (found.p)
            return STR_NONE;
        found = h->headers[i].value;
    }
    return found;
}

STAGE_AT(proof);
static enum gw_code dpop(struct gateway *g, struct fast *x, struct token *t, int64_t now_ms)
{
    const struct http_head *h = fast_head(x);
    struct arena *a = fast_arena(x);
    struct dpop_wanted w = {
        .method = str_from(http_method_name(h->method)),
        .url = arena_printf(a, STR_FMT STR_FMT, STR_ARG(g->issuer), STR_ARG(h->path)),
        .token = t->text,
        .jkt = t->jkt,
        .now_ms = now_ms};
    struct dpop_proof proof;
    const char *why;
    struct str compact = proof_of(h);
    if (!compact.p || dpop_check(a, compact, &w, &t->proof_key, &t->arena, &proof, &why) != ERR_OK)
        return GW_PROOF;
    enum err e = proof_once(proof.seen, loop_now_ms(g->loop));
    return e == ERR_OK ? GW_OK : e == ERR_LIMIT ? GW_BUSY : GW_PROOF;
}

/* The certificate as we saw it, or a trusted proxy did (RFC 9440: from anybody else the header was
 * dropped). */
static bool certificate_fits(struct fast *x, struct str x5t)
{
    struct str seen = fast_x5t(x), der;
    uint8_t hash[SHA256_LEN];
    if (seen.p)
        return str_eq(seen, x5t);
    struct arena *a = fast_arena(x);
    struct str h = str_trim(http_header_get(fast_head(x), "Client-Cert"));
    if (h.n < 3 || h.p[0] != ':' || h.p[h.n - 1] != ':' ||
        codec_base64(a, str_sub(h, 1, h.n - 2), &der) != ERR_OK)
        return false;
    sha256(der.p, der.n, hash);
    return str_eq(codec_to_base64url(a, hash, sizeof hash), x5t);
}

enum gw_code token_possessed(struct gateway *g, struct fast *x, struct token *t, bool under_dpop,
                             int64_t now_ms)
{
    if (under_dpop != (t->jkt.n > 0))
        return t->jkt.n ? GW_TOKEN_BOUND : GW_TOKEN_INVALID;
    if (t->x5t.n && !certificate_fits(x, t->x5t))
        return GW_TOKEN_BOUND;
    return t->jkt.n ? dpop(g, x, t, now_ms) : GW_OK;
}
