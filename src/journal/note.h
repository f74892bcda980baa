/* C2SP signed notes, verifier keys and checkpoints (docs/formats/checkpoint.md). Private to this
 * folder. */
#ifndef JOURNAL_NOTE_H
#define JOURNAL_NOTE_H

#include "base/arena.h"
#include "base/err.h"
#include "journal/merkle.h"

enum { NOTE_MAX = 64 * 1024, NOTE_SIGNATURES_MAX = 64, NOTE_NAME_MAX = 255, NOTE_KEY_MAX = 512 };

enum note_type { NOTE_ED25519 = 1, NOTE_COSIGNATURE = 4 };
struct note_key {
    struct str name; /* slice of what was read */
    enum note_type type;
    uint8_t id[4], public_key[32];
};
/* "name+0123abcd+base64"; a line feed at the end is allowed. ERR_INVALID. note_key_read takes keys
 * of logs alone (type 1), note_cosigner_read those of witnesses (type 4, C2SP tlog-cosignature). */
enum err note_cosigner_read(struct arena *a, struct str text, struct note_key *out) MUST_CHECK;
enum err note_key_read(struct arena *a, struct str text, struct note_key *out) MUST_CHECK;
void note_key_make(struct str name, const uint8_t public_key[32], struct note_key *out);
void note_cosigner_make(struct str name, const uint8_t public_key[32], struct note_key *out);
bool note_name_is_good(struct str s);
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
/* The same for a witness's signature, whose name is its own. *at_s: when it says it signed; *line:
 * its whole line. ERR_NOT_FOUND: none of its. */
enum err checkpoint_cosigned(struct arena *a, const struct checkpoint *c, const struct note_key *k,
                             uint64_t *at_s, struct str *line) MUST_CHECK;
/* What a witness signs, and the line of its signature. */
struct str cosignature_text(struct arena *a, struct str checkpoint_text, uint64_t at_s);
struct str cosignature_line(struct arena *a, const struct note_key *k, uint64_t at_s,
                            struct str signature);
struct str checkpoint_text(struct arena *a, struct str origin, uint64_t size,
                           const uint8_t root[HASH_LEN]);
struct str checkpoint_note(struct arena *a, struct str text, const struct note_key *k,
                           struct str signature);

#endif
