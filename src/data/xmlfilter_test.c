/* What of an XML document leaves, and what makes the whole of it stay. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "data/xml.h"
#include "data/xmlfilter.h"

#define PROLOG "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"

static struct buf out, told;

static void seen(void *arg, size_t path, struct str value)
{
    (void)arg;
    buf_printf(&told, "%zu=" STR_FMT ";", path, STR_ARG(value));
}

/* paths: blank-separated. */
static enum err run_str(const char *paths, struct str in)
{
    struct str list[JSON_FILTER_PATHS], rest = str_from(paths);
    struct json_filter *f;
    size_t n = 0;
    while (rest.n && str_split(&rest, ' ', &list[n]))
        n++;
    assert_int_equal(json_filter_new(list, n, &f), ERR_OK);
    buf_free(&out);
    buf_free(&told);
    buf_init(&out, 1 << 20);
    buf_init(&told, 1 << 20);
    enum err e = xml_filter_run(f, in, &out, seen, NULL);
    json_filter_free(f);
    return e;
}

static void gives(const char *paths, const char *in, const char *want)
{
    assert_int_equal(run_str(paths, str_from(in)), ERR_OK);
    struct str got = buf_str(&out);
    assert_true(str_starts(got, STR(PROLOG)));
    got = str_after(got, strlen(PROLOG));
    if (!str_eq_z(got, want))
        fail_msg("%s gave " STR_FMT, in, STR_ARG(got));
    struct arena a;
    struct xml_node *root;
    arena_init(&a);
    assert_int_equal(xml_read(&a, buf_str(&out), 1 << 20, &root), ERR_OK);
    arena_free(&a);
}

static void told_is(const char *want)
{
    if (!str_eq_z(buf_str(&told), want))
        fail_msg("told " STR_FMT, STR_ARG(buf_str(&told)));
}

static void only_named_elements_leave(void **state)
{
    (void)state;
    gives("dossier.numero personnes.personne.nom total",
          "<?xml version='1.0' encoding='utf-8'?><!-- s --><r "
          "id='9'>text<dossier><numero>D-1</numero>"
          "<secret>s</secret>s</dossier><personnes><personne "
          "id='1'><nom>A</nom><age>4</age></personne>"
          "<personne><nom>B</nom></personne></personnes><total>2</total><autre/></r><!-- s -->\n",
          "<r><dossier><numero>D-1</numero></dossier><personnes><personne><nom>A</nom></personne>"
          "<personne><nom>B</nom></personne></personnes><total>2</total></r>");
    told_is("0=D-1;1=A;1=B;2=2;");
    gives("a", "<r><a x='1'><b>t<!-- s --><![CDATA[<&]]></b> &amp;&#233;</a><A>s</A></r>",
          "<r><a x='1'><b>t<![CDATA[<&]]></b> &amp;&#233;</a></r>");
    gives("a.b", "<r><a>s</a><b>s</b><x><a><b>s</b></a></x></r>", "<r><a></a></r>");
    gives("r.a", "<r><a>s</a></r>", "<r></r>");
}

static void attributes_and_prefixes(void **state)
{
    (void)state;
    gives("a.@id a.b",
          "<r xmlns='urn:x' secret='s'><a id=\"7\" other='s' xmlns:p='urn:p'><b>1</b></a></r>",
          "<r xmlns='urn:x'><a id=\"7\" xmlns:p='urn:p'><b>1</b></a></r>");
    told_is("0=7;1=1;");
    gives("p:nom",
          "<r xmlns:p='urn:p' xmlns:q='urn:q'><p:nom>A</p:nom><q:nom>s</q:nom><nom>s</nom></r>",
          "<r xmlns:p='urn:p' xmlns:q='urn:q'><p:nom>A</p:nom></r>");
}

