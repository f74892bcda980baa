/* The tamper-evident journal: what other floors use of it. An append-only Merkle tree (RFC 6962) in
 * C2SP tlog-tiles files, with signed checkpoints; formats in docs/formats/journal-*.md,
 * checkpoint.md and inclusion-proof.md.
 *
 * An entry has two halves. The leaf is JSON, sealed for ever, and holds no personal value: only
 * identifiers of acts and salted commitments. The side is bytes for the erasable store, kept under
 * a subject reference: what makes the leaf readable for the person, sealed under her key. */
#ifndef JOURNAL_JOURNAL_H
#define JOURNAL_JOURNAL_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "sys/loop.h"
#include "sys/proc.h"

/* ---- the process ------------------------------------------------------------------------------
 */
struct journal_conf {
    const char *folder; /* made when absent */
    const char *origin; /* name of this node's log: first line of its checkpoints */
};
/* Serves the channels labelled "journal"; signs through the channel "keys". */
int journal_main(struct proc *self, void *journal_conf);
/* `socle journal ...`; argv[0] is "journal", folder the one to read. Returns the exit code. */
int journal_cli(const char *folder, int argc, char **argv);

/* ---- appending --------------------------------------------------------------------------------
 */
enum {
    JOURNAL_LEAF_MAX = 32 * 1024,
    JOURNAL_SUBJECT_MAX = 200,
    JOURNAL_SIDE_MAX = 60 * 1024,
};

/* The leaf begins {"v":1,"id":"<ULID>","at":<ms>,"kind":"<kind>" without blanks:
 * journal_entry_start writes that. `id` repeats the leaf's id (.p NULL: taken from the leaf).
 * subject and side may be empty. An id that is already there, in this log or one before a restore,
 * is not written again: its first index is the answer (0 for one of an older log). maybe_repeat:
 * sent before, perhaps (outbox replay); a hint, for the whole index is asked anyway. */
struct journal_record {
    struct str id, leaf, subject, side;
    bool maybe_repeat;
};

/* Blocking client, safe from every thread. */
struct journal;
struct journal *journal_connect(int fd);
void journal_close(struct journal *j);

/* Returns when the entry is durable. ERR_INVALID (the leaf breaks the format), ERR_LIMIT (too
 * long), ERR_FULL (no disk space: nothing was written; may be sent again), ERR_TIMEOUT (unknown:
 * send again with maybe_repeat), ERR_UNAVAILABLE. index may be NULL. */
enum err journal_append(struct journal *j, const struct journal_record *r, int timeout_ms,
                        uint64_t *index) MUST_CHECK;
/* Several in as few messages as they fit; ERR_OK when all are durable. indexes may be NULL. */
enum err journal_append_many(struct journal *j, const struct journal_record *r, size_t n,
                             int timeout_ms, uint64_t *indexes) MUST_CHECK;
/* ERR_OK: the process answers. Nothing is written. */
enum err journal_ping(struct journal *j, int timeout_ms) MUST_CHECK;
/* Deletes a subject's side rows, in the write-ahead log too; proofs stay valid. */
enum err journal_erase_subject(struct journal *j, struct str subject, int timeout_ms,
                               uint64_t *n_rows) MUST_CHECK;
/* The same for what has been kept long enough: side rows of before a time. At most
 * JOURNAL_EXPIRE_ROWS a call, so that nobody waits long behind it: again until *n_rows is less. */
struct journal_expiry {
    struct str subject; /* .n 0: of all */
    struct str kind;    /* .n 0: every kind */
    int64_t before_ms;  /* at < before_ms */
};
enum { JOURNAL_EXPIRE_ROWS = 20000 };
enum err journal_expire(struct journal *j, const struct journal_expiry *x, int timeout_ms,
                        uint64_t *n_rows) MUST_CHECK;

/* Client of one event loop: appends of one turn go out as one message. Only from the loop's thread;
 * no allocation after the start. */
struct journal_async;
struct journal_async *journal_async_connect(int fd, struct loop *l);
void journal_async_close(struct journal_async *j); /* calls no `done` any more */

/* Caller's memory until `done` is called, in the loop's thread, never from inside
 * journal_append_async. `done` may be set to NULL meanwhile when nobody waits any more. */
struct journal_call {
    void (*done)(struct journal_call *c, enum err e, uint64_t index);
};
/* Copies the record: its slices are free at once. call NULL: nobody waits. ERR_LIMIT; ERR_INVALID;
 * ERR_UNAVAILABLE when too much waits already (answer 503): `done` will not be called then. */
enum err journal_append_async(struct journal_async *j, const struct journal_record *r,
                              struct journal_call *call) MUST_CHECK;
/* Sends what was gathered; call it from the loop's after-turn hook. A full message goes by itself.
 */
void journal_flush(struct journal_async *j);

/* ---- writing a leaf of version 1 ----------------------------------------------------------------
 */
