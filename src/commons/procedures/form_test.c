/* What a person types, field by field: taken, refused in her language, never lost. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "commons/procedures/form.h"
#include "platform/fixture.h"

static const char service[] =
    "{\"v\":1,\"id\":\"essai\",\"version\":1,\"org\":\"town\",\"title\":{\"fr\":\"t\",\"en\":\"t\"}"
    ","
    "\"summary\":{\"fr\":\"s\",\"en\":\"s\"},\"sources\":[{\"id\":\"src\",\"path\":\"/gw/x/v1/y\","
    "\"provider\":{\"fr\":\"la caisse\",\"en\":\"the fund\"}}],\"form\":\"f\"}";
/* clang-format off */
#define FIELD(name, type, more) \
    "{\"name\":\"" name "\",\"type\":\"" type "\",\"label\":{\"fr\":\"" name "\",\"en\":\"" name \
    "\"}" more "}"
static const char form_text[] =
    "{\"v\":1,\"steps\":[{\"id\":\"a\",\"title\":{\"fr\":\"t\",\"en\":\"t\"},\"fields\":["
    FIELD("text", "text", ",\"max\":10") "," FIELD("email", "email", "") ","
    FIELD("tel", "tel", "") "," FIELD("n", "integer", ",\"min\":1,\"max\":9") ","
    FIELD("date", "date", "") ","
    FIELD("choice", "choice",
          ",\"options\":[{\"value\":\"x\",\"label\":{\"fr\":\"Ix\",\"en\":\"Ex\"}},"
          "{\"value\":\"y\",\"label\":{\"fr\":\"Y\",\"en\":\"Y\"}}]") ","
    FIELD("box", "checkbox", "") "," FIELD("free", "text", ",\"optional\":true") "]},"
    "{\"id\":\"b\",\"title\":{\"fr\":\"t\",\"en\":\"t\"},\"fields\":["
    FIELD("locked", "text", ",\"from\":{\"claim\":\"family_name\"},\"locked\":true") ","
    FIELD("known", "text", ",\"from\":{\"source\":\"src\",\"path\":\"a\"}") "]}]}";
/* clang-format on */

static struct fixture *f;
static struct procedure p;

static int open_all(void **state)
{
    char why[256];
    (void)state;
    f = fixture_open();
    return f && definition_read(str_from(service), str_from(form_text), &p, why) == ERR_OK ? 0 : -1;
}

static int close_all(void **state)
{
    (void)state;
    json_decref(p.def);
    json_decref(p.form);
    fixture_close(f);
    return 0;
}

static struct ctx *c;
static struct dossier d;

static int begin(void **state)
{
    (void)state;
    c = fixture_ctx(f, "mairie.localhost");
    fixture_session(c, "sub-1", ROLE_USER, NULL);
    d = (struct dossier){.id = STR("D"), .procedure = &p, .sub = STR("sub-1")};
    d.data = json_own(&c->pool, json_pack("{s:{},s:{}}", "values", "sources"));
    return 0;
}

static int end(void **state)
{
    (void)state;
    fixture_ctx_free(c);
    return 0;
}

/* Posts a step; the error of a field, or NULL. */
static const char *post(const char *body, size_t step, const char *field)
{
    json_t *errors;
    assert_int_equal(form_read(c->arena, str_from(body), &c->form), ERR_OK);
    form_take(c, &d, step, &errors);
    return json_get_z(errors, field, NULL);
}

static const char *value(const char *name)
{
    return json_get_z(dossier_value(&d, name), "v", NULL);
}

static void each_type_takes_what_is_right(void **state)
{
    (void)state;
    static const char good[] = "text=+Anne+&email=a.b%40c.fr&tel=%2B33+6+12-34.56(78)&n=9&"
                               "date.day=29&date.month=2&date.year=2028&choice=y&box=yes&free=";
    assert_null(post(good, 0, "text"));
    assert_string_equal(value("text"), "Anne");
    assert_string_equal(value("date"), "2028-02-29");
    assert_string_equal(value("choice"), "y");
    assert_null(value("free"));
    assert_int_equal(form_first_missing(&d), 1);
    post("date=2026-09-15", 0, "date"); /* as programs write it */
    assert_string_equal(value("date"), "2026-09-15");
}

