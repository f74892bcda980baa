/* Encrypted tokens from partners. */
#include "crypto/jwe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t cek[JWE_CEK_LEN] = {1};
    struct arena a;
    struct jwe j;
    struct str plain;
    arena_init(&a);
    if (jwe_split(&a, str_of(data, size), &j) == ERR_OK) {
        if (j.alg == JWE_ECDH_ES && j.encrypted_key.n != JWE_POINT_LEN)
            __builtin_trap();
        if (jwe_open(&a, &j, cek, &plain) == ERR_OK && plain.n != j.ciphertext.n)
            __builtin_trap();
    }
    arena_free(&a);
    return 0;
}
