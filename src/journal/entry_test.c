/* Leaves of version 1: the bytes that are sealed, and the commitments in them. The expected values
 * were computed from docs/formats/journal-entry.md with another program. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rand.h"
#include "data/json.h"
#include "journal/journal.h"
#include "journal/leaf.h"

static const char id[] = "01JD0000000000000000000000";
static uint8_t salt[JOURNAL_SALT_LEN];

static void a_leaf_is_these_bytes(void **state)
{
    struct journal_entry e;
    struct buf b;
    (void)state;
    buf_init(&b, JOURNAL_LEAF_MAX);
    journal_entry_start(&e, &b, id, 1700000000123, "test.kind", salt);
    journal_entry_str(&e, "actor", STR("a \"quoted\"\n name"));
    journal_entry_str(&e, "client", STR(""));
    journal_entry_i64(&e, "n", -5);
    journal_entry_i64(&e, "least", INT64_MIN);
    journal_entry_json(&e, "list", STR("[1,2]"));
    journal_entry_ready(&e, STR(",\"purpose\":\"x\""));
    journal_entry_subject(&e, STR("person-1"));
    journal_entry_field(&e, STR("name"), STR("\"Durand\""));
    journal_entry_field(&e, STR("age"), STR("42"));
    journal_entry_str(&e, "trace", STR("t"));
    assert_int_equal(journal_entry_end(&e), ERR_OK);
    buf_add_char(&b, '\0');
    assert_string_equal(
        b.p, "{\"v\":1,\"id\":\"01JD0000000000000000000000\",\"at\":1700000000123,"
             "\"kind\":\"test.kind\",\"actor\":\"a \\\"quoted\\\"\\u000a name\",\"n\":-5,"
             "\"least\":-9223372036854775808,\"list\":[1,2],\"purpose\":\"x\","
             "\"subject\":\"p6RDyMKCXNDj8EYFATUYw4AEGAdGVH2S0pfJfCHhLio\","
             "\"fields\":[{\"name\":\"name\","
             "\"commitment\":\"Zoo1Jif3zzaK6xEfNNlszJCRMZhCV19Z6hbdvWb7nNY\"},"
             "{\"name\":\"age\",\"commitment\":\"rDsAjTFewcpIdNly7Angco8Fec1BH_EWgAa-5b5N8H4\"}],"
             "\"trace\":\"t\"}");
    json_t *v;
    assert_int_equal(json_read(str_of(b.p, b.n - 1), &v, NULL), ERR_OK);
    json_decref(v);
    buf_free(&b);
}

static void one_field_opens_and_no_other(void **state)
{
    uint8_t name_salt[JOURNAL_SALT_LEN], other_salt[JOURNAL_SALT_LEN];
    char c[JOURNAL_COMMITMENT_LEN + 1], wrong[JOURNAL_COMMITMENT_LEN + 1];
    (void)state;
    journal_field_salt(salt, STR("name"), name_salt);
    journal_field_salt(salt, STR("other"), other_salt);
    assert_memory_not_equal(name_salt, other_salt, sizeof name_salt);
    journal_field_commitment(name_salt, STR("name"), STR("\"Durand\""), c);
    assert_string_equal(c, "Zoo1Jif3zzaK6xEfNNlszJCRMZhCV19Z6hbdvWb7nNY");
    journal_field_commitment(name_salt, STR("name"), STR("\"Dupond\""), wrong);
    assert_string_not_equal(c, wrong);
    journal_field_commitment(other_salt, STR("name"), STR("\"Durand\""), wrong);
    assert_string_not_equal(c, wrong);
    /* The border between name and value cannot move. */
    journal_field_commitment(name_salt, STR("nam"), STR("e\"Durand\""), wrong);
    assert_string_not_equal(c, wrong);
}

static void without_a_salt_one_is_drawn(void **state)
{
    struct journal_entry one, two;
    struct buf b;
    (void)state;
    buf_init(&b, JOURNAL_LEAF_MAX);
    journal_entry_start(&one, &b, id, 1, "a", NULL);
    journal_entry_start(&two, &b, id, 1, "a", NULL);
    assert_memory_not_equal(one.salt, two.salt, JOURNAL_SALT_LEN);
    buf_free(&b);
}

