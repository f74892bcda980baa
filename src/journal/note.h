/* C2SP signed notes, verifier keys and checkpoints (docs/formats/checkpoint.md). Private to this
 * folder. */
#ifndef JOURNAL_NOTE_H
#define JOURNAL_NOTE_H

#include "base/arena.h"
#include "base/err.h"
#include "journal/merkle.h"

enum { NOTE_MAX = 64 * 1024, NOTE_SIGNATURES_MAX = 64, NOTE_NAME_MAX = 255, NOTE_KEY_MAX = 512 };

struct note_key {
    struct str name; /* slice of what was read */
    uint8_t id[4], public_key[32];
};
/* "name+0123abcd+base64"; a line feed at the end is allowed. ERR_INVALID. */
enum err note_key_read(struct arena *a, struct str text, struct note_key *out) MUST_CHECK;
void note_key_make(struct str name, const uint8_t public_key[32], struct note_key *out);
struct str note_key_line(struct arena *a, const struct note_key *k); /* without line feed */

struct checkpoint {
    struct str text; /* what is signed, its last line feed included */
    struct str signatures;
    struct str origin;
    uint64_t size;
    uint8_t root[HASH_LEN];
};
/* ERR_INVALID. Nothing is believed yet. */
enum err checkpoint_read(struct arena *a, struct str note, struct checkpoint *out) MUST_CHECK;
/* ERR_DENIED: not signed by that key, or the signature is wrong. The origin must be the key's
 * name. */
enum err checkpoint_check(struct arena *a, const struct checkpoint *c,
                          const struct note_key *k) MUST_CHECK;
struct str checkpoint_text(struct arena *a, struct str origin, uint64_t size,
                           const uint8_t root[HASH_LEN]);
struct str checkpoint_note(struct arena *a, struct str text, const struct note_key *k,
                           struct str signature);

#endif
