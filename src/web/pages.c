/* Pages and texts of every module, compiled once. After pages_load nothing changes, so handlers on
 * all threads render without a lock. A page's words come from its own module first and from the
 * common ones ("platform") second; a partial uses the words of the page it is in. */
#include "web/pages.h"

#include "base/log.h"
#include "base/map.h"
#include "web/assets.h"
#include "web/template.h"

#include <stdlib.h>

enum { LANG_FR, LANG_EN, LANG_COUNT };
static const char *const lang_names[LANG_COUNT] = {"fr", "en"};

struct module {
    struct str name;
    struct map texts[LANG_COUNT]; /* key -> struct template */
};
struct page {
    const char *name; /* "account/home" */
    struct module *module;
    struct template *t;
};
static struct {
    bool loaded;
    struct arena arena;
    struct map modules, pages;
    struct module *common;
} all;

/* ---- loading -----------------------------------------------------------------------------------
 */

static struct module *module_get(struct str name)
{
    struct module *m = map_get(&all.modules, name);
    if (m)
        return m;
    m = arena_new(&all.arena, struct module);
    m->name = arena_dup(&all.arena, name);
    for (int i = 0; i < LANG_COUNT; i++)
        map_init(&m->texts[i]);
    map_set(&all.modules, m->name, m);
    return m;
}

/* "src/core/account/pages/home.html" with "/pages/" gives "account" and "home.html". */
static bool path_cut(const char *path, const char *folder, struct str *module, struct str *file)
{
    struct str p = str_from(path), f = str_from(folder);
    ptrdiff_t at = str_find(p, f);
    if (at < 0)
        return false;
    size_t from = (size_t)at;
    while (from > 0 && p.p[from - 1] != '/')
        from--;
    *module = str_sub(p, from, (size_t)at - from);
    *file = str_after(p, (size_t)at + f.n);
    return true;
}

static enum err page_load(const char *path, struct str module, struct str file)
{
    struct page *pg = arena_new(&all.arena, struct page);
    struct str stem = str_sub(file, 0, file.n - 5);
    struct str name = arena_printf(&all.arena, STR_FMT "/" STR_FMT, STR_ARG(module), STR_ARG(stem));
    int line = 0;
    enum err e = template_compile(asset_get(path), path, &pg->t, &line);
    if (e != ERR_OK) {
        log_error("page.bad", "file", path, "line", LOG_NUM(line));
        return e;
    }
    pg->name = name.p;
    pg->module = module_get(module);
    if (map_set(&all.pages, name, pg)) {
        log_error("page.twice", "file", path, "name", name.p);
        return ERR_EXISTS;
    }
    return ERR_OK;
}

static enum err texts_load(const char *path, struct str module, int lang)
{
    struct str text = asset_get(path);
    json_error_t je;
    json_t *j = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES, &je);
    if (!json_is_object(j)) {
        log_error("text.bad", "file", path, "line", LOG_NUM(je.line), "why", je.text);
        json_decref(j);
        return ERR_INVALID;
    }
    struct module *m = module_get(module);
    enum err e = ERR_OK;
    const char *key;
    json_t *v;
    json_object_foreach(j, key, v)
    {
        struct template *t = NULL;
        if (json_is_string(v))
            e = template_compile(str_of(json_string_value(v), json_string_length(v)), key, &t,
                                 NULL);
        if (!t) {
            log_error("text.bad", "file", path, "key", key);
            e = ERR_INVALID;
            break;
        }
        template_free(map_set(&m->texts[lang], arena_dup(&all.arena, str_from(key)), t));
    }
    json_decref(j);
    return e;
}

enum err pages_load(void)
{
    if (all.loaded)
        return ERR_OK;
    arena_init(&all.arena);
    map_init(&all.modules);
    map_init(&all.pages);
    enum err worst = ERR_OK;
    size_t at = 0;
    for (const struct asset *a; (a = asset_next("", &at)) != NULL;) {
        struct str module, file;
        enum err e = ERR_OK;
        if (path_cut(a->path, "/pages/", &module, &file)) {
            if (str_ends(file, STR(".html")))
                e = page_load(a->path, module, file);
        } else if (path_cut(a->path, "/text/", &module, &file)) {
            for (int i = 0; i < LANG_COUNT; i++)
                if (file.n == 7 && str_starts(file, str_from(lang_names[i])) &&
                    str_ends(file, STR(".json")))
                    e = texts_load(a->path, module, i);
        }
        if (e != ERR_OK)
            worst = e;
    }
    all.common = module_get(STR("platform"));
    all.loaded = true;
    return worst;
}

