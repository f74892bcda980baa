/* What a witness and those who ask one share (C2SP tlog-witness, tlog-cosignature;
 * docs/formats/witness.md): reading a request, judging it against what is known of the log, and the
 * lines of signatures. No I/O: who keeps what is known, and who signs, is the caller's. */
#ifndef JOURNAL_WITNESS_H
#define JOURNAL_WITNESS_H

#include "journal/note.h"

enum { WITNESS_PROOF_MAX = 63, WITNESS_BODY_MAX = NOTE_MAX + 4096 };

struct witness_request {
    uint64_t old_size;
    struct str proof; /* hashes one behind the other */
    struct checkpoint checkpoint;
};
/* ERR_INVALID. Nothing is believed yet. */
enum err witness_request_read(struct arena *a, struct str body,
                              struct witness_request *out) MUST_CHECK;
struct str witness_request_print(struct arena *a, uint64_t old_size, struct str proof,
                                 struct str note);

/* The latest that a witness cosigned of a log; size 0: nothing yet. */
struct witness_known {
    uint64_t size;
    uint8_t root[HASH_LEN];
};
enum witness_verdict {
    WITNESS_GOOD,
    WITNESS_UNSIGNED, /* 403 */
    WITNESS_INVALID,  /* 400: the old size is over the new one */
    WITNESS_STALE,    /* 409: the old size is not the one known */
    WITNESS_FORK,     /* 409: same size, another root */
    WITNESS_BROKEN,   /* 422: the proof does not hold */
};
enum witness_verdict witness_judge(struct arena *a, const struct witness_request *rq,
                                   const struct note_key *log, const struct witness_known *known);

#endif