static void questions_give_no_value(void **state)
{
    (void)state;
    gives("revenu>=20000", "<r><revenu devise='EUR'> 41250 </revenu></r>",
          "<r><revenu>true</revenu></r>");
    told_is("0=true;");
    gives("p.age<=18", "<r><p><age>41</age></p><p><age>9</age></p></r>",
          "<r><p><age>false</age></p><p><age>true</age></p></r>");
    gives("h?", "<r><h/><h>0</h><h>false</h><h>oui</h><h><i/></h></r>",
          "<r><h>false</h><h>false</h><h>false</h><h>true</h><h>true</h></r>");
    gives("a.@n>=3", "<r><a n='4'/><a n='x'/></r>", "<r><a n='true'></a><a></a></r>");
    /* What cannot be compared is not said. */
    gives("x>=1", "<r><x>deux</x><x><y>2</y></x><x>&#50;</x><x><![CDATA[2]]></x><x></x></r>",
          "<r></r>");
    told_is("");
}

static void what_is_not_strict_stays_whole(void **state)
{
    static const char *const bad[] = {
        "<!DOCTYPE r><r/>",
        "<!DOCTYPE r [<!ENTITY e 's'>]><r><a>&e;</a></r>",
        "<r><a>&e;</a></r>",
        "<r><?pi s?></r>",
        "<?pi s?><r/>",
        "<?xml version='1.1'?><r/>",
        "<?xml version='1.0' encoding='ISO-8859-1'?><r/>",
        " <?xml version='1.0'?><r/>",
        "<r>",
        "<r/><r/>",
        "<r></s>",
        "<r><a></r></a>",
        "text",
        "",
        "<r/>text",
        "<r a='1' a='2'/>",
        "<r a=1/>",
        "<r a='1'b='2'/>",
        "<r a='<'/>",
        "<r>&#0;</r>",
        "<r>&#xD800;</r>",
        "<r>&#;</r>",
        "<r>&amp</r>",
        "<r>]]></r>",
        "<r><a>]]<!-- -->></a></r>",
        "<r><!-- a -- b --></r>",
        "<r><!-- a --->",
        "<r><![CDATA[</r>",
        "<r>\x01</r>",
        "<r>\xff</r>",
        "<r>\xef\xbf\xbf</r>",
        "<1/>",
        "< r/>",
        "<r><b>\xc3</b></r>",
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        enum err e = run_str("a", str_from(bad[i]));
        if (e != ERR_INVALID)
            fail_msg("taken: %s", bad[i]);
    }
    assert_int_equal(run_str("a", str_of("\xff\xfe<\0r\0/\0>\0", 10)), ERR_INVALID);
    assert_int_equal(run_str("a", str_of("<r>\0</r>", 8)), ERR_INVALID);
}

static void limits(void **state)
{
    struct buf b;
    (void)state;
    for (int deep = 32; deep <= 33; deep++) {
        buf_init(&b, 1 << 16);
        for (int i = 0; i < deep; i++)
            buf_add_z(&b, "<a>");
        for (int i = 0; i < deep; i++)
            buf_add_z(&b, "</a>");
        assert_int_equal(run_str("a", buf_str(&b)), deep == 32 ? ERR_OK : ERR_INVALID);
        buf_free(&b);
    }
    for (int n = 32; n <= 33; n++) {
        buf_init(&b, 1 << 16);
        buf_add_z(&b, "<r");
        for (int i = 0; i < n; i++)
            buf_printf(&b, " a%d='1'", i);
        buf_add_z(&b, "/>");
        assert_int_equal(run_str("a", buf_str(&b)), n == 32 ? ERR_OK : ERR_INVALID);
        buf_free(&b);
    }
    struct json_filter *f;
    struct str path = STR("a");
    assert_int_equal(json_filter_new(&path, 1, &f), ERR_OK);
    buf_init(&b, 50);
    assert_int_equal(xml_filter_run(f, STR("<r><a>0123456789</a></r>"), &b, NULL, NULL), ERR_LIMIT);
    buf_free(&b);
    json_filter_free(f);
}

static int end(void **state)
{
    (void)state;
    buf_free(&out);
    buf_free(&told);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_named_elements_leave),
        cmocka_unit_test(attributes_and_prefixes),
        cmocka_unit_test(questions_give_no_value),
        cmocka_unit_test(what_is_not_strict_stays_whole),
        cmocka_unit_test(limits),
    };
    return cmocka_run_group_tests(tests, NULL, end);
}
