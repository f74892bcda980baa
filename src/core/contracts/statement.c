/* A month of a contract: the calls the gateway delivered, day by day, and what they come to where
 * the agreement has a price. For both sides, as JSON or CSV; nothing is paid here. */
#include "core/contracts/contracts.h"

#include <time.h>
#include "base/clock.h"

enum { DAY_S = 86400 };

/* "2026-11" as two days since 1970, the second one past the end; absent: this month. */
static enum err month_read(struct str s, int64_t *from, int64_t *to)
{
    time_t now = (time_t)(clock_now_ms() / 1000);
    struct tm tm;
    int64_t year, month;
    gmtime_r(&now, &tm);
    year = tm.tm_year + 1900;
    month = tm.tm_mon + 1;
    if (s.n && (s.n != 7 || s.p[4] != '-' || !str_to_i64(str_sub(s, 0, 4), &year) ||
                !str_to_i64(str_after(s, 5), &month) || month < 1 || month > 12 || year < 2000))
        return ERR_INVALID;
    tm = (struct tm){.tm_year = (int)year - 1900, .tm_mon = (int)month - 1, .tm_mday = 1};
    *from = (int64_t)timegm(&tm) / DAY_S;
    tm = (struct tm){.tm_year = (int)year - 1900, .tm_mon = (int)month, .tm_mday = 1};
    *to = (int64_t)timegm(&tm) / DAY_S;
    return ERR_OK;
}

static enum err statement(struct ctx *c, const struct contract_request *r, json_t **out)
{
    int64_t from, to, calls = 0, refused = 0;
    json_t *days, *v;
    size_t i;
    if (month_read(str_trim(ctx_query(c, "month")), &from, &to) != ERR_OK)
        return ctx_fail(c, &contracts_fault_fields, ERR_INVALID, STR("month"));
    json_t *args = json_pack("{s:o,s:I,s:I}", "id", json_str(r->contract_id), "from",
                             (json_int_t)from, "to", (json_int_t)to);
    enum err e = platform_call(c, "exchange.contract_days", json_own(&c->pool, args), &days);
    if (e != ERR_OK)
        return e;
    json_array_foreach(json_get(days, "items"), i, v)
    {
        calls += json_get_i64(v, "delivered", 0);
        refused += json_get_i64(v, "refused", 0);
    }
    int64_t price = json_get_i64(r->terms, "price_per_1000", 0);
    *out = json_own(&c->pool,
                    json_pack("{s:o,s:o,s:o,s:o,s:o,s:I,s:I,s:I,s:I,s:s,s:O}", "contract",
                              json_str(r->contract_id), "api", json_str(r->api), "version",
                              json_str(r->version), "from",
                              json_str(clock_rfc3339(c->arena, from * DAY_S * 1000, false)), "to",
                              json_str(clock_rfc3339(c->arena, to * DAY_S * 1000, false)),
                              "delivered", (json_int_t)calls, "refused", (json_int_t)refused,
                              "price_per_1000", (json_int_t)price, "amount_cents",
                              (json_int_t)((calls * price + 500) / 1000), "currency", "EUR", "days",
                              json_get(days, "items")));
    return ERR_OK;
}

static enum err csv(struct ctx *c, const json_t *v)
{
    struct buf b;
    json_t *day;
    size_t i;
    buf_init(&b, 64 * 1024);
    buf_add_z(&b, "day,delivered,refused,bytes\r\n");
    json_array_foreach(json_get(v, "days"), i, day)
    {
        buf_printf(&b, "%s,%lld,%lld,%lld\r\n", json_get_z(day, "day", ""),
                   (long long)json_get_i64(day, "delivered", 0),
                   (long long)json_get_i64(day, "refused", 0),
                   (long long)json_get_i64(day, "bytes", 0));
    }
    buf_printf(&b, "total,%lld,%lld,\r\nprice_per_1000_cents,%lld,,\r\namount_cents,%lld,,\r\n",
               (long long)json_get_i64(v, "delivered", 0), (long long)json_get_i64(v, "refused", 0),
               (long long)json_get_i64(v, "price_per_1000", 0),
               (long long)json_get_i64(v, "amount_cents", 0));
    struct str text = arena_dup(c->arena, buf_str(&b));
    enum err e = b.err;
    buf_free(&b);
    if (e != ERR_OK)
        return e;
    web_header(c->rs, "Content-Disposition",
               arena_printf(c->arena, "attachment; filename=\"releve-%.7s.csv\"",
                            json_get_z(v, "from", "")));
    return ctx_text(c, 200, "text/csv; charset=utf-8", text);
}

static enum err statement_of(struct ctx *c, json_t **v)
{
    struct contract_request r;
    struct contract_party p = party_of(c);
    enum err e = request_of_party(c, &p, ctx_path(c, "id"), &r);
    return e == ERR_OK ? statement(c, &r, v) : e;
}

enum err contracts_api_statement(struct ctx *c)
{
    json_t *v;
    enum err e = statement_of(c, &v);
    return e == ERR_OK ? ctx_json(c, 200, json_incref(v)) : e;
}

enum err contracts_page_statement(struct ctx *c)
{
    json_t *v;
    enum err e = statement_of(c, &v);
    return e == ERR_OK ? csv(c, v) : e;
}
