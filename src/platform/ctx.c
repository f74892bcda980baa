/* Reading a request and preparing its answer. */
#include "platform/ctx.h"

#include <stdlib.h>
#include "base/clock.h"
#include "platform/boot.h"
#include "web/pages.h"

enum { LATER_MAX_MS = 8000 };

struct ctx *ctx_make(struct platform *pf, struct arena *a)
{
    struct ctx *c = arena_new(a, struct ctx);
    c->pf = pf;
    c->arena = a;
    c->lang = "fr";
    buf_init(&c->form_action, 2048);
    return c;
}

void ctx_free(struct ctx *c)
{
    if (c->session)
        json_decref(c->session->data);
    json_decref(c->page_data);
    json_decref(c->fault_extra);
    c->session = NULL;
    c->page_data = c->fault_extra = NULL;
    buf_free(&c->form_action);
    json_pool_free(&c->pool);
}

struct str ctx_path(const struct ctx *c, const char *name)
{
    const char *p = c->route ? c->route->path : "";
    size_t n = strlen(name);
    for (size_t i = 0; (p = strchr(p, '{')) != NULL && i < COUNT_OF(c->path_value); i++, p++)
        if (strncmp(p + 1, name, n) == 0 && (p[1 + n] == '}' || p[1 + n] == '*'))
            return c->path_value[i];
    return STR_NONE;
}

struct str ctx_query(const struct ctx *c, const char *name)
{
    return form_get(&c->query, name);
}

struct str ctx_form(const struct ctx *c, const char *name)
{
    return form_get(&c->form, name);
}

struct str ctx_header(const struct ctx *c, const char *name)
{
    return c->rq ? http_header_get(c->rq->head, name) : STR_NONE;
}

enum err ctx_page(struct ctx *c, const char *page, json_t *data)
{
    json_decref(c->page_data);
    c->page = page;
    c->page_data = data ? data : json_object();
    return ERR_OK;
}

enum err ctx_json(struct ctx *c, int status, json_t *body)
{
    c->rs->status = status;
    web_header(c->rs, "Content-Type", STR("application/json"));
    web_header(c->rs, "Cache-Control", STR("no-store"));
    json_write(&c->rs->body, body);
    json_decref(body);
    return c->rs->body.err;
}

enum err ctx_text(struct ctx *c, int status, const char *content_type, struct str body)
{
    c->rs->status = status;
    web_header(c->rs, "Content-Type", str_from(content_type));
    buf_add_str(&c->rs->body, body);
    return c->rs->body.err;
}

enum err ctx_redirect(struct ctx *c, struct str location)
{
    c->rs->status = 303;
    web_header(c->rs, "Location", arena_dup(c->arena, location));
    web_header(c->rs, "Cache-Control", STR("no-store"));
    return ERR_OK;
}

/* Browsers drop tabs and line ends from an address, and read '\\' as '/': none of these passes. */
bool path_is_ours(struct str to)
{
    if (to.n == 0 || to.n > 2000 || to.p[0] != '/' || (to.n > 1 && to.p[1] == '/'))
        return false;
    for (size_t i = 0; i < to.n; i++)
        if ((unsigned char)to.p[i] <= ' ' || to.p[i] == '\\' || to.p[i] == 127)
            return false;
    return true;
}

void ctx_form_action(struct ctx *c, struct str url)
{
    ptrdiff_t scheme = str_find(url, STR("://"));
    if (scheme < 0)
        return;
    struct str rest = str_after(url, (size_t)scheme + 3);
    size_t n = 0;
    while (n < rest.n && rest.p[n] != '/' && rest.p[n] != '?' && rest.p[n] != '#')
        n++;
    buf_add_char(&c->form_action, ' ');
    buf_add(&c->form_action, url.p, (size_t)scheme + 3 + n);
}

static bool is_secure(const struct ctx *c)
{
    return strncmp(c->pf->settings->base_url, "https:", 6) == 0;
}

void ctx_cookie(struct ctx *c, const char *name, struct str value, int64_t max_age_s)
{
    web_header(c->rs, "Set-Cookie", cookie_make(c->arena, name, value, is_secure(c), max_age_s));
}

struct str ctx_cookie_get(const struct ctx *c, const char *name)
{
    return cookie_get(ctx_header(c, "Cookie"), cookie_name(c->arena, name, is_secure(c)));
}

void ctx_await(struct ctx *c, void (*begin)(struct ctx *c, void *arg), void *arg)
{
    c->await = begin;
    c->await_arg = arg;
}

bool ctx_later(struct ctx *c)
{
    c->rs->later = clock_mono_ms() - c->rq->came_ms < LATER_MAX_MS;
    return c->rs->later;
}

enum err ctx_fail(struct ctx *c, const struct fault *f, enum err e, struct str detail)
{
    c->fault = *f;
    c->fault_detail = detail.p ? arena_dup(c->arena, detail) : STR_NONE;
    return e;
}

struct str ctx_url(struct ctx *c, const char *path)
{
    if (!c->site)
        return portal_url(c, path);
    return arena_printf(c->arena, STR_FMT "%s", STR_ARG(c->site->base_url), path);
}

struct str portal_url(struct ctx *c, const char *path)
{
    return arena_printf(c->arena, "%s%s", c->pf->settings->base_url, path);
}

enum err org_name(struct ctx *c, struct str org_id, const char *lang, struct str *name)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    if (!db)
        return ERR_UNAVAILABLE;
    enum err e = db_query_one(
        db, c->arena, &r, "SELECT name_fr, name_en FROM organisation WHERE id = $1", "s", org_id);
    if (e == ERR_OK)
        *name = db_str(&r, 0, strcmp(lang, "en") == 0 ? 1 : 0);
    return e;
}

enum err platform_call(struct ctx *c, const char *name, const json_t *args, json_t **out)
{
    const struct service *s;
    *out = NULL;
    for (size_t i = 0; (s = boot_service(i)) != NULL; i++) {
        for (size_t k = 0; k < s->n_calls; k++) {
            if (strcmp(s->calls[k].name, name) != 0)
                continue;
            enum err e = s->calls[k].fn(c, args, out);
            if (*out)
                json_own(&c->pool, *out);
            return e;
        }
    }
    return ERR_NOT_FOUND;
}
