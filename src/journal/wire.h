/* Records, as messages to the journal process and the write-ahead log hold them
 * (docs/formats/journal-messages.md). Private to this folder. */
#ifndef JOURNAL_WIRE_H
#define JOURNAL_WIRE_H

#include "journal/journal.h"
#include "sys/chan.h"

enum {
    WIRE_APPEND = 16,
    WIRE_ERASE = 17,
    WIRE_EXPIRE = 18,
    WIRE_PAYLOAD_MAX = CHAN_MAX - CHAN_HEAD,
    WIRE_RECORDS_MAX = 1024,
    WIRE_HEAD = 12,
    WIRE_REPEAT = 1, /* flag */
};
enum wire_type { WIRE_ENTRY = 1, WIRE_ERASURE = 2, WIRE_EXPIRY = 3 };

struct wire_record {
    enum wire_type type;
    unsigned flags;
    struct str leaf, subject, side;
    struct str whole; /* head and all */
};

/* What a client checks before it sends: ERR_LIMIT, ERR_INVALID. *size: of the record. */
enum err wire_check(const struct journal_record *r, size_t *size) MUST_CHECK;
void wire_write(char *out, const struct journal_record *r);
/* The record of an erasure, of WIRE_HEAD + subject.n bytes. */
void wire_write_erasure(char *out, struct str subject);
/* The record of an expiry, of wire_expiry_size bytes. ERR_INVALID, ERR_LIMIT: there is none such.
 */
enum err wire_expiry_size(const struct journal_expiry *x, size_t *size) MUST_CHECK;
void wire_write_expiry(char *out, const struct journal_expiry *x);
/* Slices of the record. */
enum err wire_expiry_read(const struct wire_record *r, struct journal_expiry *out) MUST_CHECK;
/* Takes one record off *rest. ERR_INVALID: what is there is none. ERR_LIMIT: one part is too long;
 * the record was taken all the same. */
enum err wire_read(struct str *rest, struct wire_record *out) MUST_CHECK;

/* Answers: 8 bytes a record. */
int64_t wire_answer_read(struct str answer, size_t i);
enum err wire_answer_err(int64_t v);

#endif