enum { JOURNAL_SALT_LEN = 32 };
struct journal_entry {
    struct buf *b;
    bool in_fields;
    uint8_t salt[JOURNAL_SALT_LEN]; /* keep it in the side blob: it opens the commitments */
};
/* salt NULL draws one. The buffer is emptied first. kind: [a-z0-9_.-], 1 to 64 characters. */
void journal_entry_start(struct journal_entry *e, struct buf *b, const char *id, int64_t at_ms,
                         const char *kind, const uint8_t *salt);
/* A member; an empty value is left out. Known keys: actor, client, contract, consent, purpose,
 * legal_basis, decision, request (base64url SHA-256), trace, ref (id of an entry this one follows).
 */
void journal_entry_str(struct journal_entry *e, const char *key, struct str value);
void journal_entry_i64(struct journal_entry *e, const char *key, int64_t value);
void journal_entry_json(struct journal_entry *e, const char *key, struct str json);
/* Ready-made members, each with its comma before it (",\"purpose\":\"x\""), as they are. */
void journal_entry_ready(struct journal_entry *e, struct str members);
/* "subject": commitment to whose data it is. */
void journal_entry_subject(struct journal_entry *e, struct str person);
/* One element of "fields": a name and the commitment to its value (as raw JSON bytes). Call them
 * one after the other. */
void journal_entry_field(struct journal_entry *e, struct str name, struct str value);
/* Closes the object; ERR_LIMIT when it does not fit. */
enum err journal_entry_end(struct journal_entry *e) MUST_CHECK;

/* base64url(SHA-256("socle/field/1" || 0 || salt || name || 0 || value)), salt the field's own. */
enum { JOURNAL_COMMITMENT_LEN = 43 };
void journal_field_salt(const uint8_t entry_salt[JOURNAL_SALT_LEN], struct str name,
                        uint8_t out[JOURNAL_SALT_LEN]);
void journal_field_commitment(const uint8_t field_salt[JOURNAL_SALT_LEN], struct str name,
                              struct str value, char out[JOURNAL_COMMITMENT_LEN + 1]);
/* The leaf's hash (RFC 6962 2.1) in base64url: what a receipt holds. */
void journal_leaf_commitment(struct str leaf, char out[JOURNAL_COMMITMENT_LEN + 1]);

/* ---- reading (any process, read only) -----------------------------------------------------------
 */
/* Safe from every thread. A folder holds the log under way and, after restores, older ones: log 0
 * is the one under way, 1 the one before it ... */
struct journal_reader;
enum err journal_reader_open(const char *folder, struct journal_reader **out) MUST_CHECK;
void journal_reader_close(struct journal_reader *r);

struct journal_at {
    unsigned log;
    uint64_t index;
};
/* An entry is found within 200 ms after its append. ERR_NOT_FOUND. */
enum err journal_find(struct journal_reader *r, struct str id, struct journal_at *out) MUST_CHECK;
enum err journal_read(struct journal_reader *r, struct journal_at at, struct arena *a,
                      struct str *leaf) MUST_CHECK;
/* Entries that files hold (0 for an empty log) and what the checkpoint covers. */
enum err journal_size(struct journal_reader *r, unsigned log, uint64_t *size,
                      uint64_t *sealed) MUST_CHECK;
/* The first `width` (1 to 256) hashes of a tile of C2SP tlog-tiles, or entries of a bundle with
 * level JOURNAL_ENTRIES, of a log. ERR_NOT_FOUND: it does not hold as many. */
enum { JOURNAL_ENTRIES = -1 };
/* The log that has this number (1: the first one of the folder, for ever). ERR_NOT_FOUND. */
enum err journal_log_of(struct journal_reader *r, uint64_t epoch, unsigned *log) MUST_CHECK;
/* Number of the log under way. ERR_NOT_FOUND: nothing was written yet. */
enum err journal_epoch(struct journal_reader *r, uint32_t *epoch) MUST_CHECK;
enum err journal_tile(struct journal_reader *r, unsigned log, int level, uint64_t n, unsigned width,
                      struct arena *a, struct str *out) MUST_CHECK;
/* The signed note, and the key line ("origin+hash+base64") to check it with. */
enum err journal_checkpoint(struct journal_reader *r, unsigned log, struct arena *a,
                            struct str *note, struct str *key) MUST_CHECK;

/* Entries by what they say, newest first. An empty word, a 0: whatever it is. */
struct journal_search {
    struct str party, purpose, kind; /* party: actor, client, contract, consent, object, provider */
    int64_t from_ms, to_ms;          /* at >= from_ms, at < to_ms */
    const struct journal_at *before; /* NULL: from the newest on; else `next` of the page before */
    size_t limit;                    /* at most 1000 */
};
struct journal_found {
    struct journal_at at;
    char id[27];
    int64_t at_ms;
    struct str kind, leaf;
};
/* A search stops after so much work, whatever it found; `more`: it goes on before `next`. */
struct journal_finds {
    struct journal_found *list;
    size_t n;
    bool more;
    struct journal_at next;
};
enum err journal_search(struct journal_reader *r, const struct journal_search *q, struct arena *a,
                        struct journal_finds *out) MUST_CHECK;

