/* How long an inclusion proof takes in a journal's folder, entries taken at random.
 *
 *   proof -f FOLDER [-n PROOFS]
 *
 * One line of JSON is printed. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/rand.h"
#include "journal/journal.h"

enum { PROOFS = 20000, PROOFS_MAX = 1000000 };

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

static int measure(struct journal_reader *r, size_t n)
{
    uint64_t size, sealed;
    struct arena a;
    struct str proof;
    int64_t *us = calloc(n, sizeof *us), all_us = 0;
    if (!us || journal_size(r, 0, &size, &sealed) != ERR_OK || !sealed)
        return 1;
    arena_init(&a);
    for (size_t i = 0; i < n; i++) {
        int64_t from_us = clock_mono_us();
        if (journal_prove(r, (struct journal_at){0, random_below(sealed)}, &a, &proof) != ERR_OK)
            return 1;
        us[i] = clock_mono_us() - from_us;
        all_us += us[i];
        arena_reset(&a);
    }
    qsort(us, n, sizeof *us, by_size);
    printf("{\"entries\":%llu,\"proofs\":%zu,\"mean_us\":%.1f,\"p99_us\":%lld}\n",
           (unsigned long long)sealed, n, (double)all_us / (double)n, (long long)us[n * 99 / 100]);
    arena_free(&a);
    free(us);
    return 0;
}

int main(int argc, char **argv)
{
    struct journal_reader *r;
    const char *folder = NULL;
    size_t n = PROOFS;
    for (int c; (c = getopt(argc, argv, "f:n:")) != -1;) {
        if (c == 'f')
            folder = optarg;
        else if (c == 'n')
            n = strtoull(optarg, NULL, 10);
    }
    if (!folder || n == 0 || n > PROOFS_MAX || journal_reader_open(folder, &r) != ERR_OK) {
        fputs("usage: proof -f FOLDER [-n PROOFS]\n", stderr);
        return 2;
    }
    int code = measure(r, n);
    journal_reader_close(r);
    return code;
}
