#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "commons/procedures/procedures.h"
#include "data/fold.h"

static const char service[] =
    "{'v':1,'id':'a-b','version':2,'org':'town','title':{'fr':'t','en':'t'},"
    "'summary':{'fr':'s','en':'s'},'delay_days':15,"
    "'sources':[{'id':'s','path':'/gw/x/v1/y','provider':{'fr':'p','en':'p'}}],'form':'f'}";
static const char form[] =
    "{'v':1,'steps':[{'id':'one','title':{'fr':'t','en':'t'},'fields':["
    "{'name':'nom','type':'text','label':{'fr':'n','en':'n'},'from':{'claim':'family_name'},"
    "'locked':true},"
    "{'name':'rue','label':{'fr':'r','en':'r'},'from':{'source':'s','path':'a.b'},'max':20},"
    "{'name':'kind','type':'choice','label':{'fr':'k','en':'k'},'options':["
    "{'value':'x','label':{'fr':'x','en':'x'}},{'value':'y','label':{'fr':'y','en':'y'}}]}]}]}";

/* One change of a good text: `from` becomes `to`; quotes are written ' for reading's sake. */
static struct str with(struct arena *a, const char *text, const char *from, const char *to)
{
    struct str s = arena_dup(a, str_from(text));
    ptrdiff_t at = *from ? str_find(s, str_from(from)) : 0;
    assert_true(at >= 0);
    struct str out = arena_printf(a, STR_FMT "%s" STR_FMT, STR_ARG(str_sub(s, 0, (size_t)at)), to,
                                  STR_ARG(str_after(s, (size_t)at + strlen(from))));
    char *z = arena_dupz(a, out);
    for (size_t i = 0; i < out.n; i++)
        if (z[i] == '\'')
            z[i] = '"';
    return str_of(z, out.n);
}

static enum err read_changed(const char *sfrom, const char *sto, const char *ffrom, const char *fto,
                             char why[256])
{
    struct arena a;
    struct procedure p;
    arena_init(&a);
    enum err e =
        definition_read(with(&a, service, sfrom, sto), with(&a, form, ffrom, fto), &p, why);
    json_decref(p.def);
    json_decref(p.form);
    arena_free(&a);
    return e;
}

static void a_good_definition_is_taken(void **state)
{
    (void)state;
    struct arena a;
    struct procedure p;
    char why[256];
    arena_init(&a);
    enum err e = definition_read(with(&a, service, "", ""), with(&a, form, "", ""), &p, why);
    assert_string_equal(why, "");
    assert_int_equal(e, ERR_OK);
    assert_string_equal(p.id, "a-b");
    assert_string_equal(p.org, "town");
    assert_int_equal(p.version, 2);
    assert_int_equal(p.n_steps, 1);
    assert_int_equal(procedure_deadline_ms(&p, 1000), 1000 + 15LL * 86400000);
    json_decref(p.def);
    json_decref(p.form);
    arena_free(&a);
}

