/* What is kept is what was put, until it is dropped, too old, or pushed out; and what was read
 * before a drop is not kept after it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <unistd.h>
#include "platform/cache.h"

static bool holds(struct cache *c, const char *key, const char *text)
{
    json_t *v = cache_get_json(c, str_from(key));
    bool same = v && strcmp(json_string_value(v), text) == 0;
    json_decref(v);
    return same;
}

static void put(struct cache *c, const char *key, uint64_t mark, const char *text)
{
    json_t *v = json_string(text);
    cache_put_json(c, str_from(key), mark, v);
    json_decref(v);
}

static void keeps_and_drops(void **state)
{
    static struct cache c = CACHE(64, 60000, cache_free_json);
    (void)state;
    assert_false(holds(&c, "a", "1"));
    put(&c, "a", cache_mark(&c), "1");
    assert_true(holds(&c, "a", "1"));
    assert_false(holds(&c, "", "1"));
    put(&c, "a", cache_mark(&c), "2");
    assert_true(holds(&c, "a", "2"));
    cache_drop(&c, STR("a"));
    assert_false(holds(&c, "a", "2"));
    put(&c, "a", cache_mark(&c), "3");
    cache_clear(&c);
    assert_false(holds(&c, "a", "3"));
}

static void what_was_read_before_a_drop_is_not_kept(void **state)
{
    static struct cache c = CACHE(64, 60000, cache_free_json);
    (void)state;
    uint64_t mark = cache_mark(&c);
    cache_drop(&c, STR("a")); /* somebody changed it while it was read */
    put(&c, "a", mark, "old");
    assert_false(holds(&c, "a", "old"));
}

static void a_life_ends(void **state)
{
    static struct cache c = CACHE(64, 1, cache_free_json);
    (void)state;
    put(&c, "a", cache_mark(&c), "1");
    usleep(3000);
    assert_false(holds(&c, "a", "1"));
    cache_clear(&c);
}

static void more_than_it_holds(void **state)
{
    static struct cache c = CACHE(8, 60000, cache_free_json);
    char key[CACHE_KEY_MAX + 2];
    int kept = 0;
    (void)state;
    for (int i = 0; i < 1000; i++) {
        snprintf(key, sizeof key, "key %d", i);
        put(&c, key, cache_mark(&c), key);
    }
    for (int i = 0; i < 1000; i++) {
        snprintf(key, sizeof key, "key %d", i);
        kept += holds(&c, key, key);
    }
    assert_in_range(kept, 1, 8);
    memset(key, 'x', sizeof key);
    key[CACHE_KEY_MAX + 1] = '\0';
    put(&c, key, cache_mark(&c), "too long a key");
    assert_false(holds(&c, key, "too long a key"));
    cache_clear(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_and_drops),
        cmocka_unit_test(what_was_read_before_a_drop_is_not_kept),
        cmocka_unit_test(a_life_ends),
        cmocka_unit_test(more_than_it_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
