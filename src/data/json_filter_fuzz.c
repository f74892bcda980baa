/* Providers' answers. Whatever jansson reads, the filter reads; what it lets through is JSON again,
 * and filtering that changes nothing more. */
#include "data/json.h"
#include "data/jsonfilter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct json_filter *filter, *asking;

static void start(void)
{
    static const struct str paths[] = {{"a", 1},
                                       {"b.c", 3},
                                       {"children.given_name", 19},
                                       {"b.d.e", 5},
                                       {"long_name_of_a_member", 21}};
    if (json_filter_new(paths, COUNT_OF(paths), &filter) != ERR_OK)
        __builtin_trap();
    static const struct str asked[] = {{"a>=10", 5}, {"b.c?", 4}, {"children.age<=18", 16}};
    if (json_filter_new(asked, COUNT_OF(asked), &asking) != ERR_OK)
        __builtin_trap();
}

/* What was asked is answered by a boolean, whatever was there. */
static void only_booleans(const json_t *v)
{
    const char *key;
    json_t *member;
    size_t i;
    if (json_is_array(v)) {
        json_array_foreach((json_t *)v, i, member)
        {
            only_booleans(member);
        }
        return;
    }
    json_object_foreach((json_t *)v, key, member)
    {
        if (json_is_object(member) || json_is_array(member))
            only_booleans(member);
        else if (!json_is_boolean(member))
            __builtin_trap();
    }
}

static void ask(struct str in)
{
    struct buf out;
    json_t *v;
    buf_init(&out, 2 * in.n + 4);
    enum err e = json_filter_run(asking, in, &out, NULL, NULL);
    if (e == ERR_LIMIT)
        __builtin_trap(); /* the room is always enough */
    if (e == ERR_OK && json_read(buf_str(&out), &v, NULL) == ERR_OK) {
        only_booleans(v);
        json_decref(v);
    } else if (e == ERR_OK) {
        __builtin_trap();
    }
    buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = str_of(data, size);
    struct buf once, twice;
    json_t *v;
    if (!filter)
        start();
    ask(in);
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
