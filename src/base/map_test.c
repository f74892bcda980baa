/* The map against a plain table, through growth, deletion and reuse. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "base/map.h"

static void set_get_delete(void **state)
{
    (void)state;
    struct map m;
    int one, two;
    map_init(&m);
    assert_null(map_get(&m, STR("a")));
    assert_null(map_del(&m, STR("a")));
    assert_null(map_set(&m, STR("a"), &one));
    assert_null(map_set(&m, STR(""), &two));
    assert_null(map_set(&m, str_of("a\0", 2), &two));
    assert_ptr_equal(map_get(&m, STR("a")), &one);
    assert_ptr_equal(map_get(&m, STR_NONE), &two);
    assert_ptr_equal(map_set(&m, STR("a"), &two), &one);
    assert_int_equal(m.n, 3);
    assert_ptr_equal(map_del(&m, STR("a")), &two);
    assert_null(map_get(&m, STR("a")));
    assert_int_equal(m.n, 2);
    map_free(&m);
    assert_null(map_get(&m, STR("")));
}

static void a_replaced_key_is_borrowed_anew(void **state)
{
    (void)state;
    struct map m;
    char first[] = "key", second[] = "key";
    int value;
    map_init(&m);
    map_set(&m, str_from(first), &value);
    map_set(&m, str_from(second), &value);
    first[0] = 'x'; /* gone */
    assert_ptr_equal(map_get(&m, STR("key")), &value);
    map_free(&m);
}

enum { KEYS = 2000, TURNS = 200000 };
static char keys[KEYS][16];
static char present[KEYS];

static void many_changes_agree_with_a_table(void **state)
{
    (void)state;
    struct map m;
    uint64_t seed = 1;
    size_t count = 0;
    map_init(&m);
    for (int i = 0; i < KEYS; i++)
        snprintf(keys[i], sizeof keys[i], "k%d", i);
    for (int turn = 0; turn < TURNS; turn++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        unsigned i = (unsigned)(seed >> 33) % KEYS;
        bool add = (seed >> 20 & 7) < (turn / 20000 % 2 ? 6u : 2u); /* grows, then shrinks */
        void *old = add ? map_set(&m, str_from(keys[i]), keys[i]) : map_del(&m, str_from(keys[i]));
        assert_ptr_equal(old, present[i] ? keys[i] : NULL);
        count += add && !present[i];
        count -= !add && present[i];
        present[i] = add;
        assert_int_equal(m.n, count);
    }
    assert_true(m.cap <= KEYS * 4); /* deleted places are used again */
    for (int i = 0; i < KEYS; i++)
        assert_ptr_equal(map_get(&m, str_from(keys[i])), present[i] ? keys[i] : NULL);
    struct str key;
    void *value;
    size_t at = 0, walked = 0;
    while (map_next(&m, &at, &key, &value)) {
        assert_true(str_eq_z(key, value));
        walked++;
    }
    assert_int_equal(walked, count);
    map_free(&m);
}

static void hashes_depend_on_every_byte(void **state)
{
    (void)state;
    char text[40] = {0};
    for (size_t n = 0; n < sizeof text; n++) {
        uint64_t before = map_hash(str_of(text, n));
        assert_true(before == map_hash(str_of(text, n)));
        assert_true(before != map_hash(str_of(text, n + 1)));
        for (size_t i = 0; i < n; i++) {
            text[i] = 1;
            assert_true(map_hash(str_of(text, n)) != before);
            text[i] = 0;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_get_delete),
        cmocka_unit_test(a_replaced_key_is_borrowed_anew),
        cmocka_unit_test(many_changes_agree_with_a_table),
        cmocka_unit_test(hashes_depend_on_every_byte),
    };
    return cmocka_run_group_tests_name("map", tests, NULL, NULL);
}