/* ---- rendering ---------------------------------------------------------------------------------
 */

struct place {
    const struct module *module;
    int lang;
};

static int lang_index(const char *lang)
{
    return lang && lang[0] == 'e' && lang[1] == 'n' ? LANG_EN : LANG_FR;
}

static const struct template *text_find(void *arg, struct str key)
{
    const struct place *p = arg;
    const struct template *t = map_get(&p->module->texts[p->lang], key);
    return t ? t : map_get(&all.common->texts[p->lang], key);
}

/* "platform/field", or "line" for a page of the same module. */
static const struct template *page_find(void *arg, struct str name)
{
    const struct place *p = arg;
    char full[200];
    if (str_find_char(name, '/') < 0) {
        if (p->module->name.n + name.n + 1 > sizeof full)
            return NULL;
        memcpy(full, p->module->name.p, p->module->name.n);
        full[p->module->name.n] = '/';
        memcpy(full + p->module->name.n + 1, name.p, name.n);
        name = str_of(full, p->module->name.n + 1 + name.n);
    }
    const struct page *pg = map_get(&all.pages, name);
    return pg ? pg->t : NULL;
}

enum err pages_render(const char *page, const char *lang, const json_t *data, struct buf *out)
{
    const struct page *pg = map_get(&all.pages, str_from(page));
    if (!pg) {
        log_error("page.missing", "page", page);
        return ERR_NOT_FOUND;
    }
    struct place place = {pg->module, lang_index(lang)};
    struct template_env env = {
        .partial = page_find, .text = text_find, .arg = &place, .lang = lang_names[place.lang]};
    return template_render(pg->t, data, &env, out);
}

struct str pages_text(struct arena *a, const char *module, const char *key, const char *lang,
                      const json_t *data)
{
    const struct module *m = map_get(&all.modules, str_from(module));
    struct place place = {m ? m : all.common, lang_index(lang)};
    const struct template *t = text_find(&place, str_from(key));
    if (!t)
        return STR_NONE;
    struct template_env env = {.partial = page_find,
                               .text = text_find,
                               .arg = &place,
                               .lang = lang_names[place.lang],
                               .plain = true,
                               .is_text = true};
    struct buf b;
    buf_init(&b, 64 * 1024);
    struct str s =
        template_render(t, data, &env, &b) == ERR_OK ? arena_dup(a, buf_str(&b)) : STR_NONE;
    buf_free(&b);
    return s;
}

/* ---- checking ----------------------------------------------------------------------------------
 */

struct check {
    void (*missing)(void *arg, const char *page, const char *lang, const char *key);
    void *arg;
    struct arena arena;
    const char *page;
    struct place place;
    size_t n;
};

static void check_report(struct check *c, int lang, struct str key)
{
    c->n++;
    if (c->missing)
        c->missing(c->arg, c->page, lang_names[lang], arena_dupz(&c->arena, key));
}

static void check_tag(void *arg, char kind, struct str name)
{
    struct check *c = arg;
    if (str_eq(name, STR("*")))
        return;
    if (kind == '@' && !text_find(&c->place, name))
        check_report(c, c->place.lang, name);
    if ((kind == '>' || kind == '<') && !page_find(&c->place, name))
        check_report(c, c->place.lang, name);
}

static void check_module(struct check *c, struct module *m, int lang)
{
    size_t at = 0;
    struct str key;
    void *v;
    c->page = m->name.p;
    c->place = (struct place){m, lang};
    while (map_next(&m->texts[lang], &at, &key, &v)) {
        template_walk(v, check_tag, c);
        for (int other = 0; other < LANG_COUNT; other++)
            if (!map_get(&m->texts[other], key))
                check_report(c, other, key);
    }
}

size_t pages_check(void (*missing)(void *arg, const char *page, const char *lang, const char *key),
                   void *arg)
{
    struct check c = {.missing = missing, .arg = arg};
    arena_init(&c.arena);
    struct str name;
    void *v;
    for (int lang = 0; lang < LANG_COUNT; lang++) {
        for (size_t at = 0; map_next(&all.pages, &at, &name, &v);) {
            const struct page *pg = v;
            c.page = pg->name;
            c.place = (struct place){pg->module, lang};
            template_walk(pg->t, check_tag, &c);
        }
        for (size_t at = 0; map_next(&all.modules, &at, &name, &v);)
            check_module(&c, v, lang);
    }
    arena_free(&c.arena);
    return c.n;
}
