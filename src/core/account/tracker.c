/* Who used my data, for clients of Estonia's data tracker: docs/formats/data-tracker.md. */
#include "core/account/account.h"

#include "base/clock.h"
#include "platform/health.h"

enum { LIMIT_DEFAULT = 100, LIMIT_MAX = 1000 };

static uint64_t number(struct ctx *c, const char *name, uint64_t absent)
{
    uint64_t v;
    return str_to_u64(ctx_query(c, name), &v) ? v : absent;
}

static json_t *usage_json(struct ctx *c, const struct use *u)
{
    json_t *seen = account_use_json(c, u);
    const char *what = json_get_z(seen, "what", ""), *why = json_get_z(seen, "why", "");
    struct str action =
        *why ? arena_printf(c->arena, "%s (%s)", what, why) : arena_printf(c->arena, "%s", what);
    json_t *j = json_pack(
        "{s:o,s:o,s:O,s:o}", "logtime", json_str(clock_rfc3339(c->arena, u->at_ms, true)), "action",
        json_str(action), "receiver", json_get(seen, "who"), "id", json_str(u->entry));
    json_decref(seen);
    return j;
}

enum err account_tracker_find(struct ctx *c)
{
    struct use_list list;
    struct use *uses;
    size_t n;
    uint64_t limit = number(c, "limit", LIMIT_DEFAULT), offset = number(c, "offset", 0);
    enum err e = account_use_list(c, account_use_kinds, ACCOUNT_USE_KINDS, &list);
    if (e != ERR_OK)
        return e;
    size_t from = offset < list.n ? (size_t)offset : list.n;
    size_t to = from + (size_t)(limit < LIMIT_MAX ? limit : LIMIT_MAX);
    e = account_uses_open(c, &list, from, to, &uses, &n);
    if (e != ERR_OK)
        return e;
    json_t *all = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(all, usage_json(c, &uses[i]));
    return ctx_json(c, 200, json_pack("{s:o}", "findUsageResponses", all));
}

enum err account_tracker_period(struct ctx *c)
{
    struct use_list list;
    int64_t now_ms = clock_now_ms();
    enum err e = account_use_list(c, account_use_kinds, ACCOUNT_USE_KINDS, &list);
    if (e != ERR_OK)
        return e;
    int64_t from_ms = list.n ? list.keys[list.n - 1].at_ms : now_ms;
    return ctx_json(c, 200,
                    json_pack("{s:o,s:o}", "from", json_str(clock_rfc3339(c->arena, from_ms, true)),
                              "to", json_str(clock_rfc3339(c->arena, now_ms, true))));
}

enum err account_tracker_heartbeat(struct ctx *c)
{
    bool up = health_is_ready(c);
    return ctx_json(c, up ? 200 : 503,
                    json_pack("{s:s,s:s,s:s}", "name", "socle", "version", SOCLE_VERSION, "status",
                              up ? "UP" : "DOWN"));
}
