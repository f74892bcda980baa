/* The services that may read while she is away, and how she ends it: the page and its twin. */
#include "core/identity/schema.h"

#include "base/clock.h"

static enum err grants_of(struct ctx *c, json_t **out)
{
    json_t *args = json_pack("{s:s%}", "person", c->session->subject.p, c->session->subject.n);
    enum err e = identity_call_grants(c, args, out);
    json_decref(args);
    if (e == ERR_OK)
        json_own(&c->pool, *out);
    return e;
}

static void words_put(struct ctx *c, json_t *item, const char *name, const char *from)
{
    int64_t at_ms = json_get_i64(item, from, 0);
    struct str s = clock_in_words(c->arena, at_ms, c->lang, false);
    json_object_set_new(item, name, json_stringn(s.p, s.n));
}

/* GET /account/access */
enum err identity_grants(struct ctx *c)
{
    json_t *found, *item;
    size_t i;
    enum err e = grants_of(c, &found);
    if (e != ERR_OK)
        return e;
    json_t *items = json_get(found, "items"), *d = json_object();
    json_array_foreach(items, i, item)
    {
        json_object_set(item, "to", json_get(json_get(item, "name"), c->lang));
        words_put(c, item, "given", "created_at");
        words_put(c, item, "used", "used_at");
        words_put(c, item, "until", "until_at");
        json_object_set_new(
            item, "action",
            json_string(
                arena_printf(c->arena, "/account/access/%s/end", json_get_z(item, "id", "")).p));
    }
    if (json_array_size(items))
        json_object_set_new(d, "active", json_pack("{s:O}", "items", items));
    return ctx_page(c, "identity/grants", d);
}

static enum err end(struct ctx *c)
{
    json_t *done;
    struct str id = ctx_path(c, "id");
    json_t *args = json_pack("{s:s%,s:s%}", "person", c->session->subject.p, c->session->subject.n,
                             "id", id.p, id.n);
    enum err e = identity_call_grant_end(c, args, &done);
    json_decref(args);
    if (e == ERR_OK)
        json_own(&c->pool, done);
    return e;
}

/* POST /account/access/{id}/end. What has ended already, or was never hers, is not on the list. */
enum err identity_grant_end_post(struct ctx *c)
{
    enum err e = end(c);
    return e == ERR_OK || e == ERR_NOT_FOUND ? ctx_redirect(c, portal_url(c, "/account/access"))
                                             : e;
}

enum err identity_api_grants(struct ctx *c)
{
    json_t *found;
    enum err e = grants_of(c, &found);
    return e == ERR_OK ? ctx_json(c, 200, json_incref(found)) : e;
}

enum err identity_api_grant_end(struct ctx *c)
{
    enum err e = end(c);
    return e == ERR_OK ? ctx_json(c, 200, json_object()) : e;
}
