#include "platform/errors.h"

#include "web/pages.h"

/* Names of OAuth and OpenID Connect that our endpoints answer with. */
static const char *const oauth[] = {
    "access_denied",
    "consent_required",
    "insufficient_scope",
    "invalid_client",
    "invalid_dpop_proof",
    "invalid_grant",
    "invalid_request",
    "invalid_request_object",
    "invalid_request_uri",
    "invalid_scope",
    "invalid_token",
    "login_required",
    "registration_not_supported",
    "request_not_supported",
    "request_uri_not_supported",
    "server_error",
    "temporarily_unavailable",
    "unauthorized_client",
    "unsupported_grant_type",
    "unsupported_response_type",
};

static const struct error_code *find(struct str code)
{
    for (const struct error_code *e = error_codes; e->code; e++)
        if (str_eq_z(code, e->code))
            return e;
    return NULL;
}

/* Its own words, else those of its status. */
static struct str words(struct ctx *c, const struct error_code *e, const char *part)
{
    struct str key = arena_printf(c->arena, "error.%s.%s", e->code, part);
    struct str text = pages_text(c->arena, e->module, key.p, c->lang, NULL);
    if (text.n)
        return text;
    key = arena_printf(c->arena, "error.%d.%s", e->status, part);
    text = pages_text(c->arena, "platform", key.p, c->lang, NULL);
    if (text.n)
        return text;
    return pages_text(c->arena, "platform", arena_printf(c->arena, "error.any.%s", part).p, c->lang,
                      NULL);
}

static json_t *row(struct ctx *c, const struct error_code *e)
{
    struct str url = arena_printf(c->arena, "/erreurs/%s", e->code);
    return json_pack("{s:s,s:i,s:o,s:o}", "code", e->code, "status", e->status, "title",
                     json_str(words(c, e, "title")), "url", json_str(url));
}

enum err error_list(struct ctx *c)
{
    json_t *items = json_array();
    for (const struct error_code *e = error_codes; e->code; e++)
        json_array_append_new(items, row(c, e));
    return ctx_page(c, "platform/errors", json_pack("{s:o}", "codes", items));
}

enum err error_page(struct ctx *c)
{
    struct str code = ctx_path(c, "code");
    const struct error_code *e = find(code);
    struct error_code name = {NULL, 400, "platform"};
    for (size_t i = 0; !e && i < COUNT_OF(oauth); i++)
        if (str_eq_z(code, oauth[i])) {
            name.code = oauth[i];
            e = &name;
        }
    if (!e)
        return ERR_NOT_FOUND;
    json_t *d = row(c, e);
    if (e == &name)
        json_object_del(d, "status");
    json_object_set_new(d, "meaning", json_str(words(c, e, "meaning")));
    json_object_set_new(d, "action", json_str(words(c, e, "action")));
    return ctx_page(c, "platform/error_code", d);
}
