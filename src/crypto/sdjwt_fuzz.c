/* Presentations from anywhere: what opens has no digest left, and nothing opens by a disclosure
 * that was not asked for. */
#include "crypto/sdjwt.h"
#include "data/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void no_digest_left(const json_t *v, int depth)
{
    const char *key;
    json_t *item;
    size_t i;
    if (json_object_get(v, "_sd") || json_object_get(v, "...") ||
        (depth == 0 && json_object_get(v, "_sd_alg")))
        __builtin_trap();
    json_object_foreach((json_t *)v, key, item) no_digest_left(item, depth + 1);
    json_array_foreach((json_t *)v, i, item) no_digest_left(item, depth + 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct sdjwt s;
    json_t *claims;
    const char *why = NULL;
    struct sdjwt_wanted w = {.audience = STR("https://verifier.example.org"),
                             .nonce = STR("1234567890"),
                             .since_ms = 1748361000000,
                             .now_ms = 1748362000000};
    arena_init(&a);
    if (sdjwt_split(&a, str_of(data, size), &s) == ERR_OK) {
        if (sdjwt_claims(&a, &s, &claims, &why) == ERR_OK) {
            no_digest_left(claims, 0);
            if (sdjwt_check_binding(&a, &s, claims, &w, &why) != ERR_OK && !why)
                __builtin_trap();
            json_decref(claims);
        } else if (!why || claims) {
            __builtin_trap();
        }
        sdjwt_free(&s);
    }
    arena_free(&a);
    return 0;
}
