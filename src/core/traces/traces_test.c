/* Reading events, packing blocks, counting distinct values. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include "core/traces/traces.h"

#include "base/clock.h"

static struct arena arena;
static int setup(void **state)
{
    (void)state;
    arena_init(&arena);
    return 0;
}
static int teardown(void **state)
{
    (void)state;
    arena_free(&arena);
    return 0;
}

static void times_are_read_as_rfc_3339_says(void **state)
{
    int64_t ms;
    (void)state;
    assert_true(clock_rfc3339_read(STR("1970-01-01T00:00:01Z"), &ms));
    assert_int_equal(ms, 1000);
    assert_true(clock_rfc3339_read(STR("2026-01-01T00:00:00.5+02:00"), &ms));
    assert_int_equal(ms, 1767218400500);
    assert_true(clock_rfc3339_read(STR("2026-01-01T00:00:00.123456-00:30"), &ms));
    assert_int_equal(ms, 1767227400123);
    static const char *const bad[] = {"",
                                      "2026",
                                      "2026-13-01T00:00:00Z",
                                      "2026-01-32T00:00:00Z",
                                      "2026-01-01T24:00:00Z",
                                      "2026-01-01T00:00:00",
                                      "2026-01-01T00:00:00+2:00",
                                      "2026-01-01T00:00:00Zx",
                                      "1969-01-01T00:00:00Z"};
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_false(clock_rfc3339_read(str_from(bad[i]), &ms));
}

static void frames_come_in_pieces(void **state)
{
    struct str rest = STR("5 abcde<13>x\n3 a"), frame;
    enum err e;
    (void)state;
    assert_true(trace_frame_next(&rest, &frame, &e));
    assert_true(str_eq_z(frame, "abcde"));
    assert_true(trace_frame_next(&rest, &frame, &e));
    assert_true(str_eq_z(frame, "<13>x"));
    assert_false(trace_frame_next(&rest, &frame, &e));
    assert_int_equal(e, ERR_OK); /* the rest is to come */
    assert_int_equal(rest.n, 3);
    rest = STR("GET / HTTP/1.1\r\n");
    assert_false(trace_frame_next(&rest, &frame, &e));
    assert_int_equal(e, ERR_INVALID);
    rest = STR("99999 x");
    assert_false(trace_frame_next(&rest, &frame, &e));
    assert_int_equal(e, ERR_LIMIT);
    rest = STR("123456789");
    assert_false(trace_frame_next(&rest, &frame, &e));
    assert_int_equal(e, ERR_INVALID);
}

/* The examples of RFC 5424 6.5. */
static void messages_of_the_rfc(void **state)
{
    struct trace_event e;
    (void)state;
    trace_event_from_syslog(&arena,
                            STR("<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - "
                                "\xEF\xBB\xBF'su root' failed for lonvick on /dev/pts/8"),
                            0, &e);
    assert_int_equal(e.severity, 2);
    assert_int_equal(e.facility, 4);
    assert_true(str_eq_z(e.texts[T_HOST], "mymachine.example.com"));
    assert_true(str_eq_z(e.texts[T_APP], "su"));
    assert_true(str_eq_z(e.texts[T_EVENT], "ID47"));
    assert_true(str_eq_z(e.texts[T_MESSAGE], "'su root' failed for lonvick on /dev/pts/8"));
    trace_event_from_syslog(
        &arena,
        STR("<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog - ID47 "
            "[exampleSDID@32473 iut=\"3\" eventSource=\"Application\" eventID=\"1011\"]"
            "[examplePriority@32473 class=\"high\"]"),
        0, &e);
    assert_int_equal(e.severity, 5);
    assert_int_equal(e.texts[T_MESSAGE].n, 0);
    /* Wrong somewhere: kept whole. */
    trace_event_from_syslog(&arena, STR("<165>1 yesterday host app - - - words"), 77, &e);
    assert_int_equal(e.at_ms, 77);
    assert_true(str_eq_z(e.texts[T_MESSAGE], "1 yesterday host app - - - words"));
    trace_event_from_syslog(&arena, STR("<13>1 - h a - - - a\xff\xfe z"), 0, &e);
    assert_true(str_eq_z(e.texts[T_MESSAGE], "a?? z"));
}

