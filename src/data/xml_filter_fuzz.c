/* Providers' answers in XML. What the filter lets through it lets through again, unchanged, and the
 * room it asks for is enough. */
#include "data/xmlfilter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct str paths[] = {{"a", 1}, {"b.c", 3}, {"b.@id", 5}, {"p:d.e.f", 7}};
    static const struct str asked[] = {{"a>=10", 5}, {"b.c?", 4}, {"b.@id<=3", 8}};
    static struct json_filter *filter, *asking;
    struct str in = str_of(data, size);
    struct buf once, twice;
    if ((!filter && json_filter_new(paths, COUNT_OF(paths), &filter) != ERR_OK) ||
        (!asking && json_filter_new(asked, COUNT_OF(asked), &asking) != ERR_OK))
        __builtin_trap();
    buf_init(&once, 3 * size + 64);
    buf_init(&twice, 9 * size + 256);
    enum err e = xml_filter_run(asking, in, &once, NULL, NULL);
    if (e == ERR_LIMIT)
        __builtin_trap(); /* the room is always enough */
    buf_reset(&once);
    e = xml_filter_run(filter, in, &once, NULL, NULL);
    if (e == ERR_OK && (xml_filter_run(filter, buf_str(&once), &twice, NULL, NULL) != ERR_OK ||
                        !str_eq(buf_str(&once), buf_str(&twice))))
        __builtin_trap();
    buf_free(&once);
    buf_free(&twice);
    return 0;
}
