/* What was read is written canonically, and reads as the same again. */
#include "data/sfv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool good)
{
    if (!good)
        __builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct sfv one, two;
    struct buf first, second;
    if (size < 1)
        return 0;
    arena_init(&a);
    buf_init(&first, 16 * size + 1024);
    buf_init(&second, 16 * size + 1024);
    enum sfv_kind kind = data[0] % 3;
    if (sfv_read(&a, str_of(data + 1, size - 1), kind, &one) == ERR_OK) {
        must(sfv_write(&first, &one) == ERR_OK && first.err == ERR_OK);
        must(sfv_read(&a, buf_str(&first), kind, &two) == ERR_OK && one.n == two.n);
        must(sfv_write(&second, &two) == ERR_OK && str_eq(buf_str(&first), buf_str(&second)));
    }
    buf_free(&first);
    buf_free(&second);
    arena_free(&a);
    return 0;
}
