#include "journal/merkle.h"

#include <assert.h>
#include "crypto/digest.h"

void merkle_leaf(struct str leaf, uint8_t out[HASH_LEN])
{
    static const char prefix[1] = {0};
    struct str parts[] = {str_of(prefix, 1), leaf};
    sha256_many(parts, 2, out);
}

void merkle_node(const uint8_t left[HASH_LEN], const uint8_t right[HASH_LEN], uint8_t out[HASH_LEN])
{
    uint8_t in[1 + 2 * HASH_LEN];
    in[0] = 1;
    memcpy(in + 1, left, HASH_LEN);
    memcpy(in + 1 + HASH_LEN, right, HASH_LEN);
    sha256(in, sizeof in, out);
}

void merkle_empty(uint8_t out[HASH_LEN])
{
    sha256("", 0, out);
}

void merkle_perfect(const uint8_t *hashes, size_t n, uint8_t out[HASH_LEN])
{
    uint8_t work[128][HASH_LEN];
    assert(n > 0 && n <= 256 && (n & (n - 1)) == 0);
    if (n == 1) {
        memcpy(out, hashes, HASH_LEN);
        return;
    }
    for (size_t i = 0; i < n / 2; i++)
        merkle_node(hashes + 2 * i * HASH_LEN, hashes + (2 * i + 1) * HASH_LEN, work[i]);
    for (size_t left = n / 4; left >= 1; left /= 2)
        for (size_t i = 0; i < left; i++)
            merkle_node(work[2 * i], work[2 * i + 1], work[i]);
    memcpy(out, work[0], HASH_LEN);
}

/* ---- making -----------------------------------------------------------------------------------
 */
static unsigned log2_of(uint64_t power)
{
    return (unsigned)__builtin_ctzll(power);
}

/* The largest power of two under n (n > 1). */
static uint64_t split_of(uint64_t n)
{
    return (uint64_t)1 << (63 - __builtin_clzll(n - 1));
}

/* Root of the leaves [from, to): `from` is a multiple of the largest power of two in it, so every
 * perfect part is a node of the tree. */
static enum err range_root(const struct merkle_source *s, uint64_t from, uint64_t to,
                           uint8_t out[HASH_LEN])
{
    uint64_t n = to - from;
    uint8_t left[HASH_LEN], right[HASH_LEN];
    if ((n & (n - 1)) == 0)
        return s->node(s->arg, log2_of(n), from / n, out);
    uint64_t k = split_of(n);
    enum err e = s->node(s->arg, log2_of(k), from / k, left);
    if (e == ERR_OK)
        e = range_root(s, from + k, to, right);
    if (e == ERR_OK)
        merkle_node(left, right, out);
    return e;
}

enum err merkle_root(const struct merkle_source *s, uint64_t size, uint8_t out[HASH_LEN])
{
    if (size)
        return range_root(s, 0, size, out);
    merkle_empty(out);
    return ERR_OK;
}

static enum err add_range(const struct merkle_source *s, uint64_t from, uint64_t to,
                          struct buf *out)
{
    uint8_t hash[HASH_LEN];
    enum err e = range_root(s, from, to, hash);
    if (e == ERR_OK)
        buf_add(out, hash, sizeof hash);
    return e;
}

/* PATH(m, D[n]) of RFC 6962 2.1.1: deepest first. */
static enum err path(const struct merkle_source *s, uint64_t index, uint64_t from, uint64_t to,
                     struct buf *out)
{
    if (to - from == 1)
        return ERR_OK;
    uint64_t mid = from + split_of(to - from);
    bool in_left = index < mid;
    enum err e = in_left ? path(s, index, from, mid, out) : path(s, index, mid, to, out);
    if (e == ERR_OK)
        e = in_left ? add_range(s, mid, to, out) : add_range(s, from, mid, out);
    return e;
}

enum err merkle_inclusion(const struct merkle_source *s, uint64_t index, uint64_t size,
                          struct buf *out)
{
    assert(index < size);
    enum err e = path(s, index, 0, size, out);
    return e == ERR_OK ? out->err : e;
}

