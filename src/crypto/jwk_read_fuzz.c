/* Keys and key sets from partners. */
#include "crypto/jose.h"
#include "data/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = str_of(data, size);
    struct arena a;
    struct jwk *k;
    struct jwks *ks;
    json_t *o;
    arena_init(&a);
    if (json_read(in, &o, NULL) == ERR_OK) {
        if (jwk_read(o, &k) == ERR_OK) {
            if (jwk_thumbprint(&a, o).n != 43)
                __builtin_trap();
            jwk_free(k);
        }
        json_decref(o);
    }
    if (jwks_read(in, &ks) == ERR_OK)
        jwks_free(ks);
    arena_free(&a);
    return 0;
}
