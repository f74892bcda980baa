/* An organisation sets its own address, sees what it was told, and has it sent again: on a page,
 * and by program. */
#include "platform/hook_pages.h"

#include "base/clock.h"
#include "platform/hook.h"
#include "platform/org_mail.h"
#include "web/pages.h"

static const struct fault f_url = {"SOC-422-HOOK", 422, "platform", "Address Not Acceptable"};

static json_t *words(struct ctx *c, const char *key)
{
    return json_str(pages_text(c->arena, "platform", key, c->lang, NULL));
}

static enum err set(struct ctx *c, struct str *url, struct str *secret)
{
    *url = str_trim(ctx_form(c, "url"));
    enum err e = hook_set(c, c->site->org_id, *url, c->session->subject, secret);
    return e == ERR_INVALID ? ctx_fail(c, &f_url, e, STR("url")) : e;
}

/* ---- by program ---------------------------------------------------------------------------------
 */
enum err hook_api_get(struct ctx *c)
{
    struct str url;
    enum err e = hook_url(c, c->site->org_id, &url);
    return e == ERR_OK ? ctx_json(c, 200, json_pack("{s:o}", "url", json_str(url))) : e;
}

enum err hook_api_set(struct ctx *c)
{
    struct str url, secret;
    enum err e = set(c, &url, &secret);
    if (e != ERR_OK)
        return e;
    json_t *v = json_pack("{s:o}", "url", json_str(url));
    if (url.n)
        json_object_set_new(v, "secret", json_str(secret));
    return ctx_json(c, 200, v);
}

enum err hook_api_deliveries(struct ctx *c)
{
    json_t *list;
    enum err e = hook_deliveries(c, c->site->org_id, &list);
    return e == ERR_OK ? ctx_json(c, 200, json_pack("{s:O}", "items", list)) : e;
}

enum err hook_api_replay(struct ctx *c)
{
    enum err e = hook_replay(c, c->site->org_id, ctx_path(c, "id"));
    return e == ERR_OK ? ctx_json(c, 200, json_pack("{s:s}", "state", "waiting")) : e;
}

static enum err mail_set(struct ctx *c, struct str *address)
{
    *address = str_trim(ctx_form(c, "address"));
    enum err e =
        org_mail_set(c, c->site->org_id, address->p ? *address : STR(""), c->session->subject);
    return e == ERR_INVALID ? ctx_fail(c, &f_url, e, STR("address")) : e;
}

enum err hook_api_mail(struct ctx *c)
{
    struct str address;
    enum err e = org_mail_get(c, c->site->org_id, &address);
    return e == ERR_OK ? ctx_json(c, 200, json_pack("{s:o}", "address", json_str(address))) : e;
}

enum err hook_api_mail_set(struct ctx *c)
{
    struct str address;
    enum err e = mail_set(c, &address);
    return e == ERR_OK ? ctx_json(c, 200, json_pack("{s:o}", "address", json_str(address))) : e;
}

/* ---- on a page ----------------------------------------------------------------------------------
 */
static json_t *delivery_shown(struct ctx *c, const json_t *v)
{
    const char *state = json_get_z(v, "state", "");
    int64_t at_ms = json_get_i64(v, "at", 0), next_ms = json_get_i64(v, "next_at", 0);
    bool waiting = strcmp(state, "waiting") == 0;
    json_t *out = json_pack("{s:O,s:O,s:o,s:O,s:O,s:{s:s,s:o}}", "id", json_get(v, "id"), "event",
                            json_get(v, "event"), "when",
                            json_str(clock_in_words(c->arena, at_ms, c->lang, true)), "tries",
                            json_get(v, "tries"), "status", json_get(v, "status"), "tag", "kind",
                            waiting                           ? "info"
                            : strcmp(state, "delivered") == 0 ? "success"
                                                              : "error",
                            "label", words(c, arena_printf(c->arena, "hook.state.%s", state).p));
    if (waiting && json_get_i64(v, "tries", 0))
        json_object_set_new(out, "next",
                            json_str(clock_in_words(c->arena, next_ms, c->lang, true)));
    return out;
}

static json_t *mail_field(struct ctx *c, struct str value, bool wrong)
{
    json_t *f = json_pack("{s:s,s:s,s:o,s:o,s:b,s:s,s:s,s:o}", "id", "address", "name", "address",
                          "label", words(c, "hook.mail"), "hint", words(c, "hook.mail.hint"),
                          "text", 1, "type", "email", "width", "w30", "value", json_str(value));
    if (wrong)
        json_object_set_new(f, "error", words(c, "hook.mail.error"));
    return f;
}

static enum err page(struct ctx *c, struct str typed, json_t *more)
{
    struct str url, address;
    json_t *list, *v, *rows = json_array();
    size_t i;
    enum err e = hook_url(c, c->site->org_id, &url);
    if (e == ERR_OK)
        e = org_mail_get(c, c->site->org_id, &address);
    if (e == ERR_OK)
        e = hook_deliveries(c, c->site->org_id, &list);
    if (e != ERR_OK) {
        json_decref(rows);
        json_decref(more);
        return e;
    }
    json_array_foreach(list, i, v)
    {
        json_array_append_new(rows, delivery_shown(c, v));
    }
    json_t *data = more ? more : json_object();
    bool wrong = c->rs->status == 422 && !json_get(data, "mail_field");
    json_t *field = json_pack("{s:s,s:s,s:o,s:o,s:b,s:s,s:o}", "id", "url", "name", "url", "label",
                              words(c, "hook.url"), "hint", words(c, "hook.url.hint"), "text", 1,
                              "inputmode", "url", "value", json_str(wrong ? typed : url));
    if (wrong)
        json_object_set_new(field, "error", words(c, "hook.url.error"));
    json_object_set_new(data, "field", field);
    if (!json_get(data, "mail_field"))
        json_object_set_new(data, "mail_field", mail_field(c, address, false));
    if (json_array_size(rows))
        json_object_set_new(data, "deliveries", json_pack("{s:O}", "items", rows));
    json_decref(rows);
    return ctx_page(c, "platform/hooks", data);
}

enum err hook_page(struct ctx *c)
{
    return page(c, STR_NONE, NULL);
}

enum err hook_page_post(struct ctx *c)
{
    struct str url, secret;
    enum err e = set(c, &url, &secret);
    if (e != ERR_OK && (!c->fault.code || strcmp(c->fault.code, f_url.code) != 0))
        return e;
    if (e == ERR_OK)
        return page(c, url, url.n ? json_pack("{s:o}", "secret", json_str(secret)) : NULL);
    c->rs->status = 422;
    return page(c, url,
                json_pack("{s:{s:[{s:s,s:o}]}}", "error_summary", "items", "id", "url", "text",
                          words(c, "hook.url.error")));
}

enum err hook_page_mail(struct ctx *c)
{
    struct str address;
    enum err e = mail_set(c, &address);
    if (e == ERR_OK)
        return ctx_redirect(c, STR("/agent/evenements"));
    if (!c->fault.code || strcmp(c->fault.code, f_url.code) != 0)
        return e;
    c->rs->status = 422;
    return page(c, STR_NONE,
                json_pack("{s:o,s:{s:[{s:s,s:o}]}}", "mail_field", mail_field(c, address, true),
                          "error_summary", "items", "id", "address", "text",
                          words(c, "hook.mail.error")));
}

enum err hook_page_replay(struct ctx *c)
{
    enum err e = hook_replay(c, c->site->org_id, ctx_path(c, "id"));
    return e == ERR_OK ? ctx_redirect(c, STR("/agent/evenements")) : e;
}
