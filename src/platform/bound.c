#include "platform/bound.h"

#include <pthread.h>
#include "base/clock.h"
#include "base/codec.h"
#include "crypto/digest.h"
#include "platform/node.h"

enum { PROOFS_MAX = 1 << 17 };
static struct dpop_seen seen = {.max = PROOFS_MAX};
static pthread_mutex_t seen_lock = PTHREAD_MUTEX_INITIALIZER;

static enum err once(uint64_t proof, const char **why)
{
    pthread_mutex_lock(&seen_lock);
    enum err e = dpop_seen_add(&seen, proof, clock_mono_ms());
    pthread_mutex_unlock(&seen_lock);
    if (e == ERR_OK)
        return e;
    *why = e == ERR_EXISTS ? "the proof was used before" : "too many proofs at once";
    return ERR_DENIED;
}

/* ---- on several nodes, a proof that came with a token is used once on all of them
 * ---------------- */
struct used {
    struct str id;
    int64_t until_ms;
};

static enum err used_write(struct db_conn *db, void *arg)
{
    const struct used *u = arg;
    return db_exec(db, "INSERT INTO node_proof(id, until_at) VALUES($1, $2)", "si", u->id,
                   u->until_ms);
}

static enum err once_on_all(struct ctx *c, const struct dpop_proof *p, const char **why)
{
    uint8_t hash[SHA256_LEN];
    struct str parts[] = {p->jkt, STR(" "), p->jti};
    sha256_many(parts, COUNT_OF(parts), hash);
    struct used u = {.id = codec_to_hex(c->arena, hash, 20),
                     .until_ms = clock_now_ms() + DPOP_PAST_MS + 2 * DPOP_AHEAD_MS};
    enum err e = db_write(c->pf->db, used_write, &u);
    if (e != ERR_EXISTS)
        return e;
    *why = "the proof was used before";
    return ERR_DENIED;
}

static bool is_repeated(const struct http_head *h, const char *name)
{
    size_t n = 0;
    for (size_t i = 0; i < h->n_headers; i++)
        n += str_eq_nocase(h->headers[i].name, str_from(name));
    return n > 1;
}

enum err bound_proof(struct ctx *c, struct str url, struct str token, struct str jkt,
                     struct dpop_proof *out, const char **why)
{
    struct str compact = ctx_header(c, "DPoP");
    struct dpop_wanted w = {.method = str_from(http_method_name(c->rq->method)),
                            .url = url,
                            .token = token,
                            .jkt = jkt,
                            .now_ms = clock_now_ms()};
    if (!compact.p)
        return ERR_NOT_FOUND;
    *why = "the header DPoP is sent twice";
    if (is_repeated(c->rq->head, "DPoP"))
        return ERR_DENIED;
    enum err e = dpop_check(c->arena, compact, &w, NULL, NULL, out, why);
    if (e == ERR_OK)
        e = once(out->seen, why);
    return e == ERR_OK && token.p && node_several() ? once_on_all(c, out, why) : e;
}

struct str bound_certificate(struct ctx *c)
{
    struct str h = str_trim(ctx_header(c, "Client-Cert")), der;
    uint8_t hash[SHA256_LEN];
    if (h.n < 3 || h.p[0] != ':' || h.p[h.n - 1] != ':' ||
        codec_base64(c->arena, str_sub(h, 1, h.n - 2), &der) != ERR_OK)
        return STR_NONE;
    sha256(der.p, der.n, hash);
    return codec_to_base64url(c->arena, hash, sizeof hash);
}

struct str bound_token(const struct ctx *c, bool *dpop)
{
    struct str h = ctx_header(c, "Authorization");
    *dpop = h.n > 5 && str_eq_nocase(str_sub(h, 0, 5), STR("DPoP "));
    if (*dpop)
        return str_trim(str_after(h, 5));
    return str_eq_nocase(str_sub(h, 0, 7), STR("Bearer ")) ? str_trim(str_after(h, 7)) : STR_NONE;
}

enum err bound_check(struct ctx *c, const json_t *claims, struct str token, bool dpop,
                     const char **why)
{
    const json_t *cnf = json_get(claims, "cnf");
    struct str jkt = json_get_str(cnf, "jkt"), x5t = json_get_str(cnf, "x5t#S256");
    struct str base =
        c->site->kind == SITE_PORTAL ? str_from(c->pf->settings->base_url) : c->site->base_url;
    struct dpop_proof proof;
    *why = "the token is bound to a key: send it under DPoP, with a proof";
    if (dpop != (jkt.n > 0) || (cnf && !jkt.n && !x5t.n))
        return ERR_DENIED;
    *why = "the token is bound to another client certificate";
    if (x5t.n && !str_eq(bound_certificate(c), x5t))
        return ERR_DENIED;
    if (!jkt.n)
        return ERR_OK;
    *why = "a DPoP proof is needed";
    struct str path = c->rq->head->path;
    enum err e =
        bound_proof(c, arena_printf(c->arena, STR_FMT STR_FMT, STR_ARG(base), STR_ARG(path)), token,
                    jkt, &proof, why);
    return e == ERR_NOT_FOUND ? ERR_DENIED : e;
}