static void failures_are_understood_from_words(void **state)
{
    static const struct {
        const char *line, *actor, *address;
    } lines[] = {
        {"Failed password for root from 203.0.113.9 port 52 ssh2", "root", "203.0.113.9"},
        {"Failed password for invalid user bob from 2001:db8::1 port 5", "bob", "2001:db8::1"},
        {"Invalid user admin from 192.0.2.1 port 22", "admin", "192.0.2.1"},
        {"pam_unix(sshd:auth): authentication failure; rhost=192.0.2.7  user=eva", "eva",
         "192.0.2.7"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        struct trace_event e = {.texts[T_MESSAGE] = str_from(lines[i].line)};
        trace_event_understand(&arena, &e);
        assert_int_equal(e.outcome, OUTCOME_FAILED);
        assert_true(str_eq_z(e.texts[T_EVENT], "login"));
        assert_true(str_eq_z(e.texts[T_ACTOR], lines[i].actor));
        assert_true(str_eq_z(e.texts[T_ADDRESS], lines[i].address));
    }
    struct trace_event calm = {.texts[T_MESSAGE] = STR("Accepted password for root from 1.2.3.4")};
    trace_event_understand(&arena, &calm);
    assert_int_equal(calm.outcome, OUTCOME_UNKNOWN);
}

static void blocks_give_back_what_they_took(void **state)
{
    struct trace_keys k = {{1, 2}, {3}}, other = {{1, 2}, {4}};
    struct trace_event events[BLOCK_EVENTS], *back;
    struct trace_block b;
    size_t n;
    (void)state;
    for (size_t i = 0; i < BLOCK_EVENTS; i++)
        events[i] = (struct trace_event){
            .at_ms = (int64_t)(1000 + i),
            .severity = (uint8_t)(3 + i % 5),
            .outcome = (uint8_t)(i % 4),
            .texts = {
                STR("h"),
                STR("app"), [T_MESSAGE] = arena_printf(&arena, "le numéro %zu est passé", i)}};
    trace_block_make(&arena, &k, events, BLOCK_EVENTS, &b);
    assert_int_equal(b.from_ms, 1000);
    assert_int_equal(b.to_ms, 1999);
    assert_int_equal(b.severity, 3);
    assert_true(b.data.n < 20 * 1000); /* packed: under 20 bytes each */
    assert_int_equal(trace_block_open(&arena, &k, b.data, &back, &n), ERR_OK);
    assert_int_equal(n, BLOCK_EVENTS);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(back[i].at_ms, events[i].at_ms);
        assert_int_equal(back[i].outcome, events[i].outcome);
        assert_true(str_eq(back[i].texts[T_MESSAGE], events[i].texts[T_MESSAGE]));
    }
    /* The filter has every word, few others, and says nothing without its key. */
    size_t wrong = 0, blind = 0;
    struct trace_keys no = {{9, 9}, {3}};
    for (size_t i = 0; i < 1000; i++) {
        struct str there = arena_printf(&arena, "%zu", i), absent = arena_printf(&arena, "x%zu", i);
        assert_true(trace_words_may_hold(b.words, &k, there));
        wrong += trace_words_may_hold(b.words, &k, absent);
        blind += trace_words_may_hold(b.words, &no, there);
    }
    assert_true(trace_words_may_hold(b.words, &k, STR("numero")));
    assert_true(wrong < 100);
    assert_true(blind < 100);
    assert_int_equal(trace_block_open(&arena, &other, b.data, &back, &n), ERR_CORRUPT);
    ((char *)(uintptr_t)b.data.p)[40] ^= 1;
    assert_int_equal(trace_block_open(&arena, &k, b.data, &back, &n), ERR_CORRUPT);
}

static void events_of_json_name_their_fault(void **state)
{
    static const struct {
        const char *text, *rule;
    } bad[] = {{"[]", "an event"},
               {"{\"time\": \"no\"}", "time"},
               {"{\"time\": -1}", "time"},
               {"{\"severity\": 8}", "severity"},
               {"{\"outcome\": \"maybe\"}", "outcome"},
               {"{\"host\": 7}", "host"}};
    struct trace_event e;
    const char *rule;
    json_t *v;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        assert_int_equal(json_read(str_from(bad[i].text), &v, NULL), ERR_OK);
        assert_int_equal(trace_event_from_json(&arena, v, 0, &e, &rule), ERR_INVALID);
        assert_true(str_starts(str_from(rule), str_from(bad[i].rule)));
        json_decref(v);
    }
    /* What has no place is said in the message; a clock far ahead counts as now. */
    assert_int_equal(json_read(STR("{\"time\": \"2200-01-01T00:00:00Z\", \"message\": \"m\", "
                                   "\"queue\": 3, \"severity\": \"err\"}"),
                               &v, NULL),
                     ERR_OK);
    assert_int_equal(trace_event_from_json(&arena, v, 500, &e, &rule), ERR_OK);
    assert_int_equal(e.at_ms, 500);
    assert_int_equal(e.severity, 3);
    assert_true(str_eq_z(e.texts[T_MESSAGE], "m queue=3"));
    json_decref(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_are_read_as_rfc_3339_says),
        cmocka_unit_test(frames_come_in_pieces),
        cmocka_unit_test(messages_of_the_rfc),
        cmocka_unit_test(failures_are_understood_from_words),
        cmocka_unit_test(blocks_give_back_what_they_took),
        cmocka_unit_test(events_of_json_name_their_fault),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, setup, teardown);
}