struct journal_side_query {
    struct str subject;
    const struct str *kinds; /* NULL: every kind */
    size_t n_kinds;
    int64_t from_ms, to_ms; /* at >= from_ms, at < to_ms; 0: open */
    const struct journal_at
        *before;  /* NULL: from the newest; else the last row of the page before */
    size_t limit; /* at most 1000 */
};
struct journal_side_row {
    struct journal_at at;
    char id[27];
    struct str kind, data;
    int64_t at_ms;
};
/* Newest first. */
enum err journal_side_list(struct journal_reader *r, const struct journal_side_query *q,
                           struct arena *a, struct journal_side_row **rows, size_t *n) MUST_CHECK;

/* Where the rows of several subjects are, by their index alone: what counts or pages a long list
 * opens only the rows it shows. */
enum { JOURNAL_SIDE_KEYS_MAX = 10000, JOURNAL_SIDE_SUBJECTS_MAX = 64 };
struct journal_side_keys {
    const struct str *subjects;
    size_t n_subjects;
    const struct str *kinds; /* NULL: every kind */
    size_t n_kinds, limit;   /* limit: at most JOURNAL_SIDE_KEYS_MAX */
    /* In the journal's order, from the newest on, or behind a place: so that a list of any length
     * is walked whole, whatever clocks did. Else by the time of the act. */
    bool by_place;
    const struct journal_at *before; /* with by_place; NULL: from the newest on */
};
struct journal_side_key {
    struct journal_at at;
    int64_t at_ms;
    uint64_t offset;
    uint32_t kind, length; /* kind: journal_side_kind of it */
    uint32_t subject;      /* which of the subjects */
};
/* Newest first, of all subjects together. */
enum err journal_side_keys(struct journal_reader *r, const struct journal_side_keys *q,
                           struct arena *a, struct journal_side_key **keys, size_t *n) MUST_CHECK;
uint32_t journal_side_kind(struct str kind);
/* The rows of n keys, in their order; one that was erased meanwhile has an empty id. */
enum err journal_side_open(struct journal_reader *r, const struct str *subjects,
                           const struct journal_side_key *keys, size_t n, struct arena *a,
                           struct journal_side_row *rows) MUST_CHECK;

/* The proof file's text (docs/formats/inclusion-proof.md). ERR_AGAIN: no checkpoint covers the
 * entry yet (within a second). */
enum err journal_prove(struct journal_reader *r, struct journal_at at, struct arena *a,
                       struct str *proof) MUST_CHECK;
/* The same under an earlier checkpoint of this log, as with witnesses' signatures; its signatures
 * are not looked at. ERR_AGAIN: it does not cover the entry; ERR_INVALID: it is no checkpoint of
 * it. */
enum err journal_prove_under(struct journal_reader *r, struct journal_at at, struct str note,
                             struct arena *a, struct str *proof) MUST_CHECK;
/* RFC 6962 2.1.2: hashes of 32 bytes each, one behind the other. 0 < from <= to <= sealed. */
enum err journal_consistency(struct journal_reader *r, unsigned log, uint64_t from, uint64_t to,
                             struct arena *a, struct str *hashes) MUST_CHECK;

/* ---- verifying ----------------------------------------------------------------------------------
 */
struct journal_verdict {
    enum err err;      /* ERR_OK; ERR_CORRUPT: altered; ERR_DENIED: signature or key; ... */
    uint64_t entries;  /* covered by the checkpoint and checked */
    uint64_t unsealed; /* in the files, behind the checkpoint */
    int64_t index;     /* the first entry concerned, -1 when it is not about one */
    char file[256];    /* the file concerned, from the folder; "" none */
    char what[256];    /* one sentence, plain English */
    char origin[256];
};
/* Recomputes everything from the entries up. key: the verifier key line to trust; .p NULL takes the
 * folder's own `key` file (then a forger could have replaced both: say so to people). */
void journal_verify_folder(const char *folder, struct str key, struct journal_verdict *out);
/* A proof file alone. leaf is a slice of the arena. key .p NULL: the key named in the proof. */
void journal_verify_proof(struct arena *a, struct str proof, struct str key, struct str *leaf,
                          struct journal_verdict *out);

/* ---- backup
 * --------------------------------------------------------------------------------------- */
/* Copies a journal that is being written to a new folder: what was durable at the start is in it.
 */
enum err journal_backup(const char *folder, const char *to) MUST_CHECK;
/* Marks a restored folder: the old log goes beside, readable and verifiable; the next start opens a
 * new origin whose first entry names the last known checkpoint. */
enum err journal_restored(const char *folder) MUST_CHECK;

#endif
