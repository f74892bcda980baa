/* Judged by the official specification's vectors where they are at hand, and by cases of its own
 * where they are not: escaping, texts, and what bad templates get. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>

#include "web/template.h"

struct world {
    json_t *partials, *texts;
    struct template *made[256];
    size_t n;
};

static const struct template *from_object(struct world *w, const json_t *set, struct str name)
{
    const json_t *v = json_object_getn(set, name.p, name.n);
    if (!v)
        return NULL;
    struct template *t;
    assert_true(w->n < COUNT_OF(w->made));
    assert_int_equal(template_compile(str_from(json_string_value(v)), "x", &t, NULL), ERR_OK);
    return w->made[w->n++] = t;
}

static const struct template *partial(void *arg, struct str name)
{
    struct world *w = arg;
    return from_object(w, w->partials, name);
}

static const struct template *text(void *arg, struct str key)
{
    struct world *w = arg;
    return from_object(w, w->texts, key);
}

static enum err render(const char *tpl, const json_t *data, struct world *w, bool plain,
                       struct buf *out)
{
    struct template *t;
    enum err e = template_compile(str_from(tpl), "test", &t, NULL);
    if (e != ERR_OK)
        return e;
    struct template_env env = {
        .partial = partial, .text = text, .arg = w, .lang = "fr", .plain = plain};
    buf_init(out, 1 << 20);
    e = template_render(t, data, &env, out);
    template_free(t);
    while (w->n)
        template_free(w->made[--w->n]);
    return e;
}

static void check(const char *tpl, const char *data, const char *partials, const char *texts,
                  const char *want)
{
    json_t *d = json_loads(data, JSON_DECODE_ANY, NULL);
    struct world w = {json_loads(partials, 0, NULL), json_loads(texts, 0, NULL), {0}, 0};
    assert_non_null(d);
    struct buf out;
    assert_int_equal(render(tpl, d, &w, false, &out), ERR_OK);
    buf_add_char(&out, 0);
    assert_string_equal(out.p, want);
    buf_free(&out);
    json_decref(d);
    json_decref(w.partials);
    json_decref(w.texts);
}

/* Blocks are not re-indented (template.c says why). */
static const char *const not_ours[] = {"Standalone block", "Block reindentation",
                                       "Intrinsic indentation", "Nested block reindentation"};

static int one_vector(const json_t *v)
{
    const char *name = json_string_value(json_object_get(v, "name"));
    for (size_t i = 0; i < COUNT_OF(not_ours); i++)
        if (strcmp(name, not_ours[i]) == 0)
            return 0;
    struct world w = {.partials = json_object_get(v, "partials")};
    struct buf out;
    const char *want = json_string_value(json_object_get(v, "expected"));
    assert_int_equal(render(json_string_value(json_object_get(v, "template")),
                            json_object_get(v, "data"), &w, false, &out),
                     ERR_OK);
    if (!str_eq_z(buf_str(&out), want))
        fail_msg("%s: got <%.*s>, want <%s>", name, (int)out.n, out.p ? out.p : "", want);
    buf_free(&out);
    return 1;
}

static void official_vectors_pass(void **state)
{
    (void)state;
    const char *root = getenv("SOCLE_VECTORS");
    char folder[512], path[1024];
    snprintf(folder, sizeof folder, "%s/mustache", root ? root : "test/vectors");
    DIR *d = opendir(folder);
    if (!d)
        skip();
    int n = 0, files = 0;
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        if (!str_ends(str_from(e->d_name), STR(".json")) || strstr(e->d_name, "lambda"))
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        json_t *j = json_load_file(path, 0, NULL), *v;
        assert_non_null(j);
        size_t i;
        json_array_foreach(json_object_get(j, "tests"), i, v) n += one_vector(v);
        json_decref(j);
        files++;
    }
    closedir(d);
    print_message("%d vectors in %d files\n", n, files);
    assert_true(n > 150);
}

static void values_are_escaped(void **state)
{
    (void)state;
    check("<a title=\"{{x}}\">{{{x}}}{{&x}}", "{\"x\":\"<'\\\"&>\"}", "{}", "{}",
          "<a title=\"&lt;&#39;&quot;&amp;&gt;\"><'\"&><'\"&>");
}

static void emptiness_is_false(void **state)
{
    (void)state;
    check("{{#a}}A{{/a}}{{^a}}-{{/a}}{{#b}}B{{/b}}{{#c}}C{{/c}}{{#d}}{{.}}{{/d}}{{#e}}E{{/e}}",
          "{\"a\":\"\",\"b\":[],\"c\":0,\"d\":\"d\",\"e\":{}}", "{}", "{}", "-dE");
}

