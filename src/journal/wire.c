#include "journal/wire.h"

#include <endian.h>
#include "journal/leaf.h"

enum err wire_check(const struct journal_record *r, size_t *size)
{
    struct leaf_head h;
    if (r->leaf.n > JOURNAL_LEAF_MAX || r->subject.n > JOURNAL_SUBJECT_MAX ||
        r->side.n > JOURNAL_SIDE_MAX)
        return ERR_LIMIT;
    *size = WIRE_HEAD + r->leaf.n + r->subject.n + r->side.n;
    if (leaf_head_read(r->leaf, &h) != ERR_OK || (r->id.p && !str_eq(r->id, h.id_text)))
        return ERR_INVALID;
    return ERR_OK;
}

static void head_write(char *out, enum wire_type type, unsigned flags, size_t subject_n,
                       size_t leaf_n, size_t side_n)
{
    uint16_t subject = htole16((uint16_t)subject_n);
    uint32_t leaf = htole32((uint32_t)leaf_n), side = htole32((uint32_t)side_n);
    out[0] = (char)type;
    out[1] = (char)flags;
    memcpy(out + 2, &subject, 2);
    memcpy(out + 4, &leaf, 4);
    memcpy(out + 8, &side, 4);
}

static char *put(char *at, struct str s)
{
    if (s.n)
        memcpy(at, s.p, s.n);
    return at + s.n;
}

void wire_write(char *out, const struct journal_record *r)
{
    head_write(out, WIRE_ENTRY, r->maybe_repeat ? WIRE_REPEAT : 0, r->subject.n, r->leaf.n,
               r->side.n);
    put(put(put(out + WIRE_HEAD, r->leaf), r->subject), r->side);
}

void wire_write_erasure(char *out, struct str subject)
{
    head_write(out, WIRE_ERASURE, 0, subject.n, 0, 0);
    put(out + WIRE_HEAD, subject);
}

enum { EXPIRY_HEAD = 8 };

enum err wire_expiry_size(const struct journal_expiry *x, size_t *size)
{
    *size = WIRE_HEAD + x->subject.n + EXPIRY_HEAD + x->kind.n;
    return x->subject.n > JOURNAL_SUBJECT_MAX || x->kind.n > KIND_MAX ? ERR_LIMIT
           : x->before_ms <= 0                                        ? ERR_INVALID
                                                                      : ERR_OK;
}

void wire_write_expiry(char *out, const struct journal_expiry *x)
{
    uint64_t before = htole64((uint64_t)x->before_ms);
    head_write(out, WIRE_EXPIRY, 0, x->subject.n, 0, EXPIRY_HEAD + x->kind.n);
    char *at = put(out + WIRE_HEAD, x->subject);
    memcpy(at, &before, sizeof before);
    put(at + EXPIRY_HEAD, x->kind);
}

enum err wire_expiry_read(const struct wire_record *r, struct journal_expiry *out)
{
    uint64_t before;
    size_t size;
    *out = (struct journal_expiry){0};
    if (r->type != WIRE_EXPIRY || r->leaf.n || r->side.n < EXPIRY_HEAD)
        return ERR_INVALID;
    memcpy(&before, r->side.p, sizeof before);
    *out = (struct journal_expiry){.subject = r->subject,
                                   .kind = str_after(r->side, EXPIRY_HEAD),
                                   .before_ms = (int64_t)le64toh(before)};
    return wire_expiry_size(out, &size);
}

enum err wire_read(struct str *rest, struct wire_record *out)
{
    uint16_t subject;
    uint32_t leaf, side;
    *out = (struct wire_record){0};
    if (rest->n < WIRE_HEAD)
        return ERR_INVALID;
    const char *p = rest->p;
    memcpy(&subject, p + 2, 2);
    memcpy(&leaf, p + 4, 4);
    memcpy(&side, p + 8, 4);
    subject = le16toh(subject);
    leaf = le32toh(leaf);
    side = le32toh(side);
    uint64_t body = (uint64_t)subject + leaf + side;
    if ((uint8_t)p[0] < WIRE_ENTRY || (uint8_t)p[0] > WIRE_EXPIRY || body > rest->n - WIRE_HEAD)
        return ERR_INVALID;
    out->type = (enum wire_type)p[0];
    out->flags = (uint8_t)p[1];
    out->leaf = str_of(p + WIRE_HEAD, leaf);
    out->subject = str_of(p + WIRE_HEAD + leaf, subject);
    out->side = str_of(p + WIRE_HEAD + leaf + subject, side);
    out->whole = str_of(p, WIRE_HEAD + (size_t)body);
    *rest = str_after(*rest, out->whole.n);
    return leaf > JOURNAL_LEAF_MAX || subject > JOURNAL_SUBJECT_MAX || side > JOURNAL_SIDE_MAX
               ? ERR_LIMIT
               : ERR_OK;
}

int64_t wire_answer_read(struct str answer, size_t i)
{
    int64_t v;
    memcpy(&v, answer.p + i * 8, 8);
    return (int64_t)le64toh((uint64_t)v);
}

enum err wire_answer_err(int64_t v)
{
    return v >= 0 ? ERR_OK : v > -ERR_COUNT ? (enum err) - v : ERR_INTERNAL;
}
