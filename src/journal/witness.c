#include "journal/witness.h"

#include "base/codec.h"

static bool size_read(struct str line, uint64_t *size)
{
    struct str text = str_after(line, 4);
    return str_starts(line, STR("old ")) && str_to_u64(text, size) &&
           (text.p[0] != '0' || text.n == 1);
}

enum err witness_request_read(struct arena *a, struct str body, struct witness_request *out)
{
    struct str rest = body, line, raw;
    char *hashes = arena_alloc(a, WITNESS_PROOF_MAX * HASH_LEN);
    size_t n = 0;
    *out = (struct witness_request){0};
    if (body.n == 0 || body.n > WITNESS_BODY_MAX || !str_split(&rest, '\n', &line) ||
        !size_read(line, &out->old_size))
        return ERR_INVALID;
    for (;;) {
        if (!str_split(&rest, '\n', &line))
            return ERR_INVALID;
        if (line.n == 0)
            break;
        if (n == WITNESS_PROOF_MAX || codec_base64(a, line, &raw) != ERR_OK || raw.n != HASH_LEN)
            return ERR_INVALID;
        memcpy(hashes + n++ * HASH_LEN, raw.p, HASH_LEN);
    }
    out->proof = str_of(hashes, n * HASH_LEN);
    return rest.p ? checkpoint_read(a, rest, &out->checkpoint) : ERR_INVALID;
}

struct str witness_request_print(struct arena *a, uint64_t old_size, struct str proof,
                                 struct str note)
{
    struct buf b;
    buf_init(&b, WITNESS_BODY_MAX);
    buf_printf(&b, "old %llu\n", (unsigned long long)old_size);
    for (size_t i = 0; i < proof.n; i += HASH_LEN) {
        buf_add_base64(&b, proof.p + i, HASH_LEN);
        buf_add_char(&b, '\n');
    }
    buf_add_char(&b, '\n');
    buf_add_str(&b, note);
    struct str out = arena_dup(a, buf_str(&b));
    buf_free(&b);
    return out;
}

/* The order is the one of tlog-witness: a request that is wrong in two ways gets the first answer.
 */
enum witness_verdict witness_judge(struct arena *a, const struct witness_request *rq,
                                   const struct note_key *log, const struct witness_known *known)
{
    const struct checkpoint *c = &rq->checkpoint;
    if (checkpoint_check(a, c, log) != ERR_OK)
        return WITNESS_UNSIGNED;
    if (rq->old_size > c->size)
        return WITNESS_INVALID;
    if (rq->old_size != known->size)
        return WITNESS_STALE;
    if (known->size == 0)
        return rq->proof.n == 0 ? WITNESS_GOOD : WITNESS_BROKEN;
    if (known->size == c->size) {
        if (memcmp(known->root, c->root, HASH_LEN) != 0)
            return WITNESS_FORK;
        return rq->proof.n == 0 ? WITNESS_GOOD : WITNESS_BROKEN;
    }
    return merkle_check_consistency(known->size, c->size, known->root, c->root, rq->proof)
               ? WITNESS_GOOD
               : WITNESS_BROKEN;
}
