/* The witness (C2SP tlog-witness): for each log it was told of, it signs only trees that hold all
 * it signed before. What it knows is written, in the transaction that compares it with what it
 * knew, before a signature leaves: two requests at once can never make it sign two histories. A
 * signature is no act of the journal (two platforms that watch each other would never rest); a
 * refusal that speaks of a fork is, once for each checkpoint refused. */
#include "core/trust/trust.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/log.h"
#include "crypto/digest.h"

enum err trust_witness_key_get(struct ctx *c, struct note_key *out)
{
    uint8_t raw[32];
    enum err e = keys_public_raw(c->pf->keys, "witness", raw);
    if (e == ERR_OK)
        note_cosigner_make(str_from(c->pf->settings->witness_name), raw, out);
    return e;
}

enum err trust_witness_key(struct ctx *c)
{
    struct note_key k;
    enum err e = trust_witness_key_get(c, &k);
    return e == ERR_OK ? ctx_text(c, 200, "text/plain; charset=utf-8",
                                  arena_printf(c->arena, STR_FMT "\n",
                                               STR_ARG(note_key_line(c->arena, &k))))
                       : e;
}

/* A log may have several keys; the first that signed is taken. known: the origin has one at all. */
static bool log_find(struct ctx *c, const struct checkpoint *cp, struct note_key *out, bool *known)
{
    struct str rest = c->pf->settings->witness_logs_text, line;
    struct note_key k;
    *known = false;
    while (trust_line_next(&rest, &line)) {
        if (note_key_read(c->arena, line, &k) != ERR_OK) {
            log_error("witness_logs_line_malformed");
            continue;
        }
        if (!str_eq(k.name, cp->origin))
            continue;
        if (!*known)
            *out = k;
        *known = true;
        if (checkpoint_check(c->arena, cp, &k) == ERR_OK) {
            *out = k;
            return true;
        }
    }
    return false;
}

static enum err known_read(struct db_conn *db, struct arena *a, struct str origin,
                           struct witness_known *out)
{
    struct db_result r;
    *out = (struct witness_known){0};
    enum err e = db_query_one(db, a, &r, "SELECT size, root FROM trust_watched WHERE origin = $1",
                              "s", origin);
    if (e == ERR_NOT_FOUND)
        return ERR_OK;
    if (e == ERR_OK && db_str(&r, 0, 1).n != HASH_LEN)
        return ERR_CORRUPT;
    if (e == ERR_OK) {
        out->size = (uint64_t)db_i64(&r, 0, 0);
        memcpy(out->root, db_str(&r, 0, 1).p, HASH_LEN);
    }
    return e;
}

/* ---- signing -----------------------------------------------------------------------------------
 */
struct move {
    const struct witness_request *rq;
    const struct witness_known *known;
    int64_t now_ms;
};

/* Only from the state that was judged; size and root both, so that size 0 needs no other way. */
static enum err move_write(struct db_conn *db, void *arg)
{
    const struct move *m = arg;
    const struct checkpoint *c = &m->rq->checkpoint;
    int64_t changed = 0;
    if (m->known->size == 0) {
        enum err e = db_exec(db,
                             "INSERT INTO trust_watched(origin, size, root, seen_at) "
                             "VALUES($1, 0, $2, 0) ON CONFLICT(origin) DO NOTHING",
                             "sb", c->origin, str_of(m->known->root, HASH_LEN));
        if (e != ERR_OK)
            return e;
    }
    enum err e =
        db_exec_count(db, &changed,
                      "UPDATE trust_watched SET size = $1, root = $2, seen_at = $3 "
                      "WHERE origin = $4 AND size = $5 AND root = $6",
                      "ibisib", (int64_t)c->size, str_of(c->root, HASH_LEN), m->now_ms, c->origin,
                      (int64_t)m->known->size, str_of(m->known->root, HASH_LEN));
    return e == ERR_OK && changed != 1 ? ERR_CONFLICT : e;
}

static enum err cosign(struct ctx *c, const struct checkpoint *cp)
{
    struct note_key k;
    struct str signature;
    uint64_t now_s = (uint64_t)clock_now_ms() / 1000;
    enum err e = trust_witness_key_get(c, &k);
    if (e == ERR_OK)
        e = keys_sign(c->pf->keys, "witness", JOSE_EDDSA,
                      cosignature_text(c->arena, cp->text, now_s), c->arena, &signature, NULL);
    return e == ERR_OK ? ctx_text(c, 200, "text/plain; charset=utf-8",
                                  cosignature_line(c->arena, &k, now_s, signature))
                       : e;
}

