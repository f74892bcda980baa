/* Bytes as the `claims` parameter (OpenID Connect Core 5.5): what is taken are names that are known
 * here, each once, and a level. */
#include <assert.h>
#include <stdint.h>
#include "core/identity/pivot.h"
#include "core/identity/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void known(struct str list)
{
    struct str part;
    while (list.n && str_split(&list, ' ', &part)) {
        bool found = false;
        for (size_t i = 0; claim_at(i); i++)
            found |= str_eq_z(part, claim_at(i)->name);
        assert(found && !list_has(list, part));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct request r;
    struct oauth_error why = {0};
    struct form_field fields[] = {{STR("response_type"), STR("code")},
                                  {STR("scope"), STR("openid")},
                                  {STR("claims"), str_of(data, size)}};
    struct form form = {fields, COUNT_OF(fields)};
    if (size > 8 * 1024)
        return 0;
    arena_init(&a);
    request_read(&form, &r);
    if (request_check(&a, &r, PROFILE_MODERN, false, &why)) {
        known(r.claims_wanted);
        known(r.id_claims);
        assert(r.level >= LEVEL_EIDAS1 && r.level <= LEVEL_EIDAS3);
    } else {
        assert(why.error && why.description);
    }
    arena_free(&a);
    return 0;
}
