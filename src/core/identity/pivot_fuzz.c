/* What an identity provider answers, as claims of a citizen and of an agent. */
#include <assert.h>
#include <stdint.h>
#include "core/identity/pivot.h"
#include "data/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    json_t *claims = NULL, *out;
    const char *why = NULL;
    if (size > 64 * 1024 || json_read(str_of(data, size), &claims, NULL) != ERR_OK)
        return 0;
    arena_init(&a);
    if (pivot_read(claims, &out, &why) == ERR_OK) {
        assert(pivot_hash(&a, out).n == 44);
        assert(birthdate_is_valid(json_get_str(out, "birthdate")));
        json_t *pivot = pivot_only(out);
        assert(json_object_size(pivot) >= 6);
        json_decref(pivot);
        json_decref(out);
    } else {
        assert(why);
    }
    if (agent_read(claims, &out, &why) == ERR_OK) {
        assert(siret_is_valid(json_get_str(out, "siret")));
        json_decref(out);
    }
    json_decref(claims);
    arena_free(&a);
    return 0;
}