static void texts_are_words(void **state)
{
    (void)state;
    check("<p>{{@hello}}</p>{{@*k}}{{@none}}{{@*absent}}", "{\"who\":\"<b>\",\"k\":\"bye\"}", "{}",
          "{\"hello\":\"D'accord & <{{who}}>\",\"bye\":\"Adieu\"}",
          "<p>D&#39;accord &amp; &lt;&lt;b&gt;&gt;</p>Adieu[none]");
}

static void a_component_does_not_take_the_page_s_values(void **state)
{
    (void)state;
    check("{{#list}}{{>c}}{{/list}}",
          "{\"e\":\"page\",\"list\":[{\"id\":1},{\"id\":2,\"e\":\"own\"}]}",
          "{\"c\":\"{{#.e}}{{.id}}{{.e}}{{.}} {{/.e}}{{e}} \"}", "{}", "page 2ownown own ");
}

static void words_in_two_languages_are_chosen(void **state)
{
    (void)state;
    check("{{t}}{{o}}", "{\"t\":{\"fr\":\"d<u\",\"en\":\"of\"},\"o\":{\"x\":1}}", "{}", "{}",
          "d&lt;u");
}

static void plain_text_is_not_escaped(void **state)
{
    (void)state;
    json_t *d = json_pack("{s:s}", "who", "l'usager");
    struct world w = {0};
    struct buf out;
    assert_int_equal(render("À {{who}} & co", d, &w, true, &out), ERR_OK);
    assert_true(str_eq(buf_str(&out), STR("À l'usager & co")));
    buf_free(&out);
    json_decref(d);
}

static void a_layout_takes_blocks(void **state)
{
    (void)state;
    check("{{<layout}}\n{{$title}}T{{/title}}\n{{$main}}\n<p>{{x}}</p>{{>part}}\n{{/main}}\n"
          "{{/layout}}\n",
          "{\"x\":1}",
          "{\"layout\":\"<{{$title}}none{{/title}}|{{$main}}{{/main}}>\","
          "\"part\":\"{{$title}}own{{/title}}\"}",
          "{}", "<T|<p>1</p>own\n>");
}

static void bad_templates_are_refused_with_their_line(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int line;
    } bad[] = {{"a\n{{#b}}", 2},       {"{{/a}}", 1},  {"{{#a}}\n\n{{/b}}", 3}, {"{{a", 1},
               {"\n{{ }}", 2},         {"{{a b}}", 1}, {"{{=x=}}", 1},          {"{{{a}}", 1},
               {"{{#a}}{{/a}}{{>", 1}, {"{{#}}", 1}};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct template *t;
        int line = 0;
        assert_int_equal(template_compile(str_from(bad[i].text), "bad", &t, &line), ERR_INVALID);
        assert_null(t);
        assert_int_equal(line, bad[i].line);
    }
}

static void endless_templates_end(void **state)
{
    (void)state;
    json_t *d = json_object();
    struct world w = {.partials = json_pack("{s:s}", "me", "{{>me}}{{>me}}")};
    struct buf out;
    assert_int_equal(render("{{>me}}", d, &w, false, &out), ERR_LIMIT);
    buf_free(&out);
    json_decref(w.partials);
    struct template *t;
    assert_int_equal(template_compile(STR("0123456789"), "x", &t, NULL), ERR_OK);
    buf_init(&out, 5);
    assert_int_equal(template_render(t, d, NULL, &out), ERR_LIMIT);
    buf_free(&out);
    template_free(t);
    json_decref(d);
}

static void note_tag(void *arg, char kind, struct str name)
{
    buf_add_char(arg, kind);
    buf_add_str(arg, name);
}

static void walking_names_every_tag(void **state)
{
    (void)state;
    struct template *t;
    assert_int_equal(
        template_compile(STR("{{a}}{{{b}}}{{#c}}{{@d}}{{/c}}{{>e}}{{@*f}}"), "x", &t, NULL),
        ERR_OK);
    struct buf b;
    buf_init(&b, 100);
    template_walk(t, note_tag, &b);
    assert_true(str_eq(buf_str(&b), STR("=a&b#c@d>e@*")));
    buf_free(&b);
    template_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(official_vectors_pass),
        cmocka_unit_test(values_are_escaped),
        cmocka_unit_test(emptiness_is_false),
        cmocka_unit_test(texts_are_words),
        cmocka_unit_test(a_component_does_not_take_the_page_s_values),
        cmocka_unit_test(words_in_two_languages_are_chosen),
        cmocka_unit_test(plain_text_is_not_escaped),
        cmocka_unit_test(a_layout_takes_blocks),
        cmocka_unit_test(bad_templates_are_refused_with_their_line),
        cmocka_unit_test(endless_templates_end),
        cmocka_unit_test(walking_names_every_tag),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
