/* Every sign-in of the last 36 months, each with its proof: the last six months at once, older ones
 * on demand. */
#include "core/account/account.h"

#include "base/clock.h"
#include "platform/retention.h"

enum { PER_PAGE = 25, SHOWN_MONTHS = 6, KEPT_MONTHS = 36 /* where no rule says */ };
static const struct str kind = {"identity.signin", 15};

struct history {
    struct use_list list;
    size_t page, of, total;
    int64_t kept_months;
    bool old, older_exist;
};

/* The keys are newest first: a prefix is the last months. */
static enum err history_read(struct ctx *c, struct history *h)
{
    uint64_t page;
    int64_t now_ms = clock_now_ms();
    h->kept_months = retention_months(c->pf->settings, kind.p);
    if (h->kept_months == 0)
        h->kept_months = KEPT_MONTHS;
    h->old = str_eq_z(ctx_query(c, "months"), "36");
    enum err e = account_use_list(c, &kind, 1, &h->list);
    size_t n = 0, kept = 0;
    for (size_t i = 0; e == ERR_OK && i < h->list.n; i++) {
        n += h->list.keys[i].at_ms >= now_ms - SHOWN_MONTHS * RETENTION_MONTH_MS;
        kept += h->list.keys[i].at_ms >= now_ms - h->kept_months * RETENTION_MONTH_MS;
    }
    h->older_exist = !h->old && kept > n;
    h->total = h->old ? kept : n;
    h->of = (h->total + PER_PAGE - 1) / PER_PAGE;
    h->page = str_to_u64(ctx_query(c, "page"), &page) && page >= 1 && page <= h->of ? page : 1;
    return e;
}

static enum err history_open(struct ctx *c, const struct history *h, struct use **uses, size_t *n)
{
    size_t from = (h->page - 1) * PER_PAGE, to = from + PER_PAGE;
    *n = 0;
    if (from >= h->total)
        return ERR_OK;
    return account_uses_open(c, &h->list, from, to < h->total ? to : h->total, uses, n);
}

static struct str place(const json_t *told)
{
    struct str n = json_get_str(told, "network");
    return str_eq_z(n, "local") ? STR("") : n;
}

static json_t *row(struct ctx *c, const struct use *u)
{
    const json_t *t = u->told;
    struct str level = json_get_str(t, "acr"), session = json_get_str(t, "session");
    json_t *v = json_object();
    struct str report = url_with(c->arena, STR("/account/security/report"), "sign_in", u->entry);
    const char *service = account_text(c, json_get(t, "consumer"));
    report = url_with(c->arena, report, "service", str_from(service));
    if (session.n)
        report = url_with(c->arena, report, "session", session);
    json_object_set_new(v, "when", json_str(clock_in_words(c->arena, u->at_ms, c->lang, true)));
    json_object_set_new(v, "datetime", json_str(clock_rfc3339(c->arena, u->at_ms, false)));
    json_object_set_new(v, "service", json_string(service));
    json_object_set_new(v, "provider", json_string(account_text(c, json_get(t, "provider"))));
    json_object_set_new(v, "device", json_string(account_text(c, json_get(t, "device"))));
    json_object_set_new(v, "network", json_str(place(t)));
    json_object_set_new(v, "low", json_boolean(str_eq_z(level, "eidas1")));
    json_object_set_new(v, "middle", json_boolean(str_eq_z(level, "eidas2")));
    json_object_set_new(v, "high", json_boolean(str_eq_z(level, "eidas3")));
    json_object_set_new(
        v, "proof_url",
        json_str(arena_printf(c->arena, "/account/uses/" STR_FMT, STR_ARG(u->entry))));
    json_object_set_new(v, "report_url", json_str(report));
    return v;
}

static json_t *by_day(struct ctx *c, const struct use *uses, size_t n)
{
    json_t *days = json_array(), *day = NULL;
    struct str last = STR_NONE;
    for (size_t i = 0; i < n; i++) {
        struct str words = clock_in_words(c->arena, uses[i].at_ms, c->lang, false);
        if (!day || !str_eq(words, last)) {
            day = json_pack("{s:o,s:[]}", "day", json_str(words), "items");
            json_array_append_new(days, day);
            last = words;
        }
        json_array_append_new(json_get(day, "items"), row(c, &uses[i]));
    }
    return days;
}

static json_t *page_url(struct ctx *c, const struct history *h, size_t page)
{
    return json_str(
        arena_printf(c->arena, "/account/sign-ins?%spage=%zu", h->old ? "months=36&" : "", page));
}

enum err account_page_signins(struct ctx *c)
{
    struct history h;
    struct use *uses;
    size_t n;
    enum err e = history_read(c, &h);
    if (e == ERR_OK)
        e = history_open(c, &h, &uses, &n);
    if (e != ERR_OK)
        return e;
    json_t *d = json_pack("{s:s,s:b,s:i,s:i,s:b,s:o}", "back_url", "/account/security", "old",
                          h.old, "total", (int)h.total, "kept", (int)h.kept_months, "one",
                          h.total == 1, "days", by_day(c, uses, n));
    if (h.older_exist)
        json_object_set_new(d, "older_url", json_string("/account/sign-ins?months=36"));
    if (h.of > 1) {
        json_t *p =
            json_pack("{s:i,s:i,s:i}", "page", (int)h.page, "of", (int)h.of, "total", (int)h.total);
        if (h.page > 1)
            json_object_set_new(p, "previous_url", page_url(c, &h, h.page - 1));
        if (h.page < h.of)
            json_object_set_new(p, "next_url", page_url(c, &h, h.page + 1));
        json_object_set_new(d, "pages", p);
    }
    return ctx_page(c, "account/signins", d);
}

enum err account_api_signins(struct ctx *c)
{
    struct history h;
    struct use *uses;
    size_t n;
    enum err e = history_read(c, &h);
    if (e == ERR_OK)
        e = history_open(c, &h, &uses, &n);
    if (e != ERR_OK)
        return e;
    json_t *items = json_array();
    for (size_t i = 0; i < n; i++) {
        static const char *const members[] = {"consumer", "provider", "acr",
                                              "device",   "network",  "session"};
        json_t *v = json_pack("{s:o,s:I}", "entry", json_str(uses[i].entry), "at",
                              (json_int_t)uses[i].at_ms);
        for (size_t k = 0; k < COUNT_OF(members); k++)
            if (json_get(uses[i].told, members[k]))
                json_object_set(v, members[k], json_get(uses[i].told, members[k]));
        json_array_append_new(items, v);
    }
    return ctx_json(c, 200,
                    json_pack("{s:o,s:i,s:i,s:i}", "items", items, "page", (int)h.page, "of",
                              (int)h.of, "total", (int)h.total));
}
