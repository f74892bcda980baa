/* Renders every page with the example data of test/preview, in both languages, into
 * build/preview: what the browser tests look at, and what a person opens to see a page without the
 * services behind it. Fails on a page that does not render or leaves a text out. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

#include "web/assets.h"
#include "web/pages.h"

static const char *const langs[] = {"fr", "en"};

static void write_file(const char *path, struct str s)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(s.p, 1, s.n, f), s.n);
    assert_int_equal(fclose(f), 0);
}

static void render(const char *module, const char *name, const json_t *sample, const json_t *common)
{
    for (size_t i = 0; i < COUNT_OF(langs); i++) {
        json_t *data = json_copy((json_t *)common);
        json_object_update(data, json_object_get(sample, "data"));
        json_object_set_new(data, "lang", json_string(langs[i]));
        struct buf out;
        buf_init(&out, 8 << 20);
        const char *page = json_string_value(json_object_get(sample, "page"));
        assert_non_null(page);
        if (pages_render(page, langs[i], data, &out) != ERR_OK)
            fail_msg("%s does not render", page);
        assert_true(str_starts(str_trim(buf_str(&out)), STR("<!DOCTYPE html>")));
        char path[512];
        snprintf(path, sizeof path, "build/preview/%s-%s.%s.html", module, name, langs[i]);
        write_file(path, buf_str(&out));
        buf_free(&out);
        json_decref(data);
    }
}

static void every_page_renders_with_its_example(void **state)
{
    (void)state;
    assert_true(mkdir("build/preview", 0777) == 0 || errno == EEXIST);
    json_t *common = json_load_file("test/preview/common.json", JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(common);
    DIR *d = opendir("test/preview");
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        struct str file = str_from(e->d_name);
        if (!str_ends(file, STR(".json")) || str_eq(file, STR("common.json")))
            continue;
        char path[512], module[256];
        snprintf(path, sizeof path, "test/preview/%s", e->d_name);
        snprintf(module, sizeof module, STR_FMT, (int)file.n - 5, file.p);
        json_error_t je;
        json_t *all = json_load_file(path, JSON_REJECT_DUPLICATES, &je), *sample;
        if (!all)
            fail_msg("%s:%d: %s", path, je.line, je.text);
        const char *name;
        json_object_foreach(all, name, sample) render(module, name, sample, common);
        json_decref(all);
    }
    closedir(d);
    json_decref(common);
    write_file("build/preview/style.css", asset_get("src/platform/static/style.css"));
    write_file("build/preview/icon.svg", asset_get("src/platform/static/icon.svg"));
}

static int load(void **state)
{
    (void)state;
    return pages_load() == ERR_OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_page_renders_with_its_example)};
    return cmocka_run_group_tests(tests, load, NULL);
}
