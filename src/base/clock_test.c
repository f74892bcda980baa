/* Times as machines and people write them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "base/clock.h"

static struct arena a;
static const int64_t november = 1795485600123; /* 2026-11-24T02:00:00.123Z, a Tuesday */

static int setup(void **state)
{
    (void)state;
    arena_init(&a);
    setenv("TZ", "Europe/Paris", 1);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    clock_set_offset_ms(0);
    arena_free(&a);
    return 0;
}

static void machines_read_utc(void **state)
{
    (void)state;
    char date[30];
    assert_string_equal(clock_rfc3339(&a, november, false).p, "2026-11-24T02:00:00Z");
    assert_string_equal(clock_rfc3339(&a, november, true).p, "2026-11-24T02:00:00.123Z");
    assert_string_equal(clock_rfc3339(&a, 0, true).p, "1970-01-01T00:00:00.000Z");
    assert_string_equal(clock_rfc3339(&a, -1, true).p, "1969-12-31T23:59:59.999Z");
    assert_string_equal(clock_rfc3339(&a, 951782400000, false).p, "2000-02-29T00:00:00Z");
    clock_http_date(november, date);
    assert_string_equal(date, "Tue, 24 Nov 2026 02:00:00 GMT");
    clock_http_date(784111777000, date); /* RFC 9110 5.6.7 */
    assert_string_equal(date, "Sun, 06 Nov 1994 08:49:37 GMT");
    assert_int_equal(clock_http_date_read(str_from(date)), 784111777000);
    assert_int_equal(clock_http_date_read(STR("Mon, 06 Nov 1994 08:49:37 GMT")), 0);
    assert_int_equal(clock_http_date_read(STR("Sun, 31 Feb 1994 08:49:37 GMT")), 0);
    assert_int_equal(clock_http_date_read(STR("Sun, 06 Nov 1994 08:49:37 CET")), 0);
    assert_int_equal(clock_http_date_read(STR("")), 0);
}

static void people_read_their_own_time(void **state)
{
    (void)state;
    assert_string_equal(clock_in_words(&a, november, "fr", true).p, "24 novembre 2026 à 03:00");
    assert_string_equal(clock_in_words(&a, november, "en", true).p, "24 November 2026 at 03:00");
    assert_string_equal(clock_in_words(&a, november, "fr", false).p, "24 novembre 2026");
    assert_string_equal(clock_in_words(&a, 1785535200000, "fr", true).p,
                        "1er août 2026 à 00:00"); /* summer */
    assert_string_equal(clock_in_words(&a, 1785535199999, "en", false).p, "31 July 2026");
    assert_string_equal(clock_in_words(&a, november, NULL, false).p, "24 novembre 2026");
}

static void a_moved_clock_moves_the_wall_only(void **state)
{
    (void)state;
    int64_t now_ms = clock_now_ms(), mono_ms = clock_mono_ms(), mono_us = clock_mono_us();
    clock_set_offset_ms(-86400000);
    assert_true(clock_now_ms() < now_ms - 86000000);
    assert_true(clock_mono_ms() >= mono_ms && clock_mono_us() >= mono_us);
    assert_true(clock_mono_ms() - mono_ms < 3600000);
    clock_set_offset_ms(0);
    assert_true(clock_now_ms() >= now_ms);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(machines_read_utc),
        cmocka_unit_test(people_read_their_own_time),
        cmocka_unit_test(a_moved_clock_moves_the_wall_only),
    };
    return cmocka_run_group_tests_name("clock", tests, setup, teardown);
}