static void what_is_wrong_is_said_and_kept(void **state)
{
    (void)state;
    static const struct {
        const char *body, *field, *kept;
    } cases[] = {
        {"text=", "text", NULL},
        {"text=12345678901", "text", "12345678901"},
        {"email=anne", "email", "anne"},
        {"email=a%40b%40c.fr", "email", "a@b@c.fr"},
        {"email=a%40b.", "email", "a@b."},
        {"email=a+b%40c.fr", "email", "a b@c.fr"},
        {"email=%40c.fr", "email", "@c.fr"},
        {"tel=06+12", "tel", "06 12"},
        {"tel=06a1234567", "tel", "06a1234567"},
        {"n=0", "n", "0"},
        {"n=10", "n", "10"},
        {"n=9.5", "n", "9.5"},
        {"n=99999999999999999999", "n", "99999999999999999999"},
        {"choice=z", "choice", "z"},
        {"choice=", "choice", NULL},
        {"box=", "box", NULL},
        {"date.day=31&date.month=4&date.year=2026", "date", ""},
        {"date.day=29&date.month=2&date.year=2027", "date", ""},
        {"date.day=1&date.month=13&date.year=2026", "date", ""},
        {"date.day=1&date.month=&date.year=2026", "date", ""},
        {"date.day=-1&date.month=1&date.year=2026", "date", ""},
        {"date.day=1&date.month=1&date.year=99999", "date", ""},
        {"date=2026-13-01", "date", ""},
        {"date=hier", "date", ""},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        for (int en = 0; en < 2; en++) {
            c->lang = en ? "en" : "fr";
            const char *wrong = post(cases[i].body, 0, cases[i].field);
            if (!wrong || strchr(wrong, '['))
                fail_msg("%s (%s): %s", cases[i].body, c->lang, wrong ? wrong : "taken");
            const char *kept = value(cases[i].field);
            if (cases[i].kept ? !kept || strcmp(kept, cases[i].kept) != 0 : kept != NULL)
                fail_msg("%s: kept %s", cases[i].body, kept ? kept : "nothing");
            assert_int_equal(form_first_missing(&d), 0);
        }
    }
}

/* A wrong date is shown again as it was typed, today and when the draft is resumed. */
static void a_wrong_date_comes_back_as_typed(void **state)
{
    (void)state;
    assert_non_null(post("date.day=31&date.month=4&date.year=2026", 0, "date"));
    json_t *fields = json_own(&c->pool, form_fields(c, &d, 0, NULL));
    json_t *date = json_array_get(fields, 4);
    assert_string_equal(json_get_z(date, "day", ""), "31");
    assert_string_equal(json_get_z(date, "month", ""), "4");
    assert_non_null(json_get(date, "error"));
    json_t *summary = json_own(&c->pool, form_error_summary(fields));
    assert_string_equal(json_get_z(json_array_get(json_get(summary, "items"), 0), "id", ""),
                        "date-day");
}

static void what_the_law_fixes_cannot_be_posted_over(void **state)
{
    (void)state;
    dossier_set(&d, "locked", json_pack("{s:s,s:s}", "v", "MARTIN", "source", "identity"));
    dossier_set(&d, "known",
                json_pack("{s:s,s:s,s:s}", "v", "14 rue X", "source", "src", "date", "2026-09-15"));
    post("locked=DUPONT&known=14+rue+X", 1, "known");
    assert_string_equal(value("locked"), "MARTIN");
    assert_null(json_get(dossier_value(&d, "known"), "corrected"));
    post("locked=&known=15+rue+Y", 1, "known");
    assert_string_equal(value("locked"), "MARTIN");
    assert_string_equal(value("known"), "15 rue Y");
    assert_true(json_get_bool(dossier_value(&d, "known"), "corrected", false));
    assert_int_equal(form_first_missing(&d), 0); /* the first step's, still */
}

/* Without its source, a locked field is asked like another. */
static void a_source_that_is_down_leaves_its_field_to_be_typed(void **state)
{
    (void)state;
    json_t *fields = json_own(&c->pool, form_fields(c, &d, 1, NULL));
    assert_null(json_get(json_array_get(fields, 0), "locked"));
    assert_null(post("locked=DUPONT&known=x", 1, "locked"));
    assert_string_equal(value("locked"), "DUPONT");
}

static void a_value_says_where_it_comes_from_until_it_is_corrected(void **state)
{
    (void)state;
    dossier_set(&d, "known",
                json_pack("{s:s,s:s,s:s}", "v", "14 rue X", "source", "src", "date", "2026-09-15"));
    json_t *fields = json_own(&c->pool, form_fields(c, &d, 1, NULL));
    json_t *source = json_get(json_array_get(fields, 1), "source");
    assert_string_equal(json_get_z(source, "provider", ""), "la caisse");
    assert_string_equal(json_get_z(source, "date", ""), "15 septembre 2026");
    post("known=autre", 1, "known");
    fields = json_own(&c->pool, form_fields(c, &d, 1, NULL));
    assert_null(json_get(json_array_get(fields, 1), "source"));
}

int main(void)
{
#define EACH(fn) cmocka_unit_test_setup_teardown(fn, begin, end)
    const struct CMUnitTest tests[] = {
        EACH(each_type_takes_what_is_right),
        EACH(what_is_wrong_is_said_and_kept),
        EACH(a_wrong_date_comes_back_as_typed),
        EACH(what_the_law_fixes_cannot_be_posted_over),
        EACH(a_source_that_is_down_leaves_its_field_to_be_typed),
        EACH(a_value_says_where_it_comes_from_until_it_is_corrected),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
