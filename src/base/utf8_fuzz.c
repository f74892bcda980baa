/* UTF-8 against a reader of another kind: it takes the bits apart and asks whether the code point
 * is one that these bytes are the shortest form of. */
#include "base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t plain_len(const uint8_t *p, size_t n)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned ones = 0;
    while (ones < 8 && p[0] & 0x80u >> ones)
        ones++;
    if (ones == 0)
        return 1;
    if (ones == 1 || ones > 4 || ones > n)
        return 0;
    uint32_t code = p[0] & (0x7fu >> ones);
    for (unsigned i = 1; i < ones; i++) {
        if (p[i] >> 6 != 2)
            return 0;
        code = code << 6 | (p[i] & 0x3f);
    }
    return code < least[ones] || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF) ? 0 : ones;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool good = true;
    for (size_t i = 0, n; i < size && good; i += n) {
        n = plain_len(data + i, size - i);
        if (str_utf8_len((const char *)data + i, size - i) != n)
            __builtin_trap();
        good = n > 0;
    }
    if (str_is_utf8(str_of(data, size)) != good)
        __builtin_trap();
    return 0;
}
