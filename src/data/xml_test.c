/* XML of older services: what is read, and the attacks that are refused, quickly. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "data/xml.h"

enum { MAX = 1024 * 1024 };

static struct arena a;
static struct xml_node *root;

static enum err read_z(const char *z)
{
    arena_reset(&a);
    return xml_read(&a, str_from(z), MAX, &root);
}

static void elements_texts_and_attributes_are_read(void **state)
{
    (void)state;
    assert_int_equal(
        read_z("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- c -->\n"
               "<f:foyer xmlns:f=\"urn:f\" xmlns=\"urn:d\" id='7' f:kind=\"a&amp;b\">\n"
               "  <nom>  Lef&#232;vre &lt;x&gt; </nom>\n"
               "  <f:enfant rang=\"1\"><prenom>Zo\xc3\xab</prenom></f:enfant>\n"
               "  <f:enfant rang=\"2\"/>\n"
               "  <note>a<b/>c<![CDATA[<d>]]><?pi x?></note>\n"
               "</f:foyer>\n"),
        ERR_OK);
    assert_string_equal(root->name, "foyer");
    assert_string_equal(root->text, "");
    assert_string_equal(xml_attr_get(root, "id"), "7");
    assert_string_equal(xml_attr_get(root, "kind"), "a&b");
    assert_null(xml_attr_get(root, "f"));
    assert_null(xml_attr_get(root, "xmlns"));
    assert_string_equal(xml_text(root, "nom"), "Lef\xc3\xa8vre <x>");
    const struct xml_node *child = xml_child(root, "enfant");
    assert_string_equal(xml_text(child, "prenom"), "Zo\xc3\xab");
    assert_string_equal(xml_attr_get(child, "rang"), "1");
    assert_string_equal(xml_attr_get(child->next, "rang"), "2");
    assert_null(child->next->child);
    assert_string_equal(xml_text(root, "note"), "ac<d>");
    assert_null(xml_child(root, "prenom"));
    assert_string_equal(xml_text(root, "rien"), "");
    assert_string_equal(xml_text(NULL, "x"), "");
    assert_null(xml_attr_get(NULL, "x"));
}

static void latin_1_becomes_utf_8(void **state)
{
    (void)state;
    assert_int_equal(read_z("<?xml version='1.0' encoding='ISO-8859-1'?><a>\xe9t\xe9</a>"), ERR_OK);
    assert_string_equal(root->text, "\xc3\xa9t\xc3\xa9");
    assert_int_equal(read_z("\xef\xbb\xbf<a>\xc3\xa9</a>"), ERR_OK);
}

/* clang-format off */
static const char *const bad[] = {
    "", " ", "x", "<", "<a", "<a>", "<a></b>", "<a/><b/>", "<a/>x", "x<a/>", "<a b=c/>", "<a b/>",
    "<a b='1' b='2'/>", "<a>&nbsp;</a>", "<a>&x;</a>", "<a>&#0;</a>", "<a>&#xFFFE;</a>", "<a>\x01</a>",
    "<a>\xff</a>", "<a>\xc3</a>", "<a>\xed\xa0\x80</a>", "<a>]]></a>", "<a><![CDATA[x</a>",
    "<a><!-- -- --></a>", " <?xml version='1.0'?><a/>", "<f:a/>", "<a f:b='1'/>", "<a>a & b</a>",
    "<a b='<'/>", "{\"a\":1}", "\xef\xbb\xbf", "<?xml version='1.0'?>",
    /* document types, whatever they declare */
    "<!DOCTYPE a><a/>", "<!DOCTYPE a SYSTEM 'http://192.0.2.1/a.dtd'><a/>",
    "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>",
    "<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>",
    "<!DOCTYPE a [<!ENTITY % b SYSTEM 'file:///etc/passwd'> %b;]><a/>",
    "<!DOCTYPE a [<!ATTLIST a b CDATA 'given'>]><a/>",
    /* encodings in which a document type could hide */
    "<?xml version='1.0' encoding='UTF-7'?><a/>", "<?xml version='1.0' encoding='IBM037'?><a/>",
    "<?xml version='1.0' encoding='windows-1252'?><a/>", "<?xml version='1.0' encoding='x'?><a/>",
};
/* clang-format on */

