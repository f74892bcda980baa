/* Any bytes as a template: compile, render with itself as every partial and text, walk. */
#include "web/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct template *self(void *arg, struct str name)
{
    return name.n % 2 ? arg : NULL;
}

static void ignore(void *arg, char kind, struct str name)
{
    *(size_t *)arg += name.n + (size_t)kind;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct template *t;
    int line;
    if (size > 4096 || template_compile(str_of(data, size), "fuzz", &t, &line) != ERR_OK)
        return 0;
    json_t *d = json_pack("{s:s,s:[i,i,s],s:{s:f,s:b},s:n}", "a", "<&>", "b", 1, 2, "x", "c", "d",
                          1.5, "e", 1, "f");
    struct buf out;
    buf_init(&out, 1 << 16);
    struct template_env env = {.partial = self, .text = self, .arg = t};
    enum err e = template_render(t, d, &env, &out);
    size_t sum = (size_t)e;
    template_walk(t, ignore, &sum);
    buf_free(&out);
    json_decref(d);
    template_free(t);
    return 0;
}
