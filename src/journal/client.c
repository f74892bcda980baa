/* The client that waits, for handlers and commands: one call, one message, or as few as they fit.
 */
#include <stdlib.h>
#include "journal/wire.h"

struct journal {
    struct chan_client *chan;
};

struct journal *journal_connect(int fd)
{
    struct journal *j = calloc(1, sizeof *j);
    if (!j)
        abort();
    j->chan = chan_client_new(fd);
    return j;
}

void journal_close(struct journal *j)
{
    if (!j)
        return;
    chan_client_free(j->chan);
    free(j);
}

enum err journal_append(struct journal *j, const struct journal_record *r, int timeout_ms,
                        uint64_t *index)
{
    return journal_append_many(j, r, 1, timeout_ms, index);
}

/* One message of n records; the first error among them. */
static enum err send_some(struct journal *j, struct arena *a, struct str payload, size_t n,
                          int timeout_ms, uint64_t *indexes)
{
    struct str answer;
    enum err e = chan_call(j->chan, WIRE_APPEND, payload, timeout_ms, a, &answer);
    if (e == ERR_OK && answer.n != n * 8)
        e = ERR_INTERNAL;
    for (size_t i = 0; i < n && answer.n == n * 8; i++) {
        int64_t v = wire_answer_read(answer, i);
        enum err one = wire_answer_err(v);
        if (one != ERR_OK && e == ERR_OK)
            e = one;
        if (indexes)
            indexes[i] = one == ERR_OK ? (uint64_t)v : UINT64_MAX;
    }
    return e;
}

/* How many records, from the first on, fit one message, and their size together. */
static enum err fit(const struct journal_record *r, size_t n, size_t *count, size_t *size)
{
    *count = *size = 0;
    while (*count < n && *count < WIRE_RECORDS_MAX) {
        size_t one;
        enum err e = wire_check(&r[*count], &one);
        if (e != ERR_OK)
            return e;
        if (*size + one > WIRE_PAYLOAD_MAX)
            break;
        *size += one;
        ++*count;
    }
    return ERR_OK;
}

enum err journal_append_many(struct journal *j, const struct journal_record *r, size_t n,
                             int timeout_ms, uint64_t *indexes)
{
    struct arena a;
    enum err e = ERR_OK;
    arena_init(&a);
    for (size_t from = 0, count, size; from < n && e == ERR_OK; from += count) {
        e = fit(r + from, n - from, &count, &size);
        if (e != ERR_OK)
            break;
        char *payload = arena_alloc(&a, size), *at = payload;
        for (size_t i = from; i < from + count; i++) {
            wire_write(at, &r[i]);
            at += WIRE_HEAD + r[i].leaf.n + r[i].subject.n + r[i].side.n;
        }
        e = send_some(j, &a, str_of(payload, size), count, timeout_ms,
                      indexes ? indexes + from : NULL);
        arena_reset(&a);
    }
    arena_free(&a);
    return e;
}

enum err journal_ping(struct journal *j, int timeout_ms)
{
    struct arena a;
    struct str answer;
    arena_init(&a);
    enum err e = chan_call(j->chan, WIRE_APPEND, STR(""), timeout_ms, &a, &answer);
    arena_free(&a);
    return e == ERR_INVALID ? ERR_OK : e; /* no record is a wrong message: that is its answer */
}

/* Answered by a count of rows. */
static enum err call_erasing(struct journal *j, uint16_t op, struct str payload, int timeout_ms,
                             uint64_t *n_rows)
{
    struct arena a;
    struct str answer;
    arena_init(&a);
    enum err e = chan_call(j->chan, op, payload, timeout_ms, &a, &answer);
    if (e == ERR_OK && answer.n != 8)
        e = ERR_INTERNAL;
    if (e == ERR_OK && n_rows)
        *n_rows = (uint64_t)wire_answer_read(answer, 0);
    arena_free(&a);
    return e;
}

enum err journal_erase_subject(struct journal *j, struct str subject, int timeout_ms,
                               uint64_t *n_rows)
{
    if (subject.n == 0 || subject.n > JOURNAL_SUBJECT_MAX)
        return subject.n ? ERR_LIMIT : ERR_INVALID;
    return call_erasing(j, WIRE_ERASE, subject, timeout_ms, n_rows);
}

enum err journal_expire(struct journal *j, const struct journal_expiry *x, int timeout_ms,
                        uint64_t *n_rows)
{
    char record[WIRE_HEAD + JOURNAL_SUBJECT_MAX + 128];
    size_t size;
    enum err e = wire_expiry_size(x, &size);
    if (e != ERR_OK)
        return e;
    wire_write_expiry(record, x);
    return call_erasing(j, WIRE_EXPIRE, str_of(record, size), timeout_ms, n_rows);
}
