/* Whatever a browser or an attacker sends as a form: fields that come out are text. */
#include "web/form.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct form f;
    struct str in = str_of(data, size);
    arena_init(&a);
    if (form_read(&a, in, &f) == ERR_OK)
        for (size_t i = 0; i < f.n; i++)
            if (!str_is_utf8(f.fields[i].name) || !str_is_utf8(f.fields[i].value))
                __builtin_trap();
    struct str c = cookie_get(in, "s");
    if (c.p && (c.p < in.p || c.p + c.n > in.p + in.n))
        __builtin_trap();
    if (size < 4096)
        url_with(&a, in, "k", in);
    arena_free(&a);
    return 0;
}