static void what_is_not_well_formed_or_dangerous_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        enum err e = read_z(bad[i]);
        if (e != ERR_INVALID)
            fail_msg("%s gave %s", bad[i], err_name(e));
        assert_null(root);
    }
    arena_reset(&a);
    assert_int_equal(xml_read(&a, str_of("<a>\0</a>", 8), MAX, &root), ERR_INVALID);
    assert_int_equal(xml_read(&a, str_of("\xff\xfe<\0a\0/\0>\0", 10), MAX, &root), ERR_INVALID);
    assert_int_equal(xml_read(&a, str_of("\0<\0a\0/\0>", 8), MAX, &root), ERR_INVALID);
}

/* What libxml2 alone would have expanded or compared for minutes ends within a second or two. */
static void attacks_on_time_and_memory_fail(void **state)
{
    (void)state;
    struct buf b;
    int64_t from_ms = clock_mono_ms();
    buf_init(&b, MAX);
    buf_add_z(&b, "<!DOCTYPE z [<!ENTITY a0 'lol'>");
    for (int i = 1; i < 30; i++)
        buf_printf(&b, "<!ENTITY a%d '&a%d;&a%d;&a%d;&a%d;&a%d;'>", i, i - 1, i - 1, i - 1, i - 1,
                   i - 1);
    buf_add_z(&b, "]><z>&a29;</z>");
    assert_int_equal(xml_read(&a, buf_str(&b), MAX, &root), ERR_INVALID);
    buf_reset(&b);
    buf_add_z(&b, "<!DOCTYPE z [<!ENTITY big '");
    for (int i = 0; i < 50000; i++)
        buf_add_char(&b, 'x');
    buf_add_z(&b, "'>]><z>");
    for (int i = 0; i < 100000; i++)
        buf_add_z(&b, "&big;");
    buf_add_z(&b, "</z>");
    assert_int_equal(xml_read(&a, buf_str(&b), MAX, &root), ERR_INVALID);
    buf_reset(&b);
    buf_add_z(&b, "<z ");
    for (int i = 0; i < 90000; i++)
        buf_printf(&b, "a%x=''%s", i, i % 2 ? " " : "\n");
    buf_add_z(&b, "/>");
    assert_int_equal(b.err, ERR_OK);
    assert_int_equal(xml_read(&a, buf_str(&b), MAX, &root), ERR_INVALID);
    buf_reset(&b);
    buf_add_z(&b, "<z>"); /* many pieces of text in one element */
    for (int i = 0; i < 170000; i++)
        buf_add_z(&b, "x<b/>");
    buf_add_z(&b, "</z>");
    assert_int_equal(xml_read(&a, buf_str(&b), MAX, &root), ERR_OK);
    assert_int_equal(strlen(root->text), 170000);
    buf_free(&b);
    assert_true(clock_mono_ms() - from_ms < 60000);
    arena_reset(&a);
}

static void attributes_end_at_256(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, MAX);
    for (int n = 256; n <= 257; n++) {
        buf_reset(&b);
        buf_add_z(&b, "<a>a = \"b\"<z");
        for (int i = 0; i < n; i++)
            buf_printf(&b, " a%d = \"=\"", i);
        buf_add_z(&b, "/><b c=\"1\"/></a>");
        assert_int_equal(xml_read(&a, buf_str(&b), MAX, &root), n == 256 ? ERR_OK : ERR_INVALID);
    }
    buf_free(&b);
}

static void depth_ends_at_32(void **state)
{
    (void)state;
    for (int deep = 0; deep <= 1; deep++) {
        char text[33 * 7 + 8] = "";
        size_t n = 0;
        for (int i = 0; i < 32 + deep; i++)
            n += (size_t)snprintf(text + n, sizeof text - n, "<a>");
        for (int i = 0; i < 32 + deep; i++)
            n += (size_t)snprintf(text + n, sizeof text - n, "</a>");
        assert_int_equal(read_z(text), deep ? ERR_INVALID : ERR_OK);
    }
}

static void size_ends_where_the_caller_says(void **state)
{
    (void)state;
    assert_int_equal(xml_read(&a, STR("<a>12345</a>"), 12, &root), ERR_OK);
    assert_int_equal(xml_read(&a, STR("<a>12345</a>"), 11, &root), ERR_LIMIT);
    assert_null(root);
}

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elements_texts_and_attributes_are_read),
        cmocka_unit_test(latin_1_becomes_utf_8),
        cmocka_unit_test(what_is_not_well_formed_or_dangerous_is_refused),
        cmocka_unit_test(attacks_on_time_and_memory_fail),
        cmocka_unit_test(attributes_end_at_256),
        cmocka_unit_test(depth_ends_at_32),
        cmocka_unit_test(size_ends_where_the_caller_says),
    };
    return cmocka_run_group_tests_name("xml", tests, setup, teardown);
}
