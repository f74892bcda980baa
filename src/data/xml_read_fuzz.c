/* Answers of older services. */
#include "data/xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk(const struct xml_node *n, unsigned depth)
{
    if (depth > 32)
        __builtin_trap();
    for (; n; n = n->next) {
        if (!str_is_utf8(str_from(n->name)) || !str_is_utf8(str_from(n->text)))
            __builtin_trap();
        walk(n->child, depth + 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct xml_node *root;
    arena_init(&a);
    if (xml_read(&a, str_of(data, size), 65536, &root) == ERR_OK) {
        if (!root || root->next)
            __builtin_trap();
        walk(root, 1);
    } else if (root) {
        __builtin_trap();
    }
    arena_free(&a);
    return 0;
}
