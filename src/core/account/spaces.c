/* The spaces of bodies: one account, and from it every one of them. */
#include "base/clock.h"
#include "core/account/account.h"
#include "data/fold.h"

enum { OTHERS_SHOWN = 30, WORTH_SEARCHING = 6 };

static json_t *one_args(struct ctx *c, struct str client_id)
{
    json_t *args = account_person_args(c);
    json_object_set_new(args, "client_id", json_str(client_id));
    return args;
}

static json_t *in_lang(const struct ctx *c, const json_t *two)
{
    return json_string(account_text(c, two));
}

/* Each word of the search begins a word of the space's or the body's name. */
static bool is_called(struct ctx *c, const json_t *space, struct str q)
{
    const json_t *name = json_get(space, "name"), *org = json_get(space, "org_name");
    struct str names =
        text_fold(c->arena, arena_printf(c->arena, "%s %s %s %s", json_get_z(name, "fr", ""),
                                         json_get_z(name, "en", ""), json_get_z(org, "fr", ""),
                                         json_get_z(org, "en", "")));
    struct str rest = text_fold(c->arena, q), word;
    names = arena_printf(c->arena, " " STR_FMT, STR_ARG(names));
    while (rest.n && str_split(&rest, ' ', &word))
        if (word.n && str_find(names, arena_printf(c->arena, " " STR_FMT, STR_ARG(word))) < 0)
            return false;
    return true;
}

/* Those called so; all of them where nothing is searched. *total: before searching. */
static enum err spaces_find(struct ctx *c, struct str q, json_t **out, size_t *total)
{
    json_t *found, *space, *args = account_person_args(c);
    size_t i;
    enum err e = platform_call(c, "identity.spaces", args, &found);
    json_decref(args);
    if (e != ERR_OK)
        return e;
    *total = json_array_size(json_get(found, "items"));
    *out = json_own(&c->pool, json_array());
    json_array_foreach(json_get(found, "items"), i, space)
    {
        if (is_called(c, space, q))
            json_array_append(*out, space);
    }
    return ERR_OK;
}

static json_t *space_item(struct ctx *c, const json_t *space)
{
    const char *id = json_get_z(space, "client_id", "");
    int64_t at_ms = json_get_i64(space, "visited_at", 0);
    json_t *j = json_pack(
        "{s:s,s:o,s:o,s:s,s:b,s:o,s:o}", "id", id, "name", in_lang(c, json_get(space, "name")),
        "org_name", in_lang(c, json_get(space, "org_name")), "url", json_get_z(space, "url", ""),
        "to_tell", json_get_bool(space, "to_tell", false), "action",
        json_str(arena_printf(c->arena, "/account/spaces/%s", id)), "receives",
        json_str(account_fields(c, json_get(space, "receives"))));
    if (json_equal(json_get(j, "name"), json_get(j, "org_name"))) /* a body's only space */
        json_object_del(j, "org_name");
    if (at_ms)
        json_object_set_new(j, "visited",
                            json_str(clock_in_words(c->arena, at_ms, c->lang, false)));
    return j;
}

void account_from(struct ctx *c, json_t *d)
{
    json_t *space, *args;
    struct str from = ctx_query(c, "from");
    if (!from.n)
        return;
    args = one_args(c, from);
    if (platform_call(c, "identity.space", args, &space) == ERR_OK)
        json_object_set_new(d, "from",
                            json_pack("{s:o,s:s}", "name", in_lang(c, json_get(space, "name")),
                                      "url", json_get_z(space, "url", "")));
    json_decref(args);
}

static void list_put(json_t *d, const char *name, json_t *items)
{
    if (json_array_size(items))
        json_object_set_new(d, name, json_pack("{s:O}", "items", items));
}

enum err account_page_spaces(struct ctx *c)
{
    json_t *found, *space, *mine = json_own(&c->pool, json_array()),
                           *others = json_own(&c->pool, json_array());
    struct str q = str_trim(ctx_query(c, "q"));
    size_t i, total, more = 0;
    enum err e = spaces_find(c, q, &found, &total);
    if (e != ERR_OK)
        return e;
    json_array_foreach(found, i, space)
    {
        bool opened = json_get_i64(space, "visited_at", 0) > 0;
        if (!opened && json_array_size(others) == OTHERS_SHOWN) {
            more++;
            continue;
        }
        json_array_append_new(opened ? mine : others, space_item(c, space));
        if (!opened && json_get_bool(space, "to_tell", false))
            ctx_form_action(c, json_get_str(space, "url"));
    }
    size_t n = json_array_size(found);
    json_t *d = json_pack("{s:o,s:i,s:b,s:i,s:b}", "q", json_str(q), "found", (int)n, "one", n == 1,
                          "more", (int)more, "searchable", total >= WORTH_SEARCHING);
    list_put(d, "mine", mine);
    list_put(d, "others", others);
    account_from(c, d);
    return ctx_page(c, "account/spaces", d);
}

enum err account_page_space_open(struct ctx *c)
{
    json_t *space, *args = one_args(c, ctx_path(c, "id"));
    enum err e = platform_call(c, "identity.space_open", args, &space);
    json_decref(args);
    return e == ERR_OK ? ctx_redirect(c, json_get_str(space, "url")) : e;
}

enum err account_api_spaces(struct ctx *c)
{
    json_t *found;
    size_t total;
    enum err e = spaces_find(c, str_trim(ctx_query(c, "q")), &found, &total);
    return e == ERR_OK ? ctx_json(c, 200, json_pack("{s:O}", "items", found)) : e;
}
