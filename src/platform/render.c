/* Pages and errors. Every page gets the same frame, so that no module can forget the language
 * switch, the way out or the security headers. */
#include "platform/render.h"

#include "base/log.h"
#include "platform/boot.h"
#include "web/pages.h"

void render_language(struct ctx *c)
{
    struct str q = STR_NONE;
    struct str rest = c->rq->query, part;
    while (rest.p && rest.n && str_split(&rest, '&', &part))
        if (str_starts(part, STR("lang=")))
            q = str_after(part, 5);
    if (str_eq_z(q, "fr") || str_eq_z(q, "en")) {
        c->lang = str_eq_z(q, "en") ? "en" : "fr";
        ctx_cookie(c, "lang", str_from(c->lang), 365 * 86400);
        return;
    }
    struct str kept = ctx_cookie_get(c, "lang");
    if (kept.p) {
        c->lang = str_eq_z(kept, "en") ? "en" : "fr";
        return;
    }
    /* The first language that is ours; weights are ignored, as people rarely set them. */
    struct str accept = ctx_header(c, "Accept-Language");
    ptrdiff_t fr = str_find(accept, STR("fr")), en = str_find(accept, STR("en"));
    c->lang = accept.p && en >= 0 && (fr < 0 || en < fr) ? "en" : "fr";
}

static void headers(struct ctx *c)
{
    struct str csp = arena_printf(
        c->arena,
        "default-src 'none'; %sstyle-src 'self'; img-src 'self'; form-action 'self'" STR_FMT
        "; frame-ancestors 'none'; base-uri 'none'",
        c->script ? "script-src 'self'; " : "", STR_ARG(buf_str(&c->form_action)));
    web_header(c->rs, "Content-Type", STR("text/html; charset=utf-8"));
    web_header(c->rs, "Content-Security-Policy", csp);
    web_header(c->rs, "X-Content-Type-Options", STR("nosniff"));
    web_header(c->rs, "Referrer-Policy", STR("same-origin"));
    web_header(c->rs, "Cache-Control", STR("no-store"));
    web_header(c->rs, "Content-Language", str_from(c->lang));
    web_header(c->rs, "Cross-Origin-Opener-Policy", STR("same-origin"));
    web_header(c->rs, "Permissions-Policy", STR("camera=(), microphone=(), geolocation=()"));
}

static json_t *jstr(struct str s)
{
    json_t *v = json_stringn(s.p ? s.p : "", s.n);
    return v ? v : json_string("");
}

/* This page in the other language: the same query with lang set anew. */
static struct str other_lang_url(struct ctx *c)
{
    struct str url = c->rq->path, rest = c->rq->query, part;
    const char *sep = "?";
    if ((c->rq->method == HTTP_POST && !c->route) || !path_is_ours(url))
        url = STR("/"); /* "//elsewhere" would lead there */
    while (rest.p && rest.n && str_split(&rest, '&', &part)) {
        if (str_starts(part, STR("lang=")) || part.n == 0)
            continue;
        url = arena_printf(c->arena, STR_FMT "%s" STR_FMT, STR_ARG(url), sep, STR_ARG(part));
        sep = "&";
    }
    return arena_printf(c->arena, STR_FMT "%slang=%s", STR_ARG(url), sep,
                        strcmp(c->lang, "fr") == 0 ? "en" : "fr");
}

static json_t *user(struct ctx *c)
{
    if (!c->session)
        return json_false();
    json_t *u = json_object();
    json_object_set_new(u, "name", json_string(json_get_z(c->session->data, "name", "")));
    json_object_set_new(u, "sign_out_url", json_string("/deconnexion"));
    json_object_set_new(u, "is_agent", json_boolean(c->session->role == ROLE_AGENT));
    return u;
}

static json_t *nav_item(struct ctx *c, const struct nav_item *n)
{
    const char *slash = strchr(n->text_key, '/');
    bool here = c->site && (n->site == SITE_ANY || n->site == c->site->kind);
    if (!here || !slash || (n->where && !n->where(c->pf, c->site)))
        return NULL;
    char *module = arena_dupz(c->arena, str_of(n->text_key, (size_t)(slash - n->text_key)));
    return json_pack("{s:s,s:o}", "url", n->url, "label",
                     jstr(pages_text(c->arena, module, slash + 1, c->lang, NULL)));
}