/* Each breaks one rule; the reason names it, for who wrote the file. */
static void a_wrong_definition_is_refused_and_says_why(void **state)
{
    (void)state;
    static const struct {
        const char *sfrom, *sto, *ffrom, *fto, *why;
    } cases[] = {
        {"'v':1", "'v':2", "", "", "\"v\""},
        {"'id':'a-b'", "'id':'A b'", "", "", "\"id\""},
        {"'org':'town',", "", "", "", "\"org\""},
        {"'version':2", "'version':0", "", "", "\"version\""},
        {"'title':{'fr':'t','en':'t'}", "'title':{'fr':'t'}", "", "", "\"title\""},
        {"'summary':{'fr':'s','en':'s'}", "'summary':'s'", "", "", "\"summary\""},
        {"15", "0", "", "", "delay_days"},
        {"/gw/x", "/other/x", "", "", "/gw/"},
        {"'id':'s',", "'id':'identity',", "", "", "identity"},
        {"'provider':{'fr':'p','en':'p'}", "'provider':{}", "", "", "provider"},
        {"", "", "'v':1", "'v':7", "form"},
        {"", "", "'name':'nom'", "'name':'Nom!'", "name"},
        {"", "", "'name':'rue'", "'name':'nom'", "twice"},
        {"", "", "'type':'choice'", "'type':'color'", "color"},
        {"", "", "'label':{'fr':'r','en':'r'}", "'label':{'fr':'r','en':''}", "label"},
        {"", "", "'source':'s'", "'source':'nowhere'", "nowhere"},
        {"", "", ",'path':'a.b'", "", "path"},
        {"", "", "'from':{'claim':'family_name'},", "", "locked"},
        {"", "", "'claim':'family_name'", "'claim':'x','source':'s','path':'p'", "from"},
        {"", "", "'max':20", "'max':0", "max"},
        {"", "", "'max':20", "'min':30,'max':20", "min"},
        {"", "", "{'value':'x','label':{'fr':'x','en':'x'}},", "", "options"},
        {"", "", "'value':'y'", "'value':'x'", "option"},
        {"", "", "'steps':[", "'steps':[],'x':[", "steps"},
        {"", "", "'v':1,", "'v':1,'v':1,", "duplicate"},
        {"{'v'", "{'v':1,,'v'", "", "", "line 1"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char why[256];
        enum err e = read_changed(cases[i].sfrom, cases[i].sto, cases[i].ffrom, cases[i].fto, why);
        if (e != ERR_INVALID || str_find(str_from(why), str_from(cases[i].why)) < 0)
            fail_msg("case %zu (%s): %s", i, cases[i].why, why);
    }
}

static void every_definition_that_ships_is_good(void **state)
{
    (void)state;
    assert_int_equal(definitions_load(), ERR_OK);
    assert_non_null(procedure_find(STR("changement-adresse")));
    assert_null(procedure_find(STR("changement")));
    size_t n = 0;
    while (procedure_at(n))
        n++;
    assert_true(n >= 1);
}

/* ---- search ------------------------------------------------------------------------------------
 */
static int score(const char *q)
{
    struct arena a;
    arena_init(&a);
    const struct procedure *p = procedure_find(STR("changement-adresse"));
    int s = search_score(p->index, text_fold(&a, str_from(q)));
    arena_free(&a);
    return s;
}

static void people_find_it_in_their_own_words(void **state)
{
    (void)state;
    static const char *const found[] = {
        "je déménage",
        "je demenaje",
        "DEMENAGEMENT",
        "déménagements",
        "nouvelle adrese",
        "changement d'adresse",
        "changer d’adresse",
        "nouvel appartement",
        "j’ai déménagé",
        "moving hous",
        "I moved",
        "new adress",
        "change of address",
        "relocatoin",
        "j'ai changé d'appartement",
        "demenagemnt",
    };
    static const char *const others[] = {
        "zzzz qqqq",         "carte grise",        "passeport", "impots",
        "birth certificate", "permis de conduire", "xyz",       "42",
    };
    assert_int_equal(definitions_load(), ERR_OK);
    for (size_t i = 0; i < COUNT_OF(found); i++)
        if (score(found[i]) <= 0)
            fail_msg("\"%s\" does not find it", found[i]);
    for (size_t i = 0; i < COUNT_OF(others); i++)
        if (score(others[i]) != 0)
            fail_msg("\"%s\" finds it", others[i]);
}

static void a_better_word_scores_higher(void **state)
{
    (void)state;
    assert_true(score("adresse") > score("adrese"));
    assert_true(score("adresse") > score("mairie"));
    assert_true(score("déménagement") > score("une seule fois"));
    assert_int_equal(score(""), 0);
    assert_int_equal(score("je le la de"), 0);
}

/* A question as long as a request may be costs no more than its first words. */
static void a_long_question_is_cut(void **state)
{
    (void)state;
    static char q[64 * 1024];
    for (size_t i = 0; i + 1 < sizeof q; i++)
        q[i] = i % 7 == 6 ? ' ' : (char)('a' + i % 26);
    assert_true(score(q) >= 0);
    memset(q, 'a', sizeof q - 1);
    assert_int_equal(score(q), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_definition_is_taken),
        cmocka_unit_test(a_wrong_definition_is_refused_and_says_why),
        cmocka_unit_test(every_definition_that_ships_is_good),
        cmocka_unit_test(people_find_it_in_their_own_words),
        cmocka_unit_test(a_better_word_scores_higher),
        cmocka_unit_test(a_long_question_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
