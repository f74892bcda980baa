/* An evidence file (docs/formats/evidence.md): a proof and whose signatures its checkpoint bears.
 */
#ifndef JOURNAL_EVIDENCE_H
#define JOURNAL_EVIDENCE_H

#include "journal/journal.h"
#include "journal/note.h"

#define EVIDENCE_FORMAT "socle-evidence-2"
enum { EVIDENCE_WITNESSES_MAX = 16, EVIDENCE_TERMS_MAX = 2, EVIDENCE_CHAIN_MAX = 16 };

struct evidence {
    struct str proof, leaf;
    struct {
        struct str name;
        uint64_t at_s; /* 0: it has not signed */
    } witness[EVIDENCE_WITNESSES_MAX];
    size_t n_witnesses;
    struct {
        struct str of, text; /* "contract" or "consent" */
    } terms[EVIDENCE_TERMS_MAX];
    size_t n_terms;
    struct str origins[EVIDENCE_CHAIN_MAX]; /* of the logs that followed */
    size_t n_origins;
    struct str note; /* the checkpoint's text, for timestamps */
    struct str timestamps[4];
    int64_t stamped_ms[4]; /* 0: not checked */
    size_t n_timestamps;
};
bool evidence_is(struct str file); /* an evidence file, rather than a bare proof */
/* As journal_verify_proof; a witness of the file whose signature is wrong makes it bad. */
void evidence_verify(struct arena *a, struct str file, struct str key, struct evidence *ev,
                     struct journal_verdict *out);

/* Does this value stand behind that field of the leaf? salt: of the field, or with is_entry_salt of
 * the entry, out of the person's copy. ERR_NOT_FOUND: no such field; ERR_DENIED: another value or
 * salt. field_salt is the one to hand on: it opens this field alone. */
enum err evidence_open(struct str leaf, struct str name, struct str value, struct str salt,
                       bool is_entry_salt, uint8_t field_salt[JOURNAL_SALT_LEN]) MUST_CHECK;

#endif
