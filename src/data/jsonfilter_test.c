/* The filter against a slow and plain one over jansson's trees, on generated documents; and what it
 * must refuse. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "data/json.h"
#include "data/jsonfilter.h"

static struct buf out;

static struct json_filter *compile(const char *const *paths, size_t n)
{
    struct json_filter *f = NULL;
    struct str s[JSON_FILTER_PATHS];
    for (size_t i = 0; i < n; i++)
        s[i] = str_from(paths[i]);
    assert_int_equal(json_filter_new(s, n, &f), ERR_OK);
    return f;
}

static enum err run(const struct json_filter *f, struct str in)
{
    buf_free(&out);
    buf_init(&out, 1 << 20);
    return json_filter_run(f, in, &out, NULL, NULL);
}

/* --- by example ------------------------------------------------------------------------------- */

static void gives(const char *paths, const char *in, const char *want)
{
    const char *list[JSON_FILTER_PATHS];
    size_t n = 0;
    char text[256];
    snprintf(text, sizeof text, "%s", paths);
    for (char *p = text, *next; p && *p; p = next) {
        next = strchr(p, ' ');
        if (next)
            *next++ = '\0';
        list[n++] = p;
    }
    struct json_filter *f = compile(list, n);
    assert_int_equal(run(f, str_from(in)), ERR_OK);
    if (!str_eq_z(buf_str(&out), want))
        fail_msg("%s of %s gave " STR_FMT, paths, in, STR_ARG(buf_str(&out)));
    json_filter_free(f);
}

static void only_what_is_allowed_is_kept(void **state)
{
    (void)state;
    gives("a", "{\"a\":1,\"b\":2}", "{\"a\":1}");
    gives("b", "{\"a\":1,\"b\":2}", "{\"b\":2}");
    gives("c", "{\"a\":1,\"b\":2}", "{}");
    gives("", "{\"a\":1,\"b\":[{}]}", "{}");
    gives("a.b", "{\"a\":{\"b\":1,\"c\":2},\"b\":3}", "{\"a\":{\"b\":1}}");
    gives("a b.c", " { \"a\" : [ 1 , 2 ] , \"b\" : { \"c\" : \"x\" } } ",
          "{\"a\":[ 1 , 2 ],\"b\":{\"c\":\"x\"}}");
    gives("a", "{\"a\":{\"b\":{\"c\":[1,{\"d\":2}]}}}", "{\"a\":{\"b\":{\"c\":[1,{\"d\":2}]}}}");
    gives("a a.b", "{\"a\":{\"b\":1,\"c\":2}}", "{\"a\":{\"b\":1,\"c\":2}}");
    gives("a.b.c", "{\"a\":{\"b\":{\"d\":1}}}", "{\"a\":{\"b\":{}}}");
}

static void arrays_are_seen_through(void **state)
{
    (void)state;
    gives("c.n", "{\"c\":[{\"n\":1,\"x\":9},{\"x\":9},{\"n\":2}]}",
          "{\"c\":[{\"n\":1},{},{\"n\":2}]}");
    gives("c.n", "{\"c\":[[{\"n\":1}],[],[[{\"n\":2,\"m\":3}]]]}",
          "{\"c\":[[{\"n\":1}],[],[[{\"n\":2}]]]}");
    gives("n", "[{\"n\":1,\"x\":2},{\"n\":3}]", "[{\"n\":1},{\"n\":3}]");
    gives("c.n", "{\"c\":[7,\"x\",{\"n\":1},null,8]}", "{\"c\":[{\"n\":1}]}");
}

/* [F2.1.15] the boolean leaves, the value stays. */
static void a_threshold_answer_hides_the_value(void **state)
{
    (void)state;
    gives("r>=20000", "{\"r\":41250,\"x\":1}", "{\"r\":true}");
    gives("r>=20000", "{\"r\":1.9e4}", "{\"r\":false}");
    gives("r<=20000", "{\"r\":20000}", "{\"r\":true}");
    gives("r<=-1.5", "{\"r\":-2}", "{\"r\":true}");
    gives("c.age>=18", "{\"c\":[{\"age\":17,\"n\":\"x\"},{\"age\":18},{}]}",
          "{\"c\":[{\"age\":false},{\"age\":true},{}]}");
    /* what is no number is not answered, and never let through */
    gives("r>=1 z", "{\"r\":\"41250\",\"z\":1}", "{\"z\":1}");
    gives("r>=1", "{\"r\":[2]}", "{}");
    gives("r>=1", "{\"r\":{\"v\":2}}", "{}");
    gives("r>=1", "{\"r\":null}", "{}");
    gives("d?", "{\"d\":true}", "{\"d\":true}");
    gives("d?", "{\"d\":\"80 %\"}", "{\"d\":true}");
    gives("d?", "{\"d\":[{\"name\":\"x\"}]}", "{\"d\":true}");
    gives("d? e? f? g? h?", "{\"d\":null,\"e\":[ ],\"f\":\"\",\"g\":{},\"h\":false}",
          "{\"d\":false,\"e\":false,\"f\":false,\"g\":false,\"h\":false}");
    gives("a>=5", "{\"a\":1}", "{\"a\":false}"); /* longer than what was there */
    gives("a>=5 a.b", "{\"a\":{\"b\":1}}", "{}");
}

