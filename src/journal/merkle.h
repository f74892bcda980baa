/* RFC 6962 2.1: hashes, roots, proofs and their checks. Private to this folder. */
#ifndef JOURNAL_MERKLE_H
#define JOURNAL_MERKLE_H

#include <stdbool.h>
#include "base/buf.h"
#include "base/err.h"

enum { HASH_LEN = 32, MERKLE_PROOF_MAX = 64 };

void merkle_leaf(struct str leaf, uint8_t out[HASH_LEN]);
void merkle_node(const uint8_t left[HASH_LEN], const uint8_t right[HASH_LEN],
                 uint8_t out[HASH_LEN]);
/* Root of n hashes of one level, n a power of two up to 256. */
void merkle_perfect(const uint8_t *hashes, size_t n, uint8_t out[HASH_LEN]);
void merkle_empty(uint8_t out[HASH_LEN]); /* root of the tree without leaves */

/* Where a perfect subtree's hash comes from: node `index` of 2^level leaves. */
struct merkle_source {
    enum err (*node)(void *arg, unsigned level, uint64_t index, uint8_t out[HASH_LEN]);
    void *arg;
};
enum err merkle_root(const struct merkle_source *s, uint64_t size,
                     uint8_t out[HASH_LEN]) MUST_CHECK;
/* Appends hashes of 32 bytes. index < size; 0 < from <= to. */
enum err merkle_inclusion(const struct merkle_source *s, uint64_t index, uint64_t size,
                          struct buf *out) MUST_CHECK;
enum err merkle_consistency(const struct merkle_source *s, uint64_t from, uint64_t to,
                            struct buf *out) MUST_CHECK;

/* proof: hashes one behind the other. */
bool merkle_check_inclusion(uint64_t index, uint64_t size, const uint8_t leaf_hash[HASH_LEN],
                            struct str proof, const uint8_t root[HASH_LEN]);
bool merkle_check_consistency(uint64_t from, uint64_t to, const uint8_t root_from[HASH_LEN],
                              const uint8_t root_to[HASH_LEN], struct str proof);

#endif
