/* Percent-decoding of paths, queries and forms: what is decoded and encoded again decodes to the
 * same. */
#include "base/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct str once, twice;
    arena_init(&a);
    for (int form = 0; form <= 1; form++) {
        if (codec_url(&a, str_of(data, size), form, &once) != ERR_OK)
            continue;
        if (once.n > size || once.p[once.n] != '\0' ||
            codec_url(&a, codec_to_url(&a, once), form, &twice) != ERR_OK || !str_eq(once, twice))
            __builtin_trap();
    }
    arena_free(&a);
    return 0;
}
