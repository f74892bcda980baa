/* Alive is not ready: an orchestrator restarts a node that is not alive, and only sends no requests
 * to one that is not ready. */
#include "platform/health.h"

#include "base/clock.h"
#include "platform/change.h"
#include "web/pages.h"

enum { FEED_STALE_MS = 1000, JOURNAL_ASK_MS = 2000 };

static bool database_answers(struct ctx *c)
{
    struct db_result r;
    struct db_conn *db = db_read(c->pf->db);
    return db && db_query_one(db, c->arena, &r, "SELECT 1", "") == ERR_OK;
}

static bool keys_answer(struct ctx *c)
{
    uint8_t mac[32];
    return keys_mac(c->pf->keys, "blind", STR("readyz"), mac) == ERR_OK;
}

static bool journal_answers(struct ctx *c)
{
    return c->pf->journal && journal_ping(c->pf->journal, JOURNAL_ASK_MS) == ERR_OK;
}

/* The gateway refuses calls when it could not hear of withdrawals for a second. */
static bool feed_is_fresh(struct ctx *c)
{
    (void)c;
    return clock_mono_ms() - change_confirmed_ms() <= FEED_STALE_MS;
}

static const struct {
    const char *name;
    bool (*fn)(struct ctx *c);
} parts[] = {
    {"database", database_answers},
    {"keys", keys_answer},
    {"journal", journal_answers},
    {"changes", feed_is_fresh},
};

bool health_is_ready(struct ctx *c)
{
    bool ok = true;
    for (size_t i = 0; i < COUNT_OF(parts); i++)
        ok = parts[i].fn(c) && ok;
    return ok;
}

json_t *health_parts(struct ctx *c)
{
    json_t *list = json_array();
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        struct str key = arena_printf(c->arena, "status.part.%s", parts[i].name);
        struct str name = pages_text(c->arena, "platform", key.p, c->lang, NULL);
        json_array_append_new(
            list, json_pack("{s:s#,s:b}", "name", name.p, (int)name.n, "ok", parts[i].fn(c)));
    }
    return list;
}

enum err health_live(struct ctx *c)
{
    return ctx_json(c, 200, json_pack("{s:b, s:s}", "alive", 1, "version", SOCLE_VERSION));
}

enum err health_ready(struct ctx *c)
{
    bool all = true;
    json_t *d = json_object();
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        bool ok = parts[i].fn(c);
        json_object_set_new(d, parts[i].name, json_boolean(ok));
        all = all && ok;
    }
    /* Said, and no reason to send requests elsewhere: acts are durable and signed without it. */
    json_t *trust = NULL;
    if (platform_call(c, "trust.state", NULL, &trust) == ERR_OK)
        json_object_set_new(d, "witnesses", json_boolean(!json_is_true(json_get(trust, "late"))));
    json_object_set_new(d, "ready", json_boolean(all));
    return ctx_json(c, all ? 200 : 503, d);
}
