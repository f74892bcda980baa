/* Providers' answers. Whatever jansson reads, the filter reads; what it lets through is JSON again,
 * and filtering that changes nothing more. */
#include "data/json.h"
#include "data/jsonfilter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct json_filter *filter;

static void start(void)
{
    static const struct str paths[] = {{"a", 1},
                                       {"b.c", 3},
                                       {"children.given_name", 19},
                                       {"b.d.e", 5},
                                       {"long_name_of_a_member", 21}};
    if (json_filter_new(paths, COUNT_OF(paths), &filter) != ERR_OK)
        __builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = str_of(data, size);
    struct buf once, twice;
    json_t *v;
    if (!filter)
        start();
    buf_init(&once, size + 4);
    buf_init(&twice, size + 8);
    enum err e = json_filter_run(filter, in, &once, NULL, NULL);
    if (json_read(in, &v, NULL) == ERR_OK) {
        if (e != ERR_OK)
            __builtin_trap();
        json_decref(v);
        if (json_read(buf_str(&once), &v, NULL) != ERR_OK)
            __builtin_trap();
        json_decref(v);
    }
    if (e == ERR_OK && (json_filter_run(filter, buf_str(&once), &twice, NULL, NULL) != ERR_OK ||
                        !str_eq(buf_str(&once), buf_str(&twice))))
        __builtin_trap();
    buf_free(&once);
    buf_free(&twice);
    return 0;
}