static enum err compiles(const char *one, const char *two)
{
    struct json_filter *f = NULL;
    struct str paths[] = {str_from(one), str_from(two)};
    enum err e = json_filter_new(paths, *two ? 2 : 1, &f);
    if (e == ERR_OK)
        json_filter_free(f);
    return e;
}

static void questions_that_are_none_are_refused(void **state)
{
    (void)state;
    const char *wrong[] = {"a>=",     "a>=x", "a>=01", "a>=1 ",  ">=1",    "?",   "a>1", "a=1",
                           "a>=1>=2", "a?b",  "a.?",   "a>=0x1", "a>=nan", "a<=", "a??", "a?>=1"};
    for (size_t i = 0; i < COUNT_OF(wrong); i++)
        if (compiles(wrong[i], "") == ERR_OK)
            fail_msg("%s was taken", wrong[i]);
    assert_int_equal(compiles("a>=1", "a>=2"), ERR_INVALID);
    assert_int_equal(compiles("a>=1", "a"), ERR_INVALID);
    assert_int_equal(compiles("a", "a?"), ERR_INVALID);
    assert_int_equal(compiles("a>=1", "a>=1"), ERR_OK);
}

static void what_stands_in_an_objects_place_is_dropped(void **state)
{
    (void)state;
    gives("a.b", "{\"a\":\"everything\"}", "{}");
    gives("a.b c", "{\"c\":1,\"a\":7}", "{\"c\":1}");
    gives("a.b c", "{\"a\":null,\"c\":1}", "{\"c\":1}");
    gives("a", "\"text\"", "null");
    gives("a", "1", "null");
    gives("a", "[1,2]", "[]");
}

static void a_name_is_the_same_however_it_is_written(void **state)
{
    (void)state;
    gives("ab", "{\"\\u0061\\u0062\":1,\"\\u0061c\":2}", "{\"\\u0061\\u0062\":1}");
    gives("é 😀", "{\"\\u00E9\":1,\"\\ud83d\\uDE00\":2,\"\\u20ac\":3}",
          "{\"\\u00E9\":1,\"\\ud83d\\uDE00\":2}");
    gives("a/b", "{\"a\\/b\":1}", "{\"a\\/b\":1}");
    gives("nine_bytes nine_bytez",
          "{\"nine_bytes\":1,\"nine_byte\":2,\"nine_bytex\":3,\"nine_byt\\u0065z\":4}",
          "{\"nine_bytes\":1,\"nine_byt\\u0065z\":4}");
}

/* --- what was seen ---------------------------------------------------------------------------- */

static char seen_text[256];

static void note(void *arg, size_t path, struct str raw)
{
    size_t n = strlen(seen_text);
    assert_ptr_equal(arg, &out);
    snprintf(seen_text + n, sizeof seen_text - n, "%zu=" STR_FMT ";", path, STR_ARG(raw));
}

static void each_value_kept_is_told(void **state)
{
    (void)state;
    static const char *const paths[] = {"b", "c.n", "a"};
    struct json_filter *f = compile(paths, 3);
    buf_free(&out);
    buf_init(&out, 1000);
    struct str in =
        STR("{\"a\": {\"x\" :1} ,\"c\":[{\"n\":\"\\u0041\"},{\"n\": 2 },{\"m\":3}],\"b\":null}");
    seen_text[0] = '\0';
    assert_int_equal(json_filter_run(f, in, &out, note, &out), ERR_OK);
    assert_string_equal(seen_text, "2={\"x\" :1};1=\"\\u0041\";1=2;0=null;");
    json_filter_free(f);
}

/* --- what is refused -------------------------------------------------------------------------- */

