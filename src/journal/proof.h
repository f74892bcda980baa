/* Proof files (docs/formats/inclusion-proof.md). Private to this folder. */
#ifndef JOURNAL_PROOF_H
#define JOURNAL_PROOF_H

#include "journal/note.h"

struct proof {
    uint64_t index;
    struct str leaf, key_line; /* claims: the hashes say whether the leaf is right */
    struct str hashes;         /* 32 bytes each */
    struct str note;
};
/* ERR_INVALID. Slices of the arena and of the text. */
enum err proof_read(struct arena *a, struct str text, struct proof *out) MUST_CHECK;
struct str proof_print(struct arena *a, const struct proof *p);

#endif
