/* /openapi.json: the routes table said in OpenAPI 3.0.3, so that the description cannot drift from
 * the program. The portal describes the portal's routes, a site its own; the published APIs of
 * other bodies are in it too, where the gateway serves them. */
#include "platform/openapi.h"

#include <ctype.h>
#include "platform/boot.h"

static json_t *two_words(const char *a, const char *b)
{
    return json_pack("{s:s}", a, b);
}

/* ---- one operation -----------------------------------------------------------------------------
 */
/* "account.get_account_uses_id": unique as method and path are, readable in generated clients. */
static json_t *operation_id(struct arena *a, const char *service, const struct route *r)
{
    struct buf b;
    buf_init(&b, 512);
    buf_printf(&b, "%s.", service);
    for (const char *p = r->method; *p; p++)
        buf_add_char(&b, (char)tolower((unsigned char)*p));
    for (const char *p = r->path; *p; p++)
        if (isalnum((unsigned char)*p))
            buf_add_char(&b, *p);
        else if (b.n && b.p[b.n - 1] != '_' && p[1])
            buf_add_char(&b, '_');
    struct str id = arena_dup(a, buf_str(&b));
    buf_free(&b);
    return json_string(id.p);
}

static json_t *parameter(const char *name, size_t n, const char *where)
{
    return json_pack("{s:s#, s:s, s:b, s:o}", "name", name, (int)n, "in", where, "required", 1,
                     "schema", two_words("type", "string"));
}

/* {names} of the path. */
static json_t *parameters(const char *path)
{
    json_t *list = json_array();
    for (const char *p = path; (p = strchr(p, '{')) != NULL; p++) {
        const char *end = strchr(p, '}');
        if (end)
            json_array_append_new(
                list, parameter(p + 1, (size_t)(end - p - 1 - (end[-1] == '*')), "path"));
    }
    return list;
}

/* Operations for a person's or an agent's token take their form as JSON (api.h). */
static bool token_form(const struct route *r)
{
    return r->flags & ROUTE_API && (r->role == ROLE_USER || r->role == ROLE_AGENT);
}

static json_t *security(const struct route *r)
{
    static const char *const schemes[ROLE_COUNT] = {[ROLE_USER] = "personSession",
                                                    [ROLE_AGENT] = "agentSession",
                                                    [ROLE_ADMIN] = "operatorSession",
                                                    [ROLE_CLIENT] = "client",
                                                    [ROLE_AUDITOR] = "operatorSession"};
    const char *scheme = token_form(r) ? "accessToken" : schemes[r->role];
    return scheme ? json_pack("[{s:[]}]", scheme) : json_array();
}

static json_t *responses(const struct route *r)
{
    bool api = r->flags & ROUTE_API, posts = strcmp(r->method, "POST") == 0;
    json_t *list = json_object();
    if (api || !posts)
        json_object_set_new(list, "200",
                            json_pack("{s:s, s:{s:{}}}", "description", "The answer.", "content",
                                      api ? "application/json" : "text/html"));
    if (!api && (posts || r->role != ROLE_PUBLIC))
        json_object_set_new(list, "303",
                            two_words("description", posts ? "Done: the next page."
                                                           : "Not signed in: to the sign-in."));
    json_object_set_new(list, "default", two_words("$ref", "#/components/responses/Problem"));
    return list;
}

/* Who may ask, in words. */
static const char *description(const struct route *r)
{
    static const char *const who[ROLE_COUNT] = {
        [ROLE_PUBLIC] = "For everybody.",
        [ROLE_USER] = "For a person signed in: with a session on the page, with an access token "
                      "where the operation is an API's.",
        [ROLE_AGENT] = "For an agent of the site's organisation: with a session on the page, with "
                       "an access token where the operation is an API's.",
        [ROLE_ADMIN] = "For the platform's operator.",
        [ROLE_CLIENT] = "For a program, which the operation itself authenticates.",
        [ROLE_AUDITOR] = "For an auditor of the journal, or the platform's operator."};
    return who[r->role];
}

static json_t *operation(struct arena *a, const char *service, const struct route *r)
{
    json_t *op = json_pack("{s:o, s:s, s:s, s:[s], s:o, s:o, s:o}", "operationId",
                           operation_id(a, service, r), "summary", r->help, "description",
                           description(r), "tags", service, "parameters", parameters(r->path),
                           "security", security(r), "responses", responses(r));
    if (strcmp(r->method, "POST") == 0)
        json_object_set_new(
            op, "requestBody",
            json_pack("{s:{s:{s:{s:s}}}}", "content",
                      token_form(r) ? "application/json" : "application/x-www-form-urlencoded",
                      "schema", "type", "object"));
    return op;
}

/* ---- all of them -------------------------------------------------------------------------------
 */
static json_t *path_item(json_t *paths, const char *path)
{
    json_t *item = json_object_get(paths, path);
    if (!item) {
        item = json_object();
        json_object_set_new(paths, path, item);
    }
    return item;
}

