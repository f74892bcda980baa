/* The body of add-checkpoint, from anyone. */
#include "journal/witness.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static const uint8_t public_key[32] = {7};
    struct arena a;
    struct witness_request rq;
    struct note_key k;
    struct witness_known known = {0};
    struct str body = str_of(bytes, n);
    arena_init(&a);
    if (witness_request_read(&a, body, &rq) == ERR_OK) {
        struct str note = arena_printf(&a, STR_FMT "\n" STR_FMT, STR_ARG(rq.checkpoint.text),
                                       STR_ARG(rq.checkpoint.signatures));
        if (!str_eq(witness_request_print(&a, rq.old_size, rq.proof, note), body))
            __builtin_trap(); /* one way to write each request */
        note_key_make(rq.checkpoint.origin, public_key, &k);
        known.size = rq.old_size;
        if (witness_judge(&a, &rq, &k, &known) != WITNESS_UNSIGNED)
            __builtin_trap(); /* nobody has that key */
    }
    arena_free(&a);
    return 0;
}