static void a_leaf_too_long_is_refused(void **state)
{
    static char big[JOURNAL_LEAF_MAX];
    struct journal_entry e;
    struct buf b;
    (void)state;
    memset(big, 'x', sizeof big);
    buf_init(&b, 2 * JOURNAL_LEAF_MAX);
    journal_entry_start(&e, &b, id, 1, "a", NULL);
    journal_entry_str(&e, "actor", str_of(big, sizeof big));
    assert_int_equal(journal_entry_end(&e), ERR_LIMIT);
    buf_free(&b);
    buf_init(&b, JOURNAL_LEAF_MAX);
    journal_entry_start(&e, &b, id, 1, "a", NULL);
    journal_entry_str(&e, "actor", str_of(big, sizeof big));
    assert_int_equal(journal_entry_end(&e), ERR_LIMIT);
    journal_entry_start(&e, &b, id, 1, "a", NULL); /* and the buffer is good again */
    assert_int_equal(journal_entry_end(&e), ERR_OK);
    buf_free(&b);
}

static void heads(void **state)
{
    static const struct {
        const char *leaf;
        enum err err;
    } cases[] = {
        {"{\"v\":1,\"id\":\"01JD0000000000000000000000\",\"at\":0,\"kind\":\"a\"}", ERR_OK},
        {"{\"v\":1,\"id\":\"7ZZZZZZZZZZZZZZZZZZZZZZZZZ\",\"at\":12,\"kind\":\"a-b_c.9\",\"x\":1}",
         ERR_OK},
        {"{\"v\":1,\"id\":\"8ZZZZZZZZZZZZZZZZZZZZZZZZZ\",\"at\":12,\"kind\":\"a\"}", ERR_INVALID},
        {"{\"v\":1,\"id\":\"01jd0000000000000000000000\",\"at\":0,\"kind\":\"a\"}", ERR_INVALID},
        {"{\"v\":1,\"id\":\"01JD000000000000000000000O\",\"at\":0,\"kind\":\"a\"}", ERR_INVALID},
        {"{\"v\":1,\"id\":\"01JD0000000000000000000000\",\"at\":00,\"kind\":\"a\"}", ERR_INVALID},
        {"{\"v\":1,\"id\":\"01JD0000000000000000000000\",\"at\":1.0,\"kind\":\"a\"}", ERR_INVALID},
        {"{\"v\":1,\"id\":\"01JD0000000000000000000000\",\"at\":9999999999999999,\"kind\":\"a\"}",
         ERR_INVALID},
        {"{\"v\":1, \"id\":\"01JD0000000000000000000000\",\"at\":0,\"kind\":\"a\"}", ERR_INVALID},
        {"{\"v\":1,\"id\":\"01JD0000000000000000000000\",\"at\":0,\"kind\":\"a\"", ERR_INVALID},
        {"{\"v\":1,\"id\":\"01JD0000000000000000000000\",\"at\":0,\"kind\":\"a\"x}", ERR_INVALID},
        {"{\"v\":1,\"id\":\"01JD00", ERR_INVALID},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct leaf_head h;
        if (leaf_check(str_from(cases[i].leaf), &h) != cases[i].err)
            fail_msg("%s", cases[i].leaf);
    }
}

static void control_characters_and_bad_utf8_wherever_they_are(void **state)
{
    static const char *const bad[] = {"\x01", "\x1f", "\n", "\x80", "\xc3", "\xed\xa0\x80"};
    char leaf[200];
    struct leaf_head h;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        for (int pad = 0; pad < 20; pad++) {
            snprintf(leaf, sizeof leaf,
                     "{\"v\":1,\"id\":\"%s\",\"at\":0,\"kind\":\"a\",\"x\":\"%.*s%s%s\"}", id, pad,
                     "....................", bad[i], pad % 2 ? "\xc3\xa9" : "");
            assert_int_equal(leaf_check(str_from(leaf), &h), ERR_INVALID);
            snprintf(leaf, sizeof leaf,
                     "{\"v\":1,\"id\":\"%s\",\"at\":0,\"kind\":\"a\",\"x\":\"%.*s\xc3\xa9\x7f\"}",
                     id, pad, "....................");
            assert_int_equal(leaf_check(str_from(leaf), &h), ERR_OK);
        }
}

static void ulids_there_and_back(void **state)
{
    char text[ULID_LEN + 1], again[ULID_LEN + 1];
    uint8_t raw[ULID_BYTES];
    (void)state;
    for (int i = 0; i < 1000; i++) {
        id_new(text);
        assert_true(ulid_read(str_from(text), raw));
        ulid_write(raw, again);
        assert_string_equal(text, again);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_leaf_is_these_bytes),
        cmocka_unit_test(one_field_opens_and_no_other),
        cmocka_unit_test(without_a_salt_one_is_drawn),
        cmocka_unit_test(a_leaf_too_long_is_refused),
        cmocka_unit_test(heads),
        cmocka_unit_test(control_characters_and_bad_utf8_wherever_they_are),
        cmocka_unit_test(ulids_there_and_back),
    };
    for (uint8_t i = 0; i < sizeof salt; i++)
        salt[i] = i;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