/* SUBPROOF(m, D[n], b) of RFC 6962 2.1.2, over leaves [from, to) of which those before m are old.
 */
static enum err subproof(const struct merkle_source *s, uint64_t m, uint64_t from, uint64_t to,
                         bool whole, struct buf *out)
{
    enum err e;
    if (m == to)
        return whole ? ERR_OK : add_range(s, from, to, out);
    uint64_t mid = from + split_of(to - from);
    if (m <= mid) {
        e = subproof(s, m, from, mid, whole, out);
        return e == ERR_OK ? add_range(s, mid, to, out) : e;
    }
    e = subproof(s, m, mid, to, false, out);
    return e == ERR_OK ? add_range(s, from, mid, out) : e;
}

enum err merkle_consistency(const struct merkle_source *s, uint64_t from, uint64_t to,
                            struct buf *out)
{
    assert(from > 0 && from <= to);
    enum err e = subproof(s, from, 0, to, true, out);
    return e == ERR_OK ? out->err : e;
}

/* ---- checking: RFC 9162 2.1.3.2 and 2.1.4.2
 * ------------------------------------------------------ */
static const uint8_t *nth(struct str proof, size_t i)
{
    return (const uint8_t *)proof.p + i * HASH_LEN;
}

bool merkle_check_inclusion(uint64_t index, uint64_t size, const uint8_t leaf_hash[HASH_LEN],
                            struct str proof, const uint8_t root[HASH_LEN])
{
    uint8_t r[HASH_LEN];
    if (index >= size || proof.n % HASH_LEN != 0)
        return false;
    uint64_t fn = index, sn = size - 1;
    memcpy(r, leaf_hash, HASH_LEN);
    for (size_t i = 0; i < proof.n / HASH_LEN; i++) {
        if (sn == 0)
            return false;
        if (fn & 1 || fn == sn) {
            merkle_node(nth(proof, i), r, r);
            while (!(fn & 1) && fn != 0) {
                fn >>= 1;
                sn >>= 1;
            }
        } else {
            merkle_node(r, nth(proof, i), r);
        }
        fn >>= 1;
        sn >>= 1;
    }
    return sn == 0 && memcmp(r, root, HASH_LEN) == 0;
}

bool merkle_check_consistency(uint64_t from, uint64_t to, const uint8_t root_from[HASH_LEN],
                              const uint8_t root_to[HASH_LEN], struct str proof)
{
    uint8_t fr[HASH_LEN], sr[HASH_LEN];
    size_t n = proof.n / HASH_LEN, i = 0;
    if (proof.n % HASH_LEN != 0 || from == 0 || from > to) /* of nothing, nothing can be said */
        return false;
    if (from == to)
        return n == 0 && memcmp(root_from, root_to, HASH_LEN) == 0;
    uint64_t fn = from - 1, sn = to - 1;
    while (fn & 1) {
        fn >>= 1;
        sn >>= 1;
    }
    if ((from & (from - 1)) == 0) { /* the old tree is a node of the new one */
        memcpy(fr, root_from, HASH_LEN);
    } else if (n == 0) {
        return false;
    } else {
        memcpy(fr, nth(proof, i++), HASH_LEN);
    }
    memcpy(sr, fr, HASH_LEN);
    for (; i < n; i++) {
        const uint8_t *c = nth(proof, i);
        if (sn == 0)
            return false;
        if (fn & 1 || fn == sn) {
            merkle_node(c, fr, fr);
            merkle_node(c, sr, sr);
            while (!(fn & 1) && fn != 0) {
                fn >>= 1;
                sn >>= 1;
            }
        } else {
            merkle_node(sr, c, sr);
        }
        fn >>= 1;
        sn >>= 1;
    }
    return sn == 0 && memcmp(fr, root_from, HASH_LEN) == 0 && memcmp(sr, root_to, HASH_LEN) == 0;
}
