/* What a browser and an authenticator may send: no crash, nothing accepted that was not asked. The
 * input is client data, a NUL, then an attestation object (or authenticator data, a NUL and a
 * signature for the second way). */
#include <assert.h>
#include "core/accounts/wakey.h"
#include "core/accounts/webauthn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct wa_credential made;
    const char *why = NULL;
    struct str all = str_of(data, size);
    ptrdiff_t cut = str_find_char(all, '\0');
    if (cut < 0)
        return 0;
    arena_init(&a);
    struct str client = str_sub(all, 0, (size_t)cut), rest = str_after(all, (size_t)cut + 1);
    struct wa_expect x = {.rp_id = STR("localhost"),
                          .origin = STR("http://localhost"),
                          .challenge = STR("0123456789abcdef0123456789abcdef")};
    if (wa_register(&a, &x, client, rest, &made, &why) == ERR_OK) {
        assert(made.id.n > 0 && made.id.n <= WA_ID_MAX && made.aaguid.n == WA_AAGUID_LEN);
        EVP_PKEY *key = wakey_from_der(made.key);
        assert(key && made.flags & WA_UP && !made.attested);
        EVP_PKEY_free(key);
        cut = str_find_char(rest, '\0');
        struct str auth = str_sub(rest, 0, cut < 0 ? rest.n : (size_t)cut);
        assert(wa_assert(&a, &x, &made, client, auth, rest, &why) != ERR_OK);
    }
    assert(why);
    arena_free(&a);
    return 0;
}
