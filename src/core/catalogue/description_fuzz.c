/* A description from anybody: walked, checked against every rule, and given examples, without a
 * crash and without end. */
#include <assert.h>
#include "core/catalogue/rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct description d;
    struct arena a;
    bool other;
    if (desc_read(str_of(data, size), &d, NULL) != ERR_OK)
        return 0;
    arena_init(&a);
    const struct check *k = rules_run(&a, &d);
    json_t *report = report_json(k, "http://x");
    assert(report && k->n <= FINDINGS_MAX && k->n <= k->errors + k->warnings);
    for (size_t i = 0; i < k->n; i++)
        assert(k->list[i].line > 0);
    json_decref(report);
    for (size_t i = 0; i < d.n_ops && i < 20; i++) {
        const json_t *answer = desc_answer(&d, d.ops[i].op, 0, NULL);
        json_t *v = desc_example(&d, desc_media(&d, answer, NULL));
        assert(v);
        json_decref(v);
        desc_match(&d, d.ops[i].method, str_from(d.ops[i].path), &other);
    }
    arena_free(&a);
    desc_free(&d);
    return 0;
}