/* Values that are none, tried kept, dropped, on the way and in arrays. */
/* clang-format off */
static const char *const bad_values[] = {
    "",         "nul",        "nulll",     "True",       "tru",        "+1",       "01",
    "-",        "-a",         "1.",        ".5",         "1.e3",       "1e",       "1e+",
    "0x10",     "1_000",      "NaN",       "Infinity",   "'a'",        "\"a",      "\"\\x\"",
    "\"\\u12\"", "\"\\u12g4\"", "\"\t\"",  "\"\n\"",     "\"\x7f\xff\"", "\"\xc0\x80\"",
    "\"\xed\xa0\x80\"", "\"\xf4\x90\x80\x80\"", "\"\xc3\"", "\"\xe2\x82\"", "\"\\ud800\"",
    "\"\\ud800x\"", "\"\\ud800\\u0041\"", "\"\\udc00\"", "\"\\\"", "[", "]", "[1", "[1,", "[1,]",
    "[,1]",     "[1 2]",      "{",         "}",          "{a:1}",      "{\"a\"}",  "{\"a\":}",
    "{\"a\":1,}", "{,}",      "{\"a\":1 \"b\":2}", "{\"a\":1]", "[1}", "{1:2}",    "1 2",
    "/**/1",    "1//",        "\xef\xbb\xbf" "1", "\v1", "\xc2\xa0" "1",
};
/* clang-format on */

static void refuses(const struct json_filter *f, const char *fmt, const char *value)
{
    char text[512];
    int n = snprintf(text, sizeof text, fmt, value);
    enum err e = run(f, str_of(text, (size_t)n));
    if (e != ERR_INVALID)
        fail_msg("%s gave %s", text, err_name(e));
}

static void what_is_not_json_is_refused_wherever_it_stands(void **state)
{
    (void)state;
    static const char *const paths[] = {"keep", "way.x"};
    static const char *const places[] = {"%s",
                                         " %s ",
                                         "{\"keep\":%s}",
                                         "{\"drop\":%s}",
                                         "{\"way\":%s}",
                                         "{\"way\":{\"x\":%s}}",
                                         "{\"drop\":[1,{\"a\":[%s]}],\"keep\":1}",
                                         "[[%s]]",
                                         "{\"keep\":1,\"drop\":%s,\"keep2\":2}"};
    struct json_filter *f = compile(paths, 2);
    for (size_t i = 0; i < COUNT_OF(bad_values); i++)
        for (size_t j = 0; j < COUNT_OF(places); j++) {
            bool empty_array = bad_values[i][0] == '\0' && strstr(places[j], "[%s]");
            if (!empty_array)
                refuses(f, places[j], bad_values[i]);
        }
    assert_int_equal(run(f, str_of("{\"keep\":1}\0", 11)), ERR_INVALID);
    assert_int_equal(run(f, str_of("{\"keep\":\"a\0b\"}", 14)), ERR_INVALID);
    json_filter_free(f);
}

static void every_cut_is_refused(void **state)
{
    (void)state;
    static const char *const paths[] = {"a", "c.d"};
    struct json_filter *f = compile(paths, 2);
    struct str in =
        STR("{\"a\":[-1.5e+3,\"\\u00e9\\ud83d\\ude00é\",true],\"b\":{\"x\":null,\"y\":false},"
            "\"c\":[{\"d\":\"long enough to be read by eights\"}]}");
    assert_int_equal(run(f, in), ERR_OK);
    for (size_t n = 0; n < in.n; n++) {
        char *copy = malloc(n ? n : 1); /* so that reading behind it is noticed */
        memcpy(copy, in.p, n);
        assert_int_equal(run(f, str_of(copy, n)), ERR_INVALID);
        free(copy);
    }
    json_filter_free(f);
}

static void a_name_twice_is_refused_where_it_matters(void **state)
{
    (void)state;
    static const char *const paths[] = {"a", "b.c"};
    struct json_filter *f = compile(paths, 2);
    refuses(f, "%s", "{\"a\":1,\"a\":2}");
    refuses(f, "%s", "{\"a\":1,\"x\":0,\"\\u0061\":2}");
    refuses(f, "%s", "{\"b\":{\"c\":1},\"b\":{\"c\":2}}");
    refuses(f, "%s", "{\"b\":1,\"b\":{\"c\":2}}");
    refuses(f, "%s", "{\"b\":[{\"c\":1},{\"c\":1,\"c\":2}]}");
    assert_int_equal(run(f, STR("{\"b\":[{\"c\":1},{\"c\":2}],\"x\":1,\"x\":2}")), ERR_OK);
    json_filter_free(f);
}

