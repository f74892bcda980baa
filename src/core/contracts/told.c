/* What both sides' webhooks are told of a contract (docs/formats/contract.md). */
#include "core/contracts/contracts.h"

#include "platform/hook.h"

enum err contract_tell(struct db_conn *db, const struct contract_request *r, const char *event,
                       int64_t now_ms)
{
    struct buf b;
    struct jw w;
    buf_init(&b, HOOK_BODY_MAX);
    jw_start(&w, &b);
    jw_obj(&w);
    jw_kstr(&w, "request", r->id);
    jw_kstr(&w, "contract", r->contract_id);
    jw_kz(&w, "state", contract_state_name(r->state));
    jw_kstr(&w, "held_by", r->held_by);
    jw_kstr(&w, "stage", r->stage);
    jw_kstr(&w, "api", r->api);
    jw_kstr(&w, "version", r->version);
    jw_ki64(&w, "revision", r->revision);
    jw_end(&w);
    enum err e = b.err;
    bool shown = r->state != CONTRACT_DRAFT && !str_eq(r->consumer, r->provider);
    if (e == ERR_OK)
        e = hook_queue(db, r->consumer, event, buf_str(&b), now_ms);
    if (e == ERR_OK && shown)
        e = hook_queue(db, r->provider, event, buf_str(&b), now_ms);
    buf_free(&b);
    return e;
}
