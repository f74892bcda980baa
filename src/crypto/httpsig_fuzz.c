/* A message of lines: a method or a status, Signature-Input, Signature, then fields. Whatever they
 * are: no fault, the same text twice, and a refusal that says why. */
#include "crypto/httpsig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool good)
{
    if (!good)
        __builtin_trap();
}

static size_t fields_take(struct str rest, struct httpsig_field *f, size_t max)
{
    struct str line;
    size_t n = 0;
    while (n < max && rest.n && str_split(&rest, '\n', &line)) {
        ptrdiff_t colon = str_find_char(line, ':');
        if (colon > 0)
            f[n++] = (struct httpsig_field){str_sub(line, 0, (size_t)colon),
                                            str_after(line, (size_t)colon + 1)};
    }
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct httpsig_field f[32] = {{STR("Signature-Input"), STR_NONE}, {STR("Signature"), STR_NONE}};
    struct str rest = str_of(data, size), first = STR_NONE, why = STR_NONE, base, again;
    struct httpsig_list list;
    struct arena a;
    uint64_t status;
    if (size == 0 || size > 16 * 1024 || !str_split(&rest, '\n', &first))
        return 0;
    for (int i = 0; i < 2; i++)
        if (rest.n)
            str_split(&rest, '\n', &f[i].value);
    struct httpsig_message asked = {.method = STR("GET"),
                                    .scheme = STR("https"),
                                    .authority = STR("a.example"),
                                    .path = STR("/p"),
                                    .query = first};
    struct httpsig_message m = asked;
    m.headers = asked.headers = (struct httpsig_fields){f, 2 + fields_take(rest, f + 2, 30)};
    if (str_to_u64(first, &status) && status > 0 && status < 1000) {
        m.status = (int)status;
        m.request = &asked;
    }
    arena_init(&a);
    if (httpsig_read(&a, &m, &list, &why) == ERR_OK)
        for (size_t i = 0; i < list.n; i++) {
            struct httpsig_key key = {.secret = STR("0123456789abcdef0123456789abcdef")};
            struct httpsig_policy policy = {.now_s = 1618884473};
            bool whole = httpsig_base(&a, &list.v[i], &m, &base, &why) == ERR_OK;
            must(!whole ||
                 (httpsig_base(&a, &list.v[i], &m, &again, &why) == ERR_OK && str_eq(base, again)));
            why = STR_NONE;
            must(httpsig_verify(&a, &list.v[i], &m, &key, &policy, &why) == ERR_OK || why.n);
        }
    else
        must(why.n > 0);
    arena_free(&a);
    return 0;
}