/* ---- refusing ----------------------------------------------------------------------------------
 */
struct refusal {
    const struct checkpoint *checkpoint;
    struct str digest, note;
    const char *reason;
    int64_t now_ms;
};

static enum err refusal_write(struct db_conn *db, void *arg)
{
    const struct refusal *r = arg;
    return db_exec(db,
                   "INSERT INTO trust_refused(origin, digest, reason, size, at, note) "
                   "VALUES($1, $2, $3, $4, $5, $6)",
                   "ssziis", r->checkpoint->origin, r->digest, r->reason,
                   (int64_t)r->checkpoint->size, r->now_ms, r->note);
}

/* The signed checkpoint is kept: with the one that was cosigned, it is the proof of what the log
 * did. */
static void refusal_note(struct ctx *c, const struct checkpoint *cp, const char *reason)
{
    uint8_t hash[SHA256_LEN];
    struct act act;
    sha256(cp->text.p, cp->text.n, hash);
    struct refusal r = {
        cp, codec_to_hex(c->arena, hash, sizeof hash),
        arena_printf(c->arena, STR_FMT "\n" STR_FMT, STR_ARG(cp->text), STR_ARG(cp->signatures)),
        reason, clock_now_ms()};
    struct act_info info = {.kind = "witness.refused",
                            .actor = cp->origin,
                            .object =
                                arena_printf(c->arena, "%s:%llu:" STR_FMT, reason,
                                             (unsigned long long)cp->size, STR_ARG(r.digest))};
    enum err e = act_make(c, &info, &act);
    if (e == ERR_OK)
        e = act_write(c, refusal_write, &r, &act, 1);
    if (e == ERR_EXISTS)
        return; /* said before */
    log_warn("witness_refused", "log", arena_dupz(c->arena, cp->origin), "reason", reason, "kept",
             err_name(e));
}

static enum err size_answer(struct ctx *c, const struct witness_known *known)
{
    return ctx_text(c, 409, "text/x.tlog.size",
                    arena_printf(c->arena, "%llu\n", (unsigned long long)known->size));
}

static enum err say(struct ctx *c, int status, const char *text)
{
    return ctx_text(c, status, "text/plain; charset=utf-8", str_from(text));
}

/* ---- the request -------------------------------------------------------------------------------
 */
static enum err judged(struct ctx *c, const struct witness_request *rq, const struct note_key *log)
{
    struct witness_known known;
    struct db_conn *db = db_read(c->pf->db);
    const struct checkpoint *cp = &rq->checkpoint;
    enum err e = db ? known_read(db, c->arena, cp->origin, &known) : ERR_UNAVAILABLE;
    if (e != ERR_OK)
        return e;
    struct move m = {rq, &known, clock_now_ms()};
    switch (witness_judge(c->arena, rq, log, &known)) {
    case WITNESS_UNSIGNED:
        return say(c, 403, "not signed by a key of this log\n");
    case WITNESS_INVALID:
        return say(c, 400, "the old size is over the checkpoint's\n");
    case WITNESS_STALE:
        if (cp->size < known.size)
            refusal_note(c, cp, "rollback");
        return size_answer(c, &known);
    case WITNESS_FORK:
        refusal_note(c, cp, "fork");
        return size_answer(c, &known);
    case WITNESS_BROKEN:
        refusal_note(c, cp, "inconsistent");
        return say(c, 422, "the consistency proof does not hold\n");
    case WITNESS_GOOD:
        break;
    }
    e = db_write(c->pf->db, move_write, &m);
    if (e != ERR_CONFLICT)
        return e == ERR_OK ? cosign(c, cp) : e;
    e = known_read(db, c->arena, cp->origin, &known); /* another request was first */
    return e == ERR_OK ? size_answer(c, &known) : e;
}

enum err trust_add_checkpoint(struct ctx *c)
{
    struct witness_request rq;
    struct note_key log;
    bool known;
    if (c->rq->body_size > c->rq->body.n)
        return say(c, 413, "the request is too long\n");
    if (witness_request_read(c->arena, c->rq->body, &rq) != ERR_OK ||
        rq.checkpoint.size > INT64_MAX)
        return say(c, 400, "the request is malformed\n");
    bool is_signed = log_find(c, &rq.checkpoint, &log, &known);
    if (!known)
        return say(c, 404, "this log is not watched here\n");
    if (!is_signed)
        return say(c, 403, "not signed by a key of this log\n");
    return judged(c, &rq, &log);
}
