/* Judged by the HTTP working group's own vectors (test/vectors/structured-fields): each is read,
 * compared value by value, and written back canonically. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <jansson.h>
#include <math.h>

#include "data/sfv.h"

static struct str text_of(const json_t *v)
{
    return str_of(json_string_value(v), json_string_length(v));
}

/* The vectors write bytes in base 32. */
static struct str base32(struct arena *a, struct str s)
{
    char *out = arena_alloc(a, s.n), *to = out;
    uint64_t bits = 0;
    int n = 0;
    for (size_t i = 0; i < s.n && s.p[i] != '='; i++) {
        char c = s.p[i];
        bits = bits << 5 | (uint64_t)(c >= 'A' ? c - 'A' : c - '2' + 26);
        if ((n += 5) >= 8)
            *to++ = (char)(bits >> (n -= 8));
    }
    return str_of(out, (size_t)(to - out));
}

static const struct {
    const char *name;
    enum sfv_type type;
} typed[] = {{"token", SFV_TOKEN},
             {"binary", SFV_BYTES},
             {"date", SFV_DATE},
             {"displaystring", SFV_DISPLAY}};

static struct sfv_value value_of(struct arena *a, const json_t *v)
{
    if (json_is_boolean(v))
        return (struct sfv_value){.type = SFV_BOOLEAN, .number = json_is_true(v)};
    if (json_is_integer(v))
        return (struct sfv_value){.type = SFV_INTEGER, .number = json_integer_value(v)};
    if (json_is_real(v)) /* half to even, as RFC 9651 4.1.5 */
        return (struct sfv_value){.type = SFV_DECIMAL, .number = llrint(json_real_value(v) * 1000)};
    if (json_is_string(v))
        return (struct sfv_value){.type = SFV_STRING, .text = text_of(v)};
    const char *name = json_string_value(json_object_get(v, "__type"));
    const json_t *inner = json_object_get(v, "value");
    for (size_t i = 0; i < COUNT_OF(typed); i++) {
        if (strcmp(name, typed[i].name) != 0)
            continue;
        struct sfv_value out = {.type = typed[i].type};
        if (json_is_integer(inner))
            out.number = json_integer_value(inner);
        else
            out.text = out.type == SFV_BYTES ? base32(a, text_of(inner)) : text_of(inner);
        return out;
    }
    fail_msg("unknown type %s", name);
    return (struct sfv_value){0};
}

static struct sfv_params params_of(struct arena *a, const json_t *list)
{
    struct sfv_params p = {arena_array(a, struct sfv_param, json_array_size(list) + 1), 0};
    size_t i;
    json_t *pair;
    json_array_foreach(list, i, pair) p.v[p.n++] =
        (struct sfv_param){text_of(json_array_get(pair, 0)), value_of(a, json_array_get(pair, 1))};
    return p;
}

/* [value, params], where an inner list's value is a list of such. */
static struct sfv_member member_of(struct arena *a, const json_t *v)
{
    const json_t *first = json_array_get(v, 0), *one;
    struct sfv_member m = {.params = params_of(a, json_array_get(v, 1)),
                           .is_list = json_is_array(first)};
    size_t i;
    if (!m.is_list) {
        m.value = value_of(a, first);
        return m;
    }
    m.items = arena_array(a, struct sfv_item, json_array_size(first) + 1);
    json_array_foreach(first, i, one) m.items[m.n_items++] = (struct sfv_item){
        value_of(a, json_array_get(one, 0)), params_of(a, json_array_get(one, 1))};
    return m;
}

static struct sfv wanted(struct arena *a, const json_t *v, enum sfv_kind kind)
{
    struct sfv out = {.kind = kind, .n = kind == SFV_ITEM ? 1 : json_array_size(v)};
    out.members = arena_array(a, struct sfv_member, out.n + 1);
    for (size_t i = 0; i < out.n; i++) {
        const json_t *one = json_array_get(v, i);
        out.members[i] = member_of(a, kind == SFV_ITEM         ? v
                                      : kind == SFV_DICTIONARY ? json_array_get(one, 1)
                                                               : one);
        if (kind == SFV_DICTIONARY)
            out.members[i].key = text_of(json_array_get(one, 0));
    }
    return out;
}

static void same_value(const char *name, const struct sfv_value *got, const struct sfv_value *want)
{
    if (got->type != want->type || got->number != want->number || !str_eq(got->text, want->text))
        fail_msg("%s: another value", name);
}

static void same_params(const char *name, const struct sfv_params *got,
                        const struct sfv_params *want)
{
    assert_int_equal(got->n, want->n);
    for (size_t i = 0; i < got->n; i++) {
        assert_true(str_eq(got->v[i].key, want->v[i].key));
        same_value(name, &got->v[i].value, &want->v[i].value);
    }
}