static void depth_ends_at_64(void **state)
{
    (void)state;
    static const char *const paths[] = {"keep", "way.x"};
    static const char *const fronts[] = {"", "{\"keep\":", "{\"drop\":", "{\"way\":"};
    struct json_filter *f = compile(paths, 2);
    for (size_t i = 0; i < COUNT_OF(fronts); i++)
        for (int deep = 0; deep <= 1; deep++) {
            int n = 64 + deep - (i > 0);
            struct buf b;
            buf_init(&b, 1000);
            buf_add_z(&b, fronts[i]);
            for (int j = 0; j < n; j++)
                buf_add_char(&b, '[');
            for (int j = 0; j < n; j++)
                buf_add_char(&b, ']');
            buf_add_z(&b, i ? "}" : "");
            assert_int_equal(run(f, buf_str(&b)), deep ? ERR_INVALID : ERR_OK);
            buf_free(&b);
        }
    json_filter_free(f);
}

static void the_ceiling_holds(void **state)
{
    (void)state;
    static const char *const paths[] = {"a"};
    struct json_filter *f = compile(paths, 1);
    struct str in = STR("{\"a\":\"0123456789\",\"b\":\"dropped, so that it does not count\"}");
    for (size_t ceiling = 0; ceiling < 30; ceiling++) {
        buf_free(&out);
        buf_init(&out, ceiling);
        enum err e = json_filter_run(f, in, &out, NULL, NULL);
        assert_int_equal(e, ceiling < 18 ? ERR_LIMIT : ERR_OK);
        assert_int_equal(out.err, e);
    }
    assert_true(str_eq(buf_str(&out), STR("{\"a\":\"0123456789\"}")));
    json_filter_free(f);
}

static void lists_out_of_bounds_are_refused(void **state)
{
    (void)state;
    struct json_filter *f;
    struct str many[JSON_FILTER_PATHS + 1];
    char name[JSON_FILTER_NAME + 2];
    memset(name, 'x', sizeof name);
    for (size_t i = 0; i < COUNT_OF(many); i++)
        many[i] = str_of(name, i + 1);
    assert_int_equal(json_filter_new(many, COUNT_OF(many), &f), ERR_LIMIT);
    assert_int_equal(json_filter_new(many, COUNT_OF(many) - 1, &f), ERR_OK);
    json_filter_free(f);
    assert_int_equal(json_filter_new(&(struct str){name, JSON_FILTER_NAME + 1}, 1, &f), ERR_LIMIT);
    assert_int_equal(json_filter_new(&STR("a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p"), 1, &f), ERR_OK);
    json_filter_free(f);
    assert_int_equal(json_filter_new(&STR("a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q"), 1, &f), ERR_LIMIT);
    static const struct str bad[] = {{"", 0},   {".", 1},    {"a.", 2},
                                     {".a", 2}, {"a..b", 4}, {"\xff", 1}};
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_int_equal(json_filter_new(&bad[i], 1, &f), ERR_INVALID);
}

/* --- against a plain one ---------------------------------------------------------------------- */

static const char *const names[] = {"a", "b", "cc", "given_name", "given_nama", "é", "x\"y"};
static uint64_t seed;

static unsigned draw(unsigned n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(seed >> 33) % n;
}

static void space(struct buf *b)
{
    if (draw(4) == 0)
        buf_add_z(b, draw(2) ? " \r\n\t" : " ");
}

/* The same text, spelled in one of many ways. */
static void spell(struct buf *b, const char *z)
{
    buf_add_char(b, '"');
    for (; *z; z++) {
        unsigned char c = (unsigned char)*z;
        if (c < 0x80 && (c == '"' || draw(8) == 0))
            buf_printf(b, draw(2) ? "\\u%04x" : "\\u%04X", c);
        else
            buf_add_char(b, *z);
    }
    buf_add_char(b, '"');
}

static void generate(struct buf *b, unsigned depth)
{
    static const char *const scalars[] = {
        "null",     "true",     "false", "0",
        "-1.25e-2", "12345678", "\"\"",  "\"\\ud83d\\ude00 \\\\ \\\" é and then some more text\""};
    unsigned kind = depth > 6 ? 2 : draw(4);
    bool comma = false;
    space(b);
    if (kind == 0) {
        buf_add_char(b, '{');
        for (size_t i = 0, from = draw(COUNT_OF(names)); i < COUNT_OF(names); i++) {
            if (draw(2))
                continue;
            buf_add_z(b, comma ? "," : "");
            comma = true;
            space(b);
            spell(b, names[(i + from) % COUNT_OF(names)]);
            space(b);
            buf_add_char(b, ':');
            generate(b, depth + 1);
        }
        space(b);
        buf_add_char(b, '}');
    } else if (kind == 1) {
        buf_add_char(b, '[');
        for (unsigned i = draw(4); i > 0; i--) {
            generate(b, depth + 1);
            buf_add_z(b, i > 1 ? "," : "");
        }
        buf_add_char(b, ']');
    } else {
        buf_add_z(b, scalars[draw(COUNT_OF(scalars))]);
    }
    space(b);
}

