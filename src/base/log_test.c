/* The log: one short JSON object a line, whatever is put in it. Read with care, without the JSON of
 * a higher floor. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"

static char text[1 << 20];
static FILE *sink;
static int err = -1;

static void begin(void)
{
    fflush(stderr);
    sink = tmpfile();
    err = dup(STDERR_FILENO);
    dup2(fileno(sink), STDERR_FILENO);
}

static const char *end(void)
{
    dup2(err, STDERR_FILENO);
    close(err);
    rewind(sink);
    size_t n = fread(text, 1, sizeof text - 1, sink);
    text[n] = '\0';
    fclose(sink);
    return text;
}

static void a_line_has_its_pairs(void **state)
{
    (void)state;
    log_set_process("test");
    begin();
    log_info("hello", "who", "é\"\\\n", "n", LOG_NUM(-5), "none", NULL);
    const char *got = end();
    assert_memory_equal(got, "{\"time\":\"20", 11);
    assert_non_null(strstr(got, "Z\",\"level\":\"info\",\"process\":\"test\",\"event\":\"hello\","
                                "\"who\":\"é\\\"\\\\\\u000a\",\"n\":\"-5\",\"none\":\"\"}\n"));
    assert_int_equal(strlen(got), strchr(got, '\n') + 1 - got);
}

static void levels_below_the_least_are_silent(void **state)
{
    (void)state;
    begin();
    log_debug("no");
    log_set_level(LOG_WARN);
    log_info("no");
    log_warn("yes");
    log_set_level(LOG_DEBUG);
    log_debug("also");
    log_set_level(LOG_INFO);
    const char *got = end();
    assert_null(strstr(got, "\"no\""));
    assert_non_null(strstr(got, "\"yes\""));
    assert_non_null(strstr(got, "\"also\""));
}

/* Quotes are even (but for escaped ones), it ends as an object, and it is short. */
static void check_line(const char *line, size_t n)
{
    size_t quotes = 0;
    assert_true(n <= 4096);
    assert_int_equal(line[0], '{');
    assert_memory_equal(line + n - 2, "}\n", 2);
    for (size_t i = 0; i < n; i++) {
        if (line[i] == '\\')
            i++;
        else if (line[i] == '"')
            quotes++;
    }
    assert_int_equal(quotes % 2, 0);
    assert_true(str_is_utf8(str_of(line, n)));
}

static void long_values_are_cut_and_the_line_stays_whole(void **state)
{
    (void)state;
    static char accents[4001], quotes[2001], ascii[1025];
    for (size_t i = 0; i + 1 < sizeof accents; i += 2)
        memcpy(accents + i, "é", 2);
    memset(quotes, '"', sizeof quotes - 1);
    memset(ascii, 'x', sizeof ascii - 1);
    begin();
    log_info("one", "a", accents);
    log_info("two", "q", quotes, "b", quotes, "c", quotes);
    log_info("three", "x", ascii);
    log_info(accents, "bad", "\xff\xfe", "last", "here");
    const char *got = end();
    size_t lines = 0;
    for (const char *next; *got; got = next, lines++) {
        next = strchr(got, '\n') + 1;
        check_line(got, (size_t)(next - got));
    }
    assert_int_equal(lines, 4);
    assert_non_null(strstr(text, "\"cut\":true}\n"));
    assert_non_null(strstr(text, ascii)); /* 1 KB is kept */
    assert_non_null(strstr(text, "\"bad\":\"(not text)\",\"last\":\"here\"}"));
}

static void *log_many(void *arg)
{
    for (int i = 0; i < 500; i++)
        log_info("thread", "name", arg);
    return NULL;
}

static void threads_do_not_mix_their_lines(void **state)
{
    (void)state;
    pthread_t t[4];
    static char name[][2] = {"a", "b", "c", "d"};
    begin();
    for (size_t i = 0; i < COUNT_OF(t); i++)
        pthread_create(&t[i], NULL, log_many, name[i]);
    for (size_t i = 0; i < COUNT_OF(t); i++)
        pthread_join(t[i], NULL);
    size_t lines = 0;
    for (const char *line = end(), *next; *line; line = next, lines++) {
        next = strchr(line, '\n') + 1;
        check_line(line, (size_t)(next - line));
    }
    assert_int_equal(lines, 2000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_has_its_pairs),
        cmocka_unit_test(levels_below_the_least_are_silent),
        cmocka_unit_test(long_values_are_cut_and_the_line_stays_whole),
        cmocka_unit_test(threads_do_not_mix_their_lines),
    };
    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
