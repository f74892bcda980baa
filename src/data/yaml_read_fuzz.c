/* Any bytes: a tree or a fault with a line, never a crash; and the tree is valid JSON. */
#include <assert.h>
#include "data/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct yaml_doc doc;
    struct json_fault fault = {0};
    struct arena a;
    if (yaml_doc_read(str_of(data, size), &doc, &fault) != ERR_OK) {
        assert(fault.text[0] != '\0' && fault.line >= 0);
        return 0;
    }
    arena_init(&a);
    json_t *again;
    struct str text = json_text(&a, doc.root);
    if (json_is_object(doc.root) || json_is_array(doc.root)) {
        assert(json_read(text, &again, NULL) == ERR_OK);
        json_decref(again);
        assert(yaml_doc_line(&doc, doc.root) > 0);
    }
    arena_free(&a);
    yaml_doc_free(&doc);
    return 0;
}
