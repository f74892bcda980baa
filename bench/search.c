/* How long a search of a journal's folder takes, questions taken at random.
 *
 *   search -f FOLDER [-n QUESTIONS]
 *
 * One line of JSON is printed. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/rand.h"
#include "journal/journal.h"

enum { QUESTIONS = 2000, QUESTIONS_MAX = 1000000, SHOWN = 50 };

struct span {
    uint64_t size;
    int64_t from_ms, to_ms; /* of the entries */
};

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static uint64_t random_below(uint64_t n)
{
    uint64_t v;
    rand_bytes(&v, sizeof v);
    return v % n;
}

/* In turn: a party, a purpose or kind with a party, a party nobody is, a short time, an id. */
static enum err ask(struct journal_reader *r, const struct span *span, size_t i, struct arena *a)
{
    struct journal_finds f;
    struct journal_at at;
    struct journal_search q = {.limit = SHOWN};
    int64_t wide_ms = span->to_ms - span->from_ms + 1;
    if (i % 5 == 4) { /* what was found leads to one by its id */
        enum err e = journal_search(r, &q, a, &f);
        return e == ERR_OK && f.n ? journal_find(r, str_from(f.list[0].id), &at) : e;
    }
    q.from_ms = span->from_ms + (int64_t)random_below((uint64_t)wide_ms);
    q.to_ms = q.from_ms + wide_ms / 100 + 1;
    if (i % 5 < 2)
        q.party = STR("bench");
    if (i % 5 == 1)
        q.kind = STR("bench.entry");
    if (i % 5 == 2) {
        q = (struct journal_search){.limit = SHOWN, .party = STR("nobody")};
        q.kind = STR("bench.entry");
    }
    return journal_search(r, &q, a, &f);
}

static int measure(struct journal_reader *r, size_t n)
{
    struct span span;
    struct journal_finds f;
    struct arena a;
    uint64_t sealed;
    int64_t *us = calloc(n, sizeof *us), all_us = 0;
    const struct journal_search last = {.limit = 1};
    struct journal_at second = {0, 1};
    struct journal_search first = {.limit = 1, .before = &second};
    arena_init(&a);
    if (!us || journal_size(r, 0, &span.size, &sealed) != ERR_OK || span.size < 2 ||
        journal_search(r, &first, &a, &f) != ERR_OK || !f.n)
        return 1;
    span.from_ms = f.list[0].at_ms;
    if (journal_search(r, &last, &a, &f) != ERR_OK || !f.n)
        return 1;
    span.to_ms = f.list[0].at_ms;
    for (size_t i = 0; i < n; i++) {
        arena_reset(&a);
        int64_t from_us = clock_mono_us();
        if (ask(r, &span, i, &a) != ERR_OK)
            return 1;
        us[i] = clock_mono_us() - from_us;
        all_us += us[i];
    }
    qsort(us, n, sizeof *us, by_size);
    printf("{\"entries\":%llu,\"questions\":%zu,\"mean_us\":%.1f,\"p99_us\":%lld}\n",
           (unsigned long long)span.size, n, (double)all_us / (double)n,
           (long long)us[n * 99 / 100]);
    arena_free(&a);
    free(us);
    return 0;
}

int main(int argc, char **argv)
{
    struct journal_reader *r;
    const char *folder = NULL;
    size_t n = QUESTIONS;
    for (int c; (c = getopt(argc, argv, "f:n:")) != -1;) {
        if (c == 'f')
            folder = optarg;
        else if (c == 'n')
            n = strtoull(optarg, NULL, 10);
    }
    if (!folder || n == 0 || n > QUESTIONS_MAX || journal_reader_open(folder, &r) != ERR_OK) {
        fputs("usage: search -f FOLDER [-n QUESTIONS]\n", stderr);
        return 2;
    }
    int code = measure(r, n);
    journal_reader_close(r);
    return code;
}
