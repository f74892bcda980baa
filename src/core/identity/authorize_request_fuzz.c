/* A query string as an authorization request, in every profile; what is taken survives the pages.
 */
#include <assert.h>
#include <stdint.h>
#include "core/identity/request.h"
#include "data/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(struct arena *a, const struct form *form, enum profile p, bool pkce)
{
    struct request r, again;
    struct oauth_error why = {0};
    request_read(form, &r);
    if (!request_check(a, &r, p, pkce, &why)) {
        assert(why.error && why.description);
        return;
    }
    assert(list_has(r.scope, STR("openid")));
    assert(p != PROFILE_STRICT || (r.state.n && r.nonce.n >= 22 && r.level_asked));
    assert(!(r.prompts & PROMPT_NONE) || r.prompts == PROMPT_NONE);
    json_t *v = request_to_json(&r);
    request_from_json(a, v, &again);
    json_decref(v);
    assert(str_eq(r.scope, again.scope) && r.prompts == again.prompts && r.level == again.level);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct form form;
    if (size > 32 * 1024)
        return 0;
    arena_init(&a);
    if (form_read(&a, str_of(data, size), &form) == ERR_OK) {
        check(&a, &form, PROFILE_STRICT, false);
        check(&a, &form, PROFILE_MODERN, size % 2);
        check(&a, &form, PROFILE_FAPI, true);
        redirect_is_registrable(form_get(&form, "redirect_uri"), size % 2);
    }
    arena_free(&a);
    return 0;
}