static void nav_add(struct ctx *c, json_t *list, bool all)
{
    const struct service *s;
    for (size_t i = 0; (s = boot_service(i)) != NULL; i++) {
        for (size_t k = 0; k < s->n_nav; k++) {
            enum role role = s->nav[k].role;
            bool mine = role == ROLE_PUBLIC || (c->session && role_may(c->session->role, role));
            json_t *item = all || mine ? nav_item(c, &s->nav[k]) : NULL;
            if (!item)
                continue;
            json_object_set_new(item, "current",
                                json_boolean(str_eq_z(c->rq->path, s->nav[k].url)));
            json_array_append_new(list, item);
        }
    }
}

void render_nav(struct ctx *c, json_t *list)
{
    nav_add(c, list, true);
}

static json_t *nav(struct ctx *c)
{
    json_t *list = json_array();
    nav_add(c, list, false);
    return list;
}

static void common(struct ctx *c, json_t *d)
{
    const struct settings *s = c->pf->settings;
    bool en = strcmp(c->lang, "en") == 0;
    json_t *brand = json_object();
    json_object_set_new(brand, "name", json_string(s->brand_name));
    json_object_set_new(brand, "note", json_string(s->brand_note));
    json_object_set_new(
        brand, "help_line",
        s->demo && !*s->help_line
            ? jstr(pages_text(c->arena, "platform", "site.demo_help", c->lang, NULL))
            : json_string(s->help_line));
    json_object_set_new(brand, "demo", json_boolean(s->demo));
    json_object_set_new(brand, "publisher", json_string(s->publisher));
    json_object_set_new(brand, "director", json_string(s->publication_director));
    json_object_set_new(brand, "host", json_string(s->site_host));
    json_object_set_new(d, "brand", brand);
    json_t *items = nav(c);
    if (json_array_size(items))
        json_object_set_new(d, "nav", json_pack("{s:o}", "items", items));
    else
        json_decref(items);
    json_object_set_new(d, "asset_version", json_string(SOCLE_VERSION));
    json_object_set_new(d, "lang", json_string(c->lang));
    json_object_set_new(d, "is_en", json_boolean(en));
    json_object_set_new(d, "other_lang", json_string(en ? "fr" : "en"));
    json_object_set_new(d, "other_lang_url", jstr(other_lang_url(c)));
    json_object_set_new(d, "user", user(c));
    json_object_set_new(d, "csrf", jstr(c->session ? c->session->csrf : STR("")));
    json_object_set_new(d, "trace_id", json_string(c->trace_id));
    json_object_set_new(d, "is_portal", json_boolean(c->site && c->site->kind == SITE_PORTAL));
    json_object_set_new(d, "home_url", json_string("/"));
    json_object_set_new(d, "portal_url", json_string(s->base_url));
    struct str name = !c->site ? str_from(s->brand_name) : en ? c->site->name_en : c->site->name_fr;
    json_object_set_new(d, "site_name", jstr(name));
    json_object_set_new(d, "path", jstr(c->rq->path));
}

enum err render_page(struct ctx *c)
{
    if (!c->page)
        return ERR_OK;
    common(c, c->page_data);
    headers(c);
    enum err e = pages_render(c->page, c->lang, c->page_data, &c->rs->body);
    return e == ERR_OK ? c->rs->body.err : e;
}

struct common_fault {
    enum err e;
    struct fault fault;
};
static const struct common_fault common_faults[] = {
    {ERR_INVALID, {"SOC-400", 400, "platform", "Bad Request"}},
    {ERR_NOT_FOUND, {"SOC-404", 404, "platform", "Not Found"}},
    {ERR_EXISTS, {"SOC-409", 409, "platform", "Conflict"}},
    {ERR_CONFLICT, {"SOC-409", 409, "platform", "Conflict"}},
    {ERR_DENIED, {"SOC-403", 403, "platform", "Forbidden"}},
    {ERR_LIMIT, {"SOC-413", 413, "platform", "Too Large"}},
    {ERR_TIMEOUT, {"SOC-504", 504, "platform", "Timeout"}},
    {ERR_UNAVAILABLE, {"SOC-503", 503, "platform", "Unavailable"}},
    {ERR_FULL, {"SOC-507", 507, "platform", "Insufficient Storage"}},
};

