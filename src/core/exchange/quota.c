#include "core/exchange/quota.h"
#include "core/exchange/stages.h"

enum { ONE = 1000000, MINUTE_MS = 60000 };

unsigned quota_share(unsigned per_minute, unsigned n_loops)
{
    if (per_minute == 0)
        return 0;
    unsigned share = per_minute / (n_loops ? n_loops : 1);
    return share ? share : 1;
}

static void refill(struct quota *q, int64_t now_ms)
{
    int64_t full = (int64_t)q->per_minute * ONE;
    int64_t passed_ms = now_ms > q->at_ms ? now_ms - q->at_ms : 0;
    if (passed_ms > MINUTE_MS)
        passed_ms = MINUTE_MS;
    q->micro += passed_ms * full / MINUTE_MS;
    if (q->micro > full)
        q->micro = full;
    q->at_ms = now_ms;
}

STAGE_AT(quota);
bool quota_take(struct quota *q, unsigned per_minute, int64_t now_ms)
{
    if (q->at_ms == 0) {
        *q = (struct quota){per_minute, (int64_t)per_minute * ONE, now_ms};
    } else if (q->per_minute != per_minute) {
        int64_t used = (int64_t)q->per_minute * ONE - q->micro;
        q->per_minute = per_minute;
        q->micro = (int64_t)per_minute * ONE - used;
        if (q->micro < 0)
            q->micro = 0;
    }
    if (per_minute == 0)
        return true;
    /* Under a millisecond nothing worth having came in. */
    if (now_ms != q->at_ms)
        refill(q, now_ms);
    if (q->micro < ONE)
        return false;
    q->micro -= ONE;
    return true;
}

unsigned quota_left(const struct quota *q)
{
    return (unsigned)(q->micro / ONE);
}

static unsigned seconds_for(const struct quota *q, int64_t micro)
{
    if (micro <= 0 || q->per_minute == 0)
        return 0;
    int64_t per_second = (int64_t)q->per_minute * ONE / 60;
    return (unsigned)((micro + per_second - 1) / per_second);
}

unsigned quota_retry_s(const struct quota *q)
{
    return seconds_for(q, ONE - q->micro);
}

unsigned quota_reset_s(const struct quota *q)
{
    return seconds_for(q, (int64_t)q->per_minute * ONE - q->micro);
}
