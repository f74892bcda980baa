/* Tokens from anywhere: what splits can be checked against a key and freed, and nothing forged
 * verifies. */
#include "crypto/jose.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char keys[] =
    "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\","
    "\"x\":\"axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY\","
    "\"y\":\"T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU\"},"
    "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct jwks *ks;
    struct arena a;
    struct jws j;
    const char *why;
    if (!ks && jwks_read(str_from(keys), &ks) != ERR_OK)
        __builtin_trap();
    arena_init(&a);
    if (jws_split(&a, str_of(data, size), &j) == ERR_OK) {
        if (j.alg >= JOSE_ALG_COUNT)
            __builtin_trap();
        /* The one genuine signature of the corpus is RFC 8037's, of a text that is no JSON. */
        if (jws_verify(&j, ks, ~0u) == ERR_OK && j.claims)
            __builtin_trap();
        if (jwt_check(j.claims, STR_NONE, STR("me"), 0, &why) != ERR_OK && !why)
            __builtin_trap();
        jws_free(&j);
    }
    arena_free(&a);
    return 0;
}
