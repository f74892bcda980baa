/* Reading and judging what is sent to a witness; cosignatures; what a monitor keeps. */
#include "journal/evidence.h"
#include "journal/follow.h"
#include "journal/witness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>
#include "sys/file.h"

static struct arena a;

static int setup(void **state)
{
    (void)state;
    arena_init(&a);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_free(&a);
    return 0;
}

/* The example of C2SP tlog-cosignature names a key without giving it; the id's rule is what counts.
 */
static void a_cosigner_key_is_of_another_type(void **state)
{
    struct note_key made, read;
    static const uint8_t raw[32] = {1, 2, 3};
    (void)state;
    note_cosigner_make(STR("witness.example/w1"), raw, &made);
    struct str line = note_key_line(&a, &made);
    assert_int_equal(note_cosigner_read(&a, line, &read), ERR_OK);
    assert_memory_equal(read.id, made.id, 4);
    assert_int_equal(note_key_read(&a, line, &read), ERR_INVALID);
    note_key_make(STR("witness.example/w1"), raw, &read);
    assert_memory_not_equal(read.id, made.id, 4);
}

static void a_cosignature_says_when(void **state)
{
    (void)state;
    struct str text = STR("example.com/behind-the-sofa\n20852163\n"
                          "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n");
    struct str is = cosignature_text(&a, text, 1679315147);
    assert_true(str_starts(is, STR("cosignature/v1\ntime 1679315147\nexample.com/behind")));
    struct note_key k;
    static const uint8_t raw[32] = {0};
    note_cosigner_make(STR("w"), raw, &k);
    static const char signature[64] = {0};
    struct str line = cosignature_line(&a, &k, 1, str_of(signature, 64));
    struct checkpoint c;
    struct str note = arena_printf(&a, STR_FMT "\n" STR_FMT, STR_ARG(text), STR_ARG(line)), own;
    uint64_t at_s;
    assert_int_equal(checkpoint_read(&a, note, &c), ERR_OK);
    assert_int_equal(checkpoint_cosigned(&a, &c, &k, &at_s, &own), ERR_DENIED); /* no signature */
    assert_true(str_eq(own, line));
    note_cosigner_make(STR("v"), raw, &k);
    assert_int_equal(checkpoint_cosigned(&a, &c, &k, &at_s, &own), ERR_NOT_FOUND);
}