static void same(const char *name, const struct sfv *got, const struct sfv *want)
{
    if (got->n != want->n)
        fail_msg("%s: %zu members, want %zu", name, got->n, want->n);
    for (size_t i = 0; i < got->n; i++) {
        const struct sfv_member *g = &got->members[i], *w = &want->members[i];
        assert_true(str_eq(g->key, w->key) && g->is_list == w->is_list);
        assert_int_equal(g->n_items, w->n_items);
        same_params(name, &g->params, &w->params);
        if (!g->is_list)
            same_value(name, &g->value, &w->value);
        for (size_t m = 0; m < g->n_items; m++) {
            same_value(name, &g->items[m].value, &w->items[m].value);
            same_params(name, &g->items[m].params, &w->items[m].params);
        }
    }
}

static struct str joined(struct arena *a, const json_t *lines)
{
    struct str out = STR("");
    size_t i;
    json_t *line;
    json_array_foreach(lines, i, line)
    {
        struct buf b;
        buf_init(&b, 1 << 20);
        buf_add_str(&b, out);
        if (i)
            buf_add_z(&b, ", ");
        buf_add_str(&b, text_of(line));
        out = arena_dup(a, buf_str(&b));
        buf_free(&b);
    }
    return out;
}

static void writes(const char *name, const struct sfv *v, struct str want)
{
    struct buf b;
    buf_init(&b, 1 << 20);
    assert_int_equal(sfv_write(&b, v), ERR_OK);
    if (!str_eq(buf_str(&b), want))
        fail_msg("%s: wrote <" STR_FMT ">, want <" STR_FMT ">", name, STR_ARG(buf_str(&b)),
                 STR_ARG(want));
    buf_free(&b);
}

static void vector(const json_t *t, bool write_only)
{
    const char *name = json_string_value(json_object_get(t, "name"));
    const char *type = json_string_value(json_object_get(t, "header_type"));
    enum sfv_kind kind = *type == 'i' ? SFV_ITEM : *type == 'l' ? SFV_LIST : SFV_DICTIONARY;
    const json_t *canonical = json_object_get(t, "canonical"), *raw = json_object_get(t, "raw");
    bool must_fail = json_is_true(json_object_get(t, "must_fail"));
    struct arena a;
    struct sfv got, want;
    struct buf b;
    arena_init(&a);
    buf_init(&b, 1 << 20);
    if (write_only) {
        want = wanted(&a, json_object_get(t, "expected"), kind);
        if (must_fail)
            assert_int_equal(sfv_write(&b, &want), ERR_INVALID);
        else
            writes(name, &want, joined(&a, canonical));
    } else {
        enum err e = sfv_read(&a, joined(&a, raw), kind, &got);
        if (must_fail != (e != ERR_OK) && !json_is_true(json_object_get(t, "can_fail")))
            fail_msg("%s: %s", name, err_name(e));
        if (!must_fail && e == ERR_OK) {
            want = wanted(&a, json_object_get(t, "expected"), kind);
            same(name, &got, &want);
            writes(name, &got, joined(&a, canonical ? canonical : raw));
        }
    }
    buf_free(&b);
    arena_free(&a);
}

static int folder(const char *sub, bool write_only)
{
    const char *root = getenv("SOCLE_VECTORS");
    char path[512], file[1024];
    int n = 0;
    snprintf(path, sizeof path, "%s/structured-fields%s", root ? root : "test/vectors", sub);
    DIR *d = opendir(path);
    if (!d)
        skip();
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        if (!str_ends(str_from(e->d_name), STR(".json")))
            continue;
        snprintf(file, sizeof file, "%s/%s", path, e->d_name);
        json_t *j = json_load_file(file, JSON_ALLOW_NUL, NULL), *t;
        size_t i;
        assert_non_null(j);
        json_array_foreach(j, i, t)
        {
            vector(t, write_only);
            n++;
        }
        json_decref(j);
    }
    closedir(d);
    return n;
}

static void official_vectors_pass(void **state)
{
    (void)state;
    assert_true(folder("", false) > 1000);
    assert_true(folder("/serialisation-tests", true) > 500);
}

static void has_ceilings(void **state)
{
    (void)state;
    struct arena a;
    struct buf b;
    struct sfv v;
    arena_init(&a);
    buf_init(&b, 1 << 20);
    for (int i = 0; i <= SFV_MEMBERS_MAX; i++)
        buf_printf(&b, "%s%d", i ? "," : "", i);
    assert_int_equal(sfv_read(&a, buf_str(&b), SFV_LIST, &v), ERR_LIMIT);
    buf_reset(&b);
    buf_add_z(&b, "(");
    for (int i = 0; i <= SFV_INNER_MAX; i++)
        buf_printf(&b, "%d ", i);
    buf_add_z(&b, ")");
    assert_int_equal(sfv_read(&a, buf_str(&b), SFV_LIST, &v), ERR_LIMIT);
    buf_free(&b);
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(official_vectors_pass),
        cmocka_unit_test(has_ceilings),
    };
    return cmocka_run_group_tests_name("data/sfv", tests, NULL, NULL);
}
