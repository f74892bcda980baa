/* Proof files: people upload and mail them. */
#include "journal/journal.h"
#include "journal/proof.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct arena a;
    struct proof p;
    struct journal_verdict v;
    struct str leaf, text = str_of(bytes, n);
    arena_init(&a);
    if (proof_read(&a, text, &p) == ERR_OK) {
        struct proof again;
        struct str printed = proof_print(&a, &p);
        if (!str_eq(printed, text)) /* one way to write each proof */
            __builtin_trap();
        if (proof_read(&a, printed, &again) != ERR_OK)
            __builtin_trap();
    }
    journal_verify_proof(&a, text, STR_NONE, &leaf, &v);
    if ((v.err == ERR_OK) != (leaf.p != NULL))
        __builtin_trap();
    arena_free(&a);
    return 0;
}