static struct fault fault_of(enum err e)
{
    for (size_t i = 0; i < COUNT_OF(common_faults); i++)
        if (common_faults[i].e == e)
            return common_faults[i].fault;
    return (struct fault){"SOC-500", 500, "platform", "Internal Error"};
}

/* A text of the fault: its own, else the one of its status, else the one for all. */
static struct str fault_text(struct ctx *c, const char *part)
{
    const struct fault *f = &c->fault;
    struct str key = arena_printf(c->arena, "error.%s.%s", f->code, part);
    struct str text = pages_text(c->arena, f->module, key.p, c->lang, c->fault_extra);
    if (text.n && text.p[0] != '[')
        return text;
    key = arena_printf(c->arena, "error.%d.%s", f->status, part);
    text = pages_text(c->arena, "platform", key.p, c->lang, NULL);
    if (text.n && text.p[0] != '[')
        return text;
    key = arena_printf(c->arena, "error.any.%s", part);
    return pages_text(c->arena, "platform", key.p, c->lang, NULL);
}

static bool wants_page(const struct ctx *c)
{
    if (c->route && c->route->flags & ROUTE_API)
        return false;
    struct str accept = ctx_header(c, "Accept");
    return !c->route ? str_find(accept, STR("text/html")) >= 0
                     : str_find(accept, STR("application/json")) < 0;
}

static void problem(struct ctx *c)
{
    json_t *p = c->fault_extra ? json_copy(c->fault_extra) : json_object();
    struct str type =
        arena_printf(c->arena, "%s/erreurs/%s", c->pf->settings->base_url, c->fault.code);
    json_object_set_new(p, "type", jstr(type));
    json_object_set_new(p, "title", json_string(c->fault.title));
    json_object_set_new(p, "status", json_integer(c->fault.status));
    json_object_set_new(p, "code", json_string(c->fault.code));
    if (c->fault_detail.p)
        json_object_set_new(p, "detail", jstr(c->fault_detail));
    json_object_set_new(p, "trace", json_string(c->trace_id));
    web_header(c->rs, "Content-Type", STR("application/problem+json"));
    web_header(c->rs, "Cache-Control", STR("no-store"));
    json_write(&c->rs->body, p);
    json_decref(p);
}

void render_fault(struct ctx *c, enum err e)
{
    if (!c->fault.code)
        c->fault = fault_of(e);
    c->rs->status = c->fault.status;
    c->rs->n_headers = 0;
    buf_reset(&c->rs->body);
    unsigned wait_s = c->retry_after_s         ? c->retry_after_s
                      : c->fault.status == 503 ? 2
                      : c->fault.status == 429 ? 60
                                               : 0;
    if (wait_s)
        web_header(c->rs, "Retry-After", arena_printf(c->arena, "%u", wait_s));
    if (c->fault.status == 401) /* RFC 6750 3 */
        web_header(c->rs, "WWW-Authenticate",
                   ctx_header(c, "Authorization").p ? STR("Bearer error=\"invalid_token\"")
                                                    : STR("Bearer"));
    if (!wants_page(c)) {
        problem(c);
        return;
    }
    json_t *d = json_object();
    json_object_set_new(d, "title", jstr(fault_text(c, "title")));
    json_object_set_new(d, "meaning", jstr(fault_text(c, "meaning")));
    json_object_set_new(d, "action", jstr(fault_text(c, "action")));
    json_object_set_new(d, "code", json_string(c->fault.code));
    json_object_set_new(d, "status", json_integer(c->fault.status));
    common(c, d);
    headers(c);
    bool lost = strcmp(c->fault.code, "SOC-404") == 0;
    if (pages_render(lost ? "platform/not_found" : "platform/error", c->lang, d, &c->rs->body) !=
        ERR_OK) {
        log_error("error_page_failed", "trace", c->trace_id);
        buf_reset(&c->rs->body);
        buf_printf(&c->rs->body, "<!doctype html><title>%s</title><p>%s (%s)</p>", c->fault.title,
                   c->fault.code, c->trace_id);
    }
    json_decref(d);
}