static void add_routes(struct ctx *c, json_t *paths)
{
    const struct service *s;
    for (size_t i = 0; (s = boot_service(i)) != NULL; i++) {
        for (size_t k = 0; k < s->n_routes; k++) {
            const struct route *r = &s->routes[k];
            char method[16];
            size_t n = 0;
            if (r->site != SITE_ANY && r->site != c->site->kind)
                continue;
            for (; r->method[n] && n < sizeof method - 1; n++)
                method[n] = (char)tolower((unsigned char)r->method[n]);
            method[n] = '\0';
            char *path = arena_dupz(c->arena, str_from(r->path)), *star = strchr(path, '*');
            if (star)
                memmove(star, star + 1, strlen(star));
            json_object_set_new(path_item(paths, path), method, operation(c->arena, s->name, r));
        }
    }
}

/* The gateway is no route of the table: it stays in the loop. */
static void add_gateway(struct ctx *c, json_t *paths)
{
    json_t *out, *api;
    size_t i;
    if (c->site->kind != SITE_PORTAL || platform_call(c, "exchange.apis", NULL, &out) != ERR_OK)
        return;
    json_array_foreach(json_get(out, "items"), i, api)
    {
        const char *id = json_get_z(api, "id", ""), *version = json_get_z(api, "version", "");
        const char *path = arena_printf(c->arena, "/gw/%s/%s/{path}", id, version).p;
        json_t *op =
            json_pack("{s:s, s:s, s:s, s:[s], s:[o], s:[{s:[]}], s:{s:{s:s}, s:{s:s}}}",
                      "operationId", arena_printf(c->arena, "gateway.get_%s_%s", id, version).p,
                      "summary", json_get_z(json_get(api, "title"), "en", id), "description",
                      arena_printf(c->arena, "For a program with an access token of the scope %s.",
                                   json_get_z(api, "scope", ""))
                          .p,
                      "tags", "gateway", "parameters", parameter("path", 4, "path"), "security",
                      "accessToken", "responses", "200", "description",
                      "The provider's answer, cut down to the contract.", "default", "$ref",
                      "#/components/responses/Problem");
        if (op)
            json_object_set_new(path_item(paths, path), "get", op);
    }
}

static const char components[] =
    "{\"securitySchemes\":{"
    "\"personSession\":{\"type\":\"apiKey\",\"in\":\"cookie\",\"name\":\"socle\","
    "\"description\":\"A person signed in on this site.\"},"
    "\"agentSession\":{\"type\":\"apiKey\",\"in\":\"cookie\",\"name\":\"socle_org\","
    "\"description\":\"An agent of the site's organisation.\"},"
    "\"operatorSession\":{\"type\":\"apiKey\",\"in\":\"cookie\",\"name\":\"socle\","
    "\"description\":\"An operator of the platform, or an auditor.\"},"
    "\"client\":{\"type\":\"http\",\"scheme\":\"basic\","
    "\"description\":\"A registered client; each operation says how it authenticates.\"},"
    "\"accessToken\":{\"type\":\"http\",\"scheme\":\"bearer\",\"bearerFormat\":\"at+jwt\"}},"
    "\"schemas\":{\"Problem\":{\"type\":\"object\",\"description\":\"RFC 9457\",\"required\":"
    "[\"type\",\"title\",\"status\",\"code\",\"trace\"],\"properties\":{"
    "\"type\":{\"type\":\"string\",\"format\":\"uri\"},\"title\":{\"type\":\"string\"},"
    "\"status\":{\"type\":\"integer\"},\"code\":{\"type\":\"string\"},"
    "\"detail\":{\"type\":\"string\"},\"trace\":{\"type\":\"string\"}}}},"
    "\"responses\":{\"Problem\":{\"description\":\"What went wrong, and its stable code.\","
    "\"content\":{\"application/problem+json\":{\"schema\":{\"$ref\":"
    "\"#/components/schemas/Problem\"}}}}}}";

static json_t *tags(void)
{
    json_t *list = json_array();
    const struct service *s;
    for (size_t i = 0; (s = boot_service(i)) != NULL; i++)
        json_array_append_new(list, two_words("name", s->name));
    json_array_append_new(list, two_words("name", "gateway"));
    return list;
}

enum err openapi_page(struct ctx *c)
{
    json_t *shared, *paths = json_object();
    enum err e = json_read(str_from(components), &shared, NULL);
    if (e != ERR_OK) {
        json_decref(paths);
        return e;
    }
    add_routes(c, paths);
    add_gateway(c, paths);
    const struct str name = strcmp(c->lang, "en") == 0 ? c->site->name_en : c->site->name_fr;
    return ctx_json(c, 200,
                    json_pack("{s:s, s:{s:s#, s:s, s:s, s:{s:s, s:o}}, s:[{s:s#}], s:o, s:o, s:o}",
                              "openapi", "3.0.3", "info", "title", name.p, (int)name.n, "version",
                              SOCLE_VERSION, "description",
                              "Every operation of this site, generated from the "
                              "table that serves it.",
                              "contact", "name", c->pf->settings->brand_name, "url",
                              json_string(portal_url(c, "/legal").p), "servers", "url",
                              c->site->base_url.p, (int)c->site->base_url.n, "tags", tags(),
                              "paths", paths, "components", shared));
}
