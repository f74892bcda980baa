/* Objections as the person and the data officer meet them; each page has its twin. */
#include "core/account/objections.h"

#include "base/clock.h"
#include "web/pages.h"

static const struct fault f_words = {"ACC-422-WORDS", 422, "account", "Words Needed"};
static const struct fault f_exists = {"ACC-409-OBJECTION", 409, "account", "Already Objected"};
static const struct fault f_officer = {"ACC-403-OFFICER", 403, "account", "For The Data Officer"};

/* ---- the person ---------------------------------------------------------------------------------
 */
static enum err form(struct ctx *c, bool empty)
{
    struct use use;
    enum err e = account_use_find(c, &use);
    if (e != ERR_OK)
        return e;
    json_t *d =
        json_pack("{s:o,s:o,s:b}", "use", account_use_json(c, &use), "back_url",
                  json_str(arena_printf(c->arena, "/account/uses/" STR_FMT, STR_ARG(use.entry))),
                  "missing", empty);
    json_object_del(json_get(d, "use"), "proof_url");
    if (empty) {
        struct str text = pages_text(c->arena, "account", "objection.missing", c->lang, NULL);
        json_object_set_new(
            d, "error_summary",
            json_pack("{s:[{s:s,s:o}]}", "items", "id", "reason", "text", json_str(text)));
        c->rs->status = 422;
    }
    return ctx_page(c, "account/objection", d);
}

enum err objection_page_form(struct ctx *c)
{
    return form(c, false);
}

static enum err open_it(struct ctx *c, struct str *id)
{
    struct use use;
    struct str words = str_trim(ctx_form(c, "reason"));
    enum err e = account_use_find(c, &use);
    if (e == ERR_OK && !objection_words_ok(words))
        return ctx_fail(c, &f_words, ERR_INVALID, STR_NONE);
    if (e == ERR_OK)
        e = objection_open(c, &use, words, id);
    return e == ERR_EXISTS ? ctx_fail(c, &f_exists, e, STR_NONE) : e;
}

enum err objection_page_post(struct ctx *c)
{
    struct str id;
    if (!objection_words_ok(str_trim(ctx_form(c, "reason"))))
        return form(c, true);
    enum err e = open_it(c, &id);
    return e == ERR_OK || e == ERR_EXISTS ? ctx_redirect(c, STR("/account/objections")) : e;
}

enum err objection_api_post(struct ctx *c)
{
    struct str id;
    enum err e = open_it(c, &id);
    return e == ERR_OK
               ? ctx_json(c, 201, json_pack("{s:o,s:s}", "id", json_str(id), "state", "open"))
               : e;
}

/* Days in words, and whether there is an answer. */
static void in_words(struct ctx *c, json_t *list)
{
    json_t *one;
    size_t i;
    json_array_foreach(list, i, one)
    {
        int64_t at_ms = json_get_i64(one, "answered_at", 0);
        json_object_set_new(one, "is_open", json_boolean(at_ms == 0));
        json_object_set_new(
            one, "when",
            json_str(clock_in_words(c->arena, json_get_i64(one, "at", 0), c->lang, true)));
        if (at_ms)
            json_object_set_new(one, "answered",
                                json_str(clock_in_words(c->arena, at_ms, c->lang, true)));
    }
}

enum err objection_page_list(struct ctx *c)
{
    json_t *items;
    enum err e = objections_of_person(c, &items);
    if (e != ERR_OK)
        return e;
    in_words(c, items);
    return ctx_page(c, "account/objections",
                    json_pack("{s:b,s:o}", "any", json_array_size(items) > 0, "items", items));
}

enum err objection_api_list(struct ctx *c)
{
    json_t *items;
    enum err e = objections_of_person(c, &items);
    return e == ERR_OK ? ctx_json(c, 200, json_pack("{s:o}", "items", items)) : e;
}

/* ---- the data officer ---------------------------------------------------------------------------
 */
static enum err officer_only(struct ctx *c)
{
    bool is;
    enum err e = objection_officer(c, &is);
    return e == ERR_OK && !is ? ctx_fail(c, &f_officer, ERR_DENIED, STR_NONE) : e;
}

static enum err cases(struct ctx *c, json_t **items)
{
    enum err e = officer_only(c);
    return e == ERR_OK ? objections_of_org(c, items) : e;
}

enum err objection_page_cases(struct ctx *c)
{
    json_t *items;
    enum err e = cases(c, &items);
    if (e != ERR_OK)
        return e;
    in_words(c, items);
    return ctx_page(c, "account/cases",
                    json_pack("{s:b,s:o}", "any", json_array_size(items) > 0, "items", items));
}

enum err objection_api_cases(struct ctx *c)
{
    json_t *items;
    enum err e = cases(c, &items);
    return e == ERR_OK ? ctx_json(c, 200, json_pack("{s:o}", "items", items)) : e;
}

static enum err answer_it(struct ctx *c)
{
    struct str words = str_trim(ctx_form(c, "answer"));
    enum err e = officer_only(c);
    if (e == ERR_OK && !objection_words_ok(words))
        return ctx_fail(c, &f_words, ERR_INVALID, STR_NONE);
    return e == ERR_OK ? objection_answer(c, ctx_path(c, "id"), words) : e;
}

enum err objection_page_answer(struct ctx *c)
{
    enum err e = answer_it(c);
    return e == ERR_OK || e == ERR_CONFLICT ? ctx_redirect(c, STR("/oppositions")) : e;
}

enum err objection_api_answer(struct ctx *c)
{
    enum err e = answer_it(c);
    return e == ERR_OK ? ctx_json(c, 200, json_pack("{s:s}", "state", "answered")) : e;
}