static void requests_have_one_form(void **state)
{
    (void)state;
    static const char tail[] =
        "\nexample.com/log\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"
        "\n\xe2\x80\x94 example.com/log AAAAAAA=\n";
    static const struct {
        const char *head;
        enum err err;
    } rows[] = {
        {"old 0\n", ERR_OK},
        {"old 7\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n", ERR_OK},
        {"old 07\n", ERR_INVALID},
        {"old -1\n", ERR_INVALID},
        {"old  7\n", ERR_INVALID},
        {"old\n", ERR_INVALID},
        {"new 7\n", ERR_INVALID},
        {"old 7\nAAAA\n", ERR_INVALID},
        {"", ERR_INVALID},
    };
    struct witness_request rq;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_int_equal(
            witness_request_read(&a, arena_printf(&a, "%s%s", rows[i].head, tail), &rq),
            rows[i].err);
    struct buf b;
    buf_init(&b, 65536);
    buf_add_z(&b, "old 1\n");
    for (int i = 0; i < 64; i++)
        buf_add_z(&b, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n");
    buf_add_z(&b, tail);
    assert_int_equal(witness_request_read(&a, buf_str(&b), &rq), ERR_INVALID); /* 63 at most */
    buf_free(&b);
}

static void what_a_monitor_kept_must_be_signed(void **state)
{
    struct follow f;
    (void)state;
    assert_int_equal(follow_read(&a, STR(""), &f), ERR_INVALID);
    assert_int_equal(follow_read(&a, STR("socle monitor 1\nkey x\n\n"), &f), ERR_INVALID);
}

static void one_field_opens_alone(void **state)
{
    struct journal_entry en;
    struct buf b;
    uint8_t salt[JOURNAL_SALT_LEN] = {5}, field_salt[JOURNAL_SALT_LEN], other[JOURNAL_SALT_LEN];
    struct str whole = str_of(salt, sizeof salt), name = STR("nom"), value = STR("\"Durand\"");
    (void)state;
    buf_init(&b, JOURNAL_LEAF_MAX);
    journal_entry_start(&en, &b, "01HZZZZZZZZZZZZZZZZZZZZZZZ", 1, "exchange.decision", salt);
    journal_entry_field(&en, name, value);
    journal_entry_field(&en, STR("revenu"), STR("12000"));
    assert_int_equal(journal_entry_end(&en), ERR_OK);
    struct str leaf = buf_str(&b);
    assert_int_equal(evidence_open(leaf, name, value, whole, true, field_salt), ERR_OK);
    struct str one = str_of(field_salt, sizeof field_salt);
    assert_int_equal(evidence_open(leaf, name, value, one, false, other), ERR_OK);
    assert_int_equal(evidence_open(leaf, name, STR("\"Dupond\""), one, false, other), ERR_DENIED);
    /* The salt of one field says nothing of another, though its value be guessed. */
    assert_int_equal(evidence_open(leaf, STR("revenu"), STR("12000"), one, false, other),
                     ERR_DENIED);
    assert_int_equal(evidence_open(leaf, STR("revenu"), STR("12000"), one, true, other),
                     ERR_DENIED);
    assert_int_equal(evidence_open(leaf, STR("adresse"), value, whole, true, other), ERR_NOT_FOUND);
    buf_free(&b);
}

/* ---- peers' data --------------------------------------------------------------------------------
 */
static struct str vector(const char *name)
{
    char path[512];
    struct str text;
    const char *root = getenv("SOCLE_VECTORS");
    snprintf(path, sizeof path, "%s/c2sp/%s", root ? root : "test/vectors", name);
    assert_int_equal(file_read(&a, path, 65536, &text), ERR_OK);
    return text;
}

/* A log and four witnesses that others run, as they signed. */
static void a_checkpoint_of_others_is_read_as_they_signed_it(void **state)
{
    struct checkpoint c, other;
    struct note_key k;
    struct str keys = vector("keys"), line, own, note = vector("checkpoint");
    uint64_t at_s;
    size_t n = 0;
    (void)state;
    assert_int_equal(checkpoint_read(&a, note, &c), ERR_OK);
    assert_int_equal(c.size, 1432088532);
    char *changed = arena_dupz(&a, note);
    *strchr(strchr(changed, '\n'), '2') = '3'; /* in the size */
    assert_int_equal(checkpoint_read(&a, str_from(changed), &other), ERR_OK);
    assert_int_equal(other.size, 1433088532);
    assert_true(str_split(&keys, '\n', &line));
    assert_int_equal(note_key_read(&a, line, &k), ERR_OK);
    assert_int_equal(checkpoint_check(&a, &c, &k), ERR_OK);
    assert_int_equal(checkpoint_check(&a, &other, &k), ERR_DENIED);
    while (keys.n && str_split(&keys, '\n', &line) && line.n) {
        assert_int_equal(note_cosigner_read(&a, line, &k), ERR_OK);
        assert_int_equal(checkpoint_cosigned(&a, &c, &k, &at_s, &own), ERR_OK);
        assert_int_equal(at_s, 0x6a122120);
        assert_int_equal(checkpoint_cosigned(&a, &other, &k, &at_s, &own), ERR_DENIED);
        n++;
    }
    assert_int_equal(n, 4);
}

static void verifier_keys_of_others(void **state)
{
    struct str rest = vector("verifier-keys"), line, word;
    struct note_key k;
    (void)state;
    while (rest.n && str_split(&rest, '\n', &line) && str_split(&line, ' ', &word)) {
        enum err e = note_key_read(&a, line, &k);
        if ((e == ERR_OK) != str_eq_z(word, "good"))
            fail_msg(STR_FMT ": %s", STR_ARG(line), err_name(e));
        if (e == ERR_OK)
            assert_true(str_eq(note_key_line(&a, &k), line));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cosigner_key_is_of_another_type),
        cmocka_unit_test(a_cosignature_says_when),
        cmocka_unit_test(a_checkpoint_of_others_is_read_as_they_signed_it),
        cmocka_unit_test(verifier_keys_of_others),
        cmocka_unit_test(requests_have_one_form),
        cmocka_unit_test(one_field_opens_alone),
        cmocka_unit_test(what_a_monitor_kept_must_be_signed),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