struct list {
    char paths[8][64];
    size_t n, kept;
};

static bool is_listed(const struct list *l, const char *path, bool under)
{
    size_t len = strlen(path);
    for (size_t i = 0; i < l->n; i++)
        if (strncmp(l->paths[i], path, len) == 0 && l->paths[i][len] == (under ? '.' : '\0'))
            return true;
    return false;
}

/* NULL: nothing of it stays. */
static json_t *plain_filter(struct list *l, json_t *v, const char *path)
{
    const char *name;
    json_t *member, *got = NULL;
    size_t i;
    if (json_is_array(v)) {
        got = json_array();
        json_array_foreach(v, i, member)
            json_array_append_new(got, plain_filter(l, member, path)); /* NULL is not appended */
    }
    if (json_is_object(v)) {
        got = json_object();
        json_object_foreach(v, name, member)
        {
            char sub[512];
            snprintf(sub, sizeof sub, "%s%s%s", path, *path ? "." : "", name);
            if (is_listed(l, sub, false)) {
                json_object_set(got, name, member);
                l->kept++;
            } else if (is_listed(l, sub, true)) {
                json_object_set_new(got, name, plain_filter(l, member, sub));
            }
        }
    }
    return got;
}

static void count(void *arg, size_t path, struct str raw)
{
    json_t *v;
    (void)path;
    assert_int_equal(json_read(raw, &v, NULL), ERR_OK);
    json_decref(v);
    (*(size_t *)arg)++;
}

static void compare(struct list *l, const struct json_filter *f, struct str in)
{
    json_t *doc, *got;
    size_t told = 0;
    assert_int_equal(json_read(in, &doc, NULL), ERR_OK);
    l->kept = 0;
    json_t *want = plain_filter(l, doc, "");
    buf_reset(&out);
    assert_int_equal(json_filter_run(f, in, &out, count, &told), ERR_OK);
    assert_int_equal(json_read(buf_str(&out), &got, NULL), ERR_OK);
    if (!json_equal(got, want ? want : json_null()))
        fail_msg("seed %llu: " STR_FMT " gave " STR_FMT, (unsigned long long)seed, STR_ARG(in),
                 STR_ARG(buf_str(&out)));
    assert_int_equal(told, l->kept);
    json_decref(doc);
    json_decref(got);
    json_decref(want);
}

static void generated_documents_give_what_a_plain_filter_gives(void **state)
{
    (void)state;
    buf_free(&out);
    buf_init(&out, 1 << 20);
    for (seed = 1; seed < 3000; seed++) {
        uint64_t keep = seed;
        struct list l = {.n = draw(8)};
        const char *paths[8];
        for (size_t i = 0; i < l.n; i++) {
            size_t len = 0;
            for (unsigned levels = 1 + draw(3); levels > 0; levels--)
                len += (size_t)snprintf(l.paths[i] + len, sizeof l.paths[i] - len, "%s%s",
                                        len ? "." : "", names[draw(COUNT_OF(names))]);
            paths[i] = l.paths[i];
        }
        struct json_filter *f = compile(paths, l.n);
        struct buf doc;
        buf_init(&doc, 1 << 20);
        do {
            buf_reset(&doc);
            generate(&doc, 0);
        } while (doc.n < 40 || doc.err);
        compare(&l, f, buf_str(&doc));
        buf_free(&doc);
        json_filter_free(f);
        seed = keep;
    }
    buf_free(&out);
}

static int teardown(void **state)
{
    (void)state;
    buf_free(&out);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_is_allowed_is_kept),
        cmocka_unit_test(arrays_are_seen_through),
        cmocka_unit_test(a_threshold_answer_hides_the_value),
        cmocka_unit_test(questions_that_are_none_are_refused),
        cmocka_unit_test(what_stands_in_an_objects_place_is_dropped),
        cmocka_unit_test(a_name_is_the_same_however_it_is_written),
        cmocka_unit_test(each_value_kept_is_told),
        cmocka_unit_test(what_is_not_json_is_refused_wherever_it_stands),
        cmocka_unit_test(every_cut_is_refused),
        cmocka_unit_test(a_name_twice_is_refused_where_it_matters),
        cmocka_unit_test(depth_ends_at_64),
        cmocka_unit_test(the_ceiling_holds),
        cmocka_unit_test(lists_out_of_bounds_are_refused),
        cmocka_unit_test(generated_documents_give_what_a_plain_filter_gives),
    };
    return cmocka_run_group_tests_name("jsonfilter", tests, NULL, teardown);
}
