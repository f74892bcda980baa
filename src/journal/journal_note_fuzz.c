/* Notes, verifier keys and `state`: read from files that others may have written. */
#include "journal/note.h"
#include "journal/state.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct arena a;
    struct checkpoint c;
    struct note_key k;
    struct state st;
    struct str text = str_of(bytes, n);
    arena_init(&a);
    static const uint8_t public_key[32] = {7};
    if (checkpoint_read(&a, text, &c) == ERR_OK) {
        note_key_make(c.origin, public_key, &k);
        if (checkpoint_check(&a, &c, &k) == ERR_OK)
            __builtin_trap(); /* nobody has that key */
        if (c.text.n + c.signatures.n + 1 != n)
            __builtin_trap(); /* every byte is in the text or in a signature */
    }
    if (note_key_read(&a, text, &k) == ERR_OK) {
        struct str line = note_key_line(&a, &k);
        if (str_sub(text, 0, line.n).n != line.n || note_key_read(&a, line, &k) != ERR_OK)
            __builtin_trap();
    }
    if (state_parse(&a, text, &st) == ERR_OK) {
        struct buf b;
        buf_init(&b, STATE_MAX);
        state_print(&st, &b);
        if (state_parse(&a, buf_str(&b), &st) != ERR_OK)
            __builtin_trap();
        buf_free(&b);
    }
    arena_free(&a);
    return 0;
}
