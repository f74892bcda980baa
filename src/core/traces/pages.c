/* The operator's desk: a search over all traces, and the alerts. */
#include "core/traces/traces.h"

#include "base/clock.h"
#include "web/pages.h"

/* ---- search
 * -----------------------------------------------------------------------------------------
 */
/* One line of the list: who did what, in the order people read. */
static json_t *line_of(struct ctx *c, const struct trace_found *f)
{
    json_t *j = json_own(&c->pool, trace_found_json(c, f));
    json_t *line = json_copy(j);
    json_object_set_new(line, "when",
                        json_str(clock_in_words(c->arena, f->event.at_ms, c->lang, true)));
    const char *outcome = json_get_z(line, "outcome", NULL);
    if (outcome)
        json_object_set_new(line, "outcome_key", json_sprintf("line.outcome.%s", outcome));
    json_object_set_new(line, "grave", json_boolean(f->event.severity <= 3));
    return line;
}

static json_t *severities(struct ctx *c, int chosen)
{
    static const int shown[] = {7, 5, 4, 3};
    json_t *list = json_array();
    for (size_t i = 0; i < COUNT_OF(shown); i++) {
        struct str key = arena_printf(c->arena, "severity.%d", shown[i]);
        json_array_append_new(
            list, json_pack("{s:i,s:o,s:b}", "value", shown[i], "label",
                            json_str(pages_text(c->arena, "traces", key.p, c->lang, NULL)),
                            "selected", shown[i] == chosen));
    }
    return list;
}

enum err traces_page_search(struct ctx *c)
{
    struct trace_query q;
    struct trace_found *found;
    size_t n;
    enum err e = traces_query_read(c, &q);
    q.source = ctx_query(c, "source");
    if (e == ERR_OK)
        e = trace_search(c, &q, &found, &n);
    if (e != ERR_OK)
        return e;
    json_t *items = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(items, line_of(c, &found[i]));
    bool searched = q.words.n || q.severity < 7 || q.from_ms || q.to_ms;
    json_t *d = json_pack("{s:o,s:o,s:o,s:o,s:o,s:b,s:i,s:b,s:b}", "q", json_str(q.words), "from",
                          json_str(ctx_query(c, "from")), "to", json_str(ctx_query(c, "to")),
                          "severities", severities(c, q.severity), "items", items, "some", n > 0,
                          "total", (int)n, "more", n == q.limit, "searched", searched);
    return ctx_page(c, "traces/search", d);
}

/* ---- alerts
 * -----------------------------------------------------------------------------------------
 */
static json_t *alert_of(struct ctx *c, const struct trace_alert *x)
{
    json_t *j = trace_alert_json(c, x);
    struct str key = arena_printf(c->arena, "rule." STR_FMT, STR_ARG(x->rule));
    json_object_set_new(j, "title", json_str(pages_text(c->arena, "traces", key.p, c->lang, NULL)));
    json_object_set_new(j, "first", json_str(clock_in_words(c->arena, x->first_ms, c->lang, true)));
    json_object_set_new(j, "last", json_str(clock_in_words(c->arena, x->last_ms, c->lang, true)));
    json_object_set_new(j, "open", json_boolean(str_eq_z(x->state, "open")));
    struct str search = url_with(c->arena, STR("/operateur/traces"), "q", x->group);
    json_object_set_new(j, "search_url", json_str(search));
    json_object_set_new(
        j, "close_url",
        json_str(arena_printf(c->arena, "/operateur/alertes/" STR_FMT "/close", STR_ARG(x->id))));
    return j;
}

enum err traces_page_alerts(struct ctx *c)
{
    struct trace_alert *list;
    size_t n, n_open = 0;
    enum err e = trace_alerts(c, true, &list, &n);
    if (e != ERR_OK)
        return e;
    json_t *open = json_array(), *closed = json_array();
    for (size_t i = 0; i < n; i++) {
        bool is_open = str_eq_z(list[i].state, "open");
        n_open += is_open;
        json_array_append_new(is_open ? open : closed, alert_of(c, &list[i]));
    }
    return ctx_page(c, "traces/alerts",
                    json_pack("{s:o,s:o,s:i,s:b,s:b,s:b}", "open_items", open, "closed_items",
                              closed, "total", (int)n_open, "one", n_open == 1, "some", n_open > 0,
                              "past", n > n_open));
}

enum err traces_page_close(struct ctx *c)
{
    enum err e = trace_alert_close(c, ctx_path(c, "id"), c->session->subject);
    return e == ERR_OK || e == ERR_NOT_FOUND ? ctx_redirect(c, STR("/operateur/alertes")) : e;
}
