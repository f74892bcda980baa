/* Base64 of both alphabets and hexadecimal: a value has one spelling, so what is read is written
 * back byte for byte (hexadecimal: but for its case). */
#include "base/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = str_of(data, size), out;
    struct arena a;
    arena_init(&a);
    if (codec_base64(&a, in, &out) == ERR_OK && !str_eq(codec_to_base64(&a, out.p, out.n), in))
        __builtin_trap();
    if (codec_base64url(&a, in, &out) == ERR_OK &&
        !str_eq(codec_to_base64url(&a, out.p, out.n), in))
        __builtin_trap();
    if (codec_hex(&a, in, &out) == ERR_OK && !str_eq_nocase(codec_to_hex(&a, out.p, out.n), in))
        __builtin_trap();
    arena_free(&a);
    return 0;
}
