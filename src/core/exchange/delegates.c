/* For whom a software vendor may call: the bodies that delegated to it, for one API or all, by the
 * identifier that each call names as its recipient. */
#include "core/exchange/exchange.h"
#include "core/exchange/schema.h"

#include "platform/change.h"

enum { NAME_LEN_MAX = 64 };

struct delegate_job {
    struct str vendor, recipient, api;
    int64_t until_ms;
    bool on;
};

static enum err delegate_closure(struct db_conn *db, void *arg)
{
    const struct delegate_job *j = arg;
    enum err e = j->on
                     ? db_exec(db,
                               "INSERT INTO exchange_delegate(vendor, recipient, api, until_ms) "
                               "VALUES($1, $2, $3, $4) ON CONFLICT (vendor, recipient, api) DO "
                               "UPDATE SET until_ms = $4",
                               "sssi", j->vendor, j->recipient, j->api, j->until_ms)
                     : db_exec(db,
                               "DELETE FROM exchange_delegate WHERE vendor = $1 AND recipient = $2 "
                               "AND api = $3",
                               "sss", j->vendor, j->recipient, j->api);
    return e == ERR_OK ? change_add(db, "config", j->vendor, 0) : e;
}

static bool is_name(struct str s)
{
    return s.n > 0 && s.n <= NAME_LEN_MAX && str_find_char(s, ' ') < 0;
}

/* exchange.delegate: {vendor, recipient, api ("*": all), until, on}. Its proof is the act of
 * whoever asks. */
enum err exchange_call_delegate(struct ctx *c, const json_t *args, json_t **out)
{
    struct delegate_job job = {json_get_str(args, "vendor"), json_get_str(args, "recipient"),
                               json_get_str(args, "api"), json_get_i64(args, "until", 0),
                               json_get_bool(args, "on", false)};
    if (!is_name(job.vendor) || !is_name(job.recipient) || !is_name(job.api))
        return ERR_INVALID;
    enum err e = db_write(c->pf->db, delegate_closure, &job);
    if (e == ERR_OK)
        *out = json_object();
    return e;
}
